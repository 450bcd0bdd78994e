"""zuluko replay in a terminal: paused, sought in and stepped through by the keyboard; at any rate; in a loop."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise

import pexpect
import pytest

from tests.running import ROOT, zuluko
from tests.test_replay import BASE, recorded, replaying
from tests.waiting import until
from zuluko import record
from zuluko.bus import clock
from zuluko.bus.log_reader import LogReader
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import announcement
from zuluko.cli.keys import Keys
from zuluko.cli.playback import LATEST, LOOK, PAUSE, YOUNG, Playback
from zuluko.messages import Faces
from zuluko.nodes.player import Due, Timeline

SECOND = 10**9


class Person:
    """Sits before a terminal in which a log is replayed, and hears what is said. The shell prints the
    terminal's settings before and after."""

    def __init__(self, *arguments: str) -> None:
        command = f"stty -g; {sys.executable} -m zuluko replay {' '.join(arguments)}; echo status $?; stty -g"
        self.terminal = pexpect.spawn("sh", ["-c", command], cwd=str(ROOT), dimensions=(24, 80), timeout=30)
        self.terminal.expect(rb"^(\S+)\r\n")
        self.settings = self.terminal.match[1]
        self.terminal.expect("space pauses, arrows go 5 s and 60 s, s steps, q ends")
        until(lambda: announcement("watched", "faces"))
        self.subscriber = Subscriber("watched", "faces", Faces)

    def press(self, *keys: str) -> None:
        arrows = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1bOC", "left": "\x1b[D"}
        self.terminal.send("".join(arrows.get(key, key) for key in keys))

    def sees(self, *texts: str) -> None:
        for text in texts:
            self.terminal.expect(text)

    def hears(self) -> int:
        return self.subscriber.wait(20).seq

    def silence(self) -> None:
        while self.subscriber.wait(0.3):
            pass

    def leaves(self, status: int = 0) -> None:
        self.subscriber.close()
        self.terminal.expect(rf"status {status}\r\n(\S+)\r\n")
        assert self.terminal.match[1] == self.settings
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()


def test_a_person_pauses_seeks_and_steps(tmp_path):
    recorded(tmp_path / "a.mcap", 201)  # 20 s
    person = Person(str(tmp_path / "a.mcap"), "--name", "watched")
    person.press(" ")
    person.sees("paused")
    person.press("left", "left")
    person.sees(r"\[ +\] 0.0 of 20.0 s  paused")
    person.press("right")
    person.sees(r"\[=+ +\] 5.0 of 20.0 s  paused")
    person.silence()
    person.press("s")
    assert person.hears() == 50
    person.press("s")
    assert person.hears() == 51
    assert person.subscriber.wait(0.3) is None
    person.press("up", "up", "x")
    person.sees(r"\[=+\] 20.0 of 20.0 s  paused")
    person.terminal.setwinsize(24, 36)
    person.press("down")
    person.sees(r"\r\x1b\[K(\[ +\] 0.0 of 20.0 s  paused)\r")
    assert len(person.terminal.match[1]) < 36
    person.terminal.setwinsize(24, 20)
    person.sees(r"\x1b\[K0.0 of 20.0 s  paus\r")
    person.press(" ")
    heard = [person.hears() for _ in range(4)]
    assert heard == [0, 1, 2, 3]
    person.press("q")
    person.sees(r"\d+ messages replayed; ")
    person.leaves()


def test_at_the_end_a_pause_waits_and_a_kill_gives_the_terminal_back(tmp_path):
    recorded(tmp_path / "a.mcap", 201)
    person = Person(str(tmp_path / "a.mcap"), "--name", "watched")
    person.press(" ")
    person.sees("paused")
    person.press("up")
    person.sees("20.0 of 20.0 s  paused")
    person.press("left")
    person.sees("15.0 of 20.0 s  paused")
    person.press("up", "s", "s")
    person.sees("20.0 of 20.0 s  paused")
    person.silence()
    os.kill(until(lambda: announcement("watched", "faces")).pid, signal.SIGTERM)
    person.sees("replayed")
    person.leaves()


def test_without_a_terminal_there_is_neither_bar_nor_keyboard(tmp_path):
    recorded(tmp_path / "a.mcap", 5)
    done = zuluko("replay", str(tmp_path / "a.mcap"), "--name", "x", "--json", stdin=subprocess.DEVNULL)
    assert done.stderr == f"replaying 1 topic of {tmp_path / 'a.mcap'} as the graph x\n"
    told = json.loads(done.stdout)
    assert told["messages"] == 5
    assert 0 <= told["late_ms"]["median"] <= told["late_ms"]["p99"]


def test_at_the_rate_max_all_is_said_at_once_with_the_logs_times(tmp_path):
    recorded(tmp_path / "a.mcap", 1200)  # two minutes
    process = replaying(str(tmp_path / "a.mcap"), "--name", "again", "--rate", "max")
    until(lambda: announcement("again", "faces"))
    subscriber = Subscriber("again", "faces", Faces, keep=2000, history=True)
    out, errors = process.communicate(timeout=30)
    assert re.fullmatch(r"1200 messages replayed in \d+\.\d s\n", out), errors
    heard = list(iter(subscriber.receive, None))
    subscriber.close()
    assert len(heard) > 100
    assert [one.body.stamp for one in heard] == [BASE + one.seq * SECOND // 10 for one in heard]
    assert all(abs(one.sent - one.body.stamp) < SECOND // 100 for one in heard)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "0"), "--rate 0: write a number from 0.01 to 100, such as 4, or max"),
        (("--rate", "nan"), "--rate nan: write a number"),
        (("--rate", "fast"), "--rate fast: write a number"),
        (("--only", "faces"), "--only is for the nodes of a graph; name it: zuluko replay LOG GRAPH --only"),
        (
            ("door", "--rate", "max"),
            "--rate max would outrun the nodes of door; as fast as they can, run them",
        ),
        (("door", "--topic", "faces"), "--topic is for a log without a graph; with door, choose nodes"),
        (
            ("--chain", "a"),
            "--lockstep runs a graph over the log; name it: zuluko replay LOG GRAPH --lockstep",
        ),
    ],
)
def test_options_that_do_not_go_together_are_told(tmp_path, arguments, said):
    done = zuluko("replay", str(recorded(tmp_path / "a.mcap", 2)), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_timeline_is_shifted_and_sought_in():
    line = Timeline(BASE, BASE + 20 * SECOND, rate=2)
    line.seek(BASE + 4 * SECOND, 1000 * SECOND)
    assert line.at(BASE + 6 * SECOND) == 1001 * SECOND
    assert line.moment(1001 * SECOND) == BASE + 6 * SECOND
    line.shift(SECOND)
    assert line.moment(1001 * SECOND) == BASE + 4 * SECOND
    assert line.moment(2000 * SECOND) == BASE + 20 * SECOND
    loop = Timeline(BASE, BASE + 20 * SECOND, loop=True)
    loop.seek(BASE, 1000 * SECOND)
    assert loop.moment(1025 * SECOND) == BASE + 5 * SECOND


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ([b"a \x1b[A\x1bOBq"], ["a", " ", "up", "down", "q"]),
        ([b"\x1b", b"[", b"C"], ["right"]),
        ([b"\x1bq\x1b[Z\x1b[D"], ["q", "left"]),
        ([b"\x1b\x1b[D\xff"], ["left", "\xff"]),
    ],
)
def test_what_is_typed_is_taken_apart(typed, keys):
    keyboard, found = Keys(), []
    for part in typed:
        found += keyboard.take(part)
    assert found == keys


