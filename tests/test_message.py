"""Messages: what a user writes, and what is checked."""

from typing import Annotated

import numpy as np
import pytest

from zuluko import Array, Message
from zuluko.bus.message import MessageError, arrays, check_arrays, tag, topic_suffix
from zuluko.bus.wire import Decoder, Encoder
from zuluko.messages import (
    Faces,
    Frame,
    Grid,
    Imu,
    LaserScan,
    LockCommand,
    LockState,
    Odometry,
    Pose,
    Quaternion,
    Transform,
    Transforms,
    Twist,
    Vector3,
)


class Scan(Message, tag="Scan/1"):
    ranges: Annotated[np.ndarray, Array("<f4", (None,))]
    step: float = 0.1


def test_a_users_message_is_keyword_only_and_frozen():
    scan = Scan(stamp=3, ranges=np.zeros(4, "f4"))
    with pytest.raises(TypeError):
        Scan(np.zeros(4, "f4"))
    with pytest.raises(AttributeError):
        scan.step = 2.0


@pytest.mark.parametrize(
    "wrong", [np.zeros(4, "f8"), np.zeros((4, 1), "f4"), [0.0], None], ids=["dtype", "shape", "list", "none"]
)
def test_an_array_of_another_dtype_or_shape_is_refused(wrong):
    with pytest.raises(MessageError, match=r"Scan\.ranges must be a float32 array of any, not "):
        check_arrays(Scan(ranges=wrong))


def test_fitting_arrays_pass():
    check_arrays(Scan(ranges=np.zeros(0, "f4")))
    check_arrays(Frame(image=np.zeros((2, 3, 3), "u1")))
    assert list(arrays(Frame)) == ["image", "jpeg"]
    assert arrays(Faces) == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(LockCommand, "lock_command"), (Faces, "faces"), (LockState, "lock_state")],
)
def test_topics_take_the_types_name(kind, name):
    assert topic_suffix(kind) == name
    assert tag(kind) == f"{kind.__name__}/1"


def test_the_standard_messages_go_through_the_wire_as_they_are():
    covariance = tuple(0.1 * n for n in range(9))
    imu = Imu(
        stamp=5, angular_velocity=Vector3(z=0.3), linear_acceleration=Vector3(z=9.81), orientation=Quaternion(),
        angular_velocity_covariance=covariance,
    )  # fmt: skip
    scan = LaserScan(
        stamp=6,
        ranges=np.array([1.0, np.inf, np.nan], "<f4"),
        angle_min=-1.0,
        angle_max=1.0,
        angle_increment=1.0,
    )
    grid = Grid(cells=np.array([[0, 100, -1]], "i1"), resolution=0.05)
    moves = Transforms(items=(Transform(frame="odom", child_frame="base_link", stamp=7),), stamp=7)
    for message in (imu, Odometry(linear=Vector3(x=1.0)), Pose(), Twist(), moves, scan, grid):
        check_arrays(message)
        again = Decoder(type(message))(Encoder()(message, seq=1, sent=2)).body
        for name in message.__struct_fields__:
            np.testing.assert_equal(getattr(again, name), getattr(message, name))
