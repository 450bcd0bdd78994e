"""The express lane: how messages and frames of one topic go through shared memory, step by step.

A topic has one memfd. The writer is the topic's publisher; a reader maps the memfd through
``/proc/<pid>/fd/<fd>``, which the kernel allows to processes of the same user only. All words have 64 bits,
little-endian, and each is written by one side, so that no step needs a compare-and-swap.

    0      header       magic, version, id, slot bytes, slots, ring bytes, index length, cells
    128    head         how many messages have been committed; their numbers are 0 .. head - 1
    136    reserved     the ring position up to which the writer may be writing
    144    closed       1 when the publisher will write no more
    152    warned       how often readers were told that a frame is being filled
    256    readers      one word a cell: 0 nobody, 1 a reader that the bell wakes, 2 one that looks by itself
    1024   leases       eight words a cell: the slots (plus 1) that the reader holds, 0 for none
    8192   generations  one word a slot: even, the frame that it holds; odd, being written
    12288  index        one word for each of the last messages: its ring position
    ...    ring         messages: number, length, bytes; a message never wraps
    ...    slots        frames, from the next whole huge page on
    ...                 one huge page of address space, for mappings to be aligned by

**Messages.** The writer raises ``reserved`` beyond the message, writes it, and then raises ``head``. A reader
copies a message out and looks at ``reserved`` again: if the writer may have come round to it, the copy is
thrown away and the message is lost ("overtaken").

**Frames.** A reader that is told of a slot writes the slot into a lease word of its own cell, and only then
compares the generation: if it is no longer the one that it was told, it gives the lease back ("overtaken").
The writer makes a generation odd before it reuses a slot, executes a barrier in all processes, and only then
looks at the leases: a leased slot is left alone and gets its generation back. So either the writer sees the
lease or the reader sees the odd generation. A second barrier, where loads may come late, lets a reader finish
that has just given its lease back. A view keeps its lease until it is garbage collected.

**Readers come and go.** A reader claims a cell by locking one byte of the memfd (an open-file-description
lock, which the kernel drops when the reader dies), clears it, says there whether it is to be woken, and
executes a barrier: from then on the writer rings for it, or the message is there when it looks. A cell whose
lock is free while it has a reader belonged to one that died; the writer takes it back.
"""

import ctypes
import fcntl
import mmap
import os
import struct

MAGIC = 0x31656E616C6B7A  # "zklane1"
VERSION = 3
CELLS = 32
LEASES = 8  # views that a reader may hold at once of one topic
HEAD, RESERVED, CLOSED, WARNED = 16, 17, 18, 19  # words
READERS = 32
LEASE_WORDS = 128
GENERATIONS = 1024
INDEX = 1536
NOBODY, WOKEN, QUIET = 0, 1, 2  # of a cell's reader
LOCKS = 1 << 40  # the first lock byte, far beyond the memfd's end

RING = 512 * 1024
INDEX_LENGTH = 8192
SLOTS = 8
SLOT = 32 << 20  # address space, not memory: a page is taken when it is first written
KEPT = 4  # slots that are used in turn before another one is taken
LARGEST_FILE = LOCKS
LARGEST_RING = 1 << 26  # bytes; a reader copies out of it as much as one message claims
MOST_SLOTS = 512

ENTRY = struct.Struct("<QQ")
PAGE = mmap.PAGESIZE
HUGE = 2 << 20  # a huge page, where pages have 4 KiB; elsewhere the kernel refuses to make one of this size
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class LaneError(OSError):
    """A memfd that cannot serve as a lane; the edge goes over nng instead."""


class GoneError(LaneError):
    """A lane whose publisher has gone; the next one will be announced."""


def whole(size: int, unit: int = PAGE) -> int:
    """A size in whole pages."""
    return -(-size // unit) * unit


def ring_start(index_length: int) -> int:
    return whole(8 * (INDEX + index_length))


def slots_start(index_length: int, ring: int) -> int:
    return whole(ring_start(index_length) + ring, HUGE)


def file_size(index_length: int, ring: int, slots: int, slot: int) -> int:
    return slots_start(index_length, ring) + slots * slot + HUGE


def map_slots(fd: int, start: int, size: int, access: int) -> mmap.mmap:
    """The slots, mapped where their huge pages can be mapped as such.

    Python's mmap takes no address, and the kernel puts a mapping right below the last one: one that is longer
    by what the first try lay beyond a huge page's start begins there. Where the kernel thinks otherwise, only
    speed is lost.
    """
    with mmap.mmap(fd, size, offset=start) as first:
        beyond = address(first) % HUGE
    return mmap.mmap(fd, size + beyond, prot=access, offset=start)


def address(memory: mmap.mmap) -> int:
    """Where a writable mapping begins."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def lock(fd: int, cell: int, kind: int) -> bool:
    """Takes or drops a cell's lock; false where another holds it."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, LOCKS + cell, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True
