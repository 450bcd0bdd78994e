"""Edges within one process: the nodes of a group hand each other messages by reference.

The rules are those of the bus: a full queue drops its oldest message and counts it, and what is published is
not to be changed any more, so that arrays become read-only.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from typing import Any

from zuluko.bus.message import Message, arrays
from zuluko.bus.np import freeze, np
from zuluko.bus.poller import Poller
from zuluko.bus.wire import Envelope

_edges: defaultdict[tuple[str, str], list[LocalEdge]] = defaultdict(list)


class LocalEdge:
    """One edge; ``keep``, ``latched`` and ``lost`` as those of a ``Subscriber``."""

    def __init__(self, graph: str, topic: str, *, keep: int, poller: Poller, latched: bool = False) -> None:
        self.topic = topic
        self.received = 0
        self.lost: Counter[str] = Counter()
        self._keep, self._latched, self._poller = keep, latched, poller
        self._waiting: deque[Envelope[Any]] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._beside = edges(graph, topic)
        self._beside.append(self)

    def put(self, envelope: Envelope[Any]) -> None:
        with self._lock:
            if self._closed:  # while the publisher went over the others
                return
            if len(self._waiting) == self._keep:
                self._waiting.popleft()
                if not self._latched:
                    self.lost["overrun" if self._keep > 1 else "skipped"] += 1
            self._waiting.append(envelope)
            if not self._latched:
                self._poller.ring()

    def receive(self) -> Envelope[Any] | None:
        with self._lock:
            if not self._waiting:
                return None
            self.received += 1
            return self._waiting.popleft()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._beside.remove(self)


def edges(graph: str, topic: str) -> list[LocalEdge]:
    """The edges of a topic in this process, as they come and go."""
    return _edges[graph, topic]


def hand_over(edges: list[LocalEdge], envelope: Envelope[Any]) -> None:
    """Gives a message to them."""
    message: Message = envelope.body
    for name in arrays(type(message)):
        array = getattr(message, name)
        if isinstance(array, np.ndarray):
            freeze(array)
    for edge in list(edges):
        edge.put(envelope)
