"""A node that gets no processor core is not one that hangs: the two told apart on real processes, beside
one that takes its core whole."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.asking import node
from tests.running import ROOT, alive, up
from tests.test_supervisor_faults import graph_of
from tests.waiting import until
from zuluko.launch import child, runner, starvation
from zuluko.launch.graph import Entry
from zuluko.launch.signature import Signature
from zuluko.launch.starvation import Starvation

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this kernel does not tell how long a thread waited"
)

CORE = max(os.sched_getaffinity(0))
GREEDY = f'run: "FAULTY:greedy", cpu: {CORE}'
WORKING = 'run: "FAULTY:working", in: {ticks: every 100ms}, mark: mark, restart: {silence: 1.5s}'


def without_numbers(text):
    return re.sub(r"[\d.]+ s", "N s", text)


def page_lines():
    """What the page says that the log says."""
    shown = re.findall(r"^\| `(\w[^`]* s[ )][^`]*)` \|", (ROOT / "docs/supervisor.md").read_text(), re.M)
    assert len(shown) == 5
    return set(map(without_numbers, shown))


def lines(graph):
    return {without_numbers(event.get("text", "")) for event in graph.look()}


def place(pid, cores, policy):
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        os.sched_setaffinity(thread, cores)
        os.sched_setscheduler(thread, policy, os.sched_param(0))


@contextmanager
def starved(graph, mark):
    """Leaves a node, which has much to do, what the greedy one leaves of its core."""
    pid = graph.children()["node"]
    place(pid, {CORE}, os.SCHED_IDLE)
    mark.touch()
    yield
    mark.unlink()
    if alive(pid):
        place(pid, os.sched_getaffinity(0), os.SCHED_OTHER)


def test_a_node_that_gets_no_core_is_starved_and_goes_on_when_it_gets_one(tmp_path):
    with up(graph_of(tmp_path, greedy=GREEDY, node=WORKING)) as graph:
        graph.wait_for("node", "ready")
        pid = graph.children()["node"]
        with starved(graph, tmp_path / "mark"):
            graph.wait_for("node", "is starved: no sign of life for ")
        before = node("node")["stats"]["published"]["node"]
        until(lambda: node("node")["stats"]["published"]["node"] > before, what="a message after the want")
        assert graph.children()["node"] == pid
        assert not graph.told("node", "killed")


def test_a_node_that_gets_no_core_for_too_long_is_started_anew_and_that_is_told(tmp_path):
    with up(graph_of(tmp_path, greedy=GREEDY, node=WORKING)) as graph:
        graph.wait_for("node", "ready")
        with starved(graph, tmp_path / "mark"):
            first = graph.wait_for("node", "s waiting for a processor core); it has 9 s in all")
            killed = graph.wait_for("node", "is starved: gave no sign of life for 9", first)
        graph.wait_for("node", "ready", killed)
        assert not graph.told("node", "hangs")
        assert {line for line in page_lines() if "sign of life" in line and line.startswith("is")} <= lines(
            graph
        )


def test_a_node_that_sleeps_hangs_though_its_core_is_taken(tmp_path):
    file = graph_of(
        tmp_path,
        greedy=GREEDY,
        count='run: "NODES:count"',
        node='run: "FAULTY:sleeping", in: {counts: count}, restart: {silence: 1.5s}',
    )
    with up(file) as graph:
        graph.wait_for("node", "hangs")
        with starved(graph, tmp_path / "mark"):
            graph.wait_for("node", "hangs: gave no sign of life for 1.5 s and is killed")
        assert not graph.told("node", "starved")
        assert {line for line in page_lines() if line.startswith("hangs")} <= lines(graph)
        graph.stop_at_once()


def test_a_node_that_was_stopped_hangs(tmp_path):
    with up(graph_of(tmp_path, node=WORKING)) as graph:
        graph.wait_for("node", "ready")
        os.kill(graph.children()["node"], signal.SIGSTOP)
        first = graph.wait_for("node", "hangs: gave no sign of life for 1.5 s and is killed")
        again = graph.wait_for("node", "it starts again in", first)
        assert not graph.told("node", "and is killed", first), "once is enough"
        graph.wait_for("node", "ready", again)
        assert not graph.told("node", "starved")


@contextmanager
def greed():
    """Takes a core whole, from outside of the graph."""
    command = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{CORE}}})\nwhile True: pass"]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def slow_bolt(tmp_path):
    """A graph whose actuator has much to do before it is safe, beside what takes its core."""
    file = graph_of(tmp_path, node='run: "FAULTY:slow_bolt", in: {ticks: every 100ms}, mark: mark')
    with greed(), up(file) as graph:
        graph.wait_for("node", "ready")
        yield graph


@contextmanager
def told_to_stop(graph, mark):
    """As long as its actuator has no core to stop on."""
    with starved(graph, mark):
        graph.process.send_signal(signal.SIGINT)
        graph.wait_for("node", "is starved: has not stopped for ")
        yield


def test_an_actuator_that_gets_no_core_has_longer_to_put_itself_into_its_safe_state(tmp_path):
    mark, opened = tmp_path / "mark", tmp_path / "open"
    with slow_bolt(tmp_path) as graph:
        with told_to_stop(graph, mark):
            assert opened.exists()
        assert graph.end() == 0
    assert graph.told("node", "safe")
    assert not graph.told("node", "killed")
    assert not opened.exists()
    assert {line for line in page_lines() if "has not stopped" in line} & lines(graph)


def test_a_second_ctrl_c_does_not_wait_for_a_starved_node(tmp_path):
    mark, opened = tmp_path / "mark", tmp_path / "open"
    with slow_bolt(tmp_path) as graph:
        with told_to_stop(graph, mark):
            assert graph.stop() == 0
        assert opened.exists()


def test_an_actuator_that_sleeps_has_no_longer_to_stop_though_its_core_is_taken(tmp_path):
    mark = tmp_path / "mark"
    node = 'run: "FAULTY:slow_bolt", in: {ticks: every 100ms}, mark: mark, way: sleeping'
    with greed(), up(graph_of(tmp_path, node=node)) as graph:
        graph.wait_for("node", "ready")
        with starved(graph, mark):
            assert graph.stop() == 0
        assert graph.told("node", "does not stop within 3 s and is killed")
        assert not graph.told("node", "starved")


def test_a_node_that_gets_no_core_at_its_start_is_waited_for(tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    with (
        greed(),
        up(
            graph_of(tmp_path, node='run: "FAULTY:slow_start", in: {ticks: every 100ms}, mark: mark')
        ) as graph,
    ):
        until(lambda: "node" in graph.children())
        with starved(graph, mark):
            graph.wait_for("node", "is starved: is not ready for ")
            assert node("node")["state"] == "starting"
        graph.wait_for("node", "ready")
        assert not graph.told("node", "the others go on without it")
        assert {line for line in page_lines() if "is not ready" in line} & lines(graph)


def test_an_actuator_that_gets_no_core_outlives_its_launcher_until_it_is_safe(tmp_path):
    mark = tmp_path / "mark"
    file = graph_of(
        tmp_path,
        node='run: "FAULTY:slow_bolt", in: {ticks: every 100ms}, mark: mark',
        stubborn='run: "FAULTY:stubborn", in: {counts: count}',
        count='run: "NODES:count"',
    )
    with greed(), up(file) as graph:
        for name in ("node", "stubborn"):
            graph.wait_for(name, "ready")
        pids = graph.children()
        mark.touch()
        os.sched_setaffinity(pids["node"], {CORE})  # its main thread, and no other
        os.sched_setscheduler(pids["node"], os.SCHED_IDLE, os.sched_param(0))
        graph.process.kill()
        until(lambda: not alive(pids["stubborn"]))
        mark.unlink()
        os.sched_setaffinity(pids["node"], os.sched_getaffinity(0))
        until(lambda: not alive(pids["node"]))
        assert not (tmp_path / "open").exists()


@pytest.fixture
def ending(monkeypatch):
    """Whether a process that was told to stop at 100 s is killed, when one of its threads has waited for a core
    so long: it may be the one beside the nodes' loops, which then wait for Python's lock."""
    seen = child.Child("node", (Entry("node", "a", print, Signature()),))
    seen.told_to_stop = 100.0

    def ending(now, waited):
        monkeypatch.setattr(seen._starvation, "since", lambda _, loops: 0.0 if loops else waited)
        why = seen.out_of_time(now)
        return without_numbers(why) if why else seen.kill_at

    return ending


def test_the_time_to_stop_grows_with_the_wait_for_a_core_and_has_an_end(ending):
    assert ending(103.1, 0.0) == "does not stop within N s"
    assert ending(103.1, 2.0) == 105.0
    assert ending(105.1, 2.0) == "does not stop within N s"
    assert ending(105.1, 5.0) == 108.0
    assert ending(117.9, 16.0) == 118.0
    assert ending(118.1, 17.0) == "is starved: has not stopped for N s (N s waiting for a processor core)"


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_what_sleeps_or_is_stopped_does_not_wait():
    loop = [sys.executable, "-c", "while True: pass"]
    for command, number, expected in ((["sleep", "1000"], 0, "S"), (loop, signal.SIGSTOP, "T")):
        process = subprocess.Popen(command)
        try:
            process.send_signal(number)
            until(lambda: state(process.pid) == expected)
            seen = Starvation()
            seen.rest(0.0)
            for now in (1.0, 2.0, 3.0):
                seen.look(process.pid, now, usual=1.25)
            assert len(starvation.read(process.pid)) == 1
            assert seen.since(0.0, loops=True) == seen.since(0.0, loops=False) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def look(monkeypatch):
    """Looks at threads of which the kernel tells what is given: how long each has waited since 0 s, of its
    nodes' loops and of any."""
    seen = Starvation()
    seen.rest(0.0)

    def look(now, **threads):
        told = {int(name[1:]): tuple(said.split(",")) for name, said in threads.items()}
        monkeypatch.setattr(starvation, "read", lambda _: told)
        seen.look(1, now, usual=1.25, beside=2)
        return seen.since(0.0, loops=True), seen.since(0.0, loops=False)

    return look


