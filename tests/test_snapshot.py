"""The snapshot node: the right picture, the Decision, whole files, and a folder that keeps its bounds."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import up, write, zuluko
from zuluko.actions import album
from zuluko.actions.album import Album, entry_name
from zuluko.actions.snapshot import SimulatedKeeper, keep, snapshot
from zuluko.bus.streams import Stream
from zuluko.messages import Decision, Frame, SnapshotCommand, SnapshotState

MS = 1_000_000
START = 1_700_000_000_000 * MS


class Timed(Stream[Any]):
    """Messages that come at moments of their own, on a clock that all streams of a test share."""

    def __init__(self, clock: list[int], items: list[tuple[int, Any]], *, end: int | None = None) -> None:
        super().__init__()
        self._clock, self._left, self._end = clock, list(items), end
        self.now = START

    def next(self, timeout: float | None = None) -> Any:
        if self._left and self._left[0][0] <= self._clock[0]:
            self.now = START + self._clock[0] * MS
            return self._left.pop(0)[1]
        if timeout:
            self._clock[0] += round(timeout * 1000)
            time.sleep(0.001)
        self.now = START + self._clock[0] * MS
        self.ended = self._end is not None and self._clock[0] >= self._end
        return None


def frame(at: int, shade: int) -> tuple[int, Frame]:
    return at, Frame(stamp=START + at * MS, image=np.full((48, 64, 3), shade, "u1"))


def command(at: int, *, number: int = 1, label: str = "", late: int = 30) -> tuple[int, SnapshotCommand]:
    stamp = START + at * MS
    return at + late, SnapshotCommand(
        stamp=stamp, id=f"rules.guard-{stamp}-7-{number}", label=label, reason="guard"
    )


def decision(at: int, late: int = 40) -> tuple[int, Decision]:
    stamp = START + at * MS
    return at + late, Decision(stamp=stamp, rule="guard", outcome="fired", command=f"rules.guard-{stamp}-7-1")


def run(
    commands: Any, frames: Any, decisions: Any, keeper: Any = None, **options: Any
) -> list[SnapshotState]:
    clock = [0]
    streams = (Timed(clock, commands, end=3000), Timed(clock, frames), Timed(clock, decisions))
    if keeper:
        return list(keep(*streams, keeper, **options))
    return list(snapshot(*streams, **options))


FRAMES = [frame(66 * n, 10 * n) for n in range(20)]


def test_the_picture_of_the_evidence_and_its_decision_are_kept(tmp_path):
    folder = tmp_path / "album"
    (state,) = run([command(330, label="at night!")], FRAMES, [decision(330)], folder=folder)
    assert (state.outcome, state.reason, state.off, state.stamp) == ("done", "guard", 0.0, START + 330 * MS)
    picture = cv2.imread(state.picture)
    assert picture.shape == (48, 64, 3)
    assert abs(int(picture.mean()) - 50) <= 1
    told = json.loads(Path(state.decision).read_text())
    assert told["decision"]["rule"] == "guard"
    assert told["command"]["id"] == state.command
    assert told["picture_stamp"] == START + 330 * MS
    assert Path(state.picture).name == "2023-11-14T22-13-20.330Z-at-night.jpg"
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_nearest_picture_is_kept_and_told():
    keeper = SimulatedKeeper()
    (state,) = run([command(350)], FRAMES, [], keeper)
    assert (state.outcome, state.off) == ("done", pytest.approx(0.02))


def test_only_the_last_pictures_are_remembered():
    (state,) = run([command(0, late=1000)], FRAMES, [], recent=4, within=0.2)
    assert (state.outcome, state.picture) == ("failed", "")
    assert state.reason == "no picture within 0.2 s of the evidence; the decision is kept"


def test_without_a_picture_the_decision_is_kept(tmp_path):
    (state,) = run([command(330)], [], [decision(330)], folder=tmp_path / "album")
    assert state.outcome == "failed"
    assert json.loads(Path(state.decision).read_text())["decision"]["rule"] == "guard"
    assert [file.suffix for file in (tmp_path / "album").iterdir()] == [".json"]


def test_a_command_waits_for_its_decision_but_not_for_ever():
    keeper = SimulatedKeeper()
    states = run([command(330), command(660)], FRAMES, [decision(330, late=150)], keeper)
    told = [json.loads(parts["json"])["decision"] for parts in keeper.kept.values()]
    assert [one and one["stamp"] for one in told] == [START + 330 * MS, None]
    assert [state.outcome for state in states] == ["done", "done"]


def test_a_later_command_of_the_same_firing_has_the_same_decision():
    keeper = SimulatedKeeper()
    run([command(330, number=3)], FRAMES, [decision(330)], keeper)
    (parts,) = keeper.kept.values()
    assert json.loads(parts["json"])["decision"]["rule"] == "guard"


def test_a_failing_disk_is_told_and_survived():
    keeper = SimulatedKeeper(fail=1)
    states = run([command(330), command(660)], FRAMES, [], keeper)
    assert [(one.outcome, one.reason) for one in states] == [
        ("failed", "cannot be written: the simulated disk was told to fail"),
        ("done", "guard"),
    ]


def test_every_command_is_answered_though_too_many_come():
    commands = [command(330, number=n, late=400) for n in range(30)]
    states = run(commands, FRAMES, [decision(330)])
    assert sorted(one.command for one in states) == sorted(one.id for _, one in commands)
    assert {one.outcome for one in states} <= {"done", "refused"}


# -- the album


def test_two_of_one_name_stand_side_by_side(tmp_path):
    kept = Album(tmp_path, 10, 1000)
    names = [kept.keep(entry_name(START, "a"), {"json": b"1"})["json"].name for _ in range(3)]
    stem = "2023-11-14T22-13-20.000Z-a"
    assert names == [f"{stem}.json", f"{stem}-2.json", f"{stem}-3.json"]


@pytest.mark.parametrize("stamp", [0, -1, 2**63 - 1, -(2**63)])
def test_no_stamp_is_without_a_name(stamp):
    assert album._OWN.fullmatch(entry_name(stamp, "../../etc/passwd\0") + ".jpg")
    assert "/" not in entry_name(stamp, "../../etc/passwd\0")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=25), st.integers(1, 6), st.integers(400, 900))
def test_the_bounds_hold_and_the_newest_stay(tmp_path, sizes, most, most_bytes):
    folder = tmp_path / str(time.monotonic_ns())
    kept = Album(folder, most, most_bytes)
    kept.open()
    (folder / "mine.jpg").write_bytes(b"x" * 5000)
    written = []
    for number, size in enumerate(sizes):
        parts = {"jpg": b"x" * (size // 2), "json": b"x" * (size - size // 2)}
        written.append(next(iter(kept.keep(entry_name(START + number * MS, "a"), parts).values())).stem)
        entries = kept.entries()
        assert len(entries) <= most
        assert sum(file.stat().st_size for files in entries.values() for file in files) <= most_bytes
        assert list(entries) == written[-len(entries) :]
        assert all(len(files) == 2 for files in entries.values())
    assert (folder / "mine.jpg").stat().st_size == 5000


def test_what_could_never_fit_removes_nothing(tmp_path):
    kept = Album(tmp_path, 10, 100)
    kept.keep(entry_name(START, "a"), {"json": b"1"})
    with pytest.raises(OSError, match="it has 101 bytes, and the folder may have 100"):
        kept.keep(entry_name(START, "b"), {"json": b"x" * 101})
    assert len(kept.entries()) == 1


@pytest.mark.parametrize("seam", ["fsync", "rename"])
def test_what_cannot_be_written_leaves_nothing_behind(seam, tmp_path, monkeypatch):
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, seam, fail)
    with pytest.raises(OSError, match="No space left on device"):
        album.write(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_what_is_there_is_whole(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), "u1")
        frames = [(330, Frame(stamp=START + 330 * MS, image=noise))]
        commands = [command(330, number=n, late=30 + 100 * n) for n in range(6)]
        states = run(commands, frames, [], folder=disk, within=2.0)
        outcomes = [one.outcome for one in states]
        assert outcomes[0] == "done"
        assert outcomes[-1] == "failed"
        assert states[-1].reason == "cannot be written: No space left on device"
        assert not list(disk.glob(".*"))
        for file in disk.glob("*.jpg"):
            assert cv2.imread(str(file)).shape == noise.shape
    finally:
        subprocess.run(["umount", disk], check=True)


WRITER = """
import sys
from pathlib import Path
from zuluko.actions.album import Album, entry_name
album = Album(Path(sys.argv[1]), 20, 10**9)
album.open()
for n in range(10**9):
    album.keep(entry_name(n * 1_000_000, "a"), {"jpg": bytes([n % 256]) * 200_000, "json": b"{}"})
    if n == 3:
        print("going", flush=True)
