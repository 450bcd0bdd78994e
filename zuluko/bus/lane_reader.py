"""A subscriber's side of the express lane; ``zuluko.bus.lane`` says what each step is for."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import weakref
from math import prod
from typing import Any

from zuluko.bus import lane, membarrier
from zuluko.bus.bell import listen
from zuluko.bus.np import np
from zuluko.bus.wire import WireError

_leaving: set[Reader] = set()  # those that are closed, and have views: nobody else may know of them any more


class Lease(weakref.ref[Any]):
    """Keeps one slot from being written while a view lies on it, or a view of that view: numpy keeps the
    first one as the base of the others."""

    __slots__ = ("reader", "word")

    reader: Reader
    word: int


def _end(lease: Lease) -> None:
    lease.reader.give_back(lease.word)


class Reader:
    """Attached to one writer's memfd; raises LaneError where that is no lane, or has no cell free.

    ``bell`` is the writer's descriptor of its bell, for a reader that waits to be woken: then the attribute
    is ours, see ``zuluko.bus.bell``.
    """

    def __init__(self, pid: int, fd: int, identity: int, bell: int | None = None) -> None:
        self.fd = self.bell = -1
        self.next = 0
        self._closing = False
        self._pid = os.getpid()  # a forked child shares cell and lock, and must leave both alone
        try:
            path = f"/proc/{pid}/fd/{fd}"
            if not os.readlink(path).startswith("/memfd:zuluko-"):  # opening anything else might do something
                raise lane.LaneError("the descriptor is not a sealed memfd of this user")
            self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self._map(identity)
            if bell is not None:
                self.bell = listen(pid, bell)
            self._cell = self._claim()
            self._come(bell is not None)
        except (OSError, ValueError) as error:
            self._close_bell()
            if self.fd >= 0:
                os.close(self.fd)
            kind = lane.GoneError if isinstance(error, FileNotFoundError) else lane.LaneError
            raise kind(f"no express lane: {error}") from None
        self._first = lane.LEASE_WORDS + self._cell * lane.LEASES
        self._free = list(range(lane.LEASES))
        self._leases: list[Lease | None] = [None] * lane.LEASES

    def _map(self, identity: int) -> None:
        """Maps what was opened if it is ours, sealed, and as large as its header says."""
        status = os.fstat(self.fd)
        seals = fcntl.fcntl(self.fd, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK or status.st_uid != os.getuid():
            raise lane.LaneError("the descriptor is not a sealed memfd of this user")
        if not 64 <= status.st_size <= lane.LARGEST_FILE:
            raise lane.LaneError(f"{status.st_size} bytes are no lane")
        header = struct.unpack("<8Q", os.pread(self.fd, 64, 0))
        magic, version, have, slot, slots, ring, length, cells = header
        if (magic, version, cells) != (lane.MAGIC, lane.VERSION, lane.CELLS):
            raise lane.LaneError("the memory is not a lane of this version")
        if have != identity:
            raise lane.LaneError("the lane is of another publisher")
        start = lane.ring_start(length)
        sane = slot % lane.PAGE == 0 and ring % 8 == 0 and 0 < length <= 1 << 20
        sane = sane and 4096 <= ring <= lane.LARGEST_RING
        sane = sane and 0 < slots <= lane.MOST_SLOTS
        if not (sane and lane.file_size(length, ring, slots, slot) == status.st_size):
            raise lane.LaneError("the lane's sizes do not fit")
        self._memory = mmap.mmap(self.fd, start + ring)
        self._pictures = lane.map_slots(self.fd, lane.slots_start(length, ring), slots * slot, mmap.PROT_READ)
        self.words = memoryview(self._memory).cast("Q")
        self._ring = memoryview(self._memory)[start : start + ring]
        self._slot, self._slots, self._ring_size, self._length = slot, slots, ring, length

    def _claim(self) -> int:
        for cell in range(lane.CELLS):
            if lane.lock(self.fd, cell, fcntl.F_WRLCK):
                for word in range(lane.LEASES):
                    self.words[lane.LEASE_WORDS + cell * lane.LEASES + word] = 0
                return cell
        raise lane.LaneError(f"the topic has {lane.CELLS} subscribers already")

    def _come(self, waits: bool) -> None:
        self.words[lane.READERS + self._cell] = lane.WOKEN if waits else lane.QUIET
        try:
            membarrier.barrier()  # either the writer sees the word, or we see what it wrote before it looked
        except OSError:
            self.words[lane.READERS + self._cell] = lane.NOBODY
            lane.lock(self.fd, self._cell, fcntl.F_UNLCK)
            raise

    @property
    def head(self) -> int:
        return self.words[lane.HEAD]

    @property
    def warned(self) -> int:
        """How often the writer has told that a frame is being filled."""
        return self.words[lane.WARNED]

    @property
    def spare(self) -> int:
        """Views that may be had without a copy."""
        return len(self._free) - 1

    @property
    def closed(self) -> bool:
        return bool(self.words[lane.CLOSED])

    def read(self, number: int) -> bytes | None:
        """A copy of the message with that number, below ``head``; None when it has been overtaken."""
        start = self.words[lane.INDEX + number % self._length]
        place = start % self._ring_size
        if place + 16 > self._ring_size:
            return None
        seq, size = lane.ENTRY.unpack_from(self._ring, place)
        if size > self._ring_size - place - 16:
            return None
        data = self._ring[place + 16 : place + 16 + size].tobytes()
        if seq != number or self.words[lane.RESERVED] - start > self._ring_size:
            return None
        if self.words[lane.HEAD] - number >= self._length:  # its index may be another message's by now
            return None
        return data

    def view(
        self, slot: int, generation: int, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> np.ndarray[Any, Any]:
        """The frame in a slot, read-only and without a copy; it stays as it is until its last view is gone.

        With all leases of this reader in use, the frame is copied. Raises WireError("overtaken") when the
        slot holds another frame by now, WireError("malformed") for a slot that is not there or too small.
        """
        size = dtype.itemsize * prod(shape)
        if not 0 <= slot < self._slots or size > self._slot:
            raise WireError("malformed", f"slot {slot} of {self._slots} cannot hold {shape}")
        word = self._free.pop()
        self.words[self._first + word] = slot + 1
        if self.words[lane.GENERATIONS + slot] != generation or generation % 2:
            self.give_back(word)
            raise WireError("overtaken", "the slot holds another frame by now")
        try:
            view: np.ndarray[Any, Any] = np.ndarray(shape, dtype, self._pictures, slot * self._slot)
        except ValueError as error:  # lengths that only numpy finds too large
            self.give_back(word)
            raise WireError("malformed", str(error)) from None
        lease = self._leases[word] = Lease(view, _end)
        lease.reader, lease.word = self, word
        if self._free:
            return view
        copy = view.copy()  # the last word is for passing: somebody holds all the others
        copy.flags.writeable = False
        return copy

    def give_back(self, word: int) -> None:
        if os.getpid() != self._pid:
            return
        self.words[self._first + word] = 0
        self._leases[word] = None
        self._free.append(word)
        if self._closing:
            self._leave()

    def close(self) -> None:
        """Leaves the cell, once the last view is gone."""
        if not self._closing and os.getpid() == self._pid:
            self._closing = True
            _leaving.add(self)
            self.words[lane.READERS + self._cell] = lane.QUIET
            self._close_bell()
            self._leave()

    def _close_bell(self) -> None:
        if self.bell >= 0:
            os.close(self.bell)
            self.bell = -1

    def _leave(self) -> None:
        if len(self._free) < lane.LEASES:
            return
        fd, self.fd = self.fd, -1  # at once: the last views may go in two threads
        if fd >= 0:
            self.words[lane.READERS + self._cell] = lane.NOBODY
            lane.lock(fd, self._cell, fcntl.F_UNLCK)  # closing would not do: the mapping holds the file
            os.close(fd)
            _leaving.discard(self)
