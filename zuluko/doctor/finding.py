"""What a check finds."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """``what`` was found, as a clause; ``mend`` is the command that mends it, or what else to do.

    ``level``  good; warn: it works, but not as well as it could; bad: something that is there will not work
    """

    level: Level
    what: str
    mend: str = ""


def good(what: str, mend: str = "") -> Finding:
    return Finding("good", what, mend)


def warn(what: str, mend: str = "") -> Finding:
    return Finding("warn", what, mend)


def bad(what: str, mend: str = "") -> Finding:
    return Finding("bad", what, mend)
