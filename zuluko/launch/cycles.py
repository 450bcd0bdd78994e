"""Loops in which every node waits for another, so that none of them ever begins.

A node begins when something starts its loop: it has no stream at all, or a timer, a topic from outside or a
node that begins is on one of its streams. An input that takes commands starts it, too, because an actuator
tells how it is without being asked. So rules that read the lock and command it are no fault, nor is any loop
with a ``Latest`` in it, which is asked and not waited for.
"""

from collections.abc import Iterable, Iterator

from zuluko.launch.graph import Entry, Graph, Wire


def faults(graph: Graph) -> Iterator[tuple[str, str]]:
    """The first node of each such loop, and what is wrong with it."""
    waits = _waiting(graph)
    told: set[str] = set()
    for name in graph.entries:
        loop = _loop(name, waits)
        if loop and not told & set(loop):
            told.update(loop)
            yield name, _sentence(loop, graph.entries[name])


def _waiting(graph: Graph) -> dict[str, set[str]]:
    """By each node that never begins, the nodes that it waits for."""
    begun: set[str] = set()
    while more := {e.name for e in graph.entries.values() if e.name not in begun and _begins(e, begun)}:
        begun |= more
    return {entry.name: _waits_for(entry) for name, entry in graph.entries.items() if name not in begun}


def _begins(entry: Entry, begun: set[str]) -> bool:
    driving = [wire for wire in entry.wires if wire.input.drives]
    heard = {topic.node for topic in entry.when.topics} if entry.when else set()
    if heard and not heard & (begun | {""}) and entry.when and entry.when.holds({}) is None:
        return False
    return not driving or any(_starts(wire, begun) for wire in driving)


def _starts(wire: Wire, begun: set[str]) -> bool:
    if wire.period is not None or wire.reliable:
        return True
    known = [not topic.node or topic.node in begun for topic in wire.topics]
    return all(known) if wire.input.kind == "synced" else any(known)


def _waits_for(entry: Entry) -> set[str]:
    topics = [topic for wire in entry.wires if wire.input.drives for topic in wire.topics]
    return {topic.node for topic in (*topics, *(entry.when.topics if entry.when else ()))}


def _loop(start: str, waits: dict[str, set[str]]) -> list[str]:
    """The shortest way from a node back to itself, or nothing."""
    ways = [[start]]
    seen = set[str]()
    for way in ways:  # it grows
        for name in sorted(waits.get(way[-1], ())):
            if name == start:
                return way
            if name in waits and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _sentence(loop: list[str], first: Entry) -> str:
    if len(loop) == 1 and first.when and loop[0] in {topic.node for topic in first.when.topics}:
        what = f"`{loop[0]}` runs only when it has said something itself, and never begins"
        return f"{what}; expected a `when` that reads other topics"
    hint = "expected a source, a timer or a topic from outside on one of their streams"
    way = "try `Latest[...]` for an input that need not be waited for"
    if len(loop) == 1:
        return f"`{loop[0]}` waits for itself, and never begins; {hint.replace('one of their', 'its')}; {way}"
    return f"{_circle(loop)}, and none of them ever begins; {hint}; {way}"


def _circle(loop: Iterable[str]) -> str:
    names = list(loop)
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    first, *rest = [f"`{one}` waits for `{other}`" for one, other in pairs]
    return ", ".join([first, *(one.replace("waits for ", "that for ") for one in rest)])
