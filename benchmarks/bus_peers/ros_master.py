"""ROS 1's master and the node that collects its logs, as ``roscore`` starts them, on a port of their own."""

import socket
import xmlrpc.client
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

HOST = "localhost"


def environment(folder: Path) -> dict[str, str]:
    """What every process of ROS has to know; its logs go into the run's folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "ROS_MASTER_URI": f"http://{HOST}:{port}",
        "ROS_HOSTNAME": HOST,
        "ROS_HOME": str(folder / "ros"),
        "ROS_PACKAGE_PATH": "/usr/share",
    }


def command(env: dict[str, str]) -> list[str]:
    return ["roscore", "-p", env["ROS_MASTER_URI"].rpartition(":")[2]]


def ready(env: dict[str, str]) -> bool:
    """Whether the master answers, and knows the last of the processes that ``roscore`` starts."""
    proxy = xmlrpc.client.ServerProxy(env["ROS_MASTER_URI"])
    with suppress(OSError, HTTPException, xmlrpc.client.Error), proxy as master:
        known: object = master.lookupNode("/benchmark", "/rosout")
        return isinstance(known, list) and known[0] == 1
    return False
