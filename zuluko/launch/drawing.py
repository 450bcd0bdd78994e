"""A graph as a drawing: nodes, and the topics on which they hear each other, as text or Mermaid.

``drawing_svg`` makes a picture of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import msgspec

from zuluko.launch.status import Heard, Node, Told

# How an input takes messages: its strokes in text, its arrow in Mermaid, and what it means.
STROKES = {"stream": "─", "latest": "┄", "commands": "═", "timer": "─"}
ARROWS = {"stream": "-->", "latest": "-.->", "commands": "==>", "timer": "-->"}
MEANS = {"stream": "drives the node", "latest": "latest value", "commands": "command, acknowledged"}


class Edge(NamedTuple):
    """One input that hears one topic."""

    source: Node
    told: Told
    target: Node
    heard: Heard


@dataclass(frozen=True)
class Drawing:
    name: str
    nodes: tuple[Node, ...]

    def edges(self) -> Iterator[Edge]:
        for source in self.nodes:
            for told in source.outputs:
                for target in self.nodes:
                    for heard in target.inputs:
                        if told.topic in heard.topics:
                            yield Edge(source, told, target, heard)

    def layers(self) -> dict[str, int]:
        """Each node's column, so that messages flow to the right; what closes a circle flows back."""
        back = set(self._back())
        heard: dict[str, set[str]] = {node.name: set() for node in self.nodes}
        for edge in self.edges():
            if (edge.source.name, edge.target.name) not in back:
                heard[edge.target.name].add(edge.source.name)
        found: dict[str, int] = {}

        def layer(name: str) -> int:
            if name not in found:
                found[name] = max((layer(before) + 1 for before in sorted(heard[name])), default=0)
            return found[name]

        return {node.name: layer(node.name) for node in self.nodes}

    def _back(self) -> Iterator[tuple[str, str]]:
        """The pairs of nodes between which messages flow against the others."""
        flows: dict[str, dict[str, None]] = {node.name: {} for node in self.nodes}
        for edge in sorted(self.edges(), key=lambda edge: edge.heard.how == "latest"):
            flows[edge.source.name][edge.target.name] = None
        done: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
            for target in flows[name]:
                if target in (*above, name):
                    yield name, target
                elif target not in done:
                    yield from visit(target, (*above, name))
            done.add(name)

        for node in sorted(self.nodes, key=lambda node: any(heard.topics for heard in node.inputs)):
            if node.name not in done:
                yield from visit(node.name, ())

    def in_flow(self) -> list[Node]:
        layers = self.layers()
        return sorted(self.nodes, key=lambda node: layers[node.name])

    def plain(self) -> dict[str, Any]:
        """What a script reads: nodes with what they hear and tell."""
        keys = ("name", "run", "inputs", "outputs")
        nodes = [{key: msgspec.to_builtins(getattr(node, key)) for key in keys} for node in self.nodes]
        return {"graph": self.name, "nodes": nodes}


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def title(drawing: Drawing) -> str:
    topics = sum(len(node.outputs) for node in drawing.nodes)
    return f"{drawing.name}: {_count(len(drawing.nodes), 'node')}, {_count(topics, 'topic')}"


def legend(drawing: Drawing) -> list[str]:
    used = {edge.heard.how for edge in drawing.edges()}
    return [how for how in MEANS if how in used]


class Row(NamedTuple):
    """One line: a node, the branch to its topic, the topic, the branch to its reader, how that hears, and the
    reader; each empty where there is none."""

    node: str = ""
    branch: str = ""
    topic: str = ""
    fork: str = ""
    stroke: str = ""
    reader: str = ""


def text(drawing: Drawing) -> str:
    """Lines such as ``camera ── camera Frame/1 ──▶ faces.frames``."""
    rows = [row for node in drawing.in_flow() for row in _text_rows(drawing, node)]
    nodes = max((len(row.node) for row in rows), default=0) + 2
    topics = max((len(row.topic) for row in rows), default=0) + 2
    lines = [title(drawing), ""]
    for row in rows:
        line = _to_branch(row.node, nodes, row.branch)
        line += _to_branch(row.topic, topics, row.fork) if row.fork else row.topic
        lines.append(f"{line}{row.stroke * 2}▶ {row.reader}" if row.reader else line.rstrip())
    if used := legend(drawing):
        lines += ["", "   ".join(f"{STROKES[how] * 2}▶ {MEANS[how]}" for how in used)]
    return "\n".join(lines) + "\n"


def every(heard: Heard) -> str:
    """A timer's period, as a launch file has it."""
    return f"every {heard.every:g}s" if heard.every >= 1 else f"every {heard.every * 1000:g}ms"


def _to_branch(word: str, width: int, branch: str) -> str:
    """A word and a line from it to a branch."""
    line = f"{word} {'─' * (width - len(word) - 1)}" if word and branch else word.ljust(width)
    return line + branch


def _branches(count: int) -> list[str]:
    """The signs of so many branches, one below the other."""
    return ["─"] if count == 1 else ["┬", *["├"] * (count - 2), "└"]


def _text_rows(drawing: Drawing, node: Node) -> Iterator[Row]:
    for heard in node.inputs:
        if heard.how == "timer":
            reader = f"{node.name}.{heard.name}"
            yield Row(branch="   ", topic=every(heard), fork="─", stroke="─", reader=reader)
    if not node.outputs:
        yield Row(node.name)
        return
    for told, branch in zip(node.outputs, _branches(len(node.outputs)), strict=True):
        name = node.name if told == node.outputs[0] else ""
        whole = Row(name, f"{branch}─ ", f"{told.topic} {told.type}")
        readers = [edge for edge in drawing.edges() if edge.source is node and edge.told is told]
        if not readers:
            yield whole
            continue
        by = "│  " if branch in "┬├" else "   "
        for edge, fork in zip(readers, _branches(len(readers)), strict=True):
            row = whole if edge is readers[0] else Row(branch=by)
            reader = f"{edge.target.name}.{edge.heard.name}"
            yield row._replace(fork=fork, stroke=STROKES[edge.heard.how], reader=reader)


def mermaid(drawing: Drawing) -> str:
    """A flowchart, as GitHub and many editors draw it."""
    ids = {node.name: f"n{number}" for number, node in enumerate(drawing.nodes)}
    lines = ["flowchart LR"]
    for node in drawing.nodes:
        lines.append(f'  {ids[node.name]}["<b>{_safe(node.name)}</b><br>{_safe(node.run)}"]')
        for heard in node.inputs:
            if heard.how == "timer":
                timer = f"{ids[node.name]}_{heard.name}"
                lines.append(f'  {timer}(["{every(heard)}"]) --> {ids[node.name]}')
    heard_topics = {edge.told.topic for edge in drawing.edges()}
    for edge in drawing.edges():
        label = f"{_safe(edge.told.topic)}<br>{_safe(edge.told.type)}"
        source, target = ids[edge.source.name], ids[edge.target.name]
        lines.append(f'  {source} {ARROWS[edge.heard.how]}|"{label}"| {target}')
    for node in drawing.nodes:
        for number, told in enumerate(node.outputs):
            if told.topic not in heard_topics:
                label = f"{_safe(told.topic)}<br>{_safe(told.type)}"
                lines.append(f'  {ids[node.name]} --- {ids[node.name]}_t{number}(["{label}"])')
    return "\n".join(lines) + "\n"


def _safe(word: str) -> str:
    return escape(word, quote=True).replace("&quot;", "#quot;").replace("&#x27;", "'")
