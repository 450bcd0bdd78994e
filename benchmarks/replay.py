"""Replay in real time: how far from its time each message arrives, beside ROS 1's ``rosbag play``.

An IMU at 1 kHz is recorded into a log and into a bag with the same times, and each is replayed at rate 1. In
another process a subscriber notes when each message arrives: ours in Python, that of ROS in C++. The error is
the distance between when a message came and when it was due, where the median message counts as on time: what
every message takes on its way is in it no error. With --realtime all of them run before other programs
(SCHED_FIFO, as root), so that a machine that is busy with something else does not count.

    python benchmarks/replay.py [--runs 5] [--seconds 10] [--realtime]
"""

import argparse
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bus_peers import DEBIAN, Peer, ros_master
from benchmarks.bus_peers.installed import missing
from benchmarks.processes import environment, folder, kill, machine

ROSBAG = Peer(
    "replay_ros",
    "rosbag, sensor_msgs.msg, roslaunch",
    python=DEBIAN,
    programs=("rosbag", "roscore", "g++", "pkg-config"),
    headers=("roscpp", "sensor_msgs"),
    install="apt-get install rosout python3-roslaunch python3-rosbag librosbag-dev python3-sensor-msgs "
    "g++ pkg-config libroscpp-dev libsensor-msgs-dev",
)
PERIOD = 1_000_000  # ns
BEGIN = 1_700_000_000 * 10**9
WAIT = 60.0  # s for a program to be ready, or to end

BAG = """
import sys, rosbag, rospy
from sensor_msgs.msg import Imu
with rosbag.Bag(sys.argv[1], "w") as bag:
    for number in range(int(sys.argv[2])):
        at = rospy.Time(*divmod(int(sys.argv[3]) + number * int(sys.argv[4]), 10**9))
        message = Imu()
        message.header.seq, message.header.stamp = number, at
        bag.write("imu", message, at)
"""

Arrivals = dict[int, int]  # of each message by its number, when it came, in ns


def ours(place: Path, count: int) -> Arrivals:
    from zuluko import record
    from zuluko.bus.subscriber import Subscriber
    from zuluko.bus.topics import announcement
    from zuluko.messages import Imu, Vector3

    log = place / "imu.mcap"
    still, down = Vector3(), Vector3(z=9.81)
    stamps = range(BEGIN, BEGIN + count * PERIOD, PERIOD)
    record((Imu(stamp=at, angular_velocity=still, linear_acceleration=down) for at in stamps), log, "imu")
    os.environ["ZULUKO_RUN"] = str(place)
    command = [sys.executable, "-m", "zuluko", "replay", str(log), "--name", "bench", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while announcement("bench", "imu") is None and process.poll() is None:
        time.sleep(0.01)
    subscriber = Subscriber("bench", "imu", Imu, keep=10_000)
    heard = {}
    while process.poll() is None:
        while (envelope := subscriber.wait(0.5)) is not None:
            heard[envelope.seq] = time.monotonic_ns()
    subscriber.close()
    assert process.stdout
    late = json.loads(process.stdout.read())["late_ms"]
    print(f"zuluko says that it was late by {late['median']:.3f} ms (median), {late['p99']:.3f} ms (99 %)")
    return heard


def rosbag(place: Path, count: int) -> Arrivals:
    bag = place / "imu.bag"
    env = environment(place, ros_master.environment(place))
    numbers = [str(count), str(BEGIN), str(PERIOD)]
    subprocess.run([DEBIAN, "-c", BAG, str(bag), *numbers], env=env, check=True)
    quiet = subprocess.DEVNULL
    master = subprocess.Popen(ros_master.command(env), env=env, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + WAIT
        while not ros_master.ready(env) and time.monotonic() < deadline:
            time.sleep(0.1)
        hearer = subprocess.Popen([str(_hearer())], env=env, stdout=subprocess.PIPE, text=True)
        assert hearer.stdout
        hearer.stdout.readline()
        command = ["rosbag", "play", "-q", "-d", "2", str(bag)]
        subprocess.run(command, env=env, check=True, stdout=quiet, stdin=quiet)
        hearer.send_signal(signal.SIGINT)
        said = hearer.communicate(timeout=WAIT)[0]
    finally:
        kill([master])
    return {int(number): int(at) for number, at in (line.split() for line in said.splitlines())}


def _hearer() -> Path:
    """The compiled subscriber; made once."""
    made = Path(_folder()) / "hearer"
    if not made.exists():
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "roscpp", "sensor_msgs"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        source = str(Path(__file__).with_name("replay_ros.cpp"))
        subprocess.run(["g++", "-O2", "-o", str(made), source, *flags, "-lpthread"], check=True)
    return made


def _folder(made: list[str] = []) -> str:  # noqa: B006
    if not made:
        made.append(tempfile.mkdtemp(prefix="zb-"))
        atexit.register(shutil.rmtree, made[0], ignore_errors=True)
    return made[0]


def errors(heard: Arrivals) -> list[float]:
    """By how much each message was early or late, in ms, in rising order."""
    late = {number: at - number * PERIOD for number, at in heard.items()}
    usual = median(late.values())
    return sorted(abs(one - usual) / 1e6 for one in late.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--realtime", action="store_true")
    given = parser.parse_args()
    if given.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    ways: dict[str, Callable[[Path, int], Arrivals]] = {"zuluko replay": ours, "rosbag play": rosbag}
    if lack := missing(ROSBAG):
        del ways["rosbag play"]
        print(f"rosbag: not installed ({lack}); bring it with: {ROSBAG.install}")
    where, count = machine(), round(given.seconds * 1e9 / PERIOD)
    found: dict[str, list[tuple[list[float], int]]] = {way: [] for way in ways}
    for _ in range(given.runs):
        for way, play in ways.items():
            with folder() as place:
                heard = play(place, count)
            found[way].append((errors(heard), count - len(heard)))
    load = f"{where} before the first of {given.runs} runs each in turn, {os.getloadavg()[0]:.1f} at the end"
    print(f"\n{load}{'; all of them run before other programs' * given.realtime}\n")
    print(f"| | error, ms: p50 | p99 | p99 of the best run | worst | lost |\n|{'---|' * 6}")
    for way, runs in found.items():
        figures = [[late[len(late) * part // 100] for late, _ in runs] for part in (50, 99)]
        worst, lost = max(late[-1] for late, _ in runs), sum(lost for _, lost in runs)
        shown = [median(figures[0]), median(figures[1]), min(figures[1]), worst]
        print("|", " | ".join([way, *(f"{one:.3f}" for one in shown), str(lost)]), "|")


if __name__ == "__main__":
    main()
