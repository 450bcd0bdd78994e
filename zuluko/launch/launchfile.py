"""A launch file, read into a checked graph.

Everything that can be known before anything starts is checked here, and all that is wrong is told at once.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zuluko import document
from zuluko.bus.commands import command_topic
from zuluko.bus.streams import Tick
from zuluko.bus.topics import TopicError, check_name, socket_path
from zuluko.document import Document, DocumentError, Problem, nearest
from zuluko.launch import functions, options, rule_entry, signature
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.signature import Input

STOCK = Path(__file__).parent
TOP_KEYS = ("params", "nodes")
ENTRY_KEYS = ("run", "in", "restart")
_VARIABLE = re.compile(r"\$(env:)?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class Param:
    default: Any = None
    help: str = ""


def locate(name: str) -> Path:
    """The launch file of that path, or the stock one of that name; DocumentError where there is neither."""
    file = Path(name)
    if file.is_file():
        return file
    stock = STOCK / f"{name}.yaml"
    if stock.is_file() and re.fullmatch(r"[a-z0-9-]+", name):
        return stock
    hint = nearest(name, stock_names()) or f"; the stock graphs are: {', '.join(stock_names())}"
    raise DocumentError([Problem(name, 0, 0, f"there is no such launch file{hint}")])


def stock_names() -> list[str]:
    return sorted(file.stem for file in STOCK.glob("*.yaml") if not file.stem.endswith(".rules"))


def load(file: Path, *, sets: Mapping[str, str] | None = None, name: str | None = None) -> Graph:
    """The checked graph of a launch file; ``sets`` are parameters from the command line, as text. Raises
    DocumentError with every problem found."""
    return _Reader(document.load(file), sets or {}, name).read()


def params(file: Path) -> dict[str, Param]:
    """A launch file's parameters, with their defaults and help."""
    return {key: _param(value) for key, value in _mapping(document.load(file).value.get("params")).items()}


