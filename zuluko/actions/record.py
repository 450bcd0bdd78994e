"""The record node: what a rule can tell the recorder.

With ``driver: recorder`` the launcher puts the graph's recorder in this node's place, which takes the same
commands and tells the same states; what it records stands under ``record`` in the launch file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zuluko.bus.streams import Stream
from zuluko.document import Fault, nearest
from zuluko.messages import RecordCommand, RecordState, Result

DRIVERS = ("recorder", "simulated")
AFTER = 5.0  # seconds that a simulated snapshot goes on


def record(commands: Stream[RecordCommand], *, driver: str = "simulated") -> Iterator[RecordState]:
    """Simulates a recorder: it obeys as one would that keeps the last seconds, and writes nothing."""
    for fault in check_record(driver=driver):
        raise ValueError(f"`{fault.key}`: {fault.what}")
    recorder = SimulatedRecorder()
    while not commands.ended:
        left = None if recorder.until is None else max(0.0, (recorder.until - commands.now) / 1e9)
        command = commands.next(timeout=left)
        yield from recorder.look(commands.now)
        if command is not None:
            yield from recorder.obey(command, commands.now)
    yield from recorder.end(commands.now)


def check_record(*, driver: str) -> Iterator[Fault]:
    """What is wrong with the configuration."""
    if driver not in DRIVERS:
        known = nearest(driver, DRIVERS) or f"; there are: {', '.join(DRIVERS)}"
        yield Fault("driver", f"there is no driver `{driver}`{known}")


class _Log(NamedTuple):
    path: Path
    begun: int


class SimulatedRecorder:
    """Obeys without a disk: its logs are names and times. ``until`` is when its snapshot is whole (ns)."""

    def __init__(self) -> None:
        self.until: int | None = None
        self._recording: _Log | None = None
        self._snapshot: _Log | None = None
        self._asked: list[RecordCommand] = []
        self._count = 0

    def obey(self, command: RecordCommand, now: int) -> Iterator[RecordState]:
        match command.action:
            case "start" if self._recording:
                yield _state(command, "refused", "it records already", self._recording, now)
            case "start":
                yield from self.end(now)
                self._recording = self._next(now)
                yield _state(command, "done", command.reason, self._recording, now)
            case "stop" if self._recording is None:
                yield _state(command, "refused", "it does not record", None, now)
            case "stop":
                log, self._recording = self._recording, None
                yield _state(command, "done", command.reason, log, now)
            case "snapshot" if self._recording:
                yield _state(command, "refused", "all is being recorded already", self._recording, now)
            case "snapshot":
                self._snapshot = self._snapshot or self._next(now)
                self._asked.append(command)
                self.until = now + round(AFTER * 1e9)

    def look(self, now: int) -> Iterator[RecordState]:
        """What becomes of the snapshot when its time has come."""
        if self.until is not None and now >= self.until:
            yield from self.end(now)

    def end(self, now: int) -> Iterator[RecordState]:
        """Makes the snapshot whole, as far as it is."""
        for command in self._asked:
            yield _state(command, "done", command.reason, self._snapshot, now)
        self._asked, self._snapshot, self.until = [], None, None

    def _next(self, now: int) -> _Log:
        self._count += 1
        return _Log(Path("simulated") / f"{self._count}.mcap", now)


def _state(command: RecordCommand, outcome: Result, reason: str, log: _Log | None, now: int) -> RecordState:
    return RecordState(
        stamp=command.stamp,
        command=command.id,
        action=command.action,
        outcome=outcome,
        reason=reason,
        log=str(log.path) if log else "",
        seconds=(now - log.begun) / 1e9 if log and outcome == "done" else 0.0,
    )
