"""iceoryx2: samples in shared memory, and an event beside them to wait for."""

import ctypes
from typing import Any

import iceoryx2

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take

_open: list[Any] = []  # a node that is collected ends its services


def services(run: Run) -> tuple[Any, Any]:
    """The service of the samples, and that of the event."""

    class Sample(ctypes.Structure):
        _fields_ = (
            ("stamp", ctypes.c_int64),
            ("seq", ctypes.c_int64),
            ("data", ctypes.c_uint8 * run.size),
        )

        @staticmethod
        def type_name() -> str:
            return "Sample"

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    _open.append(node)
    data = node.service_builder(iceoryx2.ServiceName.new(f"{run.folder.name}/data"))
    event = node.service_builder(iceoryx2.ServiceName.new(f"{run.folder.name}/event"))
    samples = data.publish_subscribe(Sample).subscriber_max_buffer_size(run.keep).max_subscribers(4)
    return samples.open_or_create(), event.event().open_or_create()


def publisher(run: Run) -> Link:
    samples, event = services(run)
    outlet, notifier = samples.publisher_builder().create(), event.notifier_builder().create()
    lent: list[Any] = []

    def copy(sample: Any, payload: Any) -> None:
        source = payload if run.small else payload.ctypes.data
        ctypes.memmove(sample.payload_ptr + HEADER.size, source, run.size)

    def finish(sample: Any, stamp: int, seq: int) -> None:
        ctypes.memmove(sample.payload_ptr, HEADER.pack(stamp, seq), HEADER.size)
        sample.assume_init().send()
        notifier.notify()

    def send(stamp: int, seq: int, payload: Any) -> None:
        sample = outlet.loan_uninit()
        copy(sample, payload)
        finish(sample, stamp, seq)

    def fill(frame: Any) -> None:
        lent.append(outlet.loan_uninit())
        copy(lent[0], frame)

    if run.peer.loans:
        return Link(lambda stamp, seq, _: finish(lent.pop(), stamp, seq), fill)
    return Link(send)


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    samples, event = services(run)
    inlet, listener = samples.subscriber_builder().create(), event.listener_builder().create()
    ready()
    while True:
        listener.blocking_wait()
        while (sample := inlet.receive()) is not None:
            content = sample.payload().contents
            if take(content.stamp, content.seq, None if run.small else run.view(content.data)):
                return
            del content, sample
