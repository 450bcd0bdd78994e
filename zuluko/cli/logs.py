"""``zuluko logs``: what the nodes of a running graph print."""

import json
import os
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from zuluko.cli import which
from zuluko.cli.control import NO_REASON
from zuluko.cli.which import Json, refuse

Nodes = Annotated[
    list[str] | None,
    typer.Argument(help="nodes, such as faces, or graph/node; all of them unless given", metavar="[NODE]..."),
]
Last = Annotated[int, typer.Option("--last", "-n", help="how many lines to begin with", min=0)]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="go on with what comes; Ctrl-C ends it")]

COLOURS = (36, 33, 35, 32, 34, 31)  # of nodes, by ANSI's numbers


def logs(nodes: Nodes = None, last: Last = 20, follow: Follow = False, as_json: Json = False) -> None:
    """Show what nodes have printed, with the time of each line; with -f, what they print from now on.

    All nodes of one of several graphs are named as GRAPH/.
    """
    from zuluko.bus.topics import TopicError
    from zuluko.launch import controls

    show = _as_json if as_json else Lines(coloured=has_colours())
    try:
        graph, names = which.nodes(nodes or [], as_json)
        silent = last > 0
        for line in controls.logs(graph, names, last, follow):
            if "line" not in line:
                refuse(line.get("what", NO_REASON), as_json)
            print(show(line), flush=True)
            silent = False
        if follow:
            print(f"the graph {graph} has ended", file=sys.stderr)
        elif silent:
            print(nothing_of(names or [f"the graph {graph}"]), file=sys.stderr)
    except (TopicError, controls.ControlError) as error:
        refuse(error, as_json)


def nothing_of(names: list[str]) -> str:
    return f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} said nothing yet"


def has_colours() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not plain


def _as_json(line: dict[str, Any]) -> str:
    return json.dumps({key: line.get(key) for key in ("time", "node", "line")})


class Lines:
    """Log lines as a person reads them; each node gets a colour when it first speaks."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured
        self._colours: dict[str, int] = {}

    def __call__(self, line: dict[str, Any]) -> str:
        when = datetime.fromtimestamp(line.get("time", 0) / 1e9).astimezone()
        node, text = str(line.get("node") or "(graph)"), str(line["line"])
        head = f"{when:%H:%M:%S}.{when.microsecond // 1000:03}"
        if not self._coloured:
            return f"{head}  {node:<10} {text}"
        colour = self._colours.setdefault(node, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[2m{head}\x1b[0m  \x1b[{colour}m{node:<10}\x1b[0m {text}"
