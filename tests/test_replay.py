"""Replay: what was recorded is said again, alone and in place of a graph's nodes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.running import ROOT, write, zuluko
from tests.test_log import SECOND, a_log, faces, picture
from tests.waiting import until
from zuluko import read, record
from zuluko.bus import clock
from zuluko.bus.log_reader import LogReader
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import announcement
from zuluko.log import LogStream
from zuluko.messages import Faces, Frame
from zuluko.nodes.player import Timeline, play

BASE = 1_700_000_000 * SECOND


def recorded(path: Path, count: int = 20) -> Path:
    """Faces, ten a second, in the year of the log."""
    record(
        [faces(number).__class__(stamp=BASE + number * SECOND // 10) for number in range(count)],
        path,
        "faces",
    )
    return path


def timeline(log: Path, **options: float) -> Timeline:
    with LogReader(log) as reader:
        return Timeline(*reader.span, **options)


@pytest.fixture
def at_the_time_of_the_log():
    before = clock.offset()
    clock.share(before + BASE - clock.now() - 10 * SECOND)
    yield
    clock.share(before)


def test_a_message_is_due_when_it_was_sent_and_is_not_touched(tmp_path, at_the_time_of_the_log):
    log = a_log(recorded(tmp_path / "a.mcap").with_name("b.mcap"))
    line = timeline(tmp_path / "a.mcap")
    due = list(play(tmp_path / "a.mcap", {"faces": Faces}, line))
    assert [one.at for one in due] == [one.message.stamp for one in due]
    assert due[3].message.stamp == BASE + 3 * SECOND // 10
    assert due[3].message is due[3].entry.envelope.body
    assert log.exists()


def test_at_another_rate_and_in_a_loop_evidence_keeps_its_age(tmp_path, at_the_time_of_the_log):
    recorded(tmp_path / "a.mcap", 3)
    line = timeline(tmp_path / "a.mcap", rate=1e6, loop=True)
    playing = play(tmp_path / "a.mcap", {"faces": Faces}, line)
    due = [next(playing) for _ in range(7)]
    playing.close()
    assert [one.at - BASE for one in due] == [0, 100, 200, 200, 300, 400, 400]
    assert all(one.message.stamp == one.at for one in due)


def test_a_replay_that_begins_late_moves_with_the_clock(tmp_path):
    recorded(tmp_path / "a.mcap", 3)  # its time is long past
    before = clock.now()
    due = list(play(tmp_path / "a.mcap", {"faces": Faces}, timeline(tmp_path / "a.mcap")))
    assert due[0].at >= before
    assert due[2].message.stamp - due[0].message.stamp == SECOND // 5


def replaying(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "zuluko", "replay", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_log_is_published_under_the_name_of_a_graph(tmp_path):
    recorded(tmp_path / "a.mcap")
    process = replaying(str(tmp_path / "a.mcap"), "--name", "again")
    until(lambda: announcement("again", "faces"))
    subscriber = Subscriber("again", "faces", Faces)
    heard = [subscriber.wait(20) for _ in range(5)]
    subscriber.close()
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    seqs = [envelope.seq for envelope in heard]
    assert seqs == list(range(seqs[0], seqs[0] + 5))
    assert [one.body.stamp for one in heard] == [BASE + seq * SECOND // 10 for seq in seqs]
    assert all(0 <= one.sent - one.body.stamp < 5 * SECOND for one in heard)  # graph time is the log's
    assert out.startswith("20 messages replayed; ")


def test_a_replay_can_be_recorded_and_is_the_same(tmp_path):
    log = tmp_path / "a.mcap"
    pictures = [Frame(image=picture(n, 200).image, stamp=BASE + n * SECOND // 10) for n in range(20)]
    record(pictures, log, "camera")
    process = replaying(str(log), "--name", "again")
    until(lambda: announcement("again", "camera"))
    process.send_signal(signal.SIGSTOP)  # until the recorder is there
    recorder = subprocess.Popen(
        [sys.executable, "-m", "zuluko", "record", str(tmp_path / "b.mcap"), "--graph", "again"], cwd=ROOT
    )
    until((tmp_path / "b.mcap").exists)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=30)
    assert recorder.wait(30) == 0
    stream = read(tmp_path / "b.mcap", "camera")
    again = {stream.seq: message for message in stream}
    assert len(again) > 5
    assert len({message.stamp - pictures[seq].stamp for seq, message in again.items()}) == 1
    assert all(np.array_equal(message.image, pictures[seq].image) for seq, message in again.items())


def test_a_log_stands_in_for_the_nodes_that_it_holds(tmp_path):
    graph = write(
        tmp_path,
        """
nodes:
  count: {run: "NODES:count", hz: 100, limit: 40}
  double: {run: "NODES:double", in: {counts: count}}
