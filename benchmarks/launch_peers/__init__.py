"""Who takes part in ``benchmarks/launch.py``: a module a peer, by the names of ``benchmarks.bus_peers``.

A peer's module has ``command(folder, nodes)``, which writes into the folder what describes a graph of those
nodes and gives the command that launches it. A node is one of three programs, as many as its number says:
``talker`` says hello ten times a second, ``listener`` hears it, ``idle`` is woken once a second by a timer.
Each calls ``begun()`` once its own loop is about to run, with its inputs connected.
"""

import os
import time

MODULES = {"zuluko": "ours", "rospy": "ros", "dora": "dora_rs"}
PAIR = ["talker", "listener"]
EVENTS = "BENCH_EVENTS"  # names the pipe into which a node writes


def begun() -> None:
    """Tells that the node's loop begins, and how long ago its process did, in ms."""
    with open(os.environ[EVENTS], "w") as events:
        events.write(f"begun {age() * 1000:.0f}\n")


def age() -> float:
    """Seconds since this process was forked, by the kernel's clock of 10 ms."""
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def numbered(nodes: list[str]) -> list[tuple[str, str]]:
    """Each node's name, and its program."""
    return [(f"{program}{number}", program) for number, program in enumerate(nodes)]
