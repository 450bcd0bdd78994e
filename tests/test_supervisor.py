"""Graphs as processes: start, stop, death, and nothing left behind."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.asking import ask
from tests.running import ROOT, Up, alive, children, up, write, zuluko
from tests.waiting import until

CHAIN = """
nodes:
  count: {run: "NODES:count"}
  double: {run: "NODES:double", in: {counts: count}}
  show: {run: "NODES:show", in: {counts: double, last: double}}
"""


def test_a_graph_runs_to_the_end_of_its_source(tmp_path, run_dir):
    text = CHAIN.replace('"NODES:count"', '"NODES:count", limit: 20')
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 0
    shown = [e["text"] for e in graph.events if e.get("who") == "show" and e["text"].startswith("shown")]
    assert shown == [f"shown {2 * n}" for n in range(1, 21)]
    assert graph.summary["messages"] == {"count": 20, "double.count": 20, "double.status": 1}
    assert graph.summary["lost"] == {}
    assert os.listdir(run_dir) == []


def test_consumers_are_ready_before_what_drives_them(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("count", "ready")
    ready = [e["who"] for e in graph.events if e["text"].startswith("ready")]
    assert ready == ["show", "double", "count"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "stopping"),
        (signal.SIGTERM, "stopping: told to by SIGTERM"),
        (signal.SIGHUP, "stopping: its terminal hung up"),
    ],
)
def test_a_stop_lets_every_node_clean_up_and_leaves_nothing(tmp_path, run_dir, number, said):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        pids = graph.children()
        assert set(pids) == {"view", "count", "double", "show"}
        assert graph.stop(number) == 0
    assert said in [event["text"] for event in graph.events if event.get("who") == "zuluko"]
    assert graph.told("count", "count cleaned up")
    assert graph.told("double", "double cleaned up")
    assert graph.summary["messages"]["double.status"] == 1
    assert not any(map(alive, pids.values()))
    assert os.listdir(run_dir) == []


def test_ctrl_c_at_the_terminal_reaches_everybody_and_is_still_clean(tmp_path, run_dir):
    """The terminal signals the whole process group; the nodes leave it to the supervisor."""
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        os.killpg(graph.process.pid, signal.SIGINT)
        assert graph.end() == 0
    assert graph.told("double", "double cleaned up")
    assert os.listdir(run_dir) == []


@pytest.mark.parametrize("node", ["count", "double", "show"])
def test_a_killed_node_comes_back(tmp_path, node):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        first = graph.children()[node]
        os.kill(first, signal.SIGKILL)
        since = graph.wait_for(node, "died (killed by SIGKILL); it starts again in 0.1 s")
        graph.wait_for(node, "ready", since)
        graph.wait_for("show", "shown", since)
        assert graph.children()[node] != first


def test_a_node_that_crashes_shows_why_and_starts_again(tmp_path):
    text = CHAIN.replace("NODES:show", "NODES:crashing").replace(", last: double", "")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "RuntimeError: it broke")
        died = graph.wait_for("show", "died (exit status 1)")
        graph.wait_for("show", "ready", died)


LIVES = """
from collections.abc import Iterator
from pathlib import Path
from zuluko import Message

class Life(Message, tag="Life/1"):
    number: int

def lives(*, mark: Path) -> Iterator[Life]:
    number = len(mark.read_text())
    mark.write_text("x" * (number + 1))
    yield Life(number=number)
    if number == 2:
        raise KeyError("another place")
    raise KeyError(f"life {number}")
