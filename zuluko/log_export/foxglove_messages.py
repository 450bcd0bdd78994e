"""Our messages as Foxglove's: a function a pair, and the table of them. Needs foxglove-sdk.

Foxglove's images, like ours, count pixels from the top left corner; its frames and units are ours, too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from foxglove import messages as fox

from zuluko import messages as zk
from zuluko.bus.message import Message
from zuluko.log_export.lines import Line, named
from zuluko.log_export.pictures import Picture
from zuluko.log_export.ros import turned

KNOWN, STRANGER = fox.Color(r=0.2, g=0.85, b=0.3, a=1.0), fox.Color(r=1.0, g=0.6, b=0.1, a=1.0)
SHADE = fox.Color(r=0.0, g=0.0, b=0.0, a=0.6)
LEVELS = {
    "debug": fox.LogLevel.Debug,
    "info": fox.LogLevel.Info,
    "warning": fox.LogLevel.Warning,
    "error": fox.LogLevel.Error,
}


class Drawn(NamedTuple):
    """A type that Foxglove has a schema for; it is shown on the topic itself where the schema holds all that
    the message does, and else beside it, ``<topic>/<beside>``."""

    kind: type[Message]
    beside: str
    make: Callable[[Any], Any]


def time(ns: int) -> fox.Timestamp:
    seconds, rest = divmod(max(0, ns), 10**9)
    return fox.Timestamp(sec=min(seconds, (1 << 32) - 1), nsec=rest)


def picture(found: Picture, topic: str, stamp: int) -> Any:
    if found.jpeg:
        return fox.CompressedImage(timestamp=time(stamp), frame_id=topic, data=found.jpeg, format="jpeg")
    return fox.RawImage(
        timestamp=time(stamp),
        frame_id=topic,
        width=found.width,
        height=found.height,
        encoding=found.encoding,
        step=found.step,
        data=found.array.tobytes(),
    )


def faces(message: zk.Faces) -> fox.ImageAnnotations:
    """A box, five points and a name for each face."""
    boxes, points, names = [], [], []
    for face in message.items:
        x, y, width, height = face.box
        color = KNOWN if face.name else STRANGER
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        boxes.append(_points(message.stamp, fox.PointsAnnotationType.LineLoop, corners, color, 2))
        points.append(_points(message.stamp, fox.PointsAnnotationType.Points, face.landmarks, color, 4))
        names.append(
            fox.TextAnnotation(
                timestamp=time(message.stamp),
                position=fox.Point2(x=x, y=y - 4),
                text=named(face),
                font_size=max(12.0, height / 10),
                text_color=color,
                background_color=SHADE,
            )
        )
    return fox.ImageAnnotations(timestamp=time(message.stamp), points=boxes + points, texts=names)


def _points(
    stamp: int, kind: fox.PointsAnnotationType, points: Any, color: fox.Color, thickness: float
) -> fox.PointsAnnotation:
    return fox.PointsAnnotation(
        timestamp=time(stamp),
        type=kind,
        points=[fox.Point2(x=x, y=y) for x, y in points],
        outline_color=color,
        thickness=thickness,
    )


def line(told: Line, stamp: int, topic: str) -> fox.Log:
    return fox.Log(
        timestamp=time(stamp), level=LEVELS[told.level], name=told.name, message=told.text, file=topic
    )


def pose(message: zk.Pose | zk.Odometry) -> fox.PoseInFrame:
    return fox.PoseInFrame(
        timestamp=time(message.stamp),
        frame_id=message.frame,
        pose=_pose(message.position, message.orientation),
    )


def drive(message: zk.DriveState) -> fox.PoseInFrame:
    at = _pose(zk.Vector3(x=message.x, y=message.y), turned(message.yaw))
    return fox.PoseInFrame(timestamp=time(message.stamp), frame_id="odom", pose=at)


def transforms(message: zk.Transforms) -> fox.FrameTransforms:
    return fox.FrameTransforms(
        transforms=[
            fox.FrameTransform(
                timestamp=time(one.stamp or message.stamp),
                parent_frame_id=one.frame,
                child_frame_id=one.child_frame,
                translation=_vector(one.translation),
                rotation=_quaternion(one.rotation),
            )
            for one in message.items
        ]
    )


def scan(message: zk.LaserScan) -> fox.LaserScan:
    return fox.LaserScan(
        timestamp=time(message.stamp),
        frame_id=message.frame,
        pose=_pose(zk.Vector3(), zk.Quaternion()),
        start_angle=message.angle_min,
        end_angle=message.angle_max,
        ranges=message.ranges.tolist(),
        intensities=[] if message.intensities is None else message.intensities.tolist(),
    )


def grid(message: zk.Grid) -> fox.Grid:
    columns = message.cells.shape[1]
    return fox.Grid(
        timestamp=time(message.stamp),
        frame_id=message.frame,
        pose=_pose(message.origin, message.orientation),
        column_count=columns,
        cell_size=fox.Vector2(x=message.resolution, y=message.resolution),
        row_stride=columns,
        cell_stride=1,
        fields=[
            fox.PackedElementField(name="occupancy", offset=0, type=fox.PackedElementFieldNumericType.Int8)
        ],
        data=message.cells.tobytes(),
    )


def _pose(position: zk.Vector3, orientation: zk.Quaternion) -> fox.Pose:
    return fox.Pose(position=_vector(position), orientation=_quaternion(orientation))


def _vector(one: zk.Vector3) -> fox.Vector3:
    return fox.Vector3(x=one.x, y=one.y, z=one.z)


def _quaternion(one: zk.Quaternion) -> fox.Quaternion:
    return fox.Quaternion(x=one.x, y=one.y, z=one.z, w=one.w)


DRAWN = {
    "Faces/1": Drawn(zk.Faces, "boxes", faces),
    "Odometry/1": Drawn(zk.Odometry, "pose", pose),
    "Pose/1": Drawn(zk.Pose, "pose", pose),
    "DriveState/1": Drawn(zk.DriveState, "pose", drive),
    "Transforms/1": Drawn(zk.Transforms, "", transforms),
    "LaserScan/1": Drawn(zk.LaserScan, "", scan),
    "Grid/1": Drawn(zk.Grid, "", grid),
}
