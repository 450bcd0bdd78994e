"""Subscribing: from the express lane where the publisher has one, else over nng.

What is lost is counted with its cause: ``overrun`` (more came than the edge keeps), ``skipped`` (the
same on an edge that keeps one), ``overtaken`` (a slot or the ring was used again before it was read), ``ring
full`` (the publisher had no slot free), ``malformed``, ``wrong type``, ``version`` and ``too large``.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from zuluko.bus import membarrier
from zuluko.bus.lane import HEAD, INDEX_LENGTH, GoneError, LaneError
from zuluko.bus.lane_reader import Reader
from zuluko.bus.nng import REDIAL, pynng, waiting
from zuluko.bus.np import np
from zuluko.bus.poller import Poller
from zuluko.bus.streams import QUEUE
from zuluko.bus.topics import Announcement, address, announcement, socket_path
from zuluko.bus.wire import (
    BLOB,
    LARGEST,
    Blob,
    Decoder,
    Envelope,
    Handles,
    WireError,
    from_inline,
    largest,
    sent,
)

M = TypeVar("M")

log = logging.getLogger("zuluko.bus")


class Subscriber(Generic[M]):
    """One edge: ``receive`` gives what has come, oldest first, or None; it never waits.

    ``keep`` is how many messages, at most 8192, wait for a busy reader: 1 where only the latest counts.
    ``poller`` is woken when a message waits; ``latched`` asks for no wake, and takes a message that was there
    before. ``history`` begins with the oldest message that the lane still holds, and then keeps as many as
    the lane does; over nng there is none. ``Any`` for a kind gives bodies as plain maps.
    """

    def __init__(
        self,
        graph: str,
        topic: str,
        kind: type[M],
        *,
        keep: int = QUEUE,
        poller: Poller | None = None,
        latched: bool = False,
        history: bool = False,
    ) -> None:
        self.topic = topic
        self.received = 0
        self.lost: Counter[str] = Counter()
        self._graph, self._latched = graph, latched
        self._keep = INDEX_LENGTH if history else min(keep, INDEX_LENGTH)  # nng takes no more, either
        self._history = history
        self._poller = poller or Poller(graph)
        self._own_poller = poller is None
        self._largest = largest(kind)
        self._decode: Callable[[bytes], Envelope[M]] = Decoder(kind, self._array)
        self._handle = Handles()
        self._created = time.monotonic_ns()
        self._since = 0  # graph time of the publisher, from which its messages are for this subscriber
        self._reader: Reader | None = None
        self._pidfd = -1
        self._gone = False
        self._socket: Any = None
        self._dialled = (0, 0)  # which file that is
        self._heard = 0  # graph time when the last message was sent that came over nng
        self._refused = 0  # the id of a lane that could not be joined
        self._expected: int | None = None
        self._last = b""
        self._warned = 0
        self._rehearses = kind is not Any and self._largest > LARGEST
        self._news = -1
        self._look_for_publisher()

    @property
    def connected(self) -> bool:
        self._look_for_publisher()
        return self._reader is not None or (self._socket is not None and len(self._socket.pipes) > 0)

    def receive(self) -> Envelope[M] | None:
        if self._reader and (envelope := self._from_lane(self._reader)) is not None:
            return envelope
        if (socket := self._socket) and (envelope := self._from_socket()) is not None:
            return envelope
        self._look_for_publisher()
        if self._reader:
            return self._from_lane(self._reader)
        return self._from_socket() if self._socket is not socket else None

    def wait(self, timeout: float | None = None) -> Envelope[M] | None:
        """The next message, or None after ``timeout`` seconds without one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (envelope := self.receive()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._poller.wait(left)
        return envelope

    def _from_lane(self, reader: Reader) -> Envelope[M] | None:
        words = reader.words
        end = words[HEAD]  # a publisher that only drops is not followed for ever
        while reader.next < end:
            if (late := words[HEAD] - reader.next - self._keep) > 0:
                reader.next += late
                self._count_late(late)
            data = reader.read(reader.next)
            reader.next += 1
            if data is None:
                self.lost["overtaken"] += 1
            elif not data:
                self.lost["ring full"] += 1
            elif (envelope := self._open(data)) is not None:
                self._last = data
                self.received += 1
                return envelope
        return None

    def _open(self, data: bytes) -> Envelope[M] | None:
        try:
            if data.startswith(BLOB) and self._reader:
                blob = Blob.decode(data)
                data = self._reader.view(
                    blob.slot, blob.generation, np.dtype(np.uint8), (blob.size,)
                ).tobytes()
            return self._decode(data)
        except WireError as error:
            self.lost[error.reason] += 1
            if error.seq is not None and not self._reader:
                self._count_gap(error.seq)
            _forget(error)
            return None

    def _from_socket(self) -> Envelope[M] | None:
        for data in waiting(self._socket):
            if (envelope := self._open(data)) is not None:
                self._count_gap(envelope.seq)
                self._heard = envelope.sent
                self.received += 1
                return envelope
        return None

    def _count_late(self, count: int) -> None:
        """What a latched edge passes over is not lost: it asks for the latest, and gets it."""
        if not self._latched:
            self.lost["overrun" if self._keep > 1 else "skipped"] += count

    def _count_gap(self, seq: int) -> None:
        """Over nng a gap in the numbers is a loss, and a smaller number a publisher that started anew."""
        if self._expected is not None and seq > self._expected:
            self._count_late(seq - self._expected)
        self._expected = seq + 1

    def _array(self, form: dict[str, Any]) -> np.ndarray[Any, Any]:
        if "data" in form or self._reader is None:
            return from_inline(form)
        return self._reader.view(*self._handle(form))

    def _on_bell(self) -> None:
        """Goes the way of the last message once more while the next frame is being filled.

        That is for nothing but warm caches: a core that has slept for 30 ms finds them cold, and the way from
        a message to the view of its frame takes it several times as long as when it has just gone it.
        """
        if (reader := self._reader) and reader.warned != self._warned:
            self._warned = reader.warned
            if reader.next >= reader.head and reader.spare > 0 and self._last:
                self._rehearse(reader)

    def _rehearse(self, reader: Reader) -> None:
        reader.read(reader.next - 1)
        try:
            self._decode(self._last)
        except WireError as error:  # its frame has been overtaken
            _forget(error)

    def _look_for_publisher(self) -> None:
        """Leaves a publisher that has gone, and joins the one of which there is news.

        A socket that nobody announces is a foreign publisher's.
        """
        if self._own_poller:
            self._poller.wait(0)  # nobody else may ever wait there, and hear of the publisher's death
        if self._reader:
            if self._reader.next < self._reader.head or not (self._gone or self._reader.closed):
                return
            self._leave_lane()
        self._poller.look()
        if self._news == self._poller.news:
            return
        self._news = self._poller.news
        told = announcement(self._graph, self.topic)
        if not (told and self._join_lane(told)):
            self._join_socket()

    def _join_lane(self, told: Announcement) -> bool:
        """Attaches to what was announced; false where it has no lane, or has gone."""
        if not told.lane or told.lane.id == self._refused or not membarrier.available():
            return False
        try:
            self._pidfd = os.pidfd_open(told.pid)
        except (OSError, OverflowError):
            return False
        bell = None if self._latched else told.lane.bell
        try:
            self._reader = Reader(told.pid, told.lane.fd, told.lane.id, bell)
        except GoneError:
            os.close(self._pidfd)
            return False
        except LaneError as error:
            os.close(self._pidfd)
            self._refused = told.lane.id
            log.warning("%s is copied through a socket: %s", self.topic, error)
            return False
        if self._socket:
            self._leave_socket()
        self._gone = False
        self._since = self._created + told.offset
        if told.since <= self._heard <= time.monotonic_ns() + told.offset:  # it was this publisher
            self._since = self._heard + 1
        came_before = self._since < told.since and not self._latched
        self._reader.next = 0 if came_before else self._first(self._reader)
        self._warned = self._reader.warned
        if bell is not None:
            self._poller.hear(self._reader.bell, self._on_bell if self._rehearses else None)
        self._poller.watch(self._pidfd, self._on_death)
        return True

    def _first(self, reader: Reader) -> int:
        """The number of the first message that is for this subscriber: sent since it was made, or, where it
        is latched, the last one, or, with its history, the oldest that has not been overtaken. Messages are
        in the order of their sending; those that were dropped at the end, which tell no time, not."""
        if self._latched and not self._history:
            return max(0, reader.head - 1)
        head = reader.head
        low = max(0, head - INDEX_LENGTH)
        end = head
        while not self._history and end > low and reader.read(end - 1) == b"":
            end -= 1
        high = end
        while low < high:
            middle = (low + high) // 2
            if self._is_mine(reader, range(middle, high)):
                high = middle
            else:
                low = middle + 1
        return low if low < end else head

    def _is_mine(self, reader: Reader, numbers: range) -> bool:
        """Whether the first of some messages in the lane is for this subscriber, where what follows them is.
        One that was dropped tells no time, and is for whom the next one is."""
        for number in numbers:
            data = reader.read(number)
            if self._history or data is None:
                return data is not None
            if data:
                return sent(data) >= self._since
        return True

    def _on_death(self) -> None:
        self._gone = True
        self._poller.forget(self._pidfd)

    def _leave_lane(self) -> None:
        assert self._reader
        self._poller.forget(self._reader.bell)
        self._poller.forget(self._pidfd)
        os.close(self._pidfd)
        self._reader.close()
        self._reader = None
        self._news = -1

    def _join_socket(self) -> None:
        """Dials the socket that is there, and dials anew for another one, unless there is a connection."""
        path = socket_path(self._graph, self.topic)
        try:
            seen = path.lstat()
        except FileNotFoundError:
            return
        file = (seen.st_ino, seen.st_mtime_ns)  # another ctime may be no more than a chmod
        settled = self._socket and (self._socket.pipes or file == self._dialled)
        if settled or not stat.S_ISSOCK(seen.st_mode):
            return
        if self._socket:
            self._leave_socket()
        self._dialled = file
        self._socket = pynng.Sub0(recv_buffer_size=self._keep, recv_max_size=self._largest, **REDIAL)
        self._socket.subscribe(b"")
        self._socket.dial(address(self._graph, self.topic), block=False)
        self._poller.watch(self._socket.recv_fd)

    def _leave_socket(self) -> None:
        self._poller.forget(self._socket.recv_fd)
        self._socket.close()
        self._socket = None
        self._expected = None

    def close(self) -> None:
        if self._reader:
            self._leave_lane()
        if self._socket:
            self._leave_socket()
        if self._own_poller:
            self._poller.close()


def _forget(error: WireError) -> None:
    """Breaks the cycle in which an error would keep our callers, and their views."""
    error.__context__ = error.__traceback__ = None
