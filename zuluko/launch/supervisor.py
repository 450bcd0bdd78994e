"""The supervisor: starts the processes of a graph in the order of need from one that has imported what they
need, starts anew what dies or hangs, and leaves nothing running.

It is one loop over pidfds, log pipes, sockets and its own timers. It opens no nng socket and starts no
thread, because it forks; whoever hears the bus (the view, the watcher of conditions) is a forked process of
its own.
"""

import ctypes
import gc
import selectors
import signal
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from zuluko.bus import clock
from zuluko.launch import limits, runner
from zuluko.launch.audience import Audience, Watch
from zuluko.launch.child import Body, Child, how
from zuluko.launch.control import Control
from zuluko.launch.fork import BROKEN_PIPE
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.graphlock import GraphLock
from zuluko.launch.health import Health
from zuluko.launch.imported import Imported
from zuluko.launch.journal import Journal
from zuluko.launch.node import USER_MISTAKE
from zuluko.launch.order import SETTLE, Order
from zuluko.launch.orphans import Orphans
from zuluko.launch.requests import Requests
from zuluko.launch.starvation import SOONEST
from zuluko.launch.status import Status
from zuluko.launch.switches import FALSE, Switches
from zuluko.launch.teller import Teller

AT_ONCE = 1000  # packets of one node, of which a socket holds fewer
DRAIN = 0.5  # s that the rest has after the last source ended
UNSAFE = "it was killed, and could not put what it acts on into its safe state"

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STOPPERS: dict[int, str] = {
    signal.SIGTERM: "told to by SIGTERM",
    signal.SIGHUP: "its terminal hung up",
}