class Clock(Keys):
    """A clock, in ns, that goes on only while somebody waits for a key."""

    def __init__(self, now: int) -> None:
        super().__init__()
        self.now = now

    def read(self, seconds: float) -> list[str]:
        self.now += round(max(0.0, seconds) * 1e9)
        return []


def looks(log, monkeypatch, period: int) -> list[tuple[int, int]]:
    """When the keyboard was looked at while messages were said so many ns apart, and how long it then was to
    the next."""
    record([Faces(stamp=BASE + n * period) for n in range(1000)], log, "faces")
    with LogReader(log) as reader:
        keys, timeline = Clock(reader.span[0]), Timeline(*reader.span)
    monkeypatch.setattr(clock, "now", lambda: keys.now)
    looked: list[int] = []
    found: list[tuple[int, int]] = []
    said: list[Due] = []

    def say(due: Due) -> None:
        said.append(due)
        found.extend((at, due.at - at) for at in looked)
        looked.clear()

    Playback(timeline, keys, say, lambda: looked.append(keys.now)).run(log, {"faces": Faces})
    assert len(said) == 1000
    return found


def test_a_look_at_the_keyboard_makes_no_message_late(tmp_path, monkeypatch):
    (_, *found) = looks(tmp_path / "a.mcap", monkeypatch, 1_000_000)
    assert {left > PAUSE for _, left in found} == {True}
    steps = [after - before for (before, _), (after, _) in pairwise(found)]
    assert len(steps) > 15
    assert {LOOK <= step <= LOOK + 2_000_000 for step in steps} == {True}


def test_the_keyboard_is_looked_at_though_no_message_leaves_time_for_it(tmp_path, monkeypatch):
    found = looks(tmp_path / "a.mcap", monkeypatch, 400_000)
    steps = [after - before for (before, _), (after, _) in pairwise(found)]
    assert len(steps) >= 3
    assert {LATEST <= step <= LATEST + 1_000_000 for step in steps} == {True}


def test_what_was_imported_is_not_looked_through_for_garbage_while_a_log_is_said(tmp_path):
    record([Faces(stamp=BASE + n) for n in range(3)], tmp_path / "a.mcap", "faces")
    with LogReader(tmp_path / "a.mcap") as reader:
        timeline = Timeline(*reader.span)
    before, seen = gc.get_threshold(), []
    playback = Playback(
        timeline,
        Keys(),
        lambda _: seen.append((gc.get_threshold()[0], gc.get_freeze_count() > 1000)),
        lambda: None,
    )
    playback.run(tmp_path / "a.mcap", {"faces": Faces})
    assert seen == [(YOUNG, True)] * 3
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