"""


def test_whoever_is_killed_while_writing_leaves_whole_files(tmp_path):
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"going\n"
        writer.kill()
        writer.wait()
        writer.stdout.close()
        for file in tmp_path.glob("[!.]*.jpg"):
            content = file.read_bytes()
            assert len(content) == 200_000
            assert len(set(content)) == 1
    Album(tmp_path, 20, 10**9).open()
    assert not list(tmp_path.glob(".*"))


# -- its configuration


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"quality": 0}, "`quality` must be from 1 to 100"),
        ({"most": 0}, "`most` must be 1 or more"),
        ({"megabytes": float("nan")}, "`megabytes` must be more than 0"),
        ({"recent": 0}, "`recent` must be from 1 to 100 pictures"),
        ({"within": -1.0}, "`within` must be from 0 s to 60 s"),
    ],
)
def test_limits_that_limit_nothing_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        run([], [], [], **options)


# -- in a graph

GRAPH = """nodes:
  camera: {run: "tests.driving:night", hz: 20}
  rules: {run: guard.rules.yaml}
  snapshot: {run: zuluko.actions.snapshot, in: {commands: rules, frames: camera, decisions: rules}, folder: album}
"""
RULES = """
guard:
  when: camera
  if: ['camera.scene == "stranger"']
  max_age: 500ms
  do: {snapshot: {label: stranger}}
