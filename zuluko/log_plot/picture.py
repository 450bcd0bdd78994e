"""Panels drawn by matplotlib, as PNG, SVG or PDF."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zuluko.bus.log_writer import LogError
from zuluko.log_export.whole import whole
from zuluko.log_plot.panels import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, ROOM = 12.0, 1.0  # inches: of all, and above and below
NUMBERS, STATE = 2.0, 0.4  # inches: of a panel of numbers, and of each state
ENDINGS = (".png", ".svg", ".pdf")
LONGEST = 90  # characters of what a type says of a field


def save(panels: Sequence[Panel], target: Path, span: tuple[int, int], begin: int, title: str) -> None:
    """Writes a picture; times in ns, seconds are told from ``begin``. Raises LogError for a file that exists,
    and where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise LogError("a picture needs matplotlib; run: pip install 'zuluko[plot]'") from None
    heights = [STATE * (1 + len(one.states.names)) if one.states else NUMBERS for one in panels]
    figure = Figure(figsize=(WIDTH, sum(heights) + ROOM), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, one in zip(panels, axes, strict=True):
        _draw(panel, one, span, begin)
    axes[-1].set_xlim((span[0] - begin) / 1e9, (span[1] - begin) / 1e9)
    axes[-1].set_xlabel("seconds from the log's beginning")
    figure.suptitle(f"{title}{datetime.fromtimestamp(begin / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC", fontsize=10)
    with whole(target) as place:
        figure.savefig(place, format=target.suffix[1:], dpi=100)


def _draw(panel: Panel, axes: "Axes", span: tuple[int, int], begin: int) -> None:
    axes.set_title(_plain(panel.title), loc="left", fontsize=10, fontweight="bold")
    told = panel.told if len(panel.told) <= LONGEST else f"{panel.told[:LONGEST]}…"
    axes.set_title(_plain(told), loc="right", fontsize=8, color="0.4")
    axes.grid(visible=True, color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    if panel.states:
        _steps(panel, axes, span, begin)
        return
    for number, (rest, line) in enumerate(panel.lines.items()):
        label: Any = _plain(rest) or None
        for piece in line.pieces:
            times = [(time - begin) / 1e9 for time, _ in piece]
            values = [value for _, value in piece]
            dot = "." if len(piece) == 1 else ""
            axes.plot(times, values, color=f"C{number % 10}", label=label, linewidth=1, marker=dot)
            label = None
    if any(panel.lines):
        axes.legend(loc="upper right", fontsize=8, ncols=len(panel.lines), framealpha=0.8)


def _steps(panel: Panel, axes: "Axes", span: tuple[int, int], begin: int) -> None:
    states = panel.states
    assert states
    changes = [*states.changes, (span[1], states.changes[-1][1])]
    times = [(time - begin) / 1e9 for time, _ in changes]
    axes.step(times, [states.names.index(name) for _, name in changes], where="post", linewidth=1.5)
    axes.set_yticks(range(len(states.names)), [_plain(name) for name in states.names])
    axes.set_ylim(-0.5, len(states.names) - 0.5)


def _plain(text: str) -> str:
    """A text in which no $ begins a formula."""
    return text.replace("$", r"\$")
