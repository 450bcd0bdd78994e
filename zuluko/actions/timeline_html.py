"""A timeline as a page that stands alone: it loads nothing and runs nothing, and tells why at each place at
which one points."""

import math
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby

from zuluko.actions.acts import Act
from zuluko.actions.timeline import Bar, Curve, Points, Timeline

LABELS, WIDTH, MARGIN = 330, 860, 10  # px: what stands before the bars, the bars, and the space around all
ROW, BAR, PANEL, GAP = 28, 20, 130, 34  # px: a row and the bar in it, a curve and the space above it
HEAD, FOOT, CHARACTER = 58, 44, 7.25  # px: above and below all, and the width of a 12 px monospaced character
NARROWEST = 0.25  # px: a stretch that would be narrower is left out, since nobody sees it
POINTS = 1500  # of a curve, beyond which only those are drawn that make its shape
CURVES, TOLD, ROWS = 24, 6, 1000  # how many curves, limits of each, and rows of the table there are
LIMITS = 3  # colours of limits
LEFT = MARGIN + LABELS

STYLE = """
  :root { color-scheme: light dark;
    --ink: #1f2328; --dim: #656d76; --page: #ffffff; --line: #d8dee4; --true: #1f883d; --false: #f3c1bd;
    --unknown: #e3b341; --held: #80b8f5; --waits: #b9a3e3; --ended: #57606a; --curve: #0969da;
    --limit0: #bc4c00; --limit1: #8250df; --limit2: #57606a; }
  @media (prefers-color-scheme: dark) { :root {
    --ink: #e6edf3; --dim: #9198a1; --page: #0d1117; --line: #30363d; --true: #3fb950; --false: #6e3630;
    --unknown: #9e6a03; --held: #316dca; --waits: #6e5494; --ended: #9198a1; --curve: #58a6ff;
    --limit0: #f0883e; --limit1: #bc8cff; --limit2: #9198a1; } }
  body { font: 14px/1.45 system-ui, 'DejaVu Sans', sans-serif; color: var(--ink); background: var(--page);
    margin: 20px auto; max-width: 1240px; padding: 0 12px; }
  h1 { font-size: 20px; margin: 0 0 4px; }
  p { color: var(--dim); margin: 0 0 8px; }
  svg { width: 100%; height: auto; display: block; }
  svg text, td.t { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
  svg text { fill: var(--ink); }
  svg text.dim { fill: var(--dim); }
  .grid { stroke: var(--line); stroke-width: 1; }
  .track { fill: var(--line); opacity: .35; }
  .true, .fired { fill: var(--true); } .false { fill: var(--false); } .unknown { fill: var(--unknown); }
  .held { fill: var(--held); } .cooldown, .blocked { fill: var(--waits); } .ended { fill: var(--ended); }
  rect[class]:hover { stroke: var(--ink); stroke-width: 1.5; }
  .mark-fired { stroke: var(--true); stroke-width: 1.5; }
  .mark-ended { stroke: var(--ended); stroke-width: 1.2; stroke-dasharray: 2 3; }
  .curve { fill: none; stroke: var(--curve); stroke-width: 1.5; stroke-linejoin: round; }
  .point { fill: var(--curve); } .point:hover { r: 5; }
  .limit { fill: none; stroke-width: 1.2; stroke-dasharray: 6 4; }
  .limit0 { stroke: var(--limit0); } .limit1 { stroke: var(--limit1); } .limit2 { stroke: var(--limit2); }
  table { border-collapse: collapse; margin: 14px 0; width: 100%; }
  th, td { text-align: left; padding: 4px 14px 4px 0; vertical-align: baseline; }
  td { border-top: 1px solid var(--line); }
  th { color: var(--dim); font-weight: normal; }
  td.t { white-space: nowrap; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(line: Timeline, clock: Callable[[int], str]) -> str:
    """The page; ``clock`` gives the time of day of a moment (ns)."""
    begin, end = clock(line.start), clock(line.end)
    about = f"{line.evaluations} evaluations from {begin} to {end}; point at a bar to read why"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(line.title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(line.title)}</h1><p>{escape(about)}</p>",
        *_Picture(line, clock).drawn(),
        *_table(line, clock),
        "</body></html>\n",
    ]
    return "\n".join(parts)


class _Picture:
    """The bars and curves as SVG; ``_y`` is where the next row begins."""

    def __init__(self, line: Timeline, clock: Callable[[int], str]) -> None:
        self._line, self._clock = line, clock
        self._span = max(1, line.end - line.start)
        self._bars = [line.outcomes, *line.clauses]
        self._curves = list(line.curves.values())[:CURVES]
        self._bottom = HEAD + ROW * len(self._bars) + (PANEL + GAP) * len(self._curves)

    def drawn(self) -> Iterator[str]:
        width, height = LEFT + WIDTH + MARGIN, self._bottom + FOOT
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        yield f"<title>{escape(self._line.title)}</title>"
        yield from self._legend()
        yield from self._axis()
        for number, bar in enumerate(self._bars):
            yield from self._bar(bar, HEAD + ROW * number)
        for number, curve in enumerate(self._curves):
            yield from self._curve(curve, HEAD + ROW * len(self._bars) + (PANEL + GAP) * number + GAP)
        for act in self._line.acts:
            yield self._mark(act)
        yield "</svg>"

    def _x(self, at: int) -> float:
        return LEFT + WIDTH * (at - self._line.start) / self._span

    def _legend(self) -> Iterator[str]:
        used = dict.fromkeys(one.kind for bar in self._bars for one in bar.stretches)
        x = float(LEFT)
        for kind, words in {**dict.fromkeys(used), "track": "nothing to look at"}.items():
            yield f'<rect class="{kind}" x="{x:.0f}" y="10" width="14" height="12"/>'
            yield _text(x + 19, 20, words or kind, "dim")
            x += 19 + CHARACTER * len(words or kind) + 18

    def _axis(self) -> Iterator[str]:
        first, last = self._line.seconds(self._line.start), self._line.seconds(self._line.end)
        for tick in _ticks(first, last, 8):
            x = LEFT + WIDTH * (tick - first) / (self._span / 1e9)
            yield _line("grid", x, HEAD - 6, x, self._bottom + 6)
            yield _text(x, self._bottom + 20, f"{tick:g}", "dim", "middle")
        middle = LEFT + WIDTH / 2
        yield _text(middle, self._bottom + 38, "seconds from the log's beginning", "dim", "middle")

    def _bar(self, bar: Bar, y: float) -> Iterator[str]:
        yield _label(bar.label, y + BAR - 5)
        yield _rect("track", LEFT, y, WIDTH)
        drawn = -math.inf
        for one in bar.stretches:
            start, end = self._x(one.start), self._x(one.end)
            if end - drawn < NARROWEST and one.kind != "fired":
                continue
            start, drawn = max(start, drawn), max(end, start + 1.5)
            many = f", {one.count} evaluations" if one.count > 1 else ""
            when = f"{one.kind} from {self._clock(one.start)} for {(one.end - one.start) / 1e9:.2f} s{many}"
            yield _rect(one.kind, start, y, drawn - start, f"{when}: {one.why}")

    def _mark(self, act: Act) -> str:
        x, told = self._x(act.at), "; ".join([f"{act.outcome} at {self._clock(act.at)}", *act.orders])
        head = f"{x - 5:.1f},{HEAD - 14} {x + 5:.1f},{HEAD - 14} {x:.1f},{HEAD - 4}"
        mark = f'<polygon class="{act.outcome}" points="{head}"/>'
        mark += _line(f"mark-{act.outcome}", x, HEAD - 6, x, self._bottom)
        return f"<g><title>{escape(told)}</title>{mark}</g>"

    def _curve(self, curve: Curve, top: float) -> Iterator[str]:
        limits = list(curve.told_limits())
        values = [value for points in (curve.points, *(some for _, some in limits)) for _, value in points]
        low, high = _range([value for value in values if math.isfinite(value)])

        def y(value: float) -> float:
            return top + PANEL * (high - value) / (high - low)

        yield _label(curve.label, top + 14)
        for value in _ticks(low, high, 4):
            yield _line("grid", LEFT, y(value), LEFT + WIDTH, y(value))
            yield _text(LEFT - 8, y(value) + 4, f"{value:.4g}", "dim", "end")
        for number, (text, points) in enumerate(limits[:TOLD]):
            kind = f"limit limit{number % LIMITS}"
            yield f'<path class="{kind}" d="{self._steps(points, y)}"/>'
            row = top + 34 + 16 * number
            yield _line(kind, MARGIN, row - 4, MARGIN + 24, row - 4)
            yield _text(MARGIN + 30, row, _cut(text, 32), "dim")
        shown = thinned(curve.points, POINTS)
        for broken, some in groupby(shown, key=lambda point: not math.isfinite(point[1])):
            if broken:
                continue
            run = list(some)
            path = " ".join(f"{self._x(at):.1f},{y(value):.1f}" for at, value in run)
            yield f'<polyline class="curve" points="{path}"/>'
            yield from (self._point(at, value, y(value)) for at, value in run)

    def _point(self, at: int, value: float, y: float) -> str:
        told = f"<title>{value:.6g} at {self._clock(at)} ({self._line.seconds(at):.2f} s)</title>"
        return f'<circle class="point" cx="{self._x(at):.1f}" cy="{y:.1f}" r="1.6">{told}</circle>'

    def _steps(self, points: Points, y: Callable[[float], float]) -> str:
        """A limit as it changed, from the left edge to the right one."""
        path, last = "", None
        for at, value in points:
            if value != last and math.isfinite(value):
                path += f" H{self._x(at):.1f} V{y(value):.1f}" if path else f"M{LEFT},{y(value):.1f}"
                last = value
        return f"{path} H{LEFT + WIDTH}" if path else ""


def thinned(points: Points, most: int) -> Points:
    """About so many points with the same shape: of each equal part of them the first, the least, the greatest
    and the last."""
    if len(points) <= most:
        return points
    size = -(-len(points) // (most // 4))
    found: Points = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        finite = [one for one in part if math.isfinite(one[1])] or part[:1]
        kept = {part[0], min(finite, key=lambda one: one[1]), max(finite, key=lambda one: one[1]), part[-1]}
        found += sorted(kept, key=lambda one: one[0])
    return found


def _table(line: Timeline, clock: Callable[[int], str]) -> Iterator[str]:
    if not line.acts:
        return
    yield "<table><tr><th>time</th><th>s</th><th>what</th><th>why</th><th>commands</th></tr>"
    by_trail = {id(one.trail): one for one in line.outcomes.stretches}
    for act in line.acts[:ROWS]:
        why = by_trail[id(act.trail)].why if id(act.trail) in by_trail else act.trail.decision.reason
        cells = [clock(act.at), f"{line.seconds(act.at):.2f}", act.outcome, why, "; ".join(act.orders)]
        kinds = (' class="t"', ' class="t"', "", "", "")
        row = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, cells, strict=True))
        yield f"<tr>{row}</tr>"
    yield "</table>"
    if len(line.acts) > ROWS:
        yield f"<p>and {len(line.acts) - ROWS} more; --from and --to choose a part</p>"


def _rect(kind: str, x: float, y: float, width: float, told: str = "") -> str:
    place = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"'
    return f'<rect class="{kind}" {place}>' + (f"<title>{escape(told)}</title>" if told else "") + "</rect>"


def _line(kind: str, x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _label(words: str, y: float) -> str:
    shown = escape(_cut(words, int((LABELS - 10) / CHARACTER)))
    return f'<text x="{MARGIN}" y="{y:.1f}">{shown}<title>{escape(words)}</title></text>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from the one to the other, about so many: multiples of 1, 2 or 5 times a power of ten."""
    least = max((high - low) / about, abs(high) * 1e-9, 1e-9)
    size: float = 10.0 ** math.floor(math.log10(least))
    step = next(size * one for one in (1, 2, 5, 10) if size * one >= least * 0.999)
    return [step * tick for tick in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _range(values: list[float]) -> tuple[float, float]:
    """A little more than the values take."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    space = (high - low) * 0.08 or max(abs(high) * 0.1, 0.5)
    return low - space, high + space
