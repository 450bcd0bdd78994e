"""A launch file, read into a checked graph.

Everything that can be known before anything starts is checked here, and all that is wrong is told at once.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zuluko import document
from zuluko.bus.commands import command_topic
from zuluko.bus.topics import TopicError, check_name, run_dir, socket_path
from zuluko.document import Document, DocumentError, Problem, nearest
from zuluko.launch import functions, options, rule_entry, signature, stock
from zuluko.launch.connections import Connections, expected
from zuluko.launch.graph import Entry, Graph, Param, Restart

TOP_KEYS = ("params", "nodes")
ENTRY_KEYS = ("run", "in", "restart", "group")
_NODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"\$(?:(\$)|(env:)?([A-Za-z_][A-Za-z0-9_]*))")


def locate(name: str) -> Path:
    """The launch file of that path, or the stock one of that name; DocumentError where there is neither."""
    file = Path(name)
    if file.is_file():
        return file
    if name in stock.names():
        return stock.FOLDER / f"{name}.yaml"
    hint = nearest(name, stock.names()) or f"; the stock graphs are: {', '.join(stock.names())}"
    raise DocumentError([Problem(name, 0, 0, f"there is no such launch file{hint}")])


def load(file: Path, *, sets: Mapping[str, str] | None = None, name: str | None = None) -> Graph:
    """The checked graph of a launch file; ``sets`` are parameters from the command line, as text. Raises
    DocumentError with every problem found."""
    return _Reader(document.load(file), sets or {}, name).read()


def params(doc: Document) -> dict[str, Param]:
    """A launch file's parameters: `name: default`, or `name: {default: ..., help: ...}`."""
    found = {}
    for name, value in _mapping(doc.value.get("params")).items():
        whole = isinstance(value, dict) and set(value) <= {"default", "help"}
        found[name] = Param(value.get("default"), str(value.get("help", ""))) if whole else Param(value)
    return found


