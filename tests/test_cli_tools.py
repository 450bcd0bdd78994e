"""The tools that look at a running graph: top, hz, pub, graph and echo's losses, on real graphs."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pexpect
import pytest

from tests.nodes_of_tests import Count
from tests.running import ROOT, Up, up, write, zuluko
from tests.test_docs import commands, files, pattern, run
from tests.waiting import until
from zuluko.bus import clock
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.cli import pub, top
from zuluko.launch import drawing, status
from zuluko.launch.drawing_svg import svg
from zuluko.launch.gauges import Flow, Gauges
from zuluko.launch.graphlock import GraphLock

COUNT = 'nodes: {count: {run: "NODES:count"}}'
PAIR = """
nodes:
  count: {run: "NODES:count", hz: 200}
  double: {run: "NODES:double", in: {counts: count}}
"""
WHEELS = """
nodes:
  count: {run: "NODES:count", hz: 1}
  pilot: {run: "NODES:pilot", in: {counts: count}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
  show: {run: "NODES:show", in: {counts: count, last: wheels}}
  clock: {run: "NODES:clock", in: {ticks: every 500ms}}
"""
HEAVY = {"cv2", "onnxruntime", "cel", "onnx"}


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "zuluko", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def ready(graph: Up, *nodes: str) -> None:
    for node in nodes:
        graph.wait_for(node, "ready")


@pytest.mark.parametrize("command", [("top",), ("hz", "count"), ("echo", "count")])
def test_without_a_graph_a_tool_says_how_to_start_one(command):
    shown = zuluko(*command)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "no graph runs; start one with: zuluko up door\n"


def test_an_input_of_commands_is_told_by_its_topics(tmp_path):
    with up(write(tmp_path, WHEELS)) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        said = "`wheels.moves` is an input and no topic; the commands that nodes give it are on: pilot\n"
        assert zuluko("echo", "wheels.moves").stderr == said


def test_wrong_names_are_a_sentence_each(tmp_path):
    with up(write(tmp_path, COUNT), "--name", "one") as one:
        ready(one, "count")
        assert zuluko("top", "onee").stderr == "no graph `onee` runs; did you mean `one`?\n"
        assert "did you mean `count`?" in zuluko("hz", "cuont").stderr
        assert "did you mean `door`?" in zuluko("graph", "dor").stderr
        assert "choose one of: text, mermaid, svg" in zuluko("graph", "one", "--format", "png").stderr
        near = "no graph `onne` runs, and there is no such launch file; did you mean `one`?\n"
        assert zuluko("graph", "onne").stderr == near
        with up(write(tmp_path, COUNT), "--name", "two") as two:
            ready(two, "count")
            assert zuluko("top").stderr == "several graphs run; write one of: one, two\n"


@pytest.mark.parametrize(
    "call",
    [
        "top.top('', once=True)",
        "hz.hz('count', count=20)",
        "pub.pub('wheels.moves', ['{speed: 2}'])",
        "graph.graph('graph')",
        "echo.echo('count', count=1)",
    ],
)
def test_no_tool_loads_a_heavy_library(tmp_path, call):
    with up(write(tmp_path, WHEELS.replace("hz: 1", "hz: 50"))) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        code = f"import sys\nfrom zuluko.cli import echo, graph, hz, pub, top\n{call}\nprint('modules', *sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert not HEAVY & set(done.stdout.rpartition("modules")[2].split())


def test_the_status_file_tells_nodes_edges_and_counts(tmp_path, run_dir):
    with up(write(tmp_path, WHEELS.replace("hz: 1", "hz: 50"))) as graph:
        ready(graph, "count")
        told = until(lambda: (s := status.read("graph")) and s.nodes[0].stats.published.get("count") and s)
        assert stat.S_IMODE((run_dir / ".graph.status.json").stat().st_mode) == 0o600
        nodes = {node.name: node for node in told.nodes}
        assert told.pid == graph.process.pid
        assert {name: node.pid for name, node in nodes.items()} == {
            name: pid for name, pid in graph.children().items() if name != "view"
        }
        assert [(heard.how, heard.topics) for heard in nodes["show"].inputs] == [
            ("stream", ("count",)),
            ("latest", ("wheels",)),
        ]
        (moves,) = nodes["wheels"].inputs
        assert (moves.how, moves.kinds) == ("commands", (status.Kind("Move/1", "tests.nodes_of_tests:Move"),))
        assert nodes["clock"].inputs[0].every == 0.5
    assert os.listdir(run_dir) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"graph": 3}', b"\xff\xfe", b"null"])
def test_a_status_file_that_cannot_be_read_is_none(run_dir, content):
    assert status.read("graph") is None
    (run_dir / ".graph.status.json").write_bytes(content)
    assert status.read("graph") is None


def test_a_tool_shares_the_running_graphs_clock(monkeypatch, run_dir):
    ahead = (
        clock.offset() + 10 * 86_400 * 1_000_000_000
    )  # the wall clock was set back since the graph's start
    monkeypatch.setattr(clock, "_offset", clock.offset())
    told = status.Status("graph", "", 1, 0, 0, ahead)
    (run_dir / ".graph.status.json").write_bytes(msgspec.json.encode(told))
    status.share_clock("graph")
    assert clock.offset() == ahead


def test_top_once_as_json(tmp_path):
    with up(write(tmp_path, PAIR)) as graph:
        ready(graph, "count", "double")
        until(lambda: status.read("graph"))
        shown = zuluko("top", "--once", "--json")
        (line,) = shown.stdout.splitlines()
        told = json.loads(line)
        assert (told["graph"], told["pid"]) == ("graph", graph.process.pid)
        topics = {topic["topic"]: topic for topic in told["topics"]}
        assert list(topics) == ["count", "double.count", "double.status"]
        count = topics["count"]
        assert (count["type"], count["publisher"], count["lost"]) == ("Count/1", "count", {})
        assert 50 < count["hz"] < 220
        assert count["mb_per_s"] == pytest.approx(count["hz"] * 40 / 1e6, rel=0.5)
        assert 0 < count["latency_ms"]["p50"] <= count["latency_ms"]["p99"]
        assert topics["double.status"]["hz"] is None
        nodes = {node["node"]: node for node in told["nodes"]}
        assert nodes["count"]["state"] == "ready"
        assert nodes["count"]["pss_mb"] > 1
        assert nodes["count"]["cpu_percent"] >= 0
        assert nodes["(supervisor)"]["pid"] == graph.process.pid


@contextmanager
def repeated(act: Callable[[], None]) -> Iterator[None]:
    """Does something a hundred times a second in another thread, as a publisher beside the one who looks."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(0.01):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_top_times_no_message_that_waited_for_it(run_dir):
    lock, publisher = GraphLock("graph"), Publisher("graph", "count", Count)
    gauges = Gauges("graph")
    gauges.watch(["count"])
    publisher.send(Count(n=1))  # while `top` reads what the processes cost
    gauges.listen(0.3)
    flow = gauges.flows["count"]
    assert not flow.latencies
    assert (len(flow.marks), flow.size > 0) == (1, True)  # it counts all the same
    with repeated(lambda: publisher.send(Count(n=2))):
        until(lambda: gauges.listen(0.05) or flow.latencies)
    gauges.close()
    publisher.close()
    lock.release()


def test_top_times_no_message_that_came_while_it_hung_a_bell(run_dir, monkeypatch):
    lock, publisher = GraphLock("graph"), Publisher("graph", "count", Count)
    gauges = Gauges("graph")
    gauges.watch(["count"])
    gauges._often.add("count")
    subscribe = gauges._subscriber

    def subscribed_late(*arguments, **options):
        subscriber = subscribe(*arguments, **options)
        publisher.send(Count(n=1))
        return subscriber

    monkeypatch.setattr(gauges, "_subscriber", subscribed_late)
    gauges._probe()
    assert not gauges.flows["count"].latencies
    gauges.close()
    publisher.close()
    lock.release()


def test_top_counts_a_frames_pixels_and_holds_no_slot(run_dir):
    import numpy as np

    from tests.nodes_of_tests import Picture

    image = np.zeros((100, 1000), np.uint8)
    lock, publisher = GraphLock("graph"), Publisher("graph", "picture", Picture)
    gauges = Gauges("graph")
    gauges.watch(["picture"])
    with repeated(lambda: publisher.send(Picture(image=image))):
        until(lambda: gauges.listen(0.05) or len(gauges.flows["picture"].latencies) > 10)
        gauges.listen(0.3)
    assert gauges.flows["picture"].size == pytest.approx(100_000, rel=0.01)
    assert publisher.lost.total() == 0
    held = [publisher.empty((100, 1000), np.dtype(np.uint8)) for _ in range(8)]
    assert all(array is not None for array in held)  # every slot is free
    del held
    gauges.close()
    publisher.close()
    lock.release()


def test_top_hangs_no_bell_at_a_frequent_topic(run_dir):
    lock, publisher = GraphLock("graph"), Publisher("graph", "count", Count)
    gauges = Gauges("graph")
    gauges.watch(["count"])
    assert publisher.subscribers == 1  # nothing is known of it yet

    def is_frequent_and_left_alone() -> bool:
        for n in range(200):
            publisher.send(Count(n=n))
        gauges.listen(0.3)
        return publisher.subscribers == 0

    until(is_frequent_and_left_alone)
    gauges.close()
    publisher.close()
    lock.release()


def test_a_rate_is_of_what_was_published_and_begins_anew_with_the_publisher():
    from zuluko.bus.wire import Envelope

    flow = Flow()
    for seq in (0, 10, 20):
        flow.mark(Envelope(1, seq, seq * 10_000_000, (), {}))
    assert flow.rate(200_000_000) == pytest.approx(100)
    assert flow.rate(5_000_000_000) == 0.0
    flow.mark(Envelope(1, 0, 300_000_000, (), {}))
    assert flow.rate(300_000_000) is None


def test_top_shows_what_an_edge_lost_and_a_restart(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "from tests.nodes_of_tests import Count\n"
        "from zuluko import Stream\n"
        "def slow(counts: Stream[Count]) -> None:\n"
        "    for count in counts:\n"
        "        time.sleep(0.3)\n"
    )
    text = 'nodes:\n  count: {run: "NODES:count", hz: 1000}\n  slow: {run: ./slow.py, in: {counts: count}}'
    with up(write(tmp_path, text)) as graph:
        ready(graph, "count", "slow")
        until(lambda: (s := status.read("graph")) and s.losses("count").get("slow", {}).get("overrun"))
        before = status.read("graph").losses("count")["slow"]["overrun"]
        os.kill(graph.children()["slow"], signal.SIGKILL)
        graph.wait_for("slow", "ready", after=graph.told("slow", "died"))
        told = json.loads(zuluko("top", "--once", "--json").stdout)
        (slow,) = [node for node in told["nodes"] if node["node"] == "slow"]
        assert slow["restarts"] == 1
        (count,) = [topic for topic in told["topics"] if topic["topic"] == "count"]
        assert count["lost"]["slow"]["overrun"] >= before  # what its first life lost is not forgotten
        assert re.search(r"slow \d+ overrun", zuluko("top", "--once").stdout)


def test_top_goes_on_over_a_publisher_that_starts_again(tmp_path):
    with up(write(tmp_path, PAIR)) as graph:
        ready(graph, "count", "double")
        process = started("top", "--json")
        json.loads(process.stdout.readline())
        os.kill(graph.children()["count"], signal.SIGKILL)
        pid = graph.children().get("count")
        told = {}
        for _ in range(10):
            told = json.loads(process.stdout.readline())
            node = next(node for node in told["nodes"] if node["node"] == "count")
            if node["restarts"] and told["topics"][0]["hz"]:
                break
        assert node["restarts"] == 1
        assert node["pid"] != pid
        assert told["topics"][0]["hz"] > 50
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        process.stdout.close()
        process.stderr.close()


def test_a_graph_that_ends_ends_its_watchers(tmp_path):
    with up(write(tmp_path, COUNT)) as graph:
        ready(graph, "count")
        watchers = [started(*command) for command in (("top", "--json"), ("hz", "count"), ("echo", "count"))]
        for watcher in watchers:
            assert watcher.stdout.readline()
        graph.stop()
        for watcher in watchers:
            _, errors = watcher.communicate(timeout=20)
            assert (watcher.returncode, errors.splitlines()[-1]) == (0, "the graph graph has ended")


@pytest.mark.parametrize("command", [("top", "--json"), ("hz", "count"), ("echo", "count")])
def test_a_closed_pipe_ends_a_tool_quietly(tmp_path, command):
    with up(write(tmp_path, COUNT)) as graph:
        ready(graph, "count")
        process = started(*command)
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) in (1, 141)
        assert "Traceback" not in process.stderr.read()
        process.stderr.close()


