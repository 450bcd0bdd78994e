"""Publishing and subscribing: one nng socket a topic. What is lost on the way is counted, with its cause.

The causes: ``overrun`` (more came than the edge keeps; told by a gap in ``seq``), ``overtaken`` (a picture's
slot was used again before it was read), ``malformed``, ``wrong type``, ``version`` and ``too large``.
"""

import select
import time
from collections import Counter
from typing import Any, Generic, TypeVar

import numpy as np
import pynng

from zuluko.bus import clock
from zuluko.bus.frames import INLINE, FrameReader, FrameRing
from zuluko.bus.message import Message, check_arrays
from zuluko.bus.topics import address, announce, announcement_file, socket_path
from zuluko.bus.wire import LARGEST, Decoder, Encoder, Envelope, Hop, WireError, from_inline, inline

M = TypeVar("M")
QUEUE = 64  # messages that an edge keeps unless told otherwise


class Publisher:
    """The one that may publish a topic. ``send`` never waits: a slow subscriber loses, and knows it."""

    def __init__(self, graph: str, topic: str, kind: type[Message], *, queue: int = QUEUE) -> None:
        self.topic = topic
        self.seq = 0
        self._path = socket_path(graph, topic)
        self._ring = FrameRing(topic)
        self._encode = Encoder(self._array)
        self._path.unlink(missing_ok=True)  # of a publisher that was killed
        self._socket = pynng.Pub0(send_buffer_size=queue)
        self._socket.listen(address(graph, topic))
        self._path.chmod(0o600)
        announce(graph, topic, kind)

    @property
    def subscribers(self) -> int:
        return len(self._socket.pipes)

    def _array(self, array: Any) -> Any:
        return self._ring.put(array) if getattr(array, "nbytes", 0) > INLINE else inline(array)

    def send(self, message: Message, cause: tuple[Hop, ...] = ()) -> Envelope[Message]:
        """Publishes; raises MessageError for an array that is not what its type says."""
        check_arrays(message)
        envelope = Envelope(1, self.seq, clock.now(), cause, message)
        data = self._encode(message, seq=envelope.seq, sent=envelope.sent, cause=cause)
        if len(data) > LARGEST:
            raise WireError(
                "too large", f"a message on {self.topic} has {len(data)} bytes, at most {LARGEST}"
            )
        self._socket.send(data)
        self.seq += 1
        return envelope

    def close(self) -> None:
        self._socket.close()
        self._ring.close()
        self._path.unlink(missing_ok=True)
        announcement_file(self._path).unlink(missing_ok=True)


class Subscriber(Generic[M]):
    """One edge: ``receive`` gives what has come, oldest first, or None; it never waits.

    ``keep`` is how many messages wait for a busy reader: 1 for an edge of which only the latest counts.
    ``fd`` becomes readable when a message waits. ``Any`` for a kind gives bodies as plain maps.
    """

    def __init__(self, graph: str, topic: str, kind: type[M], *, keep: int = QUEUE) -> None:
        self.topic = topic
        self.received = 0
        self.lost: Counter[str] = Counter()
        self._expected: int | None = None
        self._frames = FrameReader()
        self._decode = Decoder(kind, self._array)
        self._socket = pynng.Sub0(
            recv_buffer_size=keep,
            recv_max_size=LARGEST,
            reconnect_time_min=20,
            reconnect_time_max=200,
        )
        self._socket.subscribe(b"")
        self._socket.dial(address(graph, topic), block=False)
        self.fd: int = self._socket.recv_fd

    def _array(self, form: dict[str, Any]) -> np.ndarray[Any, Any]:
        return from_inline(form) if "data" in form else self._frames.get(form)

    @property
    def connected(self) -> bool:
        return len(self._socket.pipes) > 0

    def receive(self) -> Envelope[M] | None:
        while (data := self._take()) is not None:
            try:
                envelope = self._decode(data)
            except WireError as error:
                self.lost[error.reason] += 1
                continue
            self._count(envelope.seq)
            return envelope
        return None

    def wait(self, timeout: float | None = None) -> Envelope[M] | None:
        """The next message, or None after ``timeout`` seconds without one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while (envelope := self.receive()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            poll.poll(None if left is None else left * 1000 + 1)
        return envelope

    def _take(self) -> bytes | None:
        try:
            return bytes(self._socket.recv(block=False))
        except pynng.TryAgain:
            return None

    def _count(self, seq: int) -> None:
        """A gap in the numbers is a loss; a smaller number is a publisher that started anew."""
        self.received += 1
        if self._expected is not None and seq > self._expected:
            self.lost["overrun"] += seq - self._expected
        self._expected = seq + 1

    def close(self) -> None:
        self._socket.close()
