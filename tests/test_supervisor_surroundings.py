"""What becomes of a graph when what is around it gives way: a full disk, a closed terminal, a reader who has
gone, a supervisor that stood still, a folder that was removed."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.asking import ask
from tests.running import ROOT, alive, children, up, write
from tests.test_supervisor import CHAIN
from tests.waiting import until
from zuluko.launch import status


@contextmanager
def shown_on(file, output, errors):
    command = [sys.executable, "-m", "zuluko", "up", file]
    process = subprocess.Popen(command, stdout=output, stderr=errors, cwd=ROOT, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def is_ready():
    told = status.read("graph")
    return told is not None and told.state == "ready"


def test_a_full_disk_under_what_it_shows_stops_no_graph(tmp_path):
    with Path("/dev/full").open("wb") as full, shown_on(write(tmp_path, CHAIN), full, full) as process:
        until(lambda: is_ready() and "view" not in children(process.pid), what="a graph without its view")
        assert ask(do="restart", node="double")[0]["ok"]
        assert ask(do="stop") == [{"ok": True}]
        assert process.wait(20) == 0


def test_a_full_disk_is_told_in_a_sentence(tmp_path):
    with (
        Path("/dev/full").open("wb") as full,
        shown_on(write(tmp_path, CHAIN), full, subprocess.PIPE) as process,
    ):
        told = process.stderr.readline() + process.stderr.readline()
        assert told.splitlines()[0] == b"what goes on cannot be shown any more: No space left on device"
        assert b"the view died (exit status 1); the graph goes on" in told
        process.terminate()
        process.stderr.read()
        process.stderr.close()


def test_a_graph_ends_when_the_reader_has_gone_though_nothing_is_said(tmp_path):
    with shown_on(write(tmp_path, CHAIN), subprocess.PIPE, subprocess.DEVNULL) as process:
        assert any(b"the graph is ready" in line for line in process.stdout)  # and it has no more to say
        process.stdout.close()
        assert process.wait(20) == 141


def test_a_closed_terminal_stops_the_graph_as_a_person_would(tmp_path):
    ours, theirs = pty.openpty()
    with shown_on(write(tmp_path, CHAIN), theirs, theirs) as process:
        os.close(theirs)
        until(is_ready)
        nodes = children(process.pid)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) in (0, 141)
        assert not [name for name, pid in nodes.items() if alive(pid)]


def test_a_supervisor_that_stood_still_takes_no_node_for_dead(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        before = graph.children()
        graph.process.send_signal(signal.SIGSTOP)
        time.sleep(6.5)  # longer than a node may be silent
        graph.process.send_signal(signal.SIGCONT)
        now = time.monotonic()
        until(lambda: ask(do="status") and time.monotonic() > now + 1.5, what="a look at each node")
        assert graph.children() == before
        assert graph.stop() == 0
