"""Snapshots: the last seconds before an event, and some after it, as a log of their own; by rules, too."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.running import up, write, zuluko
from tests.test_log import small_disk, strictly  # noqa: F401
from tests.test_record import COUNTING, Taped, recording
from tests.waiting import until
from zuluko import read
from zuluko.actions.record import AFTER, record
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_tap import Heard
from zuluko.bus.publisher import Publisher
from zuluko.bus.streams import Stream
from zuluko.launch.condition import Condition
from zuluko.launch.event import Event
from zuluko.launch.graph import Topic
from zuluko.messages import Faces, Frame, LockState, RecordCommand
from zuluko.nodes import recording as module
from zuluko.nodes.record_plan import Plan, Snapshot
from zuluko.nodes.ring import OVERHEAD, Ring

SECOND = 10**9
LOCK = Topic("lock", "lock", LockState)
UNLOCKED = Event('lock.state == "unlocked"', [LOCK], Condition('lock.state == "unlocked"', (LOCK,)))


def heard(number: int, size: int = 100, at: float | None = None) -> Heard:
    received = round((number if at is None else at) * SECOND)
    return Heard("a", number, received, received, bytes(size))


def test_a_ring_holds_the_last_seconds():
    ring = Ring(10, 1e6)
    for number in range(100):
        ring.add(heard(number))
    assert [one.seq for one in ring.since(99 * SECOND)] == list(range(89, 100))
    assert [one.seq for one in ring.since(105 * SECOND)] == list(range(95, 100))
    assert not ring.shortened


def test_a_ring_holds_no_more_bytes_than_it_may():
    ring = Ring(1000, 10 * (100 + OVERHEAD))
    for number in range(100):
        ring.add(heard(number))
    assert [one.seq for one in ring.since(99 * SECOND)] == list(range(90, 100))
    assert (ring.shortened, ring.seconds) == (True, 9.0)
    ring.add(heard(100, size=10**6))
    assert list(ring.since(100 * SECOND)) == []


def test_a_condition_is_an_event_when_it_becomes_true():
    event = Event(UNLOCKED.text, [LOCK], Condition(UNLOCKED.text, (LOCK,)))
    states = ["locked", "unlocked", "unlocked", "locked", "unlocked"]
    assert [event.fires("lock", envelope(LockState(state=state))) for state in states] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert not event.fires("lock", b"\xc1")


def envelope(message) -> bytes:
    return msgspec.msgpack.encode((1, 0, 0, (), message))


class Kept(Taped):
    """A recording of snapshots of faces about a lock's opening; ``said`` is what it told."""

    def __init__(self, to: Path, on: Event | None = None, **options) -> None:
        self.faces, self.lock = Publisher("g", "faces", Faces), Publisher("g", "lock", LockState)
        snapshot = Snapshot(**{"last": 60.0, "after": 0.1, **options}, on=on)
        super().__init__("faces", "lock", plan=Plan(to, start=False, snapshot=snapshot))
        self.said: list[module.News] = []
        self.stamp = 0

    def say(self, count: int) -> list[int]:
        for _ in range(count):
            self.faces.send(Faces(stamp=self.stamp))
            self.stamp += 1
        self.turn()
        return list(range(self.stamp - count, self.stamp))

    def lock_is(self, state: str) -> None:
        self.lock.send(LockState(state=state))
        self.turn()

    def news(self) -> list[module.News]:
        self.turn()
        self.said += self.recording.news()
        return self.said

    def finish(self) -> None:
        self.end()
        self.said += self.recording.news()
        self.faces.close()
        self.lock.close()


def stamps(log: Path) -> list[int]:
    strictly(log)
    return [one.stamp for one in read(log, "faces")]


def test_an_event_has_what_was_before_and_after_it_written(run_dir, tmp_path):
    kept = Kept(tmp_path / "a.mcap", Event(UNLOCKED.text, [LOCK], Condition(UNLOCKED.text, (LOCK,))))
    kept.lock_is("locked")
    before = kept.say(50)
    assert not list(tmp_path.iterdir())
    kept.lock_is("unlocked")
    after = kept.say(10)
    until(kept.news)
    later = kept.say(5)
    assert not kept.recording.failure
    kept.lock_is("locked")
    kept.lock_is("unlocked")
    kept.finish()
    assert stamps(tmp_path / "a.mcap") == before + after
    assert stamps(tmp_path / "a-2.mcap") == before + after + later
    first, second = (news.state for news in kept.said)
    assert (first.action, first.outcome, first.command, first.reason) == (
        "snapshot",
        "done",
        "",
        UNLOCKED.text,
    )
    assert (first.log, first.messages) == (str(tmp_path / "a.mcap"), len(strictly(tmp_path / "a.mcap")))
    assert second.log == str(tmp_path / "a-2.mcap")
    with LogReader(tmp_path / "a.mcap") as log:
        assert log.told["zuluko"]["snapshot"] == UNLOCKED.text
        assert float(log.told["rate"]["faces"]) > 0


