"""Whoever watches a graph: the view, in a process of its own, from its start to its last word."""

import os
import selectors
import signal
from collections.abc import Callable

from zuluko.launch.child import Child, how
from zuluko.launch.fork import BROKEN_PIPE, TERMINAL_GONE
from zuluko.launch.helper import Helper
from zuluko.launch.teller import Teller, aloud

PATIENCE = 3.0  # s that the view has to show how it ended

Watch = Callable[[int], int]


class Audience:
    """``left`` is called when the view's reader has closed its pipe (``| head``). Without a ``watch`` there
    is no view, and standard error hears what a person should know."""

    def __init__(
        self,
        graph: str,
        watch: Watch | None,
        selector: selectors.BaseSelector,
        teller: Teller,
        left: Callable[[], None],
    ) -> None:
        self._graph, self._watch, self._left = graph, watch, left
        self._selector, self._teller = selector, teller

    @property
    def pid(self) -> int:
        """The view's process; 0 where there is none."""
        return self._teller.view.pid if self._teller.view else 0

    def start(self) -> None:
        if self._watch:
            view = self._teller.view = Helper(f"{self._graph}/view", self._watch)
            self._selector.register(view.pidfd, selectors.EVENT_READ, self._on_exit)

    def _on_exit(self) -> None:
        if (code := self._reap()) == BROKEN_PIPE:
            self._left()
        elif code == TERMINAL_GONE:  # which sends SIGHUP to those whom it concerns
            self._teller.tell(text="the terminal was closed; nothing is shown any more")
        else:
            self._teller.tell(text=f"the view died ({how(code)}); the graph goes on")

    def _reap(self) -> int:
        view, self._teller.view = self._teller.view, None
        assert view
        self._selector.unregister(view.pidfd)
        return view.reap()

    def end(self, failed: Child | None) -> int:
        """Lets the view show how the graph ended, and tells of what made it fail; the view's exit status,
        unless it could only say that its terminal had gone."""
        status = 0
        if view := self._teller.view:
            view.hang_up()
            status = abs(self._reap()) if view.ends_within(PATIENCE) else self._give_up()
        if failed:
            self._tell_last(failed)
        return 0 if status == TERMINAL_GONE else status

    def _give_up(self) -> int:
        """Tells that the view is stuck; the graph's exit status, since nobody knows whether it did well."""
        aloud(f"the view did not end within {PATIENCE:g} s; what it was to show last is lost")
        return 1

    def _tell_last(self, child: Child) -> None:
        """How a node ended and its last lines, where they are not lost in the rest."""
        aloud(f"the graph {self._graph} stopped: {child.name} {child.reason}")
        if child.lines:
            aloud("\n  ".join(["its last lines:", *child.lines]))

    def close(self) -> None:
        if self._teller.view:
            os.kill(self._teller.view.pid, signal.SIGKILL)
            self._reap()
