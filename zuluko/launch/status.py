"""How a running graph fares, told once a second in a file for whoever looks, ``RUN/.<graph>.status.json``,
and over the control socket.

The file lies beside the graph's directory and not in it, for every node watches that one for news of
publishers, and would be woken each time.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from zuluko.bus import clock
from zuluko.bus.message import Message, tag
from zuluko.bus.topics import check_name, run_dir
from zuluko.launch import firings
from zuluko.launch.graph import Entry, Graph, Wire

PERIOD = 1.0  # s
LARGEST = 4 << 20  # bytes that a reader takes

Losses = dict[str, dict[str, int]]  # by topic and cause


class Kind(msgspec.Struct, frozen=True):
    """A message type: its name on the wire, and ``module:Class`` where it is defined."""

    type: str
    home: str = ""


class Heard(msgspec.Struct, frozen=True):
    """An input: what it is called, how it takes messages, and the topics that it hears.

    ``how``    ``stream`` (drives the loop), ``latest`` (asked for its value), ``commands`` (acknowledged)
               or ``timer`` (``every`` so many seconds)
    ``kinds``  of ``commands``: the types that it takes
    """

    name: str
    how: str
    topics: tuple[str, ...] = ()
    every: float = 0.0
    kinds: tuple[Kind, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """An output: a topic and its type on the wire."""

    topic: str
    type: str


class Ruled(msgspec.Struct, frozen=True):
    """A rule of a rules node, and what makes it evaluate: topics, and timers."""

    name: str
    when: tuple[str, ...] = ()


class Stats(msgspec.Struct, frozen=True):
    """What a node last told of itself, counted since it started."""

    published: dict[str, int] = {}
    received: dict[str, int] = {}
    lost: Losses = {}
    commands: dict[str, int] = {}
    late: int = 0


class Node(msgspec.Struct, frozen=True):
    """A node, its state, and what its process costs.

    ``state``     waiting (for those that it feeds, or for its next start), starting, ready, degraded (it
                  runs, but not as it should), failing (it starts no more by itself), stopped, ended (a
                  source that had no more to say) or off (its ``when`` does not hold)
    ``since``     graph time in ns at which the state began; ``reason``: why, as a sentence, or empty
    ``restarts``  starts after the first
    ``lost``      of all its lives, by topic and cause
    ``memory``    of its process in MB (PSS); ``cpu``: in cores, over the last second; a group's nodes share
                  both
    ``late``      messages of this life that were published beyond its ``budget``
    """

    name: str
    run: str = ""
    state: str = ""
    since: int = 0
    reason: str = ""
    must: bool = True
    pid: int = 0
    restarts: int = 0
    memory: float = 0.0
    cpu: float = 0.0
    late: int = 0
    inputs: tuple[Heard, ...] = ()
    outputs: tuple[Told, ...] = ()
    rules: tuple[Ruled, ...] = ()
    stats: Stats = Stats()
    lost: Losses = {}


class Status(msgspec.Struct, frozen=True):
    """``state`` is starting, ready (every ``must`` node is), degraded (some node is not), failing or
    stopping; ``load`` is that of the board, over a minute, in cores. ``started`` and ``written`` are graph
    time in ns; ``offset`` is graph time minus the monotonic clock, so that another process can share it."""

    graph: str
    file: str
    pid: int
    started: int
    written: int
    offset: int
    state: str = ""
    load: float = 0.0
    nodes: tuple[Node, ...] = ()

    def losses(self, topic: str) -> Losses:
        """What was lost of a topic, by node and cause."""
        return {node.name: node.lost[topic] for node in self.nodes if node.lost.get(topic)}

    def publisher(self, topic: str) -> Node | None:
        return next((node for node in self.nodes if any(told.topic == topic for told in node.outputs)), None)


def path(graph: str) -> Path:
    return run_dir() / f".{check_name(graph, 'graph')}.status.json"


def read(graph: str) -> Status | None:
    """What was told last; None where nothing was, or nothing that can be read."""
    try:
        with path(graph).open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=Status)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def share_clock(graph: str) -> None:
    """Makes graph time in this process what it is in the running graph: the wall clock may have been set
    since its start, as on a board that boots without a clock, and its stamps would then seem years away."""
    if told := read(graph):
        clock.share(told.offset)


def nodes(graph: Graph) -> tuple[Node, ...]:
    """The nodes of a checked graph with what they hear and tell, before anything runs."""
    return tuple(_node(entry) for entry in graph.entries.values())


def _node(entry: Entry) -> Node:
    return Node(
        entry.name,
        entry.run,
        must=entry.must,
        inputs=tuple(map(_heard, entry.wires)),
        outputs=tuple(Told(topic.name, tag(topic.kind)) for topic in entry.outputs),
        rules=tuple(_ruled(entry)),
    )


def _ruled(entry: Entry) -> Iterator[Ruled]:
    """The rules of a rules node, with the graph's names for what they hear."""
    if (ruleset := entry.options.get("ruleset")) is not None:
        names = {own: full for full, own in ruleset.names.items()}
        for rule in ruleset.rules:
            when = (rule.when, *rule.also)
            yield Ruled(rule.name, tuple(names.get(one, one) for one in when))


