"""What `zuluko log export` writes for ROS, `zuluko log import` reads back as it was."""

import math

import msgspec
import numpy as np
import pytest

from tests.importing import run
from tests.running import zuluko
from zuluko import read
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
from zuluko.testing import log_of

AT = 1_700_000_000_123_456_789
XYZ, TURNED = Vector3(x=1.5, y=-2.25, z=3.0), Quaternion(x=0.0, y=0.0, z=0.6, w=0.8)
RANGES = np.array([1.0, math.inf, -math.inf, math.nan], "f4")
MESSAGES = {
    "camera": Frame(image=np.arange(16 * 16 * 3, dtype="u2").astype("u1").reshape(16, 16, 3)),
    "imu": Imu(angular_velocity=XYZ, linear_acceleration=XYZ, orientation=TURNED, orientation_covariance=(0.5, *[0.0] * 8)),
    "bare_imu": Imu(angular_velocity=XYZ, linear_acceleration=XYZ, angular_velocity_covariance=(-1.0, *[0.0] * 8)),
    "scan": LaserScan(ranges=RANGES, intensities=RANGES, angle_min=-1.0, angle_max=1.0, angle_increment=0.5, range_max=30.0),
    "bare_scan": LaserScan(ranges=RANGES, angle_min=-1.0, angle_max=1.0, angle_increment=0.5),
    "odom": Odometry(position=XYZ, orientation=TURNED, linear=XYZ, angular=XYZ, pose_covariance=(2.0, *[0.0] * 35)),
    "pose": Pose(position=XYZ, orientation=TURNED, frame="world"),
    "known_pose": Pose(position=XYZ, covariance=(3.0, *[0.0] * 35)),
    "twist": Twist(linear=XYZ, angular=XYZ, frame="base"),
    "tf": Transforms(items=(Transform(frame="a", child_frame="b", translation=XYZ, rotation=TURNED, stamp=AT),)),
    "map": Grid(cells=np.array([[0, 100, -1], [7, 8, 9]], "i1"), resolution=0.5, origin=XYZ),
}  # fmt: skip


@pytest.mark.parametrize("form", ["ros1", "ros2"])
def test_what_is_exported_to_ros_comes_back(tmp_path, form):
    sent = {topic: msgspec.structs.replace(one, stamp=AT) for topic, one in MESSAGES.items()}
    log = log_of(tmp_path / "a.mcap", {topic: [one] for topic, one in sent.items()})
    bag = tmp_path / ("a.bag" if form == "ros1" else "bag")
    done = zuluko("log", "export", str(log), str(bag), "--as", form)
    assert done.returncode == 0, done.stderr
    done = run(str(bag), str(tmp_path / "back.mcap"))
    assert (done.returncode, done.stderr) == (0, "")
    for topic, one in sent.items():
        (back,) = read(tmp_path / "back.mcap", topic)
        for field in one.__struct_fields__:
            have, wanted = getattr(back, field), getattr(one, field)
            if isinstance(wanted, np.ndarray):
                assert np.array_equal(have, wanted, equal_nan=wanted.dtype.kind == "f"), (topic, field)
            else:
                assert have == wanted, (topic, field)