def test_events_that_overlap_are_one_snapshot(run_dir, tmp_path):
    kept = Kept(tmp_path / "a.mcap", Event("lock", [LOCK]), after=0.3)
    begun = time.monotonic()
    while time.monotonic() < begun + 0.8:
        kept.lock_is("locked")
        kept.say(1)
        assert not kept.news()
    until(kept.news)
    kept.finish()
    (news,) = kept.said
    assert [file.name for file in tmp_path.iterdir()] == ["a.mcap"]
    assert news.state.seconds > 0.7
    assert stamps(tmp_path / "a.mcap")[:5] == [0, 1, 2, 3, 4]


def test_a_memory_that_shortens_the_ring_is_told_once(run_dir, tmp_path):
    kept = Kept(tmp_path / "a.mcap", Event("lock", [LOCK]), memory=20 * 500)
    kept.say(100)
    kept.say(100)
    kept.lock_is("unlocked")
    kept.finish()
    told = [news.text for news in kept.said if news.state is None]
    assert len(told) == 1
    assert "s of the last 60 s fit into 0.0095" in told[0]
    assert "give `snapshot` more `memory`" in told[0]
    assert 5 < len(stamps(tmp_path / "a.mcap")) < 25


def command(action: str, number: int = 1) -> RecordCommand:
    return RecordCommand(id=f"c{number}", action=action, stamp=number, reason=f"rule {number}")


def test_commands_start_stop_and_keep(run_dir, tmp_path):
    kept = Kept(tmp_path / "a.mcap")
    first = kept.say(5)
    for number, action in enumerate(("stop", "start", "start", "snapshot")):
        kept.recording.order(command(action, number))
    second = kept.say(5)
    until(lambda: len(kept.news()) == 4)
    kept.recording.order(command("stop", 4))
    until(lambda: len(kept.news()) == 5)
    for number in (5, 6):
        kept.recording.order(command("snapshot", number))
    third = kept.say(5)
    kept.finish()
    told = [(one.state.command, one.state.outcome, one.state.reason) for one in kept.said]
    assert told == [
        ("c0", "refused", "it does not record"),
        ("c1", "done", "rule 1"),
        ("c2", "refused", "it records already"),
        ("c3", "refused", "all is being recorded already"),
        ("c4", "done", "rule 4"),
        ("c5", "done", "rule 5, rule 6"),
        ("c6", "done", "rule 5, rule 6"),
    ]
    assert [one.state.stamp for one in kept.said] == list(range(7))
    assert stamps(tmp_path / "a.mcap") == second
    assert stamps(tmp_path / "a-2.mcap") == first + second + third
    assert kept.said[4].state.messages == 5
    assert kept.said[5].state.log == str(tmp_path / "a-2.mcap")


def test_without_a_ring_a_snapshot_is_refused(run_dir, tmp_path):
    taped = Taped(plan=Plan(tmp_path / "a.mcap", start=False))
    taped.recording.order(command("snapshot"))
    taped.end()
    (news,) = taped.recording.news()
    assert news.state.outcome == "refused"
    assert "write `snapshot: {last: 30s}` under `record`" in news.state.reason


def test_a_full_disk_fails_a_snapshot_and_not_the_next(run_dir, small_disk):  # noqa: F811
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(19 << 20))
    camera = Publisher("g", "camera", Frame)
    topic = Topic("camera", "camera", Frame)
    plan = Plan(small_disk, start=False, snapshot=Snapshot(last=60.0, after=0.0, on=None))
    taped = Taped("camera", plan=plan)
    said: list[module.News] = []
    assert topic.kind is Frame
    for number in range(4):
        camera.send(Frame(image=np.random.default_rng(number).integers(0, 255, (480, 640, 3), "u1")))
        taped.turn()
    taped.recording.order(command("snapshot", 1))
    until(lambda: said.extend(taped.recording.news()) or said)
    assert (said[0].state.outcome, said[0].state.command) == ("failed", "c1")
    assert "No space left on device" in said[0].state.reason
    strictly(Path(said[0].state.log))
    ballast.unlink()
    taped.recording.order(command("snapshot", 2))
    taped.end()
    camera.close()
    said += taped.recording.news()
    state = said[-1].state
    assert (state.outcome, state.command, state.messages) == ("done", "c2", 4)
    assert len(strictly(Path(state.log))) == 4


