"""A table of an IMU's readings: a header that names the columns, and a line for each reading."""

import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from zuluko.log_import.source import Channel, Heard, SourceError
from zuluko.log_import.table import Row, rows
from zuluko.messages import Imu, Quaternion, Vector3

G = 9.80665  # m/s², the standard acceleration of gravity
WHAT = "a table of an IMU"
TIME = ("timestamp", "time", "stamp", "t")
# The names of the three axes' columns, without axis and unit. Those of ROS's messages, and EuRoC's, are in SI
# units; of the others the unit is told in the header, `gyro_x [deg/s]`, or by an option.
SI = {
    "gyro": ("angular_velocity", "w_rs_s"),
    "accel": ("linear_acceleration", "a_rs_s"),
    "orientation": ("orientation",),
}
SHORT = {
    "gyro": ("w", "g", "gyro", "gyr", "gyroscope", "omega"),
    "accel": ("a", "acc", "accel", "accelerometer", "acceleration"),
    "orientation": ("q", "quat", "quaternion"),
}
AXES = {"gyro": "xyz", "accel": "xyz", "orientation": "xyzw"}
FACTORS = {
    "gyro": {"rad/s": 1.0, "deg/s": math.pi / 180},
    "accel": {"m/s2": 1.0, "g": G},
}
SPELLINGS = {
    "rads^-1": "rad/s", "radps": "rad/s", "rps": "rad/s", "degs^-1": "deg/s", "dps": "deg/s", "°/s": "deg/s",
    "ms^-2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "mps2": "m/s2",
}  # fmt: skip
NAMES = "timestamp, gyro_x (or wx, angular_velocity_x), acc_x (or ax, linear_acceleration_x), qx to qw"


@dataclass(frozen=True)
class Units:
    """What was said of a table's units, where its header does not: of times s, ms, us or ns, of angular
    velocity rad/s or deg/s, of acceleration m/s2 or g."""

    time: str = ""
    gyro: str = ""
    accel: str = ""


@dataclass(frozen=True)
class _Column:
    """One column: its name in small letters without its unit, and its unit, empty where the header has
    none."""

    name: str
    unit: str


@dataclass(frozen=True)
class _Form:
    """Which columns are what: of the time and its unit, of each quantity and what makes it SI."""

    time: int
    unit: str
    columns: dict[str, list[int]]
    factors: dict[str, float]


class ImuTable:
    """One such table as a topic. Raises SourceError where its header does not tell what the columns are."""

    what = WHAT

    def __init__(
        self, path: Path, *, units: Units | None = None, topic: str = "imu", frame: str = "imu_link"
    ) -> None:
        self._path, self._frame = path, frame
        self._form = _form(path, units or Units())
        self.channels = [Channel(topic, WHAT, Imu)]
        self.told = {"imported": {"from": path.name, "as": WHAT}}

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        last = 0
        for row in islice(_lines(self._path), 1, None) if channels else ():
            at = row.time(self._form.time, self._form.unit)
            last = max(last, at)
            yield Heard(self.channels[0], last, self._imu(row, at))

    def _imu(self, row: Row, at: int) -> Imu:
        gyro, accel = (self._vector(row, what) for what in ("gyro", "accel"))
        turned = self._form.columns.get("orientation")
        return Imu(
            stamp=at,
            angular_velocity=gyro or Vector3(),
            linear_acceleration=accel or Vector3(),
            angular_velocity_covariance=() if gyro else UNTOLD,
            linear_acceleration_covariance=() if accel else UNTOLD,
            orientation=Quaternion(**dict(zip("xyzw", map(row.number, turned), strict=True)))
            if turned
            else None,
            frame=self._frame,
        )

    def _vector(self, row: Row, what: str) -> Vector3 | None:
        columns, factor = self._form.columns.get(what), self._form.factors.get(what, 1.0)
        if columns is None:
            return None
        x, y, z = (row.number(column) * factor for column in columns)
        return Vector3(x=x, y=y, z=z)

    def close(self) -> None:
        """It holds nothing open."""


# A covariance of what a sensor does not measure, as sensor_msgs/Imu marks it.
UNTOLD = (-1.0, *[0.0] * 8)


