"""The publisher's side of the express lane; ``zuluko.bus.lane`` says what each step is for."""

from __future__ import annotations

import fcntl
import mmap
import os
from math import prod
from typing import Any

from zuluko.bus import clock, lane, membarrier
from zuluko.bus.np import np
from zuluko.bus.wire import WireError

MADV_COLLAPSE = 25  # Linux 6.1; `mmap` has no name for it
GATHER_NS = 20_000_000  # after that long, a frame waits for no further huge page
_NO_LEASES = bytes(8 * lane.CELLS * lane.LEASES)
_READERS = slice(8 * lane.READERS, 8 * (lane.READERS + lane.CELLS))  # bytes
_LEASES = slice(lane.LEASE_WORDS, lane.LEASE_WORDS + lane.CELLS * lane.LEASES)  # words


def _in_huge_pages(size: int) -> int:
    """How much of a frame lies in huge pages: those of which it fills three quarters."""
    return (size + lane.HUGE // 4) // lane.HUGE * lane.HUGE


class Hold:
    """Keeps a slot for the array that the node fills; numpy holds it as the array's base."""

    __slots__ = ("__array_interface__", "size", "slot", "writer")

    def __init__(self, writer: Writer, slot: int, size: int, interface: dict[str, Any]) -> None:
        self.writer, self.slot, self.size = writer, slot, size
        self.__array_interface__ = interface

    def __del__(self) -> None:
        self.writer.let_go(self.slot)


class Writer:
    """The publisher's side. ``fd`` and ``id`` are what a reader needs to find it; ``kept`` is how many slots
    it uses in turn."""

    def __init__(self, name: str, *, slots: int = lane.SLOTS, slot: int = lane.SLOT) -> None:
        start = lane.ring_start(lane.INDEX_LENGTH)
        self.kept = lane.KEPT
        self._slots, self._slot = slots, lane.whole(slot, lane.HUGE)
        self.fd = os.memfd_create(f"zuluko-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            self._map(start)
        except OSError:
            os.close(self.fd)
            raise
        self._address = lane.address(self._pictures)  # where the slots begin
        self._bytes = memoryview(self._memory)
        self._words = self._bytes.cast("Q")
        self._ring = self._bytes[start : start + lane.RING]
        self.id = int.from_bytes(os.urandom(7), "little") + 1  # `secrets` would bring OpenSSL
        self.head = 0
        self._position = 0
        self._generations = [0] * slots  # what we wrote; a reader that lies may have written there, too
        self._free: list[int] = []  # slots that have been used and are ours again, the longest unused first
        self._fresh = list(range(slots))  # and those that have never been used
        self._gathered = [0] * slots  # bytes at each slot's start that lie in huge pages
        self._readers = bytes(8 * lane.CELLS)
        self._warned = 0
        for place, word in enumerate(
            (lane.MAGIC, lane.VERSION, self.id, self._slot, slots, lane.RING, lane.INDEX_LENGTH, lane.CELLS)
        ):
            self._words[place] = word

    def _map(self, start: int) -> None:
        os.ftruncate(self.fd, lane.file_size(lane.INDEX_LENGTH, lane.RING, self._slots, self._slot))
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, lane.SEALS)
        self._memory = mmap.mmap(self.fd, start + lane.RING)
        self._pictures = lane.map_slots(
            self.fd,
            lane.slots_start(lane.INDEX_LENGTH, lane.RING),
            self._slots * self._slot,
            mmap.PROT_READ | mmap.PROT_WRITE,
        )

    @property
    def largest(self) -> int:
        """Bytes that a message in the ring may have; a longer one takes a slot."""
        return lane.RING // 4

    def readers(self) -> list[int] | None:
        """What the cells say of their readers, when that has changed since the last call; else None."""
        now = self._bytes[_READERS].tobytes()
        if now == self._readers:
            return None
        self._readers = now
        return list(memoryview(now).cast("Q"))

    def forewarn(self) -> None:
        """Tells that a frame is being filled."""
        self._warned += 1
        self._words[lane.WARNED] = self._warned

    def put(self, data: bytes) -> None:
        """Commits a message of at most ``largest`` bytes."""
        size = 16 + len(data)
        size += -size % 8
        place = self._position % lane.RING
        if place + size > lane.RING:
            self._position += lane.RING - place
            place = 0
        start, self._position = self._position, self._position + size
        self._words[lane.RESERVED] = self._position
        if not membarrier.ORDERED:
            membarrier.barrier()
        lane.ENTRY.pack_into(self._ring, place, self.head, len(data))
        self._ring[place + 16 : place + 16 + len(data)] = data
        self._words[lane.INDEX + self.head % lane.INDEX_LENGTH] = start
        if not membarrier.ORDERED:
            membarrier.barrier()
        self.head += 1
        self._words[lane.HEAD] = self.head

    def take(self, size: int) -> int | None:
        """A slot for a frame of so many bytes, its generation odd; None when all are leased.

        Raises WireError("too large") for a frame that no slot holds.
        """
        if size > self._slot:
            raise WireError("too large", f"an array of {size} bytes, a slot holds {self._slot}")
        slot = self._take()
        if slot is None and self._reclaim_all():
            slot = self._take()
        if slot is not None and (wanted := _in_huge_pages(size)) > self._gathered[slot]:
            self._gather(slot, wanted)
        return slot

    def _take(self) -> int | None:
        few = self._slots - len(self._fresh) < self.kept
        for slots in (self._fresh, self._free) if few else (self._free, self._fresh):
            for slot in slots:
                if self._close(slot):
                    slots.remove(slot)
                    return slot
        return None

    def _close(self, slot: int) -> bool:
        """Makes a slot unreadable, unless a reader holds it."""
        if self._leased(slot):
            return False
        before = self._generations[slot]
        self._mark(slot, before | 1)
        membarrier.barrier()
        if self._leased(slot):
            self._mark(slot, before)
            return False
        if not membarrier.ORDERED:
            membarrier.barrier()  # a reader that has just let go may be reading still, where loads come late
        return True

    def _mark(self, slot: int, generation: int) -> None:
        self._generations[slot] = self._words[lane.GENERATIONS + slot] = generation

    def _leased(self, slot: int) -> bool:
        leases = self._words[_LEASES]
        return leases.tobytes() != _NO_LEASES and slot + 1 in leases.tolist()

    def _gather(self, slot: int, size: int) -> None:
        """Moves a closed slot's memory into huge pages: a copy into them takes a quarter less. What takes too
        long is left for the next time."""
        until = clock.now() + GATHER_NS
        while self._gathered[slot] < size and clock.now() < until:
            place = slot * self._slot + self._gathered[slot]
            self._pictures[place] = 0  # what is empty cannot be gathered
            self._gathered[slot] += lane.HUGE
            try:
                self._pictures.madvise(MADV_COLLAPSE, place, lane.HUGE)
            except OSError:  # an older kernel, pages of another size, or memory in pieces
                self._gathered[slot] = size

    def room(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A taken slot's memory as an array, to be filled at once."""
        return np.ndarray(shape, dtype, self._pictures, slot * self._slot)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | None:
        """An array in a slot of its own, for the node to fill; None when all are leased."""
        size = dtype.itemsize * prod(shape)
        slot = self.take(size)
        if slot is None:
            return None
        data = (self._address + slot * self._slot, False)
        return np.asarray(
            Hold(self, slot, size, {"version": 3, "typestr": dtype.str, "shape": shape, "data": data})
        )

    def slot_of(self, array: np.ndarray[Any, Any]) -> int | None:
        """The held slot at whose start the array lies, whole and in C order; None for any other array."""
        hold: Any = array.base
        while type(hold) is np.ndarray:  # a view of the whole is as good
            hold = hold.base
        if type(hold) is not Hold or hold.writer is not self or array.nbytes != hold.size:
            return None
        return hold.slot if array.flags.c_contiguous else None

    def open(self, slot: int) -> int:
        """Makes a filled slot readable, if it is not so already; the generation for its handle."""
        before = self._generations[slot]
        if not before & 1:
            return before
        if not membarrier.ORDERED:
            membarrier.barrier()
        self._mark(slot, before + 1)
        return before + 1

    def let_go(self, slot: int) -> None:
        """The node does not hold the slot any longer: it may be used again."""
        if self._generations[slot] & 1:  # nothing was published in it
            self._free.insert(0, slot)
        else:
            self._free.append(slot)

    def reclaim(self, cell: int) -> bool:
        """Clears the cell of a reader that has died; false while it lives."""
        if not lane.lock(self.fd, cell, fcntl.F_WRLCK):
            return False
        for word in range(lane.LEASES):
            self._words[lane.LEASE_WORDS + cell * lane.LEASES + word] = 0
        self._words[lane.READERS + cell] = lane.NOBODY
        lane.lock(self.fd, cell, fcntl.F_UNLCK)
        return True

    def _reclaim_all(self) -> bool:
        """Clears the cells of all readers that have died; whether there was one."""
        words = list(self._bytes[_READERS].cast("Q"))
        dead = [cell for cell, word in enumerate(words) if word and self.reclaim(cell)]
        return bool(dead)

    def finish(self) -> None:
        """Tells the readers that no more will come."""
        self._words[lane.CLOSED] = 1

    def close(self) -> None:
        """Lets nobody else in; the memory goes with its last user."""
        os.close(self.fd)
        self.fd = -1
