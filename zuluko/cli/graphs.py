"""``zuluko up``, ``check``, ``schema`` and ``list``: graphs, from their launch files."""

import json
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.launch.board import Board
    from zuluko.launch.graph import Graph

File = Annotated[str, typer.Argument(help="a launch file, or the name of a stock graph", metavar="GRAPH")]
Set = Annotated[list[str], typer.Option("--set", help="a parameter of the graph", metavar="NAME=VALUE")]
Name = Annotated[str, typer.Option(help="what the graph is called; its file's name unless given")]
Expand = Annotated[bool, typer.Option("--expand", help="print the graph with all put in, as YAML")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]
Record = Annotated[
    str, typer.Option("--record", help="record into this file (.mcap) or folder", metavar="OUT.mcap")
]
Spawn = Annotated[bool, typer.Option("--spawn", help="debug: start a fresh interpreter for each node")]
Threads = Annotated[bool, typer.Option("--threads", help="debug: one process, each node a thread, for pdb")]


def up(  # noqa: PLR0917
    graph: File,
    set_: Set = [],  # noqa: B006
    name: Name = "",
    record: Record = "",
    as_json: Json = False,
    spawn: Spawn = False,
    threads: Threads = False,
) -> None:
    """Start a graph, watch it, and stop it with Ctrl-C."""
    from zuluko.cli.launcher import Order, begin_anew

    if record and Path(record).exists() and not Path(record).is_dir():
        fail(f"{record} exists already; choose another name, or remove it")
    begin_anew(Order(graph, _values(set_), name, as_json, spawn, threads, record))


def check(
    graph: File,
    set_: Set = [],  # noqa: B006
    name: Name = "",
    expand: Expand = False,
    as_json: Json = False,
) -> None:
    """Check a graph without starting it: every error at once, with its place."""
    checked = _load(graph, set_, name, as_json=as_json, passing=True)
    if expand:
        from zuluko.launch import expanded

        print(expanded.text(checked, _values(set_)), end="")
    elif as_json:
        print(json.dumps({"ok": True, "graph": checked.name, "problems": []}))
    else:
        _print_checked(checked)


def _print_checked(checked: "Graph") -> None:
    from zuluko.launch import params

    print(f"{checked.file}: good; {_count(checked.entries, 'node')}, {_count(checked.topics, 'topic')}")
    for entry in checked.entries.values():
        heard = ", ".join(dict.fromkeys(topic.name for wire in entry.wires for topic in wire.topics))
        told = ", ".join(topic.name for topic in entry.outputs)
        when = f"  when {entry.when.text}" if entry.when else ""
        print(f"  {entry.name:<12} {heard or '-'} -> {told or '-'}{when}")
    if checked.external:
        print(f"  {'(outside)':<12} - -> {', '.join(topic.name for topic in checked.external)}")
    for key, kind, help in params.listing(checked.params):
        print(f"  --set {key:<18} {kind:<8} {help}".rstrip())
    if checked.board:
        _print_memory(checked, checked.board)


def _print_memory(checked: "Graph", board: "Board") -> None:
    from zuluko.launch import memory
    from zuluko.launch.board import MB

    shares = memory.shares(checked)
    needed, free = memory.total(shares) / MB, board.free / MB
    print(f"  memory: {needed:.0f} MB of the {free:.0f} MB that {board.title} has for it")
    print(f"    {', '.join(map(str, shares))}")


def schema(
    graph: Annotated[
        str, typer.Argument(help="a launch file, whose own nodes are described, too", metavar="[GRAPH]")
    ] = "",
) -> None:
    """Print the JSON Schema of launch files, for editors."""
    from zuluko.document import DocumentError
    from zuluko.launch import launchfile, schema

    try:
        print(json.dumps(schema.of(launchfile.locate(graph) if graph else None), indent=1))
    except DocumentError as error:
        fail(error)


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _values(sets: list[str]) -> dict[str, str]:
    values = {}
    for given in sets:
        key, equals, value = given.partition("=")
        if not equals:
            fail(f"--set {given}: write it as NAME=VALUE", 2)
        values[key] = value
    return values


def _load(
    name: str,
    sets: list[str],
    graph_name: str,
    *,
    as_json: bool = False,
    passing: bool = False,
    sparing: bool = False,
) -> "Graph":
    from zuluko.bus.topics import TopicError
    from zuluko.document import DocumentError
    from zuluko.launch import launchfile

    values = _values(sets)
    try:
        file = launchfile.locate(name)
        return launchfile.load(file, sets=values, name=graph_name or None, passing=passing, sparing=sparing)
    except DocumentError as error:
        if as_json:
            problems = [
                {"file": problem.file, "line": problem.line, "column": problem.column, "what": problem.what}
                for problem in error.problems
            ]
            print(json.dumps({"ok": False, "problems": problems}))
            sys.exit(1)
        fail(error)
    except TopicError as error:
        fail(error)


def list_(as_json: Json = False) -> None:
    """List the graphs that run here with their topics, and the stock graphs that could."""
    from zuluko.bus.topics import TopicError, announcements, graphs
    from zuluko.launch import stock
    from zuluko.launch.graphlock import running

    try:
        found = [(graph, pid, announcements(graph)) for graph in graphs() if (pid := running(graph))]
    except TopicError as error:
        fail(error)
    if as_json:
        for graph, pid, topics in found:
            told = [{"topic": topic.topic, "type": topic.type, "pid": topic.pid} for topic in topics]
            print(json.dumps({"graph": graph, "pid": pid, "topics": told}))
        return
    for graph, pid, topics in found:
        print(f"{graph}  (pid {pid})")
        for topic in topics:
            print(f"  {topic.topic:<24} {topic.type:<16} pid {topic.pid}")
    if not found:
        print("No graph runs.")
    print(f"Stock graphs, to start with `zuluko up NAME`: {', '.join(stock.names())}")