"""


def errors(graph: Up) -> list[str]:
    beginnings = ("Traceback", "the same error")
    return [event["text"] for event in graph.look() if event.get("text", "").startswith(beginnings)]


def test_an_error_is_told_whole_once_and_at_the_last_death(tmp_path):
    (tmp_path / "lives.py").write_text(LIVES)
    (tmp_path / "mark").touch()
    text = "nodes: {lives: {run: ./lives.py, mark: mark, restart: {most: 5, within: 1min}}}"
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 1
    whole = "Traceback (most recent call last):"
    same = [f"the same error as before: KeyError: 'life {number}'" for number in range(6)]
    assert errors(graph) == [whole, same[1], whole, whole, same[4], whole]
    assert graph.told("lives", "KeyError: 'life 5'")


def test_an_error_is_told_whole_again_when_a_person_starts_the_node(tmp_path):
    text = CHAIN.replace("NODES:show", "NODES:crashing").replace(", last: double", "")
    with up(
        write(tmp_path, text.replace('crashing"', 'crashing", restart: {most: 1000, within: 1min}'))
    ) as graph:
        before = graph.wait_for("show", "the same error as before: RuntimeError: it broke")
        assert [text.startswith("Traceback") for text in errors(graph)[:2]] == [True, False]
        assert zuluko("restart", "show").returncode == 0
        graph.wait_for("show", "Traceback", before)


def test_a_node_with_a_users_mistake_stops_the_graph(tmp_path, run_dir):
    text = 'nodes: {a: {run: "NODES:count", limit: 1}, b: {run: "NODES:mistaken", restart: true}}'
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 1
    assert graph.told("b", "there is no such sensor; give another")
    assert graph.told("b", "cannot run; the graph stops")
    assert not any("Traceback" in e.get("text", "") for e in graph.events)
    assert os.listdir(run_dir) == []


def test_without_restart_a_death_ends_the_graph(tmp_path):
    text = CHAIN.replace('"NODES:count"', '"NODES:count", restart: false')
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "shown")
        os.kill(graph.children()["count"], signal.SIGKILL)
        assert graph.end() == 1
    assert graph.told("count", "died (killed by SIGKILL); the graph stops")


def test_a_node_that_yields_what_it_must_not_is_told(tmp_path):
    text = CHAIN.replace("NODES:show", "NODES:untrue").replace(", last: double", "")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "TypeError: show yielded a Count; it is to yield Status")


def test_a_node_that_does_not_stop_is_killed(tmp_path, run_dir):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:deaf"}}')) as graph:
        graph.wait_for("a", "deaf")
        pids = graph.children()
        assert graph.stop() == 0
    assert graph.told("a", "does not stop within 3 s and is killed")
    assert not any(map(alive, pids.values()))
    assert os.listdir(run_dir) == []


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:deaf"}}')) as graph:
        graph.wait_for("a", "deaf")
        graph.process.send_signal(signal.SIGINT)
        graph.wait_for("zuluko", "stopping")
        assert graph.stop() == 0
    assert not graph.told("a", "does not stop")


def test_when_the_launcher_is_killed_its_nodes_end_by_themselves(tmp_path, run_dir):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        pids = graph.children()
        graph.process.kill()
        graph.process.wait()
        until(lambda: not any(map(alive, pids.values())))
        with up(write(tmp_path, CHAIN)) as again:  # the name is free, and what lay there is no obstacle
            again.wait_for("show", "shown")
            assert again.stop() == 0
    assert os.listdir(run_dir) == []


def test_a_second_graph_of_the_name_is_refused_and_another_name_is_not(tmp_path):
    file = write(tmp_path, CHAIN)
    with up(file) as first:
        first.wait_for("show", "shown")
        second = zuluko("up", file)
        assert second.returncode == 1
        assert second.stderr.startswith(
            f"the graph graph runs already (pid {first.process.pid}); stop it with: zuluko stop graph"
        )
        with up(file, "--name", "other") as other:
            other.wait_for("show", "shown")
            assert other.stop() == 0
        assert first.stop() == 0


def test_ticks_drive_a_node(tmp_path):
    with up(write(tmp_path, 'nodes: {clock: {run: "NODES:clock", in: {ticks: every 20ms}}}')) as graph:
        graph.wait_for("clock", "ready")
        assert graph.stop() == 0
    assert graph.told("clock", "clock cleaned up")


def test_commands_reach_their_actuator_and_observers_see_them(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", limit: 30}
  pilot: {run: "NODES:pilot", in: {counts: count}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
"""
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 0
    assert graph.summary["messages"] == {"count": 30, "pilot": 30, "pilot.delivery": 30, "wheels": 30}
    assert graph.told("wheels", "wheels stopped")


