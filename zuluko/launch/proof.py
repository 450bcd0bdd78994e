"""What is proved of a graph as a whole, once each of its entries is sound."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from zuluko.bus.commands import command_topic
from zuluko.bus.topics import TopicError, run_dir, socket_path
from zuluko.document import Fault, Problem
from zuluko.launch import cycles, functions, memory, options
from zuluko.launch.graph import Entry, Graph, Topic
from zuluko.launch.include import Given, Part
from zuluko.launch.signature import defaults


class Proof:
    """The checks of one graph; what is wrong goes to the files' problems. With ``passing``, so does what may
    mend itself while the graph runs, unless it is to run on another board. ``spared`` is within which a
    node's own check is made."""

    def __init__(
        self,
        graph: Graph,
        parts: list[Part],
        given: Mapping[str, Given],
        *,
        passing: bool,
        spared: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._graph, self._parts, self._given = graph, parts, given
        self._passing, self._spared = passing, spared

    def check(self) -> None:
        self._check_cycles()
        self._check_nodes()
        self._check_paths()
        self._check_memory()

    def check_publishers(self) -> None:
        """Two publishers of one topic: outputs of one short name, and topics from outside."""
        seen: dict[str, Topic] = {}
        for topic in self._graph.topics:
            other = seen.setdefault(topic.name, topic)
            if other is topic:
                continue
            if topic.node:
                what = (
                    f"`{topic.node}` publishes two topics named `{topic.name}`; expected types of two names"
                )
                self._given[topic.node].say((), f"{what}; rename one of the classes", key=True)
            else:
                who = f"the node `{other.node}` and a program outside"
                what = f"the topic `{topic.name}` has two publishers: {who}; expected one"
                self._say_of_topic(topic.name, f"{what}; give one of them another name")

    def _check_cycles(self) -> None:
        for node, what in cycles.faults(self._graph):
            self._given[node].say((), what, key=True)

    def _check_nodes(self) -> None:
        """What the nodes themselves find wrong: files, models and devices that are not there."""
        for entry in self._graph.entries.values():
            with self._spared(entry.name):
                for fault in () if self._graph.lacking.get(entry.name) else _faults(entry):
                    if not fault.passing or (self._passing and self._graph.board is None):
                        self._say_of_fault(entry, fault)

    def _say_of_fault(self, entry: Entry, fault: Fault) -> None:
        given, key = self._given[entry.name], fault.key
        value = given.value.get(key)
        what = options.mask(fault.what, entry.options.get(key), value)
        said = f"`{key}`{' ' if what.startswith('must') else ': '}{what}" if key else what
        if key in given.value:
            given.complain((key,), said, value)
        else:
            given.say((), said, key=True)

    def _check_paths(self) -> None:
        try:
            run_dir()
        except TopicError as error:
            self._parts[0].problems.append(Problem("the runtime directory", 0, 0, str(error)))
            return
        names = [(topic.node, topic.name) for topic in self._graph.topics]
        for entry, wire in self._graph.command_wires():
            names.append((entry.name, command_topic(entry.name, wire.input.name)))
        for node, name in names:
            try:
                socket_path(self._graph.name, name)
            except TopicError as error:
                if node:
                    self._given[node].say((), str(error), key=True)
                else:
                    self._say_of_topic(name, str(error))

    def _check_memory(self) -> None:
        for what in memory.faults(self._graph, self._graph.board) if self._graph.board else ():
            self._parts[0].say(("board",), what)

    def _say_of_topic(self, name: str, what: str) -> None:
        for part in self._parts:
            declared = part.doc.value.get("topics")
            for local in declared if isinstance(declared, dict) else ():
                if part.named(local) == name:
                    part.say(("topics", local), what, key=True)
                    return


def _faults(entry: Entry) -> Iterable[Fault]:
    check = functions.check_of(entry.function)
    return check(**{**defaults(entry.function), **entry.options}) if check else ()
