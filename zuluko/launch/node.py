"""One node at run time: its edges, its publishers, and the loop that calls its function and publishes what it
yields."""

import ctypes
import functools
import json
import logging
import operator
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from zuluko.actions import host
from zuluko.actions.host import Answer, Host
from zuluko.bus import frames
from zuluko.bus.commands import CommandReceiver, CommandSender
from zuluko.bus.live import Edge, LiveLatest, LiveStream, LiveSynced, Timer, Waker
from zuluko.bus.local import LocalEdge
from zuluko.bus.log_tap import Taps
from zuluko.bus.message import Command, Message, arrays
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import graph_dir
from zuluko.bus.wire import Envelope, Hop
from zuluko.launch import place
from zuluko.launch.budget import Budget
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.messages import Delivery, Setting

USER_MISTAKE = 78  # EX_CONFIG of sysexits.h: starting again would not help
TERMINATED = 143  # 128 + SIGTERM: it was told to stop, and did
BEAT = 1.0  # s between two signs of life
LINGER = 1.0  # s that a recorder waits for the last words of those that stop with it
GATHER = 0.5  # s that the first message of a topic waits for those who will hear it

_END = object()

log = logging.getLogger("zuluko.launch")


def _change(graph: str, node: str, name: str, value: Setting) -> Answer:
    """Has the supervisor give a node's parameter another value."""
    from zuluko.launch import controls  # few nodes ask

    return controls.change(graph, node, name, value)


class Stopped(BaseException):
    """Raised within a source that was told to stop, wherever it waits."""


class Control(Protocol):
    """Where a node tells of itself: the supervisor's socket, or what stands for it."""

    def send(self, packet: bytes, flags: int, /) -> int: ...


