"""Edges within one process: the nodes of a group hand each other messages by reference.

The rules are those of the bus: a full queue drops its oldest message and counts it, and what is published is
not to be changed any more, so that arrays become read-only.
"""

import threading
from collections import Counter, deque
from typing import Any

from zuluko.bus.message import Message, arrays
from zuluko.bus.np import np
from zuluko.bus.poller import Poller
from zuluko.bus.wire import Envelope

_edges: dict[tuple[str, str], list["LocalEdge"]] = {}


class LocalEdge:
    """One edge; ``keep``, ``latched`` and ``lost`` as those of a ``Subscriber``."""

    def __init__(self, graph: str, topic: str, *, keep: int, poller: Poller, latched: bool = False) -> None:
        self.topic = topic
        self.received = 0
        self.lost: Counter[str] = Counter()
        self._keep, self._latched, self._poller = keep, latched, poller
        self._waiting: deque[Envelope[Any]] = deque()
        self._lock = threading.Lock()
        self._key = (graph, topic)
        _edges.setdefault(self._key, []).append(self)

    def put(self, envelope: Envelope[Any]) -> None:
        with self._lock:
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
        _edges[self._key].remove(self)


def hand_over(graph: str, topic: str, envelope: Envelope[Any]) -> None:
    """Gives a message to the edges of its topic in this process."""
    if edges := _edges.get((graph, topic)):
        message: Message = envelope.body
        for name in arrays(type(message)):
            array = getattr(message, name)
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        for edge in list(edges):
            edge.put(envelope)
