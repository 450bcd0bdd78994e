"""Writing a log: an MCAP file, one channel a topic, the bus's own bytes as messages.

The file bears its name from the beginning. One that lost its power has no index, but every chunk that was
written can be read, and the recording is where people look for it; a name such as ``.part`` would hide what
is left of an incident from all who look for logs.
"""

import os
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from zuluko.bus.log_records import CHUNK as CHUNK_HEAD
from zuluko.bus.log_records import HEAD, MAGIC, MESSAGE

PROFILE = "zuluko"
CHUNK = 1 << 20  # bytes after which a chunk is closed; a longer message has one of its own
LARGE = 16 * 1024  # bytes; such messages share no chunk with smaller ones, which are read without them
LEVEL = 1  # of zstd: a fifth of the time of its default, for a tenth more bytes
WORTH = 0.9  # what is not smaller than so much of itself is stored as it is
UNTRIED = 100  # messages of a topic that did not pack, before it is tried again
JPEG = b"\xff\xd8\xff"  # begins every JPEG, and does not pack


class LogError(ValueError):
    """A log that cannot be written or read; a whole sentence with the file's name."""


class LogFullError(LogError):
    """No more could be written; what was there before is kept."""


@dataclass
class _Open:
    """A chunk in the making: its records, and where each channel's messages lie in them."""

    packs: bool
    data: bytearray = field(default_factory=bytearray)
    places: dict[int, list[int]] = field(default_factory=dict)  # time, offset, time, offset, ...
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class _Placed:
    """A chunk in the file, and how many messages of each channel it has."""

    index: ChunkIndex
    counts: Mapping[int, int]


