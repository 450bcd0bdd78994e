"""Reading a log: by its index where it has one, and from the beginning where its end was torn off."""

import heapq
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, MetadataIndex, Schema, Statistics

from zuluko.bus import log_records as log
from zuluko.bus.log_records import HEAD, MAGIC, DamagedError, Logged
from zuluko.bus.log_writer import LogError

FOOTER = HEAD.size + 20 + len(MAGIC)  # bytes at the end of a whole file
LARGEST_SUMMARY = 32 << 20  # bytes
MOST_HELD = 32 << 20  # bytes of chunks that are open at once; beyond that their order is not kept
CHUNK_HEAD = 64  # bytes of a chunk that a scan reads


class Place(NamedTuple):
    """Where a chunk lies: its first and last log time, its record, and the channels in it where known."""

    start: int
    end: int
    offset: int
    length: int
    channels: frozenset[int] | None = None


@dataclass
class Contents:
    """What is known of a file. ``whole``: it has its index; else ``torn`` is where its whole part ends."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    statistics: Statistics | None = None
    whole: bool = False
    torn: int = 0


class LogReader:
    """One log file. Raises LogError for a file that is no log, or a part of it that is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self._fd).st_size
            begin = self.bytes_at(0, len(MAGIC))
        except OSError as error:
            raise LogError(f"{path} cannot be read: {error.strerror}") from None
        if begin != MAGIC:
            self.close()
            raise LogError(f"{path} is no log: it does not begin as an MCAP file does")
        self.contents = self._by_index() or self.scan()

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()  # of a stream that nobody has read to its end

    @property
    def whole(self) -> bool:
        return self.contents.whole

    @property
    def topics(self) -> dict[str, int]:
        """The channel of each topic."""
        return {channel.topic: number for number, channel in sorted(self.contents.channels.items())}

    @property
    def told(self) -> dict[str, dict[str, str]]:
        """The metadata by name, the last of each."""
        return dict(self.contents.told)

    def type_of(self, topic: str) -> str:
        channel = self.contents.channels[self.topics[topic]]
        schema = self.contents.schemas.get(channel.schema_id)
        return schema.name if schema else ""

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last log time; twice 0 where there is no message."""
        places = self.contents.places
        return min((one.start for one in places), default=0), max((one.end for one in places), default=0)

    def messages(
        self, topics: Iterable[str] | None = None, start: int | None = None, end: int | None = None
    ) -> Iterator[tuple[str, Logged]]:
        """The messages of some topics (all, unless told) from ``start`` to before ``end``, in log time order,
        each with its topic."""
        wanted = None if topics is None else set(topics)
        heap: list[tuple[int, int, int, Logged]] = []
        held: dict[int, list[int]] = {}  # of each open chunk, its length and how many messages it still has
        places = sorted(self._wanted(wanted, start, end), reverse=True)
        while heap or places:
            while places and (not heap or places[-1].start <= heap[0][0]) and _room(held):
                place = places.pop()
                found = self._chunk(place)
                held[place.offset] = [place.length, len(found)]
                for number, message in enumerate(found):
                    heapq.heappush(heap, (message.received, place.offset, number, message))
            if not heap:
                continue
            _, offset, _, message = heapq.heappop(heap)
            held[offset][1] -= 1
            if not held[offset][1]:
                del held[offset]
            channel = self.contents.channels.get(message.channel)
            if channel is None:
                raise LogError(
                    f"{self.path}: a message of a channel that nothing tells of; {_repair(self.path)}"
                )
            within = (start is None or message.received >= start) and (end is None or message.received < end)
            if within and (wanted is None or channel.topic in wanted):
                yield channel.topic, message

    def _wanted(self, topics: set[str] | None, start: int | None, end: int | None) -> Iterator[Place]:
        numbers = None
        if topics is not None and self.contents.channels:
            numbers = {number for number, one in self.contents.channels.items() if one.topic in topics}
        for place in self.contents.places:
            before = end is not None and place.start >= end
            after = start is not None and place.end < start
            other = numbers is not None and place.channels is not None and not numbers & place.channels
            if not (before or after or other):
                yield place

    def _chunk(self, place: Place) -> list[Logged]:
        try:
            return self.unpack(place).messages
        except DamagedError as error:
            what = f"{self.path}: the chunk at byte {place.offset} {error}"
            raise LogError(f"{what}; {_repair(self.path)}") from None

    def unpack(self, place: Place) -> log.Unpacked:
        """A chunk's contents; raises DamagedError."""
        head = self.bytes_at(place.offset, HEAD.size)
        if len(head) < HEAD.size or HEAD.unpack(head) != (Opcode.CHUNK, place.length - HEAD.size):
            raise DamagedError("is not there")
        found = log.unpack(self.bytes_at(place.offset + HEAD.size, place.length - HEAD.size))
        self.contents.schemas.update(found.schemas)
        self.contents.channels.update(found.channels)
        return found

    def bytes_at(self, offset: int, length: int) -> bytes:
        """What stands at a place; fewer bytes at the file's end."""
        parts = []
        while length > 0 and (part := os.pread(self._fd, min(length, log.TAKEN), offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def _by_index(self) -> Contents | None:
        """The contents as the file's summary tells them; None where it has none that can be believed."""
        try:
            return self._summary()
        except (DamagedError, struct.error, OSError):
            return None

    def _summary(self) -> Contents | None:
        end = self.bytes_at(self.size - FOOTER, FOOTER) if self.size > FOOTER else b""
        if not end.endswith(MAGIC) or HEAD.unpack_from(end) != (Opcode.FOOTER, 20):
            return None
        start, _, checksum = struct.unpack_from("<QQI", end, HEAD.size)
        length = self.size - FOOTER - start
        if not start or not 0 <= length <= LARGEST_SUMMARY:
            return None
        data = self.bytes_at(start, length)
        if checksum and zlib.crc32(end[: HEAD.size + 16], zlib.crc32(data)) != checksum:
            return None
        found = Contents(whole=True, torn=start)
        for opcode, body in log.records(data):
            self._take_summary(found, opcode, body)
        return found

    def _take_summary(self, found: Contents, opcode: int, body: bytes) -> None:
        _take(found, opcode, body)
        if opcode == Opcode.STATISTICS:
            found.statistics = log.parse(Statistics.read, body)
        elif opcode == Opcode.CHUNK_INDEX:
            one = log.parse(ChunkIndex.read, body)
            if one.chunk_start_offset + one.chunk_length > self.size or one.chunk_length > log.MOST:
                raise DamagedError("names a chunk beyond the file's end")
            found.places.append(
                Place(
                    one.message_start_time,
                    one.message_end_time,
                    one.chunk_start_offset,
                    one.chunk_length,
                    frozenset(one.message_index_offsets) or None,
                )
            )
        elif opcode == Opcode.METADATA_INDEX:
            told = log.parse(MetadataIndex.read, body)
            if HEAD.size <= told.length <= min(log.MOST, self.size):
                _take(found, Opcode.METADATA, self.bytes_at(told.offset, told.length)[HEAD.size :])

    def scan(self) -> Contents:
        """The contents as the records tell them, up to the first that is torn or no record."""
        found = Contents(torn=len(MAGIC))
        while (record := self.record_at(found.torn)) is not None:
            opcode, length = record
            if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                break
            try:
                self._take_scanned(found, opcode, found.torn, length)
            except DamagedError:
                break
            found.torn += length
        return found

    def record_at(self, offset: int) -> tuple[int, int] | None:
        """The opcode and the length, its head included, of the record at a place; None for one that is torn
        or that cannot be one."""
        head = self.bytes_at(offset, HEAD.size)
        if len(head) < HEAD.size:
            return None
        opcode, length = HEAD.unpack(head)
        if not 1 <= opcode <= Opcode.DATA_END or length > min(log.MOST, self.size - offset - HEAD.size):
            return None
        return opcode, HEAD.size + length

    def _take_scanned(self, found: Contents, opcode: int, offset: int, length: int) -> None:
        if opcode == Opcode.CHUNK:
            start, end, *_ = log.chunk_head(self.bytes_at(offset + HEAD.size, min(length, CHUNK_HEAD)))
            found.places.append(Place(start, end, offset, length))
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA):
            _take(found, opcode, self.bytes_at(offset + HEAD.size, length - HEAD.size))


def _take(found: Contents, opcode: int, body: bytes) -> None:
    """Takes in a record that a summary and the data have in the same form."""
    if opcode == Opcode.SCHEMA:
        schema = log.parse(Schema.read, body)
        found.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = log.parse(Channel.read, body)
        found.channels[channel.id] = channel
    elif opcode == Opcode.METADATA:
        told = log.metadata(body)
        found.told.append((told.name, told.metadata))


def _room(held: dict[int, list[int]]) -> bool:
    return sum(length for length, _ in held.values()) < MOST_HELD


def _repair(path: Path) -> str:
    return f"save what is left with: zuluko log repair {path}"


def losses(told: dict[str, dict[str, str]]) -> dict[str, dict[str, int]]:
    """What the recorder lost, by topic and cause, as the metadata says."""
    found = {}
    for topic, causes in told.get("lost", {}).items():
        try:
            found[topic] = msgspec.json.decode(causes, type=dict[str, int])
        except (ValueError, RecursionError):
            continue
    return found


def schema_of(contents: Contents, channel: Channel) -> dict[str, Any]:
    """The JSON schema of a channel's messages; empty where there is none."""
    try:
        return msgspec.json.decode(contents.schemas[channel.schema_id].data, type=dict[str, Any])
    except (
        KeyError,
        ValueError,
        RecursionError,
    ):  # msgspec's errors are ValueErrors, and not all are its own
        return {}
