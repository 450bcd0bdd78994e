"""Recording a running graph: by the launch file, by `up --record` and from another terminal."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pexpect
import pytest

from tests.nodes_of_tests import Move
from tests.running import ROOT, up, write, zuluko
from tests.test_log import small_disk, strictly  # noqa: F401
from tests.waiting import until
from zuluko import read
from zuluko.bus import membarrier
from zuluko.bus.live import Waker
from zuluko.bus.log_reader import LogReader, losses
from zuluko.bus.log_repair import repair
from zuluko.bus.log_tap import Taps
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.messages import Decision, Delivery, Faces, Frame, LockCommand, LockState
from zuluko.nodes.record_plan import Plan
from zuluko.nodes.recorder import about
from zuluko.nodes.recording import Recording
from zuluko.nodes.silences import Silences
from zuluko.perception.zoo import SFACE, YUNET

COUNTING = """
nodes:
  count: {run: "NODES:count", hz: 200, limit: LIMIT}
  double: {run: "NODES:double", in: {counts: count}}
"""


class Taped:
    """Topics of a process of this test, and a recording of them."""

    def __init__(self, *topics: str, plan: Plan) -> None:
        self.waker, self.poller = Waker(), Poller("g")
        self.taps = Taps("g", topics, self.waker, self.poller)
        self.recording = Recording(self.taps, plan, about("g"))

    def turn(self) -> bool:
        return self.recording.put(self.taps.take())

    def end(self) -> None:
        while batch := self.taps.take():
            self.recording.put(batch)
        self.recording.close()
        self.taps.close()
        self.poller.close()


def test_the_bytes_of_the_bus_are_recorded_with_the_pictures_in_them(run_dir, tmp_path):
    camera, faces = Publisher("g", "camera", Frame), Publisher("g", "faces", Faces)
    taped = Taped("camera", "faces", plan=Plan(tmp_path / "a.mcap"))
    images = [np.random.default_rng(n).integers(0, 255, (480, 640, 3), "u1") for n in range(3)]
    for number, image in enumerate(images):
        sent = camera.send(Frame(image=image, stamp=number))
        faces.send(Faces(stamp=number), (sent.hop("camera"),))
        taped.turn()
    taped.end()
    camera.close()
    faces.close()
    assert len(strictly(tmp_path / "a.mcap")) == 6
    assert all(
        np.array_equal(have.image, want)
        for have, want in zip(read(tmp_path / "a.mcap", "camera"), images, strict=True)
    )
    stream = read(tmp_path / "a.mcap", "faces")
    assert stream.next().stamp == 0
    assert (stream.cause[0].topic, stream.seq, stream.sent > 0) == ("camera", 0, True)
    with LogReader(tmp_path / "a.mcap") as log:
        assert log.told["zuluko"]["graph"] == "g"
        assert abs(int(log.told["zuluko"]["utc_offset"])) < 60 * 10**9
        assert b"pixels" in log.contents.schemas[2].data
        assert log.contents.places


def test_pictures_are_recorded_as_jpeg(run_dir, tmp_path):
    camera = Publisher("g", "camera", Frame)
    taped = Taped("camera", plan=Plan(tmp_path / "a.mcap", images="jpeg", quality=80))
    image = np.zeros((480, 640, 3), "u1")
    image[:, 100:200] = (10, 200, 30)
    camera.send(Frame(image=image, scene="stripe"))
    taped.end()
    camera.close()
    (frame,) = read(tmp_path / "a.mcap", "camera")
    assert frame.scene == "stripe"
    assert np.abs(frame.image.astype(int) - image).mean() < 2
    assert (tmp_path / "a.mcap").stat().st_size < 40_000
    with LogReader(tmp_path / "a.mcap") as log:
        assert b"data" not in next(log.messages())[1].data


def test_files_are_split_without_a_gap_and_the_oldest_deleted(run_dir, tmp_path):
    faces = Publisher("g", "faces", Faces)
    plan = Plan(tmp_path / "a.mcap", split_size=50_000)
    taped = Taped("faces", plan=plan)
    for number in range(5000):
        faces.send(Faces(stamp=number))
        if number % 500 == 0:
            taped.turn()
    taped.end()
    files = taped.recording.progress.files
    assert [file.name for file in files[:3]] == ["a.mcap", "a-2.mcap", "a-3.mcap"]
    assert [seq for file in files for _, seq, _ in strictly(file)] == list(range(5000))
    (tmp_path / "a-notes.mcap").write_text("mine")
    again = Taped("faces", plan=Plan(tmp_path / "a.mcap", keep_size=200_000))
    for number in range(9000):
        faces.send(Faces(stamp=number))
        if number % 500 == 0:
            again.turn()
    again.end()
    faces.close()
    left = {file.name for file in tmp_path.iterdir()}
    assert "a-notes.mcap" in left
    assert not {file.name for file in files} & left
    assert sum(file.stat().st_size for file in again.recording.progress.files if file.exists()) < 250_000


def test_the_type_is_known_of_a_publisher_that_has_gone(run_dir, tmp_path):
    faces = Publisher("g", "faces", Faces)
    taped = Taped("faces", plan=Plan(tmp_path / "a.mcap"))
    faces.send(Faces(stamp=1))
    faces.close()
    taped.end()
    assert [one.stamp for one in read(tmp_path / "a.mcap", "faces")] == [1]


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_loss_is_counted_by_cause_and_told_in_the_log(run_dir, tmp_path):
    faces = Publisher("g", "faces", Faces)
    taped = Taped("faces", plan=Plan(tmp_path / "a.mcap"))
    for number in range(20_000):  # more than the lane holds, before the recorder looks
        faces.send(Faces(stamp=number))
    taped.end()
    faces.close()
    with LogReader(tmp_path / "a.mcap") as log:
        lost = losses(log.told)
        assert sum(lost["faces"].values()) + log.contents.statistics.message_count == 20_000
        assert lost["faces"]["overrun"] > 0


def test_a_recorder_takes_a_frame_once_though_its_driver_forewarns(run_dir, tmp_path, monkeypatch):
    camera = Publisher("g", "camera", Frame)
    taped = Taped("camera", plan=Plan(tmp_path / "a.mcap"))
    tap, taken = taped.taps.taps["camera"], []
    take = tap._decode
    monkeypatch.setattr(tap, "_decode", lambda data: taken.append(data) or take(data))
    for number in range(3):
        if (image := camera.empty((480, 640, 3), np.dtype("u1"))) is None:
            pytest.skip("this kernel has no membarrier(2)")
        taped.poller.wait(0)
        camera.send(Frame(image=image, stamp=number))
        taped.turn()
    taped.end()
    camera.close()
    assert len(taken) == 3


def test_pictures_that_wait_leave_room_for_what_is_small(run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.nodes.recording.MOST_LARGE", 600_000)
    faces, camera = Publisher("g", "faces", Faces), Publisher("g", "camera", Frame)
    taped = Taped("faces", "camera", plan=Plan(tmp_path / "a.mcap"))
    for number in range(3):
        camera.send(Frame(image=np.zeros((400, 400, 3), "u1"), stamp=number))
    for number in range(100):
        faces.send(Faces(stamp=number))
    taped.turn()
    taped.end()
    faces.close()
    camera.close()
    seen = [topic for topic, _, _ in strictly(tmp_path / "a.mcap")]
    assert (seen.count("faces"), seen.count("camera")) == (100, 1)
    with LogReader(tmp_path / "a.mcap") as log:
        assert losses(log.told) == {"camera": {"recorder busy": 2}}


def test_a_topic_that_lives_and_says_nothing_is_told_of_once(run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.nodes.silences.SILENCE", 0.1)
    faces = Publisher("g", "faces", Faces)
    taped = Taped("faces", "nobody", plan=Plan(tmp_path / "a.mcap"))
    silences, said = Silences(taped.taps), []
    until(lambda: said.extend(silences.look([])) or said)
    deadline = time.monotonic() + 0.5
    until(lambda: said.extend(silences.look([])) or time.monotonic() > deadline)
    assert said == ["faces has said nothing for 0.1 s"]
    taped.end()
    faces.close()


@pytest.mark.parametrize("kind", [Decision, Delivery, LockCommand, LockState, Move])
def test_what_speaks_when_something_is_done_is_not_told_of(run_dir, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("zuluko.nodes.silences.SILENCE", 0.1)
    faces, deeds = Publisher("g", "faces", Faces), Publisher("g", "deeds", kind)
    taped = Taped("deeds", "faces", plan=Plan(tmp_path / "a.mcap"))
    silences, said = Silences(taped.taps), []
    until(lambda: said.extend(silences.look([])) or said)
    assert said == ["faces has said nothing for 0.1 s"]
    taped.end()
    faces.close()
    deeds.close()


def silent_after(
    taped: Taped, speak: Callable[[], object], times: int, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What is told in a minute of silence after a topic has spoken so many times, every 0.2 s."""
    now = 1000.0
    monkeypatch.setattr("zuluko.nodes.silences.time", SimpleNamespace(monotonic=lambda: now))
    silences, said = Silences(taped.taps), []
    for _ in range(times):
        speak()
        said += silences.look(taped.taps.take())
        now += 0.2
    for _ in range(60):
        said += silences.look(taped.taps.take())
        now += 1.0
    return said


