"""Who takes part in ``benchmarks/bus.py``: a table, and one module a peer.

A peer's module has two functions. ``publisher(run)`` opens its end and returns a Link: what sends one
message, and, for a peer that lends memory, what fills the loan before the message gets its stamp.
``subscriber(run, take, ready)`` calls ``ready()`` once it has subscribed, then ``take(stamp, seq, frame)``
with each message, until that returns true. ``frame`` is a usable numpy view, or None for a small message.
"""

import sys
from dataclasses import dataclass, field

DEBIAN = "/usr/bin/python3"  # the Python to which Debian's packages belong
PYPI = "pip install -e .[bench]"
ROS = "apt-get install rosout python3-roslaunch python3-rospy python3-sensor-msgs python3-numpy"
ROSCPP = f"{ROS} g++ pkg-config libroscpp-dev libsensor-msgs-dev"


@dataclass(frozen=True)
class Peer:
    """``module`` is the file here; ``needs`` what must be importable in the ``python`` that runs its
    processes, ``programs`` what must be on the path, ``headers`` what pkg-config must know, and ``install``
    the command that brings them. ``launcher`` says that the peer starts its processes itself, and cannot
    start one of them again; ``native``, that its module gives a program to run in Python's place; ``master``,
    the module of the daemon that it needs, and whose memory and processor time count."""

    module: str
    needs: str
    loans: bool = False
    foreign: bool = False
    launcher: bool = False
    native: bool = False
    only_frames: bool = False
    master: str = ""
    window: int = 512  # small messages on their way at once, when as many as possible are sent
    env: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    programs: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    install: str = PYPI


PEERS = {
    "zuluko": Peer("ours", "zuluko"),
    "zuluko loaned": Peer("ours", "zuluko", loans=True, only_frames=True),
    "zuluko, no lane": Peer("ours", "zuluko", env={"ZULUKO_NO_LANE": "1"}),
    "zuluko to pynng": Peer("ours", "zuluko", foreign=True),
    "pynng": Peer("raw_pynng", "pynng"),
    "iceoryx2": Peer("iox2", "iceoryx2"),
    "iceoryx2 loaned": Peer("iox2", "iceoryx2", loans=True, only_frames=True),
    "pyzmq": Peer("raw_zmq", "zmq"),
    "zenoh": Peer("zenoh_tcp", "zenoh"),
    "zenoh shm": Peer("zenoh_shm", "zenoh"),
    "lcm": Peer("raw_lcm", "lcm"),
    "cyclonedds": Peer("dds", "cyclonedds"),
    "ecal": Peer("raw_ecal", "ecal", window=1),
    "dora": Peer("dora_rs", "dora", launcher=True),
    "rospy": Peer(
        "ros_py",
        "rospy, roslaunch, sensor_msgs.msg, numpy",
        master="ros_master",
        python=DEBIAN,
        install=ROS,
    ),
    "roscpp": Peer(
        "ros_cpp",
        "roslaunch",
        native=True,
        master="ros_master",
        python=DEBIAN,
        programs=("g++", "pkg-config"),
        headers=("roscpp", "sensor_msgs", "std_msgs"),
        install=ROSCPP,
    ),
}
