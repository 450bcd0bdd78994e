# ruff: noqa: S311  chance, not cryptography
"""Stresses the express lane: readers that hold frames for random times, are stopped, killed and started
again, while the writer publishes as fast as it can. Every frame is filled with its own number, every small
message bears a checksum, and every loss must be counted.

    python scripts/stress_lane.py --seconds 180

Prints a summary; exits with 1 when anything was broken.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zuluko.bus import lane, membarrier, topics
from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.messages import Frame

GRAPH = "stress"
SHAPE = (120, 256, 3)
LARGE = (720, 1280, 3)  # of one frame in thirty-two: its slot has a huge page
LONGEST_HOLD = 0.05  # s, of an ordinary reader
RECLAIMED = 1.0  # s within which the leases of dead readers must be free again
SLACK = 1.0  # s that a busy machine may add
HOARDERS = 4  # readers that together hold every slot
COLUMNS = (
    "frames",
    "notes",
    "checks",
    "broken",
    "overtaken",
    "overrun",
    "skipped",
    "ring full",
    "other loss",
    "held",
)
Counts = np.ndarray[Any, np.dtype[np.int64]]


class Note(Message, tag="Note/1"):
    """A small message; ``check`` is the checksum of its text."""

    number: int
    text: bytes
    check: int


class Tally:
    """One process's counts, in a file that outlives it."""

    def __init__(self, row: Counts) -> None:
        self._row = row

    def add(self, column: str, count: int = 1) -> None:
        self._row[COLUMNS.index(column)] += count

    def put(self, column: str, count: int) -> None:
        self._row[COLUMNS.index(column)] = count

    def get(self, column: str) -> int:
        return int(self._row[COLUMNS.index(column)])

    def must(self, good: bool, what: str) -> None:
        self.add("checks")
        if not good:
            self.add("broken")
            print(f"BROKEN (pid {os.getpid()}): {what}", file=sys.stderr, flush=True)


def counts_of(folder: Path, rows: int = 64) -> Counts:
    path = folder / "counts"
    if not path.exists():
        path.write_bytes(bytes(8 * rows * len(COLUMNS)))
    return np.memmap(path, np.int64, "r+", shape=(rows, len(COLUMNS)))


def whole(image: np.ndarray[Any, Any], number: int) -> bool:
    return bool((image.reshape(-1).view("<u4") == number).all())


