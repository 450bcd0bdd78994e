"""ROS 1: a launch file of rospy nodes, and ``roslaunch``, which starts the master, too.

Run as a program, this file is one of the nodes.
"""

import sys
from pathlib import Path

from benchmarks.bus_peers import DEBIAN
from benchmarks.launch_peers import begun, numbered

PACKAGE = "<package><name>hello</name><version>1.0.0</version></package>"
PROGRAM = f"#!{DEBIAN}\nfrom benchmarks.launch_peers import ros\nros.main()\n"


def command(folder: Path, nodes: list[str]) -> list[str]:
    package = folder / "packages" / "hello"
    package.mkdir(parents=True)
    (package / "package.xml").write_text(PACKAGE)
    program = package / "node"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    described = "".join(
        f'<node name="{name}" pkg="hello" type="node" args="{program}"/>' for name, program in numbered(nodes)
    )
    file = folder / "hello.launch"
    file.write_text(f"<launch>{described}</launch>")
    return ["roslaunch", str(file)]


def main() -> None:
    import rospy
    from std_msgs.msg import String

    rospy.init_node("hello")
    program = sys.argv[1]
    if program == "listener":
        rospy.Subscriber("hello", String, lambda hello: print(hello.data))
        begun()
        rospy.spin()
        return
    rate = rospy.Rate(10 if program == "talker" else 1)
    outlet = rospy.Publisher("hello", String, queue_size=10) if program == "talker" else None
    begun()
    while not rospy.is_shutdown():
        if outlet:
            outlet.publish(f"hello world {rospy.get_time()}")
        rate.sleep()
