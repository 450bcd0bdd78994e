"""Rules over a recorded log: what they would have done is what they did."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import up
from zuluko import Message, read
from zuluko.bus import log_edit
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.wire import Encoder, Hop
from zuluko.cli import rules as command
from zuluko.launch.lockstep import LockstepError
from zuluko.launch.trial import Recorded, Trial
from zuluko.launch.trial_rules import TrialError
from zuluko.log import channel_of
from zuluko.messages import Decision, DriveCommand, Face, Faces, LockCommand, LockState
from zuluko.testing import decisions

MS = 1_000_000
NONE: Mapping[int, int] = {}
START = 1_700_000_000_000 * MS
DOOR = str(Path(__file__).parents[1] / "zuluko" / "launch" / "door.rules.yaml")
MARKS = ((100.0, 100.0),) * 5

RULES = """
params:
  least: 0.5
hello:
  when: faces
  any: items
  if:
    - item.name == "ana"
    - item.similarity >= least
    - lock.state == "locked"
  seen: 3 of 5
  max_age: 500ms
  do:
    - lock: {open_for: 2s}
    - lock: {open_for: 0s}
      delay: 300ms
crowd:
  when: faces
  if: size(faces.items) > 1
"""


def faces(*people: tuple[str, float]) -> tuple[Face, ...]:
    box = (100.0, 80.0, 120.0, 140.0)
    return tuple(
        Face(box=box, landmarks=MARKS, score=0.95, name=name, similarity=similarity)
        for name, similarity in people
    )


def write_log(path: Path, said: list[tuple[int, str, Message]], late: Mapping[int, int] = NONE) -> Path:
    """A log of messages, each sent so many ms after the beginning and received 1 ms later, or, by that time,
    so many ms ``late``."""
    seqs: dict[str, int] = {}
    with LogWriter(path) as writer:
        for at, topic, message in said:
            now, seq = START + at * MS, seqs.get(topic, 0)
            cause = (Hop("camera", seq, message.stamp, now - 20 * MS),)
            data = Encoder()(message, seq=seq, sent=now, cause=cause if topic == "faces" else ())
            received = now + late.get(at, 1) * MS
            writer.write(channel_of(writer, topic, type(message)), data, seq=seq, sent=now, received=received)
            seqs[topic] = seq + 1
    return path


def evening(path: Path, *, lock: bool = True) -> Path:
    """Three seconds, a picture each 100 ms, 40 ms old: Ana is seen from 1 s to 2 s, a stranger with her at the end."""
    said: list[tuple[int, str, Message]] = []
    for n in range(30):
        at = 100 * n + 40
        who = () if not 10 <= n < 20 else faces(("ana", 0.4 + 0.02 * (n - 10)))
        who = faces(("", 0.1), ("ana", 0.9)) if n == 19 else who
        said.append((at, "faces", Faces(stamp=START + 100 * n * MS, items=who, size=(640, 480))))
        if n % 10 == 0 and lock:
            said.append((at + 10, "lock", LockState(state="locked", stamp=START + (at + 10) * MS)))
    return write_log(path, said)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return evening(tmp_path_factory.mktemp("trial") / "evening.mcap")


@pytest.fixture
def rules(tmp_path):
    file = tmp_path / "hello.rules.yaml"
    file.write_text(RULES)
    return str(file)


def refused(capsys, run, *arguments, **options) -> str:
    """The one sentence with which a command refuses its input."""
    with pytest.raises(SystemExit) as ended:
        run(*arguments, **options)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.removesuffix("\n")


def test_rules_decide_by_the_logs_time_and_are_not_obeyed(rules, log):
    trial = Trial(rules, log)
    assert trial.rules == [("rules", "hello"), ("rules", "crowd")]
    trails = []
    (fired, crowd) = trial.follow(trial.labels(), trails.append)
    assert (fired.trail.decision.rule, crowd.trail.decision.rule) == ("hello", "crowd")
    assert fired.at == START + 1740 * MS  # similarity is 0.5 at 1.5 s, and the third such comes at 1.7 s
    assert fired.trail.decision.age == pytest.approx(0.04)
    assert [hop.topic for hop in fired.trail.cause] == ["camera", "faces"]
    assert fired.commands == [
        {"to": "lock", "type": "LockCommand/1", "after": 0.0, "fields": {"open_for": 2.0}},
        {"to": "lock", "type": "LockCommand/1", "after": 0.3, "fields": {"open_for": 0.0}},
    ]
    assert fired.orders == ["lock: open_for 2", "after 300 ms lock: open_for 0"]
    assert len(trails) == 60
    after = [one.decision for one in trails if one.decision.rule == "hello" and one.at > fired.at]
    assert {one.outcome for one in after[:2]} == {"held"}  # the lock did not open: it is what was recorded


def test_two_firings_on_one_picture_keep_their_commands_apart(tmp_path):
    file = tmp_path / "both.rules.yaml"
    told = RULES.replace('item.name == "ana"', 'item.name != ""').replace("seen: 3 of 5", "mode: parallel")
    file.write_text(told)
    seen = Faces(stamp=START, items=faces(("ana", 0.9), ("ben", 0.8)), size=(640, 480))
    lock = LockState(state="locked", stamp=START)
    log = write_log(tmp_path / "a.mcap", [(0, "lock", lock), (10, "faces", seen), (900, "lock", lock)])
    trial = Trial(str(file), log)
    acts = trial.follow(trial.labels("hello"))
    orders = ["lock: open_for 2", "after 300 ms lock: open_for 0"]
    assert [act.orders for act in acts] == [orders, orders]


def test_a_parameter_changes_what_they_do(rules, log):
    trial = Trial(rules, log, sets={"least": "0.45"})
    (fired, _) = trial.follow(trial.labels())
    assert fired.at == START + 1540 * MS
    trial = Trial(rules, log, sets={"least": "0.99"})
    assert [act.trail.decision.rule for act in trial.follow(trial.labels())] == ["crowd"]


def test_what_they_say_is_a_log_of_its_own(rules, log, tmp_path, capsys):
    out = tmp_path / "said.mcap"
    command.run(rules, log, out=out)
    lines = capsys.readouterr().out.splitlines()
    assert "1.699 s  hello fired: seen 3 of 5" in lines[0]
    assert (
        "; lock: open_for 2; after 300 ms lock: open_for 0; evidence 40 ms old: camera 20 ms, faces"
        in lines[0]
    )
    assert lines[-2] == "hello fired once in 2.9 s; of 30 decisions 25 false, 4 held"
    assert lines[-1] == "crowd fired once in 2.9 s; of 30 decisions 29 false"
    decisions = [one for one in read(out, "rules.decision") if one.rule == "hello"]
    assert len(decisions) == 30
    assert [one.open_for for one in read(out, "rules.lock_command")] == [2.0, 0.0]
    assert sorted(topic for topic in ("rules.delivery",) if topic in str(out.read_bytes())) == []
    assert "exists already" in refused(capsys, command.run, rules, log, out=out)


def test_each_outcome_is_told_as_it_begins(rules, log, capsys):
    command.run(rules, log, rule="hello", all_=True)
    outcomes = [line[22:].partition(": ")[::2] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert [(what.strip(), why.partition(";")[0]) for what, why in outcomes] == [
        ("hello did not fire", "faces.items is empty"),
        ("hello did not fire", "similarity 0.4 is below least 0.5 (short by 0.1)"),
        ("hello did not fire", "seen 1 of 5, needs 3"),
        ("hello fired", "seen 3 of 5"),
        ("hello did not fire", "still true since it fired"),
        ("hello did not fire", "faces.items is empty"),
    ]


def test_a_program_reads_the_same(rules, log, capsys):
    command.run(rules, log, rule="hello", as_json=True)
    fired, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (fired["rule"], fired["outcome"], fired["seq"], fired["seconds"]) == ("hello", "fired", 17, 1.699)
    assert [one["after"] for one in fired["commands"]] == [0.0, 0.3]
    assert summary["rules"] == {"hello": {"decisions": 30, "false": 25, "held": 4, "fired": 1}}
    assert summary["length"] == 2.9


OPENER = """
from zuluko import rule
from zuluko.messages import Face, Faces, LockCommand, LockState


