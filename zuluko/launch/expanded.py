"""A graph as one launch file: what is included merged, and the parameters put in.

What came from the environment stays ``$env:NAME``, for it may be a password, and such a text is to be shown
to others. Names are those of the graph. Rules stay files, in the words of the launch file that names them.
"""

import json
import os
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zuluko.launch import include, params
from zuluko.launch.expand import Substitution
from zuluko.launch.functions import is_file
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.include import Given, Part
from zuluko.launch.options import MISSING, Text
from zuluko.launch.rule_entry import is_rules

WIDTH = 110  # characters


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def text(graph: Graph, sets: Mapping[str, str]) -> str:
    """The YAML of a graph that has been checked with the parameters ``sets``."""
    first, *others = parts = include.read(Path(graph.file), sets, reveal=False)
    for part in parts:
        part.params = {name: _plain(part, name) for name in part.params}
        part.substitution = Substitution(part.params, part.say, reveal=False)
    given = {one.name: one for part in (first, *others) for one in include.nodes(part)}
    whole: dict[str, Any] = {}
    if "board" in first.doc.value:
        whole["board"] = first.substitution.put_in(first.doc.value["board"], ("board",))
    if graph.external:
        whole["topics"] = {name: home for part in parts for name, home in _topics(part, first.folder)}
    if budgets := {entry.name: f"{entry.budget:g}s" for entry in graph.entries.values() if entry.budget}:
        whole["budget"] = budgets
    if "record" in first.doc.value:
        whole["record"] = first.substitution.put_in(first.doc.value["record"], ("record",))
    whole["nodes"] = {
        name: _Expansion(graph, entry, given[name], first.folder).value()
        for name, entry in graph.entries.items()
        if name in given
    }
    return yaml.dump(
        whole, Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True, default_flow_style=None
    )


class _Expansion:
    """One entry, as it would stand in a file of its own graph, beside the launch file."""

    def __init__(self, graph: Graph, entry: Entry, given: Given, folder: Path) -> None:
        self._graph, self._entry, self._given, self._folder = graph, entry, given, folder

    def value(self) -> dict[str, Any]:
        part = self._given.part
        found = dict(self._given.value)
        found["run"] = _moved(part, self._given.run, self._folder)
        if isinstance(found.get("in"), dict):
            found["in"] = {key: self._heard(heard) for key, heard in found["in"].items()}
        if "group" in found:
            found["group"] = part.named(str(found["group"]))
        if self._entry.when and isinstance(found["when"], str):
            found["when"] = self._condition(found["when"])
        for key, kind in self._entry.signature.options.items():
            if key in found and not is_rules(self._entry.run):
                found[key] = self._option(key, kind, found[key])
        return found

    def _option(self, key: str, kind: Any, value: Any) -> Any:
        path = self._entry.options.get(key)
        if Path not in {kind, *typing.get_args(kind)} or not isinstance(path, Path) or "$env:" in str(value):
            return value
        return os.path.relpath(path, self._folder)

    def _heard(self, heard: Any) -> Any:
        if isinstance(heard, dict):
            return {key: self._heard(value) if key == "sync" else value for key, value in heard.items()}
        if isinstance(heard, list):
            return [self._heard(one) for one in heard]
        known = {name for topic in self._graph.topics for name in (topic.name, topic.node)}
        return next((p + heard for p in self._given.part.prefixes if p + heard in known), heard)

    def _condition(self, text: str) -> str:
        """The condition with the graph's names and the values of the parameters."""
        part = self._given.part
        nodes = {name.partition(".")[0]: topic.name.partition(".")[0] for name, topic in self._visible()}
        values = {name: json.dumps(value) for name, value in part.params.items() if value is not MISSING}
        return renamed(text, {**values, **nodes})

    def _visible(self) -> list[tuple[str, Any]]:
        return list(self._given.part.visible(self._graph.topics).items())


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A CEL text with other words for what its paths begin with."""
    from zuluko.actions.celtext import tokens

    found = tokens(text)
    parts, end = list[str](), 0
    for before, token, after in zip([None, *found], found, [*found[1:], None], strict=False):
        is_root = token.kind == "word" and not (before and before.text == ".")
        if is_root and token.text in names and not (after and after.text == "("):
            parts += [text[end : token.start], names[token.text]]
            end = token.start + len(token.text)
    return "".join([*parts, text[end:]])


def _plain(part: Part, name: str) -> Any:
    """A parameter as it would be written: what was typed as its type asks, but a duration and a text as they
    are."""
    value, param = part.params[name], part.declared[name]
    if not isinstance(value, Text):
        return value
    if param.type in ("text", "path", "duration") or re.match(r"[0-9.]+ ?[a-z]", value):
        return str(value)
    return params.plain(param, value)


def _topics(part: Part, folder: Path) -> list[tuple[str, str]]:
    declared = part.top("topics")
    found = {} if declared is MISSING else declared
    return [(part.named(name), _moved(part, home, folder)) for name, home in found.items()]


def _moved(part: Part, run: str, folder: Path) -> str:
    """What is a path in an included file, from the folder of the launch file."""
    path, colon, name = run.partition(":")
    if not is_file(run) or part.folder == folder:
        return run
    relative = os.path.relpath(part.folder / path, folder)
    return f"{relative if relative.startswith('.') else f'./{relative}'}{colon}{name}"
