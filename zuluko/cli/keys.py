"""The keyboard of a terminal, told at each key and not at each line."""

import os
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType, TracebackType

NAMES = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}  # the last byte of an arrow key


class Keys:
    """Standard input, where it is a terminal and this command has it before it; else ``read`` only waits.

    As a context it gives the terminal back as it was, also when it is ended by a signal that its process
    turns into an exception. ``resumed`` is true after Ctrl-Z and `fg`, until somebody makes it false.
    """

    def __init__(self) -> None:
        self.resumed = False
        self._fd = -1
        self._rest = b""

    def __enter__(self) -> "Keys":
        if sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp():
            self._fd = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
            self._handler = signal.signal(signal.SIGCONT, self._resume)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            signal.signal(signal.SIGCONT, self._handler)
            if self._is_ours():
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            self._fd = -1

    @property
    def listening(self) -> bool:
        return self._fd >= 0

    def read(self, seconds: float) -> list[str]:
        """The keys that are pressed within so many seconds: `left`, `right`, `up`, `down`, or a character."""
        if self._fd < 0:
            time.sleep(max(0.0, seconds))
            return []
        if not self._is_ours():
            time.sleep(max(0.0, seconds))
            return []
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return []
        try:
            data = os.read(self._fd, 64)
        except OSError:  # the terminal has gone
            data = b""
        if not data:
            self._fd = -1
        return self.take(data)

    def take(self, data: bytes) -> list[str]:
        """Takes apart what was typed; an arrow key is ESC, [ or O, and a letter, which may come in pieces."""
        self._rest += data
        found = []
        while self._rest:
            if self._rest[:1] != b"\x1b":
                found.append(chr(self._rest[0]))
                self._rest = self._rest[1:]
            elif self._rest[1:2] not in (b"", b"[", b"O"):
                self._rest = self._rest[1:]
            elif len(self._rest) < 3:
                break  # the rest of it is to come
            else:
                found += [NAMES[self._rest[2:3]]] if self._rest[2:3] in NAMES else []
                self._rest = self._rest[3:]
        return found

    def _is_ours(self) -> bool:
        """Whether we are in the foreground; who touches the terminal from the background is stopped."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def _resume(self, _number: int, _frame: FrameType | None) -> None:
        self.resumed = True
        if self._fd >= 0 and self._is_ours():
            tty.setcbreak(self._fd)
