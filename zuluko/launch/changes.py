"""Changing a node's parameter while the graph runs: the new value is tried in a process of its own, then the
node starts anew with it; where it does not become ready, it has its old value again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zuluko.launch import settings
from zuluko.launch.child import Child
from zuluko.launch.control import Caller, Request
from zuluko.launch.graph import Entry
from zuluko.launch.imported import Imported, renewed
from zuluko.launch.trials import Trials

LATE = "it cannot be tried"


@dataclass
class _Change:
    """A change that is on its way: who is told, of what, and what was before."""

    caller: Caller
    child: Child
    entry: Entry
    options: dict[str, Any]
    changed: dict[str, Any]
    undone: str = ""

    def undo(self, why: str) -> None:
        """Puts the old value back."""
        self.entry.options, self.entry.changed, self.undone = self.options, self.changed, why


class Changes:
    """One at a time for each process. ``restart`` starts a process anew and says why it cannot; ``outcome``
    says what has become of a start, or None."""

    def __init__(
        self,
        trials: Trials,
        imported: Imported | None,
        restart: Callable[[Child], str],
        outcome: Callable[[Child], dict[str, Any] | None],
    ) -> None:
        self._trials, self._imported = trials, imported
        self._restart, self._outcome = restart, outcome
        self._callers: dict[str, Caller] = {}  # by process, who is to be told of a change
        self._changes: list[_Change] = []

    def take(self, caller: Caller, request: Request, child: Child) -> None:
        """Tries a value for a parameter of a node, and sets it."""
        entry = next(entry for entry in child.entries if entry.name == request.node)
        try:
            value = settings.converted(entry, request.name, request.value)
        except settings.SettingError as error:
            answer(caller, "refused", str(error))
            return
        if child.name in self._callers:
            answer(caller, "refused", f"{child.name} is being set already")
        elif settings.is_so(entry, request.name, value):
            answer(caller, "done", "")
        else:
            self._callers[child.name] = caller
            self._trials.start(
                child.name,
                lambda: self._wrong(child, entry, request, value),
                lambda why: self._set(child, entry, request, value, why),
                late=LATE,
            )

    def _wrong(self, child: Child, entry: Entry, request: Request, value: Any) -> str:
        """What is wrong with the value for the node as it is on the disk now; looked for beside the graph."""
        if self._imported:
            entries, wrong = renewed(self._imported, child.entries)
            if wrong:
                return wrong
            entry = next(one for one in entries if one.name == entry.name)
        return settings.wrong_with(entry, request.name, value)

    def _set(self, child: Child, entry: Entry, request: Request, value: Any, why: str) -> None:
        caller = self._callers.pop(child.name)
        if why:
            answer(caller, "refused", why)
            return
        change = _Change(caller, child, entry, entry.options, entry.changed)
        entry.options = {**entry.options, request.name: value}
        entry.changed = {**entry.changed, request.name: request.value}
        if not child.alive:  # it will start with it, if ever
            answer(caller, "done", f"{entry.name} is {child.state}")
            return
        if why := self._restart(child):
            change.undo(why)
            answer(caller, "refused", why)
            return
        self._callers[child.name] = caller
        child.undo = change.undo
        self._changes.append(change)

    def look(self) -> None:
        """Answers those whose node runs with its new value, or does not."""
        for change in list(self._changes):
            told = None if change.undone else self._outcome(change.child)
            if not change.undone and told is None:
                continue
            if told and not told["ok"]:
                change.undo(told["what"])
                if change.child.alive:
                    self._restart(change.child)
            self._changes.remove(change)
            del self._callers[change.child.name]
            change.child.undo = None
            if change.undone:
                answer(change.caller, "failed", f"{change.undone}; it has its old value again")
            else:
                answer(change.caller, "done", "")

    def end(self) -> None:
        """Answers those who wait when the graph stops."""
        for caller in self._callers.values():
            answer(caller, "failed", "the graph stopped")


def answer(caller: Caller, outcome: str, why: str) -> None:
    caller.finish({"ok": outcome == "done", "outcome": outcome, "what": why})
