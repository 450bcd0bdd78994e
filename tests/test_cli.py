"""The commands as a person or a script meets them: what they print, how they end."""

import json
import os
import subprocess
import sys

import pytest

from tests.running import ROOT, up, write, zuluko
from tests.waiting import until

COUNT = 'nodes: {count: {run: "NODES:count"}}'
HEAVY = {"cv2", "onnxruntime", "numpy", "pynng", "msgspec", "onnx", "cel", "asyncio", "pydantic"}


def test_help_loads_nothing_heavy():
    code = "import sys, zuluko.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())
    shown = zuluko("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("up", "check", "list", "echo", "face"))


def test_to_read_a_command_line_loads_nothing_heavy():
    code = "import sys\nfrom zuluko.cli.app import app\napp(['list'], standalone_mode=False)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "zuluko.bus.topics" in loaded.stdout.split()
    assert (HEAVY - {"msgspec"}).isdisjoint(loaded.stdout.split())


def test_list_loads_neither_opencv_nor_onnxruntime():
    code = "import sys\nfrom zuluko.cli.graphs import list_\nlist_()\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"cv2", "onnxruntime"} & set(loaded.stdout.split())


def test_check_shows_who_hears_whom():
    shown = zuluko("check", "door")
    assert shown.returncode == 0
    assert "good; 4 nodes, 6 topics" in shown.stdout
    assert "rules        faces, lock -> rules.decision, rules.lock_command, rules.delivery" in shown.stdout
    assert "--set source=demo" in shown.stdout


def test_check_of_a_wrong_file_is_for_people_and_for_scripts(tmp_path):
    file = write(tmp_path, 'nodes:\n  a: {run: "NODES:count", hzz: 3}\n  b: {run: nothing.here}')
    shown = zuluko("check", file)
    assert (shown.returncode, shown.stdout) == (1, "")
    first, second = shown.stderr.splitlines()
    assert first.startswith(
        f"{file}:2:42: `tests.nodes_of_tests:count` has no configuration `hzz`; did you mean `hz`?"
    )
    assert second.startswith(f"{file}:3:12: there is no module `nothing.here`")
    told = json.loads(zuluko("check", file, "--json").stdout)
    assert [(problem["line"], problem["column"]) for problem in told["problems"]] == [(2, 42), (3, 12)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "dor"), "dor: there is no such launch file; did you mean `door`?"),
        (("up", "door", "--set", "source"), "--set source: write it as NAME=VALUE"),
        (("up", "door", "--set", "sauce=1"), "is no parameter of "),
        (("up", "door", "--name", "a/b"), "'a/b' cannot name a graph"),
        (("check", "no/such.yaml"), "there is no such launch file"),
        (("echo", "faces"), "no graph runs; start one with: zuluko up door"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, said):
    shown = zuluko(*arguments)
    assert shown.returncode in (1, 2)
    assert said in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_a_source_that_is_not_there_is_told_in_a_sentence(tmp_path):
    shown = zuluko("up", "door", "--set", "source=no-such.mp4")
    assert shown.returncode == 1
    assert "no-such.mp4" in shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


def test_an_empty_video_is_told_in_a_sentence(tmp_path):
    (tmp_path / "empty.mp4").touch()
    shown = zuluko("up", "door", "--set", f"source={tmp_path}/empty.mp4")
    assert shown.returncode == 1
    assert "empty.mp4" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr


def test_list_and_echo_of_a_running_graph(tmp_path):
    with up(write(tmp_path, COUNT), "--name", "one") as one:
        one.wait_for("count", "ready")
        (listed,) = [json.loads(line) for line in zuluko("list", "--json").stdout.splitlines()]
        assert listed["graph"] == "one"
        assert [(topic["topic"], topic["type"]) for topic in listed["topics"]] == [("count", "Count/1")]
        assert "one  (pid" in zuluko("list").stdout
        lines = zuluko("echo", "count", "-n", "3", "--json").stdout.splitlines()
        numbers = [json.loads(line)["body"]["n"] for line in lines]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        assert "Count/1" in zuluko("echo", "one/count", "-n", "1").stdout
        assert "did you mean `count`?" in zuluko("echo", "cuont").stderr
        assert "no graph `two` runs; there are: one" in zuluko("echo", "two/count").stderr
        with up(write(tmp_path, COUNT), "--name", "two") as two:
            two.wait_for("count", "ready")
            assert "several graphs have a topic `count`; write one of:" in zuluko("echo", "count").stderr
    assert "No graph runs." in zuluko("list").stdout


def test_echo_shows_an_array_by_its_shape():
    with up("door", "--set", "loop=true") as door:
        door.wait_for("camera", "ready")
        assert 'image="array 480x640x3 |u1"' in zuluko("echo", "camera", "-n", "1").stdout


def test_echo_into_a_closed_pipe_ends_quietly(tmp_path):
    with up(write(tmp_path, COUNT)) as graph:
        graph.wait_for("count", "ready")
        command = f"{sys.executable} -m zuluko echo count | head -n 2"
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False
        )
        assert len(done.stdout.splitlines()) == 2
        assert done.stderr == ""


def test_a_full_disk_behind_a_command_is_a_sentence():
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "zuluko", "list"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, cwd=ROOT, check=False
        )
    assert (done.returncode, done.stderr) == (1, "zuluko: No space left on device\n")


def test_ctrl_c_ends_echo(tmp_path):
    import signal

    with up(write(tmp_path, COUNT)) as graph:
        graph.wait_for("count", "ready")
        process = subprocess.Popen(
            [sys.executable, "-m", "zuluko", "echo", "count"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (-signal.SIGINT, b"")


def test_ctrl_c_while_the_launcher_begins_anew_ends_up_at_once(tmp_path, monkeypatch):
    import signal

    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\nif 'ZULUKO_UP' in os.environ: os.kill(os.getpid(), signal.SIGINT)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shown = zuluko("up", write(tmp_path, COUNT))
    assert (shown.returncode, shown.stdout, shown.stderr) == (-signal.SIGINT, "", "")


def test_a_runtime_directory_that_others_can_enter_is_told(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path))
    shown = zuluko("list")
    assert shown.returncode == 1
    assert shown.stderr == f"{tmp_path} is open to other users; run: chmod 700 {tmp_path}\n"


def test_a_plain_run_prints_a_line_an_event_and_a_summary(tmp_path):
    shown = zuluko("up", write(tmp_path, COUNT.replace('count"', 'count", limit: 5')))
    assert shown.returncode == 0
    assert " s  count     ready after" in shown.stdout
    assert "messages                count 5" in shown.stdout


def test_a_terminal_that_is_not_utf_8_shows_question_marks_for_what_it_lacks(tmp_path):
    file = write(tmp_path, COUNT)
    shown = zuluko("graph", file, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "count ??? count Count/1" in shown.stdout


def test_a_graph_runs_from_a_folder_whose_name_is_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"t\xfcr")
    folder.mkdir()
    with up(write(folder, COUNT), "--record", str(folder / "count.mcap")) as graph:
        graph.wait_for("count", "ready")
        assert zuluko("status").returncode == 0
        assert zuluko("graph", "graph").stdout.startswith("graph: 2 nodes")


def test_the_version_is_told():
    from zuluko import __version__

    assert zuluko("--version").stdout == f"zuluko {__version__}\n"


def test_python_m_zuluko_and_the_script_are_the_same():
    script = os.path.join(os.path.dirname(sys.executable), "zuluko")
    done = subprocess.run([script, "list"], capture_output=True, text=True, check=True)
    assert done.stdout == until(lambda: zuluko("list").stdout)
