"""What `zuluko top` costs those whom it watches: a publisher at full speed, with and without, in turns.

Run: python benchmarks/watched.py [rounds]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ, sched_getaffinity
from pathlib import Path
from statistics import median
from typing import Any

SECONDS = 2.0  # of each measurement
SETTLE = 0.5  # s before it

NODES = """
import numpy as np
from collections.abc import Iterator
from typing import Annotated
from zuluko import Array, Message, Stream, empty

class Small(Message, tag="Small/1"):
    n: int = 0

class Picture(Message, tag="Picture/1"):
    image: Annotated[np.ndarray, Array("u1", (None, None, 3))]

def small() -> Iterator[Small]:
    n = 0
    while True:
        n += 1
        yield Small(stamp=n, n=n)

def picture() -> Iterator[Picture]:
    while True:
        yield Picture(image=empty((1080, 1920, 3)))

def steady(*, hz: float = 1000.0) -> Iterator[Small]:
    import time
    n = 0
    while True:
        n += 1
        yield Small(stamp=n, n=n)
        time.sleep(1 / hz)

def reader(smalls: Stream[Small]) -> Iterator[Small]:
    for small in smalls:
        yield Small(stamp=small.stamp, n=small.n)
"""

CASES = {
    "64 B, as fast as it can": ("pub", "nodes: {pub: {run: ./own.py:small}}"),
    "64 B, and a node that hears it": (
        "pub",
        "nodes:\n  pub: {run: ./own.py:small}\n  hear: {run: ./own.py:reader, in: {smalls: pub}}",
    ),
    "1080p, as fast as it can": ("pub", "nodes: {pub: {run: ./own.py:picture}}"),
    "64 B at 1 kHz, and a node that hears it": (
        "hear",
        "nodes:\n  pub: {run: ./own.py:steady}\n  hear: {run: ./own.py:reader, in: {smalls: pub}}",
    ),
}


def main() -> None:
    assert __doc__
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("rounds", type=int, nargs="?", default=8)
    rounds = arguments.parse_args().rounds
    cores = len(sched_getaffinity(0))
    print(
        f"Python {sys.version.split()[0]}, {cores} cores, {rounds} rounds of {SECONDS:g} s each way, medians"
    )
    print(f"{'':<40} {'messages a second':>24} {'publisher CPU, us each':>24} {'':>18} {'top':>6}")
    print(
        f"{'publisher':<40}{'alone':>12} {'watched':>12} {'alone':>12} {'watched':>11} {'ratio':>18}    CPU"
    )
    for name, (topic, graph) in CASES.items():
        with tempfile.TemporaryDirectory(prefix="zk-") as folder:
            measure(name, topic, graph, Path(folder), rounds)


def measure(name: str, topic: str, graph: str, folder: Path, rounds: int) -> None:
    (folder / "own.py").write_text(NODES)
    (folder / "watched.yaml").write_text(graph)
    environ["ZULUKO_RUN"] = str(folder / "run")
    alone, watched, cpu = [], [], []
    with running(folder):
        for _ in range(rounds):
            alone.append(rate(topic))
            with top() as pid:
                before = cpu_seconds(pid)
                watched.append(rate(topic))
                cpu.append((cpu_seconds(pid) - before) / (SETTLE + SECONDS))
    ratios = sorted(with_top[1] / without[1] for with_top, without in zip(watched, alone, strict=True))
    rates = [median(rate for rate, _ in found) for found in (alone, watched)]
    costs = [median(cost for _, cost in found) for found in (alone, watched)]
    quartiles = f"{ratios[len(ratios) // 4]:.3f}..{ratios[-1 - len(ratios) // 4]:.3f}"
    print(
        f"{name:<40}{rates[0]:>12.0f} {rates[1]:>12.0f} {costs[0] * 1e6:>12.2f} {costs[1] * 1e6:>11.2f} "
        f"{median(ratios):>6.3f} {quartiles} {median(cpu):>6.1%}",
        flush=True,
    )


@contextmanager
def running(folder: Path) -> Iterator[None]:
    # Without a view, which would listen to everything: what is measured is top, and not `up`.
    code = (
        "import sys; from pathlib import Path; from zuluko.launch import launchfile; "
        "from zuluko.launch.supervisor import Supervisor; "
        "sys.exit(Supervisor(launchfile.load(Path(sys.argv[1]))).run())"
    )
    command = [sys.executable, "-c", code, str(folder / "watched.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2.0)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def top() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "zuluko", "top", "--json"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def rate(topic: str) -> tuple[float, float]:
    """Messages a second, and the CPU seconds that one costs its publisher."""
    time.sleep(SETTLE)
    seq, sent, used = newest(topic)
    time.sleep(SECONDS)
    seq2, sent2, used2 = newest(topic)
    return (seq2 - seq) / (sent2 - sent) * 1e9, (used2 - used) / (seq2 - seq)


def newest(topic: str) -> tuple[int, int, float]:
    from zuluko.bus.subscriber import Subscriber
    from zuluko.bus.topics import announcement

    subscriber: Subscriber[Any] = Subscriber("watched", topic, Any, keep=1, latched=True)
    envelope = subscriber.wait(5)
    subscriber.close()
    told = announcement("watched", topic)
    assert envelope
    assert told
    return envelope.seq, envelope.sent, cpu_seconds(told.pid)


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process's first thread, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
