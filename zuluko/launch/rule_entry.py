"""A rules file as a node of the graph: its inputs and outputs follow from what its rules read and command."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zuluko import document
from zuluko.bus.message import Command, Message
from zuluko.launch import keys, options, settings
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.include import Given
from zuluko.launch.signature import Input, Signature
from zuluko.messages import Decision, Delivery

if TYPE_CHECKING:  # a graph without rules is spared what reads them
    from zuluko.actions.rule import Action
    from zuluko.actions.rulefile import RuleSet


Fields = Callable[[type[Command], Mapping[str, Any]], Mapping[str, Any]]


def is_rules(run: str) -> bool:
    return run.endswith((".rules.yaml", ".rules.yml"))


def read(given: Given, file: Path, graph: Graph, others: Mapping[str, Given]) -> Entry:
    """The node that runs a rules file, checked against the graph's types; raises DocumentError.

    The rules of an included file say the names of that file; the node says those of the graph.
    """
    from zuluko.actions import rulefile
    from zuluko.actions.rulesource import RuleSource

    topics = given.part.visible(graph.topics)
    actuators = _actuators(given, graph, others)
    judges = {
        name: partial(settings.judge, graph, others[full], given)
        for name, (full, _) in actuators.items()
        if settings.is_setter(graph.entries[full])
    }
    own = {key: value for key, value in given.value.items() if key not in keys.ENTRY}

    def load() -> "RuleSet":
        """The rules as the file is now, with the graph's names for what they command."""
        ruleset = rulefile.load(
            file,
            topics={name: topic.kind for name, topic in topics.items()},
            actuators={name: kind for name, (_, kind) in actuators.items()},
            params=typed(file, own),
            name=given.name,
            zone=zone(),
            judges=judges,
        )
        names = {name: full for name, (full, _) in actuators.items()}
        return _renamed(
            ruleset, topics, names, lambda kind, fields: settings.renamed(kind, fields, graph, given.part)
        )

    ruleset = load()
    made = entry(given.name, given.run, ruleset, topics)
    made.options["source"] = RuleSource(file, load, ruleset)
    return made


def entry(name: str, run: str, ruleset: "RuleSet", topics: Mapping[str, Topic]) -> Entry:
    """The node that runs these rules; ``topics`` are those of the graph by what the rules call them."""
    from zuluko.actions.rules import rules

    told = {**topics, f"{name}.delivery": Topic(f"{name}.delivery", name, Delivery)}
    kinds = tuple(dict.fromkeys(ruleset.commands.values()))
    events = Input("events", "stream", (Message,))
    levels = Input("levels", "latests", (Message,))
    return Entry(
        name,
        run,
        rules,
        Signature((events, levels), outputs=(Decision, *kinds)),
        wires=(_wire(events, ruleset.hears, told), _wire(levels, ruleset.levels, topics)),
        options={"ruleset": ruleset},
    )


def _renamed(
    ruleset: "RuleSet", topics: Mapping[str, Topic], actuators: Mapping[str, str], fields: Fields
) -> "RuleSet":
    """The rules with the graph's names for what they command, and within ``fields`` of the commands; what
    they hear is renamed as it comes."""
    heard = {topics[name].name: name for name in (*ruleset.hears, *ruleset.levels) if name in topics}

    def renamed(do: "tuple[Action, ...]") -> "tuple[Action, ...]":
        return tuple(
            replace(one, actuator=actuators[one.actuator], fields=fields(one.kind, one.fields)) for one in do
        )

    return replace(
        ruleset,
        rules=tuple(
            replace(
                rule,
                do=renamed(rule.do),
                else_do=renamed(rule.else_do),
                on_failure=renamed(rule.on_failure),
            )
            for rule in ruleset.rules
        ),
        commands={actuators[name]: kind for name, kind in ruleset.commands.items()},
        names={full: name for full, name in heard.items() if full != name},
    )


def typed(file: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, those that were typed on the command line as what the file declares."""
    from zuluko.actions.params import types as param_types

    kinds = param_types(document.load(file).value.get("params"))
    found = {name: value for name, value in params.items() if value is not options.MISSING}
    for name, value in found.items():
        if isinstance(value, options.Text) and name in kinds:
            with suppress(options.OptionError):  # the rules say what they expect, and where
                found[name] = options.convert(value, kinds[name], folder=file.parent)
    return found


def zone() -> str:
    """The board's time zone, by its name."""
    named = os.environ.get("TZ", "").lstrip(":")
    return named or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2] or "UTC"


def _wire(wanted: Input, names: tuple[str, ...], topics: Mapping[str, Topic]) -> Wire:
    return Wire(wanted, tuple(topics[name] for name in names))


def _actuators(
    given: Given, graph: Graph, others: Mapping[str, Given]
) -> dict[str, tuple[str, type[Command]]]:
    """The nodes that listen to these rules for commands, by the names that the rules may call them: each with
    its name in the graph and the type that it takes."""
    found = {}
    for prefix in reversed(given.part.prefixes):
        for entry in graph.entries.values():
            kind = _commanded(entry, given.name, others[entry.name])
            if kind is not None and entry.name.startswith(prefix):
                found[entry.name.removeprefix(prefix)] = (entry.name, kind)
    return found


def _commanded(entry: Entry, rules: str, given: Given) -> type[Command] | None:
    """The type of the commands that an entry takes from these rules, if it does."""
    heard = given.value.get("in")
    for wanted in entry.signature.inputs:
        topics = heard.get(wanted.name) if isinstance(heard, dict) else None
        named = [str(topic).partition(".")[0] for topic in (topics if isinstance(topics, list) else [topics])]
        commands = [kind for kind in wanted.types if issubclass(kind, Command)]
        if commands and any(prefix + name == rules for name in named for prefix in given.part.prefixes):
            return commands[0]
    return None
