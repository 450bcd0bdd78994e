"""The recorder as a node of the graph: what `record` in a launch file, or `--record`, asks for.

It is a node ``recorder`` of its own, or stands in the place of the node that rules command: the one of
``zuluko.actions.record`` with ``driver: recorder``.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zuluko.actions.record import record
from zuluko.bus.message import Message
from zuluko.document import nearest
from zuluko.launch import models
from zuluko.launch.event import Event
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.include import Part
from zuluko.launch.options import MISSING
from zuluko.launch.places import expected
from zuluko.launch.signature import Input, Signature
from zuluko.launch.signature import read as signature_of
from zuluko.nodes.record_plan import Plan, Snapshot
from zuluko.nodes.recorder import about, commanded, recorder

NAME = "recorder"
FOLDER = "logs"  # where logs go unless told otherwise, beside the launch file
RUN = "zuluko.nodes.recorder"
TAPS = Input("taps", "taps", (Message,))


def read(part: Part, graph: Graph) -> Entry | None:
    """The recorder that a launch file asks for; what is wrong is told."""
    spec = part.top("record")
    if spec is MISSING:
        return None
    commandable = find_commandable(graph)
    if NAME in graph.entries and graph.entries[NAME] is not commandable:
        what = f"`{NAME}` is a node already, and `record` needs the name"
        part.say(("record",), f"{what}; rename the node, or give it {_commandable_as()}")
    given = spec if isinstance(spec, dict) else {"topics": spec}
    wanted, place = (
        given.get("topics", "all"),
        ("record", "topics") if isinstance(spec, dict) else ("record",),
    )
    topics = _heard(graph) if wanted == "all" else []
    for number, name in enumerate([] if wanted == "all" else wanted):
        topics += (found := named(part.visible(graph.topics), name))
        if not found:
            known = nearest(name, _names(graph)) or expected(_names(graph), "there are")
            part.say((*place, number), f"`record` names `{name}`, which is no topic{known}")
    _check(given, part, has_commands=commandable is not None)
    event = _event(given.get("snapshot"), part, graph)
    topics += [topic for topic in graph.topics if event and topic.name in event.topics]
    return entry(plan(given, part.folder, event), topics, commandable)


def _commandable_as() -> str:
    return f"`run: {record.__module__}` and `driver: recorder`"


def _heard(graph: Graph) -> list[Topic]:
    """All topics but what the recorder itself tells, which would have it write for ever."""
    own = find_commandable(graph)
    return [topic for topic in graph.topics if own is None or topic.node != own.name]


def find_commandable(graph: Graph) -> Entry | None:
    """The node whose place the recorder takes, if there is one."""
    return next((one for one in graph.entries.values() if _is_driven_by_recorder(one)), None)


def _is_driven_by_recorder(entry: Entry) -> bool:
    return entry.function is record and entry.options.get("driver") == NAME


def _check(given: Mapping[str, Any], part: Part, *, has_commands: bool) -> None:
    """What cannot be together under `record`."""
    snapshot = given.get("snapshot")
    on = snapshot.get("on") if isinstance(snapshot, dict) else None
    if snapshot is not None and not on and not has_commands:
        what = "nothing has a snapshot kept; name an event: `snapshot: {last: 30s, on: alarm}`"
        part.say(("record", "snapshot"), f"{what}, or have rules command a node with {_commandable_as()}")
    if snapshot is not None and given.get("start"):
        part.say(("record", "start"), "`snapshot` keeps what `start: true` records anyway; leave one out")
    if snapshot is not None and "split" in given and not has_commands:
        part.say(("record", "split"), "a snapshot is one file; leave out `split`")
    if snapshot is None and given.get("start") is False and not has_commands:
        what = "nothing ever starts the recorder; have rules command a node with"
        part.say(("record", "start"), f"{what} {_commandable_as()}")


def _event(snapshot: Any, part: Part, graph: Graph) -> Event | None:
    """What has a snapshot kept; None where nothing does, or where it is wrong, which is told."""
    text = snapshot.get("on") if isinstance(snapshot, dict) else None
    if text is None:
        return None
    from zuluko.launch import condition  # CEL is loaded by those who ask it something

    visible = part.visible(graph.topics)
    if topics := named(visible, text):
        return Event(text, topics)
    try:
        found = condition.of_part(text, part, graph)
    except condition.ConditionError as error:
        for problem in error.problems:
            part.say(("record", "snapshot", "on"), f"`on`: {problem}")
        return None
    if not found.topics:
        known = expected(_names(graph), "there are")
        part.say(("record", "snapshot", "on"), f"`on`: `{text}` asks about no topic{known}")
    return Event(text, found.topics, found)


def named(topics: Mapping[str, Topic], name: str) -> list[Topic]:
    """The topics that a name means: the one of that name, or all of the node of that name."""
    if name in topics:
        return [topics[name]]
    return [topic for local, topic in topics.items() if local.partition(".")[0] == name]


def entry(plan: Plan, topics: list[Topic], commandable: Entry | None = None) -> Entry:
    """The recorder; in the place of the node that rules command, with its name and all else that it has."""
    wire = Wire(TAPS, tuple(dict.fromkeys(topics)))
    options: dict[str, Any] = {"plan": plan, "about": {}}
    if commandable is None:
        return Entry(NAME, RUN, recorder, Signature((TAPS,)), wires=(wire,), options=options, must=False)
    told = commandable.signature
    return dataclasses.replace(
        commandable,
        run=f"{RUN}:{commanded.__name__}",
        function=commanded,
        signature=Signature((TAPS, *told.inputs), outputs=told.outputs),
        wires=(wire, *commandable.wires),
        options=options,
    )


def plan(given: Mapping[str, Any], folder: Path, event: Event | None = None) -> Plan:
    """What stands under `record` as the recorder takes it."""
    split, keep = (_limits(given.get(key)) for key in ("split", "keep"))
    spec = given.get("snapshot")
    snapshot = None
    if spec is not None:
        told = spec if isinstance(spec, dict) else {"last": spec}
        sizes = {key: told[key] for key in ("last", "after", "memory") if key in told}
        snapshot = Snapshot(**sizes, on=event)
    return Plan(
        to=folder / given.get("to", FOLDER),
        images=given.get("images", "raw"),
        quality=given.get("quality", 90),
        split_size=split["size"],
        split_time=split["time"],
        keep_size=keep["size"],
        keep_time=keep["time"],
        start=given.get("start", snapshot is None),
        snapshot=snapshot,
    )


def _limits(value: Any) -> dict[str, float]:
    return {"size": 0.0, "time": 0.0, **(value or {})}


def put(graph: Graph, to: Path) -> None:
    """Has a graph recorded into a file, whatever its launch file says of where to."""
    if found := _recorder(graph):
        found.options["plan"] = dataclasses.replace(found.options["plan"], to=to)
    else:
        made = entry(Plan(to), _heard(graph), find_commandable(graph))
        graph.entries[made.name] = made


def tell(graph: Graph, sets: Mapping[str, str]) -> None:
    """Gives the recorder what a log tells of its graph: the launch file as expanded, the parameters, and the
    models with their hashes."""
    from zuluko.launch import expanded

    if found := _recorder(graph):
        found.options["about"] = about(
            graph.name,
            launch_file=expanded.text(graph, sets),
            parameters=json.dumps(dict(sets)),
            models=json.dumps(models.of_graph(graph)),
        )


def _recorder(graph: Graph) -> Entry | None:
    return next((one for one in graph.entries.values() if one.function in (recorder, commanded)), None)


def is_in(graph: Graph) -> bool:
    """Whether a graph is recorded."""
    return _recorder(graph) is not None


def leave_out(graph: Graph) -> None:
    """Has a graph not recorded: in a replay, half of what it says is recorded already. One that rules command
    is simulated."""
    found = _recorder(graph)
    if found is None:
        return
    if found.function is recorder:
        del graph.entries[found.name]
        return
    wires = tuple(wire for wire in found.wires if wire.input is not TAPS)
    graph.entries[found.name] = dataclasses.replace(
        found,
        run=record.__module__,
        function=record,
        signature=signature_of(record),
        wires=wires,
        options={"driver": "simulated"},
    )


def _names(graph: Graph) -> list[str]:
    return sorted({name for topic in graph.topics for name in (topic.name, topic.node or topic.name)})
