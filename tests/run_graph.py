"""Runs a launch file with fields of its entries set anew: ``python -m tests.run_graph FILE '{"node": {...}}'``.

``when: [topic, least]`` is a condition that holds while the topic's last count is at least so much.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zuluko.bus.message import Message
from zuluko.launch import launchfile, view
from zuluko.launch.graph import Entry, Graph, Limit, Restart, Topic
from zuluko.launch.supervisor import Supervisor


@dataclasses.dataclass(frozen=True)
class AtLeast:
    topics: tuple[Topic, ...]
    least: int

    def holds(self, latest: Mapping[str, Message]) -> bool | None:
        messages = [latest.get(topic.name) for topic in self.topics]
        return None if None in messages else all(message.n >= self.least for message in messages)


def place(graph: Graph, entry: Entry, given: dict[str, Any]) -> None:
    for key, value in given.items():
        if key == "restart":
            entry.restart = Restart(**value)
        elif key in ("memory", "cpu"):
            setattr(entry, key, Limit(**value))
        elif key == "when":
            entry.when = AtLeast(tuple(t for t in graph.topics if t.name in value[:-1]), value[-1])  # type: ignore[attr-defined]
        else:
            setattr(entry, key, tuple(value) if key == "cores" else value)


def main() -> int:
    graph = launchfile.load(Path(sys.argv[1]))
    for name, given in json.loads(sys.argv[2]).items():
        place(graph, graph.entries[name], given)
    return Supervisor(graph, lambda events: view.watch(graph, events, style="json")).run()


if __name__ == "__main__":
    sys.exit(main())
