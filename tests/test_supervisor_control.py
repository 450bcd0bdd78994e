"""The control socket: what a graph answers to another terminal, and to whoever means no good."""

import json
import os
import socket
import stat

import msgspec
import pytest

from tests.asking import ask, connect, node, told
from tests.running import unharmed, up, up_for_all, write
from tests.test_supervisor import CHAIN
from tests.waiting import until
from zuluko.launch import control
from zuluko.launch.status import Status


@pytest.fixture
def chain(tmp_path):
    with up(write(tmp_path, CHAIN)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        yield graph


@pytest.fixture(scope="module")
def chain_of_all(tmp_path_factory):
    with up_for_all(write(tmp_path_factory.mktemp("chain"), CHAIN)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        yield graph


@pytest.fixture
def asked(chain_of_all, monkeypatch):
    """The chain for a test that changes nothing of it."""
    with unharmed(chain_of_all, monkeypatch) as graph:
        yield graph


def test_the_status_tells_each_nodes_state_since_when_and_what_it_costs(asked):
    until(lambda: node("show")["memory"])
    (told,) = ask(do="status")
    status = msgspec.convert(told, Status)
    assert (status.graph, status.pid, status.state) == ("graph", asked.process.pid, "ready")
    assert {found.name: found.state for found in status.nodes} == dict.fromkeys(
        ("count", "double", "show"), "ready"
    )
    for found in status.nodes:
        assert status.started <= found.since <= status.written
        assert found.pid == asked.children()[found.name]
        assert found.must
        assert found.memory > 1


def test_the_socket_is_ours_alone_and_goes_with_the_graph(chain):
    assert stat.S_IMODE(control.path("graph").stat().st_mode) == 0o600
    chain.stop()
    assert not control.path("graph").exists()


def test_stop_is_answered_when_all_have_ended(chain):
    pids = chain.children()
    assert ask(do="stop") == [{"ok": True}]
    assert not {pid for name, pid in chain.children().items() if name in pids}
    assert chain.end() == 0
    assert chain.told("zuluko", "stopping: asked to by zuluko stop")
    assert chain.told("double", "double cleaned up")


def test_a_restart_is_answered_when_the_node_is_ready_again(chain):
    before = node("double")
    (answer,) = ask(do="restart", node="double")
    assert (answer["ok"], answer["state"]) == (True, "ready")
    assert 0 < answer["after"] < 30
    after = node("double")
    assert after["pid"] != before["pid"]
    assert after["restarts"] == 1
    chain.wait_for("double", "double cleaned up")


def test_a_restart_that_fails_says_why(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "moody.py").write_text(
        "import pathlib\nfrom zuluko import Stream\nfrom tests.nodes_of_tests import Count\n"
        "def moody(counts: Stream[Count], *, mark: pathlib.Path) -> None:\n"
        "    if mark.exists():\n        raise RuntimeError('not today')\n"
        "    for count in counts:\n        pass\n"
    )
    text = (
        'nodes:\n  count: {run: "NODES:count"}\n  moody: {run: ./moody.py, in: {counts: count}, mark: mark}\n'
    )
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        mark.touch()
        (answer,) = ask(do="restart", node="moody")
        assert not answer["ok"]
        assert answer["what"].startswith("moody died (exit status 1); it starts again in 0.1 s")
        mark.unlink()
        until(lambda: node("moody")["state"] == "ready")


def test_an_unknown_node_and_an_unknown_request_are_sentences(asked):
    assert ask(do="restart", node="cuont") == [
        {"ok": False, "what": "no node is called `cuont`; did you mean `count`?"}
    ]
    assert ask(do="restrat") == [{"ok": False, "what": "`restrat` is no request; did you mean `restart`?"}]


@pytest.mark.parametrize("node", ["show", ""])
def test_logs_give_the_last_lines_and_follow_gives_those_that_come(asked, node):
    until(lambda: len(ask(do="logs", node="show", last=20)) == 20)
    lines = ask(do="logs", node=node, last=3)
    assert len(lines) == 3
    assert lines == sorted(lines, key=lambda line: line["time"])
    assert {line["node"] for line in lines} <= {"show", "count", "double", ""}
    with connect() as caller:
        caller.sendall(json.dumps({"do": "logs", "node": node, "last": 0, "follow": True}).encode() + b"\n")
        with caller.makefile("rb") as coming:
            shown = [json.loads(next(coming)) for _ in range(5)]
    assert shown[0]["time"] > lines[-1]["time"]
    assert node in {"", shown[0]["node"]}
    assert ask(do="status")[0]["state"] == "ready"  # the one that left holds nobody up


@pytest.mark.parametrize(
    "request_",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b'{"do": 3}\n',
        b'{"do": "logs", "last": -1}\n',
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
    ],
)
def test_garbage_is_refused(asked, request_):
    with connect() as caller:
        answers = told(caller, request_)
    assert all(
        not answer["ok"] and answer["what"].startswith("the request cannot be read") for answer in answers
    )
    assert len(answers) == (request_ != b"\n")
    assert ask(do="status")[0]["state"] == "ready"


def test_a_request_without_end_is_cut_off(asked):
    with connect() as caller:
        (answer,) = told(caller, b"x" * 5000)
    assert answer == {"ok": False, "what": "the request cannot be read: a request has at most 4096 bytes"}


def test_many_who_say_nothing_leave_room_again(asked):
    silent = [connect() for _ in range(control.MOST_CALLERS + 8)]
    with connect() as one_more:
        assert b"too many ask this graph at once; try again" in one_more.recv(4096)
    until(_answers)
    for caller in silent:
        caller.close()


def _answers():
    try:
        return "state" in ask(do="status")[0]
    except OSError:
        return False


def test_one_who_takes_nothing_is_dropped_and_holds_nobody_up(tmp_path):
    with up(write(tmp_path, 'nodes: {a: {run: "NODES:pouring"}}')) as graph:
        graph.wait_for("a", "much to say")
        with connect() as caller:
            caller.sendall(b'{"do":"logs","follow":true}\n')
            assert caller.recv(1)
            held = len(os.listdir(f"/proc/{graph.process.pid}/fd"))
            until(lambda: len(os.listdir(f"/proc/{graph.process.pid}/fd")) < held, 40)
        assert ask(do="status")[0]["state"] == "ready"


def test_one_who_asks_and_shuts_its_end_is_still_answered(chain):
    with connect() as caller:
        caller.sendall(b'{"do":"restart","node":"show"}\n')
        caller.shutdown(socket.SHUT_WR)
        with caller.makefile("rb") as lines:
            assert json.loads(lines.read())["ok"]


def test_a_name_too_long_for_the_kernel_is_a_sentence(tmp_path):
    from tests.running import zuluko

    shown = zuluko("up", write(tmp_path, CHAIN), "--name", "g" * 90)
    assert shown.returncode == 1
    assert "bytes long, and the kernel takes 107" in shown.stderr
    assert "Traceback" not in shown.stderr
