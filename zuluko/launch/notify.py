"""What systemd is told of a graph that runs as its service of ``Type=notify``: sd_notify(3), in its own
words."""

import os
import socket


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
        self._owed: list[str] = []  # what is still to be told

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
            self._owed = [line for line in self._owed if not line.startswith("STATUS=")]
            self._tell(f"STATUS={text}")

    def beat(self, now: float, *, healthy: bool) -> None:
        """Feeds the watchdog, twice as often as it asks for, while the graph is healthy."""
        self._pay()
        if self._period and now >= self._next:
            self._next = now + self._period
            if healthy and not self._owed:
                self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if self._socket:
            self._owed.append(line)
            self._pay()

    def _pay(self) -> None:
        """Tells what could not be told at once: systemd takes a few lines that it has not read."""
        while self._socket and self._owed:
            try:
                self._socket.sendto(self._owed[0].encode(), socket.MSG_DONTWAIT, self._address)
            except BlockingIOError:
                return
            except OSError:  # it has gone
                pass
            del self._owed[0]

    def close(self) -> None:
        if self._socket:
            self._socket.close()
