"""A graph in one process, each node a thread, for a debugger: ``zuluko up --threads``, and ``breakpoint()``
in a node stops in the terminal. Nothing is restarted, and nobody watches."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from zuluko.launch.graph import Graph
from zuluko.launch.graphlock import GraphLock
from zuluko.launch.node import TERMINATED, Node
from zuluko.launch.runner import run_group


class Console:
    """Takes what a node would tell the supervisor; a person reads when it is ready and when it has ended."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def send(self, packet: bytes, _flags: int = 0) -> int:
        told: dict[str, Any] = json.loads(packet)
        if "ready" in told:
            print(f"{told['node']}: ready", file=sys.stderr, flush=True)
        if "ended" in told:
            self._ended(told["node"])
        return len(packet)


def run(graph: Graph) -> int:
    """Runs a graph to its end; its exit status. Raises AlreadyRunningError, and whatever a node raises."""
    logging.basicConfig(level=logging.INFO, format="%(threadName)s: %(message)s", stream=sys.stderr)
    lock = GraphLock(graph.name)
    try:
        for entry in graph.entries.values():
            entry.group = graph.name  # they share a process, and so pass messages by reference
        sources = {entry.name for entry in graph.entries.values() if entry.is_source}

        def note_end(node: str) -> None:
            """When the last source has ended, the others have what it said, and end."""
            sources.discard(node)
            if not sources:
                threading.Timer(0.5, stop).start()

        def stop(*_: object) -> None:
            for node in nodes:
                node.stop()

        nodes = [Node(graph, entry, Console(note_end)) for entry in graph.entries.values()]
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        status = run_group(nodes)
        return 0 if status == TERMINATED else status
    finally:
        lock.release()
