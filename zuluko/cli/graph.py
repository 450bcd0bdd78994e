"""``zuluko graph``: a graph as a drawing, in text, Mermaid or SVG."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli import which
from zuluko.cli.graphs import Name, Set, _load
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.launch.drawing import Drawing
    from zuluko.launch.status import Status

Graph = Annotated[
    str, typer.Argument(help="a running graph, a launch file, or the name of a stock graph", metavar="GRAPH")
]
Format = Annotated[
    str, typer.Option("--format", "-f", help="text, mermaid or svg; as FILE ends unless given")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="the file to write", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="print the nodes, inputs and topics as one JSON object")]

ENDINGS = {"": "text", ".txt": "text", ".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


def graph(
    graph: Graph,
    *,
    format_: Format = "",
    output: Output = None,
    set_: Set = [],  # noqa: B006
    name: Name = "",
    as_json: Json = False,
) -> None:
    """Draw who hears whom in a graph, running or not."""
    from zuluko.bus.topics import TopicError, write_whole
    from zuluko.launch import drawing
    from zuluko.launch.drawing_svg import svg

    formats = {"text": drawing.text, "mermaid": drawing.mermaid, "svg": svg}
    wanted = format_ or ENDINGS.get(output.suffix if output else "", "")
    if not wanted and not as_json:
        endings = ", ".join(filter(None, ENDINGS))
        fail(f"{output}: a drawing ends in {endings}; or name what it is: --format svg", 2)
    if wanted and wanted not in formats:
        fail(f"--format {wanted}: choose one of: {', '.join(formats)}", 2)
    try:
        what = _drawing(graph, set_, name)
        text = json.dumps(what.plain()) + "\n" if as_json else formats[wanted](what)
    except TopicError as error:
        fail(error)
    if output is None:
        print(text, end="")
        return
    try:
        write_whole(output, text.encode(), mode=0o644)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


def _drawing(name: str, sets: list[str], as_name: str) -> "Drawing":
    """Of the running graph where one has that name and nothing else is said, else of the launch file."""
    from zuluko.document import nearest
    from zuluko.launch import include, status
    from zuluko.launch.drawing import Drawing

    told = None
    if not sets and not as_name and not Path(name).is_file():
        told = _running(name)
    if told:
        return Drawing(told.graph, told.nodes)
    if include.locate(name) is None and (hint := nearest(name, which.running())):
        fail(f"no graph `{name}` runs, and there is no such launch file{hint}")
    loaded = _load(name, sets, as_name)
    return Drawing(loaded.name, status.nodes(loaded))


def _running(name: str) -> "Status | None":
    from zuluko.bus.topics import TopicError
    from zuluko.launch import status
    from zuluko.launch.graphlock import running

    try:
        return status.read(name) if running(name) else None
    except TopicError:  # a path is no graph's name
        return None
