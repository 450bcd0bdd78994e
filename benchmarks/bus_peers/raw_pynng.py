"""pynng by itself: PUB and SUB over ipc, MessagePack for the small message."""

import msgpack
import pynng

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header


def publisher(run: Run) -> Link:
    socket = pynng.Pub0(listen=f"ipc://{run.folder}/nng", send_buffer_size=run.keep)
    if run.small:
        return Link(lambda stamp, seq, payload: socket.send(msgpack.packb((stamp, seq, payload))))
    return Link(lambda stamp, seq, frame: socket.send(b"".join((HEADER.pack(stamp, seq), frame.data))))


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    socket = pynng.Sub0(
        dial=f"ipc://{run.folder}/nng",
        block_on_dial=False,
        recv_buffer_size=run.keep,
        reconnect_time_min=10,
        reconnect_time_max=50,
    )
    socket.subscribe(b"")
    ready()
    while True:
        if run.small:
            stamp, seq, _ = msgpack.unpackb(socket.recv())
            done = take(stamp, seq, None)
        else:
            message = socket.recv_msg()
            data = memoryview(message._buffer).cast("B")
            done = take(*header(data), run.view(data, HEADER.size))
        if done:
            return
