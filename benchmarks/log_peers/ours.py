"""Zuluko's recorder, as a graph runs it, and publishers of its standard messages."""

import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.log_peers import CASES, Case, Topic, pictures, send
from zuluko.bus import clock
from zuluko.bus.live import Waker
from zuluko.bus.log_reader import LogReader, losses
from zuluko.bus.log_tap import Taps
from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.messages import Frame, Imu, Odometry, Vector3
from zuluko.nodes.record_plan import Plan
from zuluko.nodes.recorder import about, recorder

GRAPH = "benchmark"
KINDS: dict[str, type[Message]] = {"jpeg": Frame, "raw": Frame, "imu": Imu, "odometry": Odometry}


def command(case: str, file: Path) -> list[str]:
    return [sys.executable, "-m", __name__, "record", case, str(file)]


def sender(topic: Topic, case: Case, folder: Path) -> tuple[Callable[[], None], Callable[[], int]]:
    publisher = Publisher(GRAPH, topic.name, KINDS[topic.kind])
    make = _maker(topic, case, folder)

    def once() -> None:
        publisher.send(make(clock.now(), publisher.seq))

    return once, lambda: publisher.subscribers


def _maker(topic: Topic, case: Case, folder: Path) -> Callable[[int, int], Message]:
    if topic.kind == "imu":
        return lambda stamp, seq: Imu(
            stamp=stamp,
            angular_velocity=Vector3(x=0.01, y=-0.02, z=seq * 1e-6),
            linear_acceleration=Vector3(x=0.1, y=0.2, z=9.81),
        )
    if topic.kind == "odometry":
        return lambda stamp, seq: Odometry(stamp=stamp, position=Vector3(x=seq * 1e-3, y=0.5))
    seen = pictures.read(topic, folder)
    with_jpeg = topic.kind == "jpeg" and not case.raw
    frames = [(image, np.frombuffer(data, np.uint8) if with_jpeg else None) for image, data in seen]

    def frame(stamp: int, seq: int) -> Message:
        image, jpeg = frames[seq % len(frames)]
        return Frame(stamp=stamp, image=image, jpeg=jpeg)

    return frame


def record(case: Case, file: Path) -> None:
    waker, poller = Waker(), Poller(GRAPH)
    signal.signal(signal.SIGTERM, lambda *_: waker.stop())
    taps = Taps(GRAPH, [topic.name for topic in case.topics], waker, poller, linger=1.0)
    images: Any = "as-is" if any(topic.kind == "jpeg" for topic in case.topics) else "raw"
    recorder(taps, plan=Plan(file, images=images, quality=pictures.QUALITY), about=about(GRAPH))


def counted(file: Path) -> dict[str, int]:
    with LogReader(file) as log:
        lost = losses(log.told)
        if lost:
            print(f"the recorder lost {lost}", file=sys.stderr)
        return dict(Counter(topic for topic, _ in log.messages()))


def main(role: str, name: str, *more: str) -> None:
    case = CASES[name]
    if role == "record":
        record(case, Path(more[0]))
        return
    topic = next(one for one in case.topics if one.name == more[0])
    folder = Path(more[1])
    once, heard = sender(topic, case, folder)
    send(topic, once, heard, folder / "go", float(more[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
