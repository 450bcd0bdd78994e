"""What a file or a folder is, by what is in it."""

from pathlib import Path

from zuluko.bus.log_records import MAGIC
from zuluko.log_import.folder import euroc, tum
from zuluko.log_import.imu_table import ImuTable, Units
from zuluko.log_import.source import Source, SourceError

SQLITE = b"SQLite format 3\0"
BAG = b"#ROSBAG V"
FORMS = "a ROS 1 bag, a ROS 2 bag (MCAP, db3 or its folder), a EuRoC or TUM folder, and an IMU's table in CSV"


def source(path: Path, units: Units) -> Source:
    """A file or a folder as the source that it is. Raises SourceError for one that is none, and where the
    package that reads it is missing."""
    try:
        return _folder(path) if path.is_dir() else _file(path, units)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None


def _file(path: Path, units: Units) -> Source:
    with path.open("rb") as file:
        begin = file.read(len(SQLITE))
    if begin.startswith(BAG):
        return _ros(path, 1)
    if begin.startswith(MAGIC) or begin == SQLITE:
        return _ros(path, 2)
    if path.suffix.lower() in (".csv", ".txt", ".tsv"):
        return ImuTable(path, units=units)
    raise SourceError(f"{path} is nothing that can be imported; that are {FORMS}")


def _folder(path: Path) -> Source:
    if (path / "mav0").is_dir() or any(path.glob("imu*/data.csv")) or any(path.glob("cam*/data.csv")):
        return euroc(path)
    if any((path / f"{name}.txt").is_file() for name in ("rgb", "groundtruth", "accelerometer")):
        return tum(path)
    if (path / "metadata.yaml").is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3")):
        return _ros(path, 2)
    raise SourceError(f"{path} is no folder that can be imported; what can be: {FORMS}")


def _ros(path: Path, version: int) -> Source:
    try:
        from zuluko.log_import.bag1 import Bag1
        from zuluko.log_import.bag2 import bag
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rosbags":
            raise
        raise SourceError(f"{path}: ROS bags need rosbags; run: pip install 'zuluko[ros]'") from None
    return Bag1(path) if version == 1 else bag(path)
