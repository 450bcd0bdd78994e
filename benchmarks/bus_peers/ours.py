"""Zuluko itself: typed messages, checked, in their envelope, with the counts of what was lost."""

from __future__ import annotations

import os
from typing import Annotated, Any

from benchmarks.bus_peers.work import Link, Ready, Run, Take
from zuluko.bus import frames
from zuluko.bus.message import Array, Message
from zuluko.bus.np import NDArray, np
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import graph_dir

GRAPH, TOPIC = "bench", "topic"
Vector = tuple[float, float, float]


class Sample(Message, tag="Sample/1"):
    """Eight numbers of 8 bytes with the stamp: as much as the peers' 64 bytes hold."""

    seq: int
    gyro: Vector
    accel: Vector


class Picture(Message, tag="Picture/1"):
    seq: int
    image: Annotated[NDArray[np.uint8], Array("u1", (None, None, 3))]


def publisher(run: Run) -> Link:
    graph_dir(GRAPH)
    kind = Sample if run.small else Picture
    ours = Publisher(GRAPH, TOPIC, kind, queue=run.keep)
    lent: list[NDArray[np.uint8]] = []

    def send_sample(stamp: int, seq: int, payload: bytes) -> None:
        ours.send(Sample(stamp=stamp, seq=seq, gyro=(0.01, -0.02, 0.03), accel=(0.1, 0.2, 9.81)))

    def send_picture(stamp: int, seq: int, payload: Any) -> None:
        ours.send(Picture(stamp=stamp, seq=seq, image=payload))

    def fill(frame: NDArray[np.uint8]) -> None:
        lent.append(frames.empty(frame.shape))
        np.copyto(lent[0], frame)

    def send_lent(stamp: int, seq: int, payload: Any) -> None:
        ours.send(Picture(stamp=stamp, seq=seq, image=lent.pop()))

    if run.peer.loans:
        frames.serve(ours)
        return Link(send_lent, fill)
    return Link(send_sample if run.small else send_picture)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    if run.peer.foreign:
        return foreign(run, take, ready)
    if run.small:
        samples = Subscriber(GRAPH, TOPIC, Sample, keep=run.keep)
        ready()
        while (sample := samples.wait()) and not take(sample.body.stamp, sample.body.seq, None):
            pass
        return None
    pictures = Subscriber(GRAPH, TOPIC, Picture, keep=run.keep)
    ready()
    while picture := pictures.wait():
        if take(picture.body.stamp, picture.body.seq, picture.body.image):
            return None
        del picture  # else its slot stays leased while we wait
    return None


def foreign(run: Run, take: Take, ready: Ready) -> None:
    """Another program's subscriber, that knows nng and MessagePack and nothing of us."""
    import msgpack
    import pynng

    url = f"ipc://{os.environ['ZULUKO_RUN']}/{GRAPH}/{TOPIC}"
    socket = pynng.Sub0(
        dial=url, block_on_dial=False, recv_buffer_size=run.keep, reconnect_time_min=10, reconnect_time_max=50
    )
    socket.subscribe(b"")
    ready()
    while True:
        body = msgpack.unpackb(socket.recv())[4]
        frame = None if run.small else run.view(body["image"]["data"])
        if take(body["stamp"], body["seq"], frame):
            return