@pytest.mark.parametrize(("columns", "shown", "hidden"), [(80, "p50 ms", "from"), (140, "from", "Traceback")])
def test_top_in_a_terminal_ends_with_q_and_gives_the_terminal_back(tmp_path, columns, shown, hidden):
    with up(write(tmp_path, PAIR)) as graph:
        ready(graph, "count", "double")
        until(lambda: status.read("graph"))
        terminal = pexpect.spawn(
            sys.executable,
            ["-m", "zuluko", "top"],
            cwd=str(ROOT),
            dimensions=(30, columns),
            env={key: os.environ[key] for key in os.environ if key not in ("COLUMNS", "LINES")}
            | {"TERM": "xterm"},
            encoding="utf-8",
        )
        terminal.expect_exact("restarts", timeout=20)
        assert shown in terminal.before
        assert hidden not in terminal.before
        terminal.send("q")
        terminal.expect(pexpect.EOF, timeout=10)
        assert "\x1b[?25h" in terminal.before  # the cursor is shown again
        terminal.close()
        assert terminal.exitstatus == 0


def shown_by_top(columns: int, *, lost: dict[str, dict[str, int]]) -> list[list[str]]:
    """The words of each line of `top` in a terminal of so many columns."""
    from rich.console import Console

    topic = {
        "topic": "dusk.delivery",
        "type": "Delivery/1",
        "publisher": "dusk",
        "hz": 50.0,
        "mb_per_s": 0.004,
    }
    topic |= {"latency_ms": {"p50": 0.33, "p99": 1.55}, "age_ms": 1.1, "lost": lost}
    node = {
        "node": "dusk",
        "state": "degraded",
        "pid": 12655,
        "cpu_percent": 11.0,
        "pss_mb": 8.4,
        "restarts": 0,
    }
    told = {"graph": "porch", "pid": 1, "seconds": 4, "topics": [topic], "nodes": [node]}
    console = Console(width=columns)
    with console.capture() as capture:
        console.print(top.screen(told, columns))
    return [line.split() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("columns", "topics", "nodes"),
    [
        (40, ["dusk.delivery", "50.0", "0.33", "-"], ["dusk", "degraded", "11.0", "8.4"]),
        (
            52,
            ["dusk.delivery", "50.0", "0.33", "1.55", "1.10", "-"],
            ["dusk", "degraded", "12655", "11.0", "8.4", "0"],
        ),
        (
            120,
            ["dusk.delivery", "Delivery/1", "dusk", "50.0", "0.004", "0.33", "1.55", "1.10", "-"],
            ["dusk", "degraded", "12655", "11.0", "8.4", "0"],
        ),
    ],
)
def test_top_leaves_out_what_does_not_fit_and_cuts_nothing(columns, topics, nodes):
    lines = shown_by_top(columns, lost={})
    assert topics in lines
    assert nodes in lines


