"""The last lines of each node's log, and whoever follows them."""

from collections import deque
from heapq import merge
from itertools import islice

import msgspec

from zuluko.bus import clock
from zuluko.launch.control import Caller

KEPT = 64 << 10  # bytes of text, for each node


class Line(msgspec.Struct, frozen=True):
    """``time`` is graph time in ns; ``node`` is empty where the supervisor speaks of the graph."""

    time: int
    node: str
    line: str


class Journal:
    """Remembers what nodes printed and what the supervisor said of them."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Line]] = {}
        self._sizes: dict[str, int] = {}
        self._followers: list[tuple[Caller, str]] = []

    def add(self, node: str, text: str) -> None:
        line = Line(clock.now(), node, text)
        lines = self._lines.setdefault(node, deque())
        lines.append(line)
        self._sizes[node] = self._sizes.get(node, 0) + len(text)
        while self._sizes[node] > KEPT and len(lines) > 1:
            self._sizes[node] -= len(lines.popleft().line)
        self._pass_on(line)

    def _pass_on(self, line: Line) -> None:
        for caller, node in self._followers:
            if node in ("", line.node):
                caller.send_line(msgspec.json.encode(line))
        self._followers = [(caller, node) for caller, node in self._followers if caller.open]

    def last(self, node: str, count: int) -> list[Line]:
        """The last lines of a node, or of all in the order of their time, oldest first."""
        chosen = [self._lines.get(node, deque())] if node else list(self._lines.values())
        newest = merge(*(reversed(lines) for lines in chosen), key=lambda line: -line.time)
        return list(islice(newest, max(0, count)))[::-1]

    def follow(self, caller: Caller, node: str) -> None:
        self._followers.append((caller, node))
