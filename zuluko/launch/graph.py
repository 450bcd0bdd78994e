"""A checked graph: which nodes run, what each is given, and who hears whom."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zuluko.bus.message import Command, Message, arrays, topic_suffix
from zuluko.bus.streams import QUEUE
from zuluko.document import DocumentError, Problem
from zuluko.launch.signature import Input, Signature
from zuluko.messages import Delivery

if TYPE_CHECKING:
    from zuluko.launch.board import Board
    from zuluko.launch.condition import Condition


@dataclass(frozen=True)
class Topic:
    """What a node publishes; without a ``node``, what a program outside this graph does."""

    name: str
    node: str
    kind: type[Message]

    @property
    def keep(self) -> int:
        """How many messages wait for a busy reader: of pictures and other arrays only the latest."""
        return 1 if arrays(self.kind) else QUEUE


@dataclass(frozen=True)
class Wire:
    """What one input is connected to: topics, or a timer's period in seconds; the two topics of pairs."""

    input: Input
    topics: tuple[Topic, ...] = ()
    period: float | None = None
    tolerance: float = 0.0  # s, between the two of a pair

    @property
    def reliable(self) -> bool:
        """An input that asks for commands has them acknowledged and retried. Whoever asks for any message
        only watches; that edge may lose, and counts it."""
        asked = self.input.kind == "stream" and all(issubclass(kind, Command) for kind in self.input.types)
        return asked and bool(self.topics)

    @property
    def acts(self) -> bool:
        """Whether it takes commands to do something outside the graph."""
        kinds = [topic.kind for topic in self.topics]
        return self.reliable and any(issubclass(kind, Command) and not kind.within_graph for kind in kinds)


@dataclass(frozen=True)
class Restart:
    """Whether a node that died starts again, and how often ``within`` so many seconds before it fails.

    ``silence``  s without a turn of its loop after which it hangs, and is killed. By default 5 for a node
                 that a stream drives; a node with a rhythm of its own may be silent for ever, as a
                 doorbell's button
    """

    on: bool = True
    most: int = 10
    within: float = 60.0
    silence: float | None = None


@dataclass(frozen=True)
class Limit:
    """How much a process may use; one that uses more is told of, and with ``restart`` started anew."""

    most: float
    restart: bool = False


@dataclass
class Entry:
    """One node of the graph: the function, its signature, what its inputs hear, and its configuration.

    ``when``      it runs only while this is true
    ``must``      the graph stops when this node fails for good, and is ready only when it is
    ``cores``     the processor cores that it may run on; none: all
    ``priority``  1 to 99: it runs before all ordinary processes (SCHED_FIFO)
    ``memory``    of its process, in bytes (PSS); ``cpu``: in cores
    ``budget``    s from the evidence to what it publishes; later messages are counted and told
    ``changed``   what was set of its configuration while the graph runs, as it was said
    """

    name: str
    run: str
    function: Callable[..., Any]
    signature: Signature
    wires: tuple[Wire, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    restart: Restart = Restart()
    group: str = ""  # the process that it shares with others, a thread each
    must: bool = True
    env: dict[str, str] = field(default_factory=dict)
    nice: int = 0
    cores: tuple[int, ...] = ()
    priority: int = 0
    memory: Limit | None = None
    cpu: Limit | None = None
    budget: float | None = None
    when: "Condition | None" = None
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> str:
        return self.group or self.name

    @property
    def outputs(self) -> tuple[Topic, ...]:
        """With one type the topic bears the node's name, with several also the type's. Who gives commands
        also tells what became of them."""
        kinds = self.signature.outputs
        told = tuple(Topic(f"{self.name}.{topic_suffix(kind)}", self.name, kind) for kind in kinds)
        if len(kinds) == 1:
            told = (Topic(self.name, self.name, kinds[0]),)
        if any(issubclass(kind, Command) for kind in kinds):
            told += (Topic(f"{self.name}.delivery", self.name, Delivery),)
        return told

    @property
    def is_driven(self) -> bool:
        """Whether a stream drives its loop, so that it gives signs of life while it waits."""
        return any(wire.input.drives for wire in self.wires)

    @property
    def is_source(self) -> bool:
        """Whether it hears no other node, so that what the graph says begins with it."""
        return not any(topic.node for wire in self.wires for topic in wire.topics)


@dataclass(frozen=True)
class Param:
    """A parameter of a launch file: what it is unless `--set` says otherwise, what for, and of what type.

    ``inferred``  the type is only what the default speaks of
    ``required``  it has no default
    """

    default: Any = None
    help: str = ""
    type: str = ""
    inferred: bool = False
    required: bool = False


@dataclass
class Graph:
    """``external`` are the topics that programs outside the graph publish; ``board`` is what it must fit;
    ``lacking``, of a graph that was read sparingly, what each node needs and this machine does not have."""

    name: str
    file: str
    entries: dict[str, Entry]
    params: dict[str, Param]
    watched: bool = False  # a view hears every topic, too
    external: tuple[Topic, ...] = ()
    board: "Board | None" = None
    lacking: dict[str, list[Problem]] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All that can be heard, the external ones last."""
        return (*(topic for entry in self.entries.values() for topic in entry.outputs), *self.external)

    @property
    def processes(self) -> dict[str, tuple[Entry, ...]]:
        """The nodes by the process that they run in."""
        found: dict[str, tuple[Entry, ...]] = {}
        for entry in self.entries.values():
            found[entry.process] = (*found.get(entry.process, ()), entry)
        return found

    def driven_by(self, process: str) -> set[str]:
        """The other processes whose loops a process's messages drive; they must be ready before it starts."""
        within = {entry.name for entry in self.entries.values() if entry.process == process}
        return {
            entry.process
            for entry in self.entries.values()
            for wire in entry.wires
            if wire.input.drives and any(topic.node in within for topic in wire.topics)
        } - {process}

    def hearers(self, topic: str) -> int:
        """How many must hear a topic's first message: the view and those whose loop it drives. Who only asks
        for the latest may come later."""
        return self.watched + sum(
            heard.name == topic
            and wire.input.drives
            and not wire.reliable
            and not self.is_local(entry, heard)
            for entry in self.entries.values()
            for wire in entry.wires
            for heard in wire.topics
        )

    def is_local(self, reader: Entry, topic: Topic) -> bool:
        """Whether a topic's publisher runs in the reader's own process."""
        return bool(topic.node) and self.entries[topic.node].process == reader.process

    def demand(self, names: Iterable[str]) -> None:
        """Raises DocumentError with what these nodes need and this machine does not have."""
        if problems := [one for name in names for one in self.lacking.get(name, ())]:
            raise DocumentError(problems)

    def command_wires(self) -> Iterator[tuple[Entry, Wire]]:
        """The reliable edges: the inputs that take commands."""
        for entry in self.entries.values():
            for wire in entry.wires:
                if wire.reliable:
                    yield entry, wire
