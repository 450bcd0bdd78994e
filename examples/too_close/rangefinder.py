"""A range sensor that looks ahead from a simulated base to a wall."""

from collections.abc import Iterator

from zuluko import Latest, Message, Stream, Tick
from zuluko.messages import DriveState


class Range(Message, tag="Range/1"):
    """Metres to the nearest thing ahead."""

    metres: float


def rangefinder(
    ticks: Stream[Tick], base: Latest[DriveState], *, wall: float = 1.5, dies_at: float = 0.0
) -> Iterator[Range]:
    """``wall`` is so many metres from the start. Nearer to it than ``dies_at`` metres it is silent."""
    for tick in ticks:
        metres = wall - (base.value.x if base.value else 0.0)
        if metres >= dies_at:
            yield Range(stamp=tick.stamp, metres=metres)
