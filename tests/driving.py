"""A range finder for graphs of tests."""

import time
from collections.abc import Iterator

from zuluko import Message
from zuluko.bus import clock


class Range(Message, tag="Range/1"):
    """Metres to what stands before it."""

    metres: float = 0.0


def rangefinder(*, metres: float = 2.0, hz: float = 50.0) -> Iterator[Range]:
    while True:
        yield Range(stamp=clock.now(), metres=metres)
        time.sleep(1 / hz)
