"""What becomes of nodes that hang, die or use too much, and of the graph with them."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.asking import ask, node
from tests.running import ROOT, alive, up, write
from tests.waiting import until
from zuluko.launch import place
from zuluko.launch.graph import Entry
from zuluko.launch.signature import Signature

FAULTY = "tests.faulty_nodes"


def graph_of(tmp_path, **runs):
    text = "nodes:\n" + "".join(f"  {name}: {{{entry}}}\n" for name, entry in runs.items())
    return write(tmp_path, text.replace("FAULTY", FAULTY))


@pytest.mark.parametrize(
    ("how", "where"),
    [("spinning", "spinning"), ("holding", "holding"), ("releasing", "releasing"), ("reading", "reading")],
)
def test_a_node_that_hangs_is_killed_says_where_and_comes_back(tmp_path, how, where):
    """In Python, in C with and without the interpreter's lock, and in a read that never returns."""
    file = graph_of(
        tmp_path,
        count='run: "NODES:count"',
        node=f'run: "FAULTY:{how}", in: {{counts: count}}, restart: {{silence: 1.5s}}',
    )
    with up(file) as graph:
        graph.wait_for("node", "hangs")
        first = graph.children()["node"]
        killed = graph.wait_for("node", "hangs: gave no sign of life for 1.5 s and is killed")
        graph.wait_for("node", "ready", killed)
        assert graph.children()["node"] != first
        until(lambda: graph.told("node", f"in {where}"), what="a traceback of where it hung")
        graph.stop_at_once()


def test_a_source_that_hangs_in_c_is_killed_and_comes_back(tmp_path):
    with up(graph_of(tmp_path, node='run: "FAULTY:held_source"')) as graph:
        graph.wait_for("node", "hangs")
        killed = graph.wait_for(
            "node", "hangs: gave no sign of life for 5 s, held up outside Python and is killed"
        )
        graph.wait_for("node", "ready", killed)


def test_a_source_may_wait_for_ever_unless_it_is_told_how_long(tmp_path):
    file = graph_of(
        tmp_path, patient='run: "FAULTY:button"', button='run: "FAULTY:button", restart: {silence: 2s}'
    )
    with up(file) as graph:
        killed = graph.wait_for("button", "hangs: gave no sign of life for 2 s and is killed")
        graph.wait_for("button", "hangs: gave no sign of life for 2 s and is killed", killed)
        assert not graph.told("patient", "killed")
        assert node("patient")["state"] == "ready"


def test_a_source_that_has_said_nothing_yet_is_ready_all_the_same(tmp_path):
    with up(graph_of(tmp_path, button='run: "FAULTY:button", presses: 0')) as graph:
        graph.wait_for("button", "ready")


