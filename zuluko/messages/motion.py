"""Where things are and how they move. Axes are REP-103's (x forward, y left, z up), frames REP-105's."""

import msgspec

from zuluko.bus.message import Message

Covariance3 = tuple[float, ...]  # 9 numbers, row by row over x, y, z; empty where it is unknown
Covariance6 = tuple[float, ...]  # 36 numbers, row by row over x, y, z, then rotation about x, y, z; or empty


class Vector3(msgspec.Struct, kw_only=True, frozen=True):
    """Three numbers along x, y and z; the field that holds it gives the unit."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


class Quaternion(msgspec.Struct, kw_only=True, frozen=True):
    """A rotation as a unit quaternion (Hamilton's, w last as in ROS); the default turns nothing."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    w: float = 1.0


class Imu(Message, tag="Imu/1"):
    """One reading of an inertial sensor, after REP-145.

    ``angular_velocity``     rad/s about the sensor's own axes
    ``linear_acceleration``  m/s², with gravity in it: at rest +9.81 along the axis that points up
    ``orientation``          of the sensor in a frame whose z points up; None where it does not estimate one
    ``frame``                the sensor's own frame
    ``angular_velocity_covariance``     (rad/s)², 9 numbers row by row; empty where unknown; -1 first where
                             the sensor does not measure it
    ``linear_acceleration_covariance``  (m/s²)², as above
    ``orientation_covariance``          rad², as above
    """

    angular_velocity: Vector3
    linear_acceleration: Vector3
    orientation: Quaternion | None = None
    frame: str = "imu_link"
    angular_velocity_covariance: Covariance3 = ()
    linear_acceleration_covariance: Covariance3 = ()
    orientation_covariance: Covariance3 = ()


class Odometry(Message, tag="Odometry/1"):
    """Where a base has come to by its own count, and how fast it goes.

    ``position``, ``orientation``  of ``child_frame`` in ``frame``, in metres; it drifts but never jumps
    ``linear``, ``angular``        m/s and rad/s, in ``child_frame``
    ``pose_covariance``, ``twist_covariance``   36 numbers row by row, in m, rad and m/s, rad/s; empty where
                                   unknown
    """

    position: Vector3 = Vector3()
    orientation: Quaternion = Quaternion()
    linear: Vector3 = Vector3()
    angular: Vector3 = Vector3()
    frame: str = "odom"
    child_frame: str = "base_link"
    pose_covariance: Covariance6 = ()
    twist_covariance: Covariance6 = ()


class Pose(Message, tag="Pose/1"):
    """Where something is: ``position`` in metres and ``orientation``, both in ``frame``.

    ``covariance``  36 numbers row by row, in m and rad; empty where unknown
    """

    position: Vector3 = Vector3()
    orientation: Quaternion = Quaternion()
    frame: str = "map"
    covariance: Covariance6 = ()


class Twist(Message, tag="Twist/1"):
    """How fast a base goes or is to go: ``linear`` in m/s, ``angular`` in rad/s, both in ``frame``."""

    linear: Vector3 = Vector3()
    angular: Vector3 = Vector3()
    frame: str = "base_link"


class Transform(msgspec.Struct, kw_only=True, frozen=True):
    """Where ``child_frame`` stands in ``frame``: ``translation`` in metres, and ``rotation``.

    ``stamp``  graph time (ns) of the evidence; 0 for one that never changes
    """

    frame: str
    child_frame: str
    translation: Vector3 = Vector3()
    rotation: Quaternion = Quaternion()
    stamp: int = 0


class Transforms(Message, tag="Transforms/1"):
    """How frames stand to each other; ``stamp`` is that of the newest in ``items``."""

    items: tuple[Transform, ...] = ()
