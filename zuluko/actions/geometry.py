"""Functions of clauses over points: lists of numbers, all in one unit."""

import math
from collections.abc import Sequence

Point = Sequence[float]


def distance(one: Point, other: Point) -> float:
    """The straight distance between two points of as many coordinates each."""
    if len(one) != len(other):
        raise ValueError(f"one point has {len(one)} coordinates, the other {len(other)}")
    return math.dist(one, other)


def inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Whether a point of the plane lies in a polygon, given by its corners, or on its edge: even-odd."""
    if len(point) != 2 or len(polygon) < 3 or any(len(corner) != 2 for corner in polygon):
        raise ValueError("a point has 2 coordinates, and a polygon 3 or more such corners")
    (x, y), within = point, False
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        across = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if across == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and (across > 0) == (by > ay):
            within = not within
    return within


FUNCTIONS = {"distance": distance, "inside": inside}
