"""A process that holds a graph's name and answers on its control socket what it is told to, as a supervisor
that is wrong, old or silent would. Started as ``python -m tests.false_supervisor GRAPH ANSWERS`` with a JSON
object: for each ``do`` the lines to send, null to say nothing at all, and ``"end"`` to end after them.
"""

import json
import os
import socket
import sys
import time

import msgspec

from zuluko.launch import control, status
from zuluko.launch.graphlock import GraphLock

HOUR = 3600 * 1_000_000_000
NODES = (
    status.Node("camera", state="ready", pid=101, since=HOUR - 65_000_000_000, memory=11.5, cpu=0.25),
    status.Node("faces", state="degraded", pid=102, restarts=2, late=7, since=HOUR, reason="7 late messages"),
    status.Node("spare", state="failing", must=False, reason="died 10 times"),
    status.Node("lamp", state="off", reason="when: night"),
)
TOLD = status.Status("door", "door.yaml", 100, 0, HOUR, 0, nodes=NODES, state="degraded")


def main(graph: str, answers: dict[str, list[str] | None]) -> None:
    lock = GraphLock(graph)
    file = status.path(graph)
    file.write_bytes(msgspec.json.encode(TOLD))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(control.path(graph)))
    server.listen()
    print("listening", flush=True)
    while True:
        client, _ = server.accept()
        asked = json.loads(client.makefile().readline())
        lines = answers.get(asked["do"], [])
        if lines is None:
            time.sleep(1000)
        for line in lines:
            if line == "end":
                file.unlink()
                lock.release()
                os._exit(0)
            client.sendall(line.encode() + b"\n")
        client.close()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
