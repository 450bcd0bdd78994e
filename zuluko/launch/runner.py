"""Runs one node in its own process: opens its topics, calls its function, publishes what it yields.

The supervisor forks, and the child calls ``main``. They talk over a socket of their own, one JSON object a
packet: ``{"ready": true}`` once, then ``{"stats": {...}}`` about once a second and at the end.
"""

import ctypes
import json
import logging
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from zuluko.bus import frames
from zuluko.bus.commands import CommandReceiver, CommandSender
from zuluko.bus.live import Edge, LiveLatest, LiveStream, Timer, Waker
from zuluko.bus.message import Command, Message, arrays
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.wire import Envelope, Hop
from zuluko.launch.graph import Entry, Graph, Topic, Wire

USER_MISTAKE = 78  # EX_CONFIG of sysexits.h: starting again would not help
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15

log = logging.getLogger("zuluko.launch")


class Stopped(BaseException):
    """Raised within a source that was told to stop, wherever it waits."""


class Reporter:
    """Tells the supervisor that the node is ready, and how it fares."""

    def __init__(self, control: socket.socket, stats: Callable[[], dict[str, Any]]) -> None:
        self._control = control
        self._stats = stats
        self._next = 0.0
        self.ready = False

    def beat(self) -> None:
        """Called whenever the node's loop turns."""
        now = time.monotonic()
        if now >= self._next:
            self.tell(stats=self._stats())
            self._next = now + 1.0
        if not self.ready:
            self.ready = True
            self.tell(ready=True)

    def tell(self, **what: Any) -> None:
        with suppress(OSError):  # the supervisor is gone or busy; the next beat tells the same
            self._control.send(json.dumps(what).encode(), socket.MSG_DONTWAIT)


def become(name: str, parent: int) -> None:
    """Makes a forked child a process of its own: its name, its randomness, and its end with the parent's."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    libc.prctl(_PR_SET_NAME, name.encode()[:15])
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the request was made
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to act on
    random.seed()


def main(graph: Graph, entry: Entry, control: socket.socket) -> NoReturn:
    """Runs a node to its end and leaves the process with its exit status."""
    status = 1
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        status = Node(graph, entry, control).run()
    except Stopped:
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Node:
    """A node's running parts: its edges, its publishers and its loop."""

    def __init__(self, graph: Graph, entry: Entry, control: socket.socket) -> None:
        self._graph, self._entry = graph, entry
        self._waker = Waker()
        self._poller = Poller(graph.name)
        self._inside = False
        self._edges: list[Edge] = []
        self._driver: LiveStream[Message] | None = None
        self._publishers: dict[type[Message], Publisher] = {}
        self._senders: list[CommandSender] = []
        self._reporter = Reporter(control, self._stats)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._waker.stop()
        if self._inside and not self._entry.wires:
            self._inside = False
            raise Stopped

    def run(self) -> int:
        self._open()
        try:
            self._loop()
            return 0
        except ValueError as error:
            if self._reporter.ready:
                raise
            print(error, file=sys.stderr)
            return USER_MISTAKE
        finally:
            self._reporter.tell(stats=self._stats())
            self._close()

    def _open(self) -> None:
        for topic in self._entry.outputs:
            self._publishers[topic.kind] = Publisher(self._graph.name, topic.name, topic.kind)
        frames.serve(next((p for kind, p in self._publishers.items() if arrays(kind)), None))
        for reader, wire in self._graph.command_wires():
            if any(topic.node == self._entry.name for topic in wire.topics):
                self._senders.append(CommandSender(self._graph.name, reader.name, wire.input.name))

    def _loop(self) -> None:
        inputs = [self._input(wire) for wire in self._entry.wires]
        result = self._call(lambda: self._entry.function(*inputs, **self._entry.options))
        if not isinstance(result, Iterator):
            return
        while self._entry.wires or not self._waker.stopped:
            try:
                message = self._call(lambda: next(result))
            except StopIteration:
                return
            self._publish(message)
            if not self._entry.wires:
                self._reporter.beat()
        if close := getattr(result, "close", None):
            close()

    def _call(self, step: Callable[[], Any]) -> Any:
        """Runs the node's own code; only there may a signal interrupt a source."""
        try:
            self._inside = True
            return step()
        finally:
            self._inside = False

    def _publish(self, message: Message) -> None:
        publisher = self._publishers.get(type(message))
        if publisher is None:
            known = ", ".join(kind.__name__ for kind in self._publishers) or "nothing"
            raise TypeError(f"{self._entry.name} yielded a {type(message).__name__}; it is to yield {known}")
        cause: tuple[Hop, ...] = self._driver.cause if self._driver else ()
        envelope: Envelope[Any] = publisher.send(message, cause)
        if isinstance(message, Command):
            for sender in self._senders:
                if message.to in ("", sender.node):
                    sender.send(envelope)

    def _input(self, wire: Wire) -> Any:
        if wire.input.kind == "latests":
            return {topic.name: LiveLatest(self._latched(topic), self._driver) for topic in wire.topics}
        if wire.input.kind == "latest":
            return LiveLatest(self._latched(wire.topics[0]), self._driver)
        stream = LiveStream[Message](self._stream_edges(wire), self._waker, self._poller, self._reporter.beat)
        self._driver = self._driver or stream
        return stream

    def _stream_edges(self, wire: Wire) -> list[Edge]:
        if wire.period is not None:
            return [Timer(wire.period)]
        if wire.reliable:
            kind: Any = wire.topics[0].kind
            receiver: Edge = CommandReceiver(
                self._graph.name, self._entry.name, wire.input.name, kind, poller=self._poller
            )
            self._edges.append(receiver)
            return [receiver]
        return [self._keep(self._subscriber(topic, keep=topic.keep)) for topic in wire.topics]

    def _latched(self, topic: Topic) -> Edge:
        return self._keep(self._subscriber(topic, keep=1, latched=True))

    def _subscriber(self, topic: Topic, *, keep: int, latched: bool = False) -> Edge:
        return Subscriber(
            self._graph.name, topic.name, topic.kind, keep=keep, poller=self._poller, latched=latched
        )

    def _keep(self, edge: Edge) -> Edge:
        self._edges.append(edge)
        return edge

    def _stats(self) -> dict[str, Any]:
        """How many messages went out and came in, and how many were lost, by topic and cause."""
        publishers = self._publishers.values()
        return {
            "published": {publisher.topic: publisher.seq for publisher in publishers},
            "received": {edge.topic: edge.received for edge in self._edges},
            "lost": {edge.topic: dict(edge.lost) for edge in self._edges if edge.lost},
            "dropped": {publisher.topic: dict(publisher.lost) for publisher in publishers if publisher.lost},
            "commands": {
                sender.node: {"taken": sender.taken, "failed": sender.failed} for sender in self._senders
            },
        }

    def _close(self) -> None:
        for sender in self._senders:
            sender.close()
        for edge in self._edges:
            edge.close()
        for publisher in self._publishers.values():
            publisher.close()
        self._poller.close()
