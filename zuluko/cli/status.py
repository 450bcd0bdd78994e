"""``zuluko status``: how a graph fares, and each of its nodes."""

import os
import sys
from typing import TYPE_CHECKING

from zuluko.cli import which
from zuluko.cli.which import Graph, Json, refuse

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zuluko.launch.status import Node, Status

TITLES = ["node", "state", "for", "restarts", "pid", "CPU", "MB", "late", "why"]
COSTS = {"pid", "CPU", "MB"}
NARROW = 90  # columns
EXPENDABLE = ("late", "restarts", "for")  # what goes after the costs on fewer yet
NUMBERS = {"for", "restarts", "pid", "CPU", "MB", "late"}
STYLES = {"ready": "green", "ended": "dim", "off": "dim", "stopped": "dim", "failing": "bold red"}


def status(graph: Graph = "", as_json: Json = False) -> None:
    """Show how a graph fares: each node's state, for how long and why, and what it costs.

    The exit status is 0 when the graph is ready, 1 when it is not, 3 when it does not run.
    """
    import msgspec

    from zuluko.bus.topics import TopicError
    from zuluko.launch import controls

    try:
        told = controls.status(which.graph(graph, as_json))
    except (TopicError, controls.ControlError) as error:
        refuse(error, as_json)
    if as_json:
        print(msgspec.json.encode(told).decode())
    elif sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console

        console = Console(highlight=False)
        console.print(screen(told, console.width))
    else:
        print(plain(told))
    sys.exit(told.state != "ready")


def rows(told: "Status") -> list[list[str]]:
    """The nodes' cells, in the order of TITLES."""
    return [
        [
            node.name,
            node.state,
            _since(node, told),
            str(node.restarts),
            str(node.pid or "-"),
            f"{node.cpu:.2f}" if node.pid else "-",
            f"{node.memory:.1f}" if node.pid else "-",
            str(node.late),
            node.reason or "-",
        ]
        for node in told.nodes
    ]


def _since(node: "Node", told: "Status") -> str:
    return duration((told.written - node.since) / 1e9) if node.since else "-"


def duration(seconds: float) -> str:
    """A time in its two largest units: 4.2 s, 3 min 5 s, 2 h 10 min, 5 d 3 h."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f} s"
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    rest, parts = round(seconds), list[str]()
    for name, size in units:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def summary(told: "Status") -> str:
    """The graph in a line. Nodes of one group share a process, which counts once."""
    processes = {node.pid: node for node in told.nodes if node.pid}.values()
    memory, cpu = sum(node.memory for node in processes), sum(node.cpu for node in processes)
    ready = sum(node.state == "ready" for node in told.nodes)
    up = duration((told.written - told.started) / 1e9)
    return (
        f"{told.graph} is {told.state}: {ready} of {len(told.nodes)} nodes ready, "
        f"up {up}, {memory:.0f} MB, {cpu:.2f} cores, pid {told.pid}"
    )


def plain(told: "Status") -> str:
    from zuluko.cli.top import aligned

    return "\n".join([*aligned(TITLES, rows(told), NUMBERS), "", summary(told)])


def screen(told: "Status", width: int) -> "RenderableType":
    """The table for a terminal of so many columns; where they are few, the reasons go before the costs."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from zuluko.cli.top import left_out

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    without = left_out(TITLES, rows(told), width, COSTS if width < NARROW else (), EXPENDABLE)
    titles = [title for title in TITLES if title not in without]
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in NUMBERS else "left",
            no_wrap=title != "why",
            overflow="fold" if title == "why" else "ellipsis",
        )
    for row, node in zip(rows(told), told.nodes, strict=True):
        cells = dict(zip(TITLES, row, strict=True))
        table.add_row(*(Text(cells[title], style=_style(title, cells[title], node)) for title in titles))
    return Group(table, Text(), Text(summary(told), style=STYLES.get(told.state, "yellow")))


def _style(title: str, cell: str, node: "Node") -> str:
    if title == "node":
        return "cyan"
    if title == "state":
        return STYLES.get(node.state, "yellow")
    return "yellow" if title in ("restarts", "late") and cell != "0" else ""
