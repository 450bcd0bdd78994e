"""A log for ROS, without ROS: a bag of ROS 1 or a folder of ROS 2, with an MCAP file in it, by rosbags."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zuluko.bus.log_writer import LogError
from zuluko.bus.wire import WireError
from zuluko.log_export import plain_json, ros
from zuluko.log_export.part import Item, Part
from zuluko.log_export.pictures import FRAME, shown, topic_of
from zuluko.log_export.whole import whole
from zuluko.messages import Transforms

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

METADATA_VERSION: Literal[8] = 8  # of a ROS 2 bag; Humble reads it, and all that came after
TF = "geometry_msgs/TransformStamped[] transforms\n"  # tf2_msgs/TFMessage, which rosbags lacks for ROS 1


def to_ros1(part: Part, target: Path) -> Iterator[str]:
    """Writes a bag; yields what is to be said. Raises LogError where rosbags is not installed."""
    stores, _ = _library()
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import get_types_from_msg

    class Bag(Writer):
        def write_chunk(self, chunk: Any) -> None:
            """Of what was written only the counts are kept, all that the index needs; the rest would grow."""
            super().write_chunk(chunk)
            for number, times in chunk.connections.items():
                chunk.connections[number] = range(len(times))

    store = stores("ros1_noetic")
    store.register(get_types_from_msg(TF, "tf2_msgs/msg/TFMessage"))
    with whole(target) as place:
        bag = Bag(place)
        bag.set_compression(Writer.CompressionFormat.LZ4)
        with bag:
            export = _Export(part, store, bag, store.serialize_ros1, {})
            export.all()
    yield from export.told(target)


def to_ros2(part: Part, target: Path) -> Iterator[str]:
    """Writes a folder with metadata.yaml; otherwise as ``to_ros1``."""
    stores, qos = _library()
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    store = stores("ros2_humble")
    with whole(target) as place:
        place.mkdir()
        bag = Writer(place / target.name, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
        bag.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with bag:
            export = _Export(part, store, bag, store.serialize_cdr, {"/tf_static": [qos]})
            export.all()
        _lift(place)
    yield from export.told(target)


def _lift(folder: Path) -> None:
    """Moves what a folder's only folder holds into it: a bag's file bears the name of its folder."""
    (inner,) = folder.iterdir()
    for file in [*inner.iterdir()]:
        file.rename(folder / file.name)
    inner.rmdir()


def _library() -> tuple[Callable[[str], "Typestore"], Any]:
    """What gives the types of a ROS, and how a topic is kept whose last message every reader needs."""
    try:
        from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise LogError("ROS's bags need rosbags; run: pip install 'zuluko[ros]'") from None
    for_ever = QosTime(0x7FFFFFFF, 0xFFFFFFFF)
    kept = Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        for_ever,
        for_ever,
        QosLiveliness.AUTOMATIC,
        for_ever,
        False,
    )
    return lambda name: get_typestore(Stores(name)), kept


class _Export:
    """Writes each message of a log as ROS's; what ROS has no type for as a String of JSON."""

    def __init__(
        self,
        part: Part,
        store: "Typestore",
        bag: Any,
        serialize: Callable[[Any, str], Any],
        qos: dict[str, Any],
    ) -> None:
        self._part, self._store, self._bag, self._serialize, self._qos = part, store, bag, serialize, qos
        self._types = ros.Types(store.types)
        self._names: dict[str, str] = {}  # ROS's by ours
        self._connections: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()

    def all(self) -> None:
        for item in self._part:
            self.put(item)

    def put(self, item: Item) -> None:
        pair = ros.PAIRS.get(item.kind)
        if item.kind == "Transforms/1":
            if told := self._part.typed(item, Transforms):
                for topic, made in ros.tf(told, self._types):
                    self._write(item, topic, made)
        elif pair:
            if message := self._part.typed(item, pair.kind):
                self._write(item, self._name(item.topic), pair.make(message, self._types))
        elif item.kind != FRAME:
            self._json(item)
        self._pictures(item)

    def _json(self, item: Item) -> None:
        try:
            text = plain_json.encode(item.body).decode()
        except (ValueError, TypeError, RecursionError) as error:
            self._part.leave_out(item.topic, error)
            return
        self._write(item, self._name(item.topic), self._types("std_msgs/msg/String", text))

    def _pictures(self, item: Item) -> None:
        stamp = item.body.get("stamp")
        try:
            for found in shown(self._part, item):
                topic = topic_of(item.topic, item.kind, found)
                stamp = stamp if isinstance(stamp, int) else item.received
                made = ros.picture(found, stamp, topic, self._types)
                self._write(item, self._name(topic) + ("/compressed" if found.jpeg else ""), made)
        except WireError as error:
            self._part.leave_out(item.topic, error)

    def _name(self, topic: str) -> str:
        """ROS's name of a topic; two of ours never share one."""
        if topic not in self._names:
            name = ros.topic_name(topic)
            while name in self._names.values():
                name += "_"
            self._names[topic] = name
        return self._names[topic]

    def _write(self, item: Item, topic: str, message: Any) -> None:
        kind: str = message.__msgtype__
        known = self._connections.get(topic)
        if known and known.msgtype != kind:  # such as poses that had no covariance before
            topic = f"{topic}/{kind.rpartition('/')[2].lower()}"
        if topic not in self._connections:
            options = {"offered_qos_profiles": self._qos[topic]} if topic in self._qos else {}
            self._connections[topic] = self._bag.add_connection(topic, kind, typestore=self._store, **options)
        try:
            data = self._serialize(message, kind)
        except (struct.error, OverflowError, ValueError) as error:
            self._part.leave_out(item.topic, error)
            return
        self._bag.write(self._connections[topic], ros.clamped(item.received), data)
        self.counts[topic] += 1

    def told(self, target: Path) -> Iterator[str]:
        yield f"{target}: {self.counts.total()} messages on {len(self.counts)} topics"
        width = max(map(len, self.counts), default=0)
        for topic in sorted(self.counts):
            yield f"  {topic:<{width}}  {self._connections[topic].msgtype}"
