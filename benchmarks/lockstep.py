"""Lockstep on the door: the same bytes on every run, while the machine is loaded, and how fast.

The demo is recorded once. The door then runs over that log, from Faces on (rules and lock) and from Frame on
(the networks, too), again and again, each time in a fresh process with another order of its sets, and every
second time on one core; beside it as many processes spin as there are cores. Each run tells its digest on
standard error.

    python benchmarks/lockstep.py [--runs 20]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.processes import machine

WAYS = {"Faces": "faces", "Frame": "camera"}
ZULUKO = [sys.executable, "-m", "zuluko"]


@contextmanager
def load(count: int) -> Iterator[None]:
    """So many processes that do nothing but spin."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def run(log: Path, node: str, number: int) -> dict[str, Any]:
    """One run of the door in place of what hears the node; what it told."""
    command = [*ZULUKO, "replay", str(log), "door", "--only", node, "--lockstep", "--json"]
    cores = sorted(os.sched_getaffinity(0))
    bound = ["taskset", "-c", str(cores[number % len(cores)])] if number % 2 else []
    done = subprocess.run(
        [*bound, *command],
        env={**os.environ, "PYTHONHASHSEED": str(number)},
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    print(f"{node} {number}: {told['sha256'][:16]}, {told['took']:.1f} s", file=sys.stderr)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    where = machine()
    with tempfile.TemporaryDirectory(prefix="zb-") as folder:
        log = Path(folder) / "door.mcap"
        os.environ["ZULUKO_RUN"] = str(Path(folder) / "run")
        subprocess.run(
            [*ZULUKO, "up", "door", "--json", "--record", str(log)], check=False, stdout=subprocess.DEVNULL
        )
        with load(len(os.sched_getaffinity(0))):
            results = {way: [run(log, node, number) for number in range(runs)] for way, node in WAYS.items()}
            busy = os.getloadavg()[0]
    print(f"{where} before the first run, {busy:.1f} after the last\n")
    columns = "log in a second of processor time, s | in a second of the clock, median / least, s"
    print(f"| from | runs | messages | different digests | {columns} | leaks |\n|{'---|' * 7}")
    for way, told in results.items():
        print("|", " | ".join([way, *_row(told)]), "|")
    return 0 if all(len({one["sha256"] for one in told}) == 1 for told in results.values()) else 1


def _row(told: list[dict[str, Any]]) -> list[str]:
    fast, busy = ([one["seconds"] / one[of] for one in told] for of in ("took", "cpu"))
    return [
        str(len(told)),
        str(sum(told[0]["messages"].values())),
        str(len({one["sha256"] for one in told})),
        f"{median(busy):.1f}",
        f"{median(fast):.1f} / {min(fast):.1f}",
        str(sum(len(one["leaks"]) for one in told)),
    ]


if __name__ == "__main__":
    sys.exit(main())
