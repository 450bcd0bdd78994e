"""Making a torn or damaged log whole: everything that can be read is copied, and what was lost is told."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mcap.opcode import Opcode

from zuluko.bus import log_records as log
from zuluko.bus.log_reader import CHUNK_HEAD, LogReader, Place
from zuluko.bus.log_records import HEAD, MAGIC, DamagedError
from zuluko.bus.log_writer import LogWriter

WINDOW = 1 << 20  # bytes in which the next chunk is looked for at once


@dataclass
class Repair:
    """What became of a log: messages saved, and each part that was lost as a sentence."""

    messages: int = 0
    topics: int = 0
    lost: list[str] = field(default_factory=list)
    was_whole: bool = False


def repair(source: Path, target: Path) -> Repair:
    """Writes what can be read of ``source`` into a new, whole log; raises LogError."""
    with LogReader(source) as reader, LogWriter(target) as writer:
        done = Repair(was_whole=reader.whole)
        if reader.whole:  # the data still says it, where the index says it wrongly
            schemas, channels = dict(reader.contents.schemas), dict(reader.contents.channels)
            reader.contents = reader.scan()
            reader.contents.schemas = schemas | reader.contents.schemas
            reader.contents.channels = channels | reader.contents.channels
        for name, told in reader.contents.told:
            writer.tell(name, told)
        for place in find(reader, done):
            _copy(reader, place, writer, done)
        done.topics = len(writer.channels)
        if not (done.was_whole or done.lost):
            done.lost.append("the index")
        if done.lost:
            writer.tell("repair", {str(number): what for number, what in enumerate(done.lost, 1)})
    return done


def find(reader: LogReader, done: Repair) -> Iterator[Place]:
    """The chunks of a file, those behind a damaged place, too."""
    offset = len(MAGIC)
    while offset < reader.size:
        record = reader.record_at(offset)
        place = _place(reader, offset) if record else None
        if record is None or (record[0] == Opcode.CHUNK and place is None):
            behind = _next_chunk(reader, offset + 1)
            done.lost.append(_gap(reader, offset, behind))
            offset = behind
            continue
        if record[0] in (Opcode.DATA_END, Opcode.FOOTER):
            return
        if place:
            yield place
        offset += record[1]


def _place(reader: LogReader, offset: int) -> Place | None:
    """The chunk that begins at a place; None where none does."""
    record = reader.record_at(offset)
    if record is None or record[0] != Opcode.CHUNK:
        return None
    head = reader.bytes_at(offset + HEAD.size, CHUNK_HEAD)
    try:
        start, end, _, _, _, begin = log.chunk_head(head)
    except DamagedError:
        return None
    if struct.unpack_from("<Q", head.ljust(CHUNK_HEAD), begin - 8)[0] != record[1] - HEAD.size - begin:
        return None
    return Place(start, end, offset, record[1])


def _next_chunk(reader: LogReader, offset: int) -> int:
    """Where the next chunk begins that is what its checksum says; else the file's end."""
    while offset < reader.size:
        window = reader.bytes_at(offset, WINDOW)
        at = window.find(bytes([Opcode.CHUNK]))
        while at >= 0:
            if (place := _place(reader, offset + at)) and _is_good(reader, place):
                return offset + at
            at = window.find(bytes([Opcode.CHUNK]), at + 1)
        offset += len(window)
    return reader.size


def _is_good(reader: LogReader, place: Place) -> bool:
    try:
        reader.unpack(place)
    except DamagedError:
        return False
    return True


def _copy(reader: LogReader, place: Place, writer: LogWriter, done: Repair) -> None:
    try:
        messages = reader.unpack(place).messages
    except DamagedError as error:
        seconds = (place.start - reader.span[0]) / 1e9
        done.lost.append(f"the chunk at byte {place.offset}, {seconds:.1f} s into the log: it {error}")
        return
    for message in messages:
        channel = reader.contents.channels.get(message.channel)
        if channel is None:
            done.lost.append(f"a message of the unknown channel {message.channel}")
            continue
        schema = reader.contents.schemas.get(channel.schema_id)
        number = writer.topic(
            channel.topic,
            schema.name if schema else "",
            schema.data if schema else b"{}",
            told=channel.metadata,
        )
        writer.write(number, message.data, seq=message.sequence, sent=message.sent, received=message.received)
        done.messages += 1


def _gap(reader: LogReader, start: int, end: int) -> str:
    size = end - start
    if end == reader.size:
        return f"the last {size} bytes: what was being written when it ended"
    return f"{size} bytes from byte {start} on, which are no record"
