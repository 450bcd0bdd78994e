"""A graph as an SVG picture: nodes as boxes in columns, their inputs on the left and topics on the right."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from zuluko.launch.drawing import MEANS, Drawing, Edge, every, legend, title
from zuluko.launch.status import Heard, Node, Told

CHARACTER = 7.25  # px: the width of a 12 px monospaced character
HEAD, ROW, PAD = 46, 22, 10  # px: a box's head, a row of it, and the space around its words
GAP, COLUMN, MARGIN = 26, 84, 28  # px between boxes of a column, between columns, and around all
LANE = 16  # px between two edges that flow back

STYLE = """
  text { font-family: ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; font-size: 12px; }
  text { fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-size: 15px; font-weight: bold; }
  .name { font-size: 13px; font-weight: bold; }
  .dim { fill: #656d76; }
  .box { fill: #f6f8fa; stroke: #8c959f; }
  .rule { stroke: #d0d7de; }
  .stream { stroke: #0969da; } .head-stream, .port-stream { fill: #0969da; }
  .latest { stroke: #6e7781; stroke-dasharray: 5 4; } .head-latest, .port-latest { fill: #6e7781; }
  .commands { stroke: #bc4c00; stroke-width: 3; } .head-commands, .port-commands { fill: #bc4c00; }
  .port-timer, .port-none { fill: #8c959f; }
  .edge { fill: none; stroke-width: 1.6; }
  .edge.commands { stroke-width: 3; }
"""
DARK = """
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .dim { fill: #9198a1; }
    .box { fill: #161b22; stroke: #6e7681; }
    .rule { stroke: #30363d; }
    .stream { stroke: #58a6ff; } .head-stream, .port-stream { fill: #58a6ff; }
    .latest { stroke: #9198a1; } .head-latest, .port-latest { fill: #9198a1; }
    .commands { stroke: #f0883e; } .head-commands, .port-commands { fill: #f0883e; }
"""


@dataclass
class Box:
    """A node's place, or the place where an edge passes a column (``node`` is None)."""

    node: Node | None
    column: int
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0
    left: list["Box"] = field(default_factory=list)
    right: list["Box"] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def port_in(self, name: str) -> tuple[float, float]:
        assert self.node
        index = [heard.name for heard in self.node.inputs].index(name)
        return self.x, self.y + HEAD + ROW * (index + 0.5)

    def port_out(self, topic: str) -> tuple[float, float]:
        assert self.node
        index = len(self.node.inputs) + [told.topic for told in self.node.outputs].index(topic)
        return self.x + self.width, self.y + HEAD + ROW * (index + 0.5)


def _box(node: Node, column: int) -> Box:
    words = [node.name + "  ", node.run, *map(_input_words, node.inputs), *map(_output_words, node.outputs)]
    rows = len(node.inputs) + len(node.outputs)
    return Box(node, column, max(map(len, words)) * CHARACTER + 3 * PAD, HEAD + ROW * rows + PAD / 2)


def _input_words(heard: Heard) -> str:
    return f"{heard.name} {every(heard)}" if heard.how == "timer" else heard.name


def _output_words(told: Told) -> str:
    return f"{told.topic} {told.type}"


class Layout:
    """Boxes in columns, in an order that crosses few edges, each about as high as what it is linked to."""

    def __init__(self, drawing: Drawing) -> None:
        layers = drawing.layers()
        self.boxes = {node.name: _box(node, layers[node.name]) for node in drawing.nodes}
        self.columns: list[list[Box]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
        for box in self.boxes.values():
            self.columns[box.column].append(box)
        self.passes: list[tuple[Edge, list[Box]]] = []
        self.back: list[Edge] = []
        for edge in drawing.edges():
            if layers[edge.source.name] < layers[edge.target.name]:
                self.passes.append((edge, self._link(edge)))
            else:
                self.back.append(edge)
        self._order()
        self._place()

    def _link(self, edge: Edge) -> list[Box]:
        """Links an edge's boxes by one place in each column between; those places."""
        start, end = self.boxes[edge.source.name], self.boxes[edge.target.name]
        between = [Box(None, column, height=4) for column in range(start.column + 1, end.column)]
        for box in between:
            self.columns[box.column].append(box)
        chain = [start, *between, end]
        for before, after in pairwise(chain):
            before.right.append(after)
            after.left.append(before)
        return between

    def _order(self) -> None:
        for turn in range(6):
            rank = {id(box): float(index) for column in self.columns for index, box in enumerate(column)}
            rightwards = turn % 2 == 0
            for column in self.columns if rightwards else reversed(self.columns):
                wanted = {
                    id(box): _mean(box.left if rightwards else box.right, rank, rank[id(box)])
                    for box in column
                }
                column.sort(key=lambda box, wanted=wanted: wanted[id(box)])  # type: ignore[misc]
                rank.update({id(box): float(index) for index, box in enumerate(column)})

    def _place(self) -> None:
        x = float(MARGIN)
        for column in self.columns:
            width = max((box.width for box in column), default=0.0)
            y = 0.0
            for box in column:
                box.x, box.y = x, y
                box.width = width
                y += box.height + GAP
            x += width + COLUMN
        for turn in range(8):
            for column in self.columns if turn % 2 == 0 else reversed(self.columns):
                self._align(column)
        top = min((box.y for box in self.boxes.values()), default=0.0)
        top = min([top, *(box.y for column in self.columns for box in column)])
        for column in self.columns:
            for box in column:
                box.y += 2 * MARGIN + 16 - top
        self.width = x - COLUMN + MARGIN
        self.bottom = max((box.y + box.height for column in self.columns for box in column), default=0.0)

    @staticmethod
    def _align(column: list[Box]) -> None:
        """Moves each box towards the middle of its neighbours, as far as those of its column let it."""
        wanted = [
            _mean(box.left + box.right, {id(near): near.middle for near in box.left + box.right}, box.middle)
            - box.height / 2
            for box in column
        ]
        floor = float("-inf")
        for box, y in zip(column, wanted, strict=True):
            box.y = max(y, floor)
            floor = box.y + box.height + GAP
        shift = sum(y - box.y for box, y in zip(column, wanted, strict=True)) / max(1, len(column))
        for box in column:
            box.y += shift


def _mean(boxes: list[Box], of: Mapping[int, float], otherwise: float) -> float:
    return sum(of[id(box)] for box in boxes) / len(boxes) if boxes else otherwise


def svg(drawing: Drawing) -> str:
    """A picture that stands alone, legible on light and on dark."""
    layout = Layout(drawing)
    used = legend(drawing)
    bottom = layout.bottom + (LANE * (len(layout.back) + 1) if layout.back else 0)
    width = max(layout.width, 2 * MARGIN + len(title(drawing)) * 9.2, 2 * MARGIN + 220 * len(used))
    height = bottom + (MARGIN + 26 if used else MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title(drawing))}</title>",
        f"<style>{STYLE}  @media (prefers-color-scheme: dark) {{{DARK}  }}\n</style>",
        '<rect class="page" width="100%" height="100%"/>',
        _words(MARGIN, MARGIN + 8, title(drawing), "title"),
    ]
    for edge, between in layout.passes:
        parts.append(_forward(layout, edge, between))
    for number, edge in enumerate(layout.back):
        parts.append(_backward(layout, edge, number))
    parts += [_draw(box, drawing) for box in layout.boxes.values()]
    parts += [_sample(MARGIN + 220 * number, height - MARGIN, how) for number, how in enumerate(used)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _words(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{end}>{escape(words)}</text>'


def _arrow(x: float, y: float, how: str) -> str:
    points = f"{x - 1:.1f},{y:.1f} {x - 10:.1f},{y - 5:.1f} {x - 10:.1f},{y + 5:.1f}"
    return f'<polygon class="head-{how}" points="{points}"/>'


def _path(path: str, how: str, x: float, y: float) -> str:
    return f'<path class="edge {how}" d="{path}"/>{_arrow(x, y, how)}'


def _forward(layout: Layout, edge: Edge, between: list[Box]) -> str:
    x, y = layout.boxes[edge.source.name].port_out(edge.told.topic)
    path = f"M{x:.1f},{y:.1f}"
    for box in between:
        path += _curve(x, y, box.x, box.middle) + f" H{box.x + box.width:.1f}"
        x, y = box.x + box.width, box.middle
    end_x, end_y = layout.boxes[edge.target.name].port_in(edge.heard.name)
    path += _curve(x, y, end_x - 9, end_y)
    return _path(path, edge.heard.how, end_x, end_y)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (x + to_x) / 2
    return f" C{half:.1f},{y:.1f} {half:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"


def _backward(layout: Layout, edge: Edge, number: int) -> str:
    """Out to the right, below all boxes to the left, and in."""
    x, y = layout.boxes[edge.source.name].port_out(edge.told.topic)
    end_x, end_y = layout.boxes[edge.target.name].port_in(edge.heard.name)
    right, left = x + 14 + 6 * (number % 8), end_x - 22 - 6 * (number % 8)
    lane = layout.bottom + LANE * (number + 1)
    path = (
        f"M{x:.1f},{y:.1f} H{right - 8:.1f} q8,0 8,8 V{lane - 8:.1f} q0,8 -8,8 H{left + 8:.1f} q-8,0 -8,-8 "
        f"V{end_y + 8:.1f} q0,-8 8,-8 H{end_x - 9:.1f}"
    )
    return _path(path, edge.heard.how, end_x, end_y)


def _draw(box: Box, drawing: Drawing) -> str:
    node = box.node
    assert node
    x, y, right = box.x, box.y, box.x + box.width
    parts = [
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="8"/>',
        _words(x + PAD, y + 19, node.name, "name"),
        _words(x + PAD, y + 35, node.run, "dim"),
    ]
    if node.inputs or node.outputs:
        parts.append(
            f'<line class="rule" x1="{x:.1f}" y1="{y + HEAD - 4}" x2="{right:.1f}" y2="{y + HEAD - 4}"/>'
        )
    for heard in node.inputs:
        _, port = box.port_in(heard.name)
        parts.append(f'<circle class="port-{heard.how}" cx="{x:.1f}" cy="{port:.1f}" r="3.5"/>')
        parts.append(_words(x + PAD, port + 4, _input_words(heard)))
    how = {edge.told.topic: edge.heard.how for edge in drawing.edges() if edge.source is node}
    for told in node.outputs:
        _, port = box.port_out(told.topic)
        parts.append(
            f'<circle class="port-{how.get(told.topic, "none")}" cx="{right:.1f}" cy="{port:.1f}" r="3.5"/>'
        )
        parts.append(
            f'<text x="{right - PAD:.1f}" y="{port + 4:.1f}" text-anchor="end">{escape(told.topic)} '
            f'<tspan class="dim">{escape(told.type)}</tspan></text>'
        )
    return "\n".join(parts)


def _sample(x: float, y: float, how: str) -> str:
    """A line of the legend."""
    return _path(f"M{x:.1f},{y:.1f} H{x + 25:.1f}", how, x + 34, y) + _words(x + 42, y + 4, MEANS[how], "dim")
