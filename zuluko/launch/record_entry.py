"""The recorder as a node of the graph: what `record` in a launch file, or `--record`, asks for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zuluko.bus.message import Message
from zuluko.document import nearest
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.include import Part
from zuluko.launch.options import MISSING
from zuluko.launch.places import expected
from zuluko.launch.signature import Input, Signature
from zuluko.nodes.recorder import Plan, about, recorder

NAME = "recorder"
FOLDER = "logs"  # where logs go unless told otherwise, beside the launch file
RUN = "zuluko.nodes.recorder"


def read(part: Part, graph: Graph) -> Entry | None:
    """The recorder that a launch file asks for; what is wrong is told."""
    spec = part.top("record")
    if spec is MISSING:
        return None
    if NAME in graph.entries:
        part.say(("record",), f"`{NAME}` is a node already, and `record` needs the name; rename the node")
    given = spec if isinstance(spec, dict) else {"topics": spec}
    wanted, place = (
        given.get("topics", "all"),
        ("record", "topics") if isinstance(spec, dict) else ("record",),
    )
    topics = list(graph.topics) if wanted == "all" else []
    for number, name in enumerate([] if wanted == "all" else wanted):
        topics += (found := named(part.visible(graph.topics), name))
        if not found:
            known = nearest(name, _names(graph)) or expected(_names(graph), "there are")
            part.say((*place, number), f"`record` names `{name}`, which is no topic{known}")
    return entry(plan(given, part.folder), topics)


def named(topics: Mapping[str, Topic], name: str) -> list[Topic]:
    """The topics that a name means: the one of that name, or all of the node of that name."""
    if name in topics:
        return [topics[name]]
    return [topic for local, topic in topics.items() if local.partition(".")[0] == name]


def entry(plan: Plan, topics: list[Topic]) -> Entry:
    taps = Input("taps", "taps", (Message,))
    wire = Wire(taps, tuple(dict.fromkeys(topics)))
    options = {"plan": plan, "about": {}}
    return Entry(NAME, RUN, recorder, Signature((taps,)), wires=(wire,), options=options, must=False)


def plan(given: Mapping[str, Any], folder: Path) -> Plan:
    """What stands under `record` as the recorder takes it."""
    split, keep = (_limits(given.get(key)) for key in ("split", "keep"))
    return Plan(
        to=folder / given.get("to", FOLDER),
        images=given.get("images", "raw"),
        quality=given.get("quality", 90),
        split_size=split["size"],
        split_time=split["time"],
        keep_size=keep["size"],
        keep_time=keep["time"],
    )


def _limits(value: Any) -> dict[str, float]:
    return {"size": 0.0, "time": 0.0, **(value or {})}


def put(graph: Graph, to: Path) -> None:
    """Has a graph recorded into a file, whatever its launch file says of where to."""
    import dataclasses

    if is_in(graph):
        options = graph.entries[NAME].options
        options["plan"] = dataclasses.replace(options["plan"], to=to)
    else:
        graph.entries[NAME] = entry(Plan(to), list(graph.topics))


def tell(graph: Graph, sets: Mapping[str, str]) -> None:
    """Gives the recorder what a log tells of its graph: the launch file as expanded, and the parameters."""
    from zuluko.launch import expanded

    if is_in(graph):
        told = about(graph.name, launch_file=expanded.text(graph, sets), parameters=json.dumps(dict(sets)))
        graph.entries[NAME].options["about"] = told


def is_in(graph: Graph) -> bool:
    """Whether a graph is recorded."""
    return NAME in graph.entries and graph.entries[NAME].run == RUN


def leave_out(graph: Graph) -> None:
    """Has a graph not recorded: in a replay, half of what it says is recorded already."""
    if is_in(graph):
        del graph.entries[NAME]


def _names(graph: Graph) -> list[str]:
    return sorted({name for topic in graph.topics for name in (topic.name, topic.node or topic.name)})
