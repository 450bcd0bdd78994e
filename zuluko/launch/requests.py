"""What other terminals ask of a running graph, and the answers."""

import selectors
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from zuluko.document import nearest
from zuluko.launch.changes import Changes
from zuluko.launch.child import Child
from zuluko.launch.control import Caller, Request
from zuluko.launch.imported import Imported, renewed
from zuluko.launch.journal import Journal
from zuluko.launch.status import Status
from zuluko.launch.trials import Trials

KNOWN = ("status", "stop", "restart", "set", "logs")


class Runs(Protocol):
    """What a request may ask for."""

    @property
    def children(self) -> Mapping[str, Child]: ...

    @property
    def journal(self) -> Journal: ...

    def status(self) -> Status: ...

    def stop(self, why: str) -> None: ...

    def restart(self, child: Child) -> str:
        """Starts a process anew; why it cannot, or nothing."""


class Requests:
    """Answers at once, or remembers who is to be answered when it is done."""

    def __init__(
        self, graph: Runs, selector: selectors.BaseSelector, imported: Imported | None = None
    ) -> None:
        self._graph, self._imported = graph, imported
        self._trials = Trials(selector)
        self._changes = Changes(self._trials, imported, graph.restart, _outcome)
        self._tried: list[tuple[Caller, Child]] = []
        self._stops: list[Caller] = []
        self._restarts: list[tuple[Caller, Child]] = []

    @property
    def pids(self) -> list[int]:
        """The processes in which edits and values are tried."""
        return self._trials.pids

    def take(self, caller: Caller, request: Request) -> None:
        match request.do:
            case "status":
                caller.finish(msgspec.json.encode(self._graph.status()))
            case "stop":
                self._stops.append(caller)
                self._graph.stop("asked to by zuluko stop")
            case "restart":
                self._restart(caller, request.node)
            case "set":
                self._set(caller, request)
            case "logs":
                self._logs(caller, request)
            case _:
                hint = nearest(request.do, KNOWN) or f"; there is: {', '.join(KNOWN)}"
                refuse(caller, f"`{request.do}` is no request{hint}")

    def _restart(self, caller: Caller, node: str) -> None:
        if (child := self._find(node)) is None:
            self._unknown(caller, node)
        elif self._imported and self._imported.edited:
            self._try(caller, child, self._imported)
        else:
            self._start(caller, child)

    def _set(self, caller: Caller, request: Request) -> None:
        child = self._find(request.node)
        if child is None or request.node not in [entry.name for entry in child.entries]:
            self._unknown(caller, request.node)
        else:
            self._changes.take(caller, request, child)

    def _try(self, caller: Caller, child: Child, imported: Imported) -> None:
        """Restarts a node that was edited only if, in a process of its own, it can be imported and fits; else
        the one that runs goes on."""

        def tried(why: str) -> None:
            self._tried.remove((caller, child))
            if why:
                refuse(caller, f"{child.name} was not restarted: {why}")
            else:
                self._start(caller, child)

        self._tried.append((caller, child))
        self._trials.start(
            child.name,
            lambda: renewed(imported, child.entries)[1],
            tried,
            late="its modules cannot be imported",
        )

    def _start(self, caller: Caller, child: Child) -> None:
        if why := self._graph.restart(child):
            refuse(caller, why)
        else:
            self._restarts.append((caller, child))

    def _find(self, node: str) -> Child | None:
        """The process of a node, or of a group."""
        by_node = {entry.name: child for child in self._graph.children.values() for entry in child.entries}
        return by_node.get(node) or self._graph.children.get(node)

    def _unknown(self, caller: Caller, node: str) -> None:
        names = [entry.name for child in self._graph.children.values() for entry in child.entries]
        hint = nearest(node, names) or f"; there is: {', '.join(names)}"
        refuse(caller, f"no node is called `{node}`{hint}")

    def _logs(self, caller: Caller, request: Request) -> None:
        child = self._find(request.node) if request.node else None
        if request.node and child is None:
            self._unknown(caller, request.node)
            return
        name = child.name if child else ""
        for line in self._graph.journal.last(name, request.last):
            caller.send_line(msgspec.json.encode(line))
        if request.follow:
            self._graph.journal.follow(caller, name)
        else:
            caller.finish()

    def look(self) -> None:
        """Answers those whose node has started, or has not; ends a trial that takes too long."""
        self._trials.look()
        self._changes.look()
        for caller, child in list(self._restarts):
            if (answer := _outcome(child)) is not None:
                self._restarts.remove((caller, child))
                caller.finish(answer)

    def end(self) -> None:
        """Answers those who asked for the end; the others hear that it came."""
        self._trials.end()
        self._changes.end()
        for caller, child in self._restarts + self._tried:
            refuse(caller, f"the graph stopped before {child.name} was ready")
        for caller in self._stops:
            caller.finish({"ok": True})


def _outcome(child: Child) -> dict[str, Any] | None:
    """What became of a restart; None while it is on its way."""
    if child.next == "start" or (child.state == "starting" and not child.late):
        return None
    if child.runs or child.state == "ended":
        return {"ok": True, "state": child.state, "after": child.ready_after}
    if child.state == "waiting" and not child.restart_at:
        return None
    return {"ok": False, "what": f"{child.name} {child.reason or 'is ' + child.state}"}


def refuse(caller: Caller, what: str) -> None:
    caller.finish({"ok": False, "what": what})