class LogWriter:
    """One log file, mode 0600. ``flush`` hands what is there to the disk; ``close`` makes the file whole. In
    a ``hurry`` nothing is packed.

    A full disk raises LogFullError; the file is then cut back to what was written whole, and ``close`` gives
    up the last chunks where the index needs their place. Raises LogError for a file that exists.

    ``profile`` and each topic's encodings may be another's, for a file that other programs read.
    """

    def __init__(self, path: Path, *, profile: str = PROFILE) -> None:
        self.path = path
        self.size = 0  # bytes in the file
        self.dropped = 0  # messages that were given up for the index
        self.hurry = False
        self.channels: dict[str, int] = {}
        self._schemas: list[tuple[int, Schema]] = []
        self._known: list[tuple[int, Channel]] = []
        self._chunks: list[_Placed] = []
        self._told: list[MetadataIndex] = []
        self._packed, self._large, self._plain = _Open(packs=True), _Open(packs=True), _Open(packs=False)
        self._untried: Counter[int] = Counter()
        self._compress = zstandard.ZstdCompressor(level=LEVEL).compress
        self._fd = _create(path)
        self._closed = False
        self._sync = _Sync(self._fd)
        try:
            self._append(MAGIC + _bytes(Header(profile, "zuluko")))
        except LogFullError:
            self._abandon()
            raise

    def __enter__(self) -> "LogWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Bytes that are not in the file yet."""
        return sum(len(chunk.data) for chunk in (self._packed, self._large, self._plain))

    def topic(
        self,
        name: str,
        kind: str,
        schema: bytes,
        *,
        told: Mapping[str, str] | None = None,
        encoding: str = "msgpack",
        schema_encoding: str = "jsonschema",
    ) -> int:
        """The channel of a topic; ``kind`` is the type's wire name, ``schema`` its schema."""
        if name in self.channels:
            return self.channels[name]
        known = next((one for _, one in self._schemas if (one.name, one.data) == (kind, schema)), None)
        if known is None:
            known = Schema(id=len(self._schemas) + 1, name=kind, encoding=schema_encoding, data=schema)
            at = self._append(_bytes(known))
            self._schemas.append((at, known))
        number = len(self._known) + 1
        channel = Channel(
            id=number, topic=name, message_encoding=encoding, metadata=dict(told or {}), schema_id=known.id
        )
        at = self._append(_bytes(channel))
        self._known.append((at, channel))
        self.channels[name] = number
        return number

    def write(self, channel: int, data: bytes, *, seq: int, sent: int, received: int) -> None:
        """Adds an envelope's bytes; times in ns of graph time. Raises LogError for one before 1970."""
        if sent < 0 or received < 0:
            raise LogError(f"a log begins at 1970, and a message of {min(sent, received)} ns is older")
        chunk = self._chunk(channel, data)
        if not chunk.places:
            chunk.start = received
        places = chunk.places.setdefault(channel, [])
        places += (received, len(chunk.data))
        chunk.start, chunk.end = min(chunk.start, received), max(chunk.end, received)
        chunk.data += HEAD.pack(Opcode.MESSAGE, MESSAGE.size + len(data))
        chunk.data += MESSAGE.pack(channel, seq & 0xFFFFFFFF, received, sent)
        chunk.data += data
        if len(chunk.data) >= CHUNK or len(data) > CHUNK:
            self._store(chunk)

    def tell(self, name: str, what: Mapping[str, str]) -> None:
        """Adds a metadata record."""
        data = _bytes(Metadata(name=name, metadata=dict(what)))
        at = self._append(data)
        self._told.append(MetadataIndex(offset=at, length=len(data), name=name))

    def flush(self) -> None:
        """Writes the chunks in the making, and has the disk keep them; does not wait for the disk."""
        for chunk in (self._packed, self._large, self._plain):
            self._store(chunk)
        self._sync.ask()

    def close(self) -> None:
        """Makes the file whole: its index, statistics and footer, and all of it on the disk."""
        if self._closed:
            return
        with suppress(LogFullError):
            self.flush()
        while True:
            try:
                self._append(self._end())
                break
            except LogFullError:
                if not self._chunks:
                    self._abandon()
                    raise
                self._give_up_last()
        self._abandon()

    def _abandon(self) -> None:
        self._closed = True
        self._sync.close()
        with suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)

    def _chunk(self, channel: int, data: bytes) -> _Open:
        """Where a message goes: with the small or the large of those that pack, with those that do not, or by
        itself."""
        packs = JPEG not in data[:4096] and not self._untried[channel]
        if not packs and self._untried[channel]:
            self._untried[channel] -= 1
        if len(data) > CHUNK:
            return _Open(packs)
        if packs:
            return self._large if len(data) > LARGE else self._packed
        return self._plain

    def _store(self, chunk: _Open) -> None:
        if not chunk.data:
            return
        raw, places, start, end = chunk.data, chunk.places, chunk.start, chunk.end
        chunk.data, chunk.places, chunk.start, chunk.end = bytearray(), {}, 0, 0
        packs = chunk.packs and not self.hurry
        packed: bytes | bytearray = self._compress(raw) if packs else raw
        if packs and len(packed) > WORTH * len(raw):
            packed = raw
            self._untried.update(dict.fromkeys(places, UNTRIED) if len(places) == 1 else {})
        name = "zstd" if packed is not raw else ""
        head = _chunk_head(start, end, raw, name, len(packed))
        at, length = self.size, len(head) + len(packed)
        offsets, indexes = {}, bytearray()
        for channel, flat in places.items():
            offsets[channel] = at + length + len(indexes)
            indexes += struct.pack("<BQHI", Opcode.MESSAGE_INDEX, 6 + 8 * len(flat), channel, 8 * len(flat))
            indexes += struct.pack(f"<{len(flat)}Q", *flat)
        self._append(head, packed, indexes)
        index = ChunkIndex(
            chunk_length=length,
            chunk_start_offset=at,
            compression=name,
            compressed_size=len(packed),
            message_end_time=end,
            message_index_length=len(indexes),
            message_index_offsets=offsets,
            message_start_time=start,
            uncompressed_size=len(raw),
        )
        self._chunks.append(_Placed(index, {channel: len(flat) // 2 for channel, flat in places.items()}))

    def _append(self, *parts: bytes | bytearray) -> int:
        """Writes at the end, all or nothing; where it begins."""
        at, rest = self.size, [memoryview(part) for part in parts if part]
        try:
            while rest:
                done = os.writev(self._fd, rest)
                while rest and done >= len(rest[0]):
                    done -= len(rest.pop(0))
                if done:
                    rest[0] = rest[0][done:]
        except OSError as error:
            os.ftruncate(self._fd, at)
            os.lseek(self._fd, at, os.SEEK_SET)
            raise LogFullError(f"{self.path}: the recording stops: {error.strerror}") from None
        self.size += sum(map(len, parts))
        return at

    def _give_up_last(self) -> None:
        """Makes room for the index by giving up the last chunk, and what was told after it."""
        placed = self._chunks.pop()
        end = placed.index.chunk_start_offset
        self.dropped += sum(placed.counts.values())
        self._told = [one for one in self._told if one.offset < end]
        self._known = [one for one in self._known if one[0] < end]
        self._schemas = [one for one in self._schemas if one[0] < end]
        os.ftruncate(self._fd, end)
        os.lseek(self._fd, end, os.SEEK_SET)
        self.size = end

    def _end(self) -> bytes:
        """What follows the data: the summary, where its parts lie, and the footer."""
        data_end = _bytes(DataEnd(0))
        start = self.size + len(data_end)
        summary, offsets = RecordBuilder(), []
        groups: tuple[tuple[Opcode, list[McapRecord]], ...] = (
            (Opcode.SCHEMA, [one for _, one in self._schemas]),
            (Opcode.CHANNEL, [one for _, one in self._known]),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.CHUNK_INDEX, [one.index for one in self._chunks]),
            (Opcode.METADATA_INDEX, list(self._told)),
        )
        for opcode, records in groups:
            begin = summary.count
            for record in records:
                record.write(summary)
            if records:
                offsets.append(SummaryOffset(opcode, start + begin, summary.count - begin))
        offset_start = start + summary.count
        for offset in offsets:
            offset.write(summary)
        body = summary.end()  # type: ignore[no-untyped-call]
        head = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start)
        footer = _bytes(Footer(start, offset_start, zlib.crc32(head, zlib.crc32(body))))
        return bytes(data_end + body + footer + MAGIC)

    def _statistics(self) -> Statistics:
        counts: Counter[int] = Counter()
        for placed in self._chunks:
            counts.update(placed.counts)
        return Statistics(
            attachment_count=0,
            channel_count=len(self._known),
            channel_message_counts=dict(counts),
            chunk_count=len(self._chunks),
            message_count=counts.total(),
            message_end_time=max((one.index.message_end_time for one in self._chunks), default=0),
            message_start_time=min((one.index.message_start_time for one in self._chunks), default=0),
            metadata_count=len(self._told),
            schema_count=len(self._schemas),
        )


class _Sync:
    """Has the disk keep what was written, in a thread of its own: a card may take a second for it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._asked = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="log sync", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        self._asked.set()

    def _run(self) -> None:
        while self._asked.wait() and not self._ended:
            self._asked.clear()
            with suppress(OSError):  # the next write tells of it
                os.fdatasync(self._fd)

    def close(self) -> None:
        self._ended = True
        self._asked.set()
        self._thread.join()


def _chunk_head(start: int, end: int, raw: bytearray, name: str, size: int) -> bytes:
    """What stands before the ``size`` packed bytes in a chunk's record: to put them in between would copy
    them."""
    packing = struct.pack("<I", len(name)) + name.encode() + struct.pack("<Q", size)
    body = CHUNK_HEAD.pack(start, end, len(raw), zlib.crc32(raw)) + packing
    return HEAD.pack(Opcode.CHUNK, len(body) + size) + body


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        raise LogError(f"{path} exists already; choose another name, or remove it") from None
    except OSError as error:
        raise LogError(f"{path} cannot be written: {error.strerror}") from None


def _bytes(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())  # type: ignore[no-untyped-call]
