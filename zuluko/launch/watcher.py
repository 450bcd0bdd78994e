"""Evaluates the ``when:`` of a graph's entries against the latest messages, in a process of its own: the
supervisor forks and may open no topic.

It tells the supervisor what has changed, one JSON object a packet: ``{"node": ..., "holds": true}``; null
while it cannot be known.
"""

import json
import signal
import socket
from collections.abc import Iterable

from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.subscriber import Subscriber
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.runner import ORPHANED, outlive_by

LOOK = 0.1  # s between two looks at the topics, which cost their publishers nothing


def has_topics(entries: Iterable[Entry]) -> bool:
    """Whether there is anything to watch."""
    return any(entry.when.topics for entry in entries if entry.when)


class Watcher:
    """The latest messages, and what the conditions said of them last."""

    def __init__(self, graph: Graph, tell: socket.socket) -> None:
        self._tell = tell
        self._conditions = {entry.name: entry.when for entry in graph.entries.values() if entry.when}
        topics = {topic.name: topic for found in self._conditions.values() for topic in found.topics}
        self._poller = Poller(graph.name)
        self._subscribers = [
            Subscriber[Message](graph.name, topic.name, topic.kind, keep=1, poller=self._poller, latched=True)
            for topic in topics.values()
        ]
        self._latest: dict[str, Message] = {}
        self._told: dict[str, bool | None] = {}

    def run(self, events: int) -> None:
        """Looks until the supervisor hangs up."""
        self._poller.watch(events, self._end)
        self._ended = False
        self._evaluate()
        while not self._ended:
            self._poller.wait(LOOK)
            if self._look():
                self._evaluate()

    def _end(self) -> None:
        self._ended = True

    def _look(self) -> bool:
        """Takes in the newest of each topic; whether there was anything new."""
        new = False
        for subscriber in self._subscribers:
            while (envelope := subscriber.receive()) is not None:
                self._latest[subscriber.topic] = envelope.body
                new = True
        return new

    def _evaluate(self) -> None:
        for node, found in self._conditions.items():
            holds = found.holds(self._latest)
            if node not in self._told or self._told[node] != holds:
                self._told[node] = holds
                self._tell.send(json.dumps({"node": node, "holds": holds}).encode())

    def close(self) -> None:
        for subscriber in self._subscribers:
            subscriber.close()
        self._poller.close()


def watch(graph: Graph, events: int) -> int:
    """Watches until the supervisor hangs up; runs in a forked process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of a whole group: the supervisor acts, and hangs up
    outlive_by(ORPHANED)
    watcher = Watcher(graph, socket.socket(fileno=events))
    try:
        watcher.run(events)
    finally:
        watcher.close()
    return 0
