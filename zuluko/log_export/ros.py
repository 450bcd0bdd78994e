"""Our messages as ROS's: a function a pair, and the table of them.

Axes, frames and units are the same (REP-103, REP-105), and so are ranges (REP-117). A covariance that is not
known is all zeros there; that of an orientation that is not estimated begins with -1 (sensor_msgs/Imu).
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from zuluko import messages as zk
from zuluko.bus.message import Message
from zuluko.log_export.pictures import Picture

LATEST = (1 << 31) - 1  # s that ROS's time can tell


class Types:
    """ROS's message classes; ``types`` are those of a rosbags typestore."""

    def __init__(self, types: Any) -> None:
        self._types = types
        self._has_seq = "seq" in types["std_msgs/msg/Header"].__annotations__  # in ROS 1

    def __call__(self, name: str, *values: Any) -> Any:
        """A message, its fields in ROS's order."""
        return self._types[name](*values)

    def header(self, stamp: int, frame: str) -> Any:
        seq = (0,) if self._has_seq else ()
        time = self("builtin_interfaces/msg/Time", *divmod(clamped(stamp), 10**9))
        return self("std_msgs/msg/Header", *seq, time, frame)

    def vector(self, one: zk.Vector3, name: str = "Vector3") -> Any:
        return self(f"geometry_msgs/msg/{name}", one.x, one.y, one.z)

    def quaternion(self, one: zk.Quaternion) -> Any:
        return self("geometry_msgs/msg/Quaternion", one.x, one.y, one.z, one.w)

    def pose(self, position: zk.Vector3, orientation: zk.Quaternion) -> Any:
        return self("geometry_msgs/msg/Pose", self.vector(position, "Point"), self.quaternion(orientation))

    def twist(self, linear: zk.Vector3, angular: zk.Vector3) -> Any:
        return self("geometry_msgs/msg/Twist", self.vector(linear), self.vector(angular))


def clamped(time: int) -> int:
    """A time in ns that ROS can tell."""
    return min(max(0, time), LATEST * 10**9)


def imu(message: zk.Imu, ros: Types) -> Any:
    unknown = (-1.0, *(0.0,) * 8)
    return ros(
        "sensor_msgs/msg/Imu",
        ros.header(message.stamp, message.frame),
        ros.quaternion(message.orientation or zk.Quaternion()),
        _covariance(message.orientation_covariance if message.orientation else unknown, 9),
        ros.vector(message.angular_velocity),
        _covariance(message.angular_velocity_covariance, 9),
        ros.vector(message.linear_acceleration),
        _covariance(message.linear_acceleration_covariance, 9),
    )


def odometry(message: zk.Odometry, ros: Types) -> Any:
    pose = ros.pose(message.position, message.orientation)
    twist = ros.twist(message.linear, message.angular)
    return ros(
        "nav_msgs/msg/Odometry",
        ros.header(message.stamp, message.frame),
        message.child_frame,
        ros("geometry_msgs/msg/PoseWithCovariance", pose, _covariance(message.pose_covariance, 36)),
        ros("geometry_msgs/msg/TwistWithCovariance", twist, _covariance(message.twist_covariance, 36)),
    )


def turned(yaw: float) -> zk.Quaternion:
    """A turn to the left, in radians."""
    half = yaw / 2 if math.isfinite(yaw) else math.nan
    return zk.Quaternion(z=math.sin(half), w=math.cos(half))


def drive_state(message: zk.DriveState, ros: Types) -> Any:
    told = zk.Odometry(
        stamp=message.stamp,
        position=zk.Vector3(x=message.x, y=message.y),
        orientation=turned(message.yaw),
        linear=zk.Vector3(x=message.linear),
        angular=zk.Vector3(z=message.angular),
    )
    return odometry(told, ros)


def pose(message: zk.Pose, ros: Types) -> Any:
    """With its covariance where that is known."""
    header = ros.header(message.stamp, message.frame)
    plain = ros.pose(message.position, message.orientation)
    if not message.covariance:
        return ros("geometry_msgs/msg/PoseStamped", header, plain)
    covariance = _covariance(message.covariance, 36)
    known = ros("geometry_msgs/msg/PoseWithCovariance", plain, covariance)
    return ros("geometry_msgs/msg/PoseWithCovarianceStamped", header, known)


