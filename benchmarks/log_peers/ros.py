"""ROS 1: ``rosbag record``, which is C++, and rospy publishers of sensor_msgs and nav_msgs.

Run as a program with Debian's Python, this file is one of the publishers, or counts what a bag holds.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bus_peers import DEBIAN
from benchmarks.log_peers import CASES, Case, Topic, pictures, send

QUEUE = 1000  # messages, as many as somebody who must lose none would give


def command(case: str, file: Path) -> list[str]:
    topics = [topic.name for topic in CASES[case].topics]
    return ["rosbag", "record", "--quiet", "-O", str(file), *topics]


def sender(topic: Topic, case: Case, folder: Path) -> tuple[Callable[[], None], Callable[[], int]]:
    import rospy
    from nav_msgs.msg import Odometry
    from sensor_msgs.msg import CompressedImage, Image, Imu

    rospy.init_node(topic.name, disable_signals=True)
    kind = {"jpeg": CompressedImage, "raw": Image, "imu": Imu, "odometry": Odometry}[topic.kind]
    outlet = rospy.Publisher(topic.name, kind, queue_size=QUEUE, tcp_nodelay=True)
    seen = pictures.read(topic, folder) if topic.size[0] else []
    raw = [image.tobytes() for image, _ in seen] if topic.kind == "raw" else []
    number = 0

    def once() -> None:
        nonlocal number
        message: Any = kind()
        message.header.stamp = rospy.Time.now()
        if topic.kind == "imu":
            message.angular_velocity.z = number * 1e-6
            message.linear_acceleration.z = 9.81
        elif topic.kind == "odometry":
            message.pose.pose.position.x = number * 1e-3
        elif topic.kind == "jpeg":
            message.format, message.data = "jpeg", seen[number % len(seen)][1]
        else:
            message.width, message.height = topic.size
            message.encoding, message.step = "bgr8", 3 * topic.size[0]
            message.data = raw[number % len(raw)]
        number += 1
        outlet.publish(message)

    return once, outlet.get_num_connections


def counted(file: Path) -> dict[str, int]:
    told = subprocess.run(
        [DEBIAN, "-m", __name__, "count", str(file)], check=True, capture_output=True, text=True
    )
    found: dict[str, int] = json.loads(told.stdout)
    return found


def count(file: str) -> None:
    import rosbag

    with rosbag.Bag(file) as bag:
        told = bag.get_type_and_topic_info().topics
        print(json.dumps({topic.strip("/"): one.message_count for topic, one in told.items()}))


def main(role: str, name: str, *more: str) -> None:
    if role == "count":
        count(name)
        return
    topic = next(one for one in CASES[name].topics if one.name == more[0])
    folder = Path(more[1])
    once, heard = sender(topic, CASES[name], folder)
    send(topic, once, heard, folder / "go", float(more[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
