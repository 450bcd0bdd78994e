"""A process as the supervisor sees it, of one node or of a group: forked, listened to, ended."""

import json
import os
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from zuluko.launch import runner
from zuluko.launch.graph import Entry, Graph

LONGEST_LINE = 4096  # bytes of a node's log
BROKEN_PIPE = 141  # 128 + SIGPIPE
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def fork(name: str, body: Callable[[], int], *, keep: Iterable[int], output: int | None = None) -> int:
    """Forks a process that runs ``body`` and exits with what it returns, with the descriptors in ``keep`` and
    the standard three; ``output`` takes what it prints. Gives its pid.

    Signals wait until the child has made its own arrangements: what comes before is neither lost nor taken
    for the parent's.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        if pid := os.fork():
            return pid
    finally:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:  # ignoring SIGTERM, even for a moment, would drop one that waits
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        runner.become(name, parent)
        if output is not None:
            null = os.open(os.devnull, os.O_RDONLY)
            for target, source in ((0, null), (1, output), (2, output)):
                os.dup2(source, target)
        _close_all_but(keep)
        status = body()
    except BrokenPipeError:
        status = BROKEN_PIPE
    except Exception as error:
        print_error(error)
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _close_all_but(keep: Iterable[int]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, max(os.sysconf("SC_OPEN_MAX"), 1 << 16))


def _printable(raw: bytes) -> str:
    """A line of a log as it may stand in anybody's terminal: cut, and without control characters."""
    text = raw[:LONGEST_LINE].decode(errors="replace").rstrip().expandtabs(4)
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_error(error: BaseException) -> None:
    """Prints a traceback from where the user's own code begins."""
    own = error.__traceback__
    while own and Path(own.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        own = own.tb_next
    traceback.print_exception(type(error), error, own or error.__traceback__)


class Member(NamedTuple):
    """One node of a process, for whoever looks."""

    name: str
    state: str
    pid: int


@dataclass
class Child:
    """``state``: waiting, starting, late, ready, backoff, ended, failed or stopped."""

    name: str
    entries: tuple[Entry, ...]
    state: str = "waiting"
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    has_turned: bool = False  # one of its loops, in this life or an earlier one
    ready: set[str] = field(default_factory=set)  # its nodes that are
    ended: set[str] = field(default_factory=set)  # and those that have no more to do
    heard: dict[str, float] = field(default_factory=dict)  # when each node last told anything
    kill_at: float | None = None
    restart_at: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    pidfd: int = -1
    _log: int = -1
    _control: socket.socket | None = None
    _unfinished: bytes = b""

    @property
    def restarts(self) -> bool:
        return all(entry.restart.on for entry in self.entries)

    @property
    def members(self) -> list[Member]:
        """Its nodes, with their states."""
        return [
            Member(entry.name, "ended" if entry.name in self.ended else self.state, self.pid)
            for entry in self.entries
        ]

    def hung(self, now: float, silence: float) -> str:
        """A node that gave no sign of life for so many seconds, though a stream drives it; or nothing."""
        if self.state != "ready":
            return ""
        driven = (e.name for e in self.entries if e.is_driven and e.name not in self.ended)
        return next((name for name in driven if now - self.heard.get(name, now) > silence), "")

    @property
    def alive(self) -> bool:
        return self.pid != 0

    @property
    def fds(self) -> tuple[int, ...]:
        """Its end, its log and its control socket."""
        control = self._control.fileno() if self._control else -1
        return tuple(fd for fd in (self.pidfd, self._log, control) if fd >= 0)

    def start(self, graph: Graph) -> tuple[int, ...]:
        """Forks the node; gives the descriptors to watch: its end, its log and its control socket."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader, writer = os.pipe()
        try:
            self.pid = fork(
                f"zk:{self.name}",
                lambda: runner.main(graph, self.entries, theirs),
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
        self.state, self.started, self.restart_at = "starting", time.monotonic(), None
        self.heard = {entry.name: self.started for entry in self.entries}
        self.ready, self.ended, self._unfinished = set(), set(), b""
        self._log, self._control = reader, ours
        self.pidfd = os.pidfd_open(self.pid)
        return self.pidfd, reader, ours.fileno()

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
            told = dict(json.loads(packet))
        except ValueError:
            return {"malformed": True}
        self.heard[str(told.get("node"))] = time.monotonic()
        return told

    def terminate(self) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            self.kill_at = time.monotonic() + runner.GRACE

    def kill(self) -> None:
        self.kill_at = None
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)

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
        return os.waitstatus_to_exitcode(status)
