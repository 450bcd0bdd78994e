"""A process of the supervisor's own, such as the view: it has a socket to the supervisor, and may die."""

import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from zuluko.launch.fork import fork

KEPT = 256  # packets that wait for one that takes none


class Helper:
    """``pidfd`` is readable when it has ended, ``socket`` when it tells something; one packet a message."""

    def __init__(self, name: str, body: Callable[[int], int]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        try:
            self.pid, self.pidfd = fork(name, lambda: body(theirs.fileno()), keep=(theirs.fileno(),))
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()
        self._waiting: deque[bytes] = deque(maxlen=KEPT)

    def send(self, data: bytes, *, keep: bool = True) -> None:
        """Sends without waiting. To one that does not take it, it is sent later, unless it need not be kept;
        one that stands still misses the oldest, and holds nobody up."""
        if keep:
            self._waiting.append(data)
        self.flush()
        if not keep and not self._waiting:
            with suppress(OSError):
                self.socket.send(data)

    def flush(self) -> None:
        """Sends what waits, as far as it goes."""
        with suppress(OSError):
            while self._waiting:
                self.socket.send(self._waiting[0])
                self._waiting.popleft()

    def receive(self) -> bytes:
        """What it told next; nothing where nothing waits."""
        try:
            return self.socket.recv(1 << 16)
        except OSError:
            return b""

    def hang_up(self) -> None:
        """Says that no more will come."""
        self.flush()
        self.socket.shutdown(socket.SHUT_WR)

    def ends_within(self, seconds: float) -> bool:
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def kill(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return self.reap()

    def reap(self) -> int:
        """Waits for its end; its exit code, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.socket.close()
        return os.waitstatus_to_exitcode(status)