class Supervisor:
    """Runs one graph to its end. ``watch`` is called in a process of its own with the file descriptor on
    which the graph's events come, one JSON object a line; what it returns is the graph's exit status.
    ``body`` is what each node's process runs."""

    def __init__(self, graph: Graph, watch: Watch | None = None, body: Body | None = None) -> None:
        self._graph = graph
        self._imported = Imported()
        self._body = body or partial(runner.forked, self._imported)
        graph.watched = watch is not None
        self.children = {name: Child(name, entries) for name, entries in graph.processes.items()}
        self._order = Order(graph)
        self._selector = selectors.DefaultSelector()
        self._teller = Teller(graph)
        self._tell = self._teller.tell
        self._requests = Requests(self, self._selector, None if body else self._imported)
        self._switches = Switches(graph, self._selector, self._switch, self._tell)
        self._health = Health(self.children, self._teller)
        self._audience = Audience(graph.name, watch, self._selector, self._teller, self._on_nobody)
        self._wakeup: tuple[socket.socket, ...] = ()
        self._status = 0
        self._drain_at: float | None = None

    @property
    def journal(self) -> Journal:
        return self._teller.journal

    def status(self) -> Status:
        return self._health.status()

    def run(self) -> int:
        """Starts, supervises and stops the graph; its exit status. Raises AlreadyRunningError."""
        with ExitStack() as stack:
            stack.callback(self._close)
            self._take_signals()  # from here on, a Ctrl-C leaves no lock behind
            lock = GraphLock(self._graph.name)
            stack.callback(self._requests.end)
            stack.callback(lock.release)
            stack.callback(self._teller.account.close)
            control = stack.enter_context(Control(self._graph.name, self._selector, self._requests.take))
            orphans = Orphans(self._pids)
            stack.callback(orphans.end)
            stack.callback(self._leave_nothing)
            _make_ready_to_fork()
            self._audience.start()
            self._switches.start(self.children)
            while self._turn():
                control.tidy()
                orphans.reap()
                self._check_name(lock)
            shown = self._audience.end(self._health.failed)
            return self._status or shown

    def _check_name(self, lock: GraphLock) -> None:
        """Stops a graph whose folder was removed: what starts now is not found by the others, and the name
        may be another's."""
        if self._health.stopping is None and not lock.is_held:
            self._status = 1
            self._tell(text=f"{lock.folder} was removed while the graph runs; it stops; start it anew")
            self._stop()

    def _pids(self) -> set[int]:
        """The processes that it has started."""
        helpers = (self._audience.pid, self._switches.pid, *self._requests.pids)
        return {*helpers, *(child.pid for child in self.children.values())} - {0}

    def _leave_nothing(self) -> None:
        for child in self.children.values():
            if child.alive:
                child.kill()
                child.reap()
        self._switches.close()
        self._audience.close()

    def _close(self) -> None:
        self._health.close()
        signal.set_wakeup_fd(-1)
        for end in self._wakeup:
            end.close()
        self._selector.close()

    def _take_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, self._on_signal)
        for number in _STOPS:
            if not (number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):  # nohup
                signal.signal(number, lambda *_: None)

    def _on_signal(self) -> None:
        numbers = self._wakeup[0].recv(64)
        if self._health.stopping is None:
            self.stop(next((_STOPPERS[number] for number in numbers if number in _STOPPERS), ""))
        elif signal.SIGINT in numbers:  # a second Ctrl-C does not wait
            for child in self.children.values():
                child.kill()

    def _turn(self) -> bool:
        """One turn of the loop; False when the graph is over."""
        now = time.monotonic()
        if self._drain_at and now >= self._drain_at:
            self._stop()
        if self._health.stopping is None:
            self._switches.look(now)
            self._start_what_can(now)
            self._look_at_each(now)
        else:
            self._stop_what_can(now)
        for child in self.children.values():
            if child.kill_at:
                self._see_it_end(child, now, child.kill_at)
        if self._health.stopping is not None and not any(child.alive for child in self.children.values()):
            return False
        self._requests.look()
        self._teller.flush()
        self._health.tell(now)
        for key, _ in self._selector.select(self._patience(now)):
            if self._selector.get_map().get(key.fd) == key:  # an event before it may have ended the child
                key.data()
        return True

    def _see_it_end(self, child: Child, now: float, kill_at: float) -> None:
        """Kills what was to end and has not, unless it had no core to end on."""
        child.look(now)
        if starved := child.newly_starved(now):
            self._tell(child.name, text=starved)
        if now >= kill_at and not child.has_died and (why := child.out_of_time(now)):
            if not child.blame:
                self._tell(child.name, text=f"{why} and is killed")
            child.kill()

    def _patience(self, now: float) -> float:
        looks = min(
            (1.0, *(SOONEST if child.kill_at else child.look_every for child in self.children.values()))
        )
        moments = [now + (looks if self._health.stopping is None else SETTLE), self._drain_at]
        moments += [self._health.due, self._switches.due]
        for child in self.children.values():
            moments += [child.kill_at, child.restart_at]
        return max(0.0, min(moment for moment in moments if moment) - now)

    def _start_what_can(self, now: float) -> None:
        for child in self.children.values():
            if child.restart_at and now >= child.restart_at:
                self._start(child)
        for child in self._order.to_start(self.children):
            self._start(child)

    def _stop_what_can(self, now: float) -> None:
        assert self._health.stopping
        for child in self._order.to_stop(self.children.values(), self._health.stopping, now):
            child.terminate()

    def _look_at_each(self, now: float) -> None:
        for child in self.children.values():
            child.look(now)
            if child.hung(now):  # unless it was the supervisor that stood still, and has not heard it
                self._hear_all(child, child.fds[-1])
            if how := child.hung(now):
                self._tell(child.name, text=f"{how} and is killed")
                child.abort(how)
            elif starved := child.newly_starved(now):
                self._tell(child.name, text=starved)
            elif late := child.newly_late(now):
                self._tell(child.name, text=f"{late}; the others go on without it")
            if child.alive and child.usage.look(child.pid, now):
                self._judge(child)

    def _judge(self, child: Child) -> None:
        """Tells of a process that uses more than it may, and ends it where that was asked for."""
        what, restart = limits.excess(child.usage, child.entries)
        if what and child.state == "ready":
            self._turn_to(child, "degraded", what)
            self._tell(child.name, text=what + ("; it starts anew" if restart else ""))
            if restart:
                child.blame = what
                child.terminate()
        elif not what and child.state == "degraded":
            self._turn_to(child, "ready")

    def _start(self, child: Child) -> None:
        try:
            end, log, control = child.start(self._graph, self._body)
        except OSError as error:  # no memory, process or descriptor left
            child.started = time.monotonic()
            self._after_death(child, f"could not be started ({error.strerror})")
            return
        self._selector.register(end, selectors.EVENT_READ, lambda: self._on_exit(child))
        self._selector.register(log, selectors.EVENT_READ, lambda: self._on_log(child, log))
        self._selector.register(control, selectors.EVENT_READ, lambda: self._hear_all(child, control))
        self._tell_all(child, state="starting")

    def _on_log(self, child: Child, fd: int) -> None:
        lines = child.read_log()
        if lines is None:
            self._forget(fd)
        self._teller.pass_on(child.name, lines or [])

    def _hear_all(self, child: Child, fd: int) -> None:
        """Hears all that a node has told until now."""
        for _ in range(AT_ONCE):
            if not self._on_control(child, fd):
                return

    def _on_control(self, child: Child, fd: int) -> bool:
        """Hears what a node tells of itself; False when there is no more for now."""
        told = child.read_control()
        if told is None:
            self._forget(fd)
            return False
        node = str(told.get("node"))
        if "ready" in told and node not in child.ready:
            after = round(time.monotonic() - child.started, 3)
            child.ready.add(node)
            if len(child.ready) == len(child.entries) and child.state == "starting":
                child.turn("ready")
                child.ready_after = after
            self._tell(node, state="ready", after=after)
        if "ended" in told and len(child.entries) > 1:
            child.ended[node] = clock.now()
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
        self._hear_all(child, child.fds[-1])  # what it told before it died
        self._teller.pass_on(child.name, child.read_log(final=True) or [], last=True)
        for fd in child.fds:
            self._forget(fd)
        code = child.reap()
        if self._health.stopping is not None:
            self._turn_to(child, "stopped")
        elif child.next == "start":
            self._start(child)
        elif child.undo and child.state == "starting":
            child.undo(f"{child.name} died ({how(code)})")
            self._tell(child.name, text=f"died with its new value ({how(code)}); it has its old one again")
            self._start(child)
        elif child.next == "off":
            self._turn_to(child, "off", FALSE)
            self._tell(child.name, text=f"off: {FALSE}")
        elif code == 0:
            self._turn_to(child, "ended")
            self._note_end()
        elif code == USER_MISTAKE and not child.has_turned:
            self._fail(child, "cannot run")
        else:
            self._after_death(child, child.blame or f"died ({how(code)})")
        if code < 0 and child.acts and not child.alive and not child.restart_at:
            self._tell(child.name, text=UNSAFE)

    def _after_death(self, child: Child, how: str) -> None:
        """Lets it start again after a while, or fail for good."""
        now = time.monotonic()
        wait = child.restarts.died(now, now - child.started)
        if wait is None:
            again = f", and {child.restarts.why()}" if child.rule.on else ""
            self._fail(child, how + again)
            return
        self._turn_to(child, "waiting", f"{how}; it starts again in {wait:.1f} s")
        child.restart_at = now + wait
        self._tell(child.name, text=child.reason)

    def _fail(self, child: Child, how: str) -> None:
        self._turn_to(child, "failing", how)
        if not child.must:
            self._tell(child.name, text=f"{how}; the graph goes on without it")
            self._note_end()
            return
        self._status, self._health.failed = 1, child
        self._tell(child.name, text=f"{how}; the graph stops")
        self._stop()

    def _note_end(self) -> None:
        """When the last source has ended, the rest may finish what it has, and the graph stops."""
        sources = [entry for entry in self._graph.entries.values() if entry.is_source]
        if all(self._has_ended(entry) for entry in sources):
            self._drain_at = time.monotonic() + DRAIN

    def _has_ended(self, entry: Entry) -> bool:
        child = self.children[entry.process]
        return child.state in ("ended", "failing") or entry.name in child.ended

    def _on_nobody(self) -> None:
        self._status = BROKEN_PIPE
        self._stop()

    def stop(self, why: str) -> None:
        if self._health.stopping is None:
            self._tell(text=f"stopping: {why}" if why else "stopping")
            self._stop()

    def _stop(self) -> None:
        self._drain_at = None
        self._health.stop()
        for child in self.children.values():
            child.restart_at = None

    def restart(self, child: Child) -> str:
        """Starts a process anew as somebody asked; why it cannot, or nothing."""
        if self._health.stopping is not None:
            return "the graph is stopping"
        if child.state == "off" or child.next == "off":
            return f"{child.name} is off: {child.reason or FALSE}"
        child.forget()
        self._drain_at = None
        if child.alive:
            child.next, child.late = "start", False
            child.terminate()
        else:
            self._start(child)
        return ""

    def _switch(self, child: Child, *, on: bool, why: str) -> None:
        """Starts or stops a process as its condition says."""
        if self._health.stopping is not None:
            return
        if on and child.state == "off":
            child.forget()
            self._turn_to(child, "waiting")
        elif on and child.next == "off":
            child.next = "start"
        elif not on and child.alive:
            child.next = "off"
            child.terminate()
        elif not on and not child.alive and child.state != "ended" and child.reason != why:
            child.restart_at = None
            self._turn_to(child, "off", why)

    def _turn_to(self, child: Child, state: Any, reason: str = "") -> None:
        child.turn(state, reason)
        self._tell_all(child, state=state, **({"reason": reason} if reason else {}))

    def _tell_all(self, child: Child, **what: Any) -> None:
        """Tells something of each node of a process."""
        for entry in child.entries:
            self._tell(entry.name, **what)


def _make_ready_to_fork() -> None:
    """Does once what each child would do, and what would cost each memory of its own."""
    runner.log_to_standard_error()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it marks
    with suppress(AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)
