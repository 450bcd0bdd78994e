"""Values over time, reduced while they come to what can be seen. All times are log times in ns."""

import math
from dataclasses import dataclass

from zuluko.log_export.flat import Value

MOST_CHANGES = 10_000  # of a state
MOST_STATES = 12  # that are told apart
OTHERS = "(others)"
SILENCE = 10**9  # ns; a line ends where nothing came for longer, and for so many times
UNUSUAL = 5  # the time between two values


def number(value: Value) -> float | None:
    """A value that can be drawn on a line; None for any other."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


@dataclass
class _Bucket:
    """What one column shows: its first, lowest, highest and last value, each (time, value)."""

    broken: bool  # whether the line has a gap before it
    first: tuple[int, float]
    low: tuple[int, float]
    high: tuple[int, float]
    last: tuple[int, float]


class Line:
    """Numbers from ``start`` to ``end`` in so many columns.

    Of each column the first, lowest, highest and last value are kept, which draws the same picture as all of
    them would (M4: Jugel et al., VLDB 2014). Where a value is missing, or nothing came for unusually long,
    the line has a gap.
    """

    def __init__(self, start: int, end: int, columns: int) -> None:
        self._start, self._length, self._columns = start, max(1, end - start), columns
        self._buckets: dict[int, _Bucket] = {}
        self._count, self._first, self._last = 0, 0, 0
        self._broken = False

    def add(self, time: int, value: float | None) -> None:
        if value is None:
            self._broken = True
            return
        passed, usual = time - self._last, (self._last - self._first) / max(1, self._count - 1)
        self._broken |= self._count > 2 and passed > max(SILENCE, UNUSUAL * usual)
        self._first = self._first if self._count else time
        self._count, self._last = self._count + 1, time
        self._take(min(self._columns - 1, (time - self._start) * self._columns // self._length), time, value)

    def _take(self, column: int, time: int, value: float) -> None:
        point = time, value
        if (bucket := self._buckets.get(column)) is None:
            self._buckets[column] = _Bucket(self._broken, point, point, point, point)
        else:
            bucket.low = min(bucket.low, point, key=lambda one: one[1])
            bucket.high = max(bucket.high, point, key=lambda one: one[1])
            bucket.last = point
        self._broken = False

    @property
    def pieces(self) -> list[list[tuple[int, float]]]:
        """The line's points, (time, value) in order, a list for each part without a gap."""
        found: list[list[tuple[int, float]]] = []
        for _, bucket in sorted(self._buckets.items()):
            if bucket.broken or not found:
                found.append([])
            found[-1] += sorted({bucket.first, bucket.low, bucket.high, bucket.last})
        return found

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        values = [value for bucket in self._buckets.values() for _, value in (bucket.low, bucket.high)]
        return min(values), max(values)


class States:
    """Words over time: each change, (time, state); ``names`` are the states in the order of coming."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, str]] = []
        self.names: list[str] = []

    def add(self, time: int, value: Value) -> None:
        name = str(value).lower() if isinstance(value, bool | None) else str(value)[:40]
        if name not in self.names:
            if len(self.names) >= MOST_STATES:
                name = OTHERS
            if name not in self.names:
                self.names.append(name)
        if (not self.changes or self.changes[-1][1] != name) and len(self.changes) < MOST_CHANGES:
            self.changes.append((time, name))
