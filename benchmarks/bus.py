"""The bus beside every peer that is installed, in one run: latency, processor time, rate, memory and start.

    python benchmarks/bus.py [--quick] [-n RUNS] [--seconds MOST] [--only CASES] [--peers NAMES]

Latency is one way and in microseconds, p50 / p99, from the stamp in the message (a frame is in the
publisher's own array by then; "loaned": in lent memory) to a usable view in the subscriber; in brackets the
cores that all processes of the peer took together, filling the frames included. Frames come at 30 Hz. The
peers take turns; each number is the median of the runs. "Small, a second" is what is reached with a window
of 512 messages on their way (of 1 over eCAL, whose memory file holds one). "Pair" is the PSS of all the
processes of a hello world. "First" is from a publisher's first message to the first receipt by a subscriber
that was there before; "restarted", the same after the publisher was killed and started again.

pip install -e .[bench] brings the peers that PyPI has; ROS 1 is in Debian. Of a peer that is not there, the
end of the table says what brings it.
"""

import argparse
import importlib
import json
import mmap
import os
import select
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bus_peers import PEERS  # noqa: E402
from benchmarks.bus_peers.installed import missing  # noqa: E402
from benchmarks.bus_peers.node import GOT, PATIENCE, SENT, board  # noqa: E402
from benchmarks.bus_peers.work import CASES, Case, Run  # noqa: E402
from benchmarks.processes import cpu, environment, family, folder, kill, machine, pss  # noqa: E402

Found = dict[str, float]  # one run's figures, by name

IMU = """
import time
from benchmarks.bus_peers.ours import Sample
from zuluko.bus.wire import Decoder, Encoder, Hop
encode, decode = Encoder(), Decoder(Sample)
message = Sample(stamp=time.time_ns(), seq=7, gyro=(0.01, -0.02, 0.03), accel=(0.1, 0.2, 9.81))
cause = (Hop("imu", 1, message.stamp, message.stamp),)
def once(count):
    start = time.perf_counter()
    for _ in range(count):
        decode(encode(message, seq=7, sent=message.stamp, cause=cause))
    return (time.perf_counter() - start) / count * 1e6
print(min(once(2000) for _ in range(20)))
"""
BARE = "import numpy, sys; print('ready', flush=True); sys.stdin.read()"
WITH_BUS = """
import numpy, sys
from benchmarks.bus_peers.ours import Sample
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
into = Subscriber("memory", "topic", Sample)
out = Publisher("memory", "topic", Sample)
for number in range(200):
    out.send(Sample(stamp=1, seq=number, gyro=(1.0, 2.0, 3.0), accel=(1.0, 2.0, 3.0)))
    assert into.wait(5) is not None
print('ready', flush=True); sys.stdin.read()
"""


class FailedError(Exception):
    """A peer that could not do the work, and why."""


