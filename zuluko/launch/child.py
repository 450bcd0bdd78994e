"""A process as the supervisor sees it, of one node or of a group: started, listened to, ended."""

import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from zuluko.bus import clock
from zuluko.launch import runner
from zuluko.launch.fork import fork, place_of, print_error
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.limits import Usage
from zuluko.launch.restarts import Restarts, together
from zuluko.launch.starvation import SOONEST, Starvation, Taken
from zuluko.launch.status import Member

LONGEST_LINE = 4096  # bytes of a node's log
LAST = 20  # lines that are shown again when it has failed
START_DEADLINE = 10.0  # s to a process's readiness; after that the others no longer wait for it
SILENCE = 5.0  # s without a sign of life, after which a process hangs
LOOKS = 4  # at a process in the time that it may be silent
SAME = "the same error as before:"
DUMP = 0.5  # s that a hung process has to write down where it hangs

State = Literal["waiting", "starting", "ready", "degraded", "failing", "stopped", "ended", "off"]
Body = Callable[[Graph, tuple[Entry, ...], socket.socket], int]


def _printable(raw: bytes) -> str:
    """A line of a log as it may stand in anybody's terminal: cut, and without control characters."""
    text = raw[:LONGEST_LINE].decode(errors="replace").rstrip().expandtabs(4)
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@dataclass(frozen=True)
class Silence:
    """Of a node's loop, or of its process: ``since`` when (s, on the monotonic clock), how long it may last
    at ``most``, and ``where`` it hangs then."""

    since: float
    most: float
    where: str = ""
    of_loop: bool = True


def _silence(entry: Entry) -> float | None:
    """s that a node's loop may be silent, if there is a limit."""
    return entry.restart.silence or (SILENCE if entry.is_driven else None)


