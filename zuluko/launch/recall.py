"""What a running graph still knows of its rules' decisions: the rings of the lanes hold the last minute or
so of them, and the firings of longer ago are written down (``zuluko.launch.firings``)."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from zuluko.bus import clock
from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import announcement
from zuluko.bus.wire import Envelope
from zuluko.launch import firings
from zuluko.launch.graphlock import running
from zuluko.launch.status import Node, Status
from zuluko.messages import Decision, Delivery, LockState

KINDS: dict[str, type[Message]] = {"Decision/1": Decision, "Delivery/1": Delivery, "LockState/1": LockState}


class Memory(Protocol):
    """Where decisions are remembered: in a running graph, or in a log.

    ``nodes``  those that publish Decisions
    ``live``   whether time goes on there
    """

    nodes: Sequence[Node]
    live: bool

    def now(self) -> int:
        """Graph time (ns) there: that of a log is its end."""

    def told(self) -> Iterator[tuple[str, Envelope[Any]]]:
        """What is remembered of decisions, commands and locks; asked again, what has come since."""

    def knows(self, topic: str) -> bool:
        """Whether it is a topic there, and not a timer."""

    def message(self, topic: str, seq: int, before: int) -> Any:
        """The body of one message as a plain map, the last of that number that was sent before a time (ns);
        None where it is not remembered."""

    def last_sent(self, topic: str) -> int | None:
        """When a topic last said something, in graph time (ns); None where it never did, or has ended."""


class Recall:
    """The memory of a running graph. It slows nobody: with ``follow`` the nodes ring when there is more to
    hear, and without it they do not even know that somebody looks."""

    live = True

    def __init__(self, status: Status, *, follow: bool = False) -> None:
        self.nodes: Sequence[Node] = [
            node for node in status.nodes if any(told.type == "Decision/1" for told in node.outputs)
        ]
        self._known = {told.topic for node in status.nodes for told in node.outputs} | {
            topic for node in status.nodes for heard in node.inputs for topic in heard.topics
        }
        self.graph, self._pid = status.graph, status.pid
        self._asked = False
        self._poller = Poller(status.graph)
        self._topics = [
            Subscriber[Any](
                status.graph,
                told.topic,
                KINDS[told.type],
                poller=self._poller,
                latched=not follow,
                history=True,
            )
            for kind in KINDS
            for node in status.nodes
            for told in node.outputs
            if told.type == kind
        ]

    def now(self) -> int:
        return clock.now()

    def told(self) -> Iterator[tuple[str, Envelope[Any]]]:
        for topic in self._topics:
            for envelope in iter(topic.receive, None):
                yield topic.topic, envelope
        if not self._asked:
            self._asked = True
            yield from firings.read(self.graph)

    def wait(self, timeout: float) -> bool:
        """Waits for more to be told; false when the graph has ended."""
        self._poller.wait(timeout)
        return running(self.graph) == self._pid

    def knows(self, topic: str) -> bool:
        return topic in self._known

    def message(self, topic: str, seq: int, before: int) -> Any:
        subscriber = self._look(topic, history=True)
        try:
            bodies = (
                one.body for one in iter(subscriber.receive, None) if one.seq == seq and one.sent <= before
            )
            return next(bodies, None)
        finally:
            subscriber.close()

    def last_sent(self, topic: str) -> int | None:
        if announcement(self.graph, topic) is None:
            return None
        subscriber = self._look(topic)
        try:
            envelope = subscriber.receive()
            return envelope.sent if envelope else None
        finally:
            subscriber.close()

    def _look(self, topic: str, *, history: bool = False) -> Subscriber[Any]:
        return Subscriber(self.graph, topic, Any, poller=self._poller, latched=True, history=history)

    def close(self) -> None:
        for topic in self._topics:
            topic.close()
        self._poller.close()
