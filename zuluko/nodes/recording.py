"""A recording: what was heard, into one log after the other, by a thread that may wait for the disk.

What it is asked for goes through the same queue as what it writes, so that it happens between two messages.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from zuluko.bus import clock
from zuluko.bus.log_tap import Heard, Taps, with_jpeg
from zuluko.bus.log_writer import LogError, LogFullError, LogWriter
from zuluko.messages import RecordCommand, RecordState, Result
from zuluko.nodes import log_files
from zuluko.nodes.record_plan import Plan, Trigger
from zuluko.nodes.ring import Ring

FLUSH = 1.0  # s after which what has come is on its way to the disk
SETTLE = 50_000_000  # ns that a snapshot waits for what was heard before its end and is on its way here
MOST_WAITING = 64 << 20  # bytes that wait for the disk; what comes then is lost, and counted
LARGE = 64 << 10  # bytes of a message that is lost sooner: a picture leaves room for what is small
MOST_LARGE = 48 << 20  # bytes that wait when no more of those are taken
HURRY = 16 << 20  # bytes that wait when nothing is packed any more


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


class News(NamedTuple):
    """What a recording has to tell, in words; ``state`` where it is about a command or an event."""

    text: str
    state: RecordState | None = None


class Pace:
    """The messages of one topic in one file."""

    __slots__ = ("count", "first", "last")

    def __init__(self, first: int) -> None:
        self.count, self.first, self.last = 0, first, first

    @property
    def rate(self) -> float:
        return (self.count - 1) * 1e9 / (self.last - self.first) if self.last > self.first else 0.0


@dataclass
class _Incident:
    """A snapshot in the making: graph time (ns) up to which it goes on, why, and who is to be told."""

    until: int
    stamp: int
    reasons: list[str]
    commands: list[RecordCommand] = field(default_factory=list)


class Recording:
    """Logs in the making; ``put`` takes messages and never waits, nor does ``order``, which takes commands.

    ``failure`` says why it stopped. One that ``lasts`` does not stop for a disk that is full: it may be told
    to begin again when there is room. Raises LogError where the first file cannot be made.
    """

    def __init__(self, taps: Taps, plan: Plan, told: Mapping[str, str], *, lasts: bool = False) -> None:
        self.progress = Progress()
        self.failure = ""
        self._mistake: Exception | None = None
        self._taps, self._plan, self._about = taps, plan, told
        self._lasts = lasts or plan.snapshot is not None
        self._busy: dict[str, Counter[str]] = {}
        self._waiting = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[list[Heard] | RecordCommand | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._told: dict[str, Counter[str]] = {}
        self._paces: dict[str, Pace] = {}
        self._writer: LogWriter | None = None
        self._before, self._opened = 0, 0.0
        self._incident: _Incident | None = None
        self._ring = Ring(plan.snapshot.last, plan.snapshot.memory) if plan.snapshot else None
        self._on = plan.snapshot.on if plan.snapshot else None
        if plan.images == "as-is":
            taps.take_as_is()
        self._stem = log_files.stem(plan.to, taps.graph)
        if plan.start:
            self._open()
            if self.place != self._stem:
                self._say(f"{self._stem.name} exists already; recording into {self.place.name}")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def place(self) -> Path:
        """A file of it, or where the next one will be."""
        return self._writer.path if self._writer else self._stem

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, batch: list[Heard]) -> bool:
        """False when no more can be written."""
        if self._mistake:
            raise self._mistake
        self.progress.lost = self._losses()
        if not batch:
            return not self.failure
        taken = [heard for heard in batch if self._has_room(heard)]
        if taken:
            self._queue.put(taken)
        return not self.failure

    def _has_room(self, heard: Heard) -> bool:
        size = len(heard.data)
        if self._waiting + size > (MOST_LARGE if size > LARGE else MOST_WAITING):
            self._busy.setdefault(heard.topic, Counter())["recorder busy"] += 1
            return False
        with self._lock:
            self._waiting += size
        return True

    def order(self, command: RecordCommand) -> None:
        """Has a command obeyed behind what was put before it; ``news`` tells what became of it."""
        self._queue.put(command)

    def news(self) -> Iterator[News]:
        """What there is to tell since the last call."""
        while not self._news.empty():
            yield self._news.get()

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
        except Exception as error:  # a mistake of ours
            self._mistake = error  # which `put` raises, so that the node dies and starts again
        if self._incident:
            self._end_incident()
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
                item = self._queue.get(timeout=self._patience(flush))
                if item is None:
                    return
                self._guarded(item)
            if self._incident and self._queue.empty() and clock.now() >= self._incident.until + SETTLE:
                self._end_incident()
            if time.monotonic() >= flush:
                flush = time.monotonic() + FLUSH
                self._guarded(None)

    def _patience(self, flush: float) -> float:
        left = flush - time.monotonic()
        if self._incident:
            left = min(left, (self._incident.until + SETTLE - clock.now()) / 1e9)
        return max(0.0, left)

    def _guarded(self, item: list[Heard] | RecordCommand | None) -> None:
        """Does what an item asks for, None being the flush; a failure is told, if that is not the end."""
        rest = iter(item if isinstance(item, list) else ())
        while True:
            try:
                if isinstance(item, RecordCommand):
                    self._obey(item)
                elif item is None:
                    self._flush()
                for heard in rest:
                    self._take(heard)
                break
            except LogError as error:
                if not self._lasts:
                    raise
                self._give_up(str(error))
                item = item if isinstance(item, list) else []
        if isinstance(item, list):
            with self._lock:
                self._waiting -= sum(len(heard.data) for heard in item)

    def _take(self, heard: Heard) -> None:
        if self._incident and heard.received >= self._incident.until:
            self._end_incident()
        if self._plan.images != "raw" and (self._writer or self._ring):
            heard = heard._replace(data=with_jpeg(heard.data, self._plan.quality))
        if self._ring:
            self._remember(self._ring, heard)
        if self._writer:
            self._write(self._writer, heard)
        if self._on and heard.topic in self._on.topics and self._is_event(self._on, heard):
            self._event(heard.received, self._on.text)

    def _is_event(self, trigger: Trigger, heard: Heard) -> bool:
        return trigger.fires(heard.topic, heard.data) and (self._writer is None or self._incident is not None)

    def _remember(self, ring: Ring, heard: Heard) -> None:
        before = ring.shortened
        ring.add(heard)
        if ring.shortened and not before and self._plan.snapshot:
            full, last = self._plan.snapshot.memory / (1 << 20), self._plan.snapshot.last
            what = f"only {ring.seconds:.1f} s of the last {last:g} s fit into {full:g} MB"
            self._say(f"{what}; give `snapshot` more `memory`, or record fewer topics, or pictures as jpeg")

    def _write(self, writer: LogWriter, heard: Heard) -> None:
        channel = writer.channels.get(heard.topic)
        if channel is None:
            channel = writer.topic(heard.topic, *self._taps.type_of(heard))
            self._paces[heard.topic] = Pace(heard.received)
        writer.hurry = self._waiting > HURRY
        writer.write(channel, heard.data, seq=heard.seq, sent=heard.sent, received=heard.received)
        pace = self._paces[heard.topic]
        pace.count, pace.last = pace.count + 1, heard.received
        self.progress.messages += 1
        if not self._incident and writer.size + writer.waiting >= self._plan.size:
            self._split()

    def _event(self, moment: int, reason: str, command: RecordCommand | None = None) -> None:
        """Begins a snapshot, or has the one in the making go on for longer."""
        if not (self._ring and self._plan.snapshot):
            return
        until = moment + round(self._plan.snapshot.after * 1e9)
        incident = self._incident
        if incident is None:
            self._incident = incident = _Incident(until, moment, [])
            incident.commands += [command] if command else []
            self._open(snapshot=reason)
            for heard in self._ring.since(moment):
                if self._writer:
                    self._write(self._writer, heard)
        elif command:
            incident.commands.append(command)
        incident.until = max(incident.until, until)
        if reason not in incident.reasons:
            incident.reasons.append(reason)

    def _end_incident(self) -> None:
        incident, self._incident = self._incident, None
        writer = self._writer
        if incident is None or writer is None:
            return
        try:
            kept = self._finish()
        except LogError as error:
            self._tell_incident(incident, "failed", str(error), writer.path)
            return
        self._tell_incident(incident, "done", ", ".join(incident.reasons), writer.path, kept)
        self._delete_old()

    def _tell_incident(
        self, incident: _Incident, outcome: Result, reason: str, log: Path, kept: tuple[int, float] = (0, 0.0)
    ) -> None:
        count, seconds = kept
        text = (
            f"kept {log.name}: {count} messages, {seconds:.1f} s ({reason})" if outcome == "done" else reason
        )
        asked: list[RecordCommand | None] = [*incident.commands] or [None]
        for command in asked:
            state = RecordState(
                stamp=command.stamp if command else incident.stamp,
                command=command.id if command else "",
                action="snapshot",
                outcome=outcome,
                reason=reason,
                log=str(log),
                messages=count,
                seconds=seconds,
            )
            self._news.put(News(text, state))

    def _obey(self, command: RecordCommand) -> None:
        {"start": self._start, "stop": self._stop, "snapshot": self._snap}[command.action](command)

    def _start(self, command: RecordCommand) -> None:
        if self._incident:
            self._end_incident()
        if self._writer:
            self._answer(command, "refused", "it records already")
            return
        try:
            self._open()
        except LogError as error:
            self._answer(command, "failed", str(error))
            return
        self._answer(command, "done", command.reason)

    def _stop(self, command: RecordCommand) -> None:
        if self._writer is None or self._incident:
            self._answer(command, "refused", "it does not record")
            return
        log = self._writer.path
        try:
            kept = self._finish()
        except LogError as error:
            self._answer(command, "failed", str(error), log)
            return
        self._answer(command, "done", command.reason, log, kept)
        self._delete_old()

    def _snap(self, command: RecordCommand) -> None:
        if self._ring is None:
            what = "it keeps no last seconds; write `snapshot: {last: 30s}` under `record`"
            self._answer(command, "refused", what)
        elif self._writer and not self._incident:
            self._answer(command, "refused", "all is being recorded already")
        else:
            self._event(clock.now(), command.reason or "a command", command)

    def _answer(
        self,
        command: RecordCommand,
        outcome: Result,
        reason: str,
        log: Path | None = None,
        kept: tuple[int, float] = (0, 0.0),
    ) -> None:
        log = log or (self._writer.path if self._writer else None)
        state = RecordState(
            stamp=command.stamp,
            command=command.id,
            action=command.action,
            outcome=outcome,
            reason=reason,
            log=str(log or ""),
            messages=kept[0],
            seconds=kept[1],
        )
        self._news.put(News(f"{command.action}: {outcome} ({reason})", state))

    def _give_up(self, why: str) -> None:
        """Ends the file in the making, because no more of it can be written; what was before is whole."""
        incident, self._incident = self._incident, None
        log = self._writer.path if self._writer else self._stem
        with suppress(LogError):
            self._finish()
        if incident:
            self._tell_incident(incident, "failed", why, log)
        else:
            state = RecordState(stamp=clock.now(), action="stop", outcome="failed", reason=why, log=str(log))
            self._news.put(News(why, state))

    def _say(self, text: str) -> None:
        self._news.put(News(text))

    def _flush(self) -> None:
        if self._writer is None:
            return
        self._tell_losses(self._writer)
        self._writer.flush()
        self.progress.bytes = self._before + self._writer.size
        if not self._incident and time.monotonic() - self._opened >= self._plan.time:
            self._split()

    def _tell_losses(self, writer: LogWriter) -> None:
        lost = self.progress.lost
        if lost != self._told:
            self._told = lost
            told = {topic: msgspec.json.encode(causes).decode() for topic, causes in lost.items()}
            writer.tell("lost", told)

    def _split(self) -> None:
        """Begins the next file; what comes meanwhile waits in the queue."""
        self._finish()
        self._open()
        self._delete_old()

    def _finish(self) -> tuple[int, float]:
        """Makes the file whole; how many messages it has, and how many seconds they are."""
        writer, self._writer = self._writer, None
        if writer is None:
            return 0, 0.0
        try:
            self._tell_losses(writer)
            writer.tell("rate", {topic: f"{pace.rate:.3f}" for topic, pace in self._paces.items()})
        except LogFullError as error:
            self.failure = self.failure or ("" if self._lasts else str(error))
        writer.close()
        self.progress.bytes = self._before + writer.size
        if writer.dropped:
            self.progress.messages -= writer.dropped
            what = f"the last {writer.dropped} messages gave their place to the index"
            self.failure += "" if self._lasts else f"; {what}"
            if self._lasts:
                self._say(f"{writer.path}: {what}")
        first = min((pace.first for pace in self._paces.values()), default=0)
        last = max((pace.last for pace in self._paces.values()), default=0)
        count = sum(pace.count for pace in self._paces.values()) - writer.dropped
        return count, round((last - first) / 1e9, 3)

    def _open(self, **more: str) -> None:
        """Begins a file; ``more`` is what it is to tell of itself."""
        if self._lasts:
            self._stem = log_files.stem(self._plan.to, self._taps.graph)
        path = log_files.free(self._stem, begun=self._stem in self.progress.files)
        self._before, self._opened = self.progress.bytes, time.monotonic()
        self._told, self._paces = {}, {}
        writer = LogWriter(path)
        self._writer = writer
        self.progress.files.append(path)
        writer.tell("zuluko", {**self._about, **more})

    def _delete_old(self) -> None:
        current = self._writer.path if self._writer else self.progress.files[-1]
        log_files.delete_old(self._stem, current, size=self._plan.keep_size, age=self._plan.keep_time)