def write(tally: Tally) -> None:
    """The writer: frames as fast as it goes, with small messages between, until SIGTERM."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    frames, notes = Publisher(GRAPH, "frames", Frame), Publisher(GRAPH, "notes", Note)
    print("ready", flush=True)
    while not stop:
        number = frames.seq
        shape = SHAPE if random.randrange(32) else LARGE
        image = frames.empty(shape, np.dtype("u1")) if number % 2 else None
        if image is None:
            image = np.empty(shape, "u1")
        image.reshape(-1).view("<u4")[:] = number
        frames.send(Frame(stamp=number, image=image))
        for _ in range(random.randrange(8)):
            size = random.randrange(300_000 if random.random() < 0.001 else 2000)
            text = random.randbytes(8) * (size // 8)
            notes.send(Note(number=notes.seq, text=text, check=zlib.crc32(text)))
        tally.put("ring full", frames.lost["ring full"] + notes.lost["ring full"])
        tally.put("frames", frames.seq - frames.lost["ring full"])
        tally.put("notes", notes.seq - notes.lost["ring full"])
    settle(tally, frames, notes)
    frames.close()
    notes.close()


def settle(tally: Tally, frames: Publisher, notes: Publisher) -> None:
    """With all readers dead, no lease and no cell may stay."""
    deadline = time.monotonic() + RECLAIMED + SLACK
    tiny = Frame(stamp=0, image=np.zeros(SHAPE, "u1"))
    while (left := held(frames) + held(notes)) and time.monotonic() < deadline:
        frames.send(tiny)
        notes.send(Note(number=notes.seq, text=b"", check=0))
        time.sleep(0.01)
    tally.must(not left, f"{left} leases or cells are left of dead readers")


def held(publisher: Publisher) -> int:
    """How many words of leases and of readers are not zero."""
    writer = publisher._lane
    assert writer
    leases = writer._words[lane.LEASE_WORDS : lane.LEASE_WORDS + lane.CELLS * lane.LEASES].tolist()
    readers = writer._words[lane.READERS : lane.READERS + lane.CELLS].tolist()
    return sum(map(bool, leases + readers))


class Edge:
    """A subscriber, and what it is held to: numbers that rise, and no loss that is not counted."""

    def __init__(self, tally: Tally, topic: str, kind: type[Message], poller: Poller, keep: int) -> None:
        self.subscriber: Subscriber[Any] = Subscriber(GRAPH, topic, kind, keep=keep, poller=poller)
        self._tally = tally
        self._last = self._lost = -1
        self._told: dict[str, int] = {}

    def receive(self) -> Any:
        lost = self.subscriber.lost
        envelope = self.subscriber.receive()
        self._tell(lost)
        if envelope is None:
            return None
        if self._last >= 0:
            missing = envelope.seq - self._last - 1
            counted = sum(lost.values()) - self._lost
            self._tally.must(missing == counted, f"{missing} messages are missing, {counted} were counted")
        self._last, self._lost = envelope.seq, sum(lost.values())
        return envelope

    def _tell(self, lost: dict[str, int]) -> None:
        for reason, count in lost.items():
            if new := count - self._told.get(reason, 0):
                self._tally.add(reason if reason in COLUMNS else "other loss", new)
                self._told[reason] = count
                known = reason in ("overtaken", "overrun", "skipped", "ring full")
                self._tally.must(known, f"{new} messages were {reason}")


def read(tally: Tally) -> None:
    """A reader: takes, holds, checks, drops; for ever."""
    poller = Poller(GRAPH)
    frames = Edge(tally, "frames", Frame, poller, random.choice((1, 2, 3, 64)))
    notes = Edge(tally, "notes", Note, poller, random.choice((1, 64, 5000)))
    holding: list[tuple[float, Any, int]] = []
    while True:
        poller.wait(0.02)
        while (envelope := notes.receive()) is not None:
            note = envelope.body
            good = note.number == envelope.seq and zlib.crc32(note.text) == note.check
            tally.must(good, f"note {note.number} is not what was sent")
            tally.add("notes")
            if not random.randrange(64):
                break
        for _ in range(random.randrange(4)):
            if (envelope := frames.receive()) is None:
                break
            image, number = envelope.body.image, envelope.body.stamp
            tally.must(whole(image, number) and number == envelope.seq, f"frame {number} is another")
            tally.add("frames")
            if random.random() < 0.5:
                holding.append((time.monotonic() + random.uniform(0, LONGEST_HOLD), image, number))
            del image, envelope
        now = time.monotonic()
        for due, image, number in holding:
            if due <= now:
                tally.must(whole(image, number), f"frame {number} has changed under its reader")
        holding = [one for one in holding if one[0] > now]
        image = None


def hoard(tally: Tally) -> None:
    """A reader that keeps all it can, until it is killed. Half of them look by themselves.

    As long as frames come, it exchanges what it has for them: another hoarder may have the same.
    """
    latched = random.random() < 0.5
    frames: Subscriber[Frame] = Subscriber(GRAPH, "frames", Frame, keep=2, latched=latched)
    kept: list[Frame] = []
    while True:
        while (envelope := frames.receive()) is not None:
            if len(kept) == lane.LEASES - 2:
                kept.pop(random.randrange(len(kept)))
            kept.append(envelope.body)
            del envelope
        for frame in kept:
            tally.must(whole(frame.image, frame.stamp), f"frame {frame.stamp} has changed under a hoarder")
        tally.put("held", len(kept))
        time.sleep(random.uniform(0.0, 0.04))


class Chaos:
    """Starts, stops and kills the readers."""

    def __init__(self, folder: Path, readers: int) -> None:
        self._folder = folder
        self._counts = counts_of(folder)
        self.kills = self.stops = self.rounds = 0
        self.slowest = 0.0
        self.broken = 0
        self._writer = self._start("writer", 0)
        assert self._writer.stdout
        if not self._writer.stdout.readline():
            raise SystemExit("The writer did not start.")
        self._rows = range(1, 1 + readers)
        self._readers = {row: self._start("reader", row) for row in self._rows}
        self._asleep: set[int] = set()

    def _start(self, role: str, row: int) -> subprocess.Popen[bytes]:
        output = subprocess.PIPE if role == "writer" else None
        command = [sys.executable, __file__, "--role", role, "--row", str(row), "--folder", str(self._folder)]
        return subprocess.Popen(command, stdout=output)

    def tally(self, row: int) -> Tally:
        return Tally(self._counts[row])

    def disturb(self) -> None:
        """Does something to one reader."""
        row = random.choice(self._rows)
        reader = self._readers[row]
        self._must_live(reader, f"reader {row}")
        self._must_live(self._writer, "the writer")
        if self._asleep and random.random() < 0.5:
            self._wake()
        elif row in self._asleep or random.random() < 0.4:
            self._kill(reader)
            self._readers[row] = self._start("reader", row)
            self._asleep.discard(row)
        else:
            self._wake()  # two that sleep might hold every slot between them
            reader.send_signal(signal.SIGSTOP)
            self._asleep.add(row)
            self.stops += 1

    def _wake(self) -> None:
        for row in self._asleep:
            self._readers[row].send_signal(signal.SIGCONT)
        self._asleep.clear()

    def _must_live(self, process: subprocess.Popen[bytes], who: str) -> None:
        if process.poll() is not None:
            raise SystemExit(f"BROKEN: {who} ended by itself with {process.returncode}.")

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1

    def starve(self) -> None:
        """Lets hoarders take every slot, kills them, and sees how soon the writer has slots again."""
        self._wake()
        rows = range(50, 50 + HOARDERS)
        for row in rows:
            self.tally(row).put("held", 0)
        hoarders = [self._start("hoarder", row) for row in rows]
        try:
            self._starve(hoarders)
        finally:
            for hoarder in hoarders:
                self._kill(hoarder)

    def _starve(self, hoarders: list[subprocess.Popen[bytes]]) -> None:
        writer = self.tally(0)
        deadline = time.monotonic() + 60
        while not self._starving(writer):
            for hoarder in hoarders:
                self._must_live(hoarder, "a hoarder")
            if time.monotonic() > deadline:
                raise SystemExit("BROKEN: the hoarders did not get every slot within 60 s.")
        before = writer.get("frames")
        for hoarder in hoarders:
            hoarder.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        for hoarder in hoarders:
            hoarder.wait()
        while writer.get("frames") < before + 2 * lane.SLOTS and time.monotonic() < killed + 10:
            time.sleep(0.002)
        took = time.monotonic() - killed
        self.rounds += 1
        self.slowest = max(self.slowest, took)
        if took > RECLAIMED + SLACK:
            self.broken += 1
            print(f"BROKEN: dead readers' leases were free after {took:.1f} s", file=sys.stderr)

    def _starving(self, writer: Tally) -> bool:
        """Whether the writer drops frame after frame."""
        frames, dropped = writer.get("frames"), writer.get("ring full")
        enough = time.monotonic() + 3 * LONGEST_HOLD
        late = enough + 10  # a slow machine takes its time for each frame
        while writer.get("frames") == frames and time.monotonic() < late:
            if writer.get("ring full") > dropped and time.monotonic() > enough:
                return True
            time.sleep(0.002)
        return False

    def end(self) -> None:
        self._wake()
        for reader in self._readers.values():
            self._kill(reader)
        self._writer.terminate()
        self._writer.communicate(timeout=30)
        if self._writer.returncode:
            self.broken += 1
            print(f"BROKEN: the writer ended with {self._writer.returncode}", file=sys.stderr)

    def summary(self, seconds: float) -> tuple[str, int]:
        """What was done, and how much of it was broken."""
        total = dict(zip(COLUMNS, self._counts[1:].sum(axis=0).tolist(), strict=True))
        writer = dict(zip(COLUMNS, self._counts[0].tolist(), strict=True))
        broken = self.broken + total["broken"] + writer["broken"]
        lines = [
            f"{seconds:.0f} s: {writer['frames']} frames and {writer['notes']} small messages written, "
            f"{writer['ring full']} dropped with every slot held",
            f"{total['frames']} frames and {total['notes']} messages read, {total['checks']} checks; "
            + ", ".join(f"{total[name]} {name}" for name in COLUMNS[4:9]),
            f"{self.kills} kills, {self.stops} stops; every slot held by readers that were then killed "
            f"{self.rounds} times, free again after at most {self.slowest:.2f} s",
            f"{broken} broken",
        ]
        if not (total["frames"] and total["notes"] and total["overtaken"] + total["overrun"]):
            return "\n".join([*lines, "BROKEN: too little happened to say anything"]), 1
        return "\n".join(lines), broken


@contextmanager
def runtime() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="zk-stress-"))
    os.environ["ZULUKO_RUN"] = str(folder / "run")
    topics.graph_dir(GRAPH)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stress(seconds: float, readers: int) -> int:
    with runtime() as folder:
        chaos = Chaos(folder, readers)
        begun = time.monotonic()
        starve_at = begun + seconds / 3
        try:
            while (now := time.monotonic()) < begun + seconds:
                chaos.disturb()
                if now >= starve_at:
                    chaos.starve()
                    starve_at = now + max(8.0, seconds / 3)
                time.sleep(random.uniform(0.05, 0.3))
        finally:
            chaos.end()
        text, broken = chaos.summary(time.monotonic() - begun)
    print(text)
    return 1 if broken else 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--readers", type=int, default=4)
    arguments.add_argument("--role", choices=["writer", "reader", "hoarder"], help=argparse.SUPPRESS)
    arguments.add_argument("--row", type=int, default=0, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    told = arguments.parse_args()
    if not membarrier.available():
        print("This kernel has no membarrier(2): there is no express lane to stress.")
        return 2
    if told.role is None:
        return stress(told.seconds, told.readers)
    roles = {"writer": write, "reader": read, "hoarder": hoard}
    roles[told.role](Tally(counts_of(told.folder)[told.row]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
