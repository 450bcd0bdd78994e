"""Who hears whom: the `in:` of a launch file's entries, as wires of the graph."""

from typing import Any, Protocol

from zuluko import document
from zuluko.bus.message import Command
from zuluko.bus.streams import Tick
from zuluko.bus.synced import TOLERANCE
from zuluko.document import nearest
from zuluko.launch import options
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.signature import Input

Place = tuple[str | int, ...]


class Say(Protocol):
    """Takes note of something wrong at a place of the launch file, or at its key."""

    def __call__(self, path: Place, what: str, *, key: bool = False) -> None: ...


def expected(choices: Any, words: str = "expected") -> str:
    """``; expected: a, b`` for what may stand somewhere, or nothing."""
    return f"; {words}: {', '.join(choices)}" if choices else ""


class Connections:
    """Connects the entries of a graph, telling what is wrong to ``say``."""

    def __init__(self, graph: Graph, say: Say) -> None:
        self._graph, self._say = graph, say

    def connect(self, entry: Entry, heard: Any, *, whole: bool) -> None:
        """Gives an entry its wires, from what stands under its `in:`; with ``whole`` all nodes are known."""
        place = ("nodes", entry.name, "in")
        if not isinstance(heard, dict):
            self._say(place, "`in:` must be a mapping of inputs to topics, such as {frames: camera}")
            return
        names = [wanted.name for wanted in entry.signature.inputs]
        for key in heard:
            if key not in names:
                hint = nearest(key, names) or expected(names, "its inputs are")
                self._say((*place, key), f"`{entry.name}` has no input `{key}`{hint}", key=True)
        wires = []
        for wanted in entry.signature.inputs:
            if wanted.name not in heard:
                what = f"the input `{wanted.name}` of `{entry.name}` is not connected"
                self._say(("nodes", entry.name), f"{what}; add `in: {{{wanted.name}: ...}}`", key=True)
            elif whole:
                wires.append(self._wire(wanted, heard[wanted.name], (*place, wanted.name)))
        entry.wires = tuple(wires)

    def _wire(self, wanted: Input, heard: Any, place: Place) -> Wire:
        if wanted.kind == "synced":
            return self._pairs(wanted, heard, place)
        if isinstance(heard, str) and heard.startswith("every "):
            return Wire(wanted, period=self._period(wanted, heard, place))
        topics: list[Topic] = []
        for name in heard if isinstance(heard, list) else [heard]:
            if isinstance(name, str):
                topics += self._topic(wanted, name, place)
            elif name is not options.MISSING:
                self._say(
                    place, f"`{name}` is no topic; write a topic's name, a list of names, or every 500ms"
                )
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
        known = [topic for topic in self._graph.topics if name in (topic.name, topic.node)]
        if not known:
            names = sorted({*self._graph.entries, *(topic.name for topic in self._graph.topics)})
            hint = nearest(name, names) or expected(names, "there are")
            if name in self._graph.entries:
                hint = "; that node publishes nothing"
            self._say(place, f"no node publishes `{name}`{hint}")
            return []
        fitting = [topic for topic in known if wanted.takes(topic.kind)]
        if not fitting:
            have = " and ".join(topic.kind.__name__ for topic in known)
            what = f"the input `{wanted.name}` takes {_kinds(wanted)}, but `{name}` publishes {have}"
            self._say(place, what)
        return fitting


def _kinds(wanted: Input) -> str:
    return " or ".join(kind.__name__ for kind in wanted.types)
