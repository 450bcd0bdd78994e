"""ROS 2 bags: MCAP and SQLite files (db3), one of them or a folder of several."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import yaml
from mcap.opcode import Opcode
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
from rosbags.typesys.msg import normalize_msgtype

from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_records import HEAD, MAGIC, DamagedError, Logged, logged
from zuluko.bus.log_writer import LogError
from zuluko.log_import.guard import guarded
from zuluko.log_import.ros import ros_types
from zuluko.log_import.source import Channel, Heard, Source, SourceError

LARGEST_METADATA = 4 << 20  # bytes
SQLITE = b"SQLite format 3\0"
WHAT = "a ROS 2 bag"
ROS = {"cdr": 2, "ros1": 1}  # by a channel's message encoding


def bag(path: Path) -> Source:
    """A bag in a file or a folder. Raises SourceError for what is none."""
    if path.is_dir():
        return _folder(path)
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE)) == SQLITE:
                return _Rosbags(path, Sqlite3Reader(path))
        return _Mcap(path, LogReader(path))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    except LogError as error:
        raise SourceError(str(error)) from None


def _folder(path: Path) -> Source:
    """The files of a folder, one after the other; packed ones by what ``metadata.yaml`` says of them."""
    if _is_packed(path / "metadata.yaml"):
        return _Rosbags(path, Reader(path))
    files = [one for one in path.iterdir() if one.suffix in (".mcap", ".db3")]
    if not files:
        raise SourceError(f"{path} has no .mcap and no .db3 file")
    return _Parts(path, sorted(files, key=_natural))


def _is_packed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            told = yaml.safe_load(file.read(LARGEST_METADATA))
        mode = told["rosbag2_bagfile_information"].get("compression_mode")
    except FileNotFoundError:  # the recording was killed
        return False
    except (
        OSError,
        yaml.YAMLError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise SourceError(f"{path} cannot be read: {words[0]}") from None
    return str(mode or "none").lower() != "none"


def _natural(path: Path) -> list[tuple[int, str]]:
    """bag_2 before bag_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


class _Mcap:
    """An MCAP file with our own reader: it believes no length, holds some chunks at most, and reads a file
    whose end is missing."""

    what = WHAT

    def __init__(self, path: Path, reader: LogReader) -> None:
        self._reader, self._types = reader, ros_types()
        self._ros: dict[int, int] = {}  # of each channel, whether it is ROS 1 or 2
        self.told = {"imported": {"from": path.name, "as": WHAT}}
        try:
            self._channels = self._look()
        except BaseException:
            reader.close()
            raise
        self.channels = list(dict.fromkeys(self._channels.values()))

    def _look(self) -> dict[int, Channel]:
        """The channels by number; those of one topic and type are one."""
        contents = self._reader.contents
        for place in () if contents.whole else contents.places:  # channels are told of among the messages
            with suppress(DamagedError):
                self._reader.unpack(place)
        counts = contents.statistics.channel_message_counts if contents.statistics else None
        alike: dict[tuple[str, str, str], list[int]] = {}
        for number, one in sorted(contents.channels.items()):
            schema = contents.schemas.get(one.schema_id)
            kind = normalize_msgtype(schema.name) if schema else "?"
            alike.setdefault((one.topic, kind, one.message_encoding), []).append(number)
        found: dict[int, Channel] = {}
        for (topic, kind, encoding), numbers in alike.items():
            count = None if counts is None else sum(counts.get(number, 0) for number in numbers)
            found.update(dict.fromkeys(numbers, self._channel(topic, kind, encoding, count)))
            self._ros.update(dict.fromkeys(numbers, ROS.get(encoding, 2)))
        return found

    def _channel(self, topic: str, kind: str, encoding: str, count: int | None) -> Channel:
        if encoding == "msgpack":
            raise SourceError(f"{self._reader.path} is a log of Zuluko already")
        if encoding not in ROS:
            why = f"its messages are encoded as `{encoding:.20}`, and not as ROS does"
            return Channel(topic, kind, why_not=why, count=count)
        return self._types.channel(topic, kind, digest="", ros=ROS[encoding], count=count)

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        topics = {one.topic for one in channels}
        try:
            for message in self._logged(topics):
                channel = self._channels.get(message.channel)
                if channel is None or channel not in channels:
                    continue
                ros = self._ros[message.channel]
                made = self._types.message(channel, message.received, message.data, ros=ros)
                yield Heard(channel, message.received, made)
        except (LogError, DamagedError) as error:
            what = (
                f"{self._reader.path}: a message {error}" if isinstance(error, DamagedError) else str(error)
            )
            raise SourceError(what) from None
        if not self._reader.whole:
            raise SourceError(f"{self._reader.path} has no end; what it has up to there is kept")

    def _logged(self, topics: set[str]) -> Iterator[Logged]:
        """The messages of some topics, in order; of a file without chunks, as rosbag2's `fastwrite` makes
        them, all of them as they come."""
        if self._reader.contents.places:
            yield from (message for _, message in self._reader.messages(topics))
            return
        offset = len(MAGIC)
        while (record := self._reader.record_at(offset)) and record[0] != Opcode.DATA_END:
            opcode, length = record
            if opcode == Opcode.MESSAGE:
                yield logged(self._reader.bytes_at(offset + HEAD.size, length - HEAD.size))
            offset += length

    def close(self) -> None:
        self._reader.close()


