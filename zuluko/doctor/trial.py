"""Sends pictures from one process to another, and prints how that went: ``python -m zuluko.doctor.trial``."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from zuluko.bus import clock  # before the fork, so that both share it

COUNT = 20
SHAPE = (240, 320, 3)
PATIENCE = 5.0  # s for all of it


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="zk-") as folder:
        os.environ["ZULUKO_RUN"] = folder
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:  # before there is a socket or a thread
            os._exit(_receive(writer))
        os.close(writer)
        _send()
        with open(reader) as told:
            print(told.read(), end="")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _send() -> None:
    import numpy as np

    from zuluko.bus.publisher import Publisher
    from zuluko.messages import Frame

    publisher = Publisher("doctor", "trial", Frame)
    end = time.monotonic() + PATIENCE
    while not publisher.subscribers and time.monotonic() < end:
        time.sleep(0.005)
    for _ in range(COUNT):
        publisher.send(Frame(stamp=clock.now(), image=np.zeros(SHAPE, np.uint8)))
        time.sleep(0.005)
    time.sleep(0.1)  # what is under way arrives before the lane is closed
    publisher.close()


def _receive(fd: int) -> int:
    from zuluko.bus.subscriber import Subscriber
    from zuluko.messages import Frame

    subscriber = Subscriber("doctor", "trial", Frame)
    times: list[float] = []
    end = time.monotonic() + PATIENCE
    lane = False
    while len(times) < COUNT and time.monotonic() < end:
        if (envelope := subscriber.wait(0.5)) is not None:
            times.append((clock.now() - envelope.sent) / 1e6)
            lane = lane or "memfd:" in Path("/proc/self/maps").read_text()
    subscriber.close()
    told = {"sent": COUNT, "received": len(times), "ms": median(times) if times else 0.0, "lane": lane}
    os.write(fd, json.dumps(told).encode())
    return 0 if times else 1


if __name__ == "__main__":
    sys.exit(main())