""",
    )
    assert zuluko("up", graph, "--record", str(tmp_path / "a.mcap"), "--json").returncode == 0
    done = zuluko("replay", str(tmp_path / "a.mcap"), graph, "--only", "count", "--json", "--set", "x=1")
    assert "x" in done.stderr
    done = zuluko("replay", str(tmp_path / "a.mcap"), graph, "--only", "count", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["messages"]["count"] == 40, done.stdout
    assert summary["messages"]["double.count"] == 40
    assert summary["lost"] == {}


def test_sensors_of_what_is_replayed_do_not_run(tmp_path):
    graph = write(
        tmp_path,
        """
nodes:
  count: {run: "NODES:count", hz: 100, limit: 20}
  double: {run: "NODES:double", in: {counts: count}}
  show: {run: "NODES:show", in: {counts: double, last: double}}
record: {topics: [double], to: logs}
""",
    )
    assert zuluko("up", graph, "--json").returncode == 0
    (log,) = (tmp_path / "logs").iterdir()
    done = zuluko("replay", str(log), graph, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [one["text"] for one in events if one.get("who") == "show" and "shown" in one["text"]][
        -1
    ] == "shown 40"
    assert not any(one.get("who") in ("count", "recorder") for one in events)
    assert list((tmp_path / "logs").iterdir()) == [log]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "camra"), "door has no node `camra`; did you mean `camera`?"),
        (("--only", "lock"), "has no topic of the node `lock`; it has: faces"),
        (("--without", "faces"), "has no topic of the graph door; it has: faces"),
    ],
)
def test_a_log_and_a_graph_that_do_not_go_together_are_told(tmp_path, arguments, said):
    log = recorded(tmp_path / "a.mcap")
    done = zuluko("replay", str(log), "door", *arguments)
    assert done.returncode == 1
    assert said in done.stderr


def test_what_cannot_be_replayed_is_told(tmp_path):
    log = a_log(tmp_path / "a.mcap")
    assert "has no topic `x`" in zuluko("replay", str(log), "--topic", "x").stderr
    assert (
        "has nothing between --from 9s and --to its end" in zuluko("replay", str(log), "--from", "9s").stderr
    )
    assert "No such file" in zuluko("replay", "none.mcap").stderr
    assert "there is no such launch file" in zuluko("replay", str(log), "dor").stderr


TYPES = """
from zuluko import Message

class Wind(Message, tag="ReplayedWind/1"):
    speed: float
"""


def test_types_of_ones_own_are_named(tmp_path):
    (tmp_path / "wind.py").write_text(TYPES)
    program = "from wind import Wind; from zuluko import record; record([Wind(stamp=1, speed=2.0)], 'a.mcap')"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)
    log = str(tmp_path / "a.mcap")
    done = zuluko("replay", log, "--name", "wind")
    assert "wind is left out: its type ReplayedWind/1 is not known here" in done.stderr
    done = zuluko("replay", log, "--name", "wind", "--types", str(tmp_path / "wind.py"))
    assert done.stdout.startswith("1 message replayed"), done.stderr


def test_a_stream_ends_within_a_damaged_log_with_a_sentence(tmp_path):
    log = a_log(tmp_path / "a.mcap")
    with LogReader(log) as reader:
        place = reader.contents.places[2]
    data = bytearray(log.read_bytes())
    data[place.offset + place.length // 2] ^= 0x10
    log.write_bytes(data)
    done = zuluko("replay", str(log), "--name", "bad")
    assert done.returncode == 1
    assert f"the chunk at byte {place.offset}" in done.stderr
    assert isinstance(read(log, "faces"), LogStream)


COUNTED = """
nodes:
  count: {run: "NODES:count", hz: 100, limit: 20}
  double: {run: "NODES:double", in: {counts: count}}
  again: {run: "NODES:double", in: {counts: double}}
"""


def counted(folder: Path, topics: str) -> tuple[str, str]:
    """That graph, and its log of some topics."""
    graph = write(folder, COUNTED + f"record: {{topics: [{topics}], to: logs}}\n")
    assert zuluko("up", graph).returncode == 0
    (log,) = (folder / "logs").iterdir()
    return graph, str(log)


def test_a_replay_in_which_nobody_is_left_to_run_says_so(tmp_path):
    """`count` is not in the log, and nobody hears it any more."""
    graph, log = counted(tmp_path, "double, again")
    for how in ([], ["--lockstep"], ["--lockstep", "--twice"]):
        done = zuluko("replay", log, graph, *how)
        assert done.returncode == 1
        assert "nothing is left to run; name those to replay: --only double" in done.stderr


def test_a_node_that_is_to_run_though_the_log_has_it_runs_though_nobody_hears_it(tmp_path):
    graph, log = counted(tmp_path, "count, double, again")
    out = tmp_path / "out.mcap"
    done = zuluko("replay", log, graph, "--without", "double", "--lockstep", "--out", str(out))
    assert done.returncode == 0, done.stderr
    with LogReader(out) as reader:
        assert "double.count" in reader.topics
