"""Asking a running graph over its control socket, as another terminal does."""

import json
import socket
from typing import Any

from zuluko.launch import control


def connect(graph: str = "graph") -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(control.path(graph)))
    caller.settimeout(30)
    return caller


def ask(graph: str = "graph", **request: Any) -> list[dict[str, Any]]:
    """Asks, and gives the lines of the whole answer."""
    with connect(graph) as caller:
        return told(caller, json.dumps(request).encode() + b"\n")


def told(caller: socket.socket, request: bytes) -> list[dict[str, Any]]:
    caller.sendall(request)
    with caller.makefile("rb") as lines:
        return [json.loads(line) for line in lines]


def node(name: str, graph: str = "graph") -> dict[str, Any]:
    """What the graph's status says of a node."""
    (status,) = ask(graph, do="status")
    return next(found for found in status["nodes"] if found["name"] == name)
