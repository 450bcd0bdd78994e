"""Parameters that may be changed while the graph runs: which there are, what fits, what is allowed."""

import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zuluko.bus.message import Command
from zuluko.document import nearest
from zuluko.launch import functions, options
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.include import Given, Part
from zuluko.launch.places import expected
from zuluko.launch.signature import defaults
from zuluko.messages import SetCommand

RUN = "zuluko.actions.set"

Allowed = dict[str, list[str]]  # by node, the names of its parameters


class SettingError(ValueError):
    """A parameter that there is not, or a value that does not fit; a whole sentence."""


def converted(entry: Entry, name: str, value: Any) -> Any:
    """The value as the node's annotation asks for it; raises SettingError."""
    try:
        return options.convert(
            value,
            kind_of(entry, name),
            folder=Path(),
            name=name,
            example=defaults(entry.function).get(name),
        )
    except options.OptionError as error:
        raise SettingError(str(error)) from None


def kind_of(entry: Entry, name: str) -> Any:
    """The annotation of a parameter that can be changed; raises SettingError."""
    wanted = entry.signature.options
    if not wanted and entry.run.endswith((".yaml", ".yml")):
        what = f"`{entry.name}` runs a rules file, whose parameters cannot be set"
        raise SettingError(f"{what}; let its rules read what a publish node says")
    if name not in wanted:
        hint = nearest(name, wanted) or expected(wanted, "it has")
        raise SettingError(f"`{entry.name}` has no configuration `{name}`{hint}")
    if _holds_path(wanted[name]):
        raise SettingError(f"`{name}` of `{entry.name}` is a path, and paths cannot be set")
    return wanted[name]


def is_so(entry: Entry, name: str, value: Any) -> bool:
    """Whether a parameter has that value already."""
    known = {**defaults(entry.function), **entry.options}
    return name in known and type(known[name]) is type(value) and bool(known[name] == value)


def wrong_with(entry: Entry, name: str, value: Any) -> str:
    """What the node itself finds wrong with a value, once it is converted, or nothing."""
    check = functions.check_of(entry.function)
    given = {**defaults(entry.function), **entry.options, name: value}
    faults = check(**given) if check else ()
    found = next((fault for fault in faults if not fault.passing), None)
    return f"`{found.key}`: {found.what}" if found else ""


def _holds_path(kind: Any) -> bool:
    return kind is Path or any(map(_holds_path, typing.get_args(kind)))


# -- what the launch file allows


def is_setter(entry: Entry) -> bool:
    """Whether a node is the one that sets."""
    return getattr(entry.function, "__module__", "") == RUN


def check(graph: Graph, given: Mapping[str, Given]) -> None:
    """Proves that what the set nodes may change can be changed; gives them the graph's names for it."""
    for entry in filter(is_setter, graph.entries.values()):
        found: Allowed = {}
        for local, names in entry.options.get("allow", {}).items():
            target = full_name(local, given, given[entry.name].part)
            say = partial(given[entry.name].say, ("allow", local))
            if target is None:
                known = nearest(local, given) or expected(given, "there are")
                say(f"there is no node `{local}`{known}", key=True)
                continue
            found[target] = [*found.get(target, []), *names]
            if target not in graph.entries:  # which is told already
                continue
            wrong = list(_unsettable(graph.entries[target], names))
            if not wrong and (why := _entangled(graph, entry, graph.entries[target])):
                wrong = [f"`{local}` cannot be set: {why}"]
            for what in wrong:
                say(what)
        entry.options["allow"] = found


def full_name(local: str, entries: Iterable[str], part: Part) -> str | None:
    """The name in the graph of what a file calls ``local``, its own first; None where there is none."""
    known = set(entries)
    return next((prefix + local for prefix in part.prefixes if prefix + local in known), None)


def _entangled(graph: Graph, setter: Entry, target: Entry) -> str:
    """Why a node's restart would take with it whoever asked for it, or nothing."""
    askers = {topic.node for wire in setter.wires if wire.reliable for topic in wire.topics}
    for name in (setter.name, *sorted(askers)):
        if name in graph.entries and graph.entries[name].process == target.process:
            return f"it starts anew with a new value, and its process is that of `{name}`, which sets it"
    return ""


def _unsettable(entry: Entry, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            kind_of(entry, name)
        except SettingError as error:
            yield str(error)


# -- what a rule says


def judge(graph: Graph, setter: Given, rules: Given, fields: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a SetCommand that a rule gives to the set node, by its field."""
    target = full_name(str(fields["node"]), graph.entries, rules.part)
    allowed = {
        full_name(str(local), graph.entries, setter.part): names
        for local, names in _allow(setter).items()
        if isinstance(names, list)
    }
    if target is None:
        known = nearest(str(fields["node"]), graph.entries) or expected(graph.entries, "there are")
        return {"node": f"there is no node `{fields['node']}`{known}"}
    if fields["name"] not in allowed.get(target, ()):
        what = f"`{setter.local}` may not set `{fields['name']}` of `{fields['node']}`"
        return {"name": f"{what}; allow it there: `allow: {{{fields['node']}: [{fields['name']}]}}`"}
    try:
        converted(graph.entries[target], fields["name"], fields["value"])
    except SettingError as error:
        return {"value": str(error)}
    return {}


def _allow(setter: Given) -> Mapping[str, Any]:
    allow = setter.value.get("allow")
    return allow if isinstance(allow, dict) else {}


def renamed(kind: type[Command], fields: Mapping[str, Any], graph: Graph, part: Part) -> Mapping[str, Any]:
    """A command's fields with the graph's name for the node that it sets."""
    if not issubclass(kind, SetCommand):
        return fields
    return {**fields, "node": full_name(fields["node"], graph.entries, part) or fields["node"]}