"""


def test_a_rule_keeps_the_very_picture(tmp_path):
    write(tmp_path, RULES, "guard.rules.yaml")
    file = write(tmp_path, GRAPH.replace("folder:", "recent: 30, folder:"))
    with up(file) as graph:
        graph.wait_for("snapshot", "done: ")
        graph.stop()
    assert graph.summary["lost"] == {}
    (told,) = (tmp_path / "album").glob("*.json")
    kept = json.loads(told.read_text())
    assert kept["picture_off"] == 0
    assert kept["decision"]["clauses"][0]["verdict"] == "true"
    picture = cv2.imread(str(told.with_suffix(".jpg")))
    assert abs(int(picture.mean()) - 200) <= 1  # the first that shows the stranger
    (tmp_path / "album").chmod(0o755)
    assert "can be read by others; run: chmod 700" in zuluko("check", file).stderr


def test_a_node_killed_while_it_keeps_starts_again_and_keeps(tmp_path):
    write(
        tmp_path,
        RULES.replace('"stranger"', '"stranger" || true').replace("do:", "again: 20ms\n  do:"),
        "guard.rules.yaml",
    )
    with up(write(tmp_path, GRAPH)) as graph:
        at = 0
        for _ in range(2):
            graph.wait_for("snapshot", "done: ", after=at)
            os.kill(graph.children()["snapshot"], signal.SIGKILL)
            at = graph.wait_for("snapshot", "ready", after=graph.wait_for("snapshot", "died", after=at))
        graph.wait_for("snapshot", "done: ", after=at)
        graph.stop()
    Album(tmp_path / "album", 1000, 10**9).open()
    assert not list((tmp_path / "album").glob(".snapshot-*"))
    files = list((tmp_path / "album").iterdir())
    assert files
    assert all(cv2.imread(str(file)) is not None for file in files if file.suffix == ".jpg")
    assert all(json.loads(file.read_text()) for file in files if file.suffix == ".json")
