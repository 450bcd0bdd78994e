"""A timeline as a PNG picture, drawn by matplotlib."""

import io
from collections.abc import Iterable
from typing import Any

from zuluko.actions.timeline import Bar, Curve, Points, Timeline

WIDTH, DPI = 12.0, 110  # inches, and points an inch
ROW, PANEL, EDGE = 0.3, 1.5, 1.2  # inches: a bar, a curve, and what stands above and below
MOST = 12  # curves
LONGEST = 44  # characters of a label

COLOURS = {
    "true": "#1f883d",
    "false": "#f3c1bd",
    "unknown": "#e3b341",
    "fired": "#1f883d",
    "ended": "#57606a",
    "held": "#80b8f5",
    "cooldown": "#b9a3e3",
    "blocked": "#b9a3e3",
}
LIMITS = ("#bc4c00", "#8250df", "#57606a")


class DrawingError(RuntimeError):
    """A picture that cannot be drawn; a whole sentence."""


def png(line: Timeline) -> bytes:
    """The picture; raises DrawingError where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        what = "a PNG is drawn by matplotlib, which is not installed; run: pip install 'zuluko[plot]'"
        raise DrawingError(f"{what}, or write a page that needs nothing: --out plot.html") from None
    bars, curves = [line.outcomes, *line.clauses], list(line.curves.values())[:MOST]
    heights = [ROW * len(bars), *(PANEL for _ in curves)]
    figure = Figure(figsize=(WIDTH, sum(heights) + EDGE), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    _draw_bars(panels[0], line, bars)
    for number, (panel, curve) in enumerate(zip(panels[1:], curves, strict=True)):
        _draw_curve(panel, line, curve, f"C{number}")
    for panel in panels:
        for act in line.acts:
            fired = act.outcome == "fired"
            panel.axvline(
                line.seconds(act.at),
                color=COLOURS[act.outcome],
                lw=1.4 if fired else 1,
                ls="-" if fired else ":",
            )
    panels[0].set_title(line.title, loc="left", fontweight="bold")
    panels[-1].set_xlim(
        line.seconds(line.start), max(line.seconds(line.end), line.seconds(line.start) + 1e-3)
    )
    panels[-1].set_xlabel("seconds from the log's beginning")
    found = io.BytesIO()
    figure.savefig(found, format="png")
    return found.getvalue()


def _draw_bars(panel: Any, line: Timeline, bars: list[Bar]) -> None:
    from matplotlib.patches import Patch

    for row, bar in enumerate(bars):
        for kind in dict.fromkeys(one.kind for one in bar.stretches):
            spans = [
                (line.seconds(one.start), (one.end - one.start) / 1e9)
                for one in bar.stretches
                if one.kind == kind
            ]
            hatch = "////" if kind == "unknown" else None
            panel.broken_barh(
                spans, (row - 0.36, 0.72), facecolor=COLOURS[kind], edgecolor="white", lw=0, hatch=hatch
            )
    for act in line.fired:
        panel.plot(line.seconds(act.at), -0.62, marker="v", color=COLOURS["fired"], clip_on=False, zorder=5)
    panel.set_ylim(len(bars) - 0.5, -0.75)
    panel.set_yticks(range(len(bars)), [_cut(bar.label) for bar in bars], family="monospace", fontsize=9)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    kinds = [kind for kind in COLOURS if any(one.kind == kind for bar in bars for one in bar.stretches)]
    patches = [
        Patch(
            facecolor=COLOURS[kind],
            label=label,
            hatch="////" if kind == "unknown" else None,
            edgecolor="white",
        )
        for kind, label in _legend(kinds)
    ]
    panel.legend(
        handles=patches, loc="lower right", bbox_to_anchor=(1, 1), ncols=8, frameon=False, fontsize=8
    )


def _legend(kinds: Iterable[str]) -> list[tuple[str, str]]:
    """Kinds of one colour have one entry."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        found.setdefault(COLOURS[kind], []).append(kind)
    return [(names[0], ", ".join(names)) for names in found.values()]


def _draw_curve(panel: Any, line: Timeline, curve: Curve, colour: str) -> None:
    panel.plot(*_xy(line, curve.points), color=colour, lw=1.2, marker=".", ms=3)
    for number, (text, points) in enumerate(curve.told_limits()):
        limit = LIMITS[number % len(LIMITS)]
        if len({value for _, value in points}) == 1:
            panel.axhline(points[0][1], color=limit, lw=1, ls="--", label=_cut(text))
        else:
            panel.plot(
                *_xy(line, points), color=limit, lw=1, ls="--", drawstyle="steps-post", label=_cut(text)
            )
    panel.set_title(_cut(curve.label), loc="left", family="monospace", fontsize=9, pad=3)
    if curve.limits:
        panel.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=8, borderpad=0
        )
    panel.margins(y=0.15)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)


def _xy(line: Timeline, points: Points) -> tuple[list[float], list[float]]:
    return [line.seconds(at) for at, _ in points], [value for _, value in points]


def _cut(text: str) -> str:
    """A label that fits, with no sign in it that matplotlib reads as a formula's."""
    text = text.replace("$", r"\$")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
