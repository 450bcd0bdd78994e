"""Nodes in processes of their own making, for debugging: each a fresh interpreter that reads the launch file
again, instead of a fork of the launcher (``zuluko up --spawn``)."""

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from zuluko.bus import clock
from zuluko.launch import runner, settings, title
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.node import USER_MISTAKE


class Spawn:
    """What a forked process runs: a fresh interpreter in its place. ``sets`` are the graph's parameters from
    the command line, ``record`` is where it is recorded."""

    def __init__(self, sets: Mapping[str, str], record: str = "") -> None:
        self._sets, self._record = dict(sets), record

    def __call__(self, graph: Graph, entries: Sequence[Entry], control: socket.socket) -> int:
        os.set_inheritable(control.fileno(), True)
        told = {
            "file": str(Path(graph.file).absolute()),
            "graph": graph.name,
            "sets": self._sets,
            "record": self._record,
            "process": entries[0].process,
            "watched": graph.watched,
            "changed": {entry.name: entry.changed for entry in entries if entry.changed},
            "offset": clock.offset(),
            "control": control.fileno(),
        }
        os.execv(sys.executable, [sys.executable, "-m", "zuluko.launch.spawned", json.dumps(told)])  # noqa: S606


def main(argument: str) -> int:
    """Runs the nodes of one process; its exit status."""
    from zuluko.document import DocumentError
    from zuluko.launch import launchfile

    told = json.loads(argument)
    title.show(f"{told['graph']}/{told['process']}")
    clock.share(told["offset"])
    try:
        graph = launchfile.load(
            Path(told["file"]), sets=told["sets"], name=told["graph"], record=told["record"]
        )
    except DocumentError as error:
        print(error, file=sys.stderr)
        return USER_MISTAKE
    graph.watched = told["watched"]
    for node, changed in told["changed"].items():
        entry = graph.entries[node]
        entry.options |= {name: settings.converted(entry, name, value) for name, value in changed.items()}
    control = socket.socket(fileno=told["control"])
    control.set_inheritable(False)
    return runner.main(graph, graph.processes[told["process"]], control)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
