"""The lock node: opens on fresh evidence, and is locked at all other times."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from zuluko.actions.bolts import Bolt, bolt, find_driver
from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import LockCommand, LockState

HEARTBEAT = 1.0  # seconds between states when nothing changes
RETRY = 0.2  # seconds until a bolt that did not move is driven again
PAUSE = 0.1  # seconds between the tries to lock at the end, when nothing else can be waited for
TRIES = 5  # in a row, before the node gives up and is restarted


class BoltError(RuntimeError):
    """The bolt does not do what it is told, time after time."""


def lock(
    commands: Stream[LockCommand],
    *,
    driver: str = "simulated",
    max_evidence_age: float = 0.5,
    max_open: float = 30.0,
) -> Iterator[LockState]:
    """Drives a bolt: ``driver`` is a name in ``zuluko.actions.bolts.DRIVERS``, or ``name:argument``.

    Evidence older than ``max_evidence_age`` seconds, or from the future, opens nothing. From the command that
    opened it, the lock stays open for at most ``max_open`` seconds, however many follow. Raises BoltError
    when the bolt does not move; ValueError, before anything moves, for an unknown driver and for limits that
    limit nothing.
    """
    _check_limits(max_evidence_age, max_open)
    yield from drive(commands, bolt(driver), max_evidence_age=max_evidence_age, max_open=max_open)


def check_lock(*, driver: str, **limits: float) -> Iterator[Fault]:
    """What is wrong with the configuration, without a bolt being moved."""
    for name, limit in limits.items():
        if wrong := _wrong(limit):
            yield Fault(name, wrong)
    try:
        find_driver(driver)
    except ValueError as error:
        yield Fault("driver", str(error))


def drive(
    commands: Stream[LockCommand], bolt: Bolt, *, max_evidence_age: float = 0.5, max_open: float = 30.0
) -> Iterator[LockState]:
    """The same with a bolt of one's own. Whatever ends it, the bolt is locked before it ends."""
    _check_limits(max_evidence_age, max_open)
    keeper = _Keeper(bolt, max_evidence_age, max_open, now=commands.now)
    try:
        yield from keeper.secure("start", commands.now)
        while not commands.ended:
            command = commands.next(timeout=max(0.0, (keeper.deadline - commands.now) / 1e9))
            keeper.now = commands.now
            if command is not None:
                yield from keeper.obey(command)
            yield from keeper.keep()
        if keeper.opened is not None:
            yield from keeper.secure("the lock was told to stop", commands.now)
    finally:
        _leave_locked(bolt)


def _check_limits(max_evidence_age: float, max_open: float) -> None:
    for name, limit in (("max_evidence_age", max_evidence_age), ("max_open", max_open)):
        if wrong := _wrong(limit):
            raise ValueError(f"`{name}` {wrong}")


def _wrong(limit: float) -> str:
    good = math.isfinite(limit) and limit > 0
    return "" if good else f"must be a time longer than 0 s, not {limit:g}; write 500ms or 30s"


