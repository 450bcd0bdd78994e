"""Frames: large arrays go through shared memory, and a message carries only where they lie.

A topic has one memfd, which the kernel frees by itself when its last user is gone. It begins with a header of
eight 64-bit words (magic, ring id, number of slots, bytes a slot, zeros), then a 64-bit generation a slot,
then, from the next page on, the slots. The writer makes a slot's generation odd, fills the slot, and makes it
even; a reader copies the slot out and takes the copy only if the generation was the same before and after.
"""

import fcntl
import mmap
import os
import secrets
from typing import Any

import numpy as np

from zuluko.bus.wire import WireError, plain_dtype, plain_shape

INLINE = 16 * 1024  # bytes; smaller arrays travel in the message itself
MAGIC = 0x31676E69726B6C7A  # "zlkring1", little-endian
LARGEST_RING = 1 << 30  # bytes; a ring that says it is larger is not mapped
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_PAGE = mmap.PAGESIZE


def _data_start(slots: int) -> int:
    return -(-(64 + 8 * slots) // _PAGE) * _PAGE


class FrameRing:
    """The writer's side: ``put`` copies an array into the next slot and gives the handle for the message.

    The ring is made at the first array and made anew when a larger one comes; ``slots`` bounds how many
    pictures a slow reader may lag behind before the picture that it was told of is overtaken.
    """

    def __init__(self, name: str, *, slots: int = 8) -> None:
        self._name = name
        self._slots = slots
        self._size = 0
        self._next = 0
        self._fd = -1

    def put(self, array: np.ndarray[Any, Any]) -> dict[str, Any]:
        if array.nbytes > self._size:
            self._make(array.nbytes)
        slot = self._next
        self._next = (slot + 1) % self._slots
        generation = int(self._generations[slot])
        self._generations[slot] = generation + 1
        start = self._start + slot * self._size
        room = np.frombuffer(self._memory, array.dtype, array.size, start).reshape(array.shape)
        np.copyto(room, array)
        self._generations[slot] = generation + 2
        return {
            "dtype": array.dtype.str,
            "shape": array.shape,
            "ring": (os.getpid(), self._fd, self._id),
            "slot": slot,
            "generation": generation + 2,
        }

    def _make(self, size: int) -> None:
        self.close()
        self._size = -(-size // _PAGE) * _PAGE
        self._start = _data_start(self._slots)
        total = self._start + self._slots * self._size
        self._fd = os.memfd_create(f"zuluko-{self._name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._fd, total)
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, _SEALS)
        self._memory = mmap.mmap(self._fd, total)
        self._id = secrets.randbits(63)
        np.frombuffer(self._memory, np.uint64, 4)[:] = (MAGIC, self._id, self._slots, self._size)
        self._generations = np.frombuffer(self._memory, np.uint64, self._slots, 64)
        self._next = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)  # the mapping goes with its last view
            self._fd = -1


class FrameReader:
    """The reader's side: ``get`` gives a copy of the array that a handle names.

    Raises WireError("overtaken") when the writer has used the slot again, WireError("malformed") for a handle
    that points nowhere. The ring of the last handle stays mapped.
    """

    def __init__(self) -> None:
        self._ring: tuple[int, int, int] | None = None

    def get(self, form: dict[str, Any]) -> np.ndarray[Any, Any]:
        dtype, shape = plain_dtype(form.get("dtype")), plain_shape(form.get("shape"))
        ring, slot, generation = form.get("ring"), form.get("slot"), form.get("generation")
        numbers = ring if isinstance(ring, list) and len(ring) == 3 else ()
        if not numbers or not all(type(n) is int and n >= 0 for n in (*numbers, slot, generation)):
            raise WireError("malformed", "an array without data needs ring, slot and generation")
        self._map((numbers[0], numbers[1], numbers[2]))
        count = 1
        for side in shape:
            count *= side
        if slot >= len(self._generations) or count * dtype.itemsize > self._size:  # type: ignore[operator]
            raise WireError("malformed", f"slot {slot} of {len(self._generations)} cannot hold {shape}")
        self._check(slot, generation)  # type: ignore[arg-type]
        start = self._start + slot * self._size  # type: ignore[operator]
        copy = np.frombuffer(self._memory, dtype, count, start).reshape(shape).copy()
        self._check(slot, generation)  # type: ignore[arg-type]
        copy.flags.writeable = False
        return copy

    def _check(self, slot: int, generation: int) -> None:
        if int(self._generations[slot]) != generation:
            raise WireError("overtaken", "the writer has used the slot again")

    def _map(self, ring: tuple[int, int, int]) -> None:
        if ring == self._ring:
            return
        self._ring = None
        pid, number, identity = ring
        try:
            fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise WireError("overtaken", f"the ring is gone ({error.strerror})") from None
        try:
            self._open(fd, identity)
        finally:
            os.close(fd)
        self._ring = ring

    def _open(self, fd: int, identity: int) -> None:
        """Maps a descriptor if it is what a ring must be: ours, sealed against shrinking, of a sane size."""
        status = os.fstat(fd)
        try:
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
        except OSError:
            sealed = 0
        if not sealed or status.st_uid != os.getuid() or not _PAGE <= status.st_size <= LARGEST_RING:
            raise WireError("malformed", "the descriptor is not a frame ring")
        memory = mmap.mmap(fd, status.st_size, prot=mmap.PROT_READ)
        magic, have, slots, size = (int(word) for word in np.frombuffer(memory, np.uint64, 4))
        if magic != MAGIC or not 0 < slots <= 1024 or _data_start(slots) + slots * size > status.st_size:
            raise WireError("malformed", "the memory is not a frame ring")
        if have != identity:
            raise WireError("overtaken", "the ring is of an earlier publisher")
        self._memory, self._size, self._start = memory, size, _data_start(slots)
        self._generations = np.frombuffer(memory, np.uint64, slots, 64)
