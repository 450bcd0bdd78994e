"""One measuring process: ``python -m benchmarks.bus_peers.node ROLE PEER CASE INDEX FOLDER SECONDS``.

The processes of a run share two things in its folder. On ``board``, a page of words, a subscriber counts what
it has received, so that the publisher sends until everybody hears it and only then begins to measure. Into
``events``, a named pipe, each writes a line when it has come so far, and so wakes the benchmark.
"""

import importlib
import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.bus_peers.work import CASES, PAYLOAD, Link, Run

RECEIVED, FINISHED, SENT, GOT = 0, 8, 16, 24  # the board's words: by subscriber twice, by publisher twice
WARM, END = 1 << 40, 1 << 41  # what a seq is raised by before the measured messages, and after them
STARTED_AGAIN = 1 << 20  # what a seq is raised by for each publisher that was started before
WARM_UP = 10  # messages that everybody has heard before it counts
PATIENCE = 20.0  # s


def board(folder: Path) -> memoryview:
    with open(folder / "board", "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("q")


def tell(folder: Path, event: str) -> None:
    with open(folder / "events", "w") as events:
        events.write(event + "\n")


class Ear:
    """What a subscriber does with each message, and what it remembers of them."""

    def __init__(self, run: Run) -> None:
        self.latencies: list[int] = []
        self.count = self.wrong = self.first = self.last = 0
        self._index, self._frames, self._timed = run.index, not run.small, run.case.rate > 0
        self._words = board(run.folder)
        self._starts = run.case.seconds == 0

    def take(self, stamp: int, seq: int, frame: Any) -> bool:
        now = time.monotonic_ns()
        if self._starts and not self._words[GOT + seq // STARTED_AGAIN % 8]:
            self._words[GOT + seq // STARTED_AGAIN % 8] = now
        if self._frames:
            self.wrong += not (frame[0, 0, 0] == frame[-1, -1, -1] == seq & 0xFF)
        if seq < WARM:
            self.count += 1
            if self._timed:
                self.latencies.append(now - stamp)
            self.first, self.last = self.first or now, now
        self._words[RECEIVED + self._index] += 1
        return seq >= END


def subscribe(run: Run, module: Any) -> None:
    ear = Ear(run)
    module.subscriber(run, ear.take, lambda: tell(run.folder, "ready"))
    seconds = (ear.last - ear.first) / 1e9
    result = {"latencies": ear.latencies, "count": ear.count, "wrong": ear.wrong, "seconds": seconds}
    (run.folder / f"subscriber{run.index}.json").write_text(json.dumps(result))
    board(run.folder)[FINISHED + run.index] = 1
    tell(run.folder, "finished")


def payloads(run: Run) -> list[Any]:
    if run.case.shape is None:
        return [PAYLOAD]
    import numpy as np

    noise = np.random.default_rng(0)
    return [noise.integers(0, 255, run.case.shape, dtype=np.uint8) for _ in range(3)]


def beats(rate: float, count: int | None = None) -> Iterator[int]:
    """0, 1, 2 ... at that rate."""
    due, number = time.monotonic(), 0
    while count is None or number < count:
        yield number
        number += 1
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


class Mouth:
    """How a publisher sends: the frame is in its own array, or in lent memory, before it gets its stamp."""

    def __init__(self, run: Run, link: Link) -> None:
        self._payloads, self._link, self._frames = payloads(run), link, not run.small

    def put(self, seq: int) -> None:
        payload = self._payloads[seq % len(self._payloads)]
        if self._frames:
            payload[0, 0, 0] = payload[-1, -1, -1] = seq & 0xFF
        if self._link.fill:
            self._link.fill(payload)
        self._link.send(time.monotonic_ns(), seq, payload)


def publish(run: Run, module: Any) -> None:
    mouth = Mouth(run, module.publisher(run))
    words = board(run.folder)
    if run.case.seconds == 0:
        start(run, mouth, words)
        return
    everybody = range(run.case.subscribers)
    deadline = time.monotonic() + PATIENCE
    for number in beats(run.case.rate or 1000):
        mouth.put(WARM + number)
        if min(words[RECEIVED + one] for one in everybody) >= WARM_UP:
            break
        if time.monotonic() > deadline:
            tell(run.folder, f"failed: no subscriber heard anything within {PATIENCE:g} s")
            return
    tell(run.folder, "begin")
    sent = steady(run, mouth) if run.case.rate else flood(run, mouth, words)
    tell(run.folder, f"end {sent}")
    for number in beats(10, 50):  # the last word may be lost, too
        if all(words[FINISHED + one] for one in everybody):
            return
        mouth.put(END + number)


def steady(run: Run, mouth: Mouth) -> int:
    count = round(run.case.rate * run.case.seconds)
    for number in beats(run.case.rate, count):
        mouth.put(number)
        if number == count // 2:
            tell(run.folder, "half")
    return count


def flood(run: Run, mouth: Mouth, words: memoryview) -> int:
    """As many as possible, with no more than a window of them on their way; a message that does not arrive
    within half a second is given up."""
    window, number, base = run.peer.window, 0, words[RECEIVED]
    end = time.monotonic() + run.case.seconds
    while (now := time.monotonic()) < end:
        while number - (words[RECEIVED] - base) >= window:
            time.sleep(20e-6)
            if time.monotonic() > now + 0.5:
                base = words[RECEIVED] - number
        mouth.put(number)
        number += 1
    deadline = time.monotonic() + 0.5
    while words[RECEIVED] - base < number and time.monotonic() < deadline:
        time.sleep(1e-3)
    return number


def start(run: Run, mouth: Mouth, words: memoryview) -> None:
    """Sends until somebody hears it, and then waits to be killed."""
    words[SENT + run.index] = time.monotonic_ns()
    for number in beats(run.case.rate, round(run.case.rate * PATIENCE)):
        mouth.put(run.index * STARTED_AGAIN + number)
        if words[GOT + run.index]:
            tell(run.folder, "heard")
            signal.pause()
    tell(run.folder, f"failed: nobody heard it within {PATIENCE:g} s")


def main() -> None:
    role, name, case, index, folder, seconds = sys.argv[1:]
    run = Run(name, replace(CASES[case], seconds=float(seconds)), int(index), Path(folder))
    signal.alarm(60)  # no orphan, whatever happens
    try:
        module = importlib.import_module(f"benchmarks.bus_peers.{run.peer.module}")
        {"publisher": publish, "subscriber": subscribe}[role](run, module)
    except BaseException as error:
        tell(run.folder, f"failed: {role}: {type(error).__name__}: {error}".replace("\n", " "))
        raise
    sys.stdout.flush()
    os._exit(0)  # a peer's threads and clean-up are not what is measured


if __name__ == "__main__":
    main()
