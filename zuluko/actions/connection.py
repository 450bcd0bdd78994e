"""A connection on which everything together takes no longer than it may."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def connected(host: str, port: int, *, timeout: float, tls: bool) -> Iterator[socket.socket]:
    """A socket to a server, with its certificate checked where ``tls`` is asked for.

    What the standard library calls a timeout begins anew with each byte, so that a server which sends one
    now and then holds its client for ever. Here the connection is cut after ``timeout`` seconds, and whatever
    was being done raises TimeoutError. Raises OSError where there is no connection.
    """
    begun, late = time.monotonic(), threading.Event()
    raw = socket.create_connection((host, port), timeout)
    guard = raw.dup()  # `raw` is taken over by TLS
    timer = threading.Timer(max(0.0, begun + timeout - time.monotonic()), _cut, (guard, late))
    timer.daemon = True
    timer.start()
    link = raw
    try:
        if tls:
            link = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        yield link
        if late.is_set():  # what was cut off may look whole
            raise TimeoutError
    except Exception as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= begun + timeout:
            raise TimeoutError(f"it took longer than {timeout:g} s") from None
        raise
    finally:
        timer.cancel()
        link.close()
        guard.close()


def _cut(link: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):  # it may be closed already
        link.shutdown(socket.SHUT_RDWR)
