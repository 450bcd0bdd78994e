"""The express lane: messages and frames through shared memory, readers that die, memory that lies."""

import fcntl
import gc
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import until
from zuluko.bus import lane, lane_writer, membarrier
from zuluko.bus.lane_reader import Reader
from zuluko.bus.lane_writer import Writer
from zuluko.bus.wire import WireError

pytestmark = pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
SLOT = lane.HUGE
U1 = np.dtype("u1")


@pytest.fixture
def writer():
    writer = Writer("test", slot=SLOT)
    yield writer
    writer.close()


@pytest.fixture
def read(writer):
    """Makes readers of the writer, and closes them."""
    made = []

    def make(**lies):
        reader = Reader(**{"pid": os.getpid(), "fd": writer.fd, "identity": writer.id} | lies)
        made.append(reader)
        return reader

    yield make
    for reader in made:
        reader.close()


def publish(writer, number, shape=(64, 64)):
    """Publishes a frame full of a number; its slot and generation, or None."""
    if (array := writer.empty(shape, U1)) is None:
        return None
    array[:] = number
    slot = writer.slot_of(array)
    return slot, writer.open(slot)


def test_messages_come_out_as_they_went_in(writer, read):
    reader = read()
    for number in range(20_000):
        data = b"%d" % number * (number % 50)
        writer.put(data)
        assert reader.head == number + 1
        assert reader.read(number) == data


def test_a_message_of_the_largest_size_fits(writer, read):
    reader = read()
    for number in range(9):
        writer.put(bytes([number]) * writer.largest)
        assert reader.read(number) == bytes([number]) * writer.largest


def test_overtaken_messages_are_told_and_never_mixed(writer, read):
    reader = read()
    for number in range(30_000):
        writer.put(bytes([number % 256]) * 100)
    got = [reader.read(number) for number in range(30_000)]
    kept = [number for number, data in enumerate(got) if data is not None]
    assert kept == list(range(kept[0], 30_000))
    assert len(kept) > 3000
    assert all(got[number] == bytes([number % 256]) * 100 for number in kept)


def test_a_frame_is_read_where_it_lies_and_cannot_be_written(writer, read):
    slot, generation = publish(writer, 7)
    view = read().view(slot, generation, U1, (64, 64))
    assert (view == 7).all()
    assert np.shares_memory(view, view[2:])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_a_view_keeps_its_frame_until_the_last_part_of_it_is_gone(writer, read):
    reader = read()
    slot, generation = publish(writer, 1)
    part = reader.view(slot, generation, U1, (64, 64))[10:20].T
    gc.collect()
    for number in range(2, 200):
        assert publish(writer, number)[0] != slot
        assert (part == 1).all()
    del part
    gc.collect()
    assert slot in {publish(writer, number)[0] for number in range(20)}


def test_when_all_slots_are_held_the_writer_is_told(writer, read):
    reader = read()
    views = [reader.view(*publish(writer, number), U1, (64, 64)) for number in range(lane.SLOTS - 1)]
    more = read()
    views.append(more.view(*publish(writer, 99), U1, (64, 64)))
    assert publish(writer, 100) is None
    views.pop()
    gc.collect()
    assert publish(writer, 101) is not None
    assert [int(view[0, 0]) for view in views] == list(range(lane.SLOTS - 1))


def test_with_all_leases_in_use_a_frame_is_copied(writer, read):
    reader = read()
    views = [reader.view(*publish(writer, number), U1, (64, 64)) for number in range(lane.LEASES - 1)]
    last = publish(writer, 50)
    copy = reader.view(*last, U1, (64, 64))
    del views[3:]
    gc.collect()
    for number in range(60, 90):
        publish(writer, number)
    assert (copy == 50).all()
    assert not copy.flags.writeable
    assert [int(view[0, 0]) for view in views] == [0, 1, 2]


