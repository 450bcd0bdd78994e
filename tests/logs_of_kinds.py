"""A log with a message of each kind that others can show, and the messages that are in it."""

from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from zuluko import Array, Message
from zuluko.bus.log_schema import encode
from zuluko.bus.log_tap import with_jpeg
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.message import tag
from zuluko.bus.topics import schema
from zuluko.bus.wire import Encoder
from zuluko.messages import (
    Clause,
    Decision,
    DriveCommand,
    DriveState,
    Face,
    Faces,
    Frame,
    Grid,
    Imu,
    LaserScan,
    LockState,
    Odometry,
    Pose,
    Quaternion,
    Transform,
    Transforms,
    Twist,
    Vector3,
)

SECOND = 10**9
BEGIN = 1_800_000_000 * SECOND  # log time of the first message
HALF = Quaternion(z=0.6, w=0.8)
SHORT = (0.25, -0.5, 1.5)
COVARIANCE = tuple(float(number) for number in range(36))


class Depth(Message, tag="Depth/1"):
    """Ours, as a user would define it.

    ``far``      mm from the camera
    ``nearest``  metres, to the left, ahead and to the right
    """

    far: Annotated[np.ndarray, Array("<u2", (None, None))]
    nearest: Annotated[np.ndarray, Array("<f4", (3,))]
    note: str | None = None


def image(number: int, height: int = 60, width: int = 80) -> np.ndarray[Any, Any]:
    """Blue, green and red from corner to corner, brighter from picture to picture."""
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    return np.stack([across, down, np.full_like(down, 10 * number)], axis=2).astype("u1")


def face(name: str = "ana", similarity: float = 0.75) -> Face:
    marks = ((12.0, 14.0), (18.0, 14.0), (15.0, 18.0), (12.0, 22.0), (18.0, 22.0))
    return Face(box=(10.0, 8.0, 12.0, 20.0), landmarks=marks, score=0.9, name=name, similarity=similarity)


def a_scan(**more: Any) -> LaserScan:
    ranges = np.array([1.0, np.inf, 0.5, np.nan], "<f4")
    return LaserScan(ranges=ranges, angle_min=-1.5, angle_max=1.5, angle_increment=1.0, range_max=8.0, **more)


MESSAGES: dict[str, list[Message]] = {
    "camera": [Frame(image=image(number), scene="owner") for number in range(6)],
    "faces": [Faces(items=(face(), face("", 0.2))[:number], size=(80, 60)) for number in (0, 1, 2)],
    "imu": [
        Imu(
            angular_velocity=Vector3(x=0.5, z=-2.0),
            linear_acceleration=Vector3(z=9.81),
            frame="chip",
            angular_velocity_covariance=COVARIANCE[:9],
        ),
        Imu(angular_velocity=Vector3(), linear_acceleration=Vector3(z=float("nan")), orientation=HALF),
    ],
    "odometry": [
        Odometry(
            position=Vector3(x=1.0, y=2.0),
            orientation=HALF,
            linear=Vector3(x=0.5),
            angular=Vector3(z=0.25),
            pose_covariance=COVARIANCE,
        )
    ],
    "pose": [
        Pose(position=Vector3(x=3.0), orientation=HALF),
        Pose(position=Vector3(y=4.0), covariance=COVARIANCE),
    ],
    "twist": [Twist(linear=Vector3(x=0.5), angular=Vector3(z=-0.5))],
    "tf": [
        Transforms(
            items=(
                Transform(frame="odom", child_frame="base_link", translation=Vector3(x=5.0), stamp=BEGIN + 7),
                Transform(frame="base_link", child_frame="laser", translation=Vector3(z=0.2), rotation=HALF),
            )
        )
    ],
    "scan": [a_scan(), a_scan(intensities=np.array([1, 2, 3, 4], "<f4"))],
    "map": [
        Grid(cells=np.array([[0, 100, -1], [50, 0, 0]], "i1"), resolution=0.05, origin=Vector3(x=-1.0))
    ],
    "drive": [DriveState(state="moving", linear=0.5, x=1.0, yaw=np.pi, reason="follow")],
    "rules.drive_command": [DriveCommand(id="1", linear=0.5, angular=-0.25, reason="follow")],
    "lock": [
        LockState(state="locked", reason="start"),
        LockState(state="locked", reason="start"),
        LockState(state="unlocked", reason="unlock"),
        LockState(state="locked", reason="refused: too old"),
    ],
    "rules.decision": [
        Decision(rule="unlock", outcome="false", reason="nobody is there"),
        Decision(
            rule="unlock",
            outcome="fired",
            reason="seen 5 of 5",
            clauses=(Clause(text="item.score > 0.8", verdict="true", values={"item.score": 0.9}),),
        ),
    ],
    "depth": [Depth(far=np.arange(80 * 60, dtype="<u2").reshape(60, 80), nearest=np.array(SHORT, "<f4"))],
}  # fmt: skip


def at(number: int) -> int:
    """Log time of the messages that come as the ``number``-th on their topics."""
    return BEGIN + number * SECOND // 2


def every_kind(path: Path, *, jpeg: bool = True) -> Path:
    """The messages above, two a second on each topic; they were sent 1 ms and grabbed 10 ms before."""
    encode_body = Encoder()
    with LogWriter(path) as writer:
        writer.tell("zuluko", {"graph": "everything"})
        for number in range(max(map(len, MESSAGES.values()))):
            for topic, messages in MESSAGES.items():
                if number >= len(messages):
                    continue
                kind = type(messages[number])
                channel = writer.topic(topic, tag(kind), encode(schema(kind)))
                fields = {name: getattr(messages[number], name) for name in kind.__struct_fields__}
                message = kind(**{**fields, "stamp": at(number) - 10_000_000})
                sent = at(number) - 1_000_000
                data = encode_body(message, seq=number, sent=sent)
                data = with_jpeg(data, 95) if jpeg and kind is Frame else data
                writer.write(channel, data, seq=number, sent=sent, received=at(number))
            writer.flush()
    return path


def decoded(jpeg: bytes) -> np.ndarray[Any, Any]:
    return cv2.imdecode(np.frombuffer(jpeg, "u1"), cv2.IMREAD_COLOR)
