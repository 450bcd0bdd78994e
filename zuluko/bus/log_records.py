"""The records of a log file (MCAP), taken apart with every length checked before it is believed.

A file that was damaged or made to harm costs no more memory than it has bytes, and at most ``MOST`` for one
record. All times are graph time in ns.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import NamedTuple, TypeVar

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

from zuluko.bus.wire import LARGEST_ARRAYS

MAGIC = b"\x89MCAP0\r\n"
MOST = LARGEST_ARRAYS + (2 << 20)  # bytes of one record, and of one chunk unpacked
HEAD = struct.Struct("<BQ")  # opcode and length, before each record
CHUNK = struct.Struct("<QQQI")  # start, end, size unpacked and its checksum, before the compression's name
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time and publish time, before the data
TAKEN = 1 << 20  # bytes that are unpacked at once

R = TypeVar("R")


class DamagedError(ValueError):
    """A record that is not what its kind must be."""


class Logged(NamedTuple):
    """One message as it stands in a log: when it was received and sent, and the envelope's bytes."""

    channel: int
    sequence: int
    received: int
    sent: int
    data: bytes


class Unpacked(NamedTuple):
    """A chunk's messages, and the schemas and channels that other writers put among them."""

    messages: list[Logged]
    schemas: dict[int, Schema]
    channels: dict[int, Channel]


def parse(read: Callable[[ReadDataStream], R], body: bytes) -> R:
    """A record by the mcap package's own reader; raises DamagedError and nothing else."""
    try:
        return read(ReadDataStream(BytesIO(body)))
    except (struct.error, McapError, ValueError, OverflowError, MemoryError) as error:
        raise DamagedError(f"cannot be read ({error or type(error).__name__})") from None


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and body of each record in some bytes."""
    at = 0
    while at < len(data):
        if at + HEAD.size > len(data):
            raise DamagedError("ends within a record")
        opcode, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        if length > len(data) - at:
            raise DamagedError("holds a record that is longer than itself")
        yield opcode, data[at : at + length]
        at += length


def unpack(body: bytes) -> Unpacked:
    """What a chunk holds; raises DamagedError where its checksum or a record in it is wrong."""
    found = Unpacked([], {}, {})
    for opcode, record in records(_contents(body)):
        if opcode == Opcode.MESSAGE:
            found.messages.append(logged(record))
        elif opcode == Opcode.SCHEMA:
            schema = parse(Schema.read, record)
            found.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = parse(Channel.read, record)
            found.channels[channel.id] = channel
    return found


def metadata(body: bytes) -> Metadata:
    found: Metadata = parse(Metadata.read, body)
    return found


def chunk_head(body: bytes) -> tuple[int, int, int, int, str, int]:
    """Start, end, size unpacked, checksum, compression, and where the data begins in the chunk."""
    if len(body) < CHUNK.size + 4:
        raise DamagedError("is too short for a chunk")
    start, end, size, checksum = CHUNK.unpack_from(body)
    (length,) = struct.unpack_from("<I", body, CHUNK.size)
    name = body[CHUNK.size + 4 : CHUNK.size + 4 + min(length, 8)].decode(errors="replace")
    if name not in ("", "zstd", "lz4") or len(name) != length:
        raise DamagedError(f"is packed in a way that is not known here ({name!r})")
    if size > MOST:
        raise DamagedError(f"claims {size} bytes; at most {MOST} are taken")
    return start, end, size, checksum, name, CHUNK.size + 4 + length + 8


def _contents(body: bytes) -> bytes:
    _, _, size, checksum, name, begin = chunk_head(body)
    if len(body) < begin or struct.unpack_from("<Q", body, begin - 8)[0] != len(body) - begin:
        raise DamagedError("is not as long as it says")
    data = _UNPACK[name](body[begin:], size)
    if len(data) != size:
        raise DamagedError(f"unpacks to {len(data)} bytes and not to {size}")
    if checksum and zlib.crc32(data) != checksum:
        raise DamagedError("does not match its checksum")
    return data


def _zstd(data: bytes, size: int) -> bytes:
    parts, have = [], 0
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(data)
        while have <= size and (part := reader.read(min(TAKEN, size + 1 - have))):
            parts.append(part)
            have += len(part)
    except (zstandard.ZstdError, MemoryError) as error:
        raise DamagedError(f"cannot be unpacked ({error})") from None
    return b"".join(parts)


def _lz4(data: bytes, size: int) -> bytes:
    try:
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1))
    except (RuntimeError, EOFError, MemoryError) as error:
        raise DamagedError(f"cannot be unpacked ({error})") from None


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {"": lambda data, _: data, "zstd": _zstd, "lz4": _lz4}


def logged(record: bytes) -> Logged:
    """A message record's body; raises DamagedError."""
    if len(record) < MESSAGE.size:
        raise DamagedError("holds a message without a head")
    channel, sequence, received, sent = MESSAGE.unpack_from(record)
    return Logged(channel, sequence, received, sent, record[MESSAGE.size :])
