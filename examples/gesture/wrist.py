"""An inertial sensor on a wrist, simulated: shaken, turned over, shaken again, and turned back."""

from collections.abc import Iterator
from math import cos, pi, sin

from zuluko import Stream, Tick
from zuluko.messages import Imu, Vector3

G = 9.81  # m/s²
REST, SHAKE, TURN, OVER = 1.5, 1.2, 0.5, 3.2  # s
ROUND = 2 * REST + SHAKE + 2 * TURN + OVER
STEP_A, STEP_G = (
    16 * G / 32768,
    2000 * pi / 180 / 32768,
)  # m/s² and rad/s: an ICM-20948 at 16 g and 2000 deg/s


def wrist(ticks: Stream[Tick]) -> Iterator[Imu]:
    """Round and round: at rest, shaken to and fro along x four times a second, at rest, turned over about x,
    shaken so, and turned back. At rest z points up. Nothing in it is random, and its numbers are the sensor's
    whole steps."""
    begun = None
    for tick in ticks:
        begun = tick.stamp if begun is None else begun
        t = (tick.stamp - begun) / 1e9 % ROUND
        over = t - 2 * REST - SHAKE
        pushed, roll, rate = _shake(t - REST) + _shake(over - TURN - 1.0), *_turn(over)
        trembles = 0.15 * sin(2 * pi * 8.3 * t)
        yield Imu(
            stamp=tick.stamp,
            angular_velocity=_vector(STEP_G, rate, trembles / 20, -trembles / 30),
            linear_acceleration=_vector(STEP_A, pushed + trembles, G * sin(roll), G * cos(roll) - trembles),
        )


def _shake(t: float) -> float:
    """Pushed along x, in m/s², ``t`` seconds after the shaking began."""
    return 22.0 * sin(2 * pi * 4 * t) if 0 <= t < SHAKE else 0.0


def _turn(t: float) -> tuple[float, float]:
    """The angle about x, in rad, and its rate, ``t`` seconds after the turning over began."""
    if t < 0:
        return 0.0, 0.0
    if t < TURN:
        return pi * t / TURN, pi / TURN
    if t < TURN + OVER:
        return pi, 0.0
    return pi * (1 - (t - TURN - OVER) / TURN), -pi / TURN


def _vector(step: float, *values: float) -> Vector3:
    x, y, z = (round(value / step) * step for value in values)
    return Vector3(x=x, y=y, z=z)
