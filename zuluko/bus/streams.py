"""Streams: what a node reads. Built over a list they serve a test; over topics, a running graph."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from zuluko.bus.message import Message

QUEUE = 64  # messages that an edge keeps for a busy reader unless told otherwise
POLLS, SHORTEST = 10, 1_000  # so many timeouts in a row that are shorter (ns) pass without a wait

M = TypeVar("M", bound=Message)
M_co = TypeVar("M_co", bound=Message, covariant=True)


class Tick(Message, tag="Tick/1"):
    """A beat of a timer input (``ticks: every 500ms``); ``stamp`` is the moment at which it was due."""

    count: int = 0


class Polls:
    """Counts the polls of a node in a row: timeouts, in ns, that pass in vain and without a wait."""

    def __init__(self) -> None:
        self._in_row = 0

    def too_many(self, wait: int) -> bool:
        """Whether one more timeout is one too many."""
        self._in_row = self._in_row + 1 if wait < SHORTEST else 0
        return self._in_row > POLLS

    def end(self) -> None:
        """Something was there."""
        self._in_row = 0


class Stream(Generic[M_co]):
    """The messages of one or several topics, in order: the input that drives a node's loop.

    ``for message in stream`` ends when the node is told to stop. ``next(timeout=...)`` returns None when
    nothing came in time, and when the stream has ``ended``. ``Stream([...])`` over a list runs the same
    node in a test: time then is what the stamps say, and a timeout passes as soon as it is asked for. A node
    that polls, and so has no time pass, gets the next message after some polls in vain.

    ``now``    graph time (ns) at which the last ``next`` returned: the only clock a node needs
    ``topic``  the topic of the last message
    ``seq``    its number in that topic
    ``sent``   graph time (ns) at which it was sent; 0 over a list
    """

    def __init__(self, items: Iterable[M_co] = (), *, topic: str = "") -> None:
        self._items: Iterator[M_co] = iter(items)
        self._waiting: M_co | None = None
        self.topic = topic
        self.seq = -1
        self.sent = 0
        self.now = 0
        self.ended = False
        self._polls = Polls()

    def __iter__(self) -> Iterator[M_co]:
        while (message := self.next()) is not None:
            yield message

    def next(self, timeout: float | None = None) -> M_co | None:
        """The next message; None after ``timeout`` seconds without one, or at the end."""
        if self._waiting is None:
            self._waiting = next(self._items, None)
        message = self._waiting
        if message is None:
            self.ended = timeout is None or self._pass(timeout)
            return None
        if timeout is not None and self.now and self._passes(timeout, message.stamp):
            return None
        self._waiting = None
        self._polls.end()
        self.now = max(self.now, message.stamp)
        self.seq += 1
        return message

    def _pass(self, timeout: float) -> bool:
        self.now += max(0, round(timeout * 1e9))
        return True

    def _passes(self, timeout: float, until: int) -> bool:
        """Whether a timeout passes before the moment of the next message."""
        wait = max(0, round(timeout * 1e9))
        too_many = self._polls.too_many(wait)
        return until > self.now + wait and not too_many and self._pass(timeout)


class Latest(Generic[M]):
    """The newest message of a topic, for an input that does not drive the loop.

    ``value`` is that message, or None; ``age`` is in seconds, counted back from the message that drives the
    loop (``driver``), and infinite without a value. In a test: ``Latest(message)``.
    """

    def __init__(self, value: M | None = None, *, driver: Stream[Message] | None = None) -> None:
        self._value = value
        self._driver = driver

    @property
    def value(self) -> M | None:
        return self._value

    @value.setter
    def value(self, message: M | None) -> None:
        self._value = message

    @property
    def age(self) -> float:
        if self.value is None:
            return float("inf")
        return (self._driver.now - self.value.stamp) / 1e9 if self._driver else 0.0
