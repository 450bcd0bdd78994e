"""What other rules would change over a log: more, fewer, moved, other commands; and the exit status."""

import json

import pytest

from tests.test_trial import MS, RULES, START, log, merged, refused, rules, write_log  # noqa: F401
from zuluko.actions.acts import Act
from zuluko.actions.difference import Nearest, differences
from zuluko.actions.trails import Trail
from zuluko.cli import rules as command
from zuluko.messages import Decision, LockCommand


def trail(at: int, outcome: str = "fired") -> Trail:
    return Trail("rules", 0, START + at * MS, Decision(rule="hello", outcome=outcome, stamp=START + at * MS))


def act(
    at: int, outcome: str = "fired", *, open_for: float = 1.0, to: str = "lock", after: float = 0.0
) -> Act:
    given = LockCommand(id="rules.hello-1-1-1", to=to, open_for=open_for, reason="hello")
    return Act(trail(at, outcome), [(after, given)])


def told(old: list[Act], new: list[Act], **options) -> list[tuple[str, float, float]]:
    options = {"within": 2.0, **options}
    found = differences({"hello": old}, {"hello": new}, **options)
    return [(one.what, (one.at - START) / 1e9, round(one.by, 3)) for one in found]


def test_acts_at_the_same_times_with_the_same_commands_are_no_difference():
    assert told([act(0), act(5000)], [act(0), act(5000)]) == []
    assert told([], []) == []


def test_more_fewer_and_moved_are_told_in_the_order_of_time():
    old = [act(0), act(10_000), act(20_000)]
    new = [act(300), act(20_000), act(30_000)]
    assert told(old, new) == [("moved", 0.0, 0.3), ("fewer", 10.0, 0.0), ("more", 30.0, 0.0)]
    assert told(old, new, within=0.2) == [
        ("fewer", 0.0, 0.0),
        ("more", 0.3, 0.0),
        ("fewer", 10.0, 0.0),
        ("more", 30.0, 0.0),
    ]


def test_of_several_that_are_near_the_nearest_are_one():
    assert told([act(0), act(1000)], [act(900), act(1900)]) == [("moved", 0.0, 1.9), ("moved", 1.0, -0.1)]
    assert told([act(1000)], [act(900), act(1000), act(1100)]) == [("more", 0.9, 0.0), ("more", 1.1, 0.0)]


def test_two_at_one_moment_are_two():
    assert told([act(0)], [act(0), act(0)]) == [("more", 0.0, 0.0)]


def test_other_commands_are_a_difference_and_their_reasons_and_ids_are_none():
    assert told([act(0)], [act(0, open_for=2.0)]) == [("commands", 0.0, 0.0)]
    assert told([act(0)], [act(0, to="gate")]) == [("commands", 0.0, 0.0)]
    assert told([act(0)], [act(0, after=0.5)]) == [("commands", 0.0, 0.0)]
    assert told([act(0)], [act(0, to="")]) == []
    assert told([act(0)], [Act(trail(0))]) == [("commands", 0.0, 0.0)]


def test_what_ran_live_may_be_a_little_apart():
    assert told([act(0)], [act(60, after=0.06)], same=0.1) == []
    assert told([act(0)], [act(160)], same=0.1) == [("moved", 0.0, 0.16)]


def test_an_end_is_no_firing():
    assert told([act(0), act(500, "ended")], [act(0), act(500)]) == [("more", 0.5, 0.0), ("fewer", 0.5, 0.0)]


def test_the_nearest_trail_is_found_as_they_come():
    near = Nearest([START + at * MS for at in (-50, 40, 60, 99, 250, 900)])
    for at in (0, 100, 200):
        near.hear(trail(at))
    near.end()
    assert {(at - START) // MS: (found.at - START) // MS for at, found in near.found.items()} == {
        **{-50: 0, 40: 0, 60: 100, 99: 100},
        **{250: 200, 900: 200},
    }


def compared(capsys, old, new, over, **options) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        command.diff(old, new, over, **options)
    shown = capsys.readouterr()
    assert shown.err == ""
    return ended.value.code, shown.out


def test_rules_that_do_the_same_end_with_0(rules, log, capsys):  # noqa: F811
    assert compared(capsys, rules, rules, log) == (
        0,
        f"{rules} and {rules} do the same over {log}: 2 firings\n",
    )


def test_what_moves_is_told_with_why_the_others_did_not(rules, log, tmp_path, capsys):  # noqa: F811
    new = tmp_path / "new.rules.yaml"
    new.write_text(RULES.replace("least: 0.5", "least: 0.45"))
    status, shown = compared(capsys, rules, str(new), log)
    head, line = shown.splitlines()
    assert status == 1
    assert head.startswith("hello: 1 firing moved: at ")
    assert "1.699 s  200 ms earlier; old: seen 1 of 5, needs 3" in line
    status, shown = compared(capsys, str(new), rules, log)
    assert status == 1
    assert "1.499 s  200 ms later; new: seen 1 of 5, needs 3" in shown


def test_more_and_fewer_are_told_with_the_cause(rules, log, tmp_path, capsys):  # noqa: F811
    new = tmp_path / "new.rules.yaml"
    new.write_text(RULES.replace("least: 0.5", "least: 0.95"))
    status, shown = compared(capsys, rules, str(new), log)
    head, line = shown.splitlines()
    assert (status, head.partition(": at ")[0]) == (1, "hello: 1 fewer firing")
    assert "new: similarity 0.54 is below least 0.95 (short by 0.41)" in line
    status, shown = compared(capsys, str(new), rules, log)
    assert "hello: 1 more firing: at " in shown
    assert "seen 3 of 5; lock: open_for 2; after 300 ms lock: open_for 0; " in shown


