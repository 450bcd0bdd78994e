"""What a node gets from the process that forks it, and what it takes anew."""

import os
import sys
from pathlib import Path

import pexpect
import pytest

from tests.asking import ask, connect, node
from tests.running import ROOT, alive, children, up, write, zuluko
from tests.test_supervisor import CHAIN
from tests.waiting import until
from zuluko.launch import title

MINE = """
from collections.abc import Iterator
from zuluko import Message, Stream
from tests.nodes_of_tests import Count

class Text(Message, tag="Text/1"):
    text: str = ""

def mine(counts: Stream[Count], *, factor: int = 1) -> Iterator[Text]:
    for count in counts:
        yield Text(stamp=count.stamp, text="before")

def reads(texts: Stream[Text]) -> None:
    for text in texts:
        print(f"read {text.text}", flush=True)
"""
GRAPH = """
nodes:
  count: {run: "NODES:count"}
  mine: {run: ./mine.py, in: {counts: count}, factor: 3}
  reads: {run: "./mine.py:reads", in: {texts: mine}}
"""


@pytest.fixture
def graph(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    with up(write(tmp_path, GRAPH)) as running:
        running.wait_for("reads", "read before")
        yield running


def edit(tmp_path, old, new):
    text = (tmp_path / "mine.py").read_text()
    assert old in text
    (tmp_path / "mine.py").write_text(text.replace(old, new))


def test_an_edited_node_needs_only_its_own_restart(tmp_path, graph):
    other = graph.children()["reads"]
    before = (tmp_path / "mine.py").stat().st_mtime_ns
    edit(tmp_path, '"before"', '"behind"')
    os.utime(tmp_path / "mine.py", ns=(before ^ 1, before ^ 1))  # of the same size and second
    assert ask(do="restart", node="mine")[0]["ok"]
    graph.wait_for("reads", "read behind")
    assert graph.children()["reads"] == other


def test_an_edited_node_that_dies_comes_back_as_it_is_now(tmp_path, graph):
    edit(tmp_path, '"before"', '"afterwards"')
    os.kill(graph.children()["mine"], 9)
    graph.wait_for("reads", "read afterwards")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("yield Text(", "yield Txet(", None),
        ("-> Iterator[Text]", "-> Iterator[Count]", "its inputs or outputs changed; restart the graph"),
        ("counts: Stream[Count], *", "*", "its inputs or outputs changed; restart the graph"),
        ('text: str = ""', "text: int = 0", "the message type Text changed; restart the graph"),
        ("*, factor: int = 1", "*, factors: int = 1", "its configuration `factor` changed; restart the graph"),
        ("*, factor: int = 1", "*, factor: int = 1, size: int", "its configuration `size` changed; restart the graph"),
        ("def mine(", "def others(", "mine has no mine any more; restart the graph"),
        ("for count in counts:", "for count in counts", "`mine` is not Python: expected ':'"),
        ("def mine(", "raise OSError('no')\ndef mine(", "importing `mine` failed: OSError: no"),
    ],
)  # fmt: skip
def test_an_edit_that_does_not_fit_is_told_and_the_node_that_runs_goes_on(tmp_path, graph, old, new, why):
    before = node("mine")["pid"]
    edit(tmp_path, old, new)
    (answer,) = ask(do="restart", node="mine")
    if why is None:  # what only shows when it runs is a death like any other
        return
    assert not answer["ok"]
    assert answer["what"].startswith(f"mine was not restarted: {why}")
    assert node("mine")["pid"] == before
    assert ask(do="status")[0]["state"] == "ready"


def test_an_edit_that_is_never_imported_is_given_up(tmp_path, graph):
    before = node("mine")["pid"]
    edit(tmp_path, "def mine(", "while True: pass\ndef mine(")
    (answer,) = ask(do="restart", node="mine")
    why = "its modules cannot be imported within 10 s (killed by SIGKILL)"
    assert answer == {"ok": False, "what": f"mine was not restarted: {why}"}
    assert node("mine")["pid"] == before


