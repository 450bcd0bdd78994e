"""status, restart, stop and logs, against supervisors that answer whatever the test wants."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import msgspec
import pexpect
import pytest

from tests.false_supervisor import HOUR, TOLD
from tests.running import ROOT, zuluko
from zuluko.cli import status as command
from zuluko.cli.logs import Lines
from zuluko.launch import controls, status

STATUS = msgspec.json.encode(TOLD).decode()
NOTHING_RUNS = "no graph runs; start one with: zuluko up door"


@contextmanager
def supervised(graph="door", **answers):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.false_supervisor", graph, json.dumps(answers)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout.readline() == "listening\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def line(node, text, time):
    return json.dumps({"time": time, "node": node, "line": text})


@pytest.mark.parametrize(
    "words", [("status",), ("restart", "faces"), ("stop",), ("logs",), ("logs", "faces", "-f")]
)
def test_where_no_graph_runs_a_sentence_says_how_to_start_one(words):
    shown = zuluko(*words)
    assert (shown.returncode, shown.stdout, shown.stderr) == (3, "", NOTHING_RUNS + "\n")
    shown = zuluko(*words, "--json")
    assert (shown.returncode, shown.stderr) == (3, "")
    assert json.loads(shown.stdout) == {"ok": False, "what": NOTHING_RUNS}


def test_status_is_a_table_and_a_line_of_the_graph():
    with supervised(status=[STATUS]):
        shown = zuluko("status")
    assert shown.returncode == 1
    assert [" ".join(row.split()) for row in shown.stdout.splitlines()] == [
        "node state for restarts pid CPU MB late why",
        "camera ready 1 min 5 s 0 101 0.25 11.5 0 -",
        "faces degraded 0.0 s 2 102 0.00 0.0 7 7 late messages",
        "spare failing - 0 - - - 0 died 10 times",
        "lamp off - 0 - - - 0 when: night",
        "",
        "door is degraded: 1 of 4 nodes ready, up 1 h 0 min, 12 MB, 0.25 cores, pid 100",
    ]


@pytest.mark.parametrize(("state", "code"), [("ready", 0), ("starting", 1), ("failing", 1), ("stopping", 1)])
def test_the_exit_status_of_status_says_whether_the_graph_is_ready(state, code):
    told = msgspec.json.encode(msgspec.structs.replace(TOLD, state=state)).decode()
    with supervised(status=[told]):
        shown = zuluko("status", "door", "--json")
    assert shown.returncode == code
    assert msgspec.json.decode(shown.stdout, type=status.Status).state == state


def test_status_in_a_terminal_shows_the_reason_whole():
    with supervised(status=[STATUS]):
        screen = pexpect.run(
            f"{sys.executable} -m zuluko status",
            env={**os.environ, "TERM": "xterm", "COLUMNS": "70"},
            encoding="utf-8",
        )
    assert "\x1b[" in screen
    for word in ("7 late messages", "door is degraded"):
        assert word in screen


def test_status_in_a_narrow_terminal_leaves_out_what_does_not_fit():
    with supervised(status=[STATUS]):
        screen = pexpect.run(
            f"{sys.executable} -m zuluko status",
            env={**os.environ, "TERM": "xterm", "COLUMNS": "40", "NO_COLOR": "1"},
            encoding="utf-8",
        )
    lines = [" ".join(re.sub(r"\x1b\[[0-9;]*m", "", line).split()) for line in screen.splitlines()]
    assert lines[:2] == ["node state why", "camera ready -"]
    assert "spare failing died 10 times" in lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "dor"), "no graph `dor` runs; did you mean `door`?"),
        (("restart", "facse"), "door has no node `facse`; did you mean `faces`?"),
        (("restart", "quux"), "door has no node `quux`; there are: camera, faces, spare, lamp"),
        (("restart", "door/"), "name a node of door, such as: zuluko restart door/NODE"),
        (("restart", "dor/faces"), "no graph `dor` runs; did you mean `door`?"),
        (("logs", "camera", "facse"), "door has no node `facse`; did you mean `faces`?"),
        (("logs", "a/camera", "b/faces"), "one graph at a time, and not a and b"),
    ],
)
def test_a_wrong_name_is_a_sentence(words, said):
    with supervised():
        shown = zuluko(*words)
    assert shown.returncode in (1, 2, 3)
    assert (shown.stdout, shown.stderr) == ("", said + "\n")


def test_of_several_graphs_one_has_to_be_named():
    with supervised("one", status=[STATUS]), supervised("two"):
        assert zuluko("status").stderr == "several graphs run; write one of: one, two\n"
        assert zuluko("restart", "faces").stderr == "several graphs run; write one of: one/faces, two/faces\n"
        assert zuluko("logs").stderr == "several graphs run; write one of: one/, two/\n"
        assert zuluko("status", "one").stdout


def test_restart_tells_how_long_it_took():
    with supervised(restart=['{"ok": true, "state": "ready", "after": 0.03}']):
        shown = zuluko("restart", "faces")
        assert (shown.returncode, shown.stdout) == (0, "faces is ready after 0.03 s\n")
        told = json.loads(zuluko("restart", "door/faces", "--json").stdout)
        assert told == {"ok": True, "state": "ready", "after": 0.03}


@pytest.mark.parametrize("words", [("restart", "faces"), ("stop",)])
def test_a_refusal_is_the_supervisors_sentence(words):
    with supervised(
        restart=['{"ok": false, "what": "It is off."}'], stop=['{"ok": false, "what": "It is off."}']
    ):
        shown = zuluko(*words)
    assert (shown.returncode, shown.stdout, shown.stderr) == (1, "", "It is off.\n")


def test_stop_waits_for_the_supervisors_end():
    with supervised(stop=['{"ok": true}', "end"]) as process:
        shown = zuluko("stop")
        assert (shown.returncode, shown.stdout) == (0, "door has stopped\n")
        assert process.wait(10) == 0


def test_a_graph_that_ends_while_it_is_asked_to_stop_has_stopped():
    with supervised(stop=["end"]):
        assert zuluko("stop").stdout == "door has stopped\n"


@pytest.mark.parametrize("stop", [None, ['{"ok": true}']])
def test_stop_gives_up_in_time_and_says_what_is_left_to_do(stop):
    with supervised(stop=stop) as process:
        shown = zuluko("stop", "--timeout", "0.5")
    assert shown.returncode == 1
    assert shown.stderr == f"door has not stopped within 0.5 s; kill it with: kill -9 {process.pid}\n"


def test_a_restart_that_takes_too_long_says_where_to_look():
    with supervised(restart=None):
        shown = zuluko("restart", "faces", "-t", "0.3")
    assert shown.stderr == "faces is not ready again within 0.3 s; see why with: zuluko logs faces\n"


def test_ctrl_c_ends_the_waiting_and_says_that_the_graph_goes_on_stopping():
    with supervised(stop=None):
        child = pexpect.spawn(
            f"{sys.executable} -c 'import tests.test_cli_controls as t; t.stop_loudly()'", cwd=str(ROOT)
        )
        child.expect("asked")
        child.sendintr()
        child.expect("door goes on stopping; wait for it with: zuluko stop door")
        child.expect(pexpect.EOF)
        child.close()
    assert child.signalstatus == signal.SIGINT


def stop_loudly():
    """`zuluko stop`, telling when its request is out."""
    from zuluko.cli import control

    class Told(controls.Question):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            print("asked", flush=True)

    controls.Question = Told
    control.stop()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "the supervisor of door has ended without an answer"),
        (["no json"], "the supervisor of door answers with what is no JSON"),
        (["[1]"], "the supervisor of door answers with what is no JSON"),
        (['{"graph": 3}'], "the supervisor of door is of another version of Zuluko; restart the graph"),
    ],
)
def test_a_strange_answer_is_a_sentence(answer, said):
    with supervised(status=answer):
        shown = zuluko("status")
    assert (shown.returncode, shown.stdout, shown.stderr) == (1, "", said + "\n")


def test_a_supervisor_that_hangs_is_told_with_the_way_out():
    with supervised(status=None) as process:
        shown = zuluko("status")
    assert shown.returncode == 1
    assert shown.stderr == (
        f"the supervisor of door does not answer; if it goes on like that, end it with all its nodes: kill -9 {process.pid}\n"
    )


def test_a_line_without_end_is_not_taken_in(monkeypatch):
    monkeypatch.setattr(controls, "LARGEST", 1 << 12)
    with supervised(status=["x" * (1 << 16)]), pytest.raises(controls.ControlError, match="without end"):
        controls.status("door")


def test_a_supervisor_without_its_socket_is_a_sentence(run_dir):
    with supervised():
        (run_dir / ".door.control").unlink()
        shown = zuluko("status")
    assert shown.stderr == (
        "the graph door cannot be asked (No such file or directory); see whether it runs with: zuluko list\n"
    )


def test_logs_come_by_time_with_their_nodes(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    lines = [line("faces", "two", HOUR + 2_000_000), line("camera", "one", HOUR + 1_000_000)]
    with supervised(logs=lines):
        shown = zuluko("logs")
        told = [json.loads(one) for one in zuluko("logs", "camera", "faces", "--json").stdout.splitlines()]
    assert shown.stdout == "01:00:00.001  camera     one\n01:00:00.002  faces      two\n"
    assert [one["line"] for one in told] == ["one", "two"]  # though asked of each node


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("camera",), "camera has said nothing yet\n"),
        (("camera", "faces"), "camera and faces have said nothing yet\n"),
        ((), "the graph door has said nothing yet\n"),
        (("camera", "-n", "0"), ""),  # nothing was asked for
    ],
)
def test_logs_of_who_said_nothing_say_so(words, said):
    with supervised(logs=[]):
        shown = zuluko("logs", *words)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", said)


def test_logs_follow_until_the_graph_ends():
    with supervised(logs=[line("camera", "one", 1), line("camera", "two", 2), "end"]):
        shown = zuluko("logs", "-f", "--json")
    assert [json.loads(one)["line"] for one in shown.stdout.splitlines()] == ["one", "two"]
    assert shown.stderr == "the graph door has ended\n"


def test_logs_that_are_refused_are_a_sentence():
    with supervised(logs=['{"ok": false, "what": "No logs are kept."}']):
        shown = zuluko("logs")
    assert (shown.returncode, shown.stderr) == (1, "No logs are kept.\n")


def test_only_a_terminal_sees_colours_a_node_each():
    coloured, bare = Lines(coloured=True), Lines(coloured=False)
    one, two = {"time": 0, "node": "a", "line": "x"}, {"time": 0, "node": "b", "line": "x"}
    assert "\x1b" not in bare(one)
    assert coloured(one).split("a ")[0] != coloured(two).split("b ")[0]
    assert coloured(one) == coloured(one)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90061, "1 d 1 h"),
        (-1, "0.0 s"),
    ],
)
def test_a_duration_has_two_units(seconds, shown):
    assert command.duration(seconds) == shown


@pytest.mark.parametrize("name", ["status", "control", "logs"])
def test_they_load_nothing_heavy(name):
    code = (
        f"import sys; from zuluko.cli import {name}; from zuluko.launch import controls; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"cv2", "onnxruntime", "cel", "onnx", "pynng"} & set(done.stdout.split())
