"""Lockstep: a graph over a log says the same bytes on every run, by the log's time."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.nodes_of_tests import Count, Status
from tests.running import ROOT, write, zuluko
from tests.test_log import strictly
from zuluko import Message, read, record, testing
from zuluko.bus.log_reader import LogReader
from zuluko.launch import launchfile
from zuluko.launch.lockstep import Lockstep
from zuluko.launch.replayed import stand_in
from zuluko.messages import Face, Faces, Frame, LockState
from zuluko.nodes import demo
from zuluko.nodes.player import Timeline

SECOND = 10**9
BASE = 1_700_000_000 * SECOND
MARKS = ((100.0, 100.0),) * 5


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """Ten seconds in which nobody, then the owner, then nobody stands before the door."""
    log = tmp_path_factory.mktemp("evening") / "faces.mcap"
    face = Face(
        box=(100.0, 80.0, 120.0, 140.0), landmarks=MARKS, score=0.95, name="owner", similarity=0.8, margin=0.5, quality=0.9
    )  # fmt: skip
    record(
        [
            Faces(items=(face,) if 30 <= n < 60 else (), size=(640, 480), stamp=BASE + n * SECOND // 15)
            for n in range(150)
        ],
        log,
        "faces",
    )
    return log


def lockstep(log, graph: str, *arguments: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zuluko", "replay", str(log), graph, "--lockstep", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip


@contextmanager
def load():
    """Beside it as many processes spin as there are cores."""
    command = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(command) for _ in os.sched_getaffinity(0)]
    yield
    for process in spinning:
        process.kill()
        process.wait()


def test_runs_of_the_door_from_faces_on_say_the_same_bytes_on_a_busy_machine(evening, tmp_path):
    with load():
        runs = [
            lockstep(evening, "door", "--out", str(tmp_path / f"{n}.mcap"), seed=str(n)).stdout.splitlines()
            for n in range(3)
        ]
    digests = {run[-1].rpartition(" ")[2] for run in runs}
    assert len(digests) == 1
    assert len(digests.pop()) == 64
    assert len({(tmp_path / f"{n}.mcap").read_bytes() for n in range(3)}) == 1
    assert runs[0][:-1] == runs[1][:-1]
    assert zuluko("log", "info", str(tmp_path / "0.mcap")).stdout.startswith(
        f"{tmp_path / '0.mcap'}: the graph door, 2023"
    )


def test_runs_of_the_door_from_frames_on_say_the_same_bytes_on_a_busy_machine(tmp_path):
    log = tmp_path / "frames.mcap"
    times = [5.8 + n / 10 for n in range(8)]  # the owner comes
    record([Frame(image=demo.compose(at)[1], stamp=BASE + round(at * SECOND)) for at in times], log, "camera")
    with load():
        runs = [lockstep(log, "door", "--json", seed=str(n)) for n in range(3)]
    told = [json.loads(run.stdout) for run in runs]
    assert [run.stderr for run in runs] == ["", "", ""]
    assert len({one["sha256"] for one in told}) == 1
    assert told[0]["messages"]["faces"] == 8
    assert told[0]["messages"]["rules.decision"] >= 8
    assert (told[0]["leaks"], told[0]["parts"]) == ([], "")


def test_the_door_opens_once_and_locks_by_the_logs_time(evening, tmp_path):
    out = tmp_path / "a.mcap"
    assert lockstep(evening, "door", "--out", str(out)).returncode == 0
    fired = [one for one in read(out, "rules.decision") if one.outcome == "fired"]
    assert len(fired) == 1
    assert 30 * SECOND // 15 <= fired[0].stamp - BASE < 40 * SECOND // 15
    states: list[LockState] = list(read(out, "lock"))
    opened = [one for one in states if one.state == "unlocked"]
    assert opened[0].stamp == fired[0].stamp
    assert opened[0].reason == "unlock"
    assert states[-1].state == "locked"
    (delivery,) = read(out, "rules.delivery")
    assert (delivery.outcome, delivery.to, delivery.command) == ("taken", "lock", fired[0].command)
    assert all(BASE <= time <= BASE + 10 * SECOND for _, _, time in strictly(out))
    stream = read(out, "lock")
    by_command = [stream.cause for state in stream if state.command and state.state == "unlocked"]
    assert [hop.topic for hop in by_command[0]] == ["lock.commands.commands", "lock"]


def test_another_log_gives_another_digest(evening, tmp_path):
    whole, part = lockstep(evening, "door").stdout, lockstep(evening, "door", "--to", "3s").stdout
    assert whole.splitlines()[-1].rpartition(" ")[2] != part.splitlines()[-1].rpartition(" ")[2]


COUNTING = """
nodes:
  count: {run: "NODES:count", hz: 100, limit: 30}
  double: {run: "NODES:double", in: {counts: count}}
