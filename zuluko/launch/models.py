"""Which models a graph runs, to the bit, as its nodes tell.

A node tells it in a function ``models`` beside it, which takes the node's configuration and yields names and
sha256 sums:

    def models(*, model: Path, **_: object) -> Iterator[tuple[str, str]]:
        yield model.name, sha256(model)
"""

import hashlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from zuluko.launch.devices import configuration
from zuluko.launch.graph import Entry, Graph

SUFFIXES = frozenset({".onnx", ".tflite", ".caffemodel"})


def of_graph(graph: Graph) -> dict[str, dict[str, str]]:
    """The sha256 sums of each node's models, by node and name."""
    found = {entry.name: dict(_of_node(entry)) for entry in graph.entries.values()}
    return {node: models for node, models in found.items() if models}


def _of_node(entry: Entry) -> Iterator[tuple[str, str]]:
    """What a node says that it runs; of one that says nothing, the model files that it is given."""
    told = getattr(sys.modules.get(entry.function.__module__), "models", None)
    if inspect.isfunction(told):
        yield from told(**configuration(entry))
        return
    for value in configuration(entry).values():
        if isinstance(value, Path) and value.suffix in SUFFIXES and value.is_file():
            yield value.name, _sha256(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
