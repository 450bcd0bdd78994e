"""The guard (examples/guard) on the demo clip: from the moment at which the first picture that shows the
stranger was grabbed to the alert, and to the snapshot on the disk.

    python benchmarks/guard.py [--runs 5]
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.processes import machine
from zuluko import read
from zuluko.messages import Face

GRAPH = Path(__file__).parent.parent / "examples/guard/guard.yaml"
TOPICS = ("faces", "rules.decision", "alarm", "snapshot")


class Alert(NamedTuple):
    """One run, in ms after the first picture that shows the stranger: when the rule had looked at the picture
    on which it fired, when the alert was out, and when the snapshot was on the disk."""

    decided: float
    told: float
    kept: float


def run(folder: Path) -> Alert:
    """Runs the guard to the end of the clip, and records it."""
    log = folder / "guard.mcap"
    command = [sys.executable, "-m", "zuluko"]
    guard = [*command, "up", str(GRAPH), "--set", f"album={folder / 'album'}", "--name", "guard_measured"]
    with subprocess.Popen([*guard, "--json"], stdout=subprocess.PIPE, text=True) as graph:
        assert graph.stdout is not None
        next(line for line in graph.stdout if '"who": "rules"' in line and "ready" in line)
        record = [*command, "record", str(log), "--graph", "guard_measured", *TOPICS]
        with subprocess.Popen(record, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            for _ in graph.stdout:
                pass
    return measured(log)


def measured(log: Path) -> Alert:
    """What a log of the guard says of its first alert."""
    first = next(found for found in read(log, "faces") if any(map(_strange, found.items)))
    return Alert(*((_sent(log, topic) - first.stamp) / 1e6 for topic in TOPICS[1:]))


def _strange(face: Face) -> bool:
    return not face.name and face.score >= 0.8


def _sent(log: Path, topic: str) -> int:
    """When the first message was sent that says that the rule has fired, or that it was done."""
    stream = read(log, topic)
    next(one for one in stream if one.outcome in ("fired", "done"))
    return stream.sent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    where, alerts = machine(), list(_runs(parser.parse_args().runs))
    print(f"{where} before the first of {len(alerts)} runs\n")
    print("| ms after the first picture of the stranger | median | worst |\n|---|---|---|")
    for name, row in zip(Alert._fields, zip(*alerts, strict=True), strict=True):
        print(f"| {name} | {median(row):.0f} | {max(row):.0f} |")


def _runs(number: int) -> Iterator[Alert]:
    for _ in range(number):
        with tempfile.TemporaryDirectory() as folder:
            yield run(Path(folder))


if __name__ == "__main__":
    main()