"""
CLOCK = '  clock: {run: "NODES:clock", in: {ticks: every 100ms}}'


def test_timers_and_last_words_are_the_logs(tmp_path):
    graph = write(tmp_path, COUNTING)
    timed = write(tmp_path, COUNTING + CLOCK, "timed.yaml")
    log = tmp_path / "a.mcap"
    assert zuluko("up", graph, "--record", str(log), "--json").returncode == 0
    out = tmp_path / "b.mcap"
    done = lockstep(log, timed, "--only", "count", "--out", str(out), "--to", "250ms")
    assert done.returncode == 0, done.stderr
    begin = strictly(log)[0][2]
    assert [one.text for one in read(out, "clock", kind=Status)] == ["tick 1", "tick 2"]
    stream = read(out, "clock", kind=Status)
    assert [stream.now - begin for _ in stream] == [SECOND // 10, SECOND // 5]
    assert [one.text for one in read(out, "double.status", kind=Status)] == ["last words"]
    assert [one.n for one in read(out, "double.count", kind=Count)][:3] == [2, 4, 6]


MODE = """
nodes:
  faces: {run: "./mode_said.py:nobody"}
  say: {run: "./mode_said.py:say", in: {faces: faces}}
  mode: {run: zuluko.actions.publish, in: {commands: say}}
"""
SAYS = """
from collections.abc import Iterator

from zuluko import Stream
from zuluko.messages import Faces, PublishCommand

def nobody() -> Iterator[Faces]:
    yield from ()

def say(faces: Stream[Faces]) -> Iterator[PublishCommand]:
    for number, seen in enumerate(faces):
        if number == 10:
            yield PublishCommand(stamp=seen.stamp, id="a", text="away")
"""


@pytest.mark.timeout(30)
def test_a_word_is_said_once_a_second_to_the_nanosecond(evening, tmp_path):
    """Between two floats of this year there are 256 ns, in which a node that waits by them waits for ever."""
    (tmp_path / "mode_said.py").write_text(SAYS)
    (tmp_path / "mode.yaml").write_text(MODE)
    said = testing.lockstep(tmp_path / "mode.yaml", evening)["mode"]
    begin = BASE + 10 * SECOND // 15
    assert [one.stamp - begin for one in said if one.text == "away"] == [n * SECOND for n in range(10)]


FAILS = """
from collections.abc import Iterator

from zuluko import Message, Stream
from zuluko.messages import Faces

class Odd(Message, tag="LockstepOdd/1"):
    n: int = 0

