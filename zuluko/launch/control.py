"""The control socket of a running graph: ``RUN/.<graph>.control``, where other terminals ask and order.

Each connection carries one request, a JSON object on one line, and is answered in JSON lines until the server
closes it. Only the same user and root are heard. Whoever asks too much, or takes the answer too slowly, is
dropped; nobody holds the supervisor up.
"""

import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec

from zuluko.bus.topics import LONGEST_PATH, TopicError, check_name, run_dir

LARGEST = 4096  # bytes of a request
MOST_CALLERS = 32  # at a time
MOST_WAITING = 1 << 20  # bytes of an answer that wait for a caller who does not take them
CROWDED = b'{"ok": false, "what": "too many ask this graph at once; try again in some seconds"}\n'
PATIENCE = 5.0  # s that a caller has to ask, and to take what waits for it


class Request(msgspec.Struct, frozen=True):
    """What a caller asks: ``status``, ``stop``, ``restart`` (of ``node``), ``set`` (its parameter ``name`` to
    ``value``) or ``logs`` (of ``node``, or of all: the ``last`` lines, and with ``follow`` all that come)."""

    do: str
    node: str = ""
    last: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 20
    follow: bool = False
    name: str = ""
    value: Any = None


def path(graph: str) -> Path:
    """Where a graph's control socket lies; TopicError where the path is longer than the kernel takes."""
    found = run_dir() / f".{check_name(graph, 'graph')}.control"
    if (length := len(os.fsencode(found))) > LONGEST_PATH:
        raise TopicError(
            f"the socket path {found} is {length} bytes long, and the kernel takes {LONGEST_PATH}; "
            f"set ZULUKO_RUN to a shorter directory, or shorten the graph's name"
        )
    return found


class Caller:
    """One connection: it is asked once, and answered by ``send`` and at the end ``finish``."""

    def __init__(
        self, end: socket.socket, selector: selectors.BaseSelector, ask: Callable[["Caller", Request], None]
    ) -> None:
        self.open = True
        self._socket, self._selector, self._ask = end, selector, ask
        self._came = b""
        self._asked = self._finished = self._deaf = False
        self._out = bytearray()
        self._moved = time.monotonic()
        self._events = 0
        self._watch()

    def send(self, answer: Any) -> None:
        self.send_line(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def send_line(self, line: bytes) -> None:
        if not self.open:
            return
        if not self._out:
            self._moved = time.monotonic()
        self._out += line + b"\n"
        if len(self._out) > MOST_WAITING:
            self.close()
        else:
            self._write()

    def finish(self, answer: Any = None) -> None:
        """Closes when all that waits has been taken."""
        if answer is not None:
            self.send(answer)
        self._finished = True
        if self.open:
            self._write()

    def is_stuck(self, now: float) -> bool:
        """Whether it has neither asked nor taken anything for too long."""
        return (not self._asked or bool(self._out)) and now - self._moved > PATIENCE

    def turn(self) -> None:
        """Takes in and gives out what it can without waiting."""
        if not self._deaf:
            self._read()
        if self.open and self._out:
            self._write()

    def _read(self) -> None:
        try:
            data = self._socket.recv(LARGEST)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._deaf = not data
        if not self._asked:
            self._came += data
            self._understand()
        if self.open:
            self._watch()

    def _understand(self) -> None:
        line, whole, _ = self._came.partition(b"\n")
        if not whole and not self._deaf and len(line) <= LARGEST:
            return
        self._asked = True
        if not line:
            self.close()
            return
        try:
            if len(line) > LARGEST:
                raise ValueError(f"a request has at most {LARGEST} bytes")
            request = msgspec.json.decode(line, type=Request)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self.finish({"ok": False, "what": f"the request cannot be read: {error}"})
        else:
            self._ask(self, request)

    def _write(self) -> None:
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
                self._moved = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._finished and not self._out:
            self.close()
        else:
            self._watch()

    def _watch(self) -> None:
        """Listens until the caller has closed its end, and waits for room while something waits."""
        events = (0 if self._deaf else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._out else 0)
        if events == self._events:
            return
        if self._events:
            self._selector.unregister(self._socket)
        if events:
            self._selector.register(self._socket, events, self.turn)
        self._events = events

    def close(self) -> None:
        if self.open:
            self.open = False
            if self._events:
                self._selector.unregister(self._socket)
            self._socket.close()


class Control:
    """Listens for callers within the supervisor's loop; ``ask`` is called with each and what it asks."""

    def __init__(
        self, graph: str, selector: selectors.BaseSelector, ask: Callable[[Caller, Request], None]
    ) -> None:
        self._path = path(graph)
        self._selector, self._ask = selector, ask
        self._callers: list[Caller] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._path.unlink(missing_ok=True)  # of a supervisor that was killed; the name is ours
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
            self._inode = self._path.stat().st_ino
        finally:
            os.umask(before)
        self._socket.listen(MOST_CALLERS)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        with suppress(OSError):  # the caller has gone, or no descriptor is left
            end, _ = self._socket.accept()
            self.tidy()
            end.setblocking(False)
            if _uid(end) not in (os.getuid(), 0):
                end.close()
                return
            if len(self._callers) >= MOST_CALLERS:
                with end:
                    end.send(CROWDED)
                return
            self._callers.append(Caller(end, self._selector, self._ask))

    def tidy(self) -> None:
        """Drops those who hold a place and do nothing with it."""
        now = time.monotonic()
        for caller in self._callers:
            if caller.is_stuck(now):
                caller.close()
        self._callers = [caller for caller in self._callers if caller.open]

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        """Takes no more callers; those who wait for an answer keep their connection."""
        self._selector.unregister(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else it was removed, and is another's
                self._path.unlink()


def _uid(end: socket.socket) -> int:
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