@dataclass
class _Keeper:
    """What the lock should be, how it is told, and what is to be done next.

    ``now``     graph time (ns), set before each call
    ``opened``  when it was opened, None while it is to be locked
    ``until``   when it is to lock again
    ``told``    when a state was last told
    ``stuck``   how many times in a row it did not lock, ``closed`` how many times it did not open
    """

    bolt: Bolt
    max_evidence_age: float
    max_open: float
    now: int
    opened: int | None = None
    until: int = 0
    told: int = 0
    stuck: int = 0
    closed: int = 0
    reason: str = ""
    command: str = ""

    @property
    def deadline(self) -> int:
        """When there is something to do without a command."""
        if self.stuck:
            return self.now + _ns(RETRY)
        beat = self.told + _ns(HEARTBEAT)
        return beat if self.opened is None else min(beat, self.until)

    def obey(self, command: LockCommand) -> Iterator[LockState]:
        """Opens, prolongs, locks or refuses. To lock needs no evidence."""
        self.command = command.id
        if command.open_for == 0:
            yield from self.secure(command.reason or "locked by command", command.stamp)
        elif refusal := self._refusal(command):
            yield self._state(self.now, f"refused: {refusal}")
        else:
            yield from self._open(command)

    def keep(self) -> Iterator[LockState]:
        """Locks when the time is up, drives a stuck bolt again, and tells how it is once a second."""
        if self.opened is not None and self.now >= self.until:
            yield from self.secure("time is up", self.now)
        elif not self.stuck and self.now < self.told + _ns(HEARTBEAT):
            return
        elif self.opened is None and not self._is_locked():
            yield from self.secure(self.reason, self.now)
        elif self.opened is not None and self._is_locked():
            yield from self.secure("the bolt fell shut", self.now)
        else:
            self.stuck = 0
            yield self._state(self.now, self.reason)

    def secure(self, reason: str, stamp: int) -> Iterator[LockState]:
        """Locks, and tells what the bolt then reads; raises BoltError after TRIES failures in a row."""
        self.opened, self.until, self.reason = None, 0, reason
        problem = self._drive(self.bolt.lock, locked=True)
        self.stuck = self.stuck + 1 if problem else 0
        yield self._state(stamp, f"{reason}, but it did not lock: {problem}" if problem else reason)
        if self.stuck >= TRIES:
            raise BoltError(f"the bolt did not lock, {TRIES} times in a row: {problem}")

    def _open(self, command: LockCommand) -> Iterator[LockState]:
        problem = self._drive(self.bolt.unlock, locked=False) if self.opened is None else ""
        if problem:
            self.closed += 1
            yield from self.secure(f"did not unlock: {problem}", command.stamp)
            if self.closed >= TRIES:
                raise BoltError(f"the bolt did not unlock, {TRIES} times in a row: {problem}")
            return
        self.closed = 0
        self.opened = self.now if self.opened is None else self.opened
        wanted = max(self.until, self.now + _ns(min(command.open_for, self.max_open)))
        self.until = min(wanted, self.opened + _ns(self.max_open))
        self.reason = command.reason or "opened by command"
        yield self._state(command.stamp, self.reason)

    def _refusal(self, command: LockCommand) -> str:
        """Why a command must not open the lock, or nothing."""
        age = (self.now - command.stamp) / 1e9
        if age < 0:
            return f"the evidence is {-age:.3g} s from the future"
        if not age <= self.max_evidence_age:
            return f"the evidence is {age:.3g} s old, at most {self.max_evidence_age:g} s"
        return "" if command.open_for > 0 else f"open_for must be 0 s or more, not {command.open_for:g}"

    def _drive(self, move: Callable[[], None], *, locked: bool) -> str:
        """Moves the bolt and looks whether it has; what went wrong, or nothing."""
        try:
            move()
            return "" if self.bolt.is_locked == locked else "the bolt did not move"
        except (
            Exception
        ) as error:  # a hardware library raises what it likes; the door must be shut all the same
            return _told(error)

    def _is_locked(self) -> bool:
        """What the bolt reads; a bolt that cannot be read counts as not locked."""
        try:
            return self.bolt.is_locked
        except Exception:
            return False

    def _state(self, stamp: int, reason: str) -> LockState:
        self.told = self.now
        state: Literal["locked", "unlocked"] = "locked" if self._is_locked() else "unlocked"
        return LockState(stamp=stamp, state=state, reason=reason, until=self.until, command=self.command)


def _leave_locked(bolt: Bolt) -> None:
    """Locks for good; raises BoltError where the bolt does not."""
    problem = "the bolt did not move"
    try:
        for number in range(TRIES):
            time.sleep(PAUSE if number else 0.0)
            try:
                bolt.lock()
                if bolt.is_locked:
                    return
                problem = "the bolt did not move"
            except Exception as error:
                problem = _told(error)
        raise BoltError(f"the bolt did not lock at the end: {problem}")
    finally:
        bolt.close()


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
