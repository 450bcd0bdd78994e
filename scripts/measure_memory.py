"""Measures what each stock node takes, and writes zuluko/launch/measured.json, by which `zuluko check` adds
up what a graph needs on its board. Run it on a machine of the board's kind if there is one:

    python scripts/measure_memory.py [SECONDS]

The door runs on its demo, then eight plain nodes. Each process is asked once a second for its PSS, and the
most that it said counts, rounded up to a tenth of a MB.
"""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from zuluko.launch import launchfile, memory, status
from zuluko.launch.gauges import pss
from zuluko.launch.graphlock import running

PLAIN = """
from collections.abc import Iterator
from zuluko import Message, Stream, Tick

class Beat(Message, tag="Beat/1"):
    count: int = 0

def plain(ticks: Stream[Tick]) -> Iterator[Beat]:
    for tick in ticks:
        yield Beat(stamp=tick.stamp, count=tick.count)
"""
COUNT = 8


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="zk-") as folder:
        os.environ["ZULUKO_RUN"] = str(Path(folder) / "run")
        door = launchfile.locate("door")
        of_door = measure(door, ["--set", "loop=true"], seconds)
        nodes = {memory.key(entry): of_door[name] for name, entry in launchfile.load(door).entries.items()}
        of_plain = measure(_plain(Path(folder)), [], min(seconds, 5))
        launcher = max(of_door["launcher"], of_plain["launcher"])
        plain = max(size for name, size in of_plain.items() if name != "launcher")
    how = f"the most PSS in {seconds:g} s of the door's demo, and of {COUNT} plain nodes"
    where = f"{platform.machine()}, Python {platform.python_version()}, {date.today()}"
    told = {"how": f"{how}; {where}", "launcher": launcher, "plain": plain, "nodes": nodes}
    memory.FILE.write_text(json.dumps(told, indent=1) + "\n")
    print(memory.FILE.read_text(), end="")


def _plain(folder: Path) -> Path:
    (folder / "plain.py").write_text(PLAIN)
    entries = [f"  node{number}: {{run: ./plain.py, in: {{ticks: every 100ms}}}}" for number in range(COUNT)]
    file = folder / "plain.yaml"
    file.write_text("\n".join(["nodes:", *entries, ""]))
    return file


def measure(file: Path, arguments: list[str], seconds: float) -> dict[str, float]:
    """The most PSS of each node, and of the launcher with its view, in MB."""
    most: dict[str, float] = defaultdict(float)
    with _up(file, arguments) as graph:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(1)
            for name, size in _sizes(graph):
                most[name] = max(most[name], math.ceil(size * 10) / 10)
    return dict(most)


@contextmanager
def _up(file: Path, arguments: list[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "zuluko", "up", str(file), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (running(file.stem) and status.read(file.stem)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{file} does not run")
            time.sleep(0.05)
        yield file.stem
    finally:
        process.terminate()
        process.wait()


def _sizes(graph: str) -> Iterator[tuple[str, float]]:
    told = status.read(graph)
    nodes = told.nodes if told else ()
    yield from ((node.name, pss(node.pid) or 0.0) for node in nodes if node.pid)
    known = {node.pid for node in nodes}
    launcher = running(graph) or 0
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    others = [int(pid) for pid in children if int(pid) not in known]
    yield "launcher", sum(pss(pid) or 0.0 for pid in (launcher, *others))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20)
