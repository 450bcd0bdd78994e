"""A node's process as the supervisor sees it: forked, listened to, ended."""

import json
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from zuluko.launch import runner
from zuluko.launch.graph import Entry, Graph

LONGEST_LINE = 8192  # bytes of a node's log
GRACE = 3.0  # s from SIGTERM to SIGKILL
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def fork(name: str, body: Callable[[], NoReturn], *, keep: Iterable[int], output: int | None = None) -> int:
    """Forks a process that runs ``body`` with the descriptors in ``keep`` and the standard three; ``output``
    takes what it prints. Gives its pid."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        runner.become(name, parent)
        if output is not None:
            null = os.open(os.devnull, os.O_RDONLY)
            for target, source in ((0, null), (1, output), (2, output)):
                os.dup2(source, target)
        _close_all_but(keep)
        body()
    finally:
        os._exit(1)


def _close_all_but(keep: Iterable[int]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


@dataclass
class Child:
    """``state``: waiting, starting, late, ready, backoff, ended, failed or stopped."""

    entry: Entry
    state: str = "waiting"
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    kill_at: float | None = None
    restart_at: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    pidfd: int = -1
    _log: int = -1
    _control: socket.socket | None = None
    _unfinished: bytes = b""

    @property
    def name(self) -> str:
        return self.entry.name

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
        self.pid = fork(
            f"zk:{self.name}",
            lambda: runner.main(graph, self.entry, theirs),
            keep=(theirs.fileno(),),
            output=writer,
        )
        theirs.close()
        os.close(writer)
        ours.setblocking(False)
        os.set_blocking(reader, False)
        self.state, self.started, self.restart_at = "starting", time.monotonic(), None
        self.pidfd, self._log, self._control = os.pidfd_open(self.pid), reader, ours
        return self.pidfd, reader, ours.fileno()

    def read_log(self, *, final: bool = False) -> list[str] | None:
        """The lines that it has written; None when it will write no more, after the ``final`` rest."""
        data, ended = self._drain_log()
        *whole, rest = (self._unfinished + data).split(b"\n")
        if len(rest) > LONGEST_LINE or ended or final:
            whole, rest = [*whole, rest], b""
        self._unfinished = rest
        lines = [text for raw in whole if (text := raw.decode(errors="replace").rstrip()[:LONGEST_LINE])]
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
        return dict(json.loads(packet)) if packet else None

    def terminate(self) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            self.kill_at = time.monotonic() + GRACE

    def kill(self) -> None:
        self.kill_at = None
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Takes the process off the system's list and closes what led to it; its exit code, negative for a
        signal."""
        _, status = os.waitpid(self.pid, 0)
        if self._control:
            self._control.close()
        for fd in (self.pidfd, self._log):
            os.close(fd)
        self.pid, self.pidfd, self._log, self._control, self.kill_at = 0, -1, -1, None, None
        return os.waitstatus_to_exitcode(status)
