"""The door on the demo clip, 640x480 at 15 Hz: latency, memory and processor time.

Beside it, in turn, the same camera, networks and rules as one Python loop without bus or processes: what
people write who have no runtime, and so the least that any runtime can cost.

    python benchmarks/door.py [--runs 3]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.processes import family, machine, pss

LOOP = """
import json, time
from zuluko import Stream
from zuluko.actions.engine import Engine
from zuluko.bus import clock
from zuluko.launch import launchfile
from zuluko.messages import LockState
from zuluko.nodes.camera import camera
from zuluko.perception.faces import faces
from zuluko.actions.rules import rules
from zuluko import Latest

graph = launchfile.load(launchfile.locate("door"))
ruleset = graph.entries["rules"].options["ruleset"]
hold = ruleset.rules[0].hold
state = {"until": 0, "oldest": 0.0, "latencies": [], "since": {}}
lock = Latest(LockState(state="locked"))

def seen():
    for found in faces(Stream(camera(source="demo", size=(640, 480), hz=15)), source="demo"):
        now = clock.now()
        lock.value = LockState(state="unlocked" if now < state["until"] else "locked", stamp=now)
        state["oldest"] = max(state["oldest"], (now - found.stamp) / 1e9)
        yield found

for told in rules(Stream(seen(), topic="faces"), {"lock": lock}, ruleset=ruleset):
    if type(told).__name__ == "Decision":
        if told.outcome == "fired":
            state["since"][told.command] = told.since
    else:
        now = clock.now()
        state["until"] = now + round(told.open_for * 1e9)
        state["latencies"].append((now - state["since"][told.id]) / 1e6 - hold * 1000)
print(json.dumps({"summary": {"evidence_to_unlock_ms": {
    "median": sorted(state["latencies"])[len(state["latencies"]) // 2], "worst": max(state["latencies"])},
    "oldest_evidence_ms": state["oldest"] * 1000, "good": True, "lost": {}}}))
"""


def run(command: list[str]) -> dict[str, Any]:
    """One run: its summary, the most memory that all its processes took together, and its CPU share."""
    start = time.monotonic()
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(pss, family(process.pid))))
        time.sleep(0.5)
    assert process.stdout is not None
    last = process.stdout.read().splitlines()[-1]
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    summary: dict[str, Any] = json.loads(last)["summary"]
    return summary | {"pss": most, "cores": used / (time.monotonic() - start), "status": process.returncode}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    ways = {
        "zuluko up door": [sys.executable, "-m", "zuluko", "up", "door", "--json"],
        "one Python loop": [sys.executable, "-c", LOOP],
    }
    where = machine()
    results: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, command in ways.items():
            results[way].append(run(command))
    print(f"{where} before the first of {runs} runs each in turn\n")
    columns = "evidence to unlock, median / worst, ms | oldest evidence, ms | PSS, MB | cores | lost | good"
    print(f"| | {columns} |\n|{'---|' * 7}")
    for way, found in results.items():
        print("|", " | ".join([way, *_row(found)]), "|")


def _row(found: list[dict[str, Any]]) -> list[str]:
    latency = [one["evidence_to_unlock_ms"] for one in found]
    return [
        f"{median(one['median'] for one in latency):.0f} / {max(one['worst'] for one in latency):.0f}",
        f"{max(one['oldest_evidence_ms'] for one in found):.0f}",
        f"{max(one['pss'] for one in found):.0f}",
        f"{median(one['cores'] for one in found):.2f}",
        f"{sum(sum(one['lost'].values()) for one in found)}",
        f"{sum(one['good'] and one['status'] == 0 for one in found)} of {len(found)}",
    ]


if __name__ == "__main__":
    main()