def twist(message: zk.Twist, ros: Types) -> Any:
    header = ros.header(message.stamp, message.frame)
    return ros("geometry_msgs/msg/TwistStamped", header, ros.twist(message.linear, message.angular))


def drive_command(message: zk.DriveCommand, ros: Types) -> Any:
    linear, angular = zk.Vector3(x=message.linear), zk.Vector3(z=message.angular)
    return twist(zk.Twist(stamp=message.stamp, linear=linear, angular=angular), ros)


def scan(message: zk.LaserScan, ros: Types) -> Any:
    none = np.zeros(0, np.float32)
    return ros(
        "sensor_msgs/msg/LaserScan",
        ros.header(message.stamp, message.frame),
        message.angle_min,
        message.angle_max,
        message.angle_increment,
        message.time_increment,
        message.scan_time,
        message.range_min,
        message.range_max,
        message.ranges,
        none if message.intensities is None else message.intensities,
    )


def grid(message: zk.Grid, ros: Types) -> Any:
    height, width = message.cells.shape
    header = ros.header(message.stamp, message.frame)
    origin = ros.pose(message.origin, message.orientation)
    about = ros("nav_msgs/msg/MapMetaData", header.stamp, message.resolution, width, height, origin)
    return ros("nav_msgs/msg/OccupancyGrid", header, about, message.cells.ravel())


def transforms(items: list[zk.Transform], stamp: int, ros: Types) -> Any:
    """``stamp`` is for those that never change and have none."""
    return ros(
        "tf2_msgs/msg/TFMessage",
        [
            ros(
                "geometry_msgs/msg/TransformStamped",
                ros.header(one.stamp or stamp, one.frame),
                one.child_frame,
                ros("geometry_msgs/msg/Transform", ros.vector(one.translation), ros.quaternion(one.rotation)),
            )
            for one in items
        ],
    )


def picture(found: Picture, stamp: int, frame: str, ros: Types) -> Any:
    """A CompressedImage of a JPEG's own bytes, else an Image; raises WireError."""
    header = ros.header(stamp, frame)
    if found.jpeg:
        told = f"{found.encoding}; jpeg compressed {found.encoding}"  # as image_transport writes it
        return ros("sensor_msgs/msg/CompressedImage", header, told, np.frombuffer(found.jpeg, np.uint8))
    data = np.ascontiguousarray(found.array).view(np.uint8).ravel()
    size = (found.height, found.width)
    return ros("sensor_msgs/msg/Image", header, *size, found.encoding, 0, found.step, data)


def _covariance(known: tuple[float, ...], length: int) -> Any:
    return np.array(known if len(known) == length else (0.0,) * length, np.float64)


class Pair(NamedTuple):
    """A type of ours, and what makes ROS's of it."""

    kind: type[Message]
    make: Callable[[Any, Types], Any]


PAIRS = {
    "Imu/1": Pair(zk.Imu, imu),
    "Odometry/1": Pair(zk.Odometry, odometry),
    "DriveState/1": Pair(zk.DriveState, drive_state),
    "Pose/1": Pair(zk.Pose, pose),
    "Twist/1": Pair(zk.Twist, twist),
    "DriveCommand/1": Pair(zk.DriveCommand, drive_command),
    "LaserScan/1": Pair(zk.LaserScan, scan),
    "Grid/1": Pair(zk.Grid, grid),
}


def tf(message: zk.Transforms, ros: Types) -> Iterator[tuple[str, Any]]:
    """The topics on which ROS looks for transforms, each with its part: what changes, what never does."""
    for topic, is_static in (("/tf", False), ("/tf_static", True)):
        if items := [one for one in message.items if (one.stamp == 0) == is_static]:
            yield topic, transforms(items, message.stamp, ros)


def topic_name(topic: str) -> str:
    """A topic's name as ROS takes it: ``rules.decision`` gives ``/rules/decision``."""
    words = (re.sub(r"\W", "_", word, flags=re.ASCII) for word in re.split(r"[./]+", topic) if word)
    return "".join(f"/_{word}" if word[0].isdigit() else f"/{word}" for word in words) or "/_"