def test_a_node_that_must_run_stops_the_graph_with_its_last_lines(tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    file = graph_of(
        tmp_path, count='run: "NODES:count"', dying='run: "FAULTY:dying", mark: mark, restart: {most: 2}'
    )
    with up(file) as graph:
        assert graph.end() == 1
        told = graph.process.stderr.read().decode()
    assert graph.told(
        "dying", "died (exit status 7), and it has started again 2 times within 60 s; the graph stops"
    )
    assert "the graph graph stopped: dying died (exit status 7)" in told
    assert told.count("about to die") == 3
    assert "count cleaned up" in "".join(event["text"] for event in graph.events if "text" in event)


def test_a_node_that_need_not_run_fails_alone_and_can_be_started_again(tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    file = graph_of(
        tmp_path,
        count='run: "NODES:count"',
        dying='run: "FAULTY:dying", mark: mark, restart: {most: 1}, must: false',
    )
    with up(file) as graph:
        graph.wait_for("dying", "within 60 s; the graph goes on without it")
        assert node("dying")["state"] == "failing"
        assert "exit status 7" in node("dying")["reason"]
        assert ask(do="status")[0]["state"] == "degraded"
        mark.unlink()
        assert ask(do="restart", node="dying")[0]["ok"]
        assert ask(do="status")[0]["state"] == "ready"
        assert graph.stop() == 0


def test_a_node_that_need_not_run_and_cannot_leaves_the_graph_running(tmp_path):
    file = graph_of(tmp_path, count='run: "NODES:count"', a='run: "NODES:mistaken", must: false')
    with up(file) as graph:
        graph.wait_for("a", "cannot run; the graph goes on without it")
        assert node("count")["state"] == "ready"


@pytest.mark.parametrize("restart", ["false", "true"])
def test_too_much_memory_is_told_and_mended_if_so_asked(tmp_path, restart):
    file = graph_of(
        tmp_path,
        eating=f'run: "FAULTY:eating", in: {{ticks: every 50ms}}, memory: {{most: 40MB, restart: {restart}}}',
    )
    with up(file) as graph:
        graph.wait_for("eating", "MB of memory, and may use 40")
        if restart == "true":
            again = graph.wait_for("eating", "MB of memory, and may use 40; it starts again in 0.1 s")
            graph.wait_for("eating", "ready", again)
        else:
            assert node("eating")["state"] == "degraded"
            assert ask(do="status")[0]["state"] == "degraded"
            assert node("eating")["memory"] > 40


def test_too_much_of_the_processor_is_told(tmp_path):
    file = graph_of(tmp_path, burning='run: "FAULTY:burning", in: {ticks: every 50ms}, cpu: {most: 0.2}')
    with up(file) as graph:
        graph.wait_for("burning", "cores, and may use 0.2", seconds=60)
        found = node("burning")
        assert (found["state"], found["reason"]) == ("degraded", found["reason"])
        assert found["cpu"] > 0.2


def test_a_node_runs_where_and_how_its_entry_says(tmp_path):
    from tests.running import zuluko

    file = graph_of(
        tmp_path,
        placed='run: "FAULTY:placed", in: {ticks: every 50ms}, nice: 5, cpu: [0], env: {GREETING: hello}',
    )
    with up(file) as graph:
        graph.wait_for("placed", "ready")
        assert "nice 5 cores 0 policy 0 hello" in zuluko("echo", "placed", "-n", "1").stdout
    assert "GREETING" not in os.environ


def test_what_the_system_does_not_allow_is_told_in_a_sentence(caplog, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    place.settle(Entry("a", "a", print, Signature(), nice=-5, priority=10, cores=(999,)))
    cores, nice, priority = caplog.messages
    assert cores.startswith("there are no cores 999; it may run on: 0")
    assert nice == "nice -5 needs a permission: run as root, or with LimitNICE=; it runs without"
    assert priority == "priority 10 needs a permission: run as root, or with LimitRTPRIO=; it runs without"


def test_what_is_beyond_its_budget_is_counted_and_told(tmp_path):
    file = graph_of(tmp_path, dawdling='run: "FAULTY:dawdling", in: {ticks: every 50ms}')
    Path(file).write_text("budget: {dawdling: 10ms}\n" + Path(file).read_text())
    with up(file) as graph:
        graph.wait_for("dawdling", "a message is beyond the budget of 10 ms, by evidence of up to")
        until(lambda: node("dawdling")["late"] > 20)
        assert len([e for e in graph.look() if "beyond the budget" in e["text"]]) == 1


def test_sources_stop_first_and_an_actuator_last(tmp_path):
    file = graph_of(
        tmp_path,
        bolt='run: "FAULTY:bolt", in: {moves: pilot}, mark: open',
        pilot='run: "NODES:pilot", in: {counts: count}',
        count='run: "NODES:count"',
    )
    with up(file) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        assert graph.stop() == 0
        states = [e for e in graph.events if e.get("text") in ("count cleaned up", "safe")]
    assert [e["who"] for e in states] == ["count", "bolt"]
    assert not (tmp_path / "open").exists()


def test_a_source_that_does_not_stop_does_not_keep_the_others_for_long(tmp_path):
    file = graph_of(
        tmp_path, deaf='run: "NODES:deaf"', bolt='run: "FAULTY:bolt", in: {moves: pilot}, mark: open',
        pilot='run: "NODES:pilot", in: {counts: deaf}',
    )  # fmt: skip
    with up(file) as graph:
        graph.wait_for("deaf", "deaf")
        graph.wait_for("bolt", "ready")
        graph.process.send_signal(signal.SIGTERM)
        safe = graph.wait_for("bolt", "safe")
        killed = graph.wait_for("deaf", "does not stop within 3 s and is killed")
        assert safe < killed
        assert graph.end() == 0


def test_when_the_launcher_is_killed_all_end_within_a_second_and_actuators_safely(tmp_path):
    file = graph_of(
        tmp_path,
        deaf='run: "NODES:deaf"',
        stubborn='run: "FAULTY:stubborn", in: {counts: deaf}',
        bolt='run: "FAULTY:bolt", in: {moves: pilot}, mark: open',
        pilot='run: "NODES:pilot", in: {counts: deaf}',
    )
    with up(file) as graph:
        graph.wait_for("deaf", "deaf")
        until((tmp_path / "open").exists)
        pids = graph.children()
        assert set(pids) == {"view", "deaf", "stubborn", "bolt", "pilot"}
        graph.process.kill()
        killed = time.monotonic()
        until(lambda: not (tmp_path / "open").exists())
        until(lambda: not any(map(alive, pids.values())))
        print(f"all ended {time.monotonic() - killed:.2f} s after the launcher was killed")


BOLT = {
    "bolt": 'run: "FAULTY:bolt", in: {moves: pilot}, mark: open, must: false',
    "pilot": 'run: "NODES:pilot", in: {counts: count}',
    "count": 'run: "NODES:count"',
}


def test_an_actuator_that_somebody_has_stopped_goes_on_to_end_safely(tmp_path):
    with up(graph_of(tmp_path, **BOLT)) as graph:
        until((tmp_path / "open").exists)
        os.kill(graph.children()["bolt"], signal.SIGSTOP)
        assert graph.stop() == 0
        assert graph.told("bolt", "safe")
        assert not graph.told("bolt", "killed")
    assert not (tmp_path / "open").exists()


def test_an_actuator_that_somebody_has_stopped_goes_on_to_end_safely_when_its_launcher_is_killed(tmp_path):
    with up(graph_of(tmp_path, **BOLT)) as graph:
        until((tmp_path / "open").exists)
        pid = graph.children()["bolt"]
        os.kill(pid, signal.SIGSTOP)
        graph.process.kill()
        until(lambda: not alive(pid))
    assert not (tmp_path / "open").exists()


def test_of_an_actuator_that_was_killed_for_good_it_is_told_that_it_may_be_unsafe(tmp_path):
    runs = {**BOLT, "bolt": BOLT["bolt"] + ", restart: {most: 1}"}
    with up(graph_of(tmp_path, **runs)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        os.kill(graph.children()["bolt"], signal.SIGKILL)
        again = graph.wait_for("bolt", "ready", graph.wait_for("bolt", "it starts again in"))
        assert not graph.told("bolt", "safe state")  # for its new life begins with it
        os.kill(graph.children()["bolt"], signal.SIGKILL)
        graph.wait_for("bolt", "the graph goes on without it", again)
        os.kill(graph.children()["count"], signal.SIGKILL)  # which acts on nothing
        graph.wait_for("count", "died (killed by SIGKILL)")
        unsafe = "it was killed, and could not put what it acts on into its safe state"
        graph.wait_for("bolt", unsafe, again)
        assert [event["who"] for event in graph.look() if event["text"] == unsafe] == ["bolt"]
    assert unsafe in " ".join((ROOT / "docs/supervisor.md").read_text().split())


SWITCHED = {
    "levels": 'run: "FAULTY:levels", values: VALUES',
    "night": 'run: "FAULTY:switched", in: {ticks: every 50ms, level: levels}, when: levels.n >= 3',
}


def test_a_node_runs_while_its_condition_holds(tmp_path):
    file = graph_of(
        tmp_path, **{k: v.replace("VALUES", "[0, 0, 5, 5, 5, 5, 0, 0, 7]") for k, v in SWITCHED.items()}
    )
    with up(file) as graph:
        graph.wait_for("levels", "ready")
        first = graph.wait_for("night", "ready")
        off = graph.wait_for("night", "off: its `when` does not hold", first)
        graph.wait_for("night", "ready", off)
        assert node("night")["restarts"] == 1


def test_a_node_whose_condition_never_holds_keeps_nobody_from_being_ready(tmp_path):
    file = graph_of(tmp_path, **{k: v.replace("VALUES", "[0]") for k, v in SWITCHED.items()})
    with up(file) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        until(lambda: node("night")["reason"] == "its `when` does not hold")
        assert node("night")["state"] == "off"
        assert "night" not in graph.children()
        assert ask(do="status")[0]["state"] == "ready"
        (answer,) = ask(do="restart", node="night")
        assert answer == {"ok": False, "what": "night is off: its `when` does not hold"}
        assert graph.stop() == 0


def test_a_watcher_of_conditions_that_dies_comes_back(tmp_path):
    file = graph_of(tmp_path, **{k: v.replace("VALUES", "[0]") for k, v in SWITCHED.items()})
    with up(file) as graph:
        graph.wait_for("levels", "ready")
        first = until(lambda: graph.children().get("when"))
        os.kill(first, signal.SIGKILL)
        graph.wait_for("zuluko", "the watcher of conditions died; it starts again in 0.1 s")
        until(lambda: graph.children().get("when", first) != first)
        assert graph.stop() == 0


def test_of_a_node_that_poured_out_text_the_last_words_are_told(tmp_path):
    file = graph_of(
        tmp_path,
        count='run: "NODES:count"',
        node='run: "FAULTY:pouring_out", in: {ticks: every 100ms}, restart: false, must: false',
    )
    with up(file) as graph:
        graph.wait_for("node", "died (exit status 1)")
        said = [line["line"] for line in ask(do="logs", node="node", last=1000)]
    assert said[-2:] == ["OSError: the bucket is empty", "died (exit status 1); the graph goes on without it"]
    assert sum("lines left out" in line for line in said) == 1
    assert "line 19999" in said
