"""What is around a robot: ranges, and maps made of them."""

from __future__ import annotations

from typing import Annotated

from zuluko.bus.message import Array, Message
from zuluko.bus.np import NDArray, np
from zuluko.messages.motion import Quaternion, Vector3


class LaserScan(Message, tag="LaserScan/1"):
    """One sweep of a laser scanner; ``stamp`` is that of the first ray.

    ``ranges``            metres, the ray at ``angle_min`` first; after REP-117 -inf is too near to measure,
                          +inf nothing within reach, NaN no reading
    ``intensities``       in the sensor's own unit, as many as ranges; None where it tells none
    ``angle_min``, ``angle_max``, ``angle_increment``   radians about z, from x to the left
    ``range_min``, ``range_max``   metres that the sensor can tell
    ``scan_time``, ``time_increment``   seconds for a sweep, and from ray to ray
    """

    ranges: Annotated[NDArray[np.float32], Array("<f4", (None,))]
    angle_min: float
    angle_max: float
    angle_increment: float
    intensities: Annotated[NDArray[np.float32], Array("<f4", (None,))] | None = None
    range_min: float = 0.0
    range_max: float = 0.0
    scan_time: float = 0.0
    time_increment: float = 0.0
    frame: str = "laser"


class Grid(Message, tag="Grid/1"):
    """An occupancy grid: for each cell how likely it is taken.

    ``cells``       rows (along y) x columns (along x), 0 free to 100 taken, -1 unknown
    ``resolution``  metres a cell
    ``origin``, ``orientation``   of the corner of cell 0, 0 in ``frame``, in metres
    """

    cells: Annotated[NDArray[np.int8], Array("i1", (None, None))]
    resolution: float
    origin: Vector3 = Vector3()
    orientation: Quaternion = Quaternion()
    frame: str = "map"