@rule(any="items", seen=(3, 5), max_age=0.5)
def hello(item: Face, people: Faces, lock: LockState, *, least: float = 0.5) -> LockCommand | None:
    if item.name == "ana" and item.similarity >= least and lock.state == "locked":
        return LockCommand(id="", open_for=2.0)
    return None


@rule()
def crowd(faces: Faces) -> bool:
    return len(faces.items) > 1
"""


def test_rules_in_python_are_tried_as_well(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("trial_opener.py").write_text(OPENER)
    trial = Trial("trial_opener.py", log)
    assert trial.rules == [("hello", "hello"), ("crowd", "crowd")]
    (fired, crowd) = trial.follow(trial.labels())
    assert (fired.at, fired.orders) == (START + 1740 * MS, ["whoever listens: open_for 2"])
    assert crowd.at == START + 1940 * MS
    one = Trial("./trial_opener.py:hello", log, sets={"least": "0.45"})
    assert [act.at for act in one.follow(one.labels())] == [START + 1540 * MS]


def test_a_rule_in_python_that_fails_is_told(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("trial_fails.py").write_text(OPENER.replace("return len(faces.items) > 1", "return 1 // 0 > 1"))
    trial = Trial("trial_fails.py:crowd", log)
    with pytest.raises(LockstepError, match="crowd failed: integer division or modulo by zero"):
        trial.follow(trial.labels())
    told = refused(capsys, command.run, "trial_fails.py:crowd", log)
    assert "return 1 // 0 > 1" in told
    assert told.splitlines()[-1] == "crowd failed: integer division or modulo by zero"


def test_what_leaks_into_a_rule_in_python_is_told(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clock = OPENER.replace("    return len(faces", "    time.time()\n    return len(faces")
    Path("trial_clock.py").write_text("import time\n" + clock)
    command.run("trial_clock.py:crowd", log)
    shown = capsys.readouterr()
    assert "crowd fired once" in shown.out
    assert "trial_clock.py:16: crowd reads a clock, time.time(), and may differ" in shown.err
    command.run("trial_clock.py:hello", log)
    assert capsys.readouterr().err == ""


GRAPH = """
nodes:
  camera: {run: zuluko.nodes.camera, source: demo}
  faces: {run: zuluko.perception.faces, in: {frames: camera}}
  rules: {run: hello.rules.yaml, least: 0.45}
  second: {run: hello.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: [rules, second]}}