def test_a_folder_names_each_incident_by_its_time(run_dir, tmp_path):
    kept = Kept(tmp_path / "logs", Event("lock", [LOCK]), after=0.0)
    kept.say(1)
    kept.lock_is("locked")
    until(kept.news)
    kept.lock_is("locked")
    kept.finish()
    names = sorted(file.name for file in (tmp_path / "logs").iterdir())
    assert len(names) == 2
    assert all(name.startswith("g-") and name.endswith(".mcap") for name in names)
    assert {news.state.log for news in kept.said} == {str(tmp_path / "logs" / name) for name in names}


# The simulated twin


class Commands(Stream[RecordCommand]):
    """Commands at the times that a test says; time passes where the node waits for it."""

    def __init__(self, given: list[tuple[float, RecordCommand]]) -> None:
        super().__init__()
        self.given = given

    def next(self, timeout: float | None = None) -> RecordCommand | None:
        due = self.given[0][0] * SECOND if self.given else float("inf")
        until = float("inf") if timeout is None else self.now + timeout * SECOND
        if until < due:
            self.now = round(until)
            return None
        if not self.given:
            self.ended = True
            return None
        self.now = round(due)
        return self.given.pop(0)[1]


def test_the_simulated_recorder_obeys_as_the_real_one():
    given = [
        (1, command("stop", 0)),
        (2, command("start", 1)),
        (3, command("start", 2)),
        (4, command("snapshot", 3)),
        (5, command("stop", 4)),
        (6, command("snapshot", 5)),
        (7, command("snapshot", 6)),
        (20, command("start", 7)),
    ]
    stream = Commands(given)
    told = [(state.command, state.outcome, state.log) for state in record(stream)]
    assert told == [
        ("c0", "refused", ""),
        ("c1", "done", "simulated/1.mcap"),
        ("c2", "refused", "simulated/1.mcap"),
        ("c3", "refused", "simulated/1.mcap"),
        ("c4", "done", "simulated/1.mcap"),
        ("c5", "done", "simulated/2.mcap"),
        ("c6", "done", "simulated/2.mcap"),
        ("c7", "done", "simulated/3.mcap"),
    ]
    assert AFTER > 1


# In a graph

PORCH = """
from collections.abc import Iterator

from zuluko import Message, Stream, Tick
from zuluko.messages import Note


def porch(ticks: Stream[Tick], *, most: int) -> Iterator[Note]:
    for number, tick in enumerate(ticks, 1):
        yield Note(stamp=tick.stamp, value=float(number), text="visit" if number % most == 30 else "")
"""
GRAPH = """
nodes:
  porch: {run: ./porch.py, in: {ticks: every 10ms}, most: 10000}
  rules: {run: keep.rules.yaml}
  logs: {run: zuluko.actions.record, in: {commands: rules}, driver: DRIVER}
"""
KEEP = """
keep:
  when: porch
  if: [porch.text == "visit"]
  max_age: 500ms
  do: {logs: {action: ACTION}}
"""


def porch(tmp_path: Path, record: str, *, driver: str = "recorder", action: str = "snapshot") -> str:
    (tmp_path / "porch.py").write_text(PORCH)
    (tmp_path / "keep.rules.yaml").write_text(KEEP.replace("ACTION", action))
    return write(tmp_path, GRAPH.replace("DRIVER", driver) + record)


def test_a_rule_has_the_last_seconds_kept(tmp_path):
    file = porch(
        tmp_path, "record: {topics: [porch, rules], to: kept, snapshot: {last: 30s, after: 200ms}}\n"
    )
    with up(file) as graph:
        graph.wait_for("logs", "done: snapshot graph-")
        graph.stop()
    (log,) = (tmp_path / "kept").iterdir()
    strictly(log)
    notes = list(read(log, "porch"))
    assert [note.value for note in notes[:3]] == [1.0, 2.0, 3.0]
    assert notes[-1].value > 30
    assert len(list(read(log, "rules.record_command"))) == 1
    with LogReader(log) as reader:
        assert "last: 30s" in reader.told["zuluko"]["launch_file"]


def test_a_rule_starts_the_recorder(tmp_path):
    file = porch(tmp_path, "record: {topics: [porch], to: a.mcap, start: false}\n", action="start")
    with up(file) as graph:
        graph.wait_for("logs", "done: start a.mcap (keep)")
        until(lambda: (tmp_path / "a.mcap").stat().st_size > 3000)
        graph.stop()
    assert read(tmp_path / "a.mcap", "porch").next().value >= 30


def test_the_twin_writes_nothing(tmp_path):
    with up(porch(tmp_path, "", driver="simulated", action="start")) as graph:
        graph.wait_for("logs", "done: start 1.mcap (keep)")
        graph.stop()
    assert not list(tmp_path.rglob("*.mcap"))


