"""Nodes that the tests of launching run, as a user would write them."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from zuluko import Array, Command, Latest, Message, Stream, Synced, Tick, empty
from zuluko.messages import Delivery


class Count(Message, tag="Count/1"):
    n: int


class Status(Message, tag="Status/1"):
    text: str = ""


class Picture(Message, tag="Picture/1"):
    image: Annotated[np.ndarray, Array("u1", (None, None))]


class Move(Command, tag="Move/1"):
    speed: float = 0.0


def count(*, hz: float = 50.0, limit: int = 0, start: int = 0) -> Iterator[Count]:
    """Counts up, and says when it is done; time.sleep stands for a driver's blocking read."""
    n = start
    try:
        while not limit or n < limit:
            n += 1
            yield Count(stamp=n, n=n)
            time.sleep(1 / hz)
    finally:
        print("count cleaned up", flush=True)


def double(counts: Stream[Count], *, factor: int = 2) -> Iterator[Count | Status]:
    for message in counts:
        yield Count(stamp=message.stamp, n=message.n * factor)
    yield Status(text="last words")
    print("double cleaned up", flush=True)


def show(counts: Stream[Count], last: Latest[Status]) -> None:
    for message in counts:
        print(f"shown {message.n}", flush=True)


def clock(ticks: Stream[Tick]) -> Iterator[Status]:
    for tick in ticks:
        yield Status(stamp=tick.stamp, text=f"tick {tick.count}")
    print("clock cleaned up", flush=True)


def pilot(counts: Stream[Count]) -> Iterator[Move]:
    for message in counts:
        yield Move(stamp=message.stamp, id=f"m{message.n}", to="wheels", speed=1.0)


def watchful(things: Stream[Count | Delivery]) -> Iterator[Move]:
    for thing in things:
        if isinstance(thing, Delivery):
            print(f"{thing.command} {thing.outcome} by {thing.to}: {thing.reason}", flush=True)
        else:
            yield Move(stamp=thing.stamp, id=f"m{thing.n}")


def wheels(moves: Stream[Move]) -> Iterator[Status]:
    for move in moves:
        yield Status(stamp=move.stamp, text=move.id)
    print("wheels stopped", flush=True)


def mistaken() -> Iterator[Count]:
    raise ValueError("there is no such sensor; give another")
    yield


def crashing(counts: Stream[Count]) -> Iterator[Status]:
    for message in counts:
        if message.n % 5 == 0:
            raise RuntimeError("it broke")
        yield Status(text=str(message.n))


def untrue(counts: Stream[Count]) -> Iterator[Status]:
    for message in counts:
        yield message  # type: ignore[misc]


def deaf() -> Iterator[Count]:
    """Does not stop when it is told to."""
    import signal

    yield Count(n=1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    while True:
        time.sleep(0.1)


def pid() -> Iterator[Count]:
    while True:
        yield Count(n=os.getpid())
        time.sleep(0.01)


def loud() -> Iterator[Count]:
    print("x" * 100_000)
    print("no newline at the end", end="")
    sys.stdout.flush()
    yield Count(n=1)


def positional(counts: list[Count]) -> Iterator[Count]:
    yield from counts


def unannotated(counts: Stream[Count]):
    yield from counts


def mixed(things: Stream[Count | Move]) -> None:
    for _ in things:
        pass


def asking(last: Latest[Count]) -> Iterator[Status]:
    """Only asks, and so has a rhythm of its own."""
    while True:
        yield Status(text=str(last.value.n if last.value else None))
        time.sleep(0.02)


def backwards(last: Latest[Count], ticks: Stream[Tick]) -> Iterator[Status]:
    for tick in ticks:
        if last.value:
            yield Status(stamp=tick.stamp, text=f"{last.age:.2f}")


def hanging(counts: Stream[Count]) -> Iterator[Status]:
    for message in counts:
        print("hangs", flush=True)
        while message:
            time.sleep(0.1)
        yield Status()


def misspelt(counts: Stream[Count]) -> Iterator[Move]:
    for message in counts:
        yield Move(id=f"m{message.n}", to="whels")


def wrongly(counts: Stream[Count]) -> Iterator[Status]:
    for message in counts:
        yield Status(text=message.n)


def pouring() -> Iterator[Count]:
    yield Count(n=1)
    while True:
        print("\x1b[31mmuch to say" * 10)


def spawning() -> Iterator[Count]:
    import subprocess

    child = subprocess.Popen(["sleep", "1000"])
    while True:
        yield Count(n=child.pid)
        time.sleep(0.02)


def leaving(ticks: Stream[Tick]) -> Iterator[Count]:
    """Has a process of a session of its own, that outlives it."""
    import subprocess

    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    for _ in ticks:
        yield Count(n=child.pid)


def numbered(*, start: int = 0, step: int = 10, limit: int = 20) -> Iterator[Count]:
    """Stamps in milliseconds: start, start + step, ..."""
    for n in range(limit):
        yield Count(stamp=(start + n * step) * 1_000_000, n=n)
        time.sleep(0.005)


def paired(pairs: Synced[Count, Count]) -> Iterator[Status]:
    for left, right in pairs:
        yield Status(stamp=left.stamp, text=f"{left.n} {right.n}")
    print(f"unpaired {pairs.unpaired}", flush=True)


def picturing(*, limit: int = 20) -> Iterator[Picture]:
    for n in range(limit):
        image = empty((200, 300))
        image[:] = n
        yield Picture(stamp=n, image=image)
        time.sleep(0.01)


def looking(pictures: Stream[Picture]) -> Iterator[Status]:
    """Tells who runs here, where the picture lies, and whether it is whole."""
    for picture in pictures:
        whole = bool((picture.image == picture.stamp).all()) and not picture.image.flags.writeable
        place = picture.image.__array_interface__["data"][0]
        yield Status(stamp=picture.stamp, text=f"{os.getpid()} {place} {whole}")
    print("looking ended", flush=True)


def stamper(things: Stream[Status]) -> Iterator[Count]:
    for thing in things:
        yield Count(stamp=thing.stamp, n=len(thing.text))


def ordering(states: Stream[Status]) -> Iterator[Move]:
    for state in states:
        yield Move(stamp=state.stamp, id=f"m{state.stamp}", to="w")
