"""A topic's bell: one write of the writer wakes all that wait for the topic.

The bell is a pipe of the writer's. A reader opens it through ``/proc/<pid>/fd/<fd>``, as it does the lane's
memory, and watches it edge-triggered; what lies in it is read by the writer alone, who takes out what rang
last before it rings anew. So one call wakes every reader, and none of them, dead, stopped or busy, holds up
the writer or another.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from zuluko.bus.lane import NOBODY, QUIET, LaneError

if TYPE_CHECKING:
    from zuluko.bus.lane_writer import Writer

MOST = 1 << 16  # bytes that a pipe holds
ROUND = 500_000_000  # ns between two looks for readers that died


class Bell:
    """The writer's end. ``fd`` is what a reader needs to hear it."""

    def __init__(self, writer: Writer) -> None:
        self.fd, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._rope, b"!")
        self._writer = writer
        self._cells: list[int] = []  # that readers have
        self._waiting = 0
        self._next_round = 0

    @property
    def heard(self) -> bool:
        """Whether somebody was woken the last time."""
        return self._waiting > 0

    @property
    def count(self) -> int:
        """How many wait to be woken."""
        self._look()
        return self._waiting

    def ring(self, now: int) -> None:
        """Wakes all, and once in a while looks who has died; ``now`` is graph time in ns."""
        self._pull()
        if self._look():
            self._pull()  # for who has just come
        if self._cells and now >= self._next_round:
            self._next_round = now + ROUND
            for cell in self._cells:
                self._writer.reclaim(cell)

    def forewarn(self) -> None:
        """Has all get ready for a frame that a driver fills."""
        self._writer.forewarn()
        self._pull()

    def _pull(self) -> None:
        if not self._waiting:
            return
        try:  # noqa: SIM105  # a context manager costs as much as the read
            os.read(self.fd, MOST)
        except BlockingIOError:  # a reader has taken what it should leave there
            pass
        try:  # noqa: SIM105
            os.write(self._rope, b"!")
        except BlockingIOError:  # or has filled it
            pass

    def _look(self) -> bool:
        """Whether readers have come or gone."""
        if (words := self._writer.readers()) is None:
            return False
        self._cells = [cell for cell, word in enumerate(words) if word]
        self._waiting = sum(word not in (NOBODY, QUIET) for word in words)
        return True

    def close(self) -> None:
        os.close(self._rope)
        os.close(self.fd)
        self._rope = self.fd = -1


def listen(pid: int, fd: int) -> int:
    """Opens another process's bell: a descriptor to watch, edge-triggered. Raises OSError, LaneError too."""
    path = f"/proc/{pid}/fd/{fd}"
    if not os.readlink(path).startswith("pipe:["):  # opening anything else might do something
        raise LaneError("the bell is no pipe")
    bell = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(bell)
    if not stat.S_ISFIFO(status.st_mode) or status.st_uid != os.getuid():
        os.close(bell)
        raise LaneError("the bell is not a pipe of this user")
    return bell
