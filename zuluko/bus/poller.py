"""Where a node waits: on its bell, on news of publishers that come, and on whatever else has a descriptor.

The bell is a named pipe in the graph's directory. Its name is a random number; a reader writes the number
into its cell of a lane, and the lane's writer opens the pipe and writes a byte for each message. A byte more
or less says nothing: who is woken looks at all that it hears.

Another byte says that a frame is being made. A core that has slept for 30 ms finds its caches cold, and the
way from a message to the view of its frame takes it several times as long as when it has just gone it. So
whoever waits goes it once more with the last message, while the next frame is still being filled.
"""

import ctypes
import errno
import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zuluko.bus.topics import graph_dir

BELL = ".bell-"  # begins the name of one
RING, GET_READY = b"!", b"?"
_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80
_libc = ctypes.CDLL(None, use_errno=True)


def bell_path(graph: str, bell: int) -> Path:
    return graph_dir(graph) / f"{BELL}{bell:016x}"


def bury_bell(path: Path) -> None:
    """Removes a bell whose reader has died; one that lives has it open, for its other topics maybe."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.ENXIO:
            path.unlink(missing_ok=True)


class Poller:
    """One place to wait. ``news`` grows whenever a file appears in the graph's directory: the moment for
    those who miss a publisher to look again. ``rehearse`` is called when a frame is being made."""

    def __init__(self, graph: str) -> None:
        self.bell = int.from_bytes(os.urandom(7), "little") + 1
        self.news = 0
        self.rehearse: Callable[[], None] | None = None
        self._rung = False
        self._path = bell_path(graph, self.bell)
        os.mkfifo(self._path, 0o600)
        self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._inotify = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        _libc.inotify_add_watch(self._inotify, os.fsencode(self._path.parent), _IN_CREATE | _IN_MOVED_TO)
        self._epoll = select.epoll()
        self._wakes: dict[int, Callable[[], None] | None] = {}
        self.watch(self._pipe)
        if self._inotify >= 0:
            self.watch(self._inotify, self.look)

    def look(self) -> None:
        """Takes in news without waiting, and without answering the bell."""
        if self._inotify >= 0:
            with suppress(BlockingIOError):
                os.read(self._inotify, 4096)
                self.news += 1

    def _answer(self) -> None:
        self._rung = False
        try:  # a context manager costs as much as the read
            if os.read(self._pipe, 4096).endswith(GET_READY) and self.rehearse:
                self.rehearse()
        except BlockingIOError:
            pass

    def ring(self) -> None:
        """Wakes whoever waits here, from any thread."""
        with suppress(BlockingIOError):
            os.write(self._pipe, RING)

    def watch(self, fd: int, wake: Callable[[], None] | None = None) -> None:
        """Wakes whoever waits when ``fd`` becomes readable, and calls ``wake`` before."""
        self._wakes[fd] = wake
        with suppress(FileExistsError):  # a node's streams all watch what ends them
            self._epoll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        if self._wakes.pop(fd, self) is not self:
            with suppress(OSError):
                self._epoll.unregister(fd)

    def wait(self, timeout: float | None = None) -> None:
        """Waits until something is readable, or for ``timeout`` seconds.

        The bell is answered when whoever waits comes back: first what it rang for is taken. It returns at
        once then, for the bell may have rung again in between.
        """
        if self._rung:
            self._answer()
            return
        for fd, _ in self._epoll.poll(timeout):
            if fd == self._pipe:
                self._rung = True
            elif wake := self._wakes.get(fd):
                wake()

    def close(self) -> None:
        self._epoll.close()
        for fd in (self._pipe, self._inotify):
            if fd >= 0:
                os.close(fd)
        self._path.unlink(missing_ok=True)
