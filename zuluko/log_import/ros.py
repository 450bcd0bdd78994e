"""What becomes of ROS messages, of ROS 1 and ROS 2 alike: the types have the same fields in both.

``header.stamp`` is the stamp; where there is none, or it was never set, when the bag has received it. A
frame's leading slash (tf 1) goes; a covariance of zeros means unknown, as in sensor_msgs; so does an
orientation of zeros.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from zuluko.bus.message import Message
from zuluko.log_import import picture
from zuluko.log_import.source import Channel, UnfitError
from zuluko.messages import (
    Frame,
    Grid,
    Imu,
    LaserScan,
    Odometry,
    Pose,
    Quaternion,
    Transform,
    Transforms,
    Twist,
    Vector3,
)

Ros = Any  # a message as rosbags has it
STATIC = "tf_static"  # the topic whose transforms never change


class Conversion(NamedTuple):
    """The type that a ROS type becomes, and how: from the message, its topic and when it was received
    (ns)."""

    becomes: type[Message]
    make: Callable[[Ros, str, int], Message]


def _stamp(message: Ros, received: int) -> int:
    at: int = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    return at if at > 0 else received


def _frame(header: Ros) -> str:
    return str(header.frame_id).removeprefix("/")


def _vector(xyz: Ros) -> Vector3:
    return Vector3(x=xyz.x, y=xyz.y, z=xyz.z)


def _quaternion(xyzw: Ros) -> Quaternion:
    is_set = xyzw.x or xyzw.y or xyzw.z or xyzw.w
    return Quaternion(x=xyzw.x, y=xyzw.y, z=xyzw.z, w=xyzw.w) if is_set else Quaternion()


def _covariance(numbers: Ros) -> tuple[float, ...]:
    found = tuple(map(float, numbers))
    return found if any(found) else ()


def _image(message: Ros, _: str, received: int) -> Message:
    image = picture.raw(
        np.asarray(message.data, np.uint8),
        encoding=message.encoding,
        size=(message.height, message.width),
        step=message.step,
        big_endian=bool(message.is_bigendian),
    )
    return Frame(stamp=_stamp(message, received), image=image)


def _compressed_image(message: Ros, _: str, received: int) -> Message:
    image: Any = picture.packed(np.asarray(message.data, np.uint8).tobytes(), message.format)
    return Frame(stamp=_stamp(message, received), image=image)


def _imu(message: Ros, _: str, received: int) -> Message:
    orientation, covariance = message.orientation, _covariance(message.orientation_covariance)
    is_told = (orientation.x or orientation.y or orientation.z or orientation.w) and covariance[:1] != (-1.0,)
    return Imu(
        stamp=_stamp(message, received),
        angular_velocity=_vector(message.angular_velocity),
        linear_acceleration=_vector(message.linear_acceleration),
        orientation=_quaternion(orientation) if is_told else None,
        frame=_frame(message.header),
        angular_velocity_covariance=_covariance(message.angular_velocity_covariance),
        linear_acceleration_covariance=_covariance(message.linear_acceleration_covariance),
        orientation_covariance=covariance if is_told else (),
    )


def _laser_scan(message: Ros, _: str, received: int) -> Message:
    ranges, intensities = (np.asarray(one, "<f4") for one in (message.ranges, message.intensities))
    return LaserScan(
        stamp=_stamp(message, received),
        ranges=ranges,
        intensities=intensities if len(intensities) == len(ranges) > 0 else None,
        angle_min=message.angle_min,
        angle_max=message.angle_max,
        angle_increment=message.angle_increment,
        range_min=message.range_min,
        range_max=message.range_max,
        scan_time=message.scan_time,
        time_increment=message.time_increment,
        frame=_frame(message.header),
    )


def _odometry(message: Ros, _: str, received: int) -> Message:
    pose, twist = message.pose.pose, message.twist.twist
    return Odometry(
        stamp=_stamp(message, received),
        position=_vector(pose.position),
        orientation=_quaternion(pose.orientation),
        linear=_vector(twist.linear),
        angular=_vector(twist.angular),
        frame=_frame(message.header),
        child_frame=message.child_frame_id.removeprefix("/"),
        pose_covariance=_covariance(message.pose.covariance),
        twist_covariance=_covariance(message.twist.covariance),
    )


def _twist(message: Ros, _: str, received: int) -> Message:
    return Twist(stamp=received, linear=_vector(message.linear), angular=_vector(message.angular))


def _twist_stamped(message: Ros, _: str, received: int) -> Message:
    return Twist(
        stamp=_stamp(message, received),
        linear=_vector(message.twist.linear),
        angular=_vector(message.twist.angular),
        frame=_frame(message.header),
    )


def _pose_stamped(message: Ros, _: str, received: int) -> Message:
    return Pose(
        stamp=_stamp(message, received),
        position=_vector(message.pose.position),
        orientation=_quaternion(message.pose.orientation),
        frame=_frame(message.header),
    )


def _pose_with_covariance(message: Ros, _: str, received: int) -> Message:
    return Pose(
        stamp=_stamp(message, received),
        position=_vector(message.pose.pose.position),
        orientation=_quaternion(message.pose.pose.orientation),
        frame=_frame(message.header),
        covariance=_covariance(message.pose.covariance),
    )


def _grid(message: Ros, _: str, received: int) -> Message:
    cells, info = np.asarray(message.data, np.int8), message.info
    if cells.size != info.width * info.height:
        raise UnfitError(f"{cells.size} cells are no {info.width}x{info.height} grid")
    return Grid(
        stamp=_stamp(message, received),
        cells=cells.reshape(info.height, info.width),
        resolution=info.resolution,
        origin=_vector(info.origin.position),
        orientation=_quaternion(info.origin.orientation),
        frame=_frame(message.header),
    )


def _transforms(message: Ros, topic: str, received: int) -> Message:
    stamps = [_stamp(one, received) for one in message.transforms]
    is_static = topic.rpartition("/")[2] == STATIC
    items = tuple(
        Transform(
            frame=_frame(one.header),
            child_frame=one.child_frame_id.removeprefix("/"),
            translation=_vector(one.transform.translation),
            rotation=_quaternion(one.transform.rotation),
            stamp=0 if is_static else stamp,
        )
        for one, stamp in zip(message.transforms, stamps, strict=True)
    )
    return Transforms(stamp=max(stamps, default=received), items=items)


CONVERSIONS = {
    "sensor_msgs/msg/Image": Conversion(Frame, _image),
    "sensor_msgs/msg/CompressedImage": Conversion(Frame, _compressed_image),
    "sensor_msgs/msg/Imu": Conversion(Imu, _imu),
    "sensor_msgs/msg/LaserScan": Conversion(LaserScan, _laser_scan),
    "nav_msgs/msg/Odometry": Conversion(Odometry, _odometry),
    "nav_msgs/msg/OccupancyGrid": Conversion(Grid, _grid),
    "geometry_msgs/msg/Twist": Conversion(Twist, _twist),
    "geometry_msgs/msg/TwistStamped": Conversion(Twist, _twist_stamped),
    "geometry_msgs/msg/PoseStamped": Conversion(Pose, _pose_stamped),
    "geometry_msgs/msg/PoseWithCovarianceStamped": Conversion(Pose, _pose_with_covariance),
    "tf/msg/tfMessage": Conversion(Transforms, _transforms),
    "tf2_msgs/msg/TFMessage": Conversion(Transforms, _transforms),
}


class RosTypes:
    """Decodes the messages of a bag's channels.

    Types are those that rosbags ships, and never those that a bag brings along: from a definition rosbags
    makes Python code and runs it. A bag that has a type otherwise is told of by its hash.
    """

    def __init__(self) -> None:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self._stores = {1: get_typestore(Stores.ROS1_NOETIC), 2: get_typestore(Stores.ROS2_HUMBLE)}
        for name in ("tf/msg/tfMessage", "tf2_msgs/msg/TFMessage"):
            self._stores[1].register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", name))

    def channel(self, topic: str, kind: str, *, digest: str, ros: int, count: int | None) -> Channel:
        """A topic of a bag; ``digest`` is its type's MD5 (ROS 1) or RIHS01 hash (ROS 2), where it is
        known."""
        known, store = CONVERSIONS.get(kind), self._stores[ros]
        if known is None or kind not in store.fielddefs:
            return Channel(topic, kind, why_not="no standard message holds it", count=count)
        ours = store.generate_msgdef(kind)[1] if ros == 1 else store.hash_rihs01(kind)
        if digest not in ("", "*", ours):
            return Channel(topic, kind, why_not="the bag has another type of that name than ROS", count=count)
        return Channel(topic, kind, known.becomes, count=count)

    def message(self, channel: Channel, received: int, data: bytes, *, ros: int) -> Message | UnfitError:
        """A message as a standard one, or why it becomes none."""
        store = self._stores[ros]
        try:
            if ros == 1:
                decoded = store.deserialize_ros1(data, channel.kind)
            else:
                decoded = store.deserialize_cdr(data, channel.kind)
        except Exception as error:  # what rosbags' code runs into in damaged bytes
            return UnfitError(f"it cannot be decoded ({str(error) or type(error).__name__:.80})")
        try:
            return CONVERSIONS[channel.kind].make(decoded, channel.topic, received)
        except UnfitError as error:
            return error


@cache
def ros_types() -> RosTypes:
    """The one of this process: to make it, rosbags writes and compiles code."""
    return RosTypes()
