"""The launcher beside roslaunch and dora, in one run: memory, start, and what is left behind.

    python benchmarks/launch.py [-n RUNS] [--cycles COUNT] [--peers NAMES]

"Pair" is the PSS of all the processes of a hello world, launcher and master included: one node says hello ten
times a second, another hears it. "Alone" is what the pair takes where no program beside it shares its
libraries' pages; only root can tell. "Eight idle" is the PSS of eight nodes that a timer wakes once a second,
and "each further" an eighth of what sixteen take more. "All ready" is the time from the command until the
loop of each of the eight runs; "fork to ready" that of one node from the birth of its process: as the
supervisor tells it for us, to 10 ms by the kernel's clock for the others. The peers take turns; each number
is the median of the runs, and in brackets the worst.

Then graphs of ours start and stop again and again, by the command, and eight nodes at a time within one
launcher: what there is before the first and after the last.

pip install -e .[bench] brings dora; ROS 1 is in Debian. Of a peer that is not there, the end of the table
says what brings it.
"""

import argparse
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bus import FailedError, chosen  # noqa: E402
from benchmarks.bus_peers import PEERS, ros_master  # noqa: E402
from benchmarks.bus_peers.installed import missing  # noqa: E402
from benchmarks.launch_peers import EVENTS, MODULES, PAIR, ours  # noqa: E402
from benchmarks.processes import alone, environment, family, folder, kill, machine, pss  # noqa: E402

SETTLE = 2.0  # s from the readiness of all nodes to the measuring of memory
PATIENCE = 60.0  # s to that readiness, and to the end of what was told to stop
GRAPHS = {"pair": PAIR, "eight": ["idle"] * 8, "sixteen": ["idle"] * 16}


@dataclass
class Found:
    """One run of one graph: MB as PSS, and with the machine to itself; s from the command to the
    readiness of all, ms from each fork to its."""

    memory: float
    alone: float | None
    ready: float
    forks: list[float]


