"""A program run to its end: without a shell, for a limited time, with what it prints cut short."""

import ctypes
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
from pathlib import Path

MOST_OUTPUT = 2000  # characters that are kept of what it prints
MOST_INPUT = 16 * 1024  # bytes; a pipe takes them at once
LOOK = 0.02  # seconds between two looks whether it is to be ended
GRACE = 0.5  # seconds from asking it to end to ending it

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


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
    """Runs a program in a session of its own; ``given`` is its standard input. Raises OSError where it cannot
    be started.

    After ``timeout`` seconds, or when ``hurry`` is set, it is asked to end, and then ended, with all that it
    has started. It does not outlive this process, however that ends.
    """
    start, parent = time.monotonic(), os.getpid()
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=dict(environment() if env is None else env),
        start_new_session=True,
        preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509
    )
    running = _Running(process, hurry or threading.Event())
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
            self._signal(signal.SIGTERM)
            until = time.monotonic() + GRACE
            while not self._has_ended() and time.monotonic() < until:
                self._listen(LOOK)
        self._signal(signal.SIGKILL)  # its number is not given anew before it is waited for
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

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # gone, or another user's by now
            os.killpg(self.process.pid, number)

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


def _die_with(parent: int) -> None:
    """Has the kernel end this process when its parent ends. Between fork and exec; it takes no lock."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
