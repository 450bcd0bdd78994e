"""Who records in ``benchmarks/log.py``, and the work that all of them do: a table of each.

A peer's module has ``sender(topic)``, which opens a topic and gives what sends its next message, with the
number of those who hear it; ``recorder(cases, file)``, the command that records into a file; and
``counted(file)``, how many messages of each topic are in it.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.bus_peers import DEBIAN, PEERS, PYPI

Kind = Literal["jpeg", "raw", "imu", "odometry"]
ROS = PEERS["rospy"].install + " python3-rosbag python3-nav-msgs"
SLOWEST_TURN = 0.0005  # s: who sends faster than once in it sends several at a time


class Topic(NamedTuple):
    """Pictures are width x height; ``hz`` messages a second."""

    name: str
    kind: Kind
    hz: float
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Case:
    """One load; ``raw`` says that pictures come without their JPEG, and that the recorder has to make it."""

    title: str
    topics: tuple[Topic, ...]
    raw: bool = False


CAMERAS = tuple(Topic(f"camera{number}", "jpeg", 30, (1920, 1080)) for number in range(2))
ROBOT = (*CAMERAS, Topic("imu", "imu", 1000), Topic("odometry", "odometry", 100))
CASES = {
    "robot": Case("2 x 1080p30 JPEG, IMU 1 kHz, odometry 100 Hz", ROBOT),
    "encode": Case("the same, the recorder making the JPEG", ROBOT, raw=True),
    "raw": Case("720p15 raw", (Topic("camera", "raw", 15, (1280, 720)),)),
    "small": Case("20,000 small a second", tuple(Topic(f"imu{n}", "imu", 5000) for n in range(4))),
}


@dataclass(frozen=True)
class Recorder:
    """``module`` is the file here, run by ``python``; ``needs`` what that must be able to import."""

    module: str
    needs: str
    python: str = sys.executable
    programs: tuple[str, ...] = ()
    install: str = PYPI
    master: str = ""
    without: tuple[str, ...] = ()  # the cases that it has no way to do


RECORDERS = {
    "zuluko": Recorder("ours", "zuluko"),
    "rosbag": Recorder(
        "ros",
        "rospy, rosbag, roslaunch, sensor_msgs.msg, nav_msgs.msg, numpy",
        python=DEBIAN,
        programs=("rosbag",),
        install=ROS,
        master="ros_master",
        without=("encode",),
    ),
}


def send(topic: Topic, once: Callable[[], None], heard: Callable[[], int], go: Path, seconds: float) -> None:
    """Sends at a topic's rate for so many seconds, once somebody hears it and ``go`` is there; prints how
    many, and in what time."""
    while not (heard() and go.exists()):
        time.sleep(0.01)
    turn = max(1, round(topic.hz * SLOWEST_TURN))
    begin = time.monotonic()
    count, wanted = 0, round(topic.hz * seconds)
    while count < wanted:
        for _ in range(turn):
            once()
        count += turn
        time.sleep(max(0.0, begin + count / topic.hz - time.monotonic()))
    took = time.monotonic() - begin
    print(json.dumps({"topic": topic.name, "sent": count, "seconds": took}), flush=True)
    time.sleep(1.0)  # what it sent last must be taken before it goes