class _Rosbags:
    """A bag with a reader of rosbags."""

    what = WHAT

    def __init__(self, path: Path, reader: Any) -> None:
        self._path, self._reader, self._types = path, reader, ros_types()
        with guarded(path, WHAT):
            reader.open()
        self.told = {"imported": {"from": path.name, "as": WHAT}}
        alike: dict[tuple[str, str], list[Channel]] = {}
        keys = {one.id: (one.topic, normalize_msgtype(one.msgtype)) for one in reader.connections}
        for one in reader.connections:
            digest = one.digest if one.digest.startswith("RIHS01_") else ""
            channel = self._types.channel(*keys[one.id], digest=digest, ros=2, count=one.msgcount)
            alike.setdefault(keys[one.id], []).append(channel)
        whole = {key: _sum(same) for key, same in alike.items()}
        self._channels = {number: whole[key] for number, key in keys.items()}
        self.channels = list(whole.values())

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        wanted = [one for one in self._reader.connections if self._channels[one.id] in channels]
        with guarded(self._path, WHAT, "what came before is kept"):
            for connection, received, data in self._reader.messages(wanted):
                channel = self._channels[connection.id]
                yield Heard(channel, received, self._types.message(channel, received, data, ros=2))

    def close(self) -> None:
        self._reader.close()


class _Parts:
    """The files of a bag that was split, each opened when it is its turn. A topic is the same in all, and
    what is wrong with one of them is told after the others."""

    what = WHAT

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.told: Mapping[str, Mapping[str, str]] = {"imported": {"from": path.name, "as": WHAT}}
        self._files: list[Path] = []
        self._faults: list[SourceError] = []
        alike: dict[tuple[str, str], list[Channel]] = {}
        for file in files:
            try:
                with closing(bag(file)) as part:
                    self._files.append(file)
                    for one in part.channels:
                        alike.setdefault((one.topic, one.kind), []).append(one)
            except SourceError as error:
                self._faults.append(error)
        if not self._files:
            raise self._faults[0]
        self.channels = [_sum(same) for same in alike.values()]

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        whole = {(one.topic, one.kind): one for one in channels}
        for file in self._files:
            try:
                with closing(bag(file)) as part:
                    wanted = [one for one in part.channels if (one.topic, one.kind) in whole]
                    for heard in part.messages(wanted):
                        yield heard._replace(channel=whole[heard.channel.topic, heard.channel.kind])
            except SourceError as error:
                self._faults.append(error)
        if self._faults:
            raise self._faults[0]

    def close(self) -> None:
        """Every part closes itself."""


def _sum(same: list[Channel]) -> Channel:
    counts = [one.count for one in same if one.count is not None]
    return Channel(
        same[0].topic,
        same[0].kind,
        same[0].becomes,
        same[0].why_not,
        sum(counts) if len(counts) == len(same) else None,
    )