def test_a_wait_that_lasts_counts_and_not_again_when_it_ends(look):
    assert look(1.0, t1="5 1000000000 7,R") == (0, 0)
    assert look(2.0, t1="5 1000000000 7,R") == (1, 1)
    assert look(3.0, t1="5 1000000000 7,R") == (2, 2)
    assert look(3.5, t1="9 3250000000 8,R") == (2.25, 2.25)  # it had a core after 2.25 s
    assert look(4.5, t1="999 3250000000 8,R") == (2.25, 2.25)  # and runs
    assert look(5.5, t1="1005 3250000000 9,S") == (2.25, 2.25)


def test_a_wait_of_which_less_was_known_counts_whole_and_never_more_than_the_time(look):
    assert look(1.0, t1="5 0 7,R") == (0, 0)
    assert look(2.0, t1="6 0 8,R") == (0, 0)  # it ran, and may have waited since
    assert look(2.5, t1="7 1375000000 9,S") == (1.375, 1.375)
    assert look(3.0, t1="8 9000000000 10,S") == (3, 3)


def test_threads_that_wait_at_once_count_once_and_the_one_beside_holds_up_no_loop(look):
    assert look(1.0, t1="5 0 7,S", t2="5 0 7,S", t3="5 0 7,S") == (0, 0)
    assert look(2.0, t1="5 250000000 9,S", t2="5 1000000000 9,R", t3="5 500000000 9,S") == (0.5, 1)


def test_a_look_that_comes_late_knows_that_the_supervisor_had_no_core_either(look):
    assert look(6.25, t1="5 0 7,R") == (5, 5)
    assert look(7.25, t1="5 0 8,S") == (5, 5)


def test_where_the_kernel_does_not_count_nobody_is_starved(look):
    assert look(6.25) == (0, 0)
    assert look(7.25) == (0, 0)


def test_the_page_says_how_long_a_node_may_be_silent():
    page = " ".join((ROOT / "docs/supervisor.md").read_text().split())
    assert f"hangs after {child.SILENCE:g} s all the same" in page
    most = starvation.STARVED
    assert f"after {most} times its deadline, {most * child.SILENCE:g} s, it is" in page
    assert f"has not ended {runner.GRACE:g} s after it was told is killed" in page
    assert (
        f"up to {most * runner.GRACE:g} s to stop, and {most * child.START_DEADLINE:g} s to become ready"
        in page
    )
