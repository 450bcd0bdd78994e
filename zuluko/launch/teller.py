"""What is told of a graph: to the view, the status file, the journal and, without a view, standard error."""

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

from zuluko.launch.graph import Graph
from zuluko.launch.helper import Helper
from zuluko.launch.journal import Journal
from zuluko.launch.status import Account

LINES = (200, 1000)  # of a node's log: a second, and at once


class Teller:
    """``tell`` says something of a node, or of the graph where no node is named: a ``state``, a ``text`` of
    the supervisor's, a line of its ``log``, its ``stats``."""

    def __init__(self, graph: Graph) -> None:
        self.account = Account(graph)
        self.journal = Journal()
        self.view: Helper | None = None
        self._budgets: dict[str, tuple[float, float, int]] = {}

    def tell(self, node: str = "", **what: Any) -> None:
        self.account.note(node, what)
        said = what.get("text") or what.get("log")
        if said:
            self.journal.add(node, said)
        if self.view:
            self.view.send(json.dumps({"node": node, **what}).encode(), keep=what.keys() != {"log"})
        elif said:
            aloud(f"{node}: {said}" if node else said)

    def flush(self) -> None:
        """Gives a view that was slow what it has not had yet."""
        if self.view:
            self.view.flush()

    def pass_on(self, node: str, lines: list[str]) -> None:
        """Tells a node's lines; of a node that pours them out some are left out, and that is told."""
        a_second, at_once = LINES
        left, when, cut = self._budgets.get(node, (at_once, time.monotonic(), 0))
        now = time.monotonic()
        left = min(at_once, left + (now - when) * a_second)
        for line in lines:
            if left < 1:
                cut += 1
                continue
            if cut:
                self.tell(node, text=f"({cut} lines left out)")
                cut = 0
            left -= 1
            self.tell(node, log=line)
        self._budgets[node] = (left, now, cut)


def aloud(text: str) -> None:
    """Says something on standard error, at once. Where that cannot be, on a full disk or in a terminal that
    was closed, it is lost; what is left in a buffer would come up again with every later word."""
    if sys.stderr:
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{text}\n".encode(errors="replace"))