def test_who_waits_for_an_edit_to_be_tried_hears_that_the_graph_stops(tmp_path, graph):
    before = graph.children()["mine"]
    edit(tmp_path, "def mine(", "while True: pass\ndef mine(")
    with connect() as caller:
        caller.sendall(b'{"do": "restart", "node": "mine"}\n')
        until(lambda: graph.children()["mine"] != before, what="a trial, of the same name")
        graph.stop()
        assert b"the graph stopped before mine was ready" in caller.recv(4096)


def test_a_new_option_with_a_default_fits(tmp_path, graph):
    edit(tmp_path, "*, factor: int = 1", "*, factor: int = 1, more: int = 2")
    edit(tmp_path, '"before"', 'f"more {more}"')
    assert ask(do="restart", node="mine")[0]["ok"]
    graph.wait_for("reads", "read more 2")


def test_processes_bear_the_names_of_their_nodes(tmp_path):
    with up(write(tmp_path, CHAIN)) as running:
        running.wait_for("zuluko", "the graph is ready")
        for name, pid in running.children().items():
            shown = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
            assert shown == f"zuluko: graph/{name}"
            assert Path(f"/proc/{pid}/comm").read_text().strip() == f"zk:{name}"


def test_where_nobody_tells_where_a_command_line_lies_it_stays():
    """qemu's user emulation tells 44 fields of 52."""
    own = Path("/proc/self/stat").read_bytes()
    start, end = title.arguments(own)
    assert end - start == len(Path("/proc/self/cmdline").read_bytes())
    assert title.arguments(b" ".join(own.split()[:44])) == (0, 0)


def test_what_a_node_prints_is_told_at_once(tmp_path):
    (tmp_path / "says.py").write_text(
        "import time\nfrom collections.abc import Iterator\nfrom tests.nodes_of_tests import Status\n"
        "def says() -> Iterator[Status]:\n    print('now')\n    time.sleep(1000)\n    yield Status()\n"
    )
    with up(write(tmp_path, "nodes: {a: {run: ./says.py}}")) as running:
        running.wait_for("a", "now")


def test_the_launcher_has_one_thread_while_it_forks(tmp_path):
    with up(write(tmp_path, CHAIN)) as running:
        running.wait_for("zuluko", "the graph is ready")
        assert len(os.listdir(f"/proc/{running.process.pid}/task")) == 1


def test_nodes_have_randomness_of_their_own(tmp_path):
    (tmp_path / "dice.py").write_text(
        "import random\nfrom collections.abc import Iterator\nimport numpy as np\n"
        "from tests.nodes_of_tests import Status\n"
        "def dice() -> Iterator[Status]:\n"
        "    print(f'thrown {random.random()} {np.random.random()}', flush=True)\n    yield Status()\n"
    )
    text = "nodes: {a: {run: ./dice.py}, b: {run: ./dice.py}}"
    with up(write(tmp_path, text)) as running:
        assert running.end() == 0
    thrown = [set(e["text"].split()[1:]) for e in running.events if "thrown" in e.get("text", "")]
    assert len(thrown) == 2
    assert not thrown[0] & thrown[1]


