"""The drive node: moves a mobile base on fresh evidence, and stands still at all other times."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zuluko.actions.wheels import STILL, Pose, Speed, Wheels, find_driver, wheels
from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import DriveCommand, DriveState

TURN = 0.02  # seconds between two steps while it moves
TELLING = 0.1  # seconds between states while it moves
HEARTBEAT = 1.0  # seconds between states while it stands
PAUSE = 0.02  # seconds between the tries to stop at the end
TRIES = 5  # at the end
GIVE_UP = 1.0  # seconds for which wheels may disobey, before the node gives up and is restarted

Pair = tuple[float, float]


class WheelsError(RuntimeError):
    """The wheels do not do what they are told, time after time."""


@dataclass(frozen=True)
class Limits:
    """What a base may do: each pair is linear and angular, in m/s, rad/s, m/s² and rad/s²; times in seconds.

    ``speed``         no command drives faster
    ``acceleration``  how fast it gets faster, ``braking`` how fast slower
    ``timeout``       without a fresh command for so long, it stops
    ``max_evidence_age``  older evidence moves nothing
    """

    speed: Pair = (0.5, 1.5)
    acceleration: Pair = (0.5, 3.0)
    braking: Pair = (2.0, 12.0)
    timeout: float = 0.3
    max_evidence_age: float = 0.5

    def faults(self) -> Iterator[Fault]:
        """The limits that limit nothing, or let nothing move."""
        for name in ("speed", "acceleration", "braking"):
            pair: Pair = getattr(self, name)
            if not all(math.isfinite(one) and one > 0 for one in pair):
                key = "max_speed" if name == "speed" else name
                yield Fault(key, f"must be two numbers above 0, not {list(pair)}")
        for name in ("timeout", "max_evidence_age"):
            if not (math.isfinite(limit := getattr(self, name)) and limit > 0):
                yield Fault(name, f"must be a time longer than 0 s, not {limit:g}; write 300ms")


def drive(
    commands: Stream[DriveCommand],
    *,
    driver: str = "simulated",
    max_speed: Pair = (0.5, 1.5),
    acceleration: Pair = (0.5, 3.0),
    braking: Pair = (2.0, 12.0),
    timeout: float = 0.3,
    max_evidence_age: float = 0.5,
) -> Iterator[DriveState]:
    """Drives wheels: ``driver`` is a name in ``zuluko.actions.wheels.DRIVERS``, or ``name:argument``.

    Pairs are linear and angular: m/s and rad/s, m/s² and rad/s². A base that hears no fresh command for
    ``timeout`` seconds brakes and stands. Evidence older than ``max_evidence_age`` seconds, from the future,
    or from before the last command to stop moves nothing. To stop needs no evidence. Raises WheelsError when
    the wheels do not do what they are told; ValueError, before anything moves, for an unknown driver and
    for limits that limit nothing.
    """
    limits = Limits(max_speed, acceleration, braking, timeout, max_evidence_age)
    _check(limits)
    yield from steer(commands, wheels(driver), limits)


def check_drive(*, driver: str, max_speed: Pair, **limits: float | Pair) -> Iterator[Fault]:
    """What is wrong with the configuration, without a wheel being moved."""
    yield from Limits(speed=max_speed, **limits).faults()  # type: ignore[arg-type]
    try:
        find_driver(driver)
    except ValueError as error:
        yield Fault("driver", str(error))


def steer(
    commands: Stream[DriveCommand], wheels: Wheels, limits: Limits | None = None
) -> Iterator[DriveState]:
    """The same with wheels of one's own. Whatever ends it, they are stopped before it ends."""
    limits = limits or Limits()
    _check(limits)
    pilot = _Pilot(wheels, limits, now=commands.now)
    try:
        yield from pilot.halt("start")
        while not commands.ended:
            command = commands.next(timeout=max(0.0, (pilot.deadline - commands.now) / 1e9))
            pilot.now = commands.now
            if command is not None:
                yield from pilot.obey(command)
            yield from pilot.step()
        if pilot.busy:
            yield from pilot.halt("the drive was told to stop")
    finally:
        _leave_stopped(wheels)


def _check(limits: Limits) -> None:
    for fault in limits.faults():
        raise ValueError(f"`{fault.key}` {fault.what}")