"""


def test_the_rules_of_a_graph_have_its_names_and_parameters(rules, log, tmp_path):
    (tmp_path / "two.yaml").write_text(GRAPH)
    trial = Trial(str(tmp_path / "two.yaml"), log)
    assert list(trial.labels().values()) == ["rules.hello", "rules.crowd", "second.hello", "second.crowd"]
    acts = trial.follow(trial.labels("second.hello"))
    assert [act.at for act in acts] == [START + 1740 * MS]
    assert [act.at for act in trial.follow(trial.labels("rules.hello"))] == [START + 1540 * MS]
    with pytest.raises(TrialError, match="no rule `hello`; did you mean `rules.hello`?"):
        trial.labels("hello")


def test_a_level_that_never_spoke_is_told_and_unknown(rules, tmp_path, capsys):
    (tmp_path / "two.yaml").write_text(GRAPH)
    without = evening(tmp_path / "a.mcap", lock=False)
    command.run(str(tmp_path / "two.yaml"), without, rule="rules.hello")
    shown = capsys.readouterr()
    assert shown.err == f"{without} has nothing on lock, which {tmp_path}/two.yaml reads\n"
    assert shown.out == "rules.hello never fired in 2.9 s; of 30 decisions 23 false, 7 unknown\n"


def test_a_command_is_of_the_type_that_its_fields_or_its_name_fit(log, tmp_path):
    file = tmp_path / "a.rules.yaml"
    file.write_text(
        "a:\n  when: faces\n  if: size(faces.items) > 1\n  max_age: 1s\n"
        "  do: {bolt: {open_for: 1s}, crawler: {linear: 0.5, angular: 0.0}}\n"
    )
    trial = Trial(str(file), log)
    (act,) = trial.follow(trial.labels())
    assert [(type(one), one.to) for _, one in act.given] == [(LockCommand, "bolt"), (DriveCommand, "crawler")]
    file.write_text(file.read_text().replace("linear: 0.5, angular: 0.0", "colour: red"))
    with pytest.raises(TrialError, match="there is no actuator `crawler`; there is bolt"):
        Trial(str(file), log)


def test_what_a_rule_does_when_a_command_fails_is_no_reason_not_to_try_it(log, tmp_path):
    file = tmp_path / "failing.rules.yaml"
    file.write_text(
        "a:\n  when: faces\n  if: size(faces.items) > 1\n  max_age: 1s\n"
        "  do: {lock: {open_for: 1s}}\n  on_failure: {phone: {text: the lock does not answer}}\n"
    )
    trial = Trial(str(file), log)
    (act,) = trial.follow(trial.labels())
    assert act.orders == ["lock: open_for 1"]


OTHERS = """
params:
  least: 0.5
