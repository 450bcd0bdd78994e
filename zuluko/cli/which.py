"""Which running graph, and which of its nodes, a person means."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from zuluko.cli.say import fail

Graph = Annotated[str, typer.Argument(help="a running graph; not needed where one runs", metavar="[GRAPH]")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]

NOT_RUNNING = 3  # the exit status of a question about what does not run, as of systemctl


def refuse(what: object, as_json: bool, status: int = 1) -> NoReturn:
    """Ends a command that cannot do its work: a sentence for a person, an object for a script."""
    if not as_json:
        fail(what, status)
    print(json.dumps({"ok": False, "what": str(what)}), flush=True)
    sys.exit(status)


def running() -> list[str]:
    """The graphs that run."""
    from zuluko.bus.topics import graphs
    from zuluko.launch import graphlock

    return [graph for graph in graphs() if graphlock.running(graph)]


def graph(wanted: str, as_json: bool = False, status: int = NOT_RUNNING) -> str:
    """The running graph that is meant; exits with a sentence, and that status where it does not run."""
    from zuluko.document import nearest

    found = running()
    if not found:
        refuse(f"no graph runs; {_service(wanted) or 'start one with: zuluko up door'}", as_json, status)
    if wanted and wanted not in found:
        hint = nearest(wanted, found) or "; there are: " + ", ".join(found)
        refuse(f"no graph `{wanted}` runs{hint}", as_json, status)
    if not wanted and len(found) > 1:
        refuse(f"several graphs run; write one of: {', '.join(found)}", as_json, 2)
    return wanted or found[0]


def services() -> Path:
    """Where services have their runtime directories, ``zuluko-NAME`` each."""
    return Path(os.environ.get("ZULUKO_SERVICES", "/run"))


def _service(wanted: str) -> str:
    """How to look at a graph that a service runs, for another user than its own."""
    names = sorted(place.name.removeprefix("zuluko-") for place in services().glob("zuluko-*"))
    if not names or (wanted and wanted not in names) or os.environ.get("ZULUKO_RUN"):
        return ""
    return f"but there are services; look with: sudo zuluko service run {wanted or names[0]} status"


def nodes(wanted: list[str], as_json: bool = False) -> tuple[str, list[str]]:
    """The graph, and the nodes of it, that `faces` or `door/faces` mean; with none named, all of the only
    graph. Exits with a sentence where nothing fits."""
    graphs = {name.rpartition("/")[0] for name in wanted} - {""}
    if len(graphs) > 1:
        refuse(f"one graph at a time, and not {' and '.join(sorted(graphs))}", as_json, 2)
    names = [name.rpartition("/")[2] for name in wanted]
    found = graph(graphs.pop(), as_json) if graphs else _having(names, as_json)
    _check(found, [name for name in names if name], as_json)
    return found, [name for name in names if name]


def _having(names: list[str], as_json: bool) -> str:
    """The one running graph that has these nodes."""
    found = running()
    fitting = [name for name in found if set(names) <= set(_known(name))]
    if len(found) < 2 or not fitting:
        return graph("", as_json)
    if len(fitting) > 1:
        choices = ", ".join(f"{one}/{names[0] if names else ''}" for one in fitting)
        refuse(f"several graphs run; write one of: {choices}", as_json, 2)
    return fitting[0]


def _known(graph: str) -> list[str]:
    from zuluko.launch import status

    told = status.read(graph)
    return [node.name for node in told.nodes] if told else []


def _check(graph: str, names: list[str], as_json: bool) -> None:
    from zuluko.document import nearest

    known = _known(graph)
    for name in names:
        if known and name not in known:
            hint = nearest(name, known) or "; there are: " + ", ".join(known)
            refuse(f"{graph} has no node `{name}`{hint}", as_json)