def _heard(wire: Wire) -> Heard:
    topics = tuple(topic.name for topic in wire.topics)
    if wire.period is not None:
        return Heard(wire.input.name, "timer", every=wire.period)
    if wire.reliable:
        return Heard(wire.input.name, "commands", topics, kinds=tuple(map(_kind, wire.input.types)))
    return Heard(wire.input.name, "stream" if wire.input.kind in ("stream", "taps") else "latest", topics)


def _kind(kind: type[Message]) -> Kind:
    return Kind(tag(kind), f"{kind.__module__}:{kind.__qualname__}")


class Member(NamedTuple):
    """What the supervisor knows of a node."""

    name: str
    state: str
    since: int
    reason: str
    pid: int
    memory: float
    cpu: float


class Account:
    """Keeps a graph's status file; ``note`` takes what the nodes tell, ``beat`` writes when it is time.

    A file that cannot be written, on a full disk, holds nothing up.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = {node.name: node for node in nodes(graph)}
        self._starts: Counter[str] = Counter()
        self._stats: dict[str, Stats] = {}
        self._before: dict[str, Losses] = {}  # what its earlier lives lost
        self._started = clock.now()
        self._next = 0.0

    def note(self, node: str, what: Mapping[str, Any]) -> None:
        if "state" in what:
            self._next = 0.0
        if what.get("state") == "starting":
            self._starts[node] += 1
            self._before[node] = self._lost(node)
            self._stats.pop(node, None)
        if "stats" in what:
            with suppress(msgspec.MsgspecError):
                self._stats[node] = msgspec.convert(what["stats"], Stats)

    def beat(self, state: str, members: Iterable[Member]) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + PERIOD
            with suppress(OSError):
                self._write(self.status(state, members))

    def status(self, state: str, members: Iterable[Member]) -> Status:
        """How the graph and its nodes fare now."""
        return Status(
            graph=self._graph.name,
            file=os.fsencode(Path(self._graph.file).absolute()).decode(errors="replace"),
            pid=os.getpid(),
            started=self._started,
            written=clock.now(),
            offset=clock.offset(),
            state=state,
            load=round(os.getloadavg()[0], 2),
            nodes=tuple(map(self._now, members)),
        )

    def _write(self, told: Status) -> None:
        target = path(self._graph.name)
        temporary = target.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(told))
        temporary.replace(target)

    def _now(self, member: Member) -> Node:
        name = member.name
        stats = self._stats.get(name, Stats())
        return msgspec.structs.replace(
            self._nodes[name],
            restarts=max(0, self._starts[name] - 1),
            stats=stats,
            late=stats.late,
            lost=self._lost(name),
            **member._asdict(),
        )

    def _lost(self, node: str) -> Losses:
        total = {topic: Counter(causes) for topic, causes in self._before.get(node, {}).items()}
        for topic, causes in self._stats.get(node, Stats()).lost.items():
            total.setdefault(topic, Counter()).update(causes)
        return {topic: dict(causes) for topic, causes in total.items()}

    def close(self) -> None:
        if (told := read(self._graph.name)) and told.pid != os.getpid():
            return  # another has the name, whose folder was taken from us
        with suppress(OSError):
            target = path(self._graph.name)
            target.unlink(missing_ok=True)
            target.with_suffix(".new").unlink(missing_ok=True)
        firings.forget(self._graph.name)  # of a view that was killed