hello:
  when: faces
  any: items
  if: item.similarity >= least
  blocks: [near, crowd]
near:
  when: sonar
  if: sonar.metres < 1
crowd:
  when: faces
  if: size(faces.items) > 1
  blocks: near
  max_age: 1s
wrong:
  whn: faces
"""


def test_of_one_rule_only_what_it_needs_is_asked_for(log, tmp_path, capsys):
    file = tmp_path / "others.rules.yaml"
    file.write_text(OTHERS)
    assert "there is no topic `sonar`" in refused(capsys, command.run, str(file), log)
    command.run(str(file), log, rule="hello", out=tmp_path / "out.mcap")
    assert capsys.readouterr().out.splitlines()[-1].startswith("hello fired once in 2.9 s; of 30 decisions")
    assert {one.rule for one in read(tmp_path / "out.mcap", "rules")} == {"hello"}
    assert (
        refused(capsys, command.run, str(file), log, rule="helo") == "no rule `helo`; did you mean `hello`?"
    )
    assert "there is no topic `sonar`" in refused(capsys, command.run, str(file), log, rule="near")
    assert {one.rule for one in decisions(file, log, rule="rules.hello")} == {"hello"}


def test_of_one_rule_those_that_block_it_are_looked_at(log, tmp_path):
    file = tmp_path / "others.rules.yaml"
    file.write_text(OTHERS)
    trial = Trial(str(file), log, rule="crowd")
    assert trial.rules == [("rules", name) for name in ("hello", "near", "crowd", "wrong")]
    trails = []
    assert trial.follow(trial.labels("crowd"), trails.append) == []
    assert {one.decision.rule for one in trails} == {"crowd"}
    (held,) = [one.decision for one in trails if one.decision.outcome != "false"]
    assert (held.outcome, "hello" in held.reason) == ("blocked", True)
    file.write_text(OTHERS.replace("near, crowd", "near"))
    free = Trial(str(file), log, rule="crowd")
    assert len(free.follow(free.labels("crowd"))) == 1


def test_of_one_rule_in_python_only_what_it_needs_is_asked_for(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("trial_two.py").write_text(
        OPENER.replace("crowd(faces: Faces)", "crowd(drives: DriveState)").replace(
            "import Face,", "import DriveState, Face,"
        )
    )
    assert "has nothing on drives, which drives crowd" in refused(capsys, command.run, "trial_two.py", log)
    command.run("trial_two.py", log, rule="hello")
    assert "hello fired once" in capsys.readouterr().out


def test_of_one_rule_of_a_graph_only_what_it_needs_is_asked_for(log, tmp_path, capsys):
    (tmp_path / "hello.rules.yaml").write_text(RULES)
    (tmp_path / "drives.rules.yaml").write_text(
        "moves:\n  when: drive\n  if: drive.linear > 0.1 && lock.state == 'locked'\n"
        "seen:\n  when: faces\n  if: size(faces.items) > 0\n  max_age: 1s\n"
    )
    (tmp_path / "two.yaml").write_text(
        GRAPH.replace("second: {run: hello.rules.yaml}", "second: {run: drives.rules.yaml}")
        .replace("[rules, second]", "rules")
        .replace(
            "  lock:",
            "  drives: {run: go.rules.yaml}\n  drive: {run: zuluko.actions.drive, in: {commands: drives}}\n  lock:",
        )
    )
    (tmp_path / "go.rules.yaml").write_text(
        "go:\n  when: drive\n  if: drive.linear > 0.1\n  max_age: 1s\n  do: {drive: {linear: 0.1}}\n"
    )
    graph = str(tmp_path / "two.yaml")
    assert "has nothing on drive, which drives drives" in refused(capsys, command.run, graph, log)
    command.run(graph, log, rule="second.seen")
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines()[-1].startswith("seen fired once")
    alike, other = str(tmp_path / "hello.rules.yaml"), tmp_path / "others.rules.yaml"
    other.write_text(OTHERS)
    with pytest.raises(SystemExit) as ended:
        command.diff(alike, str(other), log, rule="crowd", within="2s")
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULES.replace("when: faces", "when: fces"), "there is no topic `fces`; did you mean `faces`?"),
        (RULES.replace("lock.state", "lok.state"), "`lok` is nothing known here; did you mean `lock`?"),
        (RULES.replace("item.name ==", "item.nam =="), "did you mean `name`?"),
        (RULES.replace("open_for: 2s", "opn_for: 2s"), "did you mean `open_for`?"),
        ("hello: [1", "this is not YAML"),
        ("", "the file is empty"),
    ],
)
def test_rules_that_do_not_check_are_told_with_their_place(log, tmp_path, capsys, text, said):
    file = tmp_path / "wrong.rules.yaml"
    file.write_text(text)
    *told, last = refused(capsys, command.run, str(file), log).splitlines()
    assert all(line.startswith(f"{file}:") for line in told)
    assert said in "\n".join(told)
    assert last == f"they were checked against {log}, which has: faces, lock"


def test_what_cannot_be_tried_is_a_sentence(rules, log, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("trial_none.py").write_text("from zuluko import rule\n")

    def told(given: str, over: Path = log, **options) -> str:
        sentence = refused(capsys, command.run, given, over, **options)
        assert "\n" not in sentence
        return sentence

    assert told("helo.rules.yaml") == "there is no file helo.rules.yaml; did you mean `hello.rules.yaml`?"
    assert told("dor").endswith("there is no such launch file; did you mean `door`?")
    assert (
        told("trial_none.py")
        == "trial_none.py has no rule; one is a function under @rule, as docs/rules.md shows"
    )
    assert "has no function `helo`" in told("trial_none.py:helo")
    assert told(rules, rule="helo") == "no rule `helo`; did you mean `hello`?"
    assert told(rules, set_=["least"]) == "--set least: write it as NAME=VALUE"
    assert "--types: there is no file" in told(rules, types=["./nothing.py"])
    assert "cannot be read" in told(rules, tmp_path / "nothing.mcap")
    Path("note.mcap").write_text("hello")
    assert "is no log" in told(rules, Path("note.mcap"))
    with LogWriter(Path("empty.mcap")):
        pass
    assert told(rules, Path("empty.mcap")) == "empty.mcap holds no message"
    lock = write_log(Path("lock.mcap"), [(0, "lock", LockState(state="locked", stamp=START))])
    assert told("door", lock) == "lock.mcap has nothing on faces, which drives rules; it has: lock"
    only = "trial_only.py"
    Path(only).write_text(OPENER)
    assert told(f"{only}:hello", lock) == "lock.mcap has nothing on people, which drives hello; it has: lock"
    Path("trial_nodes.py").write_text(NODE)
    assert told("trial_nodes.py:node").startswith("trial_nodes.py:node has no rule; ")
    assert told(f"{only}:hello", set_=["lest=1"]).endswith("did you mean `least`?")


NODE = """
from collections.abc import Iterator

