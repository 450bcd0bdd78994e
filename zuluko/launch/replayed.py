"""A graph in which a log stands in for some nodes: one process says what they once said, the rest runs."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from zuluko.bus.log_reader import LogReader
from zuluko.bus.message import tag
from zuluko.bus.versions import refusal
from zuluko.document import nearest
from zuluko.launch.graph import Entry, Graph, Restart, Topic
from zuluko.launch.held import hold_back, is_simulated
from zuluko.launch.signature import Signature
from zuluko.log import schema_in
from zuluko.nodes.player import Timeline, player

GROUP = "replay"
RUN = "zuluko.nodes.player"


class ReplayError(ValueError):
    """A log and a graph that do not go together; a whole sentence."""


def stand_in(
    graph: Graph,
    reader: LogReader,
    timeline: Timeline,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    act: Collection[str] = (),
) -> dict[str, str]:
    """Puts players in the place of the nodes whose topics the log holds: of those in ``only``, where any are
    named, and not of those in ``without``. A program outside the graph that publishes a topic is meant by the
    topic's name. Nodes that nobody hears any more are left out, but for those that take commands and those in
    ``without``.

    Of the nodes that run, those that act on the world are held back, but for those in ``act``; gives by name
    how (``held.hold_back``).

    Raises ReplayError where that leaves nothing to replay, or nothing to run, and for a topic that the log
    holds with another type; DocumentError where a node that runs for real needs what this machine does not
    have, if the graph was read sparingly.
    """
    nodes = {**graph.entries, **{topic.name: _outside(topic) for topic in graph.external}}
    for name in (*only, *without, *act):
        if name not in nodes:
            known = nearest(name, nodes) or f"; there are: {', '.join(nodes)}"
            raise ReplayError(f"{graph.name} has no node `{name}`{known}")
    held = [name for name, entry in nodes.items() if any(t.name in reader.topics for t in entry.outputs)]
    chosen = [name for name in held if name in (only or held) and name not in without]
    if missing := [name for name in only if name not in held]:
        what = f"{reader.path} has no topic of the node `{missing[0]}`"
        raise ReplayError(f"{what}; it has: {', '.join(reader.topics) or 'nothing'}")
    if not chosen:
        what = f"{reader.path} has no topic of the graph {graph.name}"
        raise ReplayError(f"{what}; it has: {', '.join(reader.topics) or 'nothing'}")
    before = _heard(graph)
    for name in chosen:
        graph.entries[name] = _player(graph, nodes[name], reader, timeline)
    _take_in(graph, chosen)
    _leave_out(graph, before, kept={*chosen, *without})
    if graph.entries.keys() <= set(chosen):
        what = f"{reader.path} stands in for every node of {graph.name} that anybody hears"
        raise ReplayError(f"{what}, and nothing is left to run; name those to replay: --only {chosen[0]}")
    simulated = hold_back(graph, act)
    graph.demand(
        entry.name
        for entry in graph.entries.values()
        if entry.run != RUN and entry.name not in simulated and not is_simulated(entry)
    )
    return simulated


def _outside(topic: Topic) -> Entry:
    """A program outside the graph, as if it were a node of it."""
    return Entry(topic.name, RUN, player, Signature(outputs=(topic.kind,)))


def _take_in(graph: Graph, chosen: Collection[str]) -> None:
    """Has the programs outside that a player stands in for be nodes of the graph, for those that hear them,
    too."""
    inside = {topic: replace(topic, node=topic.name) for topic in graph.external if topic.name in chosen}
    graph.external = tuple(topic for topic in graph.external if topic not in inside)
    for entry in graph.entries.values() if inside else ():
        entry.wires = tuple(
            replace(wire, topics=tuple(inside.get(topic, topic) for topic in wire.topics))
            for wire in entry.wires
        )


def _player(graph: Graph, entry: Entry, reader: LogReader, timeline: Timeline) -> Entry:
    kinds = {topic.name: topic.kind for topic in entry.outputs if topic.name in reader.topics}
    for name, kind in kinds.items():
        have = reader.type_of(name)
        if why := refusal(kind, have, schema_in(reader, name)):
            what = f"{reader.path} has {name} as {have}, and the graph publishes {tag(kind)}: {why}"
            raise ReplayError(f"{what}; leave that node to run with: --without {entry.name}")
    return Entry(
        entry.name,
        RUN,
        player,
        Signature(outputs=entry.signature.outputs),
        options={"log": Path(reader.path), "kinds": kinds, "timeline": timeline},
        restart=Restart(on=False),
        group=GROUP if GROUP not in graph.entries else f"{GROUP}_of_the_log",
    )


def _heard(graph: Graph) -> set[str]:
    """The nodes that another node hears."""
    return {topic.node for entry in graph.entries.values() for wire in entry.wires for topic in wire.topics}


def _leave_out(graph: Graph, before: set[str], kept: set[str]) -> None:
    """Takes out the nodes that somebody heard, and now nobody does: the sensors of what is replayed. Who
    takes commands acts, heard or not."""
    acts = {entry.name for entry, _ in graph.command_wires()}
    while idle := [name for name in graph.entries if name in before - _heard(graph) - kept - acts]:
        for name in idle:
            del graph.entries[name]
