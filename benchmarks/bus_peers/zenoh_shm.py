"""Zenoh with its shared memory for frames."""

from typing import Any

import zenoh
import zenoh.shm

from benchmarks.bus_peers import zenoh_tcp
from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take


def publisher(run: Run) -> Link:
    session = zenoh.open(zenoh_tcp.config(run, listen=True, shared_memory=True))
    zenoh_tcp.opened.append(session)
    outlet = session.declare_publisher(zenoh_tcp.KEY, congestion_control=zenoh.CongestionControl.BLOCK)
    if run.small:
        return Link(lambda stamp, seq, payload: outlet.put(HEADER.pack(stamp, seq) + payload))
    memory = zenoh.shm.ShmProvider.default_backend(run.size * 6)

    def send(stamp: int, seq: int, frame: Any) -> None:
        lent = memory.alloc(run.size, policy=zenoh.shm.BlockOn(zenoh.shm.GarbageCollect()))
        lent[0 : run.size] = frame.tobytes()
        outlet.put(lent, attachment=HEADER.pack(stamp, seq))

    return Link(send)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    zenoh_tcp.subscriber(run, take, ready, shared_memory=True)
