"""ROS 1 bags."""

import bz2
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import lz4.frame
from rosbags.rosbag1 import Reader
from rosbags.rosbag1.reader import ChunkInfo, Header, IndexData, RecordType, read_bytes, read_uint32

from zuluko.bus.log_records import MOST
from zuluko.log_import.guard import guarded
from zuluko.log_import.ros import ros_types
from zuluko.log_import.source import Channel, Heard, SourceError

WHAT = "a ROS 1 bag"
MOST_HELD = 64 << 20  # bytes of chunks that are open at once; beyond that their order is not kept


class _Message(NamedTuple):
    time: int  # ns
    number: int  # of its chunk, so that those of one time keep their order
    place: int  # in it
    connection: int
    data: bytes


class _Chunks(Reader):
    """A bag of which only what it tells of its chunks is read, and not their index, message by message: of a
    long drive that would take gigabytes."""

    def read_index_data(self, pos: int, indexes: dict[int, list[IndexData]]) -> None:
        """Leaves out one connection's index of a chunk."""

    def counts(self) -> Counter[int]:
        """How many messages each connection has."""
        found: Counter[int] = Counter()
        for info in self.chunk_infos:
            found.update(info.connection_counts)
        return found

    def in_order(self, wanted: Collection[int]) -> Iterator[_Message]:
        """The messages of some connections, by time; a chunk is opened when the first of it may be next."""
        heap: list[_Message] = []
        held: dict[int, list[int]] = {}  # of each open chunk, its bytes and how many messages it still has
        infos = [info for info in self.chunk_infos if wanted & info.connection_counts.keys()]
        waiting = sorted(enumerate(infos), key=lambda one: one[1].start_time, reverse=True)
        while heap or waiting:
            while waiting and (not heap or waiting[-1][1].start_time <= heap[0].time) and _room(held):
                number, info = waiting.pop()
                found = [one for one in self._messages(number, info) if one.connection in wanted]
                if found:
                    held[number] = [sum(len(one.data) for one in found), len(found)]
                for one in found:
                    heapq.heappush(heap, one)
            if not heap:
                continue
            one = heapq.heappop(heap)
            held[one.number][1] -= 1
            if not held[one.number][1]:
                del held[one.number]
            yield one

    def _messages(self, number: int, info: ChunkInfo) -> Iterator[_Message]:
        unpacked = self._unpacked(info)
        chunk = BytesIO(unpacked)
        while chunk.tell() < len(unpacked):
            header = Header.read(chunk)
            data = read_bytes(chunk, read_uint32(chunk))
            if header.get_uint8("op") == RecordType.MSGDATA:
                connection = header.get_uint32("conn")
                yield _Message(header.get_time("time"), number, chunk.tell(), connection, data)

    def _unpacked(self, info: ChunkInfo) -> bytes:
        assert self.bio
        chunk = self.chunks[info.pos]
        self.bio.seek(chunk.datapos)
        data = read_bytes(self.bio, chunk.datasize)
        unpacked = _UNPACK.get(chunk.decompressor.__module__, chunk.decompressor)(data)
        if len(unpacked) > MOST:
            raise SourceError(f"{self.path}: a chunk of more than {MOST >> 20} MB; it is damaged")
        return unpacked


def _room(held: dict[int, list[int]]) -> bool:
    return sum(size for size, _ in held.values()) < MOST_HELD


def _bz2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, max_length=MOST + 1)


def _lz4(data: bytes) -> bytes:
    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=MOST + 1))


# In place of those of the reader, which unpack whatever comes; by the module of the reader's.
_UNPACK: dict[str, Callable[[bytes], bytes]] = {"bz2": _bz2, "lz4.frame._frame": _lz4}


class Bag1:
    """One ROS 1 bag. Raises SourceError for a file that is none."""

    what = WHAT

    def __init__(self, path: Path) -> None:
        self._path, self._types = path, ros_types()
        self._bag = _Chunks(path)
        with guarded(path, WHAT, f"where it was not closed: rosbag reindex {path}"):
            self._bag.open()
        self.told = {"imported": {"from": path.name, "as": WHAT}}
        counts: Counter[tuple[str, str, str]] = Counter()
        self._keys = {one.id: (one.topic, one.msgtype, one.digest or "") for one in self._bag.connections}
        by_number = self._bag.counts()
        for number, key in self._keys.items():
            counts[key] += by_number[number]
        self._channels = {
            (topic, kind, digest): self._types.channel(topic, kind, digest=digest, ros=1, count=count)
            for (topic, kind, digest), count in counts.items()
        }
        self.channels = list(self._channels.values())

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        by_number = {number: self._channels.get(key) for number, key in self._keys.items()}
        wanted = {number: one for number, one in by_number.items() if one in channels and one is not None}
        with guarded(self._path, WHAT, "what came before is kept"):
            for one in self._bag.in_order(wanted.keys()):
                channel = wanted[one.connection]
                yield Heard(channel, one.time, self._types.message(channel, one.time, one.data, ros=1))

    def close(self) -> None:
        self._bag.close()
