"""What is told of a graph: to the view, the status file, the journal and, without a view, standard error."""

import json
import os
import select
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from zuluko.launch.graph import Graph
from zuluko.launch.helper import Helper
from zuluko.launch.journal import Journal
from zuluko.launch.status import Account

A_SECOND, AT_ONCE = 200, 1000  # lines of a node's log
LAST = 20  # lines that are told of one that poured out more
HEARING = 0.1  # s that a word waits for a reader who stands still
PIECE = 512  # bytes, which a pipe takes whole once it takes any


class Teller:
    """``tell`` says something of a node, or of the graph where no node is named: a ``state``, a ``text`` of
    the supervisor's, a line of its ``log``, its ``stats``."""

    def __init__(self, graph: Graph) -> None:
        self.account = Account(graph)
        self.journal = Journal()
        self.view: Helper | None = None
        self._flows: dict[str, Flow] = {}

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
        """Tells what had to wait, and gives a view that was slow what it has not had yet."""
        for node, flow in self._flows.items():
            if flow.cut:
                self._let_flow(node, flow)
        if self.view:
            self.view.flush()

    def pass_on(self, node: str, lines: list[str], *, last: bool = False) -> None:
        """Tells a node's lines; of a node that pours them out some are left out, and that is told. Never the
        ``last``: they say why it died."""
        flow = self._flows.setdefault(node, Flow())
        self._let_flow(node, flow)
        for line in lines:
            if flow.cut or flow.room < 1:
                flow.hold(line)
            else:
                flow.room -= 1
                self.tell(node, log=line)
        if last:
            self._tell_held(node, flow)

    def _let_flow(self, node: str, flow: "Flow") -> None:
        """Tells what was held back when there is room again for the lines of a second."""
        flow.refill(time.monotonic())
        if flow.room >= A_SECOND:
            self._tell_held(node, flow)

    def _tell_held(self, node: str, flow: "Flow") -> None:
        newest, left_out = list(flow.newest), flow.cut - len(flow.newest)
        flow.room -= len(newest)
        flow.cut = 0
        flow.newest.clear()
        if left_out:
            self.tell(node, text=f"({left_out} lines left out)")
        for line in newest:
            self.tell(node, log=line)


@dataclass
class Flow:
    """``room`` is for so many lines of a node as may be told now; ``cut`` is how many were not, of which
    the ``newest`` will be."""

    room: float = AT_ONCE
    cut: int = 0
    newest: deque[str] = field(default_factory=lambda: deque(maxlen=LAST))
    when: float = field(default_factory=time.monotonic)

    def refill(self, now: float) -> None:
        self.room = min(AT_ONCE, self.room + (now - self.when) * A_SECOND)
        self.when = now

    def hold(self, line: str) -> None:
        self.cut += 1
        self.newest.append(line)


def aloud(text: str) -> None:
    """Says something on standard error, at once. Where that cannot be, on a full disk, in a terminal that
    was closed, or before a reader who stands still, it is lost; what is left in a buffer would come up again
    with every later word."""
    if sys.stderr:
        rest = f"{text}\n".encode(errors="replace")
        with suppress(OSError):
            end = sys.stderr.fileno()
            while rest and select.select([], [end], [], HEARING)[1]:
                rest = rest[os.write(end, rest[:PIECE]) :]
