"""Forking a process of the graph, with what is its own: name, randomness, descriptors, signals and end."""

import ctypes
import hashlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from zuluko.launch import title

BROKEN_PIPE = 141  # 128 + SIGPIPE
TERMINAL_GONE = 129  # 128 + SIGHUP
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
parent = 0  # the process that forked this one
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def fork(
    name: str, body: Callable[[], int], *, keep: Iterable[int], output: int | None = None
) -> tuple[int, int]:
    """Forks a process that runs ``body`` and exits with what it returns, with the descriptors in ``keep`` and
    the standard three; ``output`` takes what it prints. Gives its pid and
    its pidfd. Raises OSError where there is no memory, process or descriptor left; then nothing runs.

    Signals wait until the child has made its own arrangements: what comes before is neither lost nor taken
    for the parent's.
    """
    forking = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a full disk, or a terminal that was closed
            if stream:
                stream.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        if pid := os.fork():
            return pid, _end_of(pid)
    finally:
        if os.getpid() == forking:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:  # ignoring SIGTERM, even for a moment, would drop one that waits
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        _become(name, forking)
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


def _end_of(pid: int) -> int:
    """A descriptor that is readable when a child has ended."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _close_all_but(keep: Iterable[int]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, max(os.sysconf("SC_OPEN_MAX"), 1 << 16))


def _become(name: str, forking: int) -> None:
    """Makes a forked child a process of its own: its name, its randomness, and its end with the parent's."""
    global parent  # noqa: PLW0603
    parent = forking
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    title.show(name)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the request was made
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def print_error(error: BaseException) -> None:
    """Prints a traceback from where the user's own code begins."""
    print("".join(_trace(error).format()), end="", file=sys.stderr)


def place_of(error: BaseException) -> str:
    """What an error and another of the same type from the same place have in common, whatever they say."""
    lines = "".join(_trace(error).format()).splitlines()
    steps = [type(error).__qualname__, *(line for line in lines if line.lstrip().startswith("File "))]
    return hashlib.sha256("\n".join(steps).encode(errors="replace")).hexdigest()


def _trace(error: BaseException) -> traceback.TracebackException:
    own = error.__traceback__
    while own and Path(own.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        own = own.tb_next
    return traceback.TracebackException(type(error), error, own or error.__traceback__)