def _lines(path: Path) -> Iterator[Row]:
    """The header and the readings; a header may be a comment."""
    header = None
    for row in rows(path, comments=True):
        if header is None:
            if any(_column(cell).name in TIME for cell in row.cells):
                header = row
                yield row
            elif not row.cells[0].startswith("#"):
                raise row.fault(f"this is no header with a column of the time; known names are: {NAMES}")
        elif not row.cells[0].startswith("#"):
            yield row


def _form(path: Path, units: Units) -> _Form:
    header, first = ([*islice(_lines(path), 2), None, None])[:2]
    if header is None:
        raise SourceError(f"{path} has no header; it names the columns, such as: {NAMES}")
    columns = [_column(cell) for cell in header.cells]
    found = {what: place for what in AXES if (place := _places(columns, what))}
    if not {"gyro", "accel"} & found.keys():
        raise header.fault(f"no columns of angular velocity or acceleration; known names are: {NAMES}")
    factors = {what: _factor(header, columns, found[what], what, units) for what in FACTORS if what in found}
    time = next(place for place, column in enumerate(columns) if column.name in TIME)
    return _Form(time, _time_unit(header, columns[time], first, time, units), found, factors)


def _column(cell: str) -> _Column:
    """A header's cell: ``#timestamp [ns]``, ``gyro_x(deg/s)``, ``time_us``, or as ``rostopic echo -p``
    writes it, ``%time`` and ``field.angular_velocity.x``."""
    text = cell.strip().lstrip("#%").strip().lower().removeprefix("field.")
    found = re.fullmatch(r"(.*?)\s*(?:\[(.*)\]|\((.*)\))?", text)
    name, unit = (found[1], found[2] or found[3] or "") if found else (text, "")
    name = re.sub(r"[. -]", "_", name)
    base, _, end = name.rpartition("_")
    if not unit and base in TIME and end in ("s", "sec", "ms", "us", "ns", "nsec"):
        name, unit = base, end.replace("sec", "s")
    unit = re.sub(r"\s", "", unit)
    return _Column(name, SPELLINGS.get(unit, unit))


def _places(columns: list[_Column], what: str) -> list[int] | None:
    """Where the axes of a quantity stand; None where one is missing."""
    names = [column.name for column in columns]
    for base in (*SI[what], *SHORT[what]):
        for made in _axis_names(base, AXES[what]):
            if all(name in names for name in made):
                return [names.index(name) for name in made]
    return None


def _axis_names(base: str, axes: str) -> Iterator[list[str]]:
    yield [f"{base}_{axis}" for axis in axes]
    yield [f"{base}{axis}" for axis in axes]


def _factor(header: Row, columns: list[_Column], places: list[int], what: str, units: Units) -> float:
    """What makes a quantity SI. A unit is told by the option, or by the header, or by a name that has one."""
    told = {columns[place].unit for place in places}
    name = columns[places[0]].name
    unit = getattr(units, what) or (told.pop() if len(told) == 1 else "")
    if not unit and name.startswith(SI[what]):
        unit = next(iter(FACTORS[what]))
    if unit not in FACTORS[what]:
        known = " or ".join(FACTORS[what])
        have = f"`{unit}` is no unit of it" if unit else "its unit is not told"
        what = f"`{header.text(places[0])}`: {have}; write it into the header or give --{what} {known}"
        raise header.fault(what)
    return FACTORS[what][unit]


def _time_unit(header: Row, column: _Column, first: Row | None, place: int, units: Units) -> str:
    """The unit of the times: as told, as the header has it, or what alone makes the first a date of this
    century."""
    if told := units.time or column.unit.replace("sec", "s"):
        if told not in EPOCHS:
            raise header.fault(f"`{told}` is no unit of time; give --time s, ms, us or ns")
        return told
    value = first.number(place) if first else 0.0
    for unit, is_one in EPOCHS.items():
        if first is None or is_one(value):
            return unit
    raise header.fault(f"the unit of `{header.text(place)}` is not told; give --time s, ms, us or ns")


def _since_2001(scale: float) -> Callable[[float], bool]:
    return lambda value: 1.0e9 <= value / scale < 4.1e9


# By a unit of time, whether a number of them since 1970 is a time of this century.
EPOCHS = {unit: _since_2001(scale) for unit, scale in {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}.items()}
KNOWN_UNITS = {"time": [*EPOCHS], **{what: [*factors] for what, factors in FACTORS.items()}}
