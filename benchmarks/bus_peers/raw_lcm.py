"""LCM over UDP multicast that does not leave the machine."""

from typing import Any

import lcm

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header

URL = "udpm://239.255.76.67:7667?ttl=0&recv_buf_size=4194304"


def publisher(run: Run) -> Link:
    outlet = lcm.LCM(URL)

    def send(stamp: int, seq: int, payload: Any) -> None:
        body = payload if run.small else payload.tobytes()
        outlet.publish(run.folder.name, HEADER.pack(stamp, seq) + body)

    return Link(send)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    inlet, ended = lcm.LCM(URL), []

    def heard(_channel: str, data: bytes) -> None:
        frame = None if run.small else run.view(data, HEADER.size)
        if take(*header(data), frame):
            ended.append(True)

    inlet.subscribe(run.folder.name, heard).set_queue_capacity(run.keep)
    ready()
    while not ended:
        inlet.handle()
