"""Topics from outside: what a program without Zuluko publishes is heard by a graph's nodes and rules."""

import subprocess
import sys

import pytest

from tests.running import up, write
from zuluko.bus.topics import graph_dir, socket_path
from zuluko.launch import launchfile

FOREIGN = """
import itertools, os, sys, time
import msgpack, pynng

assert not [name for name in sys.modules if name.startswith("zuluko")]
os.umask(0o077)
with pynng.Pub0(listen=f"ipc://{sys.argv[1]}") as socket:
    for seq in itertools.count():
        body = {"type": sys.argv[2], "stamp": time.time_ns(), "n": seq, "id": f"m{seq}"}
        socket.send(msgpack.packb([1, seq, time.time_ns(), [], body]))
        time.sleep(0.02)
"""
GRAPH = """
topics: {wheel: "NODES:Count"}
nodes:
  double: {run: "NODES:double", in: {counts: wheel}}
  show: {run: "NODES:show", in: {counts: double, last: double}}
  rules: {run: fast.rules.yaml}
"""
RULES = "fast: {when: double.count, if: [wheel.n > 3]}\n"


@pytest.fixture
def foreign(tmp_path):
    """Starts a program that publishes in a graph's directory, and ends it."""
    started = []

    def start(graph: str, topic: str, kind: str) -> None:
        command = [sys.executable, "-c", FOREIGN, str(socket_path(graph, topic)), kind]
        started.append(subprocess.Popen(command, cwd="/", env={"PATH": "/usr/bin"}))

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_a_foreign_program_publishes_is_heard(tmp_path, foreign):
    (tmp_path / "fast.rules.yaml").write_text(RULES)
    with up(write(tmp_path, GRAPH, "outside.yaml")) as graph:
        graph.wait_for("show", "ready")
        foreign("outside", "wheel", "Count/1")
        seen = graph.wait_for("show", "shown ")
        graph.wait_for("rules", "fast")
        assert graph.stop() == 0
    number = int(graph.events[seen - 1]["text"].partition("shown ")[2])
    assert number % 2 == 0
    assert graph.summary["messages"]["wheel"] > 0
    assert graph.summary["fired"] >= 1


def test_a_graph_starts_without_it_and_ends_with_it(tmp_path):
    text = 'topics: {wheel: "NODES:Count"}\nnodes: {double: {run: "NODES:double", in: {counts: wheel}}}'
    with up(write(tmp_path, text, "waiting.yaml")) as graph:
        graph.wait_for("double", "ready")
        assert graph.process.poll() is None
        assert graph.stop() == 0


def test_a_topic_from_outside_connects_like_any_other(tmp_path):
    file = write(tmp_path, GRAPH)
    (tmp_path / "fast.rules.yaml").write_text(RULES)
    loaded = launchfile.load(launchfile.locate(file))
    (topic,) = loaded.external
    assert (topic.name, topic.node, topic.kind.__name__) == ("wheel", "", "Count")
    assert loaded.entries["double"].wires[0].topics == (topic,)
    assert loaded.entries["double"].is_source
    assert loaded.driven_by("double") == {"show", "rules"}
    assert not loaded.is_local(loaded.entries["double"], topic)
    assert topic in loaded.topics


def test_a_users_own_type_may_come_from_a_file(tmp_path):
    (tmp_path / "imus.py").write_text(
        "from zuluko import Message\nclass Imu(Message, tag='Imu/1'):\n    yaw: float = 0.0\n"
    )
    text = 'topics: {imu: "./imus.py:Imu"}\nnodes: {a: {run: "NODES:count", when: imu.yaw > 1.0}}'
    loaded = launchfile.load(launchfile.locate(write(tmp_path, text)))
    assert [topic.name for topic in loaded.entries["a"].when.topics] == ["imu"]


def test_a_foreign_program_commands_by_the_type_that_is_declared(tmp_path, run_dir):
    """The receiver listens for commands whether or not a node of the graph gives any."""
    import msgpack
    import pynng

    text = 'topics: {orders: "NODES:Move"}\nnodes: {wheels: {run: "NODES:wheels", in: {moves: orders}}}'
    with up(write(tmp_path, text, "ordered.yaml")) as graph:
        graph.wait_for("wheels", "ready")
        path = graph_dir("ordered") / "wheels.moves.commands"
        with pynng.Req0(dial=f"ipc://{path}", recv_timeout=10_000) as socket:
            import time

            body = {"type": "Move/1", "stamp": time.time_ns(), "id": "first", "to": "", "speed": 1.0}
            socket.send(msgpack.packb([1, 0, time.time_ns(), [], body]))
            assert msgpack.unpackb(socket.recv()) == [1, "taken"]
        assert graph.stop() == 0
