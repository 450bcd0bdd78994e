"""How far a command is with a log, drawn over itself in a terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BAR = 30  # characters


class Progress:
    """A bar over ``passes`` times through a log from ``start`` to ``end`` (ns); called with each log time."""

    def __init__(self, start: int, end: int, *, passes: int = 1) -> None:
        self._start, self._length = start, max(1, end - start)
        self._passes, self._pass, self._last = passes, 0, start
        self._next = 0.0
        self._is_shown = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def __call__(self, moment: int) -> None:
        if not self._is_shown:
            return
        if moment < self._last - self._length // 2:
            self._pass = min(self._pass + 1, self._passes - 1)
        self._last = moment
        if (now := time.monotonic()) < self._next:
            return
        self._next = now + 0.1
        passed = min(max(0, moment - self._start), self._length)
        part = (self._pass + passed / self._length) / self._passes
        text = f"{passed / 1e9:.1f} of {self._length / 1e9:.1f} s"
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        if (room := min(BAR, columns - len(text) - 4)) >= 5:
            text = f"[{'=' * int(room * part):<{room}}] {text}"
        print(f"\r\x1b[K{text[: columns - 1]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def shown(start: int, end: int, *, passes: int = 1) -> Iterator[Progress]:
    progress = Progress(start, end, passes=passes)
    try:
        yield progress
    finally:
        progress.end()
