"""Small ROS bags, made by rosbags' own writers."""

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

ONE, TWO = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_HUMBLE)
for name in ("tf/msg/tfMessage", "tf2_msgs/msg/TFMessage"):
    ONE.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", name))

SECOND = 10**9
BEGIN = 1_700_000_000 * SECOND
FORMS = ["ros1", "ros1-bz2", "ros1-lz4", "mcap", "mcap-zstd", "db3", "db3-file", "db3-message"]

Said = tuple[str, Any, int]  # a topic, a message, and when it was received (ns)


class Types:
    """The types of ROS 1 or 2: ``types.Imu(...)``, with what is not given zero."""

    def __init__(self, form: str) -> None:
        self.store = ONE if form.startswith("ros1") else TWO
        names = [
            name for name in self.store.types if name == "std_msgs/msg/Header" or not name.startswith("std_")
        ]
        self._names = {name.rpartition("/")[2]: name for name in names}

    def __getattr__(self, name: str) -> Any:
        return lambda **given: self._make(self._names[name], given)

    def header(self, at: int, frame: str = "") -> Any:
        return self.Header(stamp=self.Time(sec=at // SECOND, nanosec=at % SECOND), frame_id=frame)

    def _make(self, kind: str, given: dict[str, Any]) -> Any:
        fields = {name: self._zero(form) for name, form in self.store.fielddefs[kind][1] if name not in given}
        return self.store.types[kind](**fields, **given)

    def _zero(self, form: Any) -> Any:
        """A field's zero; ``form`` is rosbags' description: 1 a number or a text, 2 a message, 3 an array of
        a length, 4 one of any."""
        kind, rest = int(form[0]), form[1]
        if kind == 2:
            return self._make(rest, {})
        if kind == 1:
            return {"string": "", "bool": False}.get(rest[0], 0)
        (inner, what), length = rest
        if int(inner) == 2 or what[0] == "string":
            return []
        return np.zeros(length if kind == 3 else 0, what[0])


def bag(folder: Path, form: str, said: list[Said], publishers: int = 1) -> Path:
    """Writes a bag of one of FORMS and gives what is to be imported: a file, or the folder of one. Each
    topic is said by so many publishers, one after the other."""
    if form.startswith("ros1"):
        return _bag1(folder / "a.bag", form, said, publishers)
    path = folder / "bag"
    plugin = StoragePlugin.MCAP if form.startswith("mcap") else StoragePlugin.SQLITE3
    writer = Writer2(path, version=9, storage_plugin=plugin)
    modes = {"mcap-zstd": "STORAGE", "db3-file": "FILE", "db3-message": "MESSAGE"}
    if form in modes:
        writer.set_compression(CompressionMode[modes[form]], CompressionFormat.ZSTD)
    with writer:
        channels: dict[Any, Any] = {}
        for number, (topic, message, received) in enumerate(said):
            kind = message.__msgtype__
            key = (topic, kind, number % publishers)
            if key not in channels:
                quality = [_quality(number % publishers + 1)]  # of another depth, or rosbags would refuse it
                channels[key] = writer.add_connection(
                    topic, kind, typestore=TWO, offered_qos_profiles=quality
                )
            writer.write(channels[key], received, TWO.serialize_cdr(message, kind))
    return path


def _quality(depth: int) -> Qos:
    none = QosTime(0, 0)
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, QosDurability.VOLATILE, none, none,
        QosLiveliness.AUTOMATIC, none, False,
    )  # fmt: skip


def _bag1(path: Path, form: str, said: list[Said], publishers: int) -> Path:
    writer = Writer1(path)
    if form != "ros1":
        writer.set_compression(Writer1.CompressionFormat[form.rpartition("-")[2].upper()])
    with writer:
        channels: dict[Any, Any] = {}
        for number, (topic, message, received) in enumerate(said):
            kind = message.__msgtype__
            key = (topic, kind, number % publishers)
            if key not in channels:
                who = f"/node{number % publishers}"
                channels[key] = writer.add_connection(topic, kind, typestore=ONE, callerid=who)
            writer.write(channels[key], received, ONE.serialize_ros1(message, kind))
    return path
