"""``zuluko echo``: what a topic says, as it says it."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.say import fail

if TYPE_CHECKING:
    from collections import Counter

    from zuluko.bus.wire import Envelope

Topic = Annotated[str, typer.Argument(help="a topic, such as faces, or graph/topic", metavar="TOPIC")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]
Count = Annotated[int, typer.Option("--count", "-n", help="stop after so many messages; 0 goes on", min=0)]
Wait = Annotated[float, typer.Option(help="seconds to wait for each message; 0 waits for ever", min=0)]


def echo(topic: Topic, as_json: Json = False, count: Count = 0, wait: Wait = 0) -> None:
    """Print the messages of a topic; Ctrl-C ends it. What was lost on the way is told on standard error."""
    from zuluko.bus.topics import TopicError

    try:
        graph, name = resolve(topic)
        for printed, (envelope, lost) in enumerate(messages(graph, name, wait), 1):
            if lost:
                print(f"({losses(lost)} lost)", file=sys.stderr)
            print(line(envelope.seq, envelope.body, as_json), flush=True)
            if printed == count:
                return
    except TopicError as error:
        fail(error)


def resolve(topic: str) -> tuple[str, str]:
    """The graph and the topic that a person means; exits with a sentence where nothing fits."""
    from zuluko.bus.topics import announcements, graphs
    from zuluko.document import nearest
    from zuluko.launch.graphlock import running

    wanted, _, name = topic.rpartition("/")
    topics = {graph: [told.topic for told in announcements(graph)] for graph in graphs() if running(graph)}
    if not topics:
        fail("no graph runs; start one with: zuluko up door")
    if wanted and wanted not in topics:
        fail(f"no graph `{wanted}` runs{nearest(wanted, topics) or '; there are: ' + ', '.join(topics)}")
    fitting = [graph for graph in topics if name in topics[graph] and wanted in ("", graph)]
    if len(fitting) > 1:
        fail(
            f"several graphs have a topic `{name}`; write one of: {', '.join(f'{g}/{name}' for g in fitting)}"
        )
    if not fitting:
        _refuse_input(name, [graph for graph in topics if wanted in ("", graph)])
        known = sorted({told for graph in topics for told in topics[graph] if wanted in ("", graph)})
        fail(f"no topic `{name}`{nearest(name, known) or '; there are: ' + ', '.join(known)}")
    return fitting[0], name


def _refuse_input(name: str, graphs: list[str]) -> None:
    """Exits where the name is an input of commands: whoever looks for them finds them on other topics."""
    from zuluko.launch import status

    for told in filter(None, map(status.read, graphs)):
        for node in told.nodes:
            for heard in node.inputs:
                if heard.how == "commands" and name == f"{node.name}.{heard.name}":
                    topics = ", ".join(heard.topics) or "none"
                    fail(
                        f"`{name}` is an input and no topic; the commands that nodes give it are on: {topics}"
                    )


def messages(
    graph: str, topic: str, wait: float = 0, keep: int = 64
) -> Iterator[tuple["Envelope[Any]", "Counter[str]"]]:
    """A topic's messages as they come, each with what was lost before it, by cause. Ends with the graph;
    exits with a sentence where nothing came for ``wait`` seconds."""
    from collections import Counter

    from zuluko.bus.subscriber import Subscriber
    from zuluko.launch.graphlock import running
    from zuluko.launch.status import share_clock

    share_clock(graph)
    pid = running(graph)
    subscriber: Subscriber[Any] = Subscriber(graph, topic, Any, keep=keep)
    told: Counter[str] = Counter()
    waited = 0.0
    while True:
        patience = min(1.0, wait - waited) if wait else 1.0
        if (envelope := subscriber.wait(patience)) is not None:
            yield envelope, subscriber.lost - told
            told, waited = subscriber.lost.copy(), 0.0
            continue
        if running(graph) != pid:
            print(f"the graph {graph} has ended", file=sys.stderr)
            return
        waited += patience
        if wait and waited >= wait:
            fail(f"nothing came on {topic} within {wait:g} s")


def losses(lost: Mapping[str, int]) -> str:
    """What was lost, by cause, in words."""
    return ", ".join(f"{count} {cause}" for cause, count in lost.items())


def line(seq: int, body: dict[str, Any], as_json: bool, **more: Any) -> str:
    """A message in a line; ``more`` stands before it in JSON."""
    shown = _plain(body)
    if as_json:
        return json.dumps({**more, "seq": seq, "body": shown})
    kind = shown.pop("type", "?")
    return f"{seq:>6} {kind} " + "  ".join(f"{key}={json.dumps(value)}" for key, value in shown.items())


def _plain(value: Any) -> Any:
    """A message without its arrays' bytes: an array shows its shape and dtype."""
    if isinstance(value, dict):
        if {"dtype", "shape"} <= value.keys():
            return f"array {'x'.join(map(str, value['shape']))} {value['dtype']}"
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return f"{len(value)} bytes" if isinstance(value, bytes) else value