def _param(value: Any) -> Param:
    if isinstance(value, dict) and set(value) <= {"default", "help"}:
        return Param(value.get("default"), str(value.get("help", "")))
    return Param(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Reader:
    """Reads one document into a graph, gathering problems as it goes."""

    def __init__(self, doc: Document, sets: Mapping[str, str], name: str | None) -> None:
        self.doc = doc
        self.folder = Path(doc.file).parent
        self.sets = sets
        self.name = name or Path(doc.file).stem
        self.problems: list[Problem] = []
        self.params: dict[str, Any] = {}

    def read(self) -> Graph:
        self._check_top()
        self.params = self._read_params()
        given = {name: self._substitute(value, ("nodes", name)) for name, value in self._nodes()}
        graph = Graph(self.name, self.doc.file, {}, self.params)
        for name, entry in given.items():
            if not rule_entry.is_rules(entry["run"]) and (node := self._function(name, entry)) is not None:
                graph.entries[name] = node
        self._add_rules(graph, given)
        graph.entries = {name: graph.entries[name] for name in given if name in graph.entries}
        for name, node in graph.entries.items():
            if not rule_entry.is_rules(node.run):
                self._connect(node, given[name], graph, whole=len(graph.entries) == len(given))
            self._configure(node, given[name])
        self._check_paths(graph)
        if self.problems:
            raise DocumentError(self.problems)
        return graph

    def _say(self, path: tuple[str | int, ...], what: str, *, key: bool = False) -> None:
        self.problems.append(self.doc.problem(path, what, key=key))

    def _check_top(self) -> None:
        for key in self.doc.value:
            if key not in TOP_KEYS:
                hint = nearest(key, TOP_KEYS) or _expected(TOP_KEYS)
                self._say((key,), f"unknown key `{key}`{hint}", key=True)
        if not isinstance(self.doc.value.get("nodes"), dict):
            self._say(("nodes",), "a launch file needs `nodes:`, a mapping of names to entries")
        try:
            check_name(self.name, "graph")
        except TopicError as error:
            self.problems.append(Problem(self.doc.file, 0, 0, f"{error}; give another with --name"))

    def _read_params(self) -> dict[str, Any]:
        declared = _mapping(self.doc.value.get("params"))
        for key in self.sets:
            if key not in declared:
                hint = nearest(key, declared) or _expected(declared, "its parameters are")
                what = f"--set {key}: this graph has no parameter `{key}`{hint}"
                self.problems.append(Problem(self.doc.file, 0, 0, what))
        values = {key: _param(value).default for key, value in declared.items()}
        return values | {key: options.Text(text) for key, text in self.sets.items() if key in declared}

    def _nodes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, entry in _mapping(self.doc.value.get("nodes")).items():
            try:
                check_name(name, "node")
            except TopicError as error:
                self._say(("nodes", name), str(error), key=True)
                continue
            if not isinstance(entry, dict) or not isinstance(entry.get("run"), str):
                what = f"the node `{name}` needs `run:`, such as {{run: zuluko.nodes.camera}}"
                self._say(("nodes", name), what)
                continue
            yield name, entry

    def _substitute(self, value: Any, path: tuple[str | int, ...]) -> Any:
        """Puts in ``$name`` and ``$env:NAME``; a value that is nothing else keeps the parameter's type."""
        if isinstance(value, dict):
            return {key: self._substitute(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._substitute(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        if whole := _VARIABLE.fullmatch(value):
            return self._variable(whole, path)
        return _VARIABLE.sub(lambda found: str(self._variable(found, path)), value)

    def _variable(self, found: re.Match[str], path: tuple[str | int, ...]) -> Any:
        environment, name = found.groups()
        if environment:
            if name not in os.environ:
                self._say(path, f"the environment has no {name}; set it before the start")
            return options.Text(os.environ.get(name, ""))
        if name not in self.params:
            hint = nearest(name, self.params) or "; declare it under `params:`"
            self._say(path, f"`${name}` is no parameter of this file{hint}")
        return self.params.get(name)

    def _function(self, name: str, entry: dict[str, Any]) -> Entry | None:
        place = ("nodes", name, "run")
        try:
            function = functions.find(entry["run"], self.folder)
            return Entry(name, entry["run"], function, signature.read(function))
        except functions.RunError as error:
            self._say(place, str(error))
        except signature.SignatureError as error:
            self._say(place, f"`{entry['run']}` cannot be a node: {error}")
        return None

    def _add_rules(self, graph: Graph, given: dict[str, dict[str, Any]]) -> None:
        """Rules come last: they are checked against the other nodes' types."""
        for name, entry in given.items():
            if not rule_entry.is_rules(entry["run"]):
                continue
            file = self.folder / entry["run"]
            if not file.is_file():
                self._say(("nodes", name, "run"), f"there is no file {file}")
                continue
            try:
                given_params = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
                graph.entries[name] = rule_entry.read(name, file, given_params, graph, given)
            except DocumentError as error:
                self.problems += error.problems

    def _connect(self, entry: Entry, given: dict[str, Any], graph: Graph, *, whole: bool) -> None:
        place = ("nodes", entry.name, "in")
        heard = given.get("in", {})
        if not isinstance(heard, dict):
            self._say(place, "`in:` must be a mapping of inputs to topics, such as {frames: camera}")
            return
        names = [wanted.name for wanted in entry.signature.inputs]
        for key in heard:
            if key not in names:
                hint = nearest(key, names) or _expected(names, "its inputs are")
                self._say((*place, key), f"`{entry.name}` has no input `{key}`{hint}", key=True)
        wires = []
        for wanted in entry.signature.inputs:
            if wanted.name not in heard:
                what = f"the input `{wanted.name}` of `{entry.name}` is not connected"
                self._say(("nodes", entry.name), f"{what}; add `in: {{{wanted.name}: ...}}`", key=True)
            elif whole:
                wires.append(self._wire(wanted, heard[wanted.name], graph, (*place, wanted.name)))
        entry.wires = tuple(wires)

    def _wire(self, wanted: Input, heard: Any, graph: Graph, place: tuple[str | int, ...]) -> Wire:
        if isinstance(heard, str) and heard.startswith("every "):
            return Wire(wanted, period=self._period(wanted, heard, place))
        topics = []
        for name in heard if isinstance(heard, list) else [heard]:
            topics += self._topic(wanted, name, graph, place)
        return Wire(wanted, tuple(topics))

    def _period(self, wanted: Input, heard: str, place: tuple[str | int, ...]) -> float:
        try:
            period = document.seconds(heard.removeprefix("every ").strip())
        except ValueError as error:
            self._say(place, str(error))
            return 1.0
        if not wanted.takes(Tick):
            self._say(place, f"the input `{wanted.name}` takes {_kinds(wanted)}, not the ticks of a timer")
        if period <= 0:
            self._say(place, "a timer's period must be longer than 0")
        return max(period, 1e-3)

    def _topic(self, wanted: Input, name: Any, graph: Graph, place: tuple[str | int, ...]) -> list[Topic]:
        known = [topic for topic in graph.topics if name in (topic.name, topic.node)]
        if not known:
            names = sorted({*graph.entries, *(topic.name for topic in graph.topics)})
            hint = nearest(str(name), names) or _expected(names, "there are")
            if name in graph.entries:
                hint = "; that node publishes nothing"
            self._say(place, f"no node publishes `{name}`{hint}")
            return []
        fitting = [topic for topic in known if wanted.takes(topic.kind)]
        if not fitting:
            have = " and ".join(topic.kind.__name__ for topic in known)
            what = f"the input `{wanted.name}` takes {_kinds(wanted)}, but `{name}` publishes {have}"
            self._say(place, what)
        return fitting

    def _configure(self, entry: Entry, given: dict[str, Any]) -> None:
        place = ("nodes", entry.name)
        wanted = entry.signature.options
        for key, value in given.items():
            if rule_entry.is_rules(entry.run) and key not in ENTRY_KEYS:
                continue  # a parameter of the rules, checked with them
            if key == "restart":
                entry.restart = self._flag(value, (*place, key))
            elif key in ENTRY_KEYS:
                continue
            elif key not in wanted:
                choices = (*wanted, *ENTRY_KEYS)
                hint = nearest(key, choices) or _expected(wanted, "it has")
                self._say((*place, key), f"`{entry.run}` has no configuration `{key}`{hint}", key=True)
            else:
                try:
                    entry.options[key] = options.convert(value, wanted[key], folder=self.folder)
                except options.OptionError as error:
                    self._say((*place, key), f"`{key}`: {error}")
        for key in entry.signature.required:
            if key not in given:
                self._say(place, f"`{entry.run}` needs the configuration `{key}`", key=True)

    def _flag(self, value: Any, place: tuple[str | int, ...]) -> bool:
        if not isinstance(value, bool):
            self._say(place, f"`restart` is true or false, not `{value}`")
        return bool(value)

    def _check_paths(self, graph: Graph) -> None:
        if self.problems:
            return
        names = [(topic.node, topic.name) for topic in graph.topics]
        for entry, wire in graph.command_wires():
            names.append((entry.name, command_topic(entry.name, wire.input.name)))
        for node, name in names:
            try:
                socket_path(graph.name, name)
            except TopicError as error:
                self._say(("nodes", node), str(error), key=True)


def _kinds(wanted: Input) -> str:
    return " or ".join(kind.__name__ for kind in wanted.types)


def _expected(choices: Any, words: str = "expected") -> str:
    return f"; {words}: {', '.join(choices)}" if choices else ""
