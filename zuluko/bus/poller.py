"""Where a node waits: for the bells of its topics, for news of publishers that come, and for whatever else
has a descriptor."""

import ctypes
import os
import select
from collections.abc import Callable
from contextlib import suppress

from zuluko.bus.topics import graph_dir

_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80
_libc = ctypes.CDLL(None, use_errno=True)


class Poller:
    """One place to wait. ``news`` grows whenever a file appears in the graph's directory: the moment for
    those who miss a publisher to look again."""

    def __init__(self, graph: str) -> None:
        self.news = 0
        self._graph = graph
        self._inotify = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._attend()
        self._epoll = select.epoll()
        self._wakes: dict[int, Callable[[], None] | None] = {}
        self._own = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.hear(self._own)
        if self._inotify >= 0:
            self.watch(self._inotify, self.look)

    def _attend(self) -> None:
        _libc.inotify_add_watch(self._inotify, os.fsencode(graph_dir(self._graph)), _IN_CREATE | _IN_MOVED_TO)

    def look(self) -> None:
        """Takes in news without waiting."""
        if self._inotify >= 0:
            with suppress(BlockingIOError):
                os.read(self._inotify, 4096)
                self._attend()  # the folder goes with its graph, and another comes with the next
                self.news += 1

    def ring(self) -> None:
        """Wakes whoever waits here, from any thread."""
        os.eventfd_write(self._own, 1)

    def watch(self, fd: int, wake: Callable[[], None] | None = None) -> None:
        """Wakes whoever waits as long as ``fd`` is readable, and calls ``wake`` before."""
        self._register(fd, wake, select.EPOLLIN)

    def hear(self, fd: int, wake: Callable[[], None] | None = None) -> None:
        """The same for each time that something is written to ``fd``, which nobody here reads."""
        self._register(fd, wake, select.EPOLLIN | select.EPOLLET)

    def _register(self, fd: int, wake: Callable[[], None] | None, events: int) -> None:
        self._wakes[fd] = wake
        with suppress(FileExistsError):  # a node's streams all watch what ends them
            self._epoll.register(fd, events)

    def forget(self, fd: int) -> None:
        if self._wakes.pop(fd, self) is not self:
            with suppress(OSError):
                self._epoll.unregister(fd)

    def wait(self, timeout: float | None = None) -> None:
        """Waits until something is readable, or for ``timeout`` seconds."""
        for fd, _ in self._epoll.poll(timeout):
            if wake := self._wakes.get(fd):
                wake()

    def close(self) -> None:
        self._epoll.close()
        os.close(self._own)
        if self._inotify >= 0:
            os.close(self._inotify)
