"""How far a command is with a log, drawn over itself in a terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BAR = 30  # characters, where there is room
PAUSE = 0.1  # s between two drawings


class Progress:
    """A bar over ``passes`` times through a log from ``start`` to ``end`` (ns). It is called with each log
    time, and with a ``note`` to stand behind it; it draws some times a second, or ``always``."""

    def __init__(self, start: int, end: int, *, passes: int = 1) -> None:
        self._start, self._length = start, max(1, end - start)
        self._passes, self._pass, self._last = passes, 0, start
        self._next = 0.0
        self._drawn = False
        self._is_shown = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __call__(self, moment: int, note: str = "", *, always: bool = False) -> None:
        if not self._is_shown:
            return
        if moment < self._last - self._length // 2:
            self._pass = min(self._pass + 1, self._passes - 1)
        self._last = moment
        if (now := time.monotonic()) < self._next and not always:
            return
        self._next, self._drawn = now + PAUSE, True
        passed = min(max(0, moment - self._start), self._length)
        part = (self._pass + passed / self._length) / self._passes
        text = f"{passed / 1e9:.1f} of {self._length / 1e9:.1f} s{note}"
        if (room := min(BAR, _columns() - len(text) - 4)) >= 5:
            text = f"[{'=' * int(room * part):<{room}}] {text}"
        over(text)

    def wipe(self) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def leave(self) -> None:
        """Has what is drawn stay, and goes on below it."""
        if self._drawn:
            print(file=sys.stderr)


def over(text: str) -> None:
    """Draws a line over the last one, as much of it as the terminal has columns: a second one would stay."""
    print(f"\r\x1b[K{text[: _columns() - 1]}", end="", file=sys.stderr, flush=True)


def _columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


@contextmanager
def shown(start: int, end: int, *, passes: int = 1) -> Iterator[Progress]:
    progress = Progress(start, end, passes=passes)
    try:
        yield progress
    finally:
        progress.wipe()
