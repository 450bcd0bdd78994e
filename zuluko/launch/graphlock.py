"""A graph's name belongs to one supervisor at a time."""

import fcntl
import os
import time
from contextlib import suppress

from zuluko.bus.topics import TopicError, check_name, graph_dir, run_dir

LOCK = ".zuluko-lock"
TRIES = 5


class AlreadyRunningError(RuntimeError):
    """A graph of this name runs already."""


class GraphLock:
    """Holds a graph's name for one supervisor; the kernel lets go of it when that process dies.

    The folder of the name is emptied at both ends. Raises AlreadyRunningError, and TopicError for a folder
    that holds what is not ours.
    """

    def __init__(self, graph: str) -> None:
        self.folder = graph_dir(graph)
        self._path = self.folder / LOCK
        self._refuse_strange_folder()
        while not (self._take(graph) and self.is_held):
            os.close(self._fd)
            self.folder = graph_dir(graph)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        self._clear()

    def _refuse_strange_folder(self) -> None:
        held = [entry.name for entry in self.folder.iterdir()]
        if held and LOCK not in held:
            what = f"{self.folder} holds {min(held)}, which is not Zuluko's"
            raise TopicError(f"{what}; set ZULUKO_RUN to a directory of its own")

    def _take(self, graph: str) -> bool:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the last holder has just removed the folder
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            return False
        for _ in range(TRIES):  # `running` holds the lock too, for the moment of its look
            with suppress(BlockingIOError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(0.01)
        pid = os.read(self._fd, 20).decode() or "?"
        os.close(self._fd)
        raise AlreadyRunningError(
            f"the graph {graph} runs already (pid {pid}); stop it with: zuluko stop {graph}; "
            f"or start another beside it with: --name {graph}2"
        )

    @property
    def is_held(self) -> bool:
        """False where the file was removed: by the last holder between our opening and our locking it, or
        later, with its folder, by somebody who tidied up. Then the name may be another's."""
        try:
            return os.fstat(self._fd).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False

    def _clear(self) -> None:
        for file in self.folder.iterdir():
            if file != self._path and not file.is_dir():
                file.unlink(missing_ok=True)

    def release(self) -> None:
        if self.is_held:
            self._clear()
            self._path.unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()
        os.close(self._fd)


def running(graph: str) -> int | None:
    """The pid of a graph's supervisor, or None where none holds its name."""
    try:
        fd = os.open(run_dir() / check_name(graph, "graph") / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return int(os.read(fd, 20) or b"-1")
    finally:
        os.close(fd)
