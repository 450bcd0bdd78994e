"""What a replay holds back: nodes that act on the world get their simulated driver, and those without one
only tell what they would have done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zuluko.launch import functions, options, settings
from zuluko.launch.graph import Entry, Graph, Wire
from zuluko.launch.signature import Signature, defaults
from zuluko.nodes.withheld import withheld

SIMULATED = "simulated"


def hold_back(graph: Graph, act: Collection[str] = ()) -> dict[str, str]:
    """Has the nodes of a graph act on nothing, but for those in ``act``; by name, how each that would have
    is held back. Those that a log stands in for act on nothing anyway."""
    held = {}
    for name, entry in list(graph.entries.items()):
        if name not in act and (found := _held(entry)):
            graph.entries[name], held[name] = found
    return held


def sentence(held: Mapping[str, str]) -> str:
    """The line that says so."""
    told = ", ".join(f"{name} ({how})" for name, how in held.items())
    return f"not for real: {told}; to have a node act: --act {next(iter(held))}"


def _held(entry: Entry) -> tuple[Entry, str] | None:
    """What stands in its place, and how that is said; None where it does not act on the world.

    Who acts takes commands, or hears something and has a driver that can be simulated; a driver without
    inputs is a sensor's. Without all configuration that it must have, for the environment lacks some, nothing
    can be simulated.
    """
    taking = [wire for wire in entry.wires if wire.reliable]
    commands = [wire for wire in taking if wire.acts]
    if taking and not commands:
        return None
    if _can_be_simulated(entry) and not entry.is_source:
        driver = str({**defaults(entry.function), **entry.options}["driver"])
        if driver == SIMULATED:
            return None
        return replace(entry, options={**entry.options, "driver": SIMULATED}), f"{SIMULATED}, not {driver}"
    return (_withheld(entry, commands), "held back") if commands else None


def is_simulated(entry: Entry) -> bool:
    """Whether it does nothing for real, as the launch file has it."""
    driver = {**defaults(entry.function), **entry.options}.get("driver")
    return driver == SIMULATED and not entry.is_source


def _can_be_simulated(entry: Entry) -> bool:
    """Whether it has a driver ``simulated``: as its default, by its type, or by what its own check says."""
    kind = entry.signature.options.get("driver")
    if not set(entry.signature.required) <= entry.options.keys():
        return False
    if kind is None or defaults(entry.function).get("driver") == SIMULATED:
        return kind is not None
    try:
        options.convert(SIMULATED, kind, folder=Path())
    except options.OptionError:
        return False
    if functions.check_of(entry.function):
        return not settings.wrong_with(entry, "driver", SIMULATED)
    return kind is not str


def _withheld(entry: Entry, commands: Sequence[Wire]) -> Entry:
    kinds = dict.fromkeys(kind for wire in commands for kind in wire.input.types)
    topics = dict.fromkeys(topic for wire in commands for topic in wire.topics)
    heard = replace(commands[0].input, types=tuple(kinds))
    return replace(
        entry,
        run=withheld.__module__,
        function=withheld,
        signature=Signature((heard,), outputs=entry.signature.outputs),
        wires=(replace(commands[0], input=heard, topics=tuple(topics)),),
        options={},
    )
