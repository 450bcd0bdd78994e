"""The recorder: writes what is said on the topics of a graph into logs.

One thread hears, so that nothing waits in a lane for the disk; another packs, writes and splits.
"""

import os
import platform
import queue
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from zuluko import __version__
from zuluko.bus import clock
from zuluko.bus.log_tap import Heard, Taps, with_jpeg
from zuluko.bus.log_writer import LogError, LogFullError, LogWriter

FLUSH = 1.0  # s after which what has come is on its way to the disk
MOST_WAITING = 64 << 20  # bytes that wait for the disk; what comes then is lost, and counted
SILENCE = 2.0  # s after which a topic that lives and says nothing is told of
OFTEN = 1.0  # s between two messages of a topic that is missed when it stops
SPLITS = 10  # files that what is kept is split into, unless told otherwise

Images = Literal["raw", "jpeg"]


@dataclass(frozen=True)
class Plan:
    """Where and how to record.

    ``to``       a file that ends in .mcap, or a folder for files named by graph and time (UTC)
    ``images``   pictures as they are, or as JPEG of a ``quality`` from 1 to 100
    ``split_size``, ``split_time``   bytes and seconds after which another file is begun; 0 for never
    ``keep_size``, ``keep_time``   bytes and seconds of logs that are kept; older files are deleted
    """

    to: Path
    images: Images = "raw"
    quality: int = 90
    split_size: float = 0.0
    split_time: float = 0.0
    keep_size: float = 0.0
    keep_time: float = 0.0

    @property
    def size(self) -> float:
        return self.split_size or self.keep_size / SPLITS or float("inf")

    @property
    def time(self) -> float:
        return self.split_time or self.keep_time / SPLITS or float("inf")


@dataclass
class Progress:
    """What a recording has done: messages and bytes of all its files, and what was lost by topic, cause."""

    messages: int = 0
    bytes: int = 0
    files: list[Path] = field(default_factory=list)
    lost: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def lost_total(self) -> Counter[str]:
        return sum(self.lost.values(), Counter())


def recorder(taps: Taps, *, plan: Plan, about: Mapping[str, str]) -> None:
    """The node: records until it is told to stop, or until no more can be written."""
    try:
        recording = Recording(taps, plan, about)
    except LogError as error:
        print(f"nothing is recorded: {error}", flush=True)
        return
    silences = Silences(taps)
    with recording:
        for batch in taps:
            if not recording.put(batch):
                break
            for what in silences.look(batch):
                print(what, flush=True)
    if recording.failure:
        print(recording.failure, flush=True)


def about(graph: str, **more: str) -> dict[str, str]:
    """What a log tells of where it comes from; ``utc_offset`` is graph time less UTC, in ns."""
    return {
        "graph": graph,
        "zuluko": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.node()} {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "utc_offset": str(clock.now() - time.time_ns()),
        **more,
    }