def test_a_topic_that_falls_silent_is_missed_if_it_had_a_rhythm(run_dir, tmp_path, monkeypatch):
    faces = Publisher("g", "faces", Faces)
    taped = Taped("faces", plan=Plan(tmp_path / "a.mcap"))
    assert silent_after(taped, lambda: faces.send(Faces()), 5, monkeypatch) == []  # a burst is none
    told = ["faces has said nothing for 2 s"]
    assert silent_after(taped, lambda: faces.send(Faces()), 15, monkeypatch) == told
    taped.end()
    faces.close()


def test_a_mistake_of_its_own_ends_the_recorder_with_a_whole_file_so_that_it_starts_again(
    run_dir, tmp_path, monkeypatch
):
    faces = Publisher("g", "faces", Faces)
    taped = Taped("faces", plan=Plan(tmp_path / "a.mcap"))
    until(lambda: faces.send(Faces()) and taped.turn() and taped.recording.progress.messages > 3)

    def odd(*_: object, **__: object) -> None:
        raise struct.error("argument out of range")

    monkeypatch.setattr(LogWriter, "write", odd)
    with pytest.raises(struct.error, match="argument out of range"):
        until(lambda: faces.send(Faces()) and not taped.turn())
    taped.end()
    faces.close()
    assert len(strictly(tmp_path / "a.mcap")) > 3