def _typed(text: str, origin: str) -> options.Text:
    value = options.Text(text)
    value.origin = origin
    return value


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
        for name in [name for name, entry in given.items() if not isinstance(entry["run"], str)]:
            del given[name]  # its variable has been complained of
        graph = Graph(self.name, self.doc.file, {}, params(self.doc))
        for name, entry in given.items():
            if not rule_entry.is_rules(entry["run"]) and (node := self._function(name, entry)) is not None:
                graph.entries[name] = node
        self._add_rules(graph, given)
        graph.entries = {name: graph.entries[name] for name in given if name in graph.entries}
        connections = Connections(graph, self._say)
        for name, node in graph.entries.items():
            if not rule_entry.is_rules(node.run):
                connections.connect(node, given[name].get("in", {}), whole=len(graph.entries) == len(given))
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
                hint = nearest(key, TOP_KEYS) or expected(TOP_KEYS)
                self._say((key,), f"unknown key `{key}`{hint}", key=True)
        if not _mapping(self.doc.value.get("nodes")):
            self._say(("nodes",), "a launch file needs `nodes:`, a mapping of names to entries")
        try:
            check_name(self.name, "graph")
        except TopicError as error:
            self.problems.append(Problem(self.doc.file, 0, 0, f"{error}; give another with --name"))

    def _read_params(self) -> dict[str, Any]:
        declared = self.doc.value.get("params")
        if declared is not None and not isinstance(declared, dict):
            self._say(("params",), "`params:` must be a mapping of names to defaults, such as {hz: 15}")
        known = params(self.doc)
        for key in self.sets:
            if key not in known:
                hint = nearest(key, known) or expected(known, "its parameters are")
                self.problems.append(
                    Problem(f"--set {key}", 0, 0, f"{self.doc.file} has no such parameter{hint}")
                )
        values = {key: param.default for key, param in known.items()}
        return values | {key: _typed(text, f"--set {key}") for key, text in self.sets.items() if key in known}

    def _nodes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, entry in _mapping(self.doc.value.get("nodes")).items():
            if not _NODE.fullmatch(name):
                what = f"`{name}` cannot name a node: use letters, digits, - and _, a letter first"
                self._say(("nodes", name), what, key=True)
                continue
            if not isinstance(entry, dict) or not isinstance(entry.get("run"), str):
                what = f"the node `{name}` needs `run:`, such as {{run: zuluko.nodes.camera}}"
                self._say(("nodes", name), what)
                continue
            yield name, entry

    def _substitute(self, value: Any, path: tuple[str | int, ...]) -> Any:
        """Puts in ``$name`` and ``$env:NAME``, and ``$`` for ``$$``; a value that is nothing else keeps the
        parameter's type."""
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
        dollar, environment, name = found.groups()
        if dollar:
            return dollar
        if environment:
            if name not in os.environ:
                self._say(path, f"the environment has no {name}; set it before the start")
            return _typed(os.environ[name], f"$env:{name}") if name in os.environ else options.MISSING
        if name not in self.params:
            hint = nearest(name, self.params) or "; declare it under `params:`"
            self._say(path, f"`${name}` is no parameter of this file{hint}")
        return self.params.get(name, options.MISSING)

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
        """Rules come last, for they are checked against the other nodes' types; not where one is missing."""
        rules = {name: entry for name, entry in given.items() if rule_entry.is_rules(entry["run"])}
        if len(graph.entries) + len(rules) < len(given):
            return
        for name, entry in rules.items():
            file = self.folder / entry["run"]
            if not file.is_file():
                self._say(("nodes", name, "run"), f"there is no file {file}")
                continue
            if "in" in entry:
                what = "rules hear what their file names; remove `in:`"
                self._say(("nodes", name, "in"), what, key=True)
            try:
                own = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
                graph.entries[name] = rule_entry.read(name, file, own, graph, given)
            except DocumentError as error:
                self.problems += error.problems

    def _configure(self, entry: Entry, given: dict[str, Any]) -> None:
        place = ("nodes", entry.name)
        wanted = entry.signature.options
        for key, value in given.items():
            if rule_entry.is_rules(entry.run) and key not in ENTRY_KEYS:
                continue  # a parameter of the rules, checked with them
            if key == "restart":
                entry.restart = Restart(on=self._flag(value, (*place, key)))
            elif key == "group":
                entry.group = self._group(entry, value, (*place, key))
            elif key in ENTRY_KEYS or value is options.MISSING:
                continue
            elif key not in wanted:
                choices = (*wanted, *ENTRY_KEYS)
                hint = nearest(key, choices) or expected(wanted, "it has")
                self._say((*place, key), f"`{entry.run}` has no configuration `{key}`{hint}", key=True)
            else:
                try:
                    entry.options[key] = options.convert(value, wanted[key], folder=self.folder)
                except options.OptionError as error:
                    self._complain((*place, key), f"`{key}`: {error}", value)
        for key in entry.signature.required:
            if key not in given:
                self._say(place, f"`{entry.run}` needs the configuration `{key}`", key=True)

    def _group(self, entry: Entry, value: Any, place: tuple[str | int, ...]) -> str:
        if not (isinstance(value, str) and _NODE.fullmatch(value)):
            self._say(place, f"`{value}` cannot name a group: use letters, digits, - and _, a letter first")
            return ""
        if value in _mapping(self.doc.value.get("nodes")):
            self._say(place, f"`{value}` is a node's name; a group needs one of its own")
        return value

    def _flag(self, value: Any, place: tuple[str | int, ...]) -> bool:
        try:
            return bool(options.convert(value, bool, folder=self.folder))
        except options.OptionError:
            self._complain(place, f"`restart` is true or false, not `{value}`", value)
            return True

    def _complain(self, place: tuple[str | int, ...], what: str, value: Any) -> None:
        """Of a value that was typed, the command line is the place, and not the file that passed it on."""
        if isinstance(value, options.Text) and value.origin:
            self.problems.append(Problem(value.origin, 0, 0, what))
        else:
            self._say(place, what)

    def _check_paths(self, graph: Graph) -> None:
        if self.problems:
            return
        try:
            run_dir()
        except TopicError as error:
            self.problems.append(Problem("the runtime directory", 0, 0, str(error)))
            return
        names = [(topic.node, topic.name) for topic in graph.topics]
        for entry, wire in graph.command_wires():
            names.append((entry.name, command_topic(entry.name, wire.input.name)))
        for node, name in names:
            try:
                socket_path(graph.name, name)
            except TopicError as error:
                self._say(("nodes", node), str(error), key=True)