class Recording:
    """Logs in the making; ``put`` takes messages and never waits. ``failure`` says why it stopped."""

    def __init__(self, taps: Taps, plan: Plan, told: Mapping[str, str]) -> None:
        self.progress = Progress()
        self.failure = ""
        self._taps, self._plan, self._about = taps, plan, told
        self._busy: dict[str, Counter[str]] = {}
        self._waiting = 0
        self._queue: queue.SimpleQueue[list[Heard] | None] = queue.SimpleQueue()
        self._told: dict[str, Counter[str]] = {}
        self._stem = _stem(plan, taps.graph)
        self._writer = self._open()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, batch: list[Heard]) -> bool:
        """False when no more can be written."""
        self.progress.lost = self._losses()
        if not batch:
            return not self.failure
        size = sum(len(heard.data) for heard in batch)
        if self._waiting + size > MOST_WAITING:
            for heard in batch:
                self._busy.setdefault(heard.topic, Counter())["recorder busy"] += 1
        else:
            self._waiting += size
            self._queue.put(batch)
        return not self.failure

    def _losses(self) -> dict[str, Counter[str]]:
        found = self._taps.lost
        for topic, causes in self._busy.items():
            found.setdefault(topic, Counter()).update(causes)
        return found

    def close(self) -> None:
        self.progress.lost = self._losses()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._write_all()
        except LogFullError as error:
            self.failure = str(error)
        except LogError as error:  # the next file cannot be opened
            self.failure = f"the recording stops: {error}"
        try:
            self._finish()
        except LogError as error:
            self.failure = self.failure or str(error)
        if self.failure:
            self.failure += f"; what was recorded before is whole: {self.progress.files[-1]}"

    def _write_all(self) -> None:
        flush = time.monotonic() + FLUSH
        while True:
            with suppress(queue.Empty):
                batch = self._queue.get(timeout=max(0.0, flush - time.monotonic()))
                if batch is None:
                    return
                for heard in batch:
                    self._write(heard)
                self._waiting -= sum(len(heard.data) for heard in batch)
            if time.monotonic() >= flush:
                flush = time.monotonic() + FLUSH
                self._flush()

    def _write(self, heard: Heard) -> None:
        channel = self._writer.channels.get(heard.topic)
        if channel is None:
            channel = self._writer.topic(heard.topic, *self._taps.type_of(heard))
        data = with_jpeg(heard.data, self._plan.quality) if self._plan.images == "jpeg" else heard.data
        self._writer.write(channel, data, seq=heard.seq, sent=heard.sent, received=heard.received)
        self.progress.messages += 1
        if self._writer.size + self._writer.waiting >= self._plan.size:
            self._split()

    def _flush(self) -> None:
        self._tell_losses()
        self._writer.flush()
        self.progress.bytes = self._before + self._writer.size
        if time.monotonic() - self._opened >= self._plan.time:
            self._split()

    def _tell_losses(self) -> None:
        lost = self.progress.lost
        if lost != self._told:
            self._told = lost
            told = {topic: msgspec.json.encode(causes).decode() for topic, causes in lost.items()}
            self._writer.tell("lost", told)

    def _split(self) -> None:
        """Begins the next file; what comes meanwhile waits in the queue."""
        self._finish()
        self._writer = self._open()
        self._delete_old()

    def _finish(self) -> None:
        try:
            self._tell_losses()
        except LogFullError as error:
            self.failure = self.failure or str(error)
        self._writer.close()
        self.progress.bytes = self._before + self._writer.size
        if self._writer.dropped:
            self.progress.messages -= self._writer.dropped
            self.failure += f"; the last {self._writer.dropped} messages gave their place to the index"

    def _open(self) -> LogWriter:
        path = _free(self._stem, begun=bool(self.progress.files))
        self._before, self._opened = self.progress.bytes, time.monotonic()
        self._told = {}
        writer = LogWriter(path)
        self.progress.files.append(path)
        writer.tell("zuluko", self._about)
        return writer

    def _delete_old(self) -> None:
        """Deletes the oldest logs of this name beyond what is to be kept; never the one being written."""
        if not (self._plan.keep_size or self._plan.keep_time):
            return
        now, size = time.time(), 0.0
        for file in sorted(_siblings(self._stem), key=lambda one: one.stat().st_mtime, reverse=True):
            told = file.stat()
            size += told.st_size
            old = self._plan.keep_time and now - told.st_mtime > self._plan.keep_time
            if file != self._writer.path and (old or (self._plan.keep_size and size > self._plan.keep_size)):
                file.unlink(missing_ok=True)


class Silences:
    """Tells of topics that live and say nothing: since the beginning, or though they used to speak often."""

    def __init__(self, taps: Taps) -> None:
        self._taps = taps
        self._last: dict[str, float] = {}
        self._interval: dict[str, float] = {}
        self._told: set[str] = set()
        self._begin = self._next = time.monotonic()

    def look(self, batch: list[Heard]) -> list[str]:
        """A sentence for each topic that has just become too silent."""
        now = time.monotonic()
        for topic in {heard.topic for heard in batch}:
            self._interval[topic] = now - self._last.get(topic, self._begin)
            self._last[topic] = now
            self._told.discard(topic)
        if now < self._next:
            return []
        self._next = now + SILENCE / 4
        silent = [
            topic for topic in self._taps.taps if topic not in self._told and self._is_silent(topic, now)
        ]
        self._told.update(silent)
        return [f"{topic} has said nothing for {SILENCE:g} s" for topic in silent]

    def _is_silent(self, topic: str, now: float) -> bool:
        if now - self._last.get(topic, self._begin) < SILENCE or not self._taps.taps[topic].connected:
            return False
        return topic not in self._last or self._interval[topic] < OFTEN


def free_bytes(path: Path) -> int:
    """What the disk has room for."""
    return shutil.disk_usage(path.parent).free


def _stem(plan: Plan, graph: str) -> Path:
    """The first file's path; in a folder it bears the graph's name and the time."""
    if plan.to.suffix == ".mcap":
        return plan.to
    try:
        plan.to.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{plan.to} cannot be made: {error.strerror}") from None
    return plan.to / f"{graph}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.mcap"


def _free(stem: Path, *, begun: bool) -> Path:
    """The path, and with the next number once it is taken: ``a.mcap``, ``a-2.mcap``, ``a-3.mcap``."""
    if not begun and not os.path.lexists(stem):
        return stem
    taken = [int(found[1]) for one in stem.parent.iterdir() if (found := _number(stem).fullmatch(one.name))]
    return stem.with_name(f"{stem.stem}-{max(taken, default=1) + 1}.mcap")


def _number(stem: Path) -> re.Pattern[str]:
    return re.compile(re.escape(stem.stem) + r"-(\d{1,9})\.mcap")


def _siblings(stem: Path) -> list[Path]:
    """The logs of one name: with another number, and in a folder of another time."""
    name = re.sub(r"-\\?\d{8}\\?-\d{6}$", r"-\\d{8}-\\d{6}", re.escape(stem.stem))
    pattern = re.compile(name + r"(-\d{1,9})?\.mcap")
    return [one for one in stem.parent.iterdir() if pattern.fullmatch(one.name) and one.is_file()]
