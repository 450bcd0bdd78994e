"""``zuluko doctor``: what this board has of all that a graph needs, and how to mend what it lacks."""

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from zuluko.cli.which import Json

if TYPE_CHECKING:
    from zuluko.doctor.finding import Finding

MARKS = {"good": "32", "warn": "33", "bad": "1;31"}  # by ANSI's numbers


def doctor(as_json: Json = False) -> None:
    """Check this board: software, processor, kernel, memory, cameras, buses and rights, each with its remedy.

    The exit status is 1 when something is bad.
    """
    from zuluko.cli.logs import has_colours
    from zuluko.doctor.checks import look
    from zuluko.doctor.machine import Machine

    coloured, counts = has_colours(), Counter[str]()
    for name, finding in look(Machine()):
        counts[finding.level] += 1
        print(_as_json(name, finding) if as_json else _lines(name, finding, coloured), flush=True)
    if not as_json:
        print(f"\n{counts['good']} good, {counts['warn']} to look at, {counts['bad']} bad")
    sys.exit(counts["bad"] > 0)


def _as_json(name: str, finding: "Finding") -> str:
    return json.dumps({"check": name, "level": finding.level, "what": finding.what, "mend": finding.mend})


def _lines(name: str, finding: "Finding", coloured: bool) -> str:
    """A finding on a line, and what mends it on another."""
    mark, label, mend = f"{finding.level:<4}", f"{name:<11}", finding.mend
    if coloured:
        mark, label = f"\x1b[{MARKS[finding.level]}m{mark}\x1b[0m", f"\x1b[36m{label}\x1b[0m"
    return f"{mark}  {label}  {finding.what}" + (f"\n{'':<19}-> {mend}" if mend else "")
