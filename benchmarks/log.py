"""The recorder beside rosbag's, in one run: processor time, loss, memory and size.

    python benchmarks/log.py [--quick] [-n RUNS] [--seconds LONG] [--only CASES] [--peers NAMES]

Each topic has a publisher of its own, a process of Python, which sends at its rate; "held" is what part of
that rate the publishers reached, and "lost" how many messages they sent that are not in the file. "Cores" is
the processor time of the recorder's process over the time of sending; "publishers" that of all publishers
together. rosbag records what rospy publishes; it has no way to make a JPEG. The peers take turns; each number
is the median of the runs, in brackets the worst. The last lines are ratios of medians.

ROS 1 is in Debian. dora's recorder is a Rust program that `dora record` builds from its sources with cargo;
it is not measured. Of a peer that is not there, the end of the table says what brings it.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bus import FailedError, chosen  # noqa: E402
from benchmarks.bus_peers import Peer, ros_master  # noqa: E402
from benchmarks.bus_peers.installed import missing  # noqa: E402
from benchmarks.log_peers import CASES, RECORDERS, Case, pictures  # noqa: E402
from benchmarks.processes import cpu, environment, family, folder, kill, machine, pss  # noqa: E402

PATIENCE = 60.0  # s


@dataclass
class Found:
    """One run: cores of the recorder and of the publishers, the rate that these held, messages lost of those
    sent, MB of memory (PSS) and of the file."""

    cores: float
    publishers: float
    held: float
    lost: int
    sent: int
    memory: float
    size: float


def measure(name: str, case_name: str, seconds: float) -> Found:
    with folder() as path:
        return Run(name, case_name, path, seconds).measure()


class Run:
    """The processes of one run, in a folder of their own."""

    def __init__(self, name: str, case_name: str, path: Path, seconds: float) -> None:
        self._peer, self._case_name, self._path, self._seconds = RECORDERS[name], case_name, path, seconds
        self._module: Any = importlib.import_module(f"benchmarks.log_peers.{self._peer.module}")
        self._env = {"ZULUKO_RUN": str(path)}
        if self._peer.master:
            self._env |= ros_master.environment(path)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def _case(self) -> Case:
        return CASES[self._case_name]

    def measure(self) -> Found:
        for topic in self._case.topics:
            if topic.size[0]:
                pictures.make(topic, self._path)
        try:
            return self._measure()
        finally:
            kill(self._processes)

    def _measure(self) -> Found:
        file = self._path / ("log.mcap" if self._peer.module == "ours" else "log.bag")
        if self._peer.master:
            self._spawn(ros_master.command(self._env), "master")
            self._await(lambda: ros_master.ready(self._env))
        publishers = [self._publisher(topic.name) for topic in self._case.topics]
        recorder = self._spawn(self._module.command(self._case_name, file), "recorder")
        self._await(lambda: self._recorder_pid(recorder) > 0)
        time.sleep(2.0)  # for all of them to have imported what they need, and to be connected
        if not (pid := self._recorder_pid(recorder)):
            raise FailedError("its recorder has gone")
        own, others = cpu(pid), [cpu(one.pid) for one in publishers]
        (self._path / "go").touch()
        told = [self._told(topic.name) for topic in self._case.topics]
        longest = max(one["seconds"] for one in told)
        cores = (cpu(pid) - own) / longest
        spent = sum(cpu(one.pid) - before for one, before in zip(publishers, others, strict=True))
        memory = pss(pid)
        for one in publishers:
            one.wait(PATIENCE)
        os.kill(pid, signal.SIGTERM if self._peer.module == "ours" else signal.SIGINT)
        recorder.wait(PATIENCE)
        counted = self._module.counted(file)
        sent = sum(one["sent"] for one in told)
        return Found(
            cores=cores,
            publishers=spent / longest,
            held=min(self._seconds / one["seconds"] for one in told),
            lost=sent - sum(counted.values()),
            sent=sent,
            memory=memory,
            size=file.stat().st_size / 1e6,
        )

    def _publisher(self, topic: str) -> subprocess.Popen[bytes]:
        module = self._module.__name__
        told = [self._case_name, topic, str(self._path), str(self._seconds)]
        return self._spawn([self._peer.python, "-m", module, "publish", *told], topic)

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self._path / f"{log}.out").open("ab") as out:
            process = subprocess.Popen(
                command,
                env=environment(self._path, self._env),
                cwd=self._path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _recorder_pid(self, process: subprocess.Popen[bytes]) -> int:
        """The process that records, 0 before it is there: `rosbag` is Python, and starts another program."""
        if self._peer.module == "ours":
            return process.pid
        return next((pid for pid in family(process.pid) if _name(pid) == "record"), 0)

    def _told(self, topic: str) -> dict[str, Any]:
        self._await(lambda: self._said(topic) is not None)
        return self._said(topic) or {}

    def _said(self, topic: str) -> dict[str, Any] | None:
        lines = (self._path / f"{topic}.out").read_text(errors="replace").splitlines()
        return next((json.loads(line) for line in lines if line.startswith('{"topic"')), None)

    def _await(self, condition: Any) -> None:
        deadline = time.monotonic() + PATIENCE + self._seconds
        while not condition():
            if time.monotonic() > deadline or any(process.poll() for process in self._processes):
                raise FailedError(self._last_words())
            time.sleep(0.02)

    def _last_words(self) -> str:
        said = [
            f"{file.stem}: {lines[-1]}"
            for file in sorted(self._path.glob("*.out"))
            if (lines := file.read_text(errors="replace").strip().splitlines())
        ]
        return "; ".join(said) or f"not within {PATIENCE:g} s"


Results = dict[tuple[str, str], list[Found]]


def collect(
    peers: list[str], cases: list[str], runs: int, seconds: float
) -> tuple[Results, dict[tuple[str, str], str]]:
    found: Results = defaultdict(list)
    failed: dict[tuple[str, str], str] = {}
    for number in range(runs):
        for case in cases:
            for peer in peers:
                if case in RECORDERS[peer].without or (peer, case) in failed:
                    continue
                print(f"run {number + 1}: {peer}, {case}", file=sys.stderr)
                try:
                    one = measure(peer, case, seconds)
                except (FailedError, subprocess.SubprocessError, OSError, ValueError) as error:
                    failed[peer, case] = str(error)
                else:
                    found[peer, case].append(one)
    return found, failed


COLUMNS = ("recorder", "load", "held", "lost", "cores", "publishers", "PSS, MB", "file, MB/s")


def table(found: Results, seconds: float) -> list[str]:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for (peer, case), runs in found.items():
        cells = [
            peer,
            CASES[case].title,
            f"{100 * median(run.held for run in runs):.0f} %",
            f"{median(run.lost for run in runs):.0f} of {runs[0].sent} ({max(run.lost for run in runs)})",
            f"{median(run.cores for run in runs):.2f} ({max(run.cores for run in runs):.2f})",
            f"{median(run.publishers for run in runs):.2f}",
            f"{median(run.memory for run in runs):.0f}",
            f"{median(run.size for run in runs) / seconds:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def ratios(found: Results) -> list[str]:
    """Ours to each peer's, the cores of the recorder, by case."""
    lines = []
    for (peer, case), runs in found.items():
        if peer != "zuluko" and (own := found.get(("zuluko", case))):
            ratio = median(run.cores for run in own) / max(1e-9, median(run.cores for run in runs))
            lines.append(f"{case}: our recorder takes {ratio:.2f} times the cores of {peer}'s")
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="runs (5)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of sending (10)")
    parser.add_argument("--only", default="", help=f"cases: {','.join(CASES)}")
    parser.add_argument("--peers", default="", help=f"peers: {','.join(RECORDERS)}")
    parser.add_argument("--quick", action="store_true", help="one run of a second")
    options = parser.parse_args(arguments)
    runs, seconds = (1, 1.0) if options.quick else (options.n, options.seconds)
    cases, peers = chosen(parser, options.only, list(CASES)), chosen(parser, options.peers, list(RECORDERS))
    absent = {peer: lack for peer in peers if (lack := lacking(peer))}
    print(f"{runs} runs of {seconds:g} s each; {machine()}")
    found, failed = collect([peer for peer in peers if peer not in absent], cases, runs, seconds)
    print(
        "\n".join([*table(found, seconds), "", *ratios(found), f"load at the end {os.getloadavg()[0]:.1f}"])
    )
    for (peer, case), why in failed.items():
        print(f"{peer}, {case}: failed: {why}")
    for peer, lack in absent.items():
        print(f"{peer}: not installed ({lack}); bring it with: {RECORDERS[peer].install}")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def lacking(peer: str) -> str:
    """The first thing that a recorder needs and that is not there, or nothing."""
    one = RECORDERS[peer]
    return missing(Peer(one.module, one.needs, python=one.python, programs=one.programs))


if __name__ == "__main__":
    main()
