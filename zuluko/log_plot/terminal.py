"""Panels drawn in characters: eight dots to each, which Unicode calls Braille patterns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from zuluko.log_plot.axis import short, ticks
from zuluko.log_plot.panels import Panel
from zuluko.log_plot.series import Line, States

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row and column within a character
BLANK = 0x2800
COLOURS = (36, 33, 35, 32, 34, 31)  # of the terminal's own
LABEL = 14  # characters at most before the axis
LEAST = 3  # rows of a panel of numbers
SECONDS_APART = 12  # characters between two times


class Canvas:
    """Dots in so many characters, ``width`` x ``height``; a character has the colour that came to it last."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width * 2, height * 4  # in dots
        self._cells = [[BLANK] * width for _ in range(height)]
        self._colours = [[0] * width for _ in range(height)]

    def dot(self, x: int, y: int, colour: int) -> None:
        """``x`` counts from the left, ``y`` from the top; what is outside is left out."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
            self._colours[y // 4][x // 2] = colour

    def line(self, start: tuple[int, int], end: tuple[int, int], colour: int) -> None:
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), colour)

    def rows(self, coloured: bool) -> Iterator[str]:
        for cells, colours in zip(self._cells, self._colours, strict=True):
            text, last = "", 0
            for cell, colour in zip(cells, colours, strict=True):
                if coloured and colour != last:
                    text, last = text + (f"\x1b[{colour}m" if colour else "\x1b[0m"), colour
                text += chr(cell) if cell != BLANK else " "
            yield text.rstrip() + ("\x1b[0m" if last else "")


def draw(
    panels: Sequence[Panel],
    span: tuple[int, int],
    begin: int,
    size: tuple[int, int],
    *,
    coloured: bool,
) -> Iterator[str]:
    """The panels one below the other, a line each time, in ``size`` columns and rows (more rows where they
    need it); times in ns, seconds are told from ``begin``. Without colours each line has its own panel."""
    width, height = size
    panels = panels if coloured else [one for panel in panels for one in _apart(panel)]
    gutter = min(LABEL, max(len(label) for panel in panels for label in _labels(panel)))
    canvas_width = max(8, width - gutter - 2)
    for panel, rows in zip(panels, _heights(panels, height - 3), strict=True):
        yield from _title(panel, width, coloured)
        labels, canvas = _panel(panel, span, canvas_width, rows)
        for label, row in zip(labels, canvas.rows(coloured), strict=True):
            shown = label if len(label) <= gutter else label[: gutter - 1] + "…"
            yield f"{shown:>{gutter}} ┤{row}" if label else f"{'':>{gutter}} │{row}"
    yield from _times(span, begin, gutter, canvas_width)


def _apart(panel: Panel) -> Iterator[Panel]:
    if len(panel.lines) < 2:
        yield panel
    else:
        for rest, line in panel.lines.items():
            yield replace(panel, title=f"{panel.title}.{rest}", lines={"": line})


def _heights(panels: Sequence[Panel], room: int) -> list[int]:
    """Rows for each panel, without its title: a state has one of its own, numbers share the rest."""
    fixed = sum(len(panel.states.names) for panel in panels if panel.states)
    numbers = sum(not panel.states for panel in panels)
    share = (room - len(panels) - fixed) // max(1, numbers)
    return [len(panel.states.names) if panel.states else max(LEAST, share) for panel in panels]


def _labels(panel: Panel) -> Iterable[str]:
    return panel.states.names if panel.states else map(short, _range(panel.lines.values()))


def _title(panel: Panel, width: int, coloured: bool) -> Iterator[str]:
    legend = ""
    if any(panel.lines):
        colours = (f"\x1b[{COLOURS[n % len(COLOURS)]}m{rest}\x1b[0m" for n, rest in enumerate(panel.lines))
        legend = "  " + " ".join(colours if coloured else panel.lines)
    taken = len(panel.title) + (1 + sum(len(rest) + 1 for rest in panel.lines) if legend else 0)
    room = max(0, width - taken - 2)
    told = panel.told if len(panel.told) <= room else f"{panel.told[: room - 1]}…" if room > 8 else ""
    title = panel.title if len(panel.title) <= width else f"…{panel.title[1 - width :]}"
    yield (f"\x1b[1m{title}\x1b[0m" if coloured else title) + legend + (f"  {told}" if told else "")


def _panel(panel: Panel, span: tuple[int, int], width: int, rows: int) -> tuple[list[str], Canvas]:
    canvas = Canvas(width, rows)
    if panel.states:
        _states(panel.states, span, canvas)
        return panel.states.names[::-1], canvas
    low, high = _range(panel.lines.values())
    for number, line in enumerate(panel.lines.values()):
        for piece in line.pieces:
            dots = [(_across(time, span, canvas), _down(value, low, high, canvas)) for time, value in piece]
            for start, end in zip(dots, dots[1:] or dots, strict=False):
                canvas.line(start, end, COLOURS[number % len(COLOURS)])
    return [short(high), *[""] * (rows - 2), short(low)], canvas


def _states(states: States, span: tuple[int, int], canvas: Canvas) -> None:
    """Steps, the state that came first at the bottom."""
    levels = {name: canvas.height - 4 * number - 2 for number, name in enumerate(states.names)}
    ends = [*(time for time, _ in states.changes[1:]), span[1]]
    before = None
    for (time, name), end in zip(states.changes, ends, strict=True):
        x, y = _across(time, span, canvas), levels[name]
        if before is not None:
            canvas.line((x, before), (x, y), COLOURS[0])
        canvas.line((x, y), (_across(end, span, canvas), y), COLOURS[0])
        before = y


def _range(lines: Iterable[Line]) -> tuple[float, float]:
    """The lowest and the highest value of all; room above and below one that never changes."""
    ranges = [line.range for line in lines]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    margin = 0.0 if high > low else max(1.0, abs(low) / 100)
    return low - margin, high + margin


def _across(time: int, span: tuple[int, int], canvas: Canvas) -> int:
    return (time - span[0]) * (canvas.width - 1) // max(1, span[1] - span[0])


def _down(value: float, low: float, high: float, canvas: Canvas) -> int:
    return round((high / 2 - value / 2) / (high / 2 - low / 2) * (canvas.height - 1))


def _times(span: tuple[int, int], begin: int, gutter: int, width: int) -> Iterator[str]:
    """The axis of time, and the seconds below it."""
    first, last = ((time - begin) / 1e9 for time in span)
    axis, below = ["─"] * width, [" "] * (gutter + 2 + width)
    free = 0
    for tick in ticks(first, last, max(1, width // SECONDS_APART)):
        column = round((tick - first) / max(1e-9, last - first) * (width - 1))
        text = short(tick + 0.0) + (" s" if not free else "")
        at = min(gutter + 2 + column, len(below) - len(text))
        axis[column] = "┬"
        if at >= free:
            below[at : at + len(text)] = text
            free = at + len(text) + 1
    yield f"{'':>{gutter}} └" + "".join(axis)
    yield "".join(below).rstrip()
