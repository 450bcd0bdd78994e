"""Streams over topics: what ``Stream`` and ``Latest`` are while a graph runs."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from zuluko.bus import clock
from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.streams import Latest, Stream, Tick
from zuluko.bus.synced import Synced
from zuluko.bus.wire import Envelope, Hop

M = TypeVar("M", bound=Message)
BEAT = 1.0  # s: a stream that waits longer gives a sign of life in between


class Edge(Protocol):
    """Where a live stream takes messages from, without waiting; its poller is woken when one has come."""

    topic: str
    received: int
    lost: Counter[str]

    def receive(self) -> Envelope[Any] | None: ...

    def close(self) -> None: ...


class Waker:
    """Wakes every stream of a process that waits, to say that it ends; ``stop`` may be called anywhere, by a
    signal handler too."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True
        os.eventfd_write(self.fd, 1)


class Timer:
    """An edge of ticks, each due ``period`` seconds after the last. A reader that comes late gets one tick
    and not the pile; the count tells how many were due."""

    def __init__(self, period: float) -> None:
        self.topic = f"every {period:g}s"
        self.received = 0
        self.lost: Counter[str] = Counter()
        self._period = round(period * 1e9)
        self._first = clock.now()
        self._count = 0

    @property
    def due(self) -> int:
        return self._first + (self._count + 1) * self._period

    def receive(self) -> Envelope[Tick] | None:
        now = clock.now()
        if now < self.due:
            return None
        self._count = (now - self._first) // self._period
        stamp = self._first + self._count * self._period
        self.received += 1
        return Envelope(1, self._count - 1, stamp, (), Tick(stamp=stamp, count=self._count))

    def close(self) -> None:
        pass


class LiveStream(Stream[M]):
    """A stream over edges. Of the messages that wait, the one with the oldest stamp comes first; none is held
    back for one that may yet come. ``cause`` is the chain to hand on with what the node makes of it."""

    def __init__(
        self, edges: Sequence[Edge], waker: Waker, poller: Poller, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self.now = clock.now()
        self.cause: tuple[Hop, ...] = ()
        self._edges, self._waker, self._poller = edges, waker, poller
        self._on_wait = on_wait
        self._pending: dict[int, Envelope[M]] = {}
        self._timers = [edge for edge in edges if isinstance(edge, Timer)]
        poller.watch(waker.fd)

    def next(self, timeout: float | None = None) -> M | None:
        until = None if timeout is None else clock.now() + round(timeout * 1e9)
        while not self._waker.stopped:
            self._on_wait()
            if (envelope := self._oldest()) is not None or (envelope := self._after_wait(until)) is not None:
                return envelope
            if until is not None and self.now >= until:
                self.cause = ()
                return None
        self.ended = True
        self.now, self.cause = clock.now(), ()
        return None

    def _look(self) -> None:
        for index, edge in enumerate(self._edges):
            if index not in self._pending and (envelope := edge.receive()) is not None:
                self._pending[index] = envelope

    def _oldest(self) -> M | None:
        self._look()
        if not self._pending:
            return None
        index = min(self._pending, key=lambda i: self._pending[i].body.stamp)
        envelope = self._pending.pop(index)
        self.topic, self.seq, self.sent = self._edges[index].topic, envelope.seq, envelope.sent
        self.cause = (*envelope.cause, envelope.hop(self.topic))
        self.now = clock.now()
        return envelope.body

    def _after_wait(self, until: int | None) -> M | None:
        """What has come when something wakes it, with nothing between that and the message."""
        self.now = clock.now()
        if until is not None and self.now >= until:
            return None
        self._wait(until)
        return None if self._waker.stopped else self._oldest()

    def _wait(self, until: int | None) -> None:
        moments = [timer.due for timer in self._timers] + ([] if until is None else [until])
        left = min(((moment - clock.now()) / 1e9 for moment in moments), default=BEAT)
        self._poller.wait(min(BEAT, max(0.0, left)))


class LiveSynced(Synced[Any, Any]):
    """Pairs from a live stream over two edges; the first one's messages are the first of each pair. What can
    wait no longer is counted at its edge."""

    def __init__(self, stream: LiveStream[Any], edges: Sequence[Edge], *, tolerance: float) -> None:
        super().__init__(tolerance=tolerance)
        first, second = edges
        self._stream, self._topics = stream, (first.topic, second.topic)
        self._pairing.lost = first.lost, second.lost

    def _messages(self) -> Iterator[tuple[int, Message]]:
        for message in self._stream:
            yield self._topics.index(self._stream.topic), message


class LiveLatest(Latest[M]):
    """The newest message of one edge, taken when it is asked for."""

    def __init__(self, edge: Edge, driver: Stream[Message] | None) -> None:
        super().__init__(driver=driver)
        self._edge = edge

    @property
    def value(self) -> M | None:
        while (envelope := self._edge.receive()) is not None:
            self._value = envelope.body
        return self._value

    @value.setter
    def value(self, message: M | None) -> None:
        self._value = message

    @property
    def age(self) -> float:
        if self.value is None:
            return float("inf")
        now = self._driver.now if self._driver else clock.now()
        return (now - self.value.stamp) / 1e9
