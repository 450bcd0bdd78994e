"""What nodes started in a process group of its own, and left behind: it becomes the supervisor's, and ends
with the graph."""

import ctypes
import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


class Orphans:
    """``known`` gives the processes that the supervisor started itself."""

    def __init__(self, known: Callable[[], Collection[int]]) -> None:
        self._known = known
        self._before = _children()
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def reap(self) -> None:
        """Takes off the system's list those that have ended."""
        with suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._before or ended.si_pid in self._known():
                    return
                os.waitpid(ended.si_pid, 0)

    def end(self) -> None:
        """Ends those that are left; what they leave behind in turn becomes ours as well."""
        while found := _children() - self._before - set(self._known()):
            for pid in found:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _children() -> set[int]:
    """The processes of which this one is the parent."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.add(int(entry.name))
    return found