def test_top_in_a_narrow_terminal_tells_what_was_lost():
    words = [word for line in shown_by_top(40, lost={"lock": {"overrun": 123}}) for word in line]
    assert {"dusk.delivery", "50.0", "123", "overrun"} <= set(words)


def test_hz_measures_the_publisher(tmp_path):
    with up(write(tmp_path, COUNT)) as graph:
        ready(graph, "count")
        shown = zuluko("hz", "count", "-n", "40", "--window", "20", "--json")
        told = json.loads(shown.stdout.splitlines()[-1])
        assert (told["messages"], told["window"], told["lost"]) == (40, 20, {})
        assert 25 < told["hz"] < 51
        assert told["min_ms"] <= 1000 / told["hz"] <= told["max_ms"]
        assert "a rate needs two messages" in zuluko("hz", "count", "-n", "1").stderr


def test_echo_tells_what_was_lost_and_by_what(tmp_path):
    with up(write(tmp_path, COUNT.replace('count"', 'count", hz: 5000'))) as graph:
        ready(graph, "count")
        process = started("echo", "count", "--json")
        first = json.loads(process.stdout.readline())["seq"]
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # far more than 64 messages come
        process.send_signal(signal.SIGCONT)
        told = process.stderr.readline()
        assert re.fullmatch(r"\(\d+ overrun lost\)\n", told)
        process.kill()
        process.communicate()
        assert first >= 0


