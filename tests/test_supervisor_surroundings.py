"""What becomes of a graph when what is around it gives way: a full disk, a closed terminal, a reader who has
gone, a supervisor that stood still, a folder that was removed."""

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.asking import ask
from tests.running import ROOT, alive, children, up, write, zuluko
from tests.test_supervisor import CHAIN
from tests.waiting import until
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import graph_dir, run_dir
from zuluko.launch import status
from zuluko.launch.graphlock import running


@contextmanager
def shown_on(file, output, errors, **options):
    command = [sys.executable, "-m", "zuluko", "up", file]
    process = subprocess.Popen(
        command, stdout=output, stderr=errors, cwd=ROOT, start_new_session=True, **options
    )
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
    file = write(tmp_path, 'nodes: {count: {run: "NODES:count"}}')
    with shown_on(file, subprocess.PIPE, subprocess.DEVNULL) as process:
        assert any(b"the graph is ready" in line for line in process.stdout)  # and it has no more to say
        process.stdout.close()
        assert process.wait(20) == 141


@contextmanager
def in_a_terminal(file, kind):
    """A graph that runs in a terminal of this kind, once it is ready, and what closes the terminal."""
    ours, theirs = pty.openpty()
    with shown_on(file, theirs, theirs, env={**os.environ, "TERM": kind}) as process:
        os.close(theirs)
        until(is_ready)
        yield process, partial(os.close, ours)


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_closed_terminal_stops_the_graph_as_a_person_would(tmp_path, kind):
    with in_a_terminal(write(tmp_path, CHAIN), kind) as (process, close):
        nodes = children(process.pid)
        close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
        until(lambda: not [name for name, pid in nodes.items() if alive(pid)], 2, "the end of the last")


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_view_that_lives_to_the_graphs_end_and_cannot_show_it_is_no_failure(tmp_path, kind):
    with in_a_terminal(write(tmp_path, CHAIN), kind) as (process, close):
        view = children(process.pid)["view"]
        os.kill(view, signal.SIGSTOP)
        until(lambda: stopped(view))
        close()
        process.send_signal(signal.SIGHUP)
        until(lambda: set(children(process.pid)) == {"view"}, what="the end of the nodes")
        os.kill(view, signal.SIGCONT)
        assert process.wait(20) == 0


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_terminal_that_closes_without_a_hang_up_takes_only_the_view_with_it(tmp_path, kind):
    with in_a_terminal(write(tmp_path, CHAIN), kind) as (process, close):
        close()
        until(lambda: "view" not in children(process.pid), what="a graph without its view")
        assert ask(do="restart", node="double")[0]["ok"]
        assert ask(do="stop") == [{"ok": True}]
        assert process.wait(20) == 0


def stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


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


def test_a_graph_whose_folder_was_removed_stops_and_leaves_its_name_to_the_next(tmp_path):
    file = write(tmp_path, CHAIN)
    with up(file) as first:
        first.wait_for("zuluko", "the graph is ready")
        first.process.send_signal(signal.SIGSTOP)
        shutil.rmtree(graph_dir("graph"))
        with up(file) as second:
            second.wait_for("zuluko", "the graph is ready")
            first.process.send_signal(signal.SIGCONT)
            assert first.end() == 1
            assert first.told(
                "zuluko", f"{run_dir()}/graph was removed while the graph runs; it stops; start"
            )
            assert running("graph") == second.process.pid
            assert ask(do="status")[0]["pid"] == second.process.pid
            assert second.stop() == 0
    assert not list(run_dir().iterdir())


def test_who_waits_for_a_graph_since_before_its_start_hears_it(tmp_path):
    waiting = Subscriber("graph", "count", Any)
    try:
        with up(write(tmp_path, CHAIN)) as graph:
            assert waiting.wait(20) is not None
            assert graph.stop() == 0
        with up(write(tmp_path, CHAIN)) as graph:
            until(lambda: waiting.wait(0.1) and waiting._reader)
            assert graph.stop() == 0
    finally:
        waiting.close()


def ready(graph, names):
    return {name for name in names if graph.told(name, "ready")}


def nodes_of(graph):
    return set(graph.children()) - {"view"}


def test_nodes_for_which_there_is_no_descriptor_wait_and_nobody_dies_of_it(tmp_path):
    """However few there are: each number makes another call of the start fail."""
    names = [f"n{number}" for number in range(12)]
    nodes = "".join(
        f'  {name}: {{run: "tests.faulty_nodes:idle", in: {{ticks: every 1h}}}}\n' for name in names
    )
    file = write(tmp_path, f"nodes:\n{nodes}")
    for most in range(30, 35):
        few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (most, most))
        with up(file, preexec_fn=few) as graph:
            graph.wait_for("n11", "could not be started (Too many open files); it starts again in")
            until(
                lambda: (started := ready(graph, names)) - {"n0", "n1"} and started == nodes_of(graph),
                what="a few nodes that run",
            )
            assert graph.stop() == 0


def test_what_a_node_started_in_a_session_of_its_own_ends_with_the_graph(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:leaving", in: {ticks: every 50ms}}}')) as graph:
        graph.wait_for("a", "ready")
        left = json.loads(zuluko("echo", "a", "-n", "1", "--json").stdout)["body"]["n"]
        os.kill(graph.children()["a"], signal.SIGKILL)
        graph.wait_for("a", "ready", graph.wait_for("a", "died"))
        assert children(graph.process.pid)["sleep"] == left
        assert graph.stop() == 0
        assert not alive(left)


def test_what_a_node_left_and_has_ended_leaves_no_zombie(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:leaving", in: {ticks: every 50ms}}}')) as graph:
        graph.wait_for("a", "ready")
        left = json.loads(zuluko("echo", "a", "-n", "1", "--json").stdout)["body"]["n"]
        os.kill(graph.children()["a"], signal.SIGKILL)
        until(lambda: children(graph.process.pid).get("sleep") == left, what="an orphan of the graph")
        os.kill(left, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{left}").exists(), what="no zombie")
        assert graph.stop() == 0


def test_a_view_that_stands_still_is_ended_and_that_is_told(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        view = graph.children()["view"]
        os.kill(view, signal.SIGSTOP)
        assert graph.stop() == 1
        assert graph.process.stderr.read() == (
            b"the view did not end within 3 s; what it was to show last is lost\n"
        )
        assert not alive(view)


ORPHAN = """
import os, signal, time
from zuluko.launch import fork, runner

def body():
    print(os.getpid(), flush=True)
    while os.getppid() == launcher:
        time.sleep(0.01)
    runner.outlive_by(0.2)
    time.sleep(1000)

launcher = os.getpid()
fork.fork("node", body, keep=())
signal.pause()
"""


def test_a_node_whose_launcher_is_killed_before_it_has_begun_does_not_live_on():
    launcher = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, cwd=ROOT)
    node = int(launcher.stdout.readline())
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    try:
        until(lambda: not alive(node))
    finally:
        if alive(node):
            os.kill(node, signal.SIGKILL)
