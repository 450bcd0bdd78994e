"""``zuluko echo``: what a topic says, as it says it."""

import json
import math
import sys
from typing import Annotated, Any

import typer

from zuluko.cli.say import fail

Topic = Annotated[str, typer.Argument(help="a topic, such as faces, or graph/topic", metavar="TOPIC")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]
Count = Annotated[int, typer.Option("--count", "-n", help="stop after so many messages; 0 goes on", min=0)]
Wait = Annotated[float, typer.Option(help="seconds to wait for each message; 0 waits for ever", min=0)]


def echo(topic: Topic, as_json: Json = False, count: Count = 0, wait: Wait = 0) -> None:
    """Print the messages of a topic; Ctrl-C ends it."""
    from zuluko.bus.topics import TopicError

    try:
        graph, name = _resolve(topic)
        _print(graph, name, as_json, count, wait)
    except TopicError as error:
        fail(error)


def _resolve(topic: str) -> tuple[str, str]:
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
        known = sorted({told for graph in topics for told in topics[graph] if wanted in ("", graph)})
        fail(f"no topic `{name}`{nearest(name, known) or '; there are: ' + ', '.join(known)}")
    return fitting[0], name


def _print(graph: str, topic: str, as_json: bool, count: int, wait: float) -> None:
    from zuluko.bus.subscriber import Subscriber

    subscriber: Subscriber[Any] = Subscriber(graph, topic, Any)
    printed = lost = 0
    while not count or printed < count:
        envelope = subscriber.wait(wait or None)
        if envelope is None:
            fail(f"nothing came on {topic} within {wait:g} s")
        if (total := subscriber.lost.total()) > lost:
            print(f"({total - lost} lost: {', '.join(subscriber.lost)})", file=sys.stderr)
            lost = total
        print(_line(envelope.seq, envelope.body, as_json), flush=True)
        printed += 1


def _line(seq: int, body: dict[str, Any], as_json: bool) -> str:
    shown = _plain(body)
    if as_json:
        return json.dumps({"seq": seq, "body": shown})
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
