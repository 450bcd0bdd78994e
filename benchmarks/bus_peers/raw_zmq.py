"""pyzmq by itself: PUB and SUB over ipc; a frame is sent from the publisher's own array."""

import msgpack
import zmq

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header


def publisher(run: Run) -> Link:
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, run.keep)
    socket.bind(f"ipc://{run.folder}/zmq")
    if run.small:
        return Link(lambda stamp, seq, payload: socket.send(msgpack.packb((stamp, seq, payload))))
    return Link(lambda stamp, seq, frame: socket.send_multipart([HEADER.pack(stamp, seq), frame], copy=False))


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, run.keep)
    socket.setsockopt(zmq.RECONNECT_IVL, 10)
    socket.connect(f"ipc://{run.folder}/zmq")
    socket.subscribe(b"")
    ready()
    while True:
        if run.small:
            stamp, seq, _ = msgpack.unpackb(socket.recv())
            done = take(stamp, seq, None)
        else:
            first, data = socket.recv_multipart(copy=False)
            done = take(*header(first.buffer), run.view(data.buffer))
        if done:
            return
