"""The door, whole, as processes on the demo's real photographs."""

import os
import signal
import sys
import termios
from pathlib import Path

import pexpect
import pytest

from tests.running import ROOT, alive, up, write, zuluko
from tests.waiting import until
from zuluko.actions import bolts
from zuluko.launch import status


def test_the_demo_opens_for_the_owner_and_never_for_the_stranger(run_dir):
    with up("door") as door:
        pids = until(lambda: len(door.children()) == 5 and door.children())
        assert door.end(60) == 0
    texts = [(e["who"], e["text"]) for e in door.events[:-1]]
    stranger = next(i for i, (who, text) in enumerate(texts) if who == "faces" and "a stranger" in text)
    opened = next(i for i, (who, text) in enumerate(texts) if who == "lock" and text.startswith("unlocked"))
    locked = [i for i, (who, text) in enumerate(texts) if who == "lock" and text.startswith("locked")]
    assert locked[0] < stranger < opened < locked[-1]
    summary = door.summary
    assert summary["good"], summary["verdict"]
    assert summary["unlocks"] >= 1
    assert summary["frames"] > 150
    assert summary["evidence_to_unlock_ms"]["median"] is not None
    assert not any(map(alive, pids.values()))
    assert os.listdir(run_dir) == []


def test_each_node_comes_back_from_kill_9_and_the_lock_is_locked_meanwhile(tmp_path):
    bolt = tmp_path / "bolt"

    def reading():
        return bolts.reading(bolt)

    with up("door", "--set", "loop=true", "--set", f"driver=simulated:{bolt}") as door:
        told = 0
        for node in ("lock", "rules", "faces", "camera"):
            told = door.wait_for("lock", "unlocked", told, seconds=60)
            if node == "lock":
                assert reading() == "unlocked"
            else:
                told = door.wait_for("lock", "locked (time is up)", told)
            pid = door.children()[node]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: not alive(pid))
            until(lambda: reading() == "locked", 1.0)  # the last of its threads has just let go of it
            died = door.wait_for(node, "died (killed by SIGKILL)", told)
            told = door.wait_for(node, "ready", died)
            between = [e["text"] for e in door.events[died:told] if e["who"] == "lock"]
            assert not any(text.startswith("unlocked") for text in between)
        door.wait_for("lock", "unlocked", told, seconds=60)
        door.stop()
        assert reading() == "locked"
    assert door.summary["good"], door.summary["verdict"]


def test_a_lock_that_is_told_to_stop_while_open_locks_first(tmp_path, run_dir):
    bolt = tmp_path / "bolt"
    with up("door", "--set", f"driver=simulated:{bolt}") as door:
        door.wait_for("lock", "unlocked", seconds=60)
        pids = door.children()
        assert door.stop() == 0
    assert bolts.reading(bolt) == "locked"
    assert not any(map(alive, pids.values()))
    assert os.listdir(run_dir) == []
    assert not [f for f in Path("/dev/shm").iterdir() if "zuluko" in f.name]


def test_a_demo_that_is_stopped_before_the_owner_came_is_no_success():
    with up("door") as door:
        door.wait_for("faces", "a stranger")
        assert door.stop() == 1
    assert door.summary["verdict"] == "stopped before the owner came"


def test_nothing_of_it_leaves_the_machine_or_stays_in_the_cache_but_our_graphs(tmp_path, monkeypatch):
    """onnxruntime keeps a device id, and calls its maker, unless it is told not to before it is imported."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with up("door") as door:
        door.wait_for("faces", "a stranger")
        door.stop()
    assert os.listdir(tmp_path) == ["zuluko"]


def test_an_empty_gallery_opens_for_nobody(tmp_path):
    """With another source than the demo, the demo's owner is nobody."""
    photographs = ROOT / "zuluko" / "nodes" / "photographs"
    gallery = tmp_path / "people"
    with up(
        "door", "--set", f"source={photographs}", "--set", f"gallery={gallery}", "--set", "loop=true"
    ) as door:
        door.wait_for("faces", "a stranger", seconds=60)
        until(lambda: door.look() is not None and door.told("camera", "ready"))
        assert door.stop() == 0
    assert door.summary["unlocks"] == 0


def test_a_camera_that_is_not_there_is_told_with_what_to_do():
    with up("door", "--set", "source=77") as door:
        door.wait_for("camera", "no picture yet: 77: there is no /dev/video77, ")
        (told,) = [event["text"] for event in door.events if "no picture" in event["text"]]
        assert "plug " in told
        assert told.endswith("; to try it without a camera: --set source=demo")
        assert door.stop() == 0


@pytest.mark.parametrize("columns", [80, 130])
def test_in_a_terminal_the_view_is_live_and_leaves_it_as_it_was(columns):
    child = pexpect.spawn(
        sys.executable,
        ["-m", "zuluko", "up", "door"],
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        cwd=str(ROOT),
        dimensions=(40, columns),
        timeout=60,
        encoding="utf-8",
        codec_errors="replace",  # Ctrl-C drops what waits in the terminal, in the middle of a character maybe
    )
    at_first = termios.tcgetattr(child.child_fd)
    child.expect("Ctrl-C stops")
    child.expect("a stranger")
    child.expect("camera")
    child.sendintr()
    child.expect("decisions")
    assert "^C" not in child.before  # it would begin a new line at the panel's edge
    child.expect("stopped before the owner came")
    child.expect(pexpect.EOF)
    assert termios.tcgetattr(child.child_fd) == at_first
    child.close()
    assert child.exitstatus == 1


def test_a_lock_that_hangs_while_open_is_killed_and_locks(tmp_path):
    bolt, restart = tmp_path / "bolt", "restart: {silence: 2s}"
    lock = f'{{run: zuluko.actions.lock, in: {{commands: asked}}, driver: "simulated:{bolt}", {restart}}}'
    text = f'topics: {{asked: "zuluko.messages:LockCommand"}}\nnodes:\n  lock: {lock}\n'
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("lock", "ready")
        until(lambda: status.read("graph"))
        assert zuluko("pub", "lock.commands", "{open_for: 30s}").returncode == 0
        assert bolts.reading(bolt) == "unlocked"
        os.kill(graph.children()["lock"], signal.SIGSTOP)
        killed = graph.wait_for("lock", "hangs: gave no sign of life for 2 s and is killed")
        until(lambda: bolts.reading(bolt) == "locked")
        graph.wait_for("lock", "ready", killed)
    assert restart in (ROOT / "docs/door.md").read_text()
