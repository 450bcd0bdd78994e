"""The door on a small board: the demo again and again, and whether the board is enough for it.

    LIMITER python benchmarks/board.py [--seconds 60]

LIMITER is whatever puts a command under limits of memory and processor time by a control group, such as
``systemd-run --scope -p MemoryMax=512M -p CPUQuota=60%``; this benchmark reads what its own group may and has
taken. The peak of memory counts every process of the group, and the files that they were the first to read.
"Pictures" are those about which the rules decided; the camera makes 15 a second.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import cgroup
from benchmarks.processes import environment, machine

COMMAND = [sys.executable, "-m", "zuluko", "up", "door", "--set", "loop=true", "--json"]
START = 60.0  # s until the camera is ready, on a very slow board


@dataclass
class Story:
    """What ``zuluko up door`` told: its events, its summary, and how many seconds the camera ran."""

    seconds: float = 0.0
    status: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def count(self, text: str) -> int:
        return sum(text in event["text"] for event in self.events)

    @property
    def good(self) -> bool:
        troubles = ("sign of life", "died", "is not ready")
        return self.status == 0 and bool(self.summary.get("good")) and not any(map(self.count, troubles))


def run(seconds: float) -> Story:
    """Runs the door for so many seconds after its camera is ready; what it told."""
    story = Story()
    with tempfile.TemporaryDirectory(prefix="zb-") as folder:
        process = subprocess.Popen(
            COMMAND,
            env=environment(Path(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun = 0.0

        def stop(*_: object) -> None:
            story.seconds = time.monotonic() - begun if begun else 0.0
            process.send_signal(signal.SIGINT)

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, START)
        assert process.stdout
        with process.stdout as told:
            for line in told:
                event: dict[str, Any]
                event = json.loads(line) if line.startswith("{") else {"who": "", "text": line.strip()}
                if "summary" in event:
                    story.summary = event["summary"]
                    continue
                story.events.append(event)
                if not begun and event["who"] == "camera" and event["text"].startswith("ready"):
                    begun = time.monotonic()
                    signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.setitimer(signal.ITIMER_REAL, 0)
        story.status = process.wait()
    return story


def report(story: Story, group: cgroup.Cgroup) -> str:
    latency = story.summary.get("evidence_to_unlock_ms", {})
    lost = ", ".join(f"{count} {cause}" for cause, count in story.summary.get("lost", {}).items())
    rows = {
        "limits": f"{number(group.memory_limit, ' MB')}, {number(group.cores, ' cores', 2)}",
        "peak memory": number(group.memory_peak, " MB") if group.memory_limit else "not told without a limit",
        "killed for want of memory": number(group.oom_kills, ""),
        "held up by the limit of cores": f"{group.throttled:.1f} s",
        "ran": f"{story.seconds:.1f} s",
        "pictures a second": f"{story.summary.get('decisions', 0) / max(story.seconds, 1e-9):.1f}",
        "heartbeats missed": str(story.count("sign of life")),
        "nodes that died": str(story.count("died")),
        "unlocks": str(story.summary.get("unlocks", 0)),
        "evidence to unlock, median / worst": " / ".join(
            number(latency.get(name), " ms") for name in ("median", "worst")
        ),
        "oldest evidence": number(story.summary.get("oldest_evidence_ms"), " ms"),
        "lost on the way": lost or "nothing",
        "verdict": "good" if story.good and not group.oom_kills else f"BAD (exit status {story.status})",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def number(value: float | None, unit: str, digits: int = 0) -> str:
    return "none" if value is None else f"{value:,.{digits}f}{unit}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(argv)
    where, group = machine(), cgroup.mine()
    story = run(options.seconds)
    print(f"zuluko up door, {where}\n\n{report(story, group)}")
    if not story.good:
        print("\n" + "\n".join(f"{event['who']}: {event['text']}" for event in story.events[-20:]))
    return 0 if story.good and not group.oom_kills else 1


if __name__ == "__main__":
    sys.exit(main())
