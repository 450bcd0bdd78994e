"""Where a node waits: for the bells of its topics, for news of publishers that come, and for whatever else
has a descriptor."""

import ctypes
import logging
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from zuluko.bus.topics import TopicError, graph_dir

TRIES = 5  # to attend a folder
LOOK = 0.25  # s between two looks for publishers where the kernel tells of none
_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80
_libc = ctypes.CDLL(None, use_errno=True)

log = logging.getLogger("zuluko.bus")


@cache
def _tell_of_looking() -> None:
    log.warning(
        "the kernel has no inotify instance left for this user: publishers that come are found a little "
        "later; see fs.inotify.max_user_instances"
    )


class Poller:
    """One place to wait. ``news`` grows whenever a file appears in the graph's directory: the moment for
    those who miss a publisher to look again."""

    def __init__(self, graph: str) -> None:
        self.news = 0
        self._graph = graph
        self._inotify = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._next_look = 0.0
        self._attend()
        if not self._attends:
            _tell_of_looking()
        self._epoll = select.epoll()
        self._wakes: dict[int, Callable[[], None] | None] = {}
        self._own = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.hear(self._own)
        if self._attends:
            self.watch(self._inotify, self.look)

    def _attend(self) -> None:
        """Asks to be told of what comes into the graph's folder; notes where the kernel tells of nothing."""
        for _ in range(TRIES):  # the folder may go before it is attended
            path = os.fsencode(graph_dir(self._graph))
            mask = _IN_CREATE | _IN_MOVED_TO
            self._attends = _libc.inotify_add_watch(self._inotify, path, mask) >= 0
            if self._attends:
                return

    def look(self) -> None:
        """Takes in news without waiting."""
        if not self._attends:
            self._look_by_time()
        elif self._heard():
            self.news += 1
            with suppress(TopicError):  # it was opened to others: the next one who joins a topic is told
                self._attend()  # the folder goes with its graph, and another comes with the next

    def _heard(self) -> bool:
        try:
            return bool(os.read(self._inotify, 4096))
        except BlockingIOError:
            return False

    def _look_by_time(self) -> None:
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + LOOK
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
            with suppress(OSError, ValueError):  # it is closed, or we are
                self._epoll.unregister(fd)

    def wait(self, timeout: float | None = None) -> None:
        """Waits until something is readable, or for ``timeout`` seconds."""
        if not self._attends:
            timeout = min(LOOK, LOOK if timeout is None else timeout)
        for fd, _ in self._epoll.poll(timeout):
            if wake := self._wakes.get(fd):
                wake()

    def close(self) -> None:
        self._epoll.close()
        os.close(self._own)
        if self._inotify >= 0:
            os.close(self._inotify)