def test_a_full_disk_ends_the_recording_with_a_whole_file(run_dir, small_disk):  # noqa: F811
    camera = Publisher("g", "camera", Frame)
    taped = Taped("camera", plan=Plan(small_disk / "a.mcap"))
    image = np.random.default_rng(1).integers(0, 255, (480, 640, 3), "u1")
    until(lambda: camera.send(Frame(image=image)) and not taped.turn(), 60)
    taped.end()
    camera.close()
    assert "the recording stops: No space left on device" in taped.recording.failure
    assert f"what was recorded before is whole: {small_disk / 'a.mcap'}" in taped.recording.failure
    assert len(strictly(small_disk / "a.mcap")) > 10


def test_a_full_disk_does_not_end_the_graph(tmp_path, small_disk):  # noqa: F811
    (small_disk / "ballast").write_bytes(bytes(14 << 20))
    with up("door", "--set", "loop=true", "--record", str(small_disk / "a.mcap")) as door:
        door.wait_for("recorder", "No space left on device", seconds=60)
        until(lambda: "recorder" not in door.children())
        door.wait_for("lock", "locked", len(door.look()), 60)
        assert door.stop() == 0
    assert strictly(small_disk / "a.mcap")


def test_a_launch_file_says_what_is_recorded(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "60") + "record: {topics: [count, double], to: logs}\n")
    with up(graph) as running:
        assert running.end() == 0
    (log,) = (tmp_path / "logs").iterdir()
    assert log.name.startswith("graph-")
    assert log.stat().st_mode & 0o777 == 0o600
    seen = strictly(log)
    assert [seq for topic, seq, _ in seen if topic == "count"] == list(range(60))
    assert [seq for topic, seq, _ in seen if topic == "double.count"] == list(range(60))
    assert [topic for topic, _, _ in seen].count("double.status") == 1
    with LogReader(log) as reader:
        assert "limit: 60" in reader.told["zuluko"]["launch_file"]
        assert losses(reader.told) == {}


def test_a_second_run_says_that_it_records_into_the_next_file(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "5") + "record: {to: a.mcap}")
    assert "exists already" not in zuluko("up", graph).stdout
    assert "a.mcap exists already; recording into a-2.mcap" in zuluko("up", graph).stdout
    assert strictly(tmp_path / "a-2.mcap")


def test_the_recorder_is_a_node_that_starts_again_into_the_next_file(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "0"))
    with up(graph, "--record", str(tmp_path / "a.mcap")) as running:
        running.wait_for("double", "ready")
        until(lambda: (tmp_path / "a.mcap").stat().st_size > 3000)
        os.kill(running.children()["recorder"], signal.SIGKILL)
        until(lambda: (tmp_path / "a-2.mcap").exists() and (tmp_path / "a-2.mcap").stat().st_size > 3000)
        running.stop()
        assert running.told("recorder", "killed by SIGKILL")
    assert repair(tmp_path / "a.mcap", tmp_path / "mended.mcap").messages > 0
    assert strictly(tmp_path / "mended.mcap")
    assert strictly(tmp_path / "a-2.mcap")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("[cuont]", "7:10: `record` names `cuont`, which is no topic; did you mean `count`?"),
        ("{topic: [count]}", "`record` has no key `topic`; did you mean `topics`?"),
        ("{images: png}", "`images` is `png`; expected one of raw, jpeg"),
        ("{keep: {size: 10}}", "`size` is `10`, and a size needs its unit"),
        ("yes", "`record` is `yes`; expected a list of topics, all, or {topics"),
    ],
)
def test_what_is_wrong_with_record_is_told(tmp_path, spec, said):
    text = "\n\n" + COUNTING.strip().replace("LIMIT", "0") + f"\n\nrecord: {spec}\n"
    done = zuluko("check", write(tmp_path, text))
    assert done.returncode == 1
    assert said in done.stderr, done.stderr


