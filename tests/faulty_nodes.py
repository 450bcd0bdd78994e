"""Nodes that hang, die, eat and dawdle, each in its own way."""

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.nodes_of_tests import Count, Move, Status
from zuluko import Latest, Stream, Tick


def spinning(counts: Stream[Count]) -> Iterator[Status]:
    """Hangs in Python."""
    for _ in counts:
        print("hangs", flush=True)
        while True:
            pass
    yield Status()


def holding(counts: Stream[Count]) -> Iterator[Status]:
    """Hangs in C, and lets no other thread run."""
    for _ in counts:
        print("hangs", flush=True)
        ctypes.PyDLL(None).sleep(1000)
    yield Status()


def releasing(counts: Stream[Count]) -> Iterator[Status]:
    """Hangs in C, beside other threads."""
    for _ in counts:
        print("hangs", flush=True)
        libc = ctypes.CDLL(None)
        while True:  # a signal ends a sleep
            libc.sleep(1000)
    yield Status()


def reading(counts: Stream[Count]) -> Iterator[Status]:
    """Hangs in a read of a pipe that never delivers."""
    for _ in counts:
        print("hangs", flush=True)
        os.read(os.pipe()[0], 1)
    yield Status()


def held_source() -> Iterator[Count]:
    """A source that hangs in C."""
    yield Count(n=1)
    print("hangs", flush=True)
    ctypes.PyDLL(None).sleep(1000)


def button(*, presses: int = 1) -> Iterator[Count]:
    """A source that waits for what may never come."""
    for n in range(presses):
        yield Count(n=n)
    print("waits", flush=True)
    os.read(os.pipe()[0], 1)


def dying(*, mark: Path) -> Iterator[Count]:
    """Dies at once while the mark is there."""
    yield Count(n=1)
    print("about to die", flush=True)
    if mark.exists():
        os._exit(7)
    while True:
        time.sleep(0.05)
        yield Count(n=2)


def eating(ticks: Stream[Tick], *, mb: int = 60) -> Iterator[Status]:
    eaten = b""
    for tick in ticks:
        eaten = eaten or os.urandom(1 << 20) * mb
        yield Status(stamp=tick.stamp, text=str(len(eaten)))


def burning(ticks: Stream[Tick]) -> Iterator[Status]:
    for tick in ticks:
        until = time.monotonic() + 0.045
        while time.monotonic() < until:
            pass
        yield Status(stamp=tick.stamp)


def placed(ticks: Stream[Tick]) -> Iterator[Status]:
    """Tells where it runs."""
    for tick in ticks:
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        policy = os.sched_getscheduler(0)
        text = f"nice {os.getpriority(os.PRIO_PROCESS, 0)} cores {cores} policy {policy} {os.environ.get('GREETING')}"
        yield Status(stamp=tick.stamp, text=text)


def dawdling(ticks: Stream[Tick]) -> Iterator[Status]:
    for tick in ticks:
        time.sleep(0.02)
        yield Status(stamp=tick.stamp)


def bolt(moves: Stream[Move], *, mark: Path) -> None:
    """An actuator: the mark is there while it is open."""
    mark.touch()
    try:
        for _ in moves:
            pass
    finally:
        mark.unlink()
        print("safe", flush=True)


def stubborn(counts: Stream[Count]) -> None:
    """Does not end with its stream."""
    for _ in counts:
        pass
    while True:
        time.sleep(0.1)


def levels(*, values: tuple[int, ...] = (0, 1), hz: float = 5.0) -> Iterator[Count]:
    """Says each value for a while, and the last for ever."""
    for n in (*values, *[values[-1]] * 1_000_000):
        yield Count(stamp=1, n=n)
        time.sleep(1 / hz)


def switched(ticks: Stream[Tick], level: Latest[Count]) -> Iterator[Status]:
    for tick in ticks:
        yield Status(stamp=tick.stamp, text=str(level.value and level.value.n))


def never(ticks: Stream[Tick], *, mark: Path) -> Iterator[Status]:
    """Does not come to its loop while the mark is there."""
    while mark.exists():
        time.sleep(0.05)
    for tick in ticks:
        yield Status(stamp=tick.stamp)


def idle(ticks: Stream[Tick]) -> None:
    """Has nothing to do, and nothing to say."""
    for _ in ticks:
        pass


def pouring_out(ticks: Stream[Tick], *, lines: int = 20_000) -> None:
    """Says far too much, and at the end what matters."""
    for _ in ticks:
        for number in range(lines):
            print(f"line {number}")
        raise OSError("the bucket is empty")


def working(ticks: Stream[Tick], *, mark: Path) -> Iterator[Status]:
    """Has more to do for one message while the mark is there."""
    for tick in ticks:
        while mark.exists():
            pass
        yield Status(stamp=tick.stamp)


def sleeping(counts: Stream[Count]) -> Iterator[Status]:
    """Hangs in a sleep."""
    for _ in counts:
        print("hangs", flush=True)
        time.sleep(1000)
    yield Status()


def greedy() -> Iterator[Status]:
    """Takes its core whole, and never says anything."""
    while True:
        pass
    yield Status()


def slow_bolt(ticks: Stream[Tick], *, mark: Path, way: str = "working") -> None:
    """An actuator: ``open`` is there while it is, and it has much to do to close while the mark is there, or
    sleeps."""
    opened = mark.with_name("open")
    opened.touch()
    try:
        for _ in ticks:
            pass
    finally:
        while mark.exists():
            if way == "sleeping":
                time.sleep(1000)
        opened.unlink()
        print("safe", flush=True)


def slow_start(ticks: Stream[Tick], *, mark: Path) -> None:
    """Has much to do before its loop while the mark is there."""
    while mark.exists():
        pass
    for _ in ticks:
        pass