def test_parameters_are_of_one_side(rules, log, capsys):  # noqa: F811
    assert compared(capsys, rules, rules, log, set_=["least=0.95"])[1].startswith(
        "hello: 1 fewer firing: at "
    )
    assert compared(capsys, rules, rules, log, set_old=["least=0.95"])[1].startswith(
        "hello: 1 more firing: at "
    )
    assert compared(capsys, rules, rules, log, set_=["least=0.95"], rule="crowd")[0] == 0


def test_a_rule_that_one_side_does_not_have_is_told(rules, log, tmp_path, capsys):  # noqa: F811
    new = tmp_path / "new.rules.yaml"
    new.write_text(RULES.partition("crowd:")[0])
    status, shown = compared(capsys, rules, str(new), log)
    assert status == 1
    assert "crowd: 1 fewer firing: at " in shown
    assert "new: has no such rule" in shown
    assert compared(capsys, str(new), rules, log, rule="crowd")[1].startswith("crowd: 1 more firing: at ")


def test_other_commands_are_told_with_both(rules, log, tmp_path, capsys):  # noqa: F811
    new = tmp_path / "new.rules.yaml"
    new.write_text(RULES.replace("open_for: 2s", "open_for: 3s"))
    status, shown = compared(capsys, rules, str(new), log)
    assert status == 1
    assert "hello: 1 firing with other commands: at " in shown
    assert "new: lock: open_for 3; after 300 ms lock: open_for 0; old: lock: open_for 2; after" in shown


def test_what_was_decided_then_is_compared_as_well(rules, log, tmp_path, capsys):  # noqa: F811
    said = tmp_path / "said.mcap"
    command.run(rules, log, out=said)
    capsys.readouterr()
    both = merged(tmp_path / "both.mcap", log, said)
    assert compared(capsys, "recorded", rules, both)[0] == 0
    status, shown = compared(capsys, "recorded", rules, both, set_=["least=0.95"])
    assert (status, shown.partition(": at ")[0]) == (1, "hello: 1 fewer firing")
    assert refused(capsys, command.diff, "recorded", rules, log) == (
        f"{log} has no decisions; record the rules node, too, or name the rules to run over it"
    )


@pytest.mark.parametrize(
    ("stamp", "age"), [(0, 0.0), (START, float("nan")), (START, float("inf")), (1 << 62, 0.0), (START, 1e300)]
)
def test_a_decision_of_no_time_is_a_sentence(rules, log, tmp_path, capsys, stamp, age):  # noqa: F811
    made = Decision(rule="hello\x1b[2J", outcome="fired", stamp=stamp, age=age)
    strange = write_log(tmp_path / "strange.mcap", [(100, "rules.decision", made)])
    both = merged(tmp_path / "both.mcap", log, strange)
    told = refused(capsys, command.diff, "recorded", rules, both)
    assert told.startswith(f"{both}: a decision of hello\\x1b[2J is of another time than the log; ")


def test_what_a_log_says_is_printed_as_text(rules, log, tmp_path, capsys):  # noqa: F811
    made = Decision(rule="hello\x1b[2J", outcome="fired", stamp=START, age=0.1, reason="\x1b]0;a\x07")
    strange = write_log(tmp_path / "strange.mcap", [(100, "rules.decision", made)])
    both = merged(tmp_path / "both.mcap", log, strange)
    shown = compared(capsys, "recorded", rules, both)[1]
    assert "hello\\x1b[2J: 1 fewer firing: at " in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_program_reads_the_differences(rules, log, tmp_path, capsys):  # noqa: F811
    status, shown = compared(capsys, rules, rules, log, set_=["least=0.45"], as_json=True)
    moved, summary = map(json.loads, shown.splitlines())
    assert (status, moved["rule"], moved["what"], moved["outcome"]) == (1, "hello", "moved", "fired")
    assert (moved["at"], moved["seconds"], moved["by"]) == (START + 1740 * MS, 1.699, -0.2)
    assert moved["old"]["at"] - moved["new"]["at"] == 200 * MS
    assert moved["new"]["commands"][0]["fields"] == {"open_for": 2.0}
    assert "seen 1 of 5" in moved["why"]
    one = {"hello": 1, "crowd": 1}
    assert summary == {"log": str(log), "differences": 1, "old": one, "new": one}


def test_what_cannot_be_compared_is_a_sentence(rules, log, capsys):  # noqa: F811
    assert refused(capsys, command.diff, rules, "new.rules.yaml", log) == "there is no file new.rules.yaml"
    assert refused(capsys, command.diff, rules, rules, log, rule="helo").endswith("did you mean `hello`?")
    assert refused(capsys, command.diff, rules, rules, log, within="2").startswith(
        "--within: a duration needs"
    )
    told = refused_json(capsys, command.diff, rules, "new.rules.yaml", log, as_json=True)
    assert told == {"ok": False, "what": "there is no file new.rules.yaml"}


def refused_json(capsys, run, *arguments, **options):
    with pytest.raises(SystemExit) as ended:
        run(*arguments, **options)
    assert ended.value.code == 2
    return json.loads(capsys.readouterr().out)