def test_an_overtaken_frame_is_told(writer, read):
    reader = read()
    first = publish(writer, 1)
    for number in range(2, 20):
        publish(writer, number)
    with pytest.raises(WireError) as refused:
        reader.view(*first, U1, (64, 64))
    assert refused.value.reason == "overtaken"
    assert len(reader._free) == lane.LEASES


def test_slots_are_taken_lazily(writer):
    assert {publish(writer, number)[0] for number in range(50)} == set(range(lane.KEPT))


def test_an_array_made_in_a_slot_is_published_where_it_lies(writer, read):
    array = writer.empty((64, 64), U1)
    array[:] = 5
    slot = writer.slot_of(array)
    generation = writer.open(slot)
    assert writer.open(slot) == generation
    assert (read().view(slot, generation, U1, (64, 64)) == 5).all()
    assert writer.slot_of(array[1:]) is None
    assert writer.slot_of(array.T) is None
    assert writer.slot_of(np.zeros(5)) is None
    for number in range(20):
        assert publish(writer, number)[0] != slot
    del array
    gc.collect()
    assert slot in {publish(writer, number)[0] for number in range(20)}


def huge_pages(address):
    """Bytes of the mapping at an address that lie in huge pages."""
    here, huge = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            here = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif here and (size := re.match(r"(?:AnonHugePages|ShmemPmdMapped): +(\d+) kB", line)):
            huge += int(size[1]) << 10
    return huge