def test_pub_commands_an_actuator_and_prints_the_acknowledgement(tmp_path):
    with up(write(tmp_path, WHEELS)) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        echo = started("echo", "wheels", "--json")
        assert echo.stdout.readline()
        told = json.loads(zuluko("pub", "wheels.moves", "{speed: 2}", "--json").stdout)
        assert told["taken"] is True
        texts = (json.loads(line)["body"]["text"] for line in echo.stdout)
        assert told["id"] in (next(texts) for _ in range(5))
        echo.kill()
        echo.communicate()
        shown = zuluko("pub", "graph/wheels.moves", "Move/1", '{"speed": 1.5, "id": "mine"}')
        assert shown.stdout == "wheels has taken the command mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("count", "{n: 1}"),
            "`count` is published by the node count of graph, and a topic has one publisher",
        ),
        (("pilot", "{}"), "to command wheels, write: zuluko pub wheels.moves"),
        (("wheels.move", "{}"), "no node has a command input `wheels.move`; did you mean `wheels.moves`?"),
        (("wheels.moves", "{sped: 1}"), "Move/1 has no field `sped`; did you mean `speed`?"),
        (("wheels.moves", "{speed: fast}"), "`speed` is `fast`; expected a number or a duration"),
        (("wheels.moves", "{speed: [}"), "the fields:1:"),
        (("wheels.moves", "Count/1", "{}"), "`wheels.moves` takes Move/1, not Count/1"),
        (("wheels.moves", "{speed:", "1}", "x"), "write the fields in quotes"),
        (("wheels.moves", "speed:", "1"), "write the fields in quotes and braces: '{speed: 1}'"),
        (("wheels.moves", "speed=1"), "write the fields in quotes and braces: '{speed: 1}'"),
        (("own", "Twist", "linear=1", "angular=2"), "in quotes and braces: '{linear: 1, angular: 2}'"),
        (("own", "LockComand/1", "{}"), "no message type `LockComand/1`; did you mean `LockCommand/1`?"),
        (
            ("own", "tests.nodes_of_tests:Cuont", "{}"),
            "`tests.nodes_of_tests` has no message type `Cuont`; did you mean `Count`?",
        ),
        (("own", "no_such_module:Count", "{}"), "there is no module `no_such_module`"),
        (("own", "./conftst.py:Count", "{}"), "there is no module `./conftst.py`"),
        (("own", "tests.nodes_of_tests:Count", "{}"), "Count/1 needs `n`"),
        (("a/../b", "Faces/1", "{}"), "'a/..' cannot name a graph"),
    ],
)
def test_pub_refuses_in_a_sentence(tmp_path, arguments, said):
    with up(write(tmp_path, WHEELS)) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        shown = zuluko("pub", *arguments)
        assert shown.returncode in (1, 2)
        assert said in shown.stderr
        assert len(shown.stderr.splitlines()) == 1


