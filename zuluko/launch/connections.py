"""Who hears whom: the `in:` of a launch file's entries, as wires of the graph."""

from typing import Any

from zuluko import document
from zuluko.bus.message import Command
from zuluko.bus.streams import Tick
from zuluko.bus.synced import TOLERANCE
from zuluko.document import nearest
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.include import Given
from zuluko.launch.keys import IN
from zuluko.launch.options import MISSING, shown
from zuluko.launch.places import Place, expected
from zuluko.launch.signature import Input


class Connections:
    """Connects an entry of a graph, telling what is wrong at its place."""

    def __init__(self, graph: Graph, given: Given) -> None:
        self._graph, self._given, self._say, self._part = graph, given, given.say, given.part

    def connect(self, entry: Entry, heard: Any, *, whole: bool) -> None:
        """Gives an entry its wires, from what stands under its `in:`; with ``whole`` all nodes are known."""
        place: Place = ("in",)
        if not isinstance(heard, dict):
            if heard is not MISSING:
                self._say(place, f"`in` is {shown(heard)}; expected {IN.words}; {_example(entry, heard)}")
            return
        names = [wanted.name for wanted in entry.signature.inputs]
        for key in heard:
            if key not in names:
                hint = (
                    nearest(key, names) or expected(names, "its inputs are") or "; it takes none, remove it"
                )
                self._say((*place, key), f"`{entry.name}` has no input `{key}`{hint}", key=True)
        wires = []
        for wanted in entry.signature.inputs:
            if wanted.name not in heard:
                self._tell_unconnected(entry, wanted)
            elif whole:
                wires.append(self._wire(wanted, heard[wanted.name], (*place, wanted.name)))
        entry.wires = tuple(wires)

    def _tell_unconnected(self, entry: Entry, wanted: Input) -> None:
        if wanted.name in self._given.value:  # it stands where configuration does
            value = self._given.value[wanted.name]
            hint = f"try `in: {{{wanted.name}: {value if isinstance(value, str) else '...'}}}`"
            what = f"`{wanted.name}` is an input of `{entry.name}`; expected it within `in`; {hint}"
            self._say((wanted.name,), what, key=True)
            return
        what = f"the input `{wanted.name}` of `{entry.name}` is not connected"
        fitting = self._fitting(wanted, but=entry.name)
        example = fitting.rpartition(": ")[2].partition(",")[0] if ": " in fitting else "every 500ms"
        hint = f"; try `in: {{{wanted.name}: {example}}}`" if "there is none" not in fitting else ""
        self._say((), f"{what}; expected {fitting}{hint}", key=True)

    def _wire(self, wanted: Input, heard: Any, place: Place) -> Wire:
        if wanted.kind == "synced":
            return self._pairs(wanted, heard, place)
        if isinstance(heard, str) and heard.startswith("every "):
            return Wire(wanted, period=self._period(wanted, heard, place))
        topics: list[Topic] = []
        for name in heard if isinstance(heard, list) else [heard]:
            if isinstance(name, str):
                topics += self._topic(wanted, name, place)
            elif name is not MISSING:
                what = f"{shown(name)} is no topic; write a topic's name, a list of names, or every 500ms"
                self._say(place, what)
        self._check_topics(wanted, topics, heard, place)
        return Wire(wanted, tuple(topics))

    def _pairs(self, wanted: Input, heard: Any, place: Place) -> Wire:
        """`[left, right]`, or `{sync: [left, right], within: 20ms}`."""
        sides, within = heard, TOLERANCE
        if isinstance(heard, dict) and set(heard) <= {"sync", "within"}:
            sides = heard.get("sync")
            within = self._seconds(heard.get("within", f"{TOLERANCE}s"), (*place, "within"))
        if not (isinstance(sides, list) and len(sides) == 2 and all(isinstance(side, str) for side in sides)):
            what = f"the input `{wanted.name}` takes pairs; write {{sync: [first, second], within: 20ms}}"
            self._say(place, what)
            return Wire(wanted)
        topics: list[Topic] = []
        for kind, name in zip(wanted.types, sides, strict=True):
            topics += self._topic(Input(wanted.name, "synced", (kind,)), name, place)[:1]
        if len(topics) == 2 and topics[0] == topics[1]:
            self._say(place, "a topic cannot be paired with itself")
        return Wire(wanted, tuple(topics), tolerance=within)

    def _seconds(self, text: Any, place: Place) -> float:
        try:
            return document.seconds(text)
        except ValueError as error:
            self._say(place, str(error))
            return 1.0

    def _check_topics(self, wanted: Input, topics: list[Topic], heard: Any, place: Place) -> None:
        if len(set(topics)) < len(topics):
            self._say(place, "a topic is named twice; name it once")
        if heard == []:
            self._say(place, f"the input `{wanted.name}` hears nothing; name a topic")
        if wanted.kind == "latest" and len(topics) > 1:
            names = ", ".join(topic.name for topic in topics)
            self._say(place, f"the input `{wanted.name}` is the latest of one topic; choose one of: {names}")
        commands = sum(issubclass(kind, Command) for kind in wanted.types)
        if 0 < commands < len(wanted.types):
            self._say(place, f"the input `{wanted.name}` mixes commands and others; give each its own input")

    def _period(self, wanted: Input, heard: str, place: Place) -> float:
        period = self._seconds(heard.removeprefix("every ").strip(), place)
        if not wanted.takes(Tick):
            self._say(place, f"the input `{wanted.name}` takes {_kinds(wanted)}, not the ticks of a timer")
        if period <= 0:
            self._say(place, "a timer's period must be longer than 0")
        return max(period, 1e-3)

    def _topic(self, wanted: Input, name: str, place: Place) -> list[Topic]:
        known = self._known(name)
        if not known:
            self._say(place, f"no node publishes `{name}`{self._hint(wanted, name)}")
            return []
        fitting = [topic for topic in known if wanted.takes(topic.kind)]
        if not fitting:
            have = " and ".join(topic.kind.__name__ for topic in known)
            what = f"the input `{wanted.name}` takes {_kinds(wanted)}, but `{name}` publishes {have}"
            self._say(place, f"{what}; expected {self._fitting(wanted)}")
        return fitting

    def _known(self, name: str) -> list[Topic]:
        """The topics of that name, in the entry's own namespace before those around it; a node's name stands
        for all that it publishes."""
        for prefix in self._part.prefixes:
            full = prefix + name
            if known := [topic for topic in self._graph.topics if full in (topic.name, topic.node)]:
                return known
        return []

    def _hint(self, wanted: Input, name: str) -> str:
        if any(prefix + name in self._graph.entries for prefix in self._part.prefixes):
            return "; that node publishes nothing"
        if name.startswith("every"):
            return "; a timer is written every 500ms"
        names = sorted({*self._part.visible(self._graph.topics), *self._graph.entries})
        return nearest(name, names) or f"; expected {self._fitting(wanted)}"

    def _fitting(self, wanted: Input, but: str = "") -> str:
        """What may be connected to an input: the topics of its types, ``but`` those of one node."""
        if wanted.takes(Tick):
            return "a timer, such as every 500ms"
        topics = [one for one in self._graph.topics if wanted.takes(one.kind) and one.node != (but or None)]
        names = sorted({topic.name.removeprefix(self._part.prefixes[0]) for topic in topics})
        return f"a topic of {_kinds(wanted)}: {', '.join(names) if names else 'there is none'}"


def _example(entry: Entry, heard: Any) -> str:
    if not entry.signature.inputs:
        return f"`{entry.run}` has no inputs, so leave it out"
    topic = heard if isinstance(heard, str) else "..."
    return f"try `in: {{{entry.signature.inputs[0].name}: {topic}}}`"


def _kinds(wanted: Input) -> str:
    return " or ".join(kind.__name__ for kind in wanted.types)
