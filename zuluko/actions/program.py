"""A program run to its end: without a shell, for a limited time, with what it prints cut short."""

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

MOST_OUTPUT = 2000  # characters that are kept of what it prints
MOST_INPUT = 16 * 1024  # bytes; a pipe takes them at once
ROUNDS = 20
LOOK = 0.02  # seconds between two looks whether it is to be ended
GRACE = 0.5  # seconds from asking it to end to ending it

MARK = "ZULUKO_PROGRAM"  # the environment variable by which what a program has started is found
_numbers = count(1)


@dataclass(frozen=True)
class Ended:
    """How a program ended: ``reason`` is empty where its status is 0, else it says why that is no success."""

    status: int
    output: str = ""
    reason: str = ""
    took: float = 0.0


def installed(names: Sequence[str]) -> str:
    """The path of the first of these programs that is there, or nothing."""
    return next((found for name in names if (found := shutil.which(name, path=PATH))), "")


PATH = "/usr/local/bin:/usr/bin:/bin"


def environment(inherited: Sequence[str] = ()) -> dict[str, str]:
    """A minimal environment: a path, a language, and what is named of this process's own."""
    own = {name: os.environ[name] for name in inherited if name in os.environ}
    return {"PATH": PATH, "LANG": "C.UTF-8", **own}


def run(
    command: Sequence[str],
    *,
    timeout: float,
    folder: Path = Path("/"),
    env: Mapping[str, str] | None = None,
    given: bytes = b"",
    hurry: threading.Event | None = None,
) -> Ended:
    """Runs a program; ``given`` is its standard input. Raises OSError where it cannot be started.

    After ``timeout`` seconds, or when ``hurry`` is set, it is asked to end, and then ended, with all that it
    has started. It stays in this process's group, so that the supervisor ends it should this process die.
    """
    start, mark = time.monotonic(), f"{os.getpid()}.{next(_numbers)}"
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**(environment() if env is None else env), MARK: mark},
    )
    running = _Running(process, mark, hurry or threading.Event())
    try:
        running.feed(given[:MOST_INPUT])
        why = running.wait(start + timeout)
    finally:
        running.end()
    took = time.monotonic() - start
    reason = {"": _reason(process.returncode), "timeout": f"it took longer than {timeout:g} s"}.get(why, why)
    return Ended(process.returncode, running.text(), reason, took)


@dataclass
class _Running:
    process: "subprocess.Popen[bytes]"
    mark: str
    hurry: threading.Event
    output: bytearray = field(default_factory=bytearray)
    open: bool = True

    def feed(self, given: bytes) -> None:
        if self.process.stdin:
            with suppress(BrokenPipeError):  # it reads nothing
                self.process.stdin.write(given)
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def wait(self, deadline: float) -> str:
        """Waits for its end; why it is to be ended before that, or nothing."""
        while not self._has_ended():
            if self.hurry.is_set():
                return "the node was told to stop"
            if time.monotonic() >= deadline:
                return "timeout"
            self._listen(LOOK)
        return ""

    def end(self) -> None:
        """Ends it, if need be, and what it has left behind."""
        if not self._has_ended():
            _signal(self.mark, signal.SIGTERM)
            until = time.monotonic() + GRACE
            while not self._has_ended() and time.monotonic() < until:
                self._listen(LOOK)
        for _ in range(ROUNDS):  # one that starts others all the time needs several
            if not _signal(self.mark, signal.SIGKILL):
                break
        self.process.kill()
        self.process.wait()
        self._listen(0)
        if self.process.stdout:
            self.process.stdout.close()

    def text(self) -> str:
        """What it printed; what was cut off is marked."""
        text = self.output.decode(errors="replace")
        return text if len(text) <= MOST_OUTPUT else f"{text[:MOST_OUTPUT]}…"

    def _has_ended(self) -> bool:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None

    def _listen(self, timeout: float) -> None:
        """Takes what it has printed; nobody is made to wait because it is not read."""
        if not self.open or self.process.stdout is None:
            time.sleep(timeout)
            return
        while select.select([self.process.stdout], [], [], timeout)[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            self.open = bool(data)
            room = 4 * (MOST_OUTPUT + 1) - len(self.output)  # a character has at most 4 bytes
            self.output += data[: max(0, room)]
            return


def _reason(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"status {status}" if status else ""


def _signal(mark: str, number: int) -> int:
    """Signals every living process with this mark in its environment; how many there were."""
    found = 0
    sign = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with suppress(OSError):  # gone, or another user's
            handle = os.pidfd_open(int(entry))
            try:
                if sign in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, number)
                    found += 1
            finally:
                os.close(handle)
    return found