@dataclass
class Launched:
    """A launcher that runs, and what its nodes have told."""

    path: Path
    process: subprocess.Popen[bytes]
    events: int
    started: float
    forks: list[float] = field(default_factory=list)

    def await_(self, nodes: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.forks) < nodes:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise FailedError(self._last_line() or f"{len(self.forks)} of {nodes} nodes became ready")
            if select.select([self.events], [], [], 0.5)[0]:
                lines = os.read(self.events, 1 << 16).decode().splitlines()
                self.forks += [float(line.split()[1]) for line in lines]

    def _last_line(self) -> str:
        lines = (self.path / "log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


@contextmanager
def launched(peer: str, path: Path, nodes: list[str], run: Path | None = None) -> Iterator[Launched]:
    """Runs a graph in a folder, and kills what is left of it in the end; ``run`` is the runtime directory, if
    that is another."""
    os.mkfifo(path / "events")
    events = os.open(path / "events", os.O_RDWR | os.O_NONBLOCK)
    more = {EVENTS: str(path / "events"), "ZULUKO_RUN": str(run or path)}
    if PEERS[peer].master:
        more |= ros_master.environment(path)
        more["ROS_PACKAGE_PATH"] = f"{path / 'packages'}:{more['ROS_PACKAGE_PATH']}"
    module: Any = importlib.import_module(f"benchmarks.launch_peers.{MODULES[peer]}")
    command = module.command(path, nodes)
    started = time.monotonic()
    with (path / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=path, env=environment(path, more), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Launched(path, process, events, started)
    finally:
        kill([process])
        os.close(events)


def measure(peer: str, nodes: list[str], settle: float = SETTLE) -> Found:
    with folder() as path, launched(peer, path, nodes) as one:
        one.await_(len(nodes))
        ready = time.monotonic() - one.started
        time.sleep(settle)
        if one.process.poll() is not None:
            raise FailedError(one._last_line())
        pids = family(one.process.pid)
        return Found(sum(map(pss, pids)), alone(pids), ready, one.forks)


Results = dict[tuple[str, str], list[Found]]


def collect(peers: list[str], runs: int, settle: float = SETTLE) -> tuple[Results, dict[str, str]]:
    """Every graph of every peer, in turn; what failed, with its reason, is not tried again."""
    results: Results = defaultdict(list)
    failed: dict[str, str] = {}
    for number in range(runs):
        for name, nodes in GRAPHS.items():
            for peer in peers:
                key = f"{peer}, {name}"
                if key in failed:
                    continue
                say(f"run {number + 1} of {runs}: {key}")
                try:
                    results[peer, name].append(measure(peer, nodes, settle))
                except FailedError as error:
                    failed[key] = str(error)
    return results, failed


def say(line: str) -> None:
    print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)


COLUMNS = "pair, MB | alone, MB | eight idle, MB | each further, MB | eight all ready, s | fork to ready, ms"


def table(peers: list[str], results: Results, forks: list[float]) -> str:
    rows = [f"| | {COLUMNS} |", "|---|---|---|---|---|---|---|"]
    for peer in peers:
        pair, eight, sixteen = (results[peer, name] for name in GRAPHS)
        memory = [median(one.memory for one in found) if found else None for found in (eight, sixteen)]
        further = (memory[1] - memory[0]) / 8 if memory[0] and memory[1] else None
        times = forks if peer == "zuluko" and forks else [fork for one in eight for fork in one.forks]
        cells = [
            spread([one.memory for one in pair], 1),
            spread([one.alone for one in pair if one.alone], 1),
            spread([one.memory for one in eight], 1),
            f"{further:.1f}" if further is not None else "-",
            spread([one.ready for one in eight], 2),
            spread(times, 0),
        ]
        rows.append(f"| {' | '.join([peer, *cells])} |")
    return "\n".join(rows)


def spread(values: list[float], digits: int) -> str:
    """The median, and the worst in brackets."""
    return f"{median(values):,.{digits}f} ({max(values):,.{digits}f})" if values else "-"


Held = dict[str, int]  # how many of each kind


def commands(times: int) -> tuple[Held, Held, Held]:
    """What there is on the machine before and after so many starts and stops of a pair by the command, and
    what of that is ours."""
    with folder() as run:
        before = held(run)
        for number in range(times):
            say(f"start and stop {number + 1} of {times}")
            with folder() as path, launched("zuluko", path, PAIR, run) as one:
                one.await_(len(PAIR))
                one.process.send_signal(signal.SIGINT)
                if status := one.process.wait(PATIENCE):
                    raise FailedError(f"{one._last_line()} (exit status {status})")
        return before, held(run), held(run, ours_only=True)


def held(run: Path, *, ours_only: bool = False) -> Held:
    """What the processes of this machine hold, or those alone whose runtime directory is this one."""
    found = dict.fromkeys(("processes", "descriptors", "sockets", "memfds"), 0)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if ours_only and f"ZULUKO_RUN={run}".encode() not in (entry / "environ").read_bytes():
                    continue
                found["processes"] += 1
                for name, count in kinds(entry / "fd").items():
                    found[name] += count
    return found | {"files": sum(len(folders) + len(files) for _, folders, files in os.walk(run))}


def kinds(folder: Path) -> Held:
    """How many descriptors a process has open, and of which kinds."""
    links = []
    for descriptor in folder.iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(os.readlink(descriptor))
    return {
        "descriptors": len(links),
        "sockets": sum(link.startswith("socket:") for link in links),
        "memfds": sum(link.startswith("/memfd:") for link in links),
    }


def one_launcher(times: int) -> tuple[Held, Held, list[float]]:
    """What one launcher holds after its first run of eight nodes and after so many more; and each fork's time
    to readiness, in ms."""
    say(f"eight nodes {times} times within one launcher")
    with folder() as path:
        file = ours.graph(path, GRAPHS["eight"])
        env = environment(path, {EVENTS: os.devnull})
        command = [sys.executable, "-m", "benchmarks.launch_peers.cycles", str(file), str(times)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FailedError(done.stderr.strip().split("\n")[-1])
        told = json.loads(done.stdout.splitlines()[-1])
    return told["before"], told["after"], told["ready"]


def report(times: int, rows: dict[str, Held]) -> str:
    names = list(next(iter(rows.values())))
    lines = [f"| after {times} times | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {title} | {' | '.join(str(row[name]) for name in names)} |" for title, row in rows.items()]
    return "\n".join(lines)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", "--runs", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=100, help="starts and stops of each kind; 0 for none")
    parser.add_argument("--peers", metavar="NAMES", help=f"of {','.join(MODULES)}")
    options = parser.parse_args(argv)
    options.peers = chosen(parser, options.peers, list(MODULES))
    return options


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    absent = {name: lack for name in options.peers if (lack := missing(PEERS[name]))}
    there = [name for name in options.peers if name not in absent]
    where = machine()
    results, failed = collect(there, options.runs)
    rows: dict[str, Held] = {}
    forks: list[float] = []
    if options.cycles:
        before, after, left = commands(options.cycles)
        rows = {"the machine, before": before, "the machine, after": after, "ours, after": left}
        first, last, forks = one_launcher(options.cycles)
        rows |= {"one launcher, after its first run": first, "one launcher, after its last": last}
    say("")
    print(f"\n{where} before the first of {options.runs} runs in turn. Median (worst)\n")
    print(table(there, results, forks))
    if rows:
        print(f"\n{report(options.cycles, rows)}")
    for name, lack in absent.items():
        print(f"\n{name}: not installed ({lack}); bring it with: {PEERS[name].install}")
    for key, reason in failed.items():
        print(f"\n{key}: failed: {reason}")


if __name__ == "__main__":
    main()
