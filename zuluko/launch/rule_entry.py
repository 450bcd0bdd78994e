"""A rules file as a node of the graph: its inputs and outputs follow from what its rules read and command."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zuluko import document
from zuluko.actions import rulefile
from zuluko.actions.params import types as param_types
from zuluko.actions.rules import rules
from zuluko.bus.message import Command, Message
from zuluko.launch import options
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.signature import Input, Signature
from zuluko.messages import Decision


def is_rules(run: str) -> bool:
    return run.endswith((".rules.yaml", ".rules.yml"))


def read(
    name: str, file: Path, params: Mapping[str, Any], graph: Graph, given: Mapping[str, Mapping[str, Any]]
) -> Entry:
    """The node that runs a rules file, checked against the graph's types; raises DocumentError."""

    topics = {topic.name: topic for topic in graph.topics}
    ruleset = rulefile.load(
        file,
        topics={topic.name: topic.kind for topic in topics.values()},
        actuators=_actuators(name, graph, given),
        params=_typed(file, params),
        name=name,
    )
    kinds = tuple(dict.fromkeys(ruleset.commands.values()))
    events = Input("events", "stream", (Message,))
    levels = Input("levels", "latests", (Message,))
    return Entry(
        name,
        str(given[name]["run"]),
        rules,
        Signature((events, levels), outputs=(Decision, *kinds)),
        wires=(_wire(events, ruleset.triggers, topics), _wire(levels, ruleset.levels, topics)),
        options={"ruleset": ruleset},
    )


def _typed(file: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, those that were typed on the command line as what the file declares."""
    kinds = param_types(document.load(file).value.get("params"))
    typed = {name: value for name, value in params.items() if value is not options.MISSING}
    for name, value in typed.items():
        if isinstance(value, options.Text) and name in kinds:
            with suppress(options.OptionError):  # the rules say what they expect, and where
                typed[name] = options.convert(value, kinds[name], folder=file.parent)
    return typed


def _wire(wanted: Input, names: tuple[str, ...], topics: Mapping[str, Topic]) -> Wire:
    return Wire(wanted, tuple(topics[name] for name in names))


def _actuators(rules: str, graph: Graph, given: Mapping[str, Mapping[str, Any]]) -> dict[str, type[Command]]:
    """The nodes that listen to these rules for commands, with the type that each takes."""
    found = {}
    for entry in graph.entries.values():
        heard = given[entry.name].get("in")
        for wanted in entry.signature.inputs:
            topics = heard.get(wanted.name) if isinstance(heard, dict) else None
            named = topics if isinstance(topics, list) else [topics]
            commands = [kind for kind in wanted.types if issubclass(kind, Command)]
            if commands and any(str(topic).partition(".")[0] == rules for topic in named):
                found[entry.name] = commands[0]
    return found