def test_pub_proposes_the_module_that_lies_beside(tmp_path, monkeypatch, capsys):
    (tmp_path / "porch.py").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit):
        pub._imported("proch:Light", str(tmp_path))
    assert capsys.readouterr().err == "there is no module `proch`; did you mean `porch`?\n"


def test_pub_to_an_actuator_that_does_not_answer_fails(tmp_path):
    silent = WHEELS.replace("{moves: pilot}", "{moves: pilot}, restart: {silence: 10min}")
    with up(write(tmp_path, silent)) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        wheels = graph.children()["wheels"]
        os.kill(wheels, signal.SIGSTOP)
        try:
            shown = zuluko("pub", "wheels.moves", "{speed: 2}")
        finally:
            os.kill(wheels, signal.SIGCONT)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert "did not reach wheels: no answer within" in shown.stderr


def test_pub_in_a_graph_of_its_own_is_heard_and_leaves_nothing(run_dir):
    process = started("pub", "test/count", "tests.nodes_of_tests:Count", "{n: 7}", "--rate", "50")
    assert "Count on test/count: nobody listens; Ctrl-C ends it" in process.stdout.readline()
    assert stat.S_IMODE((run_dir / "test").stat().st_mode) == 0o700
    heard = json.loads(zuluko("echo", "count", "-n", "1", "--json").stdout)
    assert heard["body"]["n"] == 7
    assert abs(time.time() - heard["body"]["stamp"] / 1e9) < 60
    shown = zuluko("pub", "test/count", "tests.nodes_of_tests:Count", "{n: 8}")
    assert "`count` is published by a process (pid " in shown.stderr
    (topic,) = json.loads(zuluko("top", "--once", "--json").stdout)["topics"]
    assert (topic["topic"], topic["publisher"]) == ("count", f"pid {process.pid}")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert os.listdir(run_dir) == []