from zuluko import Stream
from zuluko.messages import Decision, Faces, LockState


def node(events: Stream[Faces | LockState]) -> Iterator[Decision]:
    yield from ()
"""


class Old(Faces, tag="TrialFaces/0"):
    pass


def test_a_topic_of_another_type_is_a_sentence(rules, tmp_path, capsys):
    log = write_log(tmp_path / "a.mcap", [(0, "faces", Old(stamp=START))])
    assert refused(capsys, command.run, "door", log) == (
        f"{log} has faces as TrialFaces/0, and the rules read Faces/1; try them over a log of the graph as it is now"
    )
    with LogWriter(tmp_path / "c.mcap") as writer:
        writer.write(writer.topic("faces", "OtherFaces/0", b"{}"), b"\x90", seq=0, sent=START, received=START)
    assert refused(capsys, command.run, rules, tmp_path / "c.mcap") == (
        f"{tmp_path}/c.mcap has faces as OtherFaces/0, a type that is not known here; "
        "name the file that defines it: --types ./FILE.py"
    )
    with LogWriter(tmp_path / "d.mcap") as writer:
        writer.write(writer.topic("faces", "Faces/1", b"{}"), b"\x90", seq=0, sent=START, received=START)
    lock = write_log(tmp_path / "lock.mcap", [(0, "lock", LockState(state="locked", stamp=START))])
    both = merged(tmp_path / "both.mcap", tmp_path / "d.mcap", lock)
    assert "message 0 on faces (Faces/1) cannot be read" in refused(capsys, command.run, DOOR, both)


def merged(path: Path, *logs: Path) -> Path:
    with ExitStack() as stack:
        log_edit.write([stack.enter_context(LogReader(log)) for log in logs], path)
    return path


def test_what_followed_from_a_firing_comes_after_it_though_the_recorder_had_it_before(tmp_path):
    """The third face, from which `for` counts, reached the recorder late, and what the lock then said at once."""
    said: list[tuple[int, str, Message]] = [(0, "lock", LockState(state="locked", stamp=START))]
    said += [
        (at, "faces", Faces(stamp=START + (at - 20) * MS, items=faces(("ana", 0.9)), size=(640, 480)))
        for at in (30, 155, 280, 405, 530)
    ]
    said.insert(-1, (482, "lock", LockState(state="unlocked", stamp=START + 482 * MS)))
    trial = Trial(DOOR, write_log(tmp_path / "late.mcap", said, late={280: 30}))
    (act,) = trial.follow(trial.labels(), lambda _: None)
    assert act.at == START + 480 * MS


RECORDED_DOOR = """
include: {file: door, params: {loop: true, hz: 8, max_age: 1s}}
record: {topics: [faces, rules, lock], to: door.mcap}
"""


def test_the_door_decides_over_its_log_as_it_decided_then(tmp_path):
    (tmp_path / "kept.yaml").write_text(RECORDED_DOOR)
    with up(str(tmp_path / "kept.yaml")) as door:
        opened = door.wait_for("lock", "unlocked", seconds=60)
        door.wait_for("lock", "locked", opened)
        door.stop()
    recorded, trial = Recorded(tmp_path / "door.mcap"), Trial(DOOR, tmp_path / "door.mcap")
    assert recorded.rules == trial.rules == [("rules", "unlock")]
    then: dict[int, Decision] = {}
    now: dict[int, Decision] = {}
    acts = [
        side.follow(
            side.labels(), lambda trail, kept=kept: kept.setdefault(trail.decision.seq, trail.decision)
        )
        for side, kept in ((recorded, then), (trial, now))
    ]
    assert len(acts[0]) == len(acts[1]) >= 1
    for one, again in zip(*acts, strict=True):
        assert one.gives_as(again, 1.0)
        assert abs(one.at - again.at) < 1000 * MS
    assert then.keys() == now.keys()
    alike = [verdicts(then[seq]) == verdicts(now[seq]) for seq in then]
    assert len(alike) > 20
    assert alike.count(True) >= 0.9 * len(
        alike
    )  # a lock that changes may be heard before a picture or behind it


def verdicts(decision: Decision) -> list[object]:
    return [decision.outcome, *((clause.verdict, clause.values) for clause in decision.clauses)]
