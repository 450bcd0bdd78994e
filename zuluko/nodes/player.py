"""The player: says what a log says, each message at its time, in place of the node that once said it."""

import ctypes
import queue
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from zuluko.bus import clock
from zuluko.bus.log_reader import LogReader
from zuluko.bus.message import Message
from zuluko.log import Entry, entries

NAP = 0.1  # s: a player that waits longer can be stopped in between
SWITCH = 0.00005  # s that reading ahead may hold up what is due
SLACK = 1_000  # ns by which the kernel may be late to wake this thread; 50 us by itself
PLAUSIBLE = 60_000_000_000  # ns between sending and receiving; a sender beyond it had another clock
_SET_TIMERSLACK = 29  # of prctl(2)
OLDEST = 3600 * 10**9  # ns from the log's time; a stamp beyond it is none
SMALL, LARGE, SPELL = 256, 2, 500_000_000  # messages without and with arrays, and ns, that are read at once
LATENESS = 10_000  # messages whose lateness is remembered
SHORTEST_TURN = 100_000_000  # ns that a turn of a loop takes at least, though its messages have one time

Turned = tuple[int, Entry[Any]]  # a message, and in which turn of the loop it comes


class Timeline:
    """When each moment of a log comes in graph time.

    Graph time is to be the log's when it begins; whoever is ready later than that begins later, and all
    players of a process together. Then, and at another rate than 1 and from the second turn of a loop on,
    stamps are moved with the time, so that evidence has the age that it had.

    ``start`` and ``end`` are ns of the log's time, ``rate`` how much faster than then. At an infinite rate
    everything is due at once, and stamps stay as they are.
    """

    def __init__(self, start: int, end: int, *, rate: float = 1.0, loop: bool = False) -> None:
        self.start, self.end, self.rate, self.loop = start, end, rate, loop
        self._turn = max(end - start, SHORTEST_TURN)
        self._begin: int | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            if self._begin is None:
                self._begin = max(self.start, clock.now())

    @property
    def is_timed(self) -> bool:
        return self.rate < inf

    def at(self, moment: int, turn: int = 0) -> int:
        """The graph time of a moment of the log, in ns."""
        assert self._begin is not None
        return self._begin + round((moment - self.start + turn * self._turn) / self.rate)

    def moment(self, now: int) -> int:
        """The moment of the log that a graph time is."""
        assert self._begin is not None
        passed = max(0, round((now - self._begin) * self.rate))
        return self.start + (passed % self._turn if self.loop else min(passed, self._turn))

    def shift(self, later: int) -> None:
        """Has all that is to come come so many ns later."""
        assert self._begin is not None
        self._begin += later

    def seek(self, moment: int, now: int) -> None:
        """Has a moment of the log come now, in the first turn."""
        self._begin = now - round((moment - self.start) / self.rate)

    def moved(self, message: Message, turn: int) -> Message:
        """The message with its stamp in graph time; a stamp that is no time stays as it is."""
        is_time = self.start - OLDEST < message.stamp < self.end + OLDEST
        stamp = self.at(message.stamp, turn) if is_time and self.is_timed else message.stamp
        return message if stamp == message.stamp else msgspec.structs.replace(message, stamp=stamp)


class Due(NamedTuple):
    """A message of a log: in which turn of the loop it is to be said."""

    entry: Entry[Any]
    turn: int
    timeline: Timeline

    @property
    def at(self) -> int:
        """When, in ns of graph time."""
        return self.timeline.at(_sent(self.entry), self.turn)

    @property
    def message(self) -> Message:
        return self.timeline.moved(self.entry.envelope.body, self.turn)

    @property
    def topic(self) -> str:
        return self.entry.topic


class Lateness:
    """By how much messages came later than they were due, in ns."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: list[int] = []

    def add(self, due: int) -> None:
        self.count += 1
        self._seen.append(clock.now() - due)
        if len(self._seen) > LATENESS:
            del self._seen[: LATENESS // 2]

    def percentile(self, percent: int) -> float:
        """In ms."""
        late = sorted(self._seen) or [0]
        return late[len(late) * percent // 100] / 1e6

    def __str__(self) -> str:
        if not self._seen:
            return "nothing replayed"
        late = f"{self.percentile(50):.2f} ms late (median), {self.percentile(99):.2f} ms (99 %)"
        return f"{self.count} message{'' if self.count == 1 else 's'} replayed; {late}"


def player(*, log: Path, kinds: Mapping[str, type[Message]], timeline: Timeline) -> Iterator[Message]:
    """Says the messages of the topics in ``kinds``, in which each topic has its type."""
    lateness = Lateness()
    for due in play(log, kinds, timeline):
        wait_until(at := due.at)
        lateness.add(at)
        yield due.message
    print(lateness, flush=True)


def play(
    log: Path, kinds: Mapping[str, type[Message]], timeline: Timeline, since: int | None = None
) -> Generator[Due, None, None]:
    """The messages of a log in the order of receiving; again and again where the timeline is a loop.
    ``since`` is the log time (ns) to begin with in the first turn."""
    sys.setswitchinterval(SWITCH)
    ctypes.CDLL(None).prctl(_SET_TIMERSLACK, SLACK, 0, 0, 0)
    timeline.begin()
    with closing(_ahead(_turns(log, kinds, timeline, since))) as found:
        for turn, entry in found:
            yield Due(entry, turn, timeline)


def _turns(
    log: Path, kinds: Mapping[str, type[Message]], timeline: Timeline, since: int | None
) -> Iterator[Turned]:
    turn, start = 0, timeline.start if since is None else since
    while True:
        any_at_all = False
        with LogReader(log) as reader:
            begin = reader.span[0]
            limits = {"start": (start - begin) / 1e9, "end": (timeline.end - begin + 1) / 1e9}
            for entry in entries(reader, dict(kinds), **limits):
                any_at_all = True
                yield turn, entry
        is_silent = start == timeline.start and not any_at_all
        turn, start = turn + 1, timeline.start
        if is_silent or not timeline.loop:
            return


def _ahead(found: Iterator[Turned]) -> Generator[Turned, None, None]:
    """Reads on in a thread of its own while the last messages are said, some megabytes at most."""
    box: queue.Queue[list[Turned] | BaseException | None] = queue.Queue(2)
    ended = threading.Event()
    thread = threading.Thread(target=_read, args=(found, box, ended), name="read ahead", daemon=True)
    thread.start()
    try:
        while (batch := box.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield from batch
    finally:
        ended.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                box.get_nowait()
            thread.join(0.01)


def _read(found: Iterator[Turned], box: "queue.Queue[Any]", ended: threading.Event) -> None:
    batch: list[Turned] = []
    begun = 0
    try:
        for turn, entry in found:
            batch.append((turn, entry))
            large = any(isinstance(value, np.ndarray) for value in _values(entry.envelope.body))
            if len(batch) >= (LARGE if large else SMALL) or entry.received - begun > SPELL:
                box.put(batch)
                batch, begun = [], entry.received
            if ended.is_set():
                return
        box.put(batch)
        box.put(None)
    except BaseException as error:
        box.put(error)


def _values(message: Message) -> Iterator[Any]:
    return (getattr(message, name) for name in message.__struct_fields__)


def wait_until(moment: int) -> None:
    while (left := moment - clock.now()) > 0:
        time.sleep(min(left / 1e9, NAP))


def _sent(entry: Entry[Any]) -> int:
    sent = entry.envelope.sent
    return sent if abs(entry.received - sent) < PLAUSIBLE else entry.received