def test_a_node_killed_while_commands_come_misses_none(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", limit: 150}
  pilot: {run: "NODES:pilot", in: {counts: count}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
"""
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("wheels", "ready")
        until(lambda: graph.look() and graph.told("count", "ready"))
        os.kill(graph.children()["wheels"], signal.SIGKILL)
        assert graph.end() == 0
    assert graph.summary["messages"]["pilot"] == 150
    # Each was taken once; only the one that it was at when it was killed may not have been answered.
    assert graph.summary["messages"]["wheels"] >= 149


def test_much_output_and_a_last_line_without_end_are_kept(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:loud"}}')) as graph:
        assert graph.end() == 0
    assert graph.told("a", "no newline at the end")
    assert max(len(e.get("text", "")) for e in graph.events) <= 8192


def test_each_start_and_stop_gives_back_what_it_took(tmp_path, run_dir):
    before = set(children(os.getpid()))
    file = write(tmp_path, CHAIN.replace('"NODES:count"', '"NODES:count", limit: 1'))
    for _ in range(3):
        with up(file) as graph:
            assert graph.end() == 0
    assert os.listdir(run_dir) == []
    assert set(children(os.getpid())) == before
    assert not [f for f in Path("/dev/shm").iterdir() if "zuluko" in f.name]


def test_without_a_reader_the_graph_still_runs(tmp_path):
    """A view that stands still, its terminal blocked, holds nobody up."""
    graph = Up(write(tmp_path, CHAIN.replace('"NODES:count"', '"NODES:count", limit: 40')))
    until(lambda: "view" in graph.children())
    os.kill(graph.children()["view"], signal.SIGSTOP)
    view = graph.children()["view"]
    until(lambda: graph.children().keys() == {"view"}, what="the nodes end while the view stands still")
    os.kill(view, signal.SIGCONT)
    assert graph.end() == 0
    graph.process.stdout.close()
    graph.process.stderr.close()


def test_a_mistake_later_in_its_life_starts_it_again(tmp_path):
    """A ValueError before the first turn is the user's; the same after a kill may be a passing fault."""
    (tmp_path / "fickle.py").write_text(
        "import pathlib\nfrom collections.abc import Iterator\nfrom zuluko import Stream\n"
        "from tests.nodes_of_tests import Count, Status\n"
        "def fickle(counts: Stream[Count], *, mark: pathlib.Path) -> Iterator[Status]:\n"
        "    if mark.exists():\n        mark.unlink()\n        raise ValueError('a passing fault')\n"
        "    for count in counts:\n        yield Status()\n        if count.n == 5:\n"
        "            mark.touch()\n            raise RuntimeError('died')\n"
    )
    text = (
        'nodes:\n  count: {run: "NODES:count"}\n  fickle: {run: ./fickle.py, in: {counts: count}, mark: mark}'
    )
    with up(write(tmp_path, text)) as graph:
        passing = graph.wait_for("fickle", "a passing fault")
        graph.wait_for("fickle", "ready", passing)


def test_a_node_that_is_terminated_by_somebody_else_comes_back(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        os.kill(graph.children()["show"], signal.SIGTERM)
        died = graph.wait_for("show", "died (exit status 143)")
        graph.wait_for("show", "shown", died)


def test_a_closed_terminal_lets_every_node_clean_up(tmp_path, run_dir):
    """The kernel sends SIGHUP to the whole foreground group."""
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        os.killpg(graph.process.pid, signal.SIGHUP)
        assert graph.end() == 0
    assert graph.told("count", "count cleaned up")
    assert graph.told("double", "double cleaned up")
    assert os.listdir(run_dir) == []


def test_a_graph_under_nohup_outlives_its_terminal(tmp_path):
    """`nohup` starts it with SIGHUP ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with up(write(tmp_path, CHAIN)) as graph:
            graph.wait_for("show", "shown")
            os.killpg(graph.process.pid, signal.SIGHUP)
            assert ask(do="restart", node="double")[0]["ok"]
            assert graph.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("delay", [0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
def test_a_stop_in_the_middle_of_the_start_is_prompt(tmp_path, run_dir, delay):
    graph = Up(write(tmp_path, CHAIN))
    time.sleep(delay)  # any moment will do
    os.killpg(graph.process.pid, signal.SIGINT)
    graph.end()
    assert not any("does not stop" in event.get("text", "") for event in graph.events)
    assert not [entry for entry in run_dir.rglob("*") if entry.is_file()]
    graph.process.stdout.close()
    graph.process.stderr.close()


def test_a_node_that_hangs_is_killed_and_comes_back(tmp_path):
    text = CHAIN.replace("NODES:show", "NODES:hanging").replace(", last: double", "")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "hangs")
        killed = graph.wait_for("show", "hangs: gave no sign of life for 5 s and is killed")
        graph.wait_for("show", "ready", killed)
        graph.stop_at_once()


def test_a_node_that_only_asks_becomes_ready_and_stops(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", limit: 20}
  asking: {run: "NODES:asking", in: {last: count}}
"""
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("asking", "ready")
        assert graph.stop() == 0
    assert not graph.told("asking", "does not stop")


def test_the_age_of_the_latest_counts_whatever_the_order_of_the_inputs(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count"}
  backwards: {run: "NODES:backwards", in: {last: count, ticks: every 20ms}}
"""
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("backwards", "ready")
        shown = zuluko("echo", "backwards", "-n", "1").stdout
    assert float(shown.rpartition('text="')[2].rstrip('"\n')) > 1e6  # the counter's stamps are near 1970


def test_a_command_for_nobody_is_told(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", limit: 3}
  pilot: {run: "NODES:misspelt", in: {counts: count}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
"""
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 0
    assert graph.told("pilot", "command m1 reached nobody: it is for whels; there is: wheels")
    assert graph.summary["lost"]["commands"] == 3


def test_who_gives_commands_hears_what_became_of_them(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count"}
  pilot: {run: "NODES:watchful", in: {things: [count, pilot.delivery]}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
"""
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("pilot", "m3 taken by wheels")
        os.kill(graph.children()["wheels"], signal.SIGSTOP)
        graph.wait_for("pilot", "failed by wheels: no answer within 2 s")
        os.kill(graph.children()["wheels"], signal.SIGCONT)


def test_a_field_of_another_type_is_told_where_it_is_published(tmp_path):
    text = CHAIN.replace("NODES:show", "NODES:wrongly").replace(", last: double", "")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "a Status is not what its type says: Expected `str`, got `int` - at `$.text`")


def test_of_a_node_that_pours_out_text_some_is_left_out_and_nothing_reaches_the_terminal_raw(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:pouring"}}')) as graph:
        graph.wait_for("a", "lines left out")
        graph.stop()
    assert not any("\x1b" in event.get("text", "") for event in graph.events)


def test_what_a_node_started_does_not_outlive_it(tmp_path):
    def pid():
        return int(json.loads(zuluko("echo", "a", "-n", "1", "--json").stdout)["body"]["n"])

    with up(write(tmp_path, 'nodes: {a: {run: "NODES:spawning"}}')) as graph:
        graph.wait_for("a", "ready")
        first = pid()
        os.kill(graph.children()["a"], signal.SIGKILL)
        died = graph.wait_for("a", "died")
        until(lambda: not alive(first))
        graph.wait_for("a", "ready", died)
        second = pid()
        assert alive(second)
        graph.stop()
    assert not alive(second)


def test_a_node_that_ignores_everything_does_not_outlive_its_launcher(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:deaf"}}')) as graph:
        graph.wait_for("a", "deaf")
        pids = graph.children()
        graph.process.kill()
        until(lambda: not any(map(alive, pids.values())))


def test_somebody_elses_files_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / "graph").mkdir(mode=0o700)
    (tmp_path / "graph" / "thesis.txt").write_text("years of work")
    file = write(tmp_path, CHAIN)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path))
    shown = zuluko("up", file)
    assert shown.returncode == 1
    assert "holds thesis.txt, which is not Zuluko's; set ZULUKO_RUN to a directory of its own" in shown.stderr
    assert (tmp_path / "graph" / "thesis.txt").read_text() == "years of work"


def test_a_killed_view_is_told_and_the_graph_goes_on(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("show", "shown")
        os.kill(graph.children()["view"], signal.SIGKILL)
        until(
            lambda: (
                b"the view died (killed by SIGKILL); the graph goes on"
                in (graph.process.stderr.peek() or b"")
            )
        )
        assert "show" in graph.children()


def test_a_signal_to_its_whole_group_stops_it_as_one_to_the_launcher_does(tmp_path, run_dir):
    """As `timeout` sends it. The view and the watcher of conditions are of that group, too."""
    text = CHAIN.replace("last: double}", "last: double}, when: count.n > 0")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("show", "shown")
        os.killpg(graph.process.pid, signal.SIGTERM)
        assert graph.end() == 0
        assert graph.summary["messages"]["count"]
        assert graph.process.stderr.read() == b""
    assert graph.told("count", "count cleaned up")
    assert os.listdir(run_dir) == []


def test_a_closed_pipe_stops_the_graph(tmp_path):
    command = f"{sys.executable} -m zuluko up {write(tmp_path, CHAIN)} | head -n 2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, cwd=ROOT, check=False
    )
    assert done.stdout.splitlines()[-1] == "141"
    assert "Traceback" not in done.stderr


def test_closed_standard_files_are_no_obstacle(tmp_path):
    file = write(tmp_path, CHAIN.replace('"NODES:count"', '"NODES:count", limit: 3'))
    command = f"{sys.executable} -m zuluko up {file} <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], timeout=30, cwd=ROOT, check=False).returncode == 0


def test_a_terminal_that_is_not_read_holds_up_nobody(tmp_path):
    """Standard output and error are one pipe that nobody reads, as behind Ctrl-S."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "zuluko", "up", write(tmp_path, 'nodes: {a: {run: "NODES:pouring"}}')]
    process = subprocess.Popen(command, stdout=writer, stderr=writer, cwd=ROOT)
    os.close(writer)
    node = until(lambda: children(process.pid).get("a"))
    until(lambda: fcntl.ioctl(reader, termios.FIONREAD, b"    ") >= b"\x00\x80")
    os.kill(node, signal.SIGKILL)
    until(lambda: children(process.pid).get("a") not in (None, node))
    process.terminate()
    process.wait(20)
    os.close(reader)


def test_a_full_disk_under_the_runtime_directory_is_a_sentence(tmp_path, run_dir):
    if (
        os.getuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "none", str(run_dir)], check=False
        ).returncode
    ):
        pytest.skip("this needs to mount a file system")
    try:
        with suppress(OSError):
            (run_dir / "fill").write_bytes(bytes(20_000))
        shown = zuluko("up", write(tmp_path, CHAIN))
        assert (shown.returncode, shown.stdout) == (1, "")
        what = "the graph cannot start: No space left on device"
        todo = f"make room under {run_dir}, or set ZULUKO_RUN to a directory elsewhere"
        assert shown.stderr == f"{what}; {todo}\n"
    finally:
        subprocess.run(["umount", "-l", str(run_dir)], check=True)
