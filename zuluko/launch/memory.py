"""How much memory a graph needs: what its nodes were measured to take, added up.

The figures are in `measured.json`, which `scripts/measure_memory` writes. They are PSS: what processes share
is divided among them, so that they can be added. A node that was never measured counts as what its
``memory:`` allows it, or as a plain node.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from zuluko.launch.board import MB, Board
from zuluko.launch.graph import Entry, Graph

FILE = Path(__file__).parent / "measured.json"


class Measured(msgspec.Struct, frozen=True):
    """The table, in MB: the launcher with its view, a node of which nothing is known, and by function.

    ``how``  when, where and how it was measured
    """

    how: str
    launcher: float
    plain: float
    nodes: dict[str, float]


@dataclass(frozen=True)
class Share:
    """What one process or node needs, in bytes, and how that is known, where it was not measured."""

    name: str
    most: float
    how: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.most / MB:.0f} MB" + (f" ({self.how})" if self.how else "")


@cache
def measured() -> Measured:
    return msgspec.json.decode(FILE.read_bytes(), type=Measured)


def key(entry: Entry) -> str:
    """What the table calls a node's function."""
    return f"{entry.function.__module__}:{entry.function.__name__}"


def shares(graph: Graph) -> list[Share]:
    """What the graph's parts need. A node that never runs, by its `when:`, needs nothing; one more node in a
    group needs no process of its own."""
    table = measured()
    found = [Share("launcher", table.launcher * MB)]
    for entries in graph.processes.values():
        for number, entry in enumerate(entry for entry in entries if not _never(entry)):
            share = _share(entry, table)
            spared = (table.plain - 1) * MB if number and share.most > table.plain * MB else 0.0
            found.append(Share(share.name, share.most - spared, share.how))
    return found


def _share(entry: Entry, table: Measured) -> Share:
    if key(entry) in table.nodes:
        return Share(entry.name, table.nodes[key(entry)] * MB)
    if entry.memory:
        return Share(entry.name, entry.memory.most, "not measured; its `memory`")
    return Share(entry.name, table.plain * MB, "not measured; a plain node")


def _never(entry: Entry) -> bool:
    return entry.when is not None and not entry.when.topics and entry.when.holds({}) is False


def total(found: list[Share]) -> float:
    return sum(share.most for share in found)


def faults(graph: Graph, board: Board) -> Iterator[str]:
    """Why the graph does not fit the board, or nothing."""
    found = shares(graph)
    if total(found) > board.free:
        largest = max(found[1:], key=lambda share: share.most, default=found[0])
        yield (
            f"the graph needs {total(found) / MB:.0f} MB, "
            f"and {board.title} has {board.free / MB:.0f} MB for it: "
            f"{', '.join(map(str, found))}; expected a sum that fits; "
            f"try a larger board, or leave out or lighten `{largest.name}`"
        )
