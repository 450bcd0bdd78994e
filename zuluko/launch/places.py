"""Where something is wrong: a path of keys into one file."""

from collections.abc import Iterable
from typing import Protocol

Place = tuple[str | int, ...]


class Say(Protocol):
    """Takes note of something wrong at a place of a launch file, or at its key."""

    def __call__(self, path: Place, what: str, *, key: bool = False) -> None: ...


def expected(choices: Iterable[str], words: str = "expected") -> str:
    """``; expected: a, b`` for what may stand somewhere, or nothing."""
    named = ", ".join(choices)
    return f"; {words}: {named}" if named else ""
