"""Zenoh between two peers, over TCP on the loopback interface."""

import json
import socket
from typing import Any

import zenoh

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header

KEY = "bench/topic"
opened: list[Any] = []  # a session that is collected closes its publisher


def config(run: Run, *, listen: bool, shared_memory: bool) -> Any:
    """The publisher listens on a port of its own and says which; the subscriber waits for it."""
    told = zenoh.Config()
    port_file = run.folder / "port"
    if not port_file.exists():  # whoever comes first picks one; the other process starts later
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port_file.write_text(str(free.getsockname()[1]))
    endpoint = json.dumps([f"tcp/127.0.0.1:{port_file.read_text()}"])
    told.insert_json5("mode", '"peer"')
    told.insert_json5("scouting/multicast/enabled", "false")
    told.insert_json5("transport/shared_memory/enabled", json.dumps(shared_memory))
    told.insert_json5("listen/endpoints", endpoint if listen else "[]")
    if not listen:
        told.insert_json5("connect/endpoints", endpoint)
        retry = {"period_init_ms": 20, "period_max_ms": 50, "period_increase_factor": 1}
        told.insert_json5("connect/retry", json.dumps(retry))
        told.insert_json5("connect/timeout_ms", "-1")
    return told


def publisher(run: Run) -> Link:
    session = zenoh.open(config(run, listen=True, shared_memory=False))
    opened.append(session)
    outlet = session.declare_publisher(KEY, congestion_control=zenoh.CongestionControl.BLOCK)
    if run.small:
        return Link(lambda stamp, seq, payload: outlet.put(HEADER.pack(stamp, seq) + payload))
    return Link(lambda stamp, seq, frame: outlet.put(frame.tobytes(), attachment=HEADER.pack(stamp, seq)))


def subscriber(run: Run, take: Take, ready: Ready, *, shared_memory: bool = False) -> None:
    session = zenoh.open(config(run, listen=False, shared_memory=shared_memory))
    inlet = session.declare_subscriber(KEY)
    ready()
    for sample in inlet:
        data = sample.payload.to_bytes()
        if run.small:
            done = take(*header(data), None)
        else:
            done = take(*header(sample.attachment.to_bytes()), run.view(data))
        if done:
            return
