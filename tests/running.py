"""Running graphs as a user does, by the command, and looking at what is left of them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

ROOT = Path(__file__).parent.parent
NODES = "tests.nodes_of_tests"


def zuluko(*arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    command = [sys.executable, "-m", "zuluko", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=timeout, cwd=ROOT, **options
    )


class Up:
    """A graph that runs; ``events`` grows with what it tells."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zuluko", "up", *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
            **options,
        )
        self.run_dir = ""  # where it is not the test's
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        os.set_blocking(self.process.stdout.fileno(), False)

    def look(self) -> list[dict[str, Any]]:
        if not self.process.stdout.closed:
            data = self.process.stdout.read() or b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.events += [json.loads(line) for line in lines]
        return self.events

    def told(self, who: str, text: str, after: int = 0) -> int:
        """The number of events up to the one with the text; 0 where there is none."""
        for index, event in enumerate(self.look()[after:], after + 1):
            if event.get("who") == who and text in event["text"]:
                return index
        return 0

    def wait_for(self, who: str, text: str, after: int = 0, seconds: float = 30) -> int:
        until(
            lambda: self.told(who, text, after) or self.process.poll() is not None, seconds, f"{who}: {text}"
        )
        found = self.told(who, text, after)
        assert found, (self.process.returncode, self.events, self.process.stderr.read())
        return found

    def children(self) -> dict[str, int]:
        """The pids of its processes, by name; not of one that has just been forked and has none yet."""
        own = Path(f"/proc/{self.process.pid}/comm").read_text().strip()
        return {name: pid for name, pid in children(self.process.pid).items() if name != own}

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.end()

    def stop_at_once(self) -> None:
        """As by a second Ctrl-C: where a node hangs, the first waits for it."""
        self.process.send_signal(signal.SIGINT)
        self.wait_for("zuluko", "stopping")
        self.stop()

    def end(self, seconds: float = 30) -> int:
        until(lambda: self.look() is None or self.process.poll() is not None, seconds, "the end of the graph")
        self.look()
        return self.process.returncode

    @property
    def summary(self) -> dict[str, Any]:
        return dict(self.events[-1]["summary"])


@contextmanager
def up(*arguments: str, **options: Any) -> Iterator[Up]:
    running = Up(*arguments, **options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(20)
        running.process.stdout.close()
        running.process.stderr.close()


@contextmanager
def up_for_all(*arguments: str) -> Iterator[Up]:
    """A graph for the tests of a module that only ask it, in a runtime directory of its own."""
    with tempfile.TemporaryDirectory(prefix="zk-") as folder:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        with up(*arguments, env={**environment, "ZULUKO_RUN": folder}) as running:
            running.run_dir = folder
            yield running


@contextmanager
def unharmed(running: Up, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """Lends such a graph to a test, which must leave it as it was."""
    monkeypatch.setenv("ZULUKO_RUN", running.run_dir)
    running.look()
    before = running.children()
    yield running
    running.look()
    assert running.children() == before


def children(pid: int) -> dict[str, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines())
            except (OSError, ValueError):
                continue
            if int(status["PPid"]) == pid and not status["State"].startswith("Z"):
                found[status["Name"].removeprefix("zk:")] = int(entry.name)
    return found


def write(folder: Path, text: str, name: str = "graph.yaml") -> str:
    file = folder / name
    file.write_text(text.replace("NODES", NODES))
    return str(file)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
