"""Folders of recordings in the forms of two well-known sets: EuRoC's MAV recordings and TUM's RGB-D ones."""

import heapq
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from zuluko.bus.message import Message
from zuluko.log_import import picture
from zuluko.log_import.imu_table import UNTOLD, ImuTable, Units
from zuluko.log_import.source import Channel, Heard, SourceError, UnfitError
from zuluko.log_import.table import Row, rows
from zuluko.messages import Frame, Imu, Pose, Quaternion, Transform, Transforms, Vector3

LARGEST_SENSOR = 1 << 20  # bytes of a sensor.yaml

Make = Callable[[Row], Message]


class Folder:
    """Tables whose lines are messages, each a topic, merged by time; ``extrinsics`` come before all
    others."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        self.channels: list[Channel] = []
        self.told: dict[str, Mapping[str, str]] = {"imported": {"from": path.name, "as": what}}
        self.extrinsics: list[Transform] = []
        self._streams: dict[Channel, Callable[[], Iterator[Heard]]] = {}

    def add(self, topic: str, file: Path, becomes: type[Message], unit: str, make: Make) -> None:
        """A table of which each line has its time, in the unit, in the first column."""
        channel = Channel(topic, file.relative_to(self.path).as_posix(), becomes)
        self._put(channel, lambda: _heard(channel, file, unit, make))

    def add_imu(self, topic: str, file: Path, frame: str) -> None:
        table = ImuTable(file, units=Units(time="ns"), topic=topic, frame=frame)
        channel = Channel(topic, file.relative_to(self.path).as_posix(), Imu)
        self._put(channel, lambda: (one._replace(channel=channel) for one in table.messages(table.channels)))

    def leave_out(self, topic: str, file: Path, why: str) -> None:
        self.channels.append(Channel(topic, file.relative_to(self.path).as_posix(), why_not=why))

    def _put(self, channel: Channel, stream: Callable[[], Iterator[Heard]]) -> None:
        self.channels.append(channel)
        self._streams[channel] = stream

    def close_extrinsics(self) -> None:
        """Makes a topic of what the sensors' files say of where they stand."""
        if self.extrinsics:
            self.channels.append(Channel("tf_static", "sensor.yaml", Transforms))

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        faults: list[SourceError] = []
        streams = [_until(make(), faults) for channel, make in self._streams.items() if channel in channels]
        static = next((one for one in channels if one.becomes is Transforms), None)
        for heard in heapq.merge(*streams, key=lambda one: one.received):
            if static:  # with the first, since only that has a time
                transforms = Transforms(stamp=heard.received, items=tuple(self.extrinsics))
                yield Heard(static, heard.received, transforms)
                static = None
            yield heard
        if faults:
            raise faults[0]

    def close(self) -> None:
        """It holds nothing open."""


def _until(stream: Iterator[Heard], faults: list[SourceError]) -> Iterator[Heard]:
    """A table up to what is wrong in it, which is told when the others have been read, too."""
    try:
        yield from stream
    except SourceError as error:
        faults.append(error)


def _heard(channel: Channel, file: Path, unit: str, make: Make) -> Iterator[Heard]:
    last = 0
    for row in rows(file):
        at = row.time(0, unit)
        last = max(last, at)
        try:
            yield Heard(channel, last, make(row))
        except UnfitError as error:
            yield Heard(channel, last, error)


def euroc(path: Path) -> Folder:
    """EuRoC's form: in ``mav0`` a folder for each sensor, with ``data.csv`` and ``sensor.yaml``.

    https://projects.asl.ethz.ch/datasets/doku.php?id=kmavvisualinertialdatasets
    """
    found = Folder(path, "a EuRoC folder")
    root = path / "mav0" if (path / "mav0").is_dir() else path
    for sensor in sorted(one for one in root.iterdir() if (one / "data.csv").is_file()):
        _add_sensor(found, sensor)
    found.close_extrinsics()
    return found


def _add_sensor(found: Folder, sensor: Path) -> None:
    name, file = sensor.name, sensor / "data.csv"
    if name.startswith("cam"):
        found.add(name, file, Frame, "ns", lambda row: _frame(row, 0, sensor / "data", 1, "ns"))
    elif name.startswith("imu"):
        found.add_imu(name, file, name)
    elif name.startswith("state_groundtruth"):
        found.add("groundtruth", file, Pose, "ns", lambda row: _pose(row, "ns", turned="wxyz"))
    elif name.startswith(("vicon", "mocap")):
        found.add(name, file, Pose, "ns", lambda row: _pose(row, "ns", turned="wxyz"))
    else:
        found.leave_out(name, file, "no standard message holds it")
        return
    _add_extrinsics(found, sensor)