@dataclass
class _Pilot:
    """What the wheels should do, how they are told, and what is to be done next.

    ``now``       graph time (ns), set before each call
    ``wanted``    the speed that the last command asked for, good ``until`` then
    ``given``     the speed that the wheels were told last, on the way to it, and when they were (``stepped``)
    ``halted``    the stamp of the last command to stop: what was seen before it moves nothing
    ``told``      when a state was last told
    ``failing``   since when the wheels have not done what they were told; 0 while they do
    ``problem``   what they did not do
    """

    wheels: Wheels
    limits: Limits
    now: int
    wanted: Speed = STILL
    until: int = 0
    given: Speed = STILL
    stepped: int = 0
    halted: int = 0
    told: int = 0
    failing: int = 0
    problem: str = ""
    reason: str = ""
    command: str = ""

    @property
    def busy(self) -> bool:
        """Whether there is a next step."""
        return self.given != STILL or self.wanted != STILL or self.failing > 0

    @property
    def deadline(self) -> int:
        """When there is something to do without a command."""
        return self.stepped + _ns(TURN) if self.busy else self.told + _ns(HEARTBEAT)

    def obey(self, command: DriveCommand) -> Iterator[DriveState]:
        """Takes over a speed within the limits, stops, or refuses."""
        self.command = command.id
        if command.linear == 0 and command.angular == 0:
            self.halted = max(self.halted, min(command.stamp, self.now))
            yield from self._want(STILL, command.reason or "stopped by command", command.stamp)
        elif refusal := self._refusal(command):
            yield self._state(self.now, f"refused: {refusal}")
        else:
            asked = Speed(command.linear, command.angular)
            speed = Speed(*(_within(one, most) for one, most in zip(asked, self.limits.speed, strict=True)))
            cut = ", cut to the limits" if speed != asked else ""
            self.until = self.now + _ns(self.limits.timeout)
            yield from self._want(speed, (command.reason or "driven by command") + cut, command.stamp)

    def step(self) -> Iterator[DriveState]:
        """Brings the wheels nearer to what is wanted, brakes when nobody says anything, and tells."""
        if self.wanted != STILL and self.now >= self.until:
            yield from self._want(STILL, f"no command for {self.limits.timeout:g} s", self.now)
        if self.busy and self.now >= self.stepped + _ns(TURN):
            yield from self._move()
            if not self.busy:
                yield self._state(self.now, self.reason)
        if self.now >= self.told + _ns(TELLING if self.busy else HEARTBEAT):
            if not self.busy and not self._rests():
                yield from self.halt(self.reason)  # what moves though nobody wants it to
            else:
                yield self._state(self.now, self.reason)

    def halt(self, reason: str) -> Iterator[DriveState]:
        """Stops at once, without braking, and tells."""
        self.wanted = self.given = STILL
        self.reason, self.stepped = reason, self.now
        problem = self._stop()
        yield from self._judge(problem)
        if not problem:
            yield self._state(self.now, reason)

    def _want(self, speed: Speed, reason: str, stamp: int) -> Iterator[DriveState]:
        """A new speed. Nothing is told of one that only prolongs what is."""
        news = (speed, reason) != (self.wanted, self.reason)
        if not self.busy:
            self.stepped = self.now - _ns(TURN)  # the first step is due at once
        self.wanted, self.reason = speed, reason
        if news:
            yield self._state(stamp, reason)

    def _refusal(self, command: DriveCommand) -> str:
        """Why a command must not move anything, or nothing."""
        age = (self.now - command.stamp) / 1e9
        if not (math.isfinite(command.linear) and math.isfinite(command.angular)):
            return f"a speed must be a finite number, not {command.linear:g} and {command.angular:g}"
        if age < 0:
            return f"the evidence is {-age:.3g} s from the future"
        if not age <= self.limits.max_evidence_age:
            return f"the evidence is {age:.3g} s old, at most {self.limits.max_evidence_age:g} s"
        return "the evidence is from before the last command to stop" if command.stamp < self.halted else ""

    def _move(self) -> Iterator[DriveState]:
        """One step towards what is wanted. A step that comes late makes up for no lost time."""
        seconds = min((self.now - self.stepped) / 1e9, 2 * TURN)
        self.stepped = self.now
        faster, slower = self.limits.acceleration, self.limits.braking
        self.given = Speed(
            *(
                _towards(self.given[axis], self.wanted[axis], faster[axis] * seconds, slower[axis] * seconds)
                for axis in (0, 1)
            )
        )
        problem = self._stop() if self.given == STILL else self._drive()
        if problem:
            self.wanted = self.given = STILL  # what cannot be driven is stopped, until the next command
        yield from self._judge(problem)

    def _judge(self, problem: str) -> Iterator[DriveState]:
        """Tells of what the wheels did not do; raises WheelsError when it has gone on for too long."""
        self.problem = problem
        if not problem:
            self.failing = 0
            return
        if not self.failing:
            self.failing = self.now
            yield self._state(self.now, self.reason)
        if self.now - self.failing >= _ns(GIVE_UP):
            raise WheelsError(f"the wheels have not obeyed for {GIVE_UP:g} s: {problem}")

    def _drive(self) -> str:
        """Has the wheels turn; what went wrong, or nothing."""
        try:
            self.wheels.drive(self.given, now=self.now, valid=self.limits.timeout)
        except (
            Exception
        ) as error:  # a hardware library raises what it likes; the base must stand all the same
            return f"it did not drive: {_told(error)}"
        return ""

    def _stop(self) -> str:
        """Stops the wheels and looks whether they have; what went wrong, or nothing."""
        try:
            self.wheels.stop()
            return "" if self.wheels.speed(self.now) == STILL else "the wheels still turn"
        except Exception as error:
            return f"it did not stop: {_told(error)}"

    def _rests(self) -> bool:
        """Whether the wheels read so; wheels that cannot be read count as moving."""
        try:
            return self.wheels.speed(self.now) == STILL
        except Exception:
            return False

    def _state(self, stamp: int, reason: str) -> DriveState:
        self.told = self.now
        reason += f", but {self.problem}" if self.problem else ""
        state: Literal["stopped", "moving"] = "moving"
        try:
            speed, pose = self.wheels.speed(self.now), self.wheels.pose(self.now)
            state = "stopped" if speed == STILL else "moving"
        except Exception as error:
            speed, pose, reason = self.given, Pose(), f"{reason}; it cannot be read: {_told(error)}"
        return DriveState(
            stamp=stamp, state=state, **speed._asdict(), **pose._asdict(), reason=reason, command=self.command
        )


def _leave_stopped(wheels: Wheels) -> None:
    """Stops for good; raises WheelsError where the wheels do not."""
    problem = ""
    try:
        for number in range(TRIES):
            time.sleep(PAUSE if number else 0.0)
            try:
                wheels.stop()
                return
            except Exception as error:
                problem = _told(error)
        raise WheelsError(f"the wheels did not stop at the end: {problem}")
    finally:
        wheels.close()


def _towards(have: float, want: float, faster: float, slower: float) -> float:
    """The next speed on the way from one to another; through 0 it first gets slower."""
    if have * want < 0:
        want = 0.0
    most = slower if abs(want) < abs(have) else faster
    return have + max(-most, min(most, want - have))


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
