"""The columns of a table over one topic's messages, found by looking at all of them."""

from collections.abc import Callable
from typing import Any

from zuluko.log_export.flat import Path, flat, name
from zuluko.log_export.part import Item

MOST = 2000  # columns of one topic
LARGEST_INT = 1 << 63

ENVELOPE = {"log.seconds": "float", "log.received": "int", "log.sent": "int", "log.seq": "int"}


class Columns:
    """Grows with each message that it is shown. ``kinds`` gives the columns by name, each a bool, int, float
    or str (where its values differ in kind); those of a list stand together, by the item.
    """

    def __init__(self) -> None:
        self.left_out = False  # whether there were more than MOST
        self._kinds: dict[Path, str] = {}
        self._filled: set[Path] = set()  # lists that have a length to be told

    def add(self, body: dict[str, Any]) -> None:
        for path, value in flat(body):
            if path not in self._kinds and len(self._kinds) >= MOST:
                self.left_out = True
                continue
            self._kinds[path] = _wider(self._kinds.get(path, ""), _kind(value))
            if path[-1] == "length" and value:
                self._filled.add(path)

    @property
    def kinds(self) -> dict[str, str]:
        paths = [path for path in self._kinds if path[-1] != "length" or path in self._filled]
        return {name(path): self._kinds[path] or "str" for path in sorted(paths, key=self._place())}

    def _place(self) -> Callable[[Path], tuple[int, ...]]:
        """Where a path stands: behind those that were met before it within the same map or list."""
        first: dict[Path, int] = {}
        for path in self._kinds:
            for length in range(1, len(path) + 1):
                first.setdefault(path[:length], len(first))
        return lambda path: tuple(first[path[: length + 1]] for length in range(len(path)))


def row(item: Item, start: int) -> dict[str, Any]:
    """A message's values by column; ``start`` is the log time (ns) from which its seconds count."""
    envelope = ((item.received - start) / 1e9, item.received, item.sent, item.seq)
    values: dict[str, Any] = dict(zip(ENVELOPE, envelope, strict=True))
    values.update((name(path), value) for path, value in flat(item.body))
    return values


def _kind(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and not -LARGEST_INT <= value < LARGEST_INT:
        return "str"
    return type(value).__name__


def _wider(one: str, other: str) -> str:
    """The kind that holds values of both; an empty one holds none."""
    if one == other or not other:
        return one
    if not one:
        return other
    return "float" if {one, other} == {"int", "float"} else "str"
