"""ROS 1's rospy: TCP without delay; bytes for the small message, an Image for a frame."""

import threading
from typing import Any

import rospy
from sensor_msgs.msg import Image
from std_msgs.msg import UInt8MultiArray

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header

BUFFER = 1 << 25  # bytes that it takes from its socket at once; a 4K frame comes in the default's 380 pieces
SECOND = 10**9


def publisher(run: Run) -> Link:
    rospy.init_node("publisher")
    kind = UInt8MultiArray if run.small else Image
    outlet = rospy.Publisher("topic", kind, queue_size=run.keep, tcp_nodelay=True)

    def send_frame(stamp: int, seq: int, frame: Any) -> None:
        image = Image(height=frame.shape[0], width=frame.shape[1], encoding="bgr8", step=frame.strides[0])
        image.header.stamp.secs, image.header.stamp.nsecs = divmod(stamp, SECOND)
        image.header.frame_id = str(seq)  # its own seq is rospy's
        image.data = frame.tobytes()
        outlet.publish(image)

    if run.small:
        return Link(
            lambda stamp, seq, payload: outlet.publish(
                UInt8MultiArray(data=HEADER.pack(stamp, seq) + payload)
            )
        )
    return Link(send_frame)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    rospy.init_node(f"subscriber{run.index}")
    ended = threading.Event()

    def heard(message: Any) -> None:
        if run.small:
            done = take(*header(message.data), None)
        else:
            told = message.header
            stamp = told.stamp.secs * SECOND + told.stamp.nsecs
            done = take(stamp, int(told.frame_id), run.view(message.data))
        if done:
            ended.set()

    kind = UInt8MultiArray if run.small else Image
    rospy.Subscriber("topic", kind, heard, queue_size=run.keep, buff_size=BUFFER, tcp_nodelay=True)
    ready()
    ended.wait()
