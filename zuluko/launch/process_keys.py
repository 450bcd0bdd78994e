"""How a node's process is to run: the keys of an entry that are not its function's; the graph's budget."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from zuluko.bus.message import Command
from zuluko.document import nearest
from zuluko.launch.board import Board
from zuluko.launch.graph import Entry, Graph, Limit, Restart
from zuluko.launch.include import Given, Part
from zuluko.launch.options import MISSING, shown
from zuluko.launch.places import expected

SHARED = ("restart", "env", "nice", "cpu", "memory")  # what nodes of one group have in common


def read(entry: Entry, given: Given) -> None:
    """Gives an entry what stands under its process keys."""
    for key, put in _PUT.items():
        if key in given.value and (value := given.read(key)) is not MISSING:
            put(entry, value)


def check_cores(entry: Entry, given: Given, board: Board | None) -> None:
    """Tells of a core that the board, or this machine, does not have."""
    highest = (board.cores if board else os.cpu_count() or 1) - 1
    if wrong := [core for core in entry.cores if core > highest]:
        machine = f"the board {board.name}" if board else "this machine"
        have = f"cores 0 to {highest}" if highest else "only core 0"
        given.say(("cpu",), f"`cpu` names core {wrong[0]}, but {machine} has {have}; choose of those")


def _restart(entry: Entry, value: Any) -> None:
    entry.restart = Restart(on=value) if isinstance(value, bool) else Restart(**value)


def _memory(entry: Entry, value: Any) -> None:
    entry.memory = Limit(**value) if isinstance(value, dict) else Limit(value)


def _cpu(entry: Entry, value: Any) -> None:
    spec = value if isinstance(value, dict) else {"cores": value}
    cores = spec.get("cores", ())
    entry.cores = tuple(dict.fromkeys(cores if isinstance(cores, (list, tuple)) else (cores,)))
    entry.priority = spec.get("priority", 0)
    entry.cpu = Limit(spec["most"], spec.get("restart", False)) if "most" in spec else None


_PUT: Mapping[str, Callable[[Entry, Any], None]] = {
    "must": lambda entry, value: setattr(entry, "must", value),
    "restart": _restart,
    "group": lambda entry, value: setattr(entry, "group", value),
    "env": lambda entry, value: setattr(entry, "env", value),
    "nice": lambda entry, value: setattr(entry, "nice", value),
    "cpu": _cpu,
    "memory": _memory,
}


def share(graph: Graph, given: Mapping[str, Given]) -> None:
    """Names the groups, and gives the nodes of each what any of them says of their process."""
    for entry in graph.entries.values():
        if entry.group:
            one = given[entry.name]
            entry.group = one.part.named(entry.group)
            if entry.group in graph.entries:
                what = f"`{entry.group}` is a node's name; expected a name of its own for the group"
                one.say(("group",), f"{what}; try `group: {entry.group}_group`")
    for name, entries in graph.processes.items():
        if len(entries) > 1:
            _agree(name, entries, given)


def _agree(name: str, entries: tuple[Entry, ...], given: Mapping[str, Given]) -> None:
    for key in (*SHARED, "when"):
        having = [entry for entry in entries if key in given[entry.name].value]
        for entry in having[1:]:
            _compare(name, key, having[0], entry, given)
        for entry in entries if having else ():
            _copy(key, having[0], entry)


def _compare(name: str, key: str, first: Entry, other: Entry, given: Mapping[str, Given]) -> None:
    if _said(key, first) != _said(key, other):
        one = given[first.name]
        where = one.part.doc.key_place(*one.place, key)
        what = f"`{other.name}` and `{first.name}` share the process of the group `{name}`"
        given[other.name].say(
            (key,), f"{what}, and differ in `{key}` ({where}); give it once, for both", key=True
        )


def _said(key: str, entry: Entry) -> Any:
    if key == "cpu":
        return entry.cores, entry.priority, entry.cpu
    return entry.when and entry.when.text if key == "when" else getattr(entry, key)


def _copy(key: str, source: Entry, target: Entry) -> None:
    for name in ("cores", "priority", "cpu") if key == "cpu" else (key,):
        setattr(target, name, getattr(source, name))


def budgets(graph: Graph, part: Part) -> None:
    """Gives the nodes of a file their budgets: those named, or all that command or are commanded."""
    budget = part.top("budget")
    if isinstance(budget, float):
        for entry in graph.entries.values():
            if _acts(entry) and any(entry.name.startswith(prefix) for prefix in part.prefixes[:1]):
                entry.budget = budget
        return
    for name, limit in ({} if budget is MISSING else budget).items():
        found = next((p + name for p in part.prefixes if p + name in graph.entries), None)
        if found is None:
            names = [entry.removeprefix(part.prefixes[0]) for entry in graph.entries]
            hint = nearest(name, names) or expected(names, "there are")
            part.say(("budget", name), f"`budget` names {shown(name)}, which is no node{hint}", key=True)
        else:
            graph.entries[found].budget = limit


def _acts(entry: Entry) -> bool:
    commands = any(issubclass(kind, Command) for kind in entry.signature.outputs)
    return commands or any(wire.reliable for wire in entry.wires)