def test_an_event_of_the_launch_file_needs_no_rule(tmp_path):
    on = """'porch.text == "visit" && porch.value > 29.0'"""
    text = GRAPH.partition("  rules:")[0]
    (tmp_path / "porch.py").write_text(PORCH)
    file = write(
        tmp_path, text + f"record: {{to: a.mcap, snapshot: {{last: 10s, after: 100ms, on: {on}}}}}\n"
    )
    with up(file) as graph:
        graph.wait_for("recorder", "messages, ")
        graph.stop()
    assert len(strictly(tmp_path / "a.mcap")) >= 30


def test_a_running_graph_is_watched_for_an_event_from_another_terminal(tmp_path):
    text = GRAPH.partition("  rules:")[0].replace("10000", "100")
    (tmp_path / "porch.py").write_text(PORCH)
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("porch", "ready")
        process = recording(
            str(tmp_path / "kept"), "--snapshot", "10s", "--after", "50ms", "--on", 'porch.text == "visit"'
        )
        until(lambda: (tmp_path / "kept").exists() and list((tmp_path / "kept").iterdir()))
        graph.stop()
    told, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "messages, " in errors
    assert '(porch.text == "visit")' in errors
    for log in (tmp_path / "kept").iterdir():
        assert any(note.text == "visit" for note in read(log, "porch"))
    assert told.startswith(str(tmp_path / "kept"))


@pytest.mark.parametrize(
    ("record_", "said"),
    [
        ("record: {snapshot: 0 s}", "`snapshot`"),
        ("record: {snapshot: 30s}", "nothing has a snapshot kept; name an event: `snapshot: {last: 30s, on: alarm}`"),
        ("record: {start: false}", "nothing ever starts the recorder; have rules command a node with"),
        ("record: {snapshot: {last: 30s, on: cuont}}", "`on`: `cuont` is nothing known here; did you mean `count`?"),
        ("record: {snapshot: {last: 30s, on: count.vlaue == 1}}", "`on`: `count` has no field `vlaue`"),
        ("record: {snapshot: {last: 30s, on: 1 == 1}}", "`on`: `1 == 1` asks about no topic"),
        ("record: {start: true, snapshot: {last: 30s, on: count}}", "leave one out"),
        ("record: {split: {size: 1GB}, snapshot: {last: 30s, on: count}}", "a snapshot is one file"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_snapshot_is_told(tmp_path, record_, said):
    done = zuluko("check", write(tmp_path, COUNTING.replace("LIMIT", "0") + record_ + "\n"))
    assert done.returncode == 1
    assert said in done.stderr


def test_what_an_event_is_about_is_heard_and_recorded(tmp_path):
    text = COUNTING.replace("LIMIT", "0")
    text += "record: {topics: [count], snapshot: {last: 10s, on: double.count.n == 4}}\n"
    checked = zuluko("check", write(tmp_path, text))
    assert "recorder     count, double.count -> -" in checked.stdout, checked.stderr


def test_what_is_wrong_with_the_node_is_told(tmp_path):
    done = zuluko("check", porch(tmp_path, ""))
    assert "5:" in done.stderr
    assert "`driver: recorder` needs `record:` in the launch file" in done.stderr
    done = zuluko("check", porch(tmp_path, "record: all\n", driver="recoder"))
    assert "there is no driver `recoder`; did you mean `recorder`?" in done.stderr
    done = zuluko("check", porch(tmp_path, "record: all\n", action="snap"))
    assert "`action`" in done.stderr
    assert "'snap'" in done.stderr


def test_expand_keeps_the_node_and_what_it_records(tmp_path):
    file = porch(tmp_path, "record: {topics: [porch], snapshot: {last: 30s, on: porch.value > 3.0}}\n")
    again = write(tmp_path, zuluko("check", file, "--expand").stdout, "again.yaml")
    checked = zuluko("check", again)
    assert "logs         porch, rules.record_command -> logs" in checked.stdout, checked.stderr


def test_a_log_stands_in_for_the_recorders_graph(tmp_path):
    """In a replay nothing is recorded, and the rules' commands find the twin."""
    file = porch(tmp_path, "record: {topics: [porch], to: a.mcap, snapshot: {last: 30s, after: 100ms}}\n")
    with up(file) as graph:
        graph.wait_for("logs", "done: snapshot a.mcap")
        graph.stop()
    done = zuluko("replay", str(tmp_path / "a.mcap"), file, "--lockstep")
    assert "logs: 1 message" in done.stdout, (done.stdout, done.stderr)
    assert [log.name for log in tmp_path.glob("*.mcap")] == ["a.mcap"]