@dataclass
class Child:
    """``state`` is as ``status.Node`` says, since ``since`` (graph time, ns), for ``reason``; the other times
    are on the monotonic clock, in s.

    ``late``   it is not ready though its start deadline has passed: the others no longer wait for it
    ``told_to_stop``  since when it has been, and is to end by itself
    ``kill_at``  when it is killed, if it has not ended by then
    ``next``   what is to become of it when it has ended, where that was asked for
    ``blame``  why the supervisor ended it, where it did so for a fault
    ``undo``   puts back what was changed for its next start, if it does not become ready with it
    """

    name: str
    entries: tuple[Entry, ...]
    state: State = "waiting"
    since: int = field(default_factory=clock.now)
    reason: str = ""
    pid: int = 0
    started: float = 0.0
    ready_after: float = 0.0
    ended_at: float = float("-inf")
    late: bool = False
    next: Literal["", "start", "off"] = ""
    blame: str = ""
    undo: Callable[[str], None] | None = None
    has_turned: bool = False  # one of its loops, in this life or an earlier one
    ready: set[str] = field(default_factory=set)  # its nodes that are
    ended: dict[str, int] = field(default_factory=dict)  # those that have no more to do, and since when
    heard: dict[str, float] = field(default_factory=dict)  # when each node last told anything
    turned: dict[str, float] = field(default_factory=dict)  # when each node's loop did
    told_to_stop: float | None = None
    kill_at: float | None = None
    restart_at: float | None = None
    error: tuple[str, float] = ("", 0.0)  # where it died last, and when
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST))
    usage: Usage = field(default_factory=Usage)
    pidfd: int = -1
    _log: int = -1
    _control: socket.socket | None = None
    _unfinished: bytes = b""
    _starvation: Starvation = field(default_factory=Starvation)
    _told_starved: bool = False
    _beside: int = 0  # the thread that gives the process's own signs of life

    def __post_init__(self) -> None:
        self.rule = together(entry.restart for entry in self.entries)
        self.restarts = Restarts(self.rule)
        self.must = any(entry.must for entry in self.entries)
        self.acts = any(wire.acts for entry in self.entries for wire in entry.wires)  # it has a safe state
        shortest = min(_silence(entry) or SILENCE for entry in self.entries)
        self.look_every = max(SOONEST, shortest / LOOKS)

    def turn(self, state: State, reason: str = "") -> None:
        self.state, self.reason, self.since = state, reason, clock.now()

    def forget(self) -> None:
        """Lets a person's start be the first."""
        self.restarts.forget()
        self.error = "", 0.0

    @property
    def members(self) -> list[Member]:
        """Its nodes, with their states."""
        return [self._member(entry.name) for entry in self.entries]

    def _member(self, name: str) -> Member:
        state, since, reason = self.state, self.since, self.reason
        if name in self.ended:
            state, since, reason = "ended", self.ended[name], ""
        return Member(name, state, since, reason, self.pid, self.usage.memory, self.usage.cpu)

    @property
    def alive(self) -> bool:
        return self.pid != 0

    @property
    def has_died(self) -> bool:
        """Whether its process has ended, though nobody has been told yet."""
        end = select.poll()
        end.register(self.pidfd, select.POLLIN)
        return bool(end.poll(0))

    @property
    def runs(self) -> bool:
        return self.state in ("ready", "degraded")

    @property
    def is_up(self) -> bool:
        """Whether those that wait for it need wait no longer."""
        return self.late or self.state in ("ready", "degraded", "ended", "failing", "off")

    @property
    def is_fit(self) -> bool:
        """Whether a graph that needs it is ready, as far as it goes."""
        return self.runs or self.state in ("ended", "off")

    @property
    def starts(self) -> bool:
        """Whether it starts, and its time for that is not over."""
        return self.state == "starting" and not self.late

    @property
    def is_well(self) -> bool:
        """Whether it does what it should; one that need not run may take its time to start."""
        starts = self.state in ("waiting", "starting") and not self.restart_at
        return self.state in ("ready", "ended", "off") or (starts and not self.must)

    def look(self, now: float) -> None:
        """Sees whether it has a core to run on, while it gives no sign of life, or starts or ends."""
        if self.alive and (self.kill_at or self.starts or self._is_silent(now)):
            self._starvation.look(self.pid, now, usual=self.look_every, beside=self._beside)
        else:
            self._starvation.rest(now)
            self._told_starved = False

    def _is_silent(self, now: float) -> bool:
        return self.runs and any(now - silence.since > self.look_every for silence in self._silences(now))

    def hung(self, now: float) -> str:
        """Why it is to be ended, as a sentence about one of its nodes: it hangs, or had no core to run on for
        so long that it is of no use; or nothing."""
        for silence, taken in self._too_silent(now):
            if taken.is_slow:
                return f"hangs: gave no sign of life for {silence.most:g} s{silence.where}"
            if taken.too_long:
                return f"is starved: gave no sign of life for {taken}"
        return ""

    def newly_starved(self, now: float) -> str:
        """What there is to tell of one that takes long for want of a core, and is given more time; once."""
        if self._told_starved:
            return ""
        if self.told_to_stop is not None:
            found = [("has not stopped", self._taken(now, self.told_to_stop, runner.GRACE), "it has")]
        elif self.starts:
            found = [("is not ready", self._starting(now), "the others wait for it up to")]
        else:
            found = [("no sign of life", taken, "it has") for _, taken in self._too_silent(now)]
        for what, taken, then in found:
            if taken.is_starved:
                self._told_starved = True
                return f"is starved: {what} for {taken}; {then} {taken.longest:g} s in all"
        return ""

    def newly_late(self, now: float) -> str:
        """Why the others need not wait any longer for one that starts; once."""
        taken = self._starting(now)
        if not self.starts or not taken.too_long:
            return ""
        self.late = True
        self.reason = f"is not ready after {taken.most:g} s"
        if not taken.is_slow:
            self.reason = f"is starved: is not ready after {taken}"
        return self.reason

    def out_of_time(self, now: float) -> str:
        """Why one that was to end by now is to be killed; or nothing, and it gets more time, for it had no
        core to end on."""
        if self.told_to_stop is None:
            return self.blame
        taken = self._taken(now, self.told_to_stop, runner.GRACE)
        if taken.is_slow:
            return f"does not stop within {taken.most:g} s"
        if taken.too_long:
            return f"is starved: has not stopped for {taken}"
        self.kill_at = self.told_to_stop + min(taken.most + taken.waited, taken.longest)
        return ""

    def _starting(self, now: float) -> Taken:
        return self._taken(now, self.started, START_DEADLINE)

    def _taken(self, now: float, since: float, most: float, *, loops: bool = False) -> Taken:
        """Of any thread, unless only the nodes' ``loops`` count: one that waits for a core may hold Python's
        lock, for which all others sleep."""
        return Taken(now - since, self._starvation.since(since, loops=loops), most)

    def _too_silent(self, now: float) -> Iterator[tuple["Silence", Taken]]:
        """The silences that have lasted for too long, and how long."""
        if not self.runs or self.kill_at:
            return
        for silence in self._silences(now):
            if now - silence.since > silence.most:
                yield silence, self._taken(now, silence.since, silence.most, loops=silence.of_loop)

    def _silences(self, now: float) -> Iterator["Silence"]:
        """A stream gives a sign of life while it waits. A node with a rhythm of its own may wait for ever,
        for a button that is pressed once a day: of it the process gives the sign, as long as Python runs in
        it."""
        for entry in self.entries:
            if entry.name in self.ended:
                continue
            most = _silence(entry)
            if most:
                yield Silence(self.turned.get(entry.name, now), most)
            yield Silence(
                self.heard.get(entry.name, now), max(SILENCE, most or 0), ", held up outside Python", False
            )

    @property
    def fds(self) -> tuple[int, ...]:
        """Its end, its log and its control socket."""
        control = self._control.fileno() if self._control else -1
        return tuple(fd for fd in (self.pidfd, self._log, control) if fd >= 0)

    def start(self, graph: Graph, body: Body) -> tuple[int, int, int]:
        """Forks the process; gives the descriptors to watch: its end, its log and its control socket."""
        if self.next == "start":  # as somebody asked; it may have died of an error on its way
            self.error = "", 0.0
        reader, writer = os.pipe()
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        try:
            self.pid, self.pidfd = fork(
                f"{graph.name}/{self.name}",
                lambda: self._run(body, graph, theirs),
                keep=(theirs.fileno(),),
                output=writer,
            )
        except OSError:
            ours.close()
            os.close(reader)
            raise
        finally:
            theirs.close()
            os.close(writer)
        ours.setblocking(False)
        os.set_blocking(reader, False)
        self.turn("starting")
        self.started, self.restart_at, self.late, self.next, self.blame = (
            time.monotonic(),
            None,
            False,
            "",
            "",
        )
        self.heard = {entry.name: self.started for entry in self.entries}
        self.turned = dict(self.heard)
        self.ready, self.ended, self._unfinished, self.usage = set(), {}, b"", Usage()
        self._starvation, self._told_starved, self._beside = Starvation(), False, 0
        self.told_to_stop = None
        self._starvation.begin(self.pid, self.started)
        self._log, self._control = reader, ours
        return self.pidfd, reader, ours.fileno()

    def _run(self, body: Body, graph: Graph, control: socket.socket) -> int:
        """Runs the nodes, in the forked process. An error is printed whole; in one line, where it is that of
        the life before and another life is to come."""
        try:
            return body(graph, self.entries, control)
        except BrokenPipeError:
            raise
        except Exception as error:
            place, (before, when) = place_of(error), self.error
            again = place == before and time.monotonic() - when < self.rule.within
            if again and not self.restarts.is_last:
                said = str(error).partition("\n")[0]
                print(f"{SAME} {type(error).__name__}: {said}", file=sys.stderr)
            else:
                print_error(error)
            with suppress(OSError):
                told = {"node": self.entries[0].name, "runs": True, "error": place}
                control.send(json.dumps(told).encode(), socket.MSG_DONTWAIT)
            return 1

    def read_log(self, *, final: bool = False) -> list[str] | None:
        """The lines that it has written; None when it will write no more, after the ``final`` rest."""
        data, ended = self._drain_log()
        *whole, rest = (self._unfinished + data).split(b"\n")
        if len(rest) > LONGEST_LINE or ended or final:
            whole, rest = [*whole, rest], b""
        self._unfinished = rest
        lines = [text for raw in whole if (text := _printable(raw))]
        self.lines.extend(lines)
        return lines if lines or not ended else None

    def _drain_log(self) -> tuple[bytes, bool]:
        """What waits in the pipe, at most 1 MB of it, and whether its writers are gone."""
        data = b""
        while len(data) < 1 << 20:
            try:
                more = os.read(self._log, 65536)
            except BlockingIOError:
                return data, False
            if not more:
                return data, True
            data += more
        return data, False

    def read_control(self) -> dict[str, Any] | None:
        """The next thing that it tells; empty where there is nothing, None at the end."""
        assert self._control is not None
        try:
            packet = self._control.recv(65536)
        except BlockingIOError:
            return {}
        except ConnectionError:
            return None
        if not packet:
            return None
        try:
            told = json.loads(packet)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or str(told.get("node")) not in self.heard:
            return {"malformed": True}
        self._note(str(told["node"]), told.get("runs"))
        if "error" in told:
            self.error = str(told["error"]), time.monotonic()
        return told

    def _note(self, node: str, runs: Any) -> None:
        """``runs`` is the thread that says so; then only the process has given a sign."""
        self.heard[node] = time.monotonic()
        if isinstance(runs, int) and runs:
            self._beside = runs
        else:
            self.turned[node] = self.heard[node]

    def terminate(self) -> None:
        """Tells it to stop; one that somebody has stopped by a signal goes on for that."""
        if self.alive and not self.kill_at:
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)
            self.told_to_stop = time.monotonic()
            self.kill_at = self.told_to_stop + runner.GRACE
            self._starvation.begin(self.pid, self.told_to_stop)
            self._told_starved = False

    def abort(self, blame: str) -> None:
        """Ends a process that hangs; it writes down where, if it still can."""
        self.blame, self.told_to_stop = blame, None
        if self.alive:
            os.kill(self.pid, signal.SIGABRT)
            self.kill_at = time.monotonic() + DUMP

    def kill(self) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            self.kill_at, self.told_to_stop = float("inf"), None  # it needs no more than to be reaped

    def reap(self) -> int:
        """Takes the process off the system's list, with what it left of its process group, and closes what
        led to it; its exit code, negative for a signal."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        if self._control:
            self._control.close()
        for fd in (self.pidfd, self._log):
            if fd >= 0:
                os.close(fd)
        self.pid, self.pidfd, self._log, self._control, self.kill_at = 0, -1, -1, None, None
        self.ended_at = time.monotonic()
        return os.waitstatus_to_exitcode(status)


def how(code: int) -> str:
    """How a process ended, in words; its exit code is negative for a signal."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