def test_a_node_called_recorder_is_told(tmp_path):
    graph = write(tmp_path, 'nodes: {recorder: {run: "NODES:count"}}\nrecord: all\n')
    done = zuluko("check", graph)
    assert "`recorder` is a node already, and `record` needs the name" in done.stderr


def test_expand_keeps_what_is_recorded_and_is_a_launch_file(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "0") + "record: {topics: [count], images: jpeg}\n")
    done = zuluko("check", graph, "--expand")
    again = write(tmp_path, done.stdout, "again.yaml")
    checked = zuluko("check", again)
    assert "recorder     count -> -" in checked.stdout, checked.stderr


def recording(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "zuluko", "record", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def messages(log: Path) -> int:
    try:
        with LogReader(log) as reader:
            return sum(1 for _ in reader.messages())
    except ValueError:
        return 0


def test_the_progress_in_a_narrow_terminal_is_one_line(tmp_path):
    with up(write(tmp_path, COUNTING.replace("LIMIT", "0"))) as running:
        running.wait_for("double", "ready")
        command = ["-m", "zuluko", "record", str(tmp_path / "a.mcap"), "count"]
        child = pexpect.spawn(
            sys.executable, command, cwd=ROOT, timeout=30, encoding="utf-8", echo=False, dimensions=(24, 30)
        )
        child.logfile_read = seen = io.StringIO()
        child.expect(r"\d\d+ messages")
        child.sendintr()
        child.expect(pexpect.EOF)
    drawn = [text.partition("\r")[0] for text in seen.getvalue().split("\x1b[K")[1:]]
    assert drawn
    assert max(map(len, drawn)) < 30


def test_a_running_graph_is_recorded_from_another_terminal(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "0"))
    with up(graph) as running:
        running.wait_for("double", "ready")
        process = recording(str(tmp_path / "a.mcap"), "count", "double.count")
        until(lambda: messages(tmp_path / "a.mcap") > 50)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
        running.stop()
    seen = strictly(tmp_path / "a.mcap")
    assert {topic for topic, _, _ in seen} == {"count", "double.count"}
    assert told.startswith(f"{tmp_path / 'a.mcap'}: {len(seen)} messages, ")
    assert told.endswith(" MB, nothing lost\n")
    counts = [seq for topic, seq, _ in seen if topic == "count"]
    assert counts == list(range(counts[0], counts[0] + len(counts)))


def test_a_recording_ends_with_the_graph_and_hears_topics_that_come_later(tmp_path):
    graph = write(tmp_path, COUNTING.replace("LIMIT", "0"))
    with up(graph, "--name", "late") as running:
        running.wait_for("double", "ready")
        process = recording(str(tmp_path / "a.mcap"), "--graph", "late")
        until(lambda: messages(tmp_path / "a.mcap") > 0)
        publishing = zuluko("pub", "extra", "Faces/1", "{}", "--count", "100", "--rate", "50")
        running.stop()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "the graph late has ended" in errors
    if publishing.returncode == 0:
        assert any(topic == "extra" for topic, _, _ in strictly(tmp_path / "a.mcap"))


def test_what_cannot_be_recorded_is_told(tmp_path):
    assert (
        zuluko("record", str(tmp_path / "a.mcap")).stderr == "no graph runs; start one with: zuluko up door\n"
    )
    (tmp_path / "a.mcap").write_text("")
    assert "exists already" in zuluko("record", str(tmp_path / "a.mcap")).stderr
    assert "exists already" in zuluko("up", "door", "--record", str(tmp_path / "a.mcap")).stderr
    assert "write a size such as 1GB" in zuluko("record", "b.mcap", "--split", "10").stderr


def test_a_door_is_recorded_whole(tmp_path):
    with up("door", "--record", str(tmp_path / "a.mcap")) as door:
        assert door.end(60) == 0
        published = door.summary["messages"]
    seen = [topic for topic, _, _ in strictly(tmp_path / "a.mcap")]
    assert {topic: seen.count(topic) for topic in set(seen)} == published
    with LogReader(tmp_path / "a.mcap") as log:
        about = log.told["zuluko"]
        assert json.loads(about["parameters"]) == {}
        assert json.loads(about["models"]) == {"faces": {"sface": SFACE.sha256, "yunet": YUNET.sha256}}
        assert {"graph", "launch_file", "zuluko", "python", "machine", "system", "utc_offset"} < about.keys()
        assert set(log.told["rate"]) == set(published)
        assert 0 < float(log.told["rate"]["camera"]) < 40
        assert losses(log.told) == {}