@dataclass
class Stage:
    """The folder and the processes of one run."""

    run: Run
    case_name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env.update(self.run.peer.env)
        (self.run.folder / "board").write_bytes(bytes(mmap.PAGESIZE))
        os.mkfifo(self.run.folder / "events")
        self._events = os.open(self.run.folder / "events", os.O_RDWR | os.O_NONBLOCK)
        self.words = board(self.run.folder)

    def arguments(self, role: str, index: int) -> list[str]:
        seconds = str(self.run.case.seconds)
        name = self.run.name
        return [
            "-m",
            "benchmarks.bus_peers.node",
            role,
            name,
            self.case_name,
            str(index),
            str(self.run.folder),
            seconds,
        ]

    def spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self.run.folder / "log", "ab") as log:
            process = subprocess.Popen(
                command,
                env=environment(self.run.folder, self.env),
                cwd=self.run.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def node(self, role: str, index: int) -> subprocess.Popen[bytes]:
        peer = self.run.peer
        if not peer.native:
            return self.spawn([peer.python, *self.arguments(role, index)])
        try:
            return self.spawn(_module(peer.module).command(role, self.run, index))
        except RuntimeError as error:
            raise FailedError(str(error)) from None

    def begin(self) -> None:
        """Starts the subscribers, waits until they are ready, and starts the publisher."""
        peer, subscribers = self.run.peer, range(self.run.case.subscribers)
        if peer.launcher:
            told = [self.arguments("subscriber", one) for one in subscribers]
            publisher = self.arguments("publisher", 0)
            self.spawn(_module(peer.module).launch(publisher, told, self.run.keep, self.run.folder))
            return
        if peer.master:
            self.begin_master(_module(peer.master))
        for one in subscribers:
            self.node("subscriber", one)
        for _ in subscribers:
            self.await_("ready")
        self.node("publisher", 0)

    def begin_master(self, module: Any) -> None:
        """Starts the peer's daemon, and waits until it is ready."""
        self.env.update(module.environment(self.run.folder))
        process = self.spawn(module.command(self.env))
        deadline = time.monotonic() + PATIENCE
        while not module.ready(self.env):
            if process.poll() is not None or time.monotonic() > deadline:
                raise FailedError(self._last_line() or f"{process.args!r} is not ready")
            time.sleep(0.02)

    def await_(self, event: str) -> str:
        """The line that begins so; FailedError where a process tells of a failure, or nothing comes."""
        deadline = time.monotonic() + PATIENCE + self.run.case.seconds + 5
        while not (told := next((line for line in self.heard if line.startswith(event)), "")):
            left = deadline - time.monotonic()
            if left <= 0 or any(process.poll() for process in self.processes):
                raise FailedError(self._last_line() or f"no word of {event!r}")
            if select.select([self._events], [], [], min(left, 0.5))[0]:
                self.heard += os.read(self._events, 65536).decode().splitlines()
            if failed := [line for line in self.heard if line.startswith("failed: ")]:
                raise FailedError(failed[0].removeprefix("failed: "))
        self.heard.remove(told)
        return told

    def _last_line(self) -> str:
        lines = (self.run.folder / "log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def members(self) -> list[int]:
        return [pid for process in self.processes for pid in family(process.pid)]

    def close(self) -> None:
        kill(self.processes)
        os.close(self._events)


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.bus_peers.{name}")


@contextmanager
def stage(name: str, case_name: str, case: Case) -> Iterator[Stage]:
    with folder() as path:
        one = Stage(Run(name, case, 0, path), case_name)
        try:
            yield one
        finally:
            one.close()


def measure(name: str, case_name: str, case: Case) -> Found:
    """One run of one peer; FailedError says why not."""
    with stage(name, case_name, case) as one:
        one.begin()
        if case_name == "start":
            return starts(one)
        one.await_("begin")
        members = one.members()
        before, since = sum(map(cpu, members)), time.monotonic()
        found: Found = {}
        if case_name == "pair":
            one.await_("half")
            found["pss"] = sum(map(pss, members))
        sent = int(one.await_("end").split()[1])
        found["cores"] = (sum(map(cpu, members)) - before) / (time.monotonic() - since)
        for _ in range(case.subscribers):
            one.await_("finished")
        told = [
            json.loads((one.run.folder / f"subscriber{index}.json").read_text())
            for index in range(case.subscribers)
        ]
    return found | judged(told, sent)


def judged(told: list[dict[str, Any]], sent: int) -> Found:
    if not all(one["count"] for one in told):
        raise FailedError("nothing arrived")
    if wrong := sum(one["wrong"] for one in told):
        raise FailedError(f"{wrong} frames were not what was sent")
    found = {"lost": float(sum(sent - one["count"] for one in told))}
    if told[0]["latencies"]:
        every = [sorted(one["latencies"]) for one in told]
        found["p50"] = statistics.median(one[len(one) // 2] for one in every) / 1e3
        found["p99"] = statistics.median(one[int(len(one) * 0.99)] for one in every) / 1e3
    elif told[0]["seconds"]:
        found["rate"] = told[0]["count"] / told[0]["seconds"]
    return found


def starts(one: Stage) -> Found:
    """From the first message to the first receipt, of a publisher and of the one that follows it."""
    one.await_("heard")
    found = {"first": (one.words[GOT] - one.words[SENT]) / 1e6}
    if not one.run.peer.launcher:
        publisher = one.processes.pop()
        publisher.kill()
        publisher.wait()
        one.node("publisher", 1)
        one.await_("heard")
        found["restarted"] = (one.words[GOT + 1] - one.words[SENT + 1]) / 1e6
    return found


def in_process() -> Found:
    """Encode plus decode, and what the bus adds to Python with numpy; both processes live at once, so that
    what they share counts alike."""
    with folder() as path:
        env = environment(path)
        imu = subprocess.run([sys.executable, "-c", IMU], env=env, capture_output=True, text=True, check=True)
        pair = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for code in (BARE, WITH_BUS)
        ]
        for process in pair:
            assert process.stdout
            if process.stdout.readline().strip() != "ready":
                raise FailedError("the process with the bus ended early")
        bare, bus = (pss(process.pid) for process in pair)
        for process in pair:
            process.communicate("")
    return {"imu": float(imu.stdout), "added": bus - bare}


Results = dict[tuple[str, str], list[Found]]


def collect(
    peers: list[str], cases: dict[str, Case], runs: int, say: Callable[[str], None]
) -> tuple[Results, dict[str, str]]:
    """Every case of every peer, in turn; what failed, with its reason, is not tried again."""
    results: Results = defaultdict(list)
    failed: dict[str, str] = {}
    try:
        for number, (case_name, case), name in product(range(runs), cases.items(), peers):
            key = f"{name}, {case.title}"
            if key in failed or not suits(name, case):
                continue
            say(f"run {number + 1} of {runs}: {key}")
            try:
                results[name, case_name].append(measure(name, case_name, case))
            except FailedError as error:
                failed[key] = str(error)
    except KeyboardInterrupt:
        failed["the rest"] = "interrupted"
    return results, failed


def suits(name: str, case: Case) -> bool:
    return not (PEERS[name].only_frames and case.shape is None)


def middle(found: list[Found], name: str, digits: int = 3) -> str:
    values = [one[name] for one in found if name in one]
    return f"{statistics.median(values):,.{digits}f}" if values else "-"


def cell(case_name: str, found: list[Found]) -> str:
    if not found:
        return "-"
    if case_name == "sustained":
        return f"{middle(found, 'rate', 0)} ({middle(found, 'lost', 0)})"
    if case_name == "pair":
        return middle(found, "pss", 1)
    if case_name == "start":
        return f"{middle(found, 'first', 1)} / {middle(found, 'restarted', 1)}"
    lost = sum(one["lost"] for one in found)
    note = f", {lost:.0f} lost" if lost else ""
    return f"{middle(found, 'p50', 0)} / {middle(found, 'p99', 0)} ({middle(found, 'cores')}{note})"


def table(peers: list[str], cases: dict[str, Case], results: Results, failed: dict[str, str]) -> str:
    rows = [["", *(case.title for case in cases.values())], ["---"] * (len(cases) + 1)]
    for name in peers:
        cells = [
            "failed" if f"{name}, {case.title}" in failed else cell(case_name, results[name, case_name])
            for case_name, case in cases.items()
        ]
        rows.append([name, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", "--runs", type=int, help="3, or 1 with --quick")
    parser.add_argument("--seconds", type=float, help="most of each case in a run; 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="one run, a second of each")
    parser.add_argument("--only", metavar="CASES", help=f"of {','.join(CASES)}, and imu")
    parser.add_argument("--peers", metavar="NAMES", help=f"of {','.join(PEERS)}")
    options = parser.parse_args(argv)
    options.only = chosen(parser, options.only, [*CASES, "imu"])
    options.peers = chosen(parser, options.peers, list(PEERS))
    return options


def chosen(parser: argparse.ArgumentParser, text: str | None, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else known
    for name in names:
        if name not in known:
            parser.error(f"there is no {name!r}; choose from: {', '.join(known)}")
    return names


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    absent = {name: lack for name in options.peers if (lack := missing(PEERS[name]))}
    there = [name for name in options.peers if name not in absent]
    cases = {name: CASES[name] for name in CASES if name in options.only}
    if most := options.seconds or (1.0 if options.quick else None):
        cases = {name: replace(case, seconds=min(case.seconds, most)) for name, case in cases.items()}
    runs = options.runs or (1 if options.quick else 3)
    where, since = machine(), time.monotonic()
    say: Callable[[str], None] = lambda line: print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)  # noqa: E731
    results, failed = collect(there, cases, runs, say)
    say("")
    took = (time.monotonic() - since) / 60
    print(f"\n{where} before the first of {runs} runs in turn, {took:.0f} min. us: p50 / p99 (cores)\n")
    if cases:
        print(table(there, cases, results, failed))
    for name, lack in absent.items():
        print(f"\n{name}: not installed ({lack}); bring it with: {PEERS[name].install}")
    for key, reason in failed.items():
        print(f"\n{key}: failed: {reason}")
    if "imu" in options.only:
        found = in_process()
        print(f"\nencode and decode an IMU message: {found['imu']:.2f} us")
        print(f"what the bus adds to Python with numpy: {found['added']:.1f} MB")


if __name__ == "__main__":
    main()
