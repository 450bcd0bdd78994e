"""Logs from logs: a part of one, several made one; and what a log holds, in figures."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge as merged
from pathlib import Path

from mcap.opcode import Opcode

from zuluko.bus.log_reader import LogReader, Place
from zuluko.bus.log_records import HEAD, DamagedError, Logged
from zuluko.bus.log_writer import LogWriter


@dataclass
class Pace:
    """The messages of one topic: log times in ns, and the longest silence with the time at which it began."""

    count: int = 0
    first: int = 0
    last: int = 0
    gap: int = 0
    gap_at: int = 0

    def add(self, times: Iterable[int]) -> None:
        for time in times:
            if self.count and time - self.last > self.gap:
                self.gap, self.gap_at = time - self.last, self.last
            self.first = min(self.first, time) if self.count else time
            self.last = max(self.last, time)
            self.count += 1

    @property
    def rate(self) -> float:
        """Messages a second; 0 of one message."""
        return (self.count - 1) * 1e9 / (self.last - self.first) if self.last > self.first else 0.0


def paces(reader: LogReader) -> dict[str, Pace]:
    """The figures of each topic, from the index beside each chunk, so that no picture is read."""
    found = {topic: Pace() for topic in reader.topics}
    for place in sorted(reader.contents.places):
        for channel, times in _times(reader, place):
            if (known := reader.contents.channels.get(channel)) is not None:
                found.setdefault(known.topic, Pace()).add(sorted(times))
    return found


def _times(reader: LogReader, place: Place) -> Iterator[tuple[int, Sequence[int]]]:
    """The log times of a chunk's messages by channel; from the chunk itself where no index follows it."""
    offset, indexed = place.offset + place.length, False
    while (record := reader.record_at(offset)) is not None and record[0] == Opcode.MESSAGE_INDEX:
        body = reader.bytes_at(offset + HEAD.size, record[1] - HEAD.size)
        if len(body) % 16 != 6:
            break
        indexed = True
        yield struct.unpack_from("<H", body)[0], struct.unpack(f"<{(len(body) - 6) // 8}Q", body[6:])[::2]
        offset += record[1]
    if not indexed:
        try:
            messages = reader.unpack(place).messages
        except DamagedError:
            return
        for message in messages:
            yield message.channel, (message.received,)


def write(
    readers: Sequence[LogReader],
    target: Path,
    *,
    topics: Iterable[str] | None = None,
    start: int | None = None,
    end: int | None = None,
) -> int:
    """A new log of the messages of others, in log time order, with what those tell of themselves; how many
    there are. Log times are from ``start`` to before ``end``, in ns."""
    names = None if topics is None else list(topics)
    count = 0
    with LogWriter(target) as writer:
        for reader in readers:
            for name, told in reader.told.items():
                writer.tell(name, told)
        streams = [_from(reader, names, start, end) for reader in readers]
        for _, reader, topic, message in merged(*streams, key=lambda one: one[0]):
            channel = reader.contents.channels[message.channel]
            schema = reader.contents.schemas.get(channel.schema_id)
            number = writer.topic(
                topic,
                schema.name if schema else "",
                schema.data if schema else b"{}",
                told=channel.metadata,
            )
            writer.write(
                number, message.data, seq=message.sequence, sent=message.sent, received=message.received
            )
            count += 1
    return count


def _from(
    reader: LogReader, topics: list[str] | None, start: int | None, end: int | None
) -> Iterator[tuple[int, LogReader, str, Logged]]:
    for topic, message in reader.messages(topics, start, end):
        yield message.received, reader, topic, message


def faults(reader: LogReader) -> list[str]:
    """What is wrong with a log, each a sentence: every chunk is unpacked, every checksum compared, and the
    index held against what is there."""
    found = [] if reader.whole else [f"it has no index: it ends at byte {reader.contents.torn}"]
    count = 0
    for place in reader.contents.places:
        try:
            messages = reader.unpack(place).messages
        except DamagedError as error:
            found.append(f"the chunk at byte {place.offset} {error}")
            continue
        count += len(messages)
        times = [message.received for message in messages]
        if times and (min(times), max(times)) != (place.start, place.end):
            found.append(f"the chunk at byte {place.offset} has messages of other times than the index says")
        if any(message.channel not in reader.contents.channels for message in messages):
            found.append(f"the chunk at byte {place.offset} has messages of a channel that nothing tells of")
    told = reader.contents.statistics
    if told and not found and told.message_count != count:
        found.append(f"it has {count} messages, and its statistics say {told.message_count}")
    return found
