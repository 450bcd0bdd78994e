"""What the process around a node offers to the node's own code: who changes the graph, and where to keep what
must outlive the node. A node that runs over a list or a log has neither."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zuluko.messages import Result, Setting

Answer = tuple[Result, str]  # what became of a change, and why where it is not done
Change = Callable[[str, str, Setting], Answer]  # of a node, its parameter, and the value

_node = threading.local()  # a node has a thread of its own


@dataclass(frozen=True)
class Host:
    """``change`` gives a node of the graph another value; ``kept`` is the path of the node's own file, which
    goes with the graph."""

    change: Change | None = None
    kept: Path | None = None


def serve(host: Host) -> None:
    """Says what is offered in this thread."""
    _node.host = host


def here() -> Host:
    found: Host = getattr(_node, "host", Host())
    return found
