"""What systemd is told of a graph that runs as its service of ``Type=notify``: sd_notify(3), in its own
words."""

import os
import socket
from contextlib import suppress


class Notify:
    """Sends nothing where nobody asked. Takes what systemd set out of the environment: it is not the
    nodes'."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        period = os.environ.pop("WATCHDOG_USEC", "")
        meant = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        )
        self._period = int(period) / 2e6 if meant and period.isdigit() and self._socket else 0.0
        self._next = 0.0
        self._said = ""

    @property
    def due(self) -> float | None:
        """When the watchdog wants to hear next, on the monotonic clock; None where there is none."""
        return self._next if self._period else None

    def ready(self) -> None:
        self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Tells what the graph does, in one line, when that has changed."""
        if text != self._said:
            self._said = text
            self._tell(f"STATUS={text}")

    def beat(self, now: float, *, healthy: bool) -> None:
        """Feeds the watchdog, twice as often as it asks for, while the graph is healthy."""
        if self._period and now >= self._next:
            self._next = now + self._period
            if healthy:
                self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if self._socket:
            with suppress(OSError):
                self._socket.sendto(line.encode(), socket.MSG_DONTWAIT, self._address)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