def _add_extrinsics(found: Folder, sensor: Path) -> None:
    """What ``sensor.yaml`` says of where the sensor stands (T_BS), and all of its text for the log to
    keep."""
    file = sensor / "sensor.yaml"
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_SENSOR).decode()
        told: Any = yaml.safe_load(text)
        numbers = [float(number) for number in told["T_BS"]["data"]]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, RecursionError):
        return
    found.told[f"sensor {sensor.name}"] = {"sensor.yaml": text}
    rotation = [numbers[0:3], numbers[4:7], numbers[8:11]]
    if len(numbers) == 16 and all(map(math.isfinite, numbers)) and _is_rotation(rotation):
        found.extrinsics.append(
            Transform(
                frame="body",
                child_frame=sensor.name,
                translation=Vector3(x=numbers[3], y=numbers[7], z=numbers[11]),
                rotation=quaternion(rotation),
            )
        )


def _is_rotation(rows: list[list[float]]) -> bool:
    matrix = np.array(rows)
    return bool(np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3) and np.linalg.det(matrix) > 0)


def tum(path: Path) -> Folder:
    """TUM's form: ``rgb.txt`` and ``depth.txt`` name pictures, ``groundtruth.txt`` and ``accelerometer.txt``
    hold numbers; times in seconds. https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats"""
    found = Folder(path, "a TUM RGB-D folder")
    for name in ("rgb", "gray"):
        if (file := path / f"{name}.txt").is_file():
            found.add(name, file, Frame, "s", lambda row: _frame(row, 0, path, 1, "s"))
    if (file := path / "depth.txt").is_file():
        found.leave_out("depth", file, "they are depth pictures, and no standard message holds them")
    if (file := path / "groundtruth.txt").is_file():
        found.add("groundtruth", file, Pose, "s", lambda row: _pose(row, "s", turned="xyzw"))
    if (file := path / "accelerometer.txt").is_file():
        found.add("accelerometer", file, Imu, "s", _accelerometer)
    return found


def _frame(row: Row, time: int, folder: Path, name: int, unit: str) -> Frame:
    """The picture that a line names; a name that leads out of the folder is none."""
    named = PurePosixPath(row.text(name))
    if named.is_absolute() or ".." in named.parts or not named.name:
        raise UnfitError("its file's name leads out of the folder")
    image: Any = picture.file(folder / named)
    return Frame(stamp=row.time(time, unit), image=image)


def _pose(row: Row, unit: str, *, turned: str) -> Pose:
    x, y, z, *rotation = row.numbers(1, 7)
    return Pose(
        stamp=row.time(0, unit),
        position=Vector3(x=x, y=y, z=z),
        orientation=Quaternion(**dict(zip(turned, rotation, strict=True))),
        frame="world",
    )


def _accelerometer(row: Row) -> Imu:
    x, y, z = row.numbers(1, 3)
    return Imu(
        stamp=row.time(0, "s"),
        angular_velocity=Vector3(),
        linear_acceleration=Vector3(x=x, y=y, z=z),
        angular_velocity_covariance=UNTOLD,
        frame="camera",
    )


def quaternion(rows: list[list[float]]) -> Quaternion:
    """A rotation matrix as a quaternion, by the largest of its four (Shepperd, J. Guidance and Control 1(3),
    1978)."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    squares = {"w": a + e + i, "x": a - e - i, "y": e - a - i, "z": i - a - e}
    most = max(squares, key=lambda name: squares[name])
    root = math.sqrt(1.0 + squares[most])
    half = 0.5 / root
    parts = {
        "w": {"w": 0.5 * root, "x": (h - f) * half, "y": (c - g) * half, "z": (d - b) * half},
        "x": {"w": (h - f) * half, "x": 0.5 * root, "y": (b + d) * half, "z": (c + g) * half},
        "y": {"w": (c - g) * half, "x": (b + d) * half, "y": 0.5 * root, "z": (f + h) * half},
        "z": {"w": (d - b) * half, "x": (c + g) * half, "y": (f + h) * half, "z": 0.5 * root},
    }
    return Quaternion(**parts[most])
