"""eCAL 6: a memory file with one buffer, so that no more than one message may be on its way."""

import os
import threading
from typing import Any

import ecal.nanobind_core as core

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header


def publisher(run: Run) -> Link:
    core.initialize(f"bench{os.getpid()}")
    outlet = core.Publisher(run.folder.name)

    def send(stamp: int, seq: int, payload: Any) -> None:
        outlet.send(b"".join((HEADER.pack(stamp, seq), payload if run.small else payload.data)))

    return Link(send)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    core.initialize(f"bench{os.getpid()}")
    inlet, ended = core.Subscriber(run.folder.name), threading.Event()

    def heard(*told: Any) -> None:
        data = told[2].buffer
        if take(*header(data), None if run.small else run.view(data, HEADER.size)):
            ended.set()

    inlet.set_receive_callback(heard)
    ready()
    ended.wait()
