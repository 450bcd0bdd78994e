"""The supervisor: forks the nodes of a graph from one process that has imported what they need, starts them
in the order of need, restarts what dies, and leaves nothing running.

It is one loop over pidfds, log pipes, control sockets and its own timers. It opens no nng socket and starts
no thread, because it forks; whoever watches the bus (the view) is a forked child of its own.
"""

import gc
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from zuluko.launch.child import BROKEN_PIPE, Child, fork
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.graphlock import GraphLock
from zuluko.launch.node import USER_MISTAKE
from zuluko.launch.runner import GRACE
from zuluko.launch.status import Account

START_DEADLINE = 10.0  # s to a node's first beat; after that the others no longer wait for it
DRAIN = 0.5  # s that the rest has after the last source ended
BACKOFF = (0.1, 5.0)  # s to the first and at most to any restart; doubled in between
STEADY = 10.0  # s of life that make an earlier failure forgotten
MOST_RESTARTS = 10  # in a row
SILENCE = 5.0  # s without a sign of life from a node that waits for messages: it hangs
LINES = (200, 1000)  # of a node's log: a second, and at once

Watch = Callable[[int], int]
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_UP = ("ready", "ended", "late", "failed")


class Supervisor:
    """Runs one graph to its end. ``watch`` is called in a process of its own with the file descriptor on
    which the graph's events come, one JSON object a line; what it returns is the graph's exit status."""

    def __init__(self, graph: Graph, watch: Watch | None = None) -> None:
        self._graph = graph
        self._watch = watch
        graph.watched = watch is not None
        self._children = {name: Child(name, entries) for name, entries in graph.processes.items()}
        self._view = 0
        self._view_fd = -1
        self._events: socket.socket | None = None
        self._budgets: dict[str, tuple[float, float, int]] = {}
        self._stopping = False
        self._status = 0
        self._drain_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._wakeup: tuple[socket.socket, ...] = ()
        self._account = Account(graph)

    def run(self) -> int:
        """Starts, supervises and stops the graph; its exit status. Raises AlreadyRunningError."""
        lock = GraphLock(self._graph.name)
        try:
            self._take_signals()
            gc.collect()
            gc.freeze()  # a collection in a child would copy every page that it marks
            if self._watch:
                self._start_view(self._watch)
            while self._turn():
                pass
            return self._end_view()
        finally:
            self._leave_nothing()
            self._account.close()
            lock.release()
            self._close()

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        for end in self._wakeup:
            end.close()
        self._selector.close()

    def _leave_nothing(self) -> None:
        for child in self._children.values():
            if child.alive:
                child.kill()
                child.reap()
        if self._view:
            os.kill(self._view, signal.SIGKILL)
            self._reap_view(os.waitpid(self._view, 0)[1])

    def _take_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, self._on_signal)
        for number in _STOPS:
            signal.signal(number, lambda *_: None)

    def _on_signal(self) -> None:
        numbers = self._wakeup[0].recv(64)
        if not self._stopping:
            self._tell(text="stopping")
            self._stop()
        elif signal.SIGINT in numbers:  # a second Ctrl-C does not wait
            for child in self._children.values():
                child.kill()

    def _turn(self) -> bool:
        """One turn of the loop; False when the graph is over."""
        now = time.monotonic()
        if self._drain_at and now >= self._drain_at and not self._stopping:
            self._stop()
        if not self._stopping:
            self._start_what_can(now)
        for child in self._children.values():
            if child.kill_at and now >= child.kill_at:
                self._tell(child, text=f"does not stop within {GRACE:g} s and is killed")
                child.kill()
        if self._stopping and not any(child.alive for child in self._children.values()):
            return False
        self._account.beat(member for child in self._children.values() for member in child.members)
        for key, _ in self._selector.select(self._patience(now)):
            if self._selector.get_map().get(key.fd) == key:  # an event before it may have ended the child
                key.data()
        return True

    def _patience(self, now: float) -> float:
        moments = [now + 1.0, self._drain_at]
        for child in self._children.values():
            moments += [child.kill_at, child.restart_at]
        return max(0.0, min(moment for moment in moments if moment) - now)

    def _start_what_can(self, now: float) -> None:
        """Starts each node whose consumers are ready: consumers first, so that nothing is lost on them."""
        for child in self._children.values():
            if child.state == "backoff" and now >= (child.restart_at or 0):
                self._start(child)
            elif hung := child.hung(now, SILENCE):
                self._tell(hung, text=f"gave no sign of life for {SILENCE:g} s and is killed")
                child.kill()
                child.heard.clear()
            elif child.state == "starting" and now - child.started > START_DEADLINE:
                child.state = "late"
                what = f"is not ready after {START_DEADLINE:g} s; the others go on without it"
                self._tell(child, text=what)
        waiting = [child for child in self._children.values() if child.state == "waiting"]
        free = [child for child in waiting if self._is_needed_by_none(child)]
        settled = all(child.state in ("waiting", *_UP) for child in self._children.values())
        if waiting and not free and settled:
            # Nodes that drive each other in a circle: one has to begin, and no source before it.
            free = sorted(waiting, key=lambda child: any(entry.is_source for entry in child.entries))[:1]
        for child in free:
            self._start(child)

    def _is_needed_by_none(self, child: Child) -> bool:
        return all(self._children[name].state in _UP for name in self._graph.driven_by(child.name))

    def _start(self, child: Child) -> None:
        try:
            end, log, control = child.start(self._graph)
        except OSError as error:  # no memory, process or descriptor left
            child.failures += 1
            self._back_off(child, str(error))
            return
        self._selector.register(end, selectors.EVENT_READ, lambda: self._on_exit(child))
        self._selector.register(log, selectors.EVENT_READ, lambda: self._on_log(child, log))
        self._selector.register(control, selectors.EVENT_READ, lambda: self._on_control(child, control))
        self._tell_all(child, state="starting")

    def _on_log(self, child: Child, fd: int) -> None:
        lines = child.read_log()
        if lines is None:
            self._forget(fd)
        self._pass_on(child, lines or [])

    def _pass_on(self, child: Child, lines: list[str]) -> None:
        """Tells a node's lines; of a node that pours them out some are left out, and that is told."""
        a_second, at_once = LINES
        left, when, cut = self._budgets.get(child.name, (at_once, time.monotonic(), 0))
        now = time.monotonic()
        left = min(at_once, left + (now - when) * a_second)
        for line in lines:
            if left < 1:
                cut += 1
                continue
            if cut:
                self._tell(child, text=f"({cut} lines left out)")
                cut = 0
            left -= 1
            self._tell(child, log=line)
        self._budgets[child.name] = (left, now, cut)

    def _on_control(self, child: Child, fd: int) -> bool:
        """Hears what a node tells of itself; False when there is no more for now."""
        told = child.read_control()
        if told is None:
            self._forget(fd)
            return False
        node = str(told.get("node"))
        if "ready" in told:
            self._tell(node, state="ready", after=round(time.monotonic() - child.started, 3))
            child.ready.add(node)
            if len(child.ready) == len(child.entries):
                child.state = "ready"
        if "ended" in told and len(child.entries) > 1:
            child.ended.add(node)
            self._tell(node, state="ended")
            self._note_end()
        child.has_turned |= "turned" in told
        if "stats" in told:
            self._tell(node, stats=told["stats"])
        return bool(told)

    def _forget(self, fd: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(fd)

    def _on_exit(self, child: Child) -> None:
        *_, control = child.fds
        while self._on_control(child, control):
            pass  # what it told before it died
        self._pass_on(child, child.read_log(final=True) or [])
        for fd in child.fds:
            self._forget(fd)
        code = child.reap()
        child.failures = 1 if time.monotonic() - child.started > STEADY else child.failures + 1
        if self._stopping:
            child.state = "stopped"
            self._tell_all(child, state="stopped")
        elif code == 0:
            child.state = "ended"
            self._tell_all(child, state="ended")
            self._note_end()
        elif code == USER_MISTAKE and not child.has_turned:
            self._fail(child, "cannot run")
        elif not child.restarts:
            self._fail(child, f"died ({_how(code)})")
        elif child.failures > MOST_RESTARTS:
            self._fail(child, f"died {child.failures} times in a row ({_how(code)})")
        else:
            self._back_off(child, _how(code))

    def _back_off(self, child: Child, how: str) -> None:
        wait = min(BACKOFF[0] * 2 ** (child.failures - 1), BACKOFF[1])
        child.state, child.restart_at = "backoff", time.monotonic() + wait
        self._tell_all(child, state="died")
        self._tell(child, text=f"died ({how}); it starts again in {wait:g} s")

    def _fail(self, child: Child, how: str) -> None:
        child.state = "failed"
        self._status = 1
        self._tell_all(child, state="failed")
        self._tell(child, text=f"{how}; the graph stops")
        self._stop()

    def _note_end(self) -> None:
        """When the last source has ended, the rest may finish what it has, and the graph stops."""
        sources = [entry for entry in self._graph.entries.values() if entry.is_source]
        if all(self._has_ended(entry) for entry in sources):
            self._drain_at = time.monotonic() + DRAIN

    def _has_ended(self, entry: Entry) -> bool:
        child = self._children[entry.process]
        return child.state == "ended" or entry.name in child.ended

    def _stop(self) -> None:
        self._stopping = True
        for child in self._children.values():
            child.restart_at = None
            child.terminate()

    def _start_view(self, watch: Watch) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._view = fork("zk:view", lambda: watch(theirs.fileno()), keep=(theirs.fileno(),))
        theirs.close()
        self._events, self._view_fd = ours, os.pidfd_open(self._view)
        self._selector.register(self._view_fd, selectors.EVENT_READ, self._on_view_exit)

    def _on_view_exit(self) -> None:
        """Nobody looks any more: after a closed pipe (`| head`) the graph stops, else it goes on."""
        code = self._reap_view(os.waitpid(self._view, 0)[1])
        if code == BROKEN_PIPE:
            self._status = BROKEN_PIPE
            self._stop()
        elif not self._stopping:
            self._tell(text=f"the view died ({_how(code)}); the graph goes on")

    def _reap_view(self, status: int) -> int:
        self._forget(self._view_fd)
        os.close(self._view_fd)
        if self._events:
            self._events.close()
        self._view, self._events = 0, None
        return os.waitstatus_to_exitcode(status)

    def _end_view(self) -> int:
        """Lets the view show how it ended; its exit status is the graph's, unless that failed."""
        if not self._view or not self._events:
            return self._status
        self._events.shutdown(socket.SHUT_WR)
        ended, _, _ = select.select([self._view_fd], [], [], GRACE)
        if not ended:
            return self._status or 1
        return self._status or abs(self._reap_view(os.waitpid(self._view, 0)[1]))

    def _tell_all(self, child: Child, **what: Any) -> None:
        """Tells something of each node of a process."""
        for entry in child.entries:
            self._tell(entry.name, **what)

    def _tell(self, who: Child | str = "", **what: Any) -> None:
        """Tells the view; without one, standard error hears what a person should know."""
        name = who if isinstance(who, str) else who.name
        self._account.note(name, what)
        if self._events:
            with suppress(OSError):  # a view that stands still misses it, and holds nobody up
                self._events.send(json.dumps({"node": name, **what}).encode())
        elif said := what.get("text") or what.get("log"):
            print(f"{name}: {said}" if name else said, file=sys.stderr, flush=True)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
