"""Which processes are on: those whose nodes' every ``when`` holds. What depends on messages, the watcher
says."""

import json
import selectors
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from zuluko.launch import watcher
from zuluko.launch.child import Child
from zuluko.launch.graph import Graph, Restart
from zuluko.launch.helper import Helper
from zuluko.launch.restarts import Restarts

UNKNOWN = "whether its `when` holds is not known yet"
FALSE = "its `when` does not hold"


class Switch(Protocol):
    def __call__(self, child: Child, *, on: bool, why: str) -> None: ...


class Tell(Protocol):
    def __call__(self, node: str = "", **what: object) -> None: ...


class Switches:
    """Holds what each condition said last; ``switch`` is called with a process when that has changed. A
    condition of which nothing is known any more leaves its node as it is."""

    def __init__(self, graph: Graph, selector: selectors.BaseSelector, switch: Switch, tell: Tell) -> None:
        self._graph, self._selector, self._switch, self._tell = graph, selector, switch, tell
        self._holds: dict[str, bool | None] = {}
        self._children: Mapping[str, Child] = {}
        self._helper: Helper | None = None
        self._restarts = Restarts(Restart(most=1_000_000))
        self._restart_at: float | None = None

    def start(self, children: Mapping[str, Child]) -> None:
        """Turns off what is not known to be on, and watches."""
        self._children = children
        for entry in self._graph.entries.values():
            if condition := entry.when:
                self._holds[entry.name] = None if condition.topics else condition.holds({})
                self._apply(entry.name)
        if watcher.has_topics(self._graph.entries.values()):
            self._start_watcher()

    def _start_watcher(self) -> None:
        self._restart_at, self._started = None, time.monotonic()
        graph = self._graph
        try:
            self._helper = Helper(f"{graph.name}/when", lambda events: watcher.watch(graph, events))
        except OSError as error:  # no memory, process or descriptor left
            self._start_later(f"could not be started ({error.strerror})")
            return
        self._selector.register(self._helper.socket, selectors.EVENT_READ, self._hear)
        self._selector.register(self._helper.pidfd, selectors.EVENT_READ, self._on_exit)

    @property
    def pid(self) -> int:
        """The watcher's process; 0 where there is none."""
        return self._helper.pid if self._helper else 0

    @property
    def due(self) -> float | None:
        """When a watcher that died starts again, on the monotonic clock."""
        return self._restart_at

    def look(self, now: float) -> None:
        if self._restart_at and now >= self._restart_at:
            self._start_watcher()

    def _hear(self) -> None:
        assert self._helper
        while packet := self._helper.receive():
            told = json.loads(packet)
            if told["holds"] is not None:
                self._holds[told["node"]] = told["holds"]
                self._apply(told["node"])

    def _apply(self, node: str) -> None:
        child = self._children[self._graph.entries[node].process]
        holds = [self._holds.get(entry.name) for entry in child.entries if entry.name in self._holds]
        self._switch(child, on=all(holds), why=UNKNOWN if None in holds else FALSE)

    def _on_exit(self) -> None:
        assert self._helper
        self._forget(self._helper)
        self._helper.reap()
        self._helper = None
        self._start_later("died")

    def _start_later(self, how: str) -> None:
        now = time.monotonic()
        wait = self._restarts.died(now, now - self._started) or 0.0
        self._restart_at = now + wait
        self._tell(text=f"the watcher of conditions {how}; it starts again in {wait:.1f} s")

    def _forget(self, helper: Helper) -> None:
        for end in (helper.socket, helper.pidfd):
            with suppress(KeyError):
                self._selector.unregister(end)

    def close(self) -> None:
        if self._helper:
            self._forget(self._helper)
            self._helper.kill()
            self._helper = None