def odd(faces: Stream[Faces]) -> Iterator[Odd]:
    for number, message in enumerate(faces):
        yield Odd(stamp=message.stamp, n=1 // (5 - number))

def free() -> Iterator[Faces]:
    yield Faces()

def also(faces: Stream[Faces]) -> Iterator[Odd]:
    for message in faces:
        yield Odd(stamp=message.stamp)
"""


def test_a_node_that_fails_is_told_with_its_own_lines(evening, tmp_path):
    (tmp_path / "odd_node.py").write_text(FAILS)
    graph = write(
        tmp_path,
        'nodes:\n  faces: {run: "./odd_node.py:free"}\n  odd: {run: "./odd_node.py:odd", in: {faces: faces}}\n',
    )
    done = lockstep(evening, graph)
    assert done.returncode == 1
    assert "n=1 // (5 - number)" in done.stderr
    assert done.stderr.splitlines()[-1] == "odd failed: integer division or modulo by zero"


def test_a_node_that_no_log_drives_is_told(evening, tmp_path):
    (tmp_path / "odd_node.py").write_text(FAILS)
    text = 'nodes:\n  faces: {run: "./odd_node.py:free"}\n  also: {run: "./odd_node.py:also", in: {faces: other}}\n  other: {run: "./odd_node.py:free"}\n'
    done = lockstep(evening, write(tmp_path, text), "--only", "faces")
    assert done.returncode == 1
    assert "other has no stream to drive it, and the log does not hold what it says" in done.stderr
    assert "name it: zuluko replay LOG GRAPH --lockstep" in lockstep(evening, "").stderr


POLLS = """
import threading
from collections.abc import Iterator

from zuluko import Message, Stream
from zuluko.messages import Faces

seen = threading.Event()


class Polled(Message, tag="LockstepPolled/1"):
    n: int = 0
    empty: int = 0


def free() -> Iterator[Faces]:
    yield Faces()


def poll(faces: Stream[Faces], *, timeout: float = 0.0, ends: bool = True) -> Iterator[Polled]:
    number = empty = 0
    while not (ends and faces.ended):
        message = faces.next(timeout=timeout)
        if message is None:
            empty += 1
        else:
            yield Polled(stamp=message.stamp, n=number, empty=empty)
            number, empty = number + 1, 0


def drain(faces: Stream[Faces]) -> Iterator[Polled]:
    for newest in faces:
        for _ in range(3):
            while (message := faces.next(timeout=0)) is not None:
                newest = message
        yield Polled(stamp=newest.stamp)


def spin(faces: Stream[Faces]) -> Iterator[Polled]:
    for message in faces:
        while not seen.is_set():
            pass
        yield Polled(stamp=message.stamp)


def after(polls: Stream[Polled]) -> Iterator[Polled]:
    for message in polls:
        yield message
"""


def polling(folder, node: str):
    """The launch file of a graph with the node of that name and options, and one that hears it."""
    (folder / "polling_nodes.py").write_text(POLLS)
    name, _, options = node.partition(", ")
    lines = [
        "nodes:",
        '  faces: {run: "./polling_nodes.py:free"}',
        f'  {name}: {{run: "./polling_nodes.py:{name}", in: {{faces: faces}}{", " * bool(options)}{options}}}',
        f'  after: {{run: "./polling_nodes.py:after", in: {{polls: {name}}}}}',
    ]
    return folder / write(folder, "\n".join(lines), "polling.yaml")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("timeout", ["0", "-1", "1.0e-9", "2.0e-7"])
def test_a_node_that_polls_hears_each_message_at_its_moment(evening, tmp_path, timeout):
    said = testing.lockstep(polling(tmp_path, f"poll, timeout: {timeout}"), evening)
    assert [(one.n, one.stamp) for one in said["poll"]] == [(n, BASE + n * SECOND // 15) for n in range(150)]
    assert [one.stamp for one in said["after"]] == [one.stamp for one in said["poll"]]
    again = testing.lockstep(polling(tmp_path, f"poll, timeout: {timeout}"), evening)
    assert again.digest == said.digest


@pytest.mark.timeout(60)
def test_to_empty_a_stream_takes_no_time(evening, tmp_path):
    out = tmp_path / "out.mcap"
    assert lockstep(evening, str(polling(tmp_path, "drain")), "--out", str(out)).returncode == 0
    times = {(stamp, sent) for stamp, sent in moments(out, "drain")}
    assert times == {(BASE + n * SECOND // 15, BASE + n * SECOND // 15) for n in range(150)}


class Polled(Message, tag="LockstepPolled/1"):
    n: int = 0
    empty: int = 0


def moments(log, topic: str):
    """The stamp of each message, and when it was said."""
    stream = read(log, topic, kind=Polled)
    for message in stream:
        yield message.stamp, stream.sent


@pytest.mark.timeout(60)
@pytest.mark.parametrize("timeout", ["0", "0.1"])
def test_a_node_that_does_not_end_with_its_stream_is_told(evening, tmp_path, timeout):
    done = lockstep(evening, str(polling(tmp_path, f"poll, timeout: {timeout}, ends: false")))
    assert done.returncode == 1
    assert "message = faces.next(timeout=timeout)" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "poll failed: it goes on asking its stream, which has ended, and will not end; "
        "end its loop with the stream: `while not stream.ended:`"
    )


@pytest.mark.timeout(60)
def test_a_node_that_keeps_the_others_waiting_is_told_with_its_line(evening, tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.launch.lockstep.PATIENCE", 0.0)
    graph = launchfile.load(polling(tmp_path, "spin"))
    told = []

    def tell(what: str) -> None:
        told.append(what)
        sys.modules["polling_nodes"].seen.set()

    with LogReader(evening) as reader:
        stand_in(graph, reader, Timeline(*reader.span))
        run = Lockstep(graph, tell=tell)
        run.run()
    assert run.said["spin"] == 150
    (what,) = told
    place, _, sentence = what.partition(": ")
    file, _, line = place.rpartition(":")
    assert POLLS.splitlines()[int(line) - 1].strip() in ("while not seen.is_set():", "pass")
    assert file == str(tmp_path / "polling_nodes.py")
    assert sentence.startswith("spin has run for ")
