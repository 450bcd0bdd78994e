"""status, restart, logs and stop of graphs that run, from another terminal."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.running import ROOT, alive, up, write, zuluko
from tests.test_docs import commands, files, pattern, run
from tests.waiting import until

PAIR = """
nodes:
  count: {run: "NODES:count", hz: 20}
  double: {run: "NODES:double", in: {counts: count}}
"""


@pytest.fixture
def pair(tmp_path):
    """A graph of a node that counts, and one that doubles what it hears."""
    with up(write(tmp_path, PAIR)) as graph:
        graph.wait_for("count", "ready")
        until(lambda: zuluko("status").returncode == 0, what="a ready graph")
        yield graph


def node(name):
    told = json.loads(zuluko("status", "--json").stdout)
    return next(found for found in told["nodes"] if found["name"] == name)


def test_status_of_a_graph_that_runs(pair):
    shown = zuluko("status", "graph")
    rows = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line}
    assert shown.returncode == 0
    assert rows["count"][1] == "ready"
    assert str(pair.children()["count"]) in rows["count"]
    assert shown.stdout.splitlines()[-1].startswith("graph is ready: 2 of 2 nodes ready, up ")
    assert node("double")["memory"] > 1


def test_restart_starts_one_node_anew_and_leaves_the_other(pair):
    before = pair.children()
    shown = zuluko("restart", "double")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("double is ready after 0.")
    after = pair.children()
    assert after["double"] != before["double"]
    assert after["count"] == before["count"]
    assert node("double")["restarts"] == 1


def test_a_node_that_dies_again_and_again_is_not_a_ready_graph(tmp_path):
    with up(
        write(
            tmp_path,
            'nodes: {count: {run: "NODES:count"}, bad: {run: "NODES:crashing", in: {counts: count}}}',
        )
    ):
        until(lambda: "it broke" in zuluko("logs", "bad").stdout, what="the error in the log")
        until(lambda: zuluko("status").returncode == 1, what="a graph that is not ready")
        until(lambda: node("bad")["reason"], what="the reason")


def test_logs_show_what_a_node_printed_and_follow_what_comes(tmp_path):
    graph = 'nodes: {count: {run: "NODES:count", hz: 10}, show: {run: "NODES:show", in: {counts: count, last: other}}, other: {run: "NODES:clock", in: {ticks: every 1s}}}'
    with up(write(tmp_path, graph)) as running:
        running.wait_for("show", "shown 3")
        lines = zuluko("logs", "show", "-n", "2").stdout.splitlines()
        assert len(lines) == 2
        assert "show       shown " in lines[0]
        told = [json.loads(line) for line in zuluko("logs", "--json", "-n", "50").stdout.splitlines()]
        assert {line["node"] for line in told} >= {"show"}
        assert [line["time"] for line in told] == sorted(line["time"] for line in told)
        follow = subprocess.Popen(
            [sys.executable, "-m", "zuluko", "logs", "graph/show", "-f", "-n", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        numbers = [int(json.loads(follow.stdout.readline())["line"].split()[1]) for _ in range(3)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        assert running.stop() == 0
        _, errors = follow.communicate(timeout=20)
        assert errors == "the graph graph has ended\n"


def test_ctrl_c_ends_following_quietly_and_the_graph_goes_on(pair):
    follow = subprocess.Popen(
        [sys.executable, "-m", "zuluko", "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert follow.stdout.readline()
    follow.send_signal(signal.SIGINT)
    _, errors = follow.communicate(timeout=20)
    assert (follow.returncode, errors) == (-signal.SIGINT, "")
    assert zuluko("status").returncode == 0


def test_stop_returns_when_everything_has_ended(pair, run_dir):
    pids = [pair.process.pid, *pair.children().values()]
    shown = zuluko("stop")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "graph has stopped\n", "")
    assert not [pid for pid in pids if alive(pid)]
    assert os.listdir(run_dir) == []
    assert pair.end() == 0
    assert zuluko("status").returncode == 3


def test_what_another_user_may_not_ask_is_a_sentence(pair, run_dir):
    run_dir.chmod(0o755)
    shown = zuluko("status")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == f"{run_dir} is open to other users; run: chmod 700 {run_dir}\n"
    run_dir.chmod(0o700)


def test_the_pages_commands_print_what_it_shows(tmp_path):
    files("docs/run.md", tmp_path)
    examples = [(command, shown) for command, shown in commands("docs/run.md") if "doctor" not in command]
    assert [command.split()[1] for command, _ in examples] == [
        "status",
        "logs",
        "logs",
        "logs",
        "restart",
        "stop",
        "status",
        "service",
    ]
    with up(str(tmp_path / "porch.yaml")):
        until(lambda: zuluko("status").returncode == 0, what="a ready graph")
        until(lambda: len(zuluko("logs", "light", "-n", "2").stdout.splitlines()) == 2, what="two lines")
        for command, shown in examples:
            printed = run(command, tmp_path)
            assert re.fullmatch(pattern(shown), printed), printed


def test_the_pages_doctor_speaks_as_the_real_one(tmp_path):
    """Its machine is not this one; its lines must be of checks that there are, and look as they do."""
    from zuluko.doctor.checks import CHECKS

    (shown,) = [shown for command, shown in commands("docs/run.md") if "doctor" in command]
    names = [line.split()[1] for line in shown.splitlines() if line.startswith(("good", "warn", "bad"))]
    assert set(names) <= {check.name for check in CHECKS}
    real = zuluko("doctor").stdout.splitlines()
    for line in shown.splitlines():
        if line != "..." and line:
            assert re.fullmatch(
                r"(good|warn|bad ) {2}\w+ +\S.*| {19}-> .+|\d+ good, \d+ to look at, \d+ bad", line
            )
    assert [line[:19] for line in real if "  wheels  " in line] == [
        line[:19] for line in shown.splitlines() if "  wheels  " in line
    ]
