"""Wheels: what a drive node moves. A driver is a class that fits ``Wheels`` and a line in ``DRIVERS``."""

import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import cos, pi, sin
from typing import NamedTuple, Protocol

from zuluko.document import nearest


class Speed(NamedTuple):
    """Metres a second forward, and radians a second to the left (REP-103)."""

    linear: float = 0.0
    angular: float = 0.0


class Pose(NamedTuple):
    """Metres and radians in the frame ``odom`` of REP-105: where it stood at the start, looking along x."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0


STILL = Speed()


class Wheels(Protocol):
    """A mobile base that can be driven and read.

    ``drive`` holds good for ``valid`` seconds only: the hardware stops by itself when nothing new comes, for
    the process that drives it may be killed or hang at any moment. Motor controllers call this their
    watchdog or serial timeout. ``now`` is graph time (ns). Each may raise OSError, or what else the
    hardware's library raises. Nothing is believed: ``speed`` and ``pose`` are what the sensors read.
    """

    def drive(self, speed: Speed, *, now: int, valid: float) -> None: ...

    def stop(self) -> None:
        """Stops at once, as hard as the hardware can."""

    def speed(self, now: int) -> Speed: ...

    def pose(self, now: int) -> Pose: ...

    def close(self) -> None:
        """Gives the hardware back, which then stands still."""


def wheels(driver: str) -> Wheels:
    """What a launch file's ``driver`` names: ``simulated``, ``simulated:PATH``; raises ValueError."""
    return find_driver(driver)(driver.partition(":")[2])


def find_driver(driver: str) -> "Callable[[str], Wheels]":
    """What makes the wheels, nothing of which is touched yet; raises ValueError with the choices."""
    name = driver.partition(":")[0]
    if name not in DRIVERS:
        near = nearest(name, DRIVERS) or f"; there is {', '.join(sorted(DRIVERS))}"
        raise ValueError(f"there is no drive driver `{name}`{near}")
    return DRIVERS[name]


class SimulatedWheels:
    """A base that does at once what it is told, without slip, and stops when nothing new comes in time.

    Without a path it lives in memory. With one, its speed is a file that others may read by ``reading``,
    with the moment until which it is good: a process that dies or hangs has stopped by then.

    ``fail_on`` and ``jam_on`` make it a bad one: ``{"stop": 2}`` lets the next two calls of ``stop`` raise
    OSError, or return without having stopped anything. Both may be changed while it is in use.
    """

    def __init__(
        self,
        path: str = "",
        *,
        fail_on: Mapping[str, int] | None = None,
        jam_on: Mapping[str, int] | None = None,
    ) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644) if path else -1
        self._speed, self._pose = STILL, Pose()
        self._at = self._until = 0
        self.fail_on = Counter(fail_on or {})
        self.jam_on = Counter(jam_on or {})

    def drive(self, speed: Speed, *, now: int, valid: float) -> None:
        if self._moves("drive"):
            self._roll(now)
            self._set(speed, valid)
            self._until = now + round(valid * 1e9)

    def stop(self) -> None:
        if self._moves("stop"):
            self._set(STILL, 0.0)

    def speed(self, now: int) -> Speed:
        self._moves("read")
        return self._speed if now < self._until else STILL

    def pose(self, now: int) -> Pose:
        self._roll(now)
        return self._pose

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _moves(self, what: str) -> bool:
        if self.fail_on[what] > 0:
            self.fail_on[what] -= 1
            raise OSError(f"the simulated wheels were told to fail on {what}")
        self.jam_on[what] -= 1
        return self.jam_on[what] < 0

    def _roll(self, now: int) -> None:
        """Moves on to ``now``, or to the moment at which it stopped by itself."""
        seconds = max(0, min(now, self._until) - self._at) / 1e9
        self._pose = advanced(self._pose, self._speed, seconds)
        self._at = max(self._at, now)

    def _set(self, speed: Speed, valid: float) -> None:
        self._speed = speed
        if self._file >= 0:
            os.pwrite(self._file, _READING.pack(*speed, time.monotonic() + valid), 0)


def advanced(pose: Pose, speed: Speed, seconds: float) -> Pose:
    """Where a base comes to that keeps its speed: along an arc, exactly (Thrun, Burgard and Fox,
    Probabilistic Robotics, 2005, eq. 5.9)."""
    turned = speed.angular * seconds
    yaw = pose.yaw + turned
    if abs(turned) < 1e-6:  # the chord of so short an arc is its length, to a part in 10^13
        middle = pose.yaw + turned / 2
        length = speed.linear * seconds
        x, y = pose.x + length * cos(middle), pose.y + length * sin(middle)
    else:
        radius = speed.linear / speed.angular
        x, y = pose.x + radius * (sin(yaw) - sin(pose.yaw)), pose.y - radius * (cos(yaw) - cos(pose.yaw))
    return Pose(x, y, (yaw + pi) % (2 * pi) - pi)


def reading(path: os.PathLike[str] | str) -> Speed:
    """What simulated wheels with this file do: they move only until the moment that they were told."""
    try:
        with open(path, "rb") as file:
            linear, angular, until = _READING.unpack(file.read(_READING.size))
    except (FileNotFoundError, struct.error):
        return STILL
    return Speed(linear, angular) if time.monotonic() < until else STILL


_READING = struct.Struct("<ddd")  # linear, angular, and until when on the monotonic clock

DRIVERS: dict[str, Callable[[str], Wheels]] = {"simulated": SimulatedWheels}