class Reporter:
    """Tells the supervisor that the node is ready, and how it fares."""

    def __init__(self, node: str, control: Control, stats: Callable[[], dict[str, Any]]) -> None:
        self._node = node
        self._control = control
        self._stats = stats
        self._next = 0.0
        self._ready = False

    def beat(self) -> None:
        """Called whenever the node's loop turns."""
        self.ready()
        if (now := time.monotonic()) >= self._next:
            self.tell(stats=self._stats())
            self._next = now + BEAT

    def ready(self) -> None:
        if not self._ready:
            self._ready = self.tell(ready=True)

    def tell(self, **what: Any) -> bool:
        """False where the supervisor is gone or busy; the next beat tells the same."""
        try:
            self._control.send(json.dumps({"node": self._node, **what}).encode(), socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True


class Node:
    """A node's running parts: its edges, its publishers and its loop."""

    def __init__(self, graph: Graph, entry: Entry, control: Control) -> None:
        self._graph, self._entry = graph, entry
        self._thread = 0
        self._waker = Waker()
        self._poller = Poller(graph.name)
        self._inside = False
        self._turned = False
        self._is_driven = entry.is_driven
        self._edges: list[Edge] = []
        self._driver: LiveStream[Message] | None = None
        self._publishers: dict[type[Message], Publisher] = {}
        self._senders: list[CommandSender] = []
        self._unsent = 0
        self._made: list[Any] | None = None
        self._budget = Budget(entry.budget) if entry.budget else None
        self._reporter = Reporter(entry.name, control, self._stats)

    @property
    def name(self) -> str:
        return self._entry.name

    def stop(self) -> None:
        """Ends its streams; interrupts a source within its own code. Called in the main thread."""
        self._waker.stop()
        if self._inside and not self._is_driven:
            self._inside = False
            if self._thread == threading.get_ident():
                raise Stopped
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(Stopped)
            )

    def beat_beside(self) -> None:
        """Says that Python runs here, from a thread beside the node's own. A node with a rhythm of its own
        that has run for so long is ready, though it may not have had anything to say yet."""
        self._reporter.tell(runs=threading.get_native_id())
        if self._inside and not self._is_driven:
            self._reporter.ready()

    def run(self) -> int:
        """Opens its topics, runs its function to the end, and closes; the exit status."""
        self._thread = threading.get_ident()
        place.settle(self._entry)
        try:
            self.prepare()
        except OSError as error:  # such as a full disk under the runtime directory
            print(f"cannot open its topics: {error}", file=sys.stderr)
            return 1
        try:
            self._loop()
        except ValueError as error:
            if self._turned:
                raise
            print(error, file=sys.stderr)
            return USER_MISTAKE
        except Stopped:
            return TERMINATED
        finally:
            self._reporter.tell(stats=self._stats())
            self._close()
        self._reporter.tell(ended=True)
        return TERMINATED if self._waker.stopped else 0

    def prepare(self) -> None:
        """Opens its topics and joins those that it hears. Nodes of one process all do so before any of them
        runs, so that nobody speaks before the others listen."""
        if self._made is None:
            self._open()
            self._made = self._inputs()

    def _open(self) -> None:
        for topic in self._entry.outputs:
            self._publishers[topic.kind] = Publisher(self._graph.name, topic.name, topic.kind)
        for reader, wire in self._graph.command_wires():
            if any(topic.node == self._entry.name for topic in wire.topics):
                self._senders.append(self._sender(reader.name, wire.input.name))

    def _sender(self, node: str, name: str) -> CommandSender:
        return CommandSender(self._graph.name, node, name, poller=self._poller)

    def _loop(self) -> None:
        inputs = self._made or []
        frames.serve(next((p for kind, p in self._publishers.items() if arrays(kind)), None))
        kept = graph_dir(self._graph.name) / f".{self._entry.name}.plans"
        host.serve(Host(functools.partial(_change, self._graph.name), kept))
        result = self._call(lambda: self._entry.function(*inputs, **self._entry.options))
        if not isinstance(result, Iterator):
            return
        try:
            while self._is_driven or not self._waker.stopped:
                message = self._call(lambda: next(result, _END))
                if message is _END:
                    return
                self._publish(message)
                self._turn()
        finally:
            if close := getattr(result, "close", None):
                close()

    def _turn(self) -> None:
        if not self._turned:
            self._turned = self._reporter.tell(turned=True)
        self._tell_deliveries()
        self._reporter.beat()

    def _tell_deliveries(self) -> None:
        """Publishes what has become of the commands since the last turn."""
        for sender in self._senders:
            while sender.results:
                command, failure = sender.results.popleft()
                self._publishers[Delivery].send(
                    Delivery(
                        stamp=command.stamp,
                        command=command.id,
                        to=sender.node,
                        outcome="failed" if failure else "taken",
                        reason=failure,
                    )
                )

    def _call(self, step: Callable[[], Any]) -> Any:
        """Runs the node's own code; only there may a signal interrupt a source."""
        try:
            self._inside = True
            if self._waker.stopped and not self._is_driven:
                raise Stopped
            return step()
        finally:
            self._inside = False

    def _inputs(self) -> list[Any]:
        """The inputs in the order of the signature; the streams are made first, for the others count from the
        message that drives the loop."""
        made: dict[str, Any] = {}
        for wire in sorted(self._entry.wires, key=lambda wire: not wire.input.drives):
            made[wire.input.name] = self._input(wire)
        return [made[wire.input.name] for wire in self._entry.wires]

    def _gather(self, publisher: Publisher) -> None:
        """Waits a little for those who will hear a topic: a source may say all that it has, and be gone."""
        deadline = time.monotonic() + GATHER
        wanted = self._graph.hearers(publisher.topic)
        while publisher.subscribers < wanted and time.monotonic() < deadline and not self._waker.stopped:
            time.sleep(0.001)

    def _publish(self, message: Message) -> None:
        publisher = self._publishers.get(type(message))
        if publisher is None:
            known = ", ".join(kind.__name__ for kind in self._publishers) or "nothing"
            raise TypeError(f"{self._entry.name} yielded a {type(message).__name__}; it is to yield {known}")
        if publisher.seq == 0:
            self._gather(publisher)
        cause: tuple[Hop, ...] = self._driver.cause if self._driver else ()
        envelope: Envelope[Any] = publisher.send(message, cause)
        if self._budget:
            self._budget.count(message.stamp, envelope.sent)
        if isinstance(message, Command):
            self._command(message, envelope)

    def _command(self, message: Command, envelope: Envelope[Any]) -> None:
        meant = [sender for sender in self._senders if message.to in ("", sender.node)]
        for sender in meant:
            sender.send(envelope)
        if not meant:
            self._unsent += 1
            known = ", ".join(sender.node for sender in self._senders) or "nobody listens"
            what = f"it is for {message.to or 'everybody'}; there is: {known}"
            log.error("command %s reached nobody: %s", message.id, what)
            failed = Delivery(
                stamp=message.stamp, command=message.id, to=message.to, outcome="failed", reason=what
            )
            self._publishers[Delivery].send(failed)

    def _input(self, wire: Wire) -> Any:
        if wire.input.kind == "taps":
            topics = [topic.name for topic in wire.topics]
            taps = Taps(
                self._graph.name, topics, self._waker, self._poller, on_wait=self._turn, linger=LINGER
            )
            self._edges += taps.taps.values()
            return taps
        if wire.input.kind == "latests":
            return {topic.name: LiveLatest(self._latched(topic), self._driver) for topic in wire.topics}
        if wire.input.kind == "latest":
            return LiveLatest(self._latched(wire.topics[0]), self._driver)
        edges = self._stream_edges(wire)
        stream = LiveStream[Message](edges, self._waker, self._poller, self._turn)
        self._driver = self._driver or stream
        if wire.input.kind == "synced":
            return LiveSynced(stream, edges, tolerance=wire.tolerance)
        return stream

    def _stream_edges(self, wire: Wire) -> list[Edge]:
        if wire.period is not None:
            return [Timer(wire.period)]
        if wire.reliable:
            kind: Any = functools.reduce(operator.or_, dict.fromkeys(topic.kind for topic in wire.topics))
            receiver: Edge = CommandReceiver(
                self._graph.name, self._entry.name, wire.input.name, kind, poller=self._poller
            )
            self._edges.append(receiver)
            return [receiver]
        return [self._keep(self._subscriber(topic, keep=topic.keep)) for topic in wire.topics]

    def _latched(self, topic: Topic) -> Edge:
        return self._keep(self._subscriber(topic, keep=1, latched=True))

    def _subscriber(self, topic: Topic, *, keep: int, latched: bool = False) -> Edge:
        if self._graph.is_local(self._entry, topic):
            return LocalEdge(self._graph.name, topic.name, keep=keep, poller=self._poller, latched=latched)
        return Subscriber(
            self._graph.name, topic.name, topic.kind, keep=keep, poller=self._poller, latched=latched
        )

    def _keep(self, edge: Edge) -> Edge:
        self._edges.append(edge)
        return edge

    def _stats(self) -> dict[str, Any]:
        """How many messages went out and came in, and how many were lost, by topic and cause."""
        received: Counter[str] = Counter()
        lost: dict[str, Counter[str]] = {}
        for edge in self._edges:
            received[edge.topic] += edge.received
            lost.setdefault(edge.topic, Counter()).update(edge.lost)
        for publisher in self._publishers.values():
            lost.setdefault(publisher.topic, Counter()).update(publisher.lost)
        return {
            "published": {publisher.topic: publisher.seq for publisher in self._publishers.values()},
            "received": received,
            "lost": {topic: causes for topic, causes in lost.items() if causes},
            "late": self._budget.late if self._budget else 0,
            "commands": {"taken": sum(s.taken for s in self._senders), "failed": self._failed()},
        }

    def _failed(self) -> int:
        return self._unsent + sum(sender.failed for sender in self._senders)

    def _close(self) -> None:
        for sender in self._senders:
            sender.close()
        self._tell_deliveries()
        for edge in self._edges:
            edge.close()
        for publisher in self._publishers.values():
            publisher.close()
        self._poller.close()
