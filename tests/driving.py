"""Sensors for graphs of tests."""

import time
from collections.abc import Iterator

from zuluko import Message, empty
from zuluko.bus import clock
from zuluko.messages import Frame


class Range(Message, tag="Range/1"):
    """Metres to what stands before it."""

    metres: float = 0.0


def rangefinder(*, metres: float = 2.0, hz: float = 50.0) -> Iterator[Range]:
    while True:
        yield Range(stamp=clock.now(), metres=metres)
        time.sleep(1 / hz)


def night(*, hz: float = 20.0, first: int = 20) -> Iterator[Frame]:
    """A grey picture, and after the ``first`` ones a brighter one with a stranger in it."""
    number = 0
    while True:
        number += 1
        image = empty((96, 128, 3))  # too large to be in the message itself
        image[:] = 200 if number == first else 100
        yield Frame(stamp=clock.now(), image=image, scene="stranger" if number >= first else "")
        time.sleep(1 / hz)
