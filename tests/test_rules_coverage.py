"""Which clauses were never true or never false over logs, and which rules never fired."""

import json
from pathlib import Path

import pytest

from tests.test_trial import (  # noqa: F401
    GRAPH,
    MS,
    OPENER,
    RULES,
    START,
    evening,
    faces,
    log,
    refused,
    rules,
    write_log,
)
from zuluko.actions.coverage import ClauseCoverage, RuleCoverage
from zuluko.cli import rules as command
from zuluko.messages import Faces, LockState


def covered(capsys, given, *logs, **options) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        command.coverage(given, list(logs), **options)
    return ended.value.code, capsys.readouterr().out


def counts(capsys, given, *logs, **options) -> dict[str, tuple[int, int, int, str | None]]:
    told = json.loads(covered(capsys, given, *logs, as_json=True, **options)[1])
    return {
        clause["text"]: (clause["true"], clause["false"], clause["unknown"], clause["gap"])
        for rule in told["rules"]
        for clause in rule["clauses"]
    }


@pytest.mark.parametrize(
    ("true", "false", "unknown", "gap"),
    [
        (1, 1, 0, ""),
        (1, 0, 1, "never false"),
        (0, 1, 1, "never true"),
        (0, 0, 3, "always unknown"),
        (0, 0, 0, "never looked at"),
    ],
)
def test_a_gap_is_what_a_clause_has_not_been(true, false, unknown, gap):
    clause = ClauseCoverage("a")
    clause.verdicts.update({"true": true, "false": false, "unknown": unknown})
    clause.verdicts = +clause.verdicts
    assert clause.gap == gap


def test_a_rule_has_to_be_evaluated_and_to_fire():
    rule = RuleCoverage("a")
    assert (rule.gap, rule.gaps) == ("never evaluated", 1)
    rule.outcomes["false"] += 1
    assert rule.gap == "never fired"
    rule.outcomes["fired"] += 1
    assert (rule.gap, rule.gaps) == ("", 0)


def test_each_item_counts_and_not_only_the_nearest(rules, log, capsys):  # noqa: F811
    found = counts(capsys, rules, log, rule="hello")
    # Ana is seen ten times, half of them like enough, and once beside her a stranger.
    assert found == {
        'item.name == "ana"': (10, 1, 0, None),
        "item.similarity >= least": (5, 6, 0, None),
        'lock.state == "locked"': (11, 0, 0, "never false"),
    }


def test_the_gaps_of_one_log_are_closed_by_another(rules, log, tmp_path, capsys):  # noqa: F811
    status, shown = covered(capsys, rules, log)
    assert status == 1
    assert (
        shown
        == f"""\
hello fired once; of 30 decisions 25 false, 4 held
    true   false  unknown
      10       1        0  item.name == "ana"
       5       6        0  item.similarity >= least
      11       0        0  lock.state == "locked"  <- never false

crowd fired once; of 30 decisions 29 false
    true   false  unknown
       1      29        0  size(faces.items) > 1

{log}: 1 not tried
"""
    )
    opened = LockState(state="unlocked", stamp=START)
    seen = Faces(stamp=START + 20 * MS, items=faces(("ana", 0.9)), size=(640, 480))
    other = write_log(tmp_path / "other.mcap", [(10, "lock", opened), (40, "faces", seen)])
    status, shown = covered(capsys, rules, log, other)
    assert (status, shown.splitlines()[-1]) == (0, "2 logs: all was tried")
    assert '      11       1        0  lock.state == "locked"\n' in shown


def test_a_rule_that_nothing_reached_is_told(rules, tmp_path, capsys):  # noqa: F811
    lock = LockState(state="locked", stamp=START)
    empty = Faces(stamp=START + 20 * MS, items=(), size=(640, 480))
    log = write_log(tmp_path / "a.mcap", [(10, "lock", lock), (40, "faces", empty)])  # noqa: F811
    status, shown = covered(capsys, rules, log, rule="hello")
    assert status == 1
    assert shown.startswith("hello never fired; of 1 decision 1 false\n")
    assert shown.count("<- never looked at") == 3
    assert shown.endswith(f"{log}: 4 not tried\n")


def test_a_clause_that_was_always_unknown_is_told(tmp_path, capsys):
    (tmp_path / "hello.rules.yaml").write_text(RULES)
    (tmp_path / "two.yaml").write_text(GRAPH)
    without = evening(tmp_path / "a.mcap", lock=False)
    found = counts(capsys, str(tmp_path / "two.yaml"), without, rule="rules.hello")
    assert found['lock.state == "locked"'] == (0, 0, 11, "always unknown")


def test_rules_in_python_are_one_clause(log, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    Path("trial_covered.py").write_text(OPENER)
    found = counts(capsys, "trial_covered.py", log)
    assert found == {"hello": (5, 5, 0, None), "crowd": (1, 29, 0, None)}
    assert covered(capsys, "trial_covered.py", log)[0] == 0


def test_each_log_must_fit(rules, log, tmp_path, capsys):  # noqa: F811
    lock = write_log(tmp_path / "lock.mcap", [(0, "lock", LockState(state="locked", stamp=START))])
    assert "there is no topic `faces`" in refused(capsys, command.coverage, rules, [log, lock])
    assert refused(capsys, command.coverage, rules, [log], rule="helo").endswith("did you mean `hello`?")