def has_huge_pages():
    """Whether this kernel gives one of that size now; an emulator may say yes, and do nothing."""
    with mmap.mmap(-1, 2 * lane.HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = -lane.address(memory) % lane.HUGE
        memory[start] = 1
        with suppress(OSError):
            memory.madvise(lane_writer.MADV_COLLAPSE, start, lane.HUGE)
        return huge_pages(lane.address(memory) + start) > 0


def test_large_frames_lie_in_huge_pages_for_writer_and_readers(read):
    if not has_huge_pages():
        pytest.skip("this kernel gives no huge pages")
    writer = Writer("test", slots=2)
    reader = read(fd=writer.fd, identity=writer.id)
    for number in range(20):  # a page each time, should it take long
        view = reader.view(*publish(writer, number, (1080, 1920, 3)), U1, (1080, 1920, 3))
        assert (view == number).all()
        theirs = view.__array_interface__["data"][0]
        del view
    mine = lane.address(writer._pictures)
    assert mine % lane.HUGE == theirs % lane.HUGE == 0
    assert huge_pages(mine) == huge_pages(theirs) == 2 * 3 * lane.HUGE
    writer.close()


def test_small_frames_take_no_huge_pages(writer, read):
    for number in range(20):
        publish(writer, number, (480, 640, 3))
    assert huge_pages(lane.address(writer._pictures)) == 0
    assert os.fstat(writer.fd).st_blocks * 512 < lane.KEPT * (1 << 20) + (1 << 20)


def test_frames_arrive_where_the_kernel_gives_no_huge_pages(read, monkeypatch):
    monkeypatch.setattr(lane_writer, "MADV_COLLAPSE", 1 << 20)  # no kernel knows that
    writer = Writer("test", slots=2)
    reader = read(fd=writer.fd, identity=writer.id)
    for number in range(6):
        view = reader.view(*publish(writer, number, (1080, 1920, 3)), U1, (1080, 1920, 3))
        assert (view == number).all()
        del view
    assert huge_pages(lane.address(writer._pictures)) == 0
    writer.close()


def test_a_frame_too_large_for_a_slot_is_told(writer):
    with pytest.raises(WireError, match="too large"):
        writer.take(SLOT + 1)


HOLDER = """
import os, signal, sys
import numpy as np
from zuluko.bus.lane_reader import Reader
pid, fd, identity, *frame = map(int, sys.argv[1:])
reader = Reader(pid, fd, identity)
views = [reader.view(slot, generation, np.dtype("u1"), (64, 64)) for slot, generation in zip(frame[::2], frame[1::2])]
print("holds", flush=True)
signal.pause()
"""


def test_what_a_killed_reader_held_is_taken_back(writer):
    frames = [publish(writer, number) for number in range(3)]
    words = [str(word) for frame in frames for word in frame]
    command = [sys.executable, "-c", HOLDER, str(os.getpid()), str(writer.fd), str(writer.id), *words]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "holds\n"
    cell = writer.readers().index(lane.QUIET)
    assert not writer.reclaim(cell)
    assert not {publish(writer, number)[0] for number in range(20)} & {slot for slot, _ in frames}
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert writer.reclaim(cell)
    assert writer.readers()[cell] == lane.NOBODY
    until(lambda: publish(writer, 9)[0] == frames[0][0])


def test_a_frame_is_not_dropped_for_slots_that_a_killed_reader_held(read):
    """However long ago a frame was sent: the next one finds room."""
    writer = Writer("test", slots=3, slot=SLOT)
    frames = [publish(writer, number) for number in range(3)]
    words = [str(word) for frame in frames[:2] for word in frame]
    command = [sys.executable, "-c", HOLDER, str(os.getpid()), str(writer.fd), str(writer.id), *words]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "holds\n"
    alive = read(fd=writer.fd, identity=writer.id)
    view = alive.view(*frames[2], U1, (64, 64))
    assert publish(writer, 3) is None
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert publish(writer, 3)[0] in (frames[0][0], frames[1][0])
    assert (view == 2).all()
    assert [word for word in writer.readers() if word] == [lane.QUIET]
    writer.close()


def test_a_reader_whose_last_views_go_in_two_threads_closes_its_descriptor_once(writer, monkeypatch):
    """The number may be another's file by the second time."""
    reader = Reader(os.getpid(), writer.fd, writer.id)
    closed, close = [], os.close

    def closing(fd):
        closed.append(fd)
        if len(closed) < 3:
            reader._leave()  # as another thread may, while the kernel closes
        close(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", closing)
        reader.close()
    assert len(closed) == 1


def in_a_fork(act):
    """Does something in a forked child, as a node that uses multiprocessing may, and waits for its end."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_a_child_drops_and_closes_is_still_its_parents(writer, read):
    reader = read()
    slot, generation = publish(writer, 3)
    views = [reader.view(slot, generation, U1, (64, 64))]

    def act():
        views.clear()
        reader.close()

    in_a_fork(act)
    assert writer._leased(slot)
    assert not writer.reclaim(writer.readers().index(lane.QUIET))
    for number in range(20):
        assert publish(writer, number)[0] != slot
    assert (views[0] == 3).all()
    views.clear()
    assert not writer._leased(slot)


def test_cells_are_given_back_and_bounded(writer, read):
    readers = [read() for _ in range(lane.CELLS)]
    with pytest.raises(lane.LaneError, match="32 subscribers already"):
        read()
    view = readers[0].view(*publish(writer, 3), U1, (64, 64))
    readers[0].close()
    with pytest.raises(lane.LaneError):
        read()  # its view still holds a lease
    assert (view == 3).all()
    del view
    gc.collect()
    read()


def test_the_memory_and_the_descriptors_go_with_their_users():
    before = len(os.listdir("/proc/self/fd"))
    writer = Writer("goes-away", slot=SLOT)
    reader = Reader(os.getpid(), writer.fd, writer.id)
    view = reader.view(*publish(writer, 3), U1, (64, 64))
    writer.close()
    reader.close()
    assert (view == 3).all()
    del view, writer, reader
    gc.collect()
    assert "zuluko-goes-away" not in Path("/proc/self/maps").read_text()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_reader_that_is_closed_and_forgotten_still_gives_back_what_its_views_hold(writer):
    """A node that holds a frame when its publisher starts again leaves the old lane just so."""
    before = len(os.listdir("/proc/self/fd"))
    reader = Reader(os.getpid(), writer.fd, writer.id)
    slot, generation = publish(writer, 3)
    view = reader.view(slot, generation, U1, (64, 64))
    reader.close()
    del reader
    gc.collect()
    assert (view == 3).all()
    assert writer._leased(slot)
    del view
    assert not writer._leased(slot)
    assert writer.readers() is None  # as at the beginning: nobody
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ({"identity": 5}, "of another publisher"),
        ({"fd": 100_000}, "No such file"),
        ({"pid": 1 << 22}, "No such file"),
    ],
)
def test_a_lane_that_is_not_there_is_told(read, lie, error):
    with pytest.raises(lane.LaneError, match=error):
        read(**lie)


def memfd(size, header=b"", seals=fcntl.F_SEAL_SHRINK):
    fd = os.memfd_create("zuluko-lies", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, header, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def header(
    magic=lane.MAGIC,
    version=lane.VERSION,
    slot=SLOT,
    slots=8,
    ring=lane.RING,
    length=lane.INDEX_LENGTH,
    cells=lane.CELLS,
):
    return struct.pack("<8Q", magic, version, 1, slot, slots, ring, length, cells)


SIZE = lane.file_size(lane.INDEX_LENGTH, lane.RING, 8, SLOT)


@pytest.mark.parametrize(
    "fd",
    [
        lambda: memfd(SIZE, header(), seals=0),
        lambda: memfd(0),
        lambda: memfd(SIZE - 4096, header()),
        lambda: memfd(4096, header()),
        lambda: memfd(SIZE, header(magic=1)),
        lambda: memfd(SIZE, header(version=9)),
        lambda: memfd(SIZE, header(cells=1 << 40)),
        lambda: memfd(SIZE, header(slots=0, slot=1 << 62)),
        lambda: memfd(SIZE, header(slots=1 << 60, slot=1 << 10)),
        lambda: memfd(SIZE, header(ring=0)),
        lambda: memfd(SIZE, header(length=0)),
        lambda: memfd(SIZE, header(length=1 << 61)),
        lambda: os.open("/dev/null", os.O_RDWR),
        lambda: os.pipe()[0],
        lambda: os.eventfd(0),
    ],
)
def test_a_descriptor_that_is_no_lane_is_refused(fd):
    fd = fd()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(lane.LaneError):
        Reader(os.getpid(), fd, 1)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_a_descriptor_with_the_right_header_and_size_is_a_lane():
    fd = memfd(SIZE, header())
    Reader(os.getpid(), fd, 1).close()
    os.close(fd)


def test_a_lane_cannot_shrink_under_its_readers(writer):
    with pytest.raises(PermissionError):
        os.ftruncate(writer.fd, 4096)


@pytest.mark.parametrize(
    ("slot", "generation", "shape"),
    [
        (-1, 2, (4, 4)),
        (8, 2, (4, 4)),
        (1 << 31, 2, (4, 4)),
        (0, 1, (4, 4)),
        (0, 1000, (4, 4)),
        (0, 2, (SLOT + 1,)),
        (0, 2, (0, 1 << 31, 1 << 31, 1 << 31)),  # no bytes, and yet more than numpy counts
    ],
)
def test_a_slot_that_is_not_there_is_refused(writer, read, slot, generation, shape):
    publish(writer, 1)
    reader = read()
    with pytest.raises(WireError):
        reader.view(slot, generation, U1, shape)
    assert len(reader._free) == lane.LEASES


def test_a_ring_full_of_nonsense_is_read_as_overtaken(writer, read):
    reader = read()
    for word in range(lane.INDEX, lane.INDEX + lane.INDEX_LENGTH):
        writer._words[word] = (1 << 63) + word * 7919
    writer._ring[:] = b"\xff" * lane.RING
    writer._words[lane.HEAD] = 5000
    assert all(reader.read(number) is None for number in range(5000))
