"""The live view in a terminal: picture, people, rule and lock in place, and the events that scroll by."""

import os
import sys
import termios
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from zuluko.bus import clock
from zuluko.launch.graph import Graph
from zuluko.launch.story import Event, Story, describe
from zuluko.launch.view import summary_rows
from zuluko.messages import Frame, LockState

# From how many columns on the picture stands beside the words, and how large, in pixels; a character shows
# two, one above the other.
PICTURES = {100: (48, 36), 76: (32, 24)}
STATES = {"ready": "green", "ended": "dim", "off": "dim", "failing": "bold red"}  # the others are yellow
ORDER = {"off": 1, "ended": 2, "ready": 3}  # from what wants looking at, which all others do
MOODS = {"good": "green", "bad": "bold red", "": "default"}


@contextmanager
def keys_unseen(terminal: int) -> Iterator[None]:
    """Keeps a terminal from writing ``^C`` for Ctrl-C: at the panel's edge that begins a new line, and the
    next picture stands one line too low."""
    if not _is_ours(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    _set(terminal, [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]])
    try:
        yield
    finally:
        _set(terminal, before)


def _is_ours(terminal: int) -> bool:
    """Whether this process may set it: who does so from the background is stopped."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def _set(terminal: int, settings: list[Any]) -> None:
    with suppress(termios.error):  # it was closed
        termios.tcsetattr(terminal, termios.TCSANOW, settings)


class LiveScreen:
    """Redraws a panel in place and lets the events scroll by above it."""

    def __init__(self, graph: Graph, story: Story) -> None:
        self._graph, self._story = graph, story
        self._start = clock.now()
        self._running = True
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> "LiveScreen":
        self._stack = ExitStack()
        self._stack.enter_context(keys_unseen(sys.stdout.fileno()))
        self._stack.enter_context(self._live)
        return self

    def __exit__(self, *_: object) -> None:
        self._running = False
        self.refresh()
        self._stack.close()

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            line = Text().append(f"{event.seconds:7.2f} s  ", style="dim")
            line.append(f"{event.who:<8} ", style="cyan")
            line.append(event.text, style=MOODS[event.mood])
            self._live.console.print(line)

    def refresh(self) -> None:
        self._live.update(self._panel(), refresh=True)

    def end(self, summary: dict[str, Any]) -> None:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in summary_rows(summary):
            style = "" if name != "verdict" else "bold green" if summary["good"] else "bold red"
            table.add_row(name, Text(value, style=style))
        self._console.print(table)

    def _panel(self) -> RenderableType:
        words = Table(show_header=False, box=None, padding=(0, 2, 0, 0), expand=True)
        words.add_column(style="dim", width=8)
        words.add_column(ratio=1, overflow="fold")
        for name, text in self._rows():
            words.add_row(name, text)
        inside: RenderableType = words
        story = self._story
        size = next((size for least, size in PICTURES.items() if self._console.width >= least), None)
        if story.frame and size and self._console.color_system:
            inside = Table.grid(padding=(0, 2), expand=True)
            inside.add_column(width=size[0])
            inside.add_column(ratio=1)
            inside.add_row(picture(story.frame, self._boxes(), size), words)
        seconds = (clock.now() - self._start) / 1e9
        title = f"[bold]{self._graph.name}[/]  {seconds:.0f} s"
        hint = "Ctrl-C stops" if self._running else None
        return Group(Panel(inside, title=title, title_align="left", subtitle=hint, subtitle_align="right"))

    def _boxes(self) -> list[tuple[float, float, float, float]]:
        faces = self._story.faces
        width, height = faces.size if faces else (0, 0)
        if not faces or not width or not height:
            return []
        return [
            (
                f.box[0] / width,
                f.box[1] / height,
                (f.box[0] + f.box[2]) / width,
                (f.box[1] + f.box[3]) / height,
            )
            for f in faces.items
        ]

    def _rows(self) -> list[tuple[str, Text]]:
        story = self._story
        rows = [
            (topic.node, Text(why, style=MOODS["bad"]))
            for topic in self._graph.topics
            if (why := story.blind(topic.name, clock.now()))
        ]
        if story.frame:
            height, width = story.frame.image.shape[:2]
            rate = max((story.rate(t.name) for t in self._graph.topics if t.kind is Frame), default=0.0)
            scene = f"   (in the picture: {story.frame.scene})" if story.frame.scene else ""
            rows.append(("camera", Text(f"{width} x {height}, {rate:.0f} Hz{scene}")))
        if story.faces:
            known = any(face.name for face in story.faces.items)
            rows.append(("seen", Text(describe(story.faces), style="green" if known else "")))
        if decision := story.decision:
            rows.append(("rule", Text(f"{decision.rule}: {decision.outcome}; {decision.reason}")))
        rows += self._lock_rows()
        if story.latencies:
            rows.append(("latency", Text(f"{story.latencies[-1] * 1000:.0f} ms from evidence to unlock")))
        rows.append(("nodes", self._nodes()))
        if lost := story.lost_total():
            rows.append(("lost", Text(", ".join(f"{count} {cause}" for cause, count in lost.items()))))
        return rows

    def _lock_rows(self) -> list[tuple[str, Text]]:
        return [(topic.partition(".")[0], _lock(state)) for topic, state in self._story.locks.items()]

    def _nodes(self) -> Text:
        """A line for each state and reason, with the nodes of which it is true; those that want looking at
        stand first, where a small terminal does not cut them off."""
        alike: dict[tuple[str, str], list[str]] = {}
        for name, state in self._story.states.items():
            alike.setdefault((state, self._story.reasons.get(name, "")), []).append(name)
        lines = []
        for (state, reason), names in sorted(alike.items(), key=lambda one: ORDER.get(one[0][0], 0)):
            told = f"{state} ({reason})" if reason else state
            lines.append(Text(f"{', '.join(names)}: ").append(told, style=STATES.get(state, "yellow")))
        return Text("\n").join(lines)


def _lock(state: LockState) -> Text:
    if state.state == "locked":
        return Text(f"locked ({state.reason})", style="bold")
    left = max(0.0, (state.until - clock.now()) / 1e9)
    return Text(f" UNLOCKED  for {left:.1f} s more", style=Style(bold=True, reverse=True, color="green"))


def picture(frame: Frame, boxes: Iterable[tuple[float, float, float, float]], size: tuple[int, int]) -> Text:
    """A frame as coloured half blocks, so many pixels large; boxes are left, top, right, bottom, 0 to 1."""
    import cv2

    width, height = size
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    for left, top, right, bottom in boxes:
        corners = (round(left * width), round(top * height)), (round(right * width), round(bottom * height))
        cv2.rectangle(small, *corners, (80, 220, 80), 1)
    text = Text(no_wrap=True)
    for row in range(0, height, 2):
        for upper, lower in zip(small[row].tolist(), small[row + 1].tolist(), strict=True):
            text.append("▀", style=f"{_rgb(upper)} on {_rgb(lower)}")
        text.append("\n")
    text.right_crop(1)
    return text


def _rgb(pixel: list[int]) -> str:
    blue, green, red = pixel
    return f"#{red:02x}{green:02x}{blue:02x}"
