"""An MJPEG stream over HTTP, read by a thread of its own, so that nothing ever waits in the connection.

OpenCV would read it one picture after the other, each however long after it came.
"""

import os
import re
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from zuluko.nodes.lag import Lag, Rhythm, Timed
from zuluko.nodes.picture import Image, decoded, jpeg_end

MOST_BYTES = 16 * 1024 * 1024  # of a picture
MOST_BETWEEN = 64 * 1024  # bytes from one picture to the next
NO_PICTURES = "it answers, but what it sends are no pictures"


class NotMjpegError(OSError):
    """The server answers with something else."""


def answer(url: str, timeout: float) -> Any:
    """The HTTP response; the URL's user and password are given as basic or digest, redirections followed."""
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, plain, unquote(parts.username or ""), unquote(parts.password or ""))
    handlers = (urllib.request.HTTPBasicAuthHandler, urllib.request.HTTPDigestAuthHandler)
    opener = urllib.request.build_opener(
        *[handler(passwords) for handler in handlers] if parts.username else []
    )
    return opener.open(plain, timeout=timeout)


class Mjpeg:
    """Keeps the newest whole picture, and the moment at which its first byte came.

    Where the parts bear the time at which they were taken (``X-Timestamp``), that tells how far they are
    behind, else the rhythm in which they come.
    """

    scene = ""
    period = 0.0

    def __init__(self, url: str, name: str, *, opening: float, stall: float, rhythm: Rhythm) -> None:
        """Raises NotMjpegError, and OSError where there is no answer."""
        self._asked = time.monotonic()
        self._response = answer(url, opening)
        if not self._response.headers.get_content_type().startswith("multipart/"):
            self._response.close()
            raise NotMjpegError
        self._connection = socket.socket(fileno=os.dup(self._response.fileno()))
        self._stall, self._rhythm, self._lag = stall, rhythm, Lag(name)
        self._timed = rhythm.timed = Timed(rhythm.timed)
        rhythm.opened(self._asked)
        self._news = threading.Condition()
        self._newest: tuple[float, float | None, bytes] | None = None
        self._grabbed: tuple[float, float | None, bytes] = 0.0, None, b""
        self._over = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="mjpeg", daemon=True)
        self._thread.start()

    def begin(self, timeout: float) -> bool:
        """Whether a first picture comes, or the end of the stream."""
        with self._news:
            return self._news.wait_for(lambda: self._newest is not None or self._over, max(0.0, timeout))

    def grab(self) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._newest is not None or self._over, self._stall)
            if self._newest is None:
                if self._error is not None:
                    raise self._error
                return False
            self._grabbed, self._newest = self._newest, None
            return True

    def age(self) -> float | None:
        arrival, lag, _ = self._grabbed
        return None if lag is None else time.monotonic() - arrival + lag

    @property
    def jpeg(self) -> bytes:
        return self._grabbed[2]

    def read(self) -> Image | None:
        return decoded(self.jpeg)

    def close(self) -> None:
        """Wakes the reading thread, which waits for bytes that may never come."""
        with self._connection, suppress(OSError):  # the server may have closed it already
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._receive()
        except Exception as error:
            self._error = error
        finally:
            self._response.close()
        with self._news:
            self._over = True
            self._news.notify()

    def _receive(self) -> None:
        data, ended = bytearray(), self._asked
        while True:
            while (start := _start(data)) < 0:
                if not self._more(data, MOST_BETWEEN):
                    return
            arrival = time.monotonic()
            head = bytes(data[:start])
            del data[:start]
            while (end := jpeg_end(data)) == 0:
                if not self._more(data, MOST_BYTES):
                    return
            if end < 0:  # what looked like a picture's begin is none
                del data[:2]
                continue
            self._put(arrival, arrival - ended, head, bytes(data[:end]))
            del data[:end]
            ended = time.monotonic()

    def _more(self, data: bytearray, most: int) -> bool:
        if len(data) > most:
            raise OSError(NO_PICTURES)
        chunk = self._response.read1(65536)
        data += chunk
        return bool(chunk)

    def _put(self, arrival: float, pause: float, head: bytes, picture: bytes) -> None:
        taken = re.search(rb"(?i)\bx-timestamp:[ \t]*(\d{1,12}\.\d{1,9})\s", head)
        if taken and not self._timed.false:
            lag = self._timed.lag(arrival, float(taken[1]))
        else:
            lag = self._rhythm.lag(arrival, pause)
        lag = self._lag.bounded(arrival, lag)
        with self._news:
            if lag is not None or self._newest is None:
                self._newest = arrival, lag, picture
            self._news.notify()


def _start(data: bytearray) -> int:
    """Where a JPEG begins; -1: nowhere yet."""
    return data.find(b"\xff\xd8\xff")