def test_twenty_starts_and_stops_leave_nothing(tmp_path, run_dir):
    """In one process that lives on: no child, descriptor, memory file or socket more than before."""
    program = tmp_path / "cycles.py"
    file = write(tmp_path, CHAIN.replace('"NODES:count"', '"NODES:count", limit: 1, hz: 1000'))
    program.write_text(
        "import os, sys\nfrom pathlib import Path\n"
        "from zuluko.launch import launchfile, view\nfrom zuluko.launch.supervisor import Supervisor\n"
        "from tests.running import children\n"
        "def held():\n"
        "    return len(os.listdir('/proc/self/fd')), len(children(os.getpid())), sorted(os.listdir(sys.argv[2]))\n"
        "def cycle():\n"
        "    graph = launchfile.load(Path(sys.argv[1]))\n"
        "    assert Supervisor(graph, lambda events: view.watch(graph, events, style='json')).run() == 0\n"
        "cycle()\nbefore = held()\n"
        "for _ in range(int(sys.argv[3])):\n    cycle()\n"
        "assert held() == before, (before, held())\nprint('nothing is left')\n"
    )
    with pexpect.spawn(
        sys.executable, [str(program), file, str(run_dir), "20"], cwd=str(ROOT), timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as cycles:  # fmt: skip
        cycles.expect_exact("nothing is left")
    assert os.listdir(run_dir) == []


def test_spawned_nodes_are_interpreters_of_their_own(tmp_path, run_dir):
    text = "params: {limit: 0}" + CHAIN.replace('"NODES:count"', '"NODES:count", limit: $limit')
    with up(write(tmp_path, text), "--spawn", "--set", "limit=100000") as running:
        running.wait_for("show", "shown 2")
        pids = running.children()
        assert set(pids) == {"view", "count", "double", "show"}
        first = pids["show"]
        os.kill(first, 9)
        died = running.wait_for("show", "died (killed by SIGKILL)")
        running.wait_for("show", "shown", died)
        assert running.stop() == 0
    assert running.told("count", "count cleaned up")
    assert not any(map(alive, pids.values()))
    assert os.listdir(run_dir) == []


def test_spawned_nodes_end_with_their_launcher(tmp_path):
    with up(write(tmp_path, CHAIN), "--spawn") as running:
        running.wait_for("show", "shown 2")
        pids = running.children()
        running.process.kill()
        until(lambda: not any(map(alive, pids.values())))


def test_threads_are_one_process_and_end_as_processes_do(tmp_path, run_dir):
    file = write(tmp_path, CHAIN.replace('"NODES:count"', '"NODES:count", limit: 5'))
    shown = zuluko("up", file, "--threads")
    assert shown.returncode == 0, shown.stderr
    lines = [line for line in shown.stdout.splitlines() if line.startswith("shown")]
    assert lines == [f"shown {2 * n}" for n in range(1, 6)]
    assert {"show: ready", "double: ready", "count: ready"} <= set(shown.stderr.splitlines())
    assert os.listdir(run_dir) == []


def test_a_breakpoint_in_a_thread_stops_in_the_terminal(tmp_path):
    (tmp_path / "mine.py").write_text(
        MINE.replace("        yield Text", "        breakpoint()\n        yield Text")
    )
    with pexpect.spawn(
        sys.executable, ["-m", "zuluko", "up", write(tmp_path, GRAPH), "--threads"], cwd=str(ROOT), timeout=30
    ) as terminal:
        terminal.expect_exact("(Pdb)")
        assert len(children(terminal.pid)) == 0
        terminal.sendline("p count.n")
        terminal.expect_exact("1\r\n")
        terminal.sendline("clear")
        terminal.kill(9)


@pytest.mark.parametrize(
    ("kind", "has_arrays"), [("LockState(state='locked')", False), ("Frame(image=empty((2, 2, 3)))", True)]
)
def test_numpy_is_loaded_once_and_only_for_arrays(tmp_path, kind, has_arrays):
    """It is 13 MB; a launcher that has loaded it shares them with its nodes."""
    name = kind.partition("(")[0]
    (tmp_path / "says.py").write_text(
        f"from collections.abc import Iterator\nfrom zuluko import Stream, Tick, empty\nfrom zuluko.messages import {name}\n"
        f"def says(ticks: Stream[Tick]) -> Iterator[{name}]:\n    for tick in ticks:\n        yield {kind}\n"
        f"def hears(them: Stream[{name}]) -> None:\n    for one in them:\n        print('heard')\n"
    )
    text = (
        'nodes: {a: {run: ./says.py, in: {ticks: every 100ms}}, b: {run: "./says.py:hears", in: {them: a}}}'
    )
    with up(write(tmp_path, text)) as running:
        running.wait_for("b", "heard")
        pids = running.children()
        assert set(pids) == {"view", "a", "b"}
        for pid in (running.process.pid, *pids.values()):
            assert ("_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()) == has_arrays


def test_rules_over_numbers_do_without_numpy():
    with up(str(ROOT / "examples/too_close/too_close.yaml")) as running:
        running.wait_for("zuluko", "the graph is ready")
        pids = (running.process.pid, *running.children().values())
        assert not [pid for pid in pids if "_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()]