def test_a_single_message_waits_for_its_listener(run_dir):
    lock = GraphLock("test")
    subscriber = Subscriber("test", "count", Count)
    process = started("pub", "test/count", "tests.nodes_of_tests:Count", "{n: 7}")
    envelope = subscriber.wait(20)
    assert envelope.body.n == 7
    assert "Count on test/count: 1 listens" in process.communicate(timeout=20)[0]
    subscriber.close()
    lock.release()


def test_a_drawing_is_not_written_as_what_it_is_not(tmp_path):
    picture = tmp_path / "door.png"
    shown = zuluko("graph", "door", "-o", str(picture))
    assert shown.returncode == 2
    told = "a drawing ends in .txt, .svg, .mmd, .mermaid; or name what it is: --format svg"
    assert shown.stderr == f"{picture}: {told}\n"
    assert not picture.exists()
    assert zuluko("graph", "door", "-o", str(picture), "--format", "svg").returncode == 0
    assert picture.read_text().startswith("<svg")


def test_a_graph_is_drawn_the_same_running_and_not(tmp_path):
    file = write(tmp_path, WHEELS)
    still = zuluko("graph", file)
    assert "pilot" in still.stdout
    assert re.search(r"^count ─+ count Count/1 ─+┬──▶ pilot.counts$", still.stdout, re.MULTILINE)
    assert re.search(r"every 500ms ─+▶ clock.ticks$", still.stdout, re.MULTILINE)
    assert re.search(r"Move/1 ─*══▶ wheels.moves$", still.stdout, re.MULTILINE)
    assert re.search(r"Status/1 ─*┄┄▶ show.last$", still.stdout, re.MULTILINE)
    with up(file) as graph:
        ready(graph, "count")
        until(lambda: status.read("graph"))
        assert zuluko("graph", "graph").stdout == still.stdout
    told = json.loads(zuluko("graph", file, "--json").stdout)
    assert [node["name"] for node in told["nodes"]] == ["count", "pilot", "wheels", "show", "clock"]


def test_mermaid_and_svg(tmp_path):
    shown = zuluko("graph", "door", "--format", "mermaid").stdout
    assert shown.startswith("flowchart LR\n")
    assert 'n2 ==>|"rules.lock_command<br>LockCommand/1"| n3' in shown
    assert 'n3 -.->|"lock<br>LockState/1"| n2' in shown
    picture = tmp_path / "door.svg"
    assert zuluko("graph", "door", "-o", str(picture)).returncode == 0
    root = ElementTree.fromstring(picture.read_text())
    words = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"camera", "faces Faces/1", "commands", "zuluko.actions.lock"} <= words
    assert "prefers-color-scheme: dark" in picture.read_text()
    shown = zuluko("graph", "door", "-o", str(tmp_path / "no" / "door.svg"))
    assert (shown.returncode, len(shown.stderr.splitlines())) == (1, 1)


def test_nodes_in_a_circle_and_strange_names_are_drawn():
    def node(name: str, hears: tuple[str, ...]) -> status.Node:
        heard = status.Heard("in<&>", "stream", hears)
        return status.Node(name, 'run "<&>"', inputs=(heard,), outputs=(status.Told(name, "T/1"),))

    for nodes in (
        (node("a", ("b",)), node("b", ("a",))),
        (node("a", ("a",)),),
        (node("a", ()), node("b", ("a",)), node("c", ("a", "b"))),
        (),
    ):
        made = drawing.Drawing("strange", nodes)
        ElementTree.fromstring(svg(made))
        assert drawing.mermaid(made)
        for one in nodes:
            assert one.name in drawing.text(made)


def test_the_tools_pages_commands_print_what_it_shows(tmp_path):
    files("docs/tools.md", tmp_path)
    with up(str(tmp_path / "porch.yaml")) as porch:
        ready(porch, "light", "dusk", "lock")
        until(lambda: (s := status.read("porch")) and all(node.state == "ready" for node in s.nodes))
        zuluko("echo", "lock", "-n", "3")  # of two a second apart a rate can be told
        for command, shown in commands("docs/tools.md"):
            printed = run(command, tmp_path)
            assert re.fullmatch(pattern(shown), printed), printed
