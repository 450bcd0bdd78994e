import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from itertools import islice, pairwise
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from tests.video_server import MjpegServer, RtspServer, grey, level_of, number_of, numbered, serving
from zuluko.bus import clock
from zuluko.messages import Frame
from zuluko.nodes import camera as node
from zuluko.nodes import grabber, sources
from zuluko.nodes.camera import Outage, Pace, Rate, camera
from zuluko.nodes.lag import LIMIT, Rhythm
from zuluko.nodes.sources import SourceError, find, masked

ROOT = Path(__file__).parent.parent


def write_video(path: Path, pictures: int = 12, fps: int = 60, fourcc: str = "MJPG") -> Path:
    """Numbered pictures of 64 x 48, as ``level_of`` reads them."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, (64, 48))
    assert writer.isOpened()
    for number in range(pictures):
        writer.write(grey((number + 1) * 4))
    writer.release()
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.avi")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"picture{number}.png"), grey((number + 1) * 4))
    return folder


@pytest.fixture
def server():
    server = MjpegServer()
    with serving(server):
        yield server


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def watch(**options) -> Generator[Frame, None, None]:
    """The node, as something that can be closed."""
    return cast("Generator[Frame, None, None]", camera(**options))


def camera_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "camera"]


# Recordings


def test_a_file_plays_at_its_own_rate_and_ends(video):
    began = clock.now()
    frames = list(camera(source=str(video), size=None, hz=5))
    levels = [level_of(frame.image) for frame in frames]
    assert levels == [round((frame.stamp - frames[0].stamp) * 60 / 1e9) for frame in frames]
    assert levels == sorted(set(levels))  # some are left out when it is late
    assert frames[0].stamp >= began
    assert clock.now() >= frames[-1].stamp


def test_no_stamp_is_in_the_future_and_each_is_later_than_the_last(video, folder):
    for source in (video, folder):
        last = 0
        for frame in camera(source=str(source), hz=100):
            assert last < frame.stamp <= clock.now()
            last = frame.stamp


def test_a_slow_reader_gets_the_pictures_that_are_due_and_never_old_ones(video):
    frames = []
    for frame in camera(source=str(video), size=None):
        frames.append(frame)
        time.sleep(0.055)  # a node that needs the time of three pictures for one
    for earlier, later in pairwise(frames):
        passed = (later.stamp - earlier.stamp) * 60 / 1e9
        assert round(passed) >= 3
        assert level_of(later.image) - level_of(earlier.image) == round(passed)


def test_a_loop_goes_on_in_the_same_rhythm(video):
    frames = list(islice(camera(source=str(video), size=None, loop=True), 30))
    beats = [
        (frame.stamp - frames[0].stamp) * 60 / 1e9 for frame in frames
    ]  # some are left out when it is late
    assert [beat - round(beat) for beat in beats] == pytest.approx([0.0] * 30, abs=0.01)
    assert [level_of(frame.image) for frame in frames] == [round(beat) % 12 for beat in beats]
    assert round(beats[-1]) >= 29


def test_a_folder_plays_in_the_order_of_its_numbers(folder):
    (folder / "notes.txt").write_text("no picture")
    frames = list(camera(source=str(folder), size=None, hz=200))
    levels = [level_of(frame.image) for frame in frames]  # some are left out when it is late
    assert levels == [(frame.stamp - frames[0].stamp) // 5_000_000 for frame in frames]
    assert levels == sorted(set(levels))
    assert levels[-1] == 11


def test_a_single_picture_is_a_folder_of_one(folder):
    (frame,) = camera(source=str(folder / "picture3.png"))
    assert level_of(frame.image[10:-10, 10:-10]) == 3


def test_damaged_pictures_in_a_folder_are_told_and_skipped(folder, caplog):
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    (folder / "picture4.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "picture4.png").unlink()
    (folder / "picture5.png").write_bytes(b"")
    wanted = {
        f"{folder / name}: {why}; going on with the next one"
        for name, why in (
            ("picture4.jpg", "it is a JPEG that was cut short"),
            ("picture5.png", "the file is empty"),
        )
    }
    seen = set()
    for frame in camera(
        source=str(folder), size=None, hz=200, loop=True
    ):  # some are left out when it is late
        seen.add(level_of(frame.image))
        told = {record.getMessage() for record in caplog.records}
        if told >= wanted and seen >= {3, 6}:
            break
    assert told == wanted
    assert not seen & {4, 5}


def test_a_folder_of_nothing_but_damaged_pictures_is_an_error_even_in_a_loop(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="holds no picture that can be read"):
        list(camera(source=str(tmp_path), hz=200, loop=True))


@pytest.mark.parametrize("content", [b"", b"RIFF, but not really" * 100])
def test_a_file_that_is_no_video_is_an_error(tmp_path, content):
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=f"clip.avi .{len(content)} bytes. is no video that can be read"):
        next(camera(source=str(path)))


def test_a_video_cut_short_plays_as_far_as_it_goes(tmp_path):
    whole = write_video(tmp_path / "whole.avi", pictures=40)
    short = tmp_path / "short.avi"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = list(camera(source=str(short), size=None))
    assert 5 < len(frames) < 40
    assert level_of(frames[0].image) == 0


def test_a_machine_too_slow_for_a_file_plays_it_as_fast_as_it_can(caplog):
    pace = Pace(1e-9, "clip.mp4")  # no machine reads a picture a nanosecond
    dues: list[int] = []
    deadline = time.monotonic() + 10
    while len(dues) < 2 and time.monotonic() < deadline:
        due = pace.wait()
        dues += [] if due is None else [due]
    assert dues[0] < dues[1] <= clock.now()
    assert [r.getMessage() for r in caplog.records] == [
        "clip.mp4 is read more slowly than it was recorded; it plays as fast as it can"
    ]


# The picture


def test_pictures_are_letterboxed_whole_between_black_borders(video):
    frame = next(camera(source=str(video), size=(64, 64)))
    assert frame.image.shape == (64, 64, 3)
    assert frame.image[:8].max() == frame.image[-8:].max() == 0
    assert frame.image[8:-8].min() > 0


def test_each_frame_has_an_array_of_its_own(folder):
    first, second = islice(camera(source=str(folder), size=None, hz=200), 2)
    assert not np.shares_memory(first.image, second.image)
    assert level_of(first.image) == 0


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"hz": 0.0}, "hz"),
        ({"hz": -1.0}, "hz"),
        ({"hz": float("nan")}, "hz"),
        ({"hz": float("inf")}, "hz"),
        ({"stall": 0.0}, "stall"),
        ({"stall": float("nan")}, "stall"),
        ({"stall": float("inf")}, "stall"),
        ({"size": (0, 480)}, "width"),
        ({"size": (640, -1)}, "height"),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error(wrong, name):
    with pytest.raises(SourceError, match=f"^the camera's {name} must be a number above 0, not "):
        next(camera(source="demo", **wrong))


# Live sources


def later(server: MjpegServer, mood: str, condition) -> threading.Thread:
    """Changes the server's mood as soon as the condition is true."""

    def change() -> None:
        wait_for(condition)
        server.mood = mood

    thread = threading.Thread(target=change)
    thread.start()
    return thread


def test_a_stream_gives_each_picture_once_and_fresh(server):
    frames = watch(source=server.url, size=None, hz=100)
    began = clock.now()
    seen = [(frame.stamp, level_of(frame.image)) for frame in islice(frames, 25)]
    assert began < seen[0][0] < seen[-1][0] < clock.now()
    frames.close()
    assert all(a < b for a, b in pairwise(seen))
    assert all(a[1] < b[1] for a, b in pairwise(seen))
    wait_for(lambda: server.open == 0)
    assert camera_threads() == []


def test_a_reader_that_falls_behind_a_stream_skips_to_its_newest_picture(server):
    frames = watch(source=server.url, size=None, hz=100)
    before = level_of(next(frames).image)
    wait_for(lambda: server.served > before + 15)
    after = [level_of(frame.image) for frame in islice(frames, 4)]  # the first of them waited for its reader
    assert after[-1] > before + 12
    frames.close()


def test_hz_thins_a_stream_out(server):
    frames = watch(source=server.url, hz=10)
    stamps = [frame.stamp for frame in islice(frames, 6)]
    frames.close()
    assert (stamps[-1] - stamps[0]) / 5e9 > 0.09
    assert server.served > 15


class Check:
    """What a stream's pictures claim of their age, held against what the server knows."""

    def __init__(self, taken: list[int], base: int = 60) -> None:
        self.taken, self.base = taken, base
        self.seen: list[int] = []

    def __call__(self, frame: Frame) -> None:
        number = number_of(frame.image, self.base)
        younger = (frame.stamp - self.taken[number]) / 1e9
        assert younger < 0.15, f"picture {number} is {younger:.2f} s older than it says"
        self.seen.append(number)


@pytest.mark.parametrize("timed", [False, True])
def test_pictures_that_a_jammed_link_held_back_are_never_stamped_as_fresh(server, timed, caplog):
    """One picture passes every 0.6 s, then all that were held back come at once."""
    server.timed = timed
    check = Check(server.taken)
    frames = watch(source=server.url, size=None, hz=100)
    for frame in islice(frames, 60):
        check(frame)
    server.mood = "jammed"
    jammed = time.monotonic()
    change = later(server, "good", lambda: time.monotonic() - jammed > 4)
    while server.mood == "jammed" or len(check.seen) < 200:
        check(next(frames))
    frames.close()
    change.join()
    told = [record.getMessage() for record in caplog.records]
    assert re.search(
        r": the stream is \d\.\d s behind; pictures are dropped until it has caught up$", told[0]
    )
    assert re.search(
        r": the stream is up to \d\.\d s behind and does not catch up; trying again in 0\.2 s$", told[1]
    )


@pytest.mark.parametrize("timed", [False, True])
def test_a_hiccup_of_the_link_is_caught_up_with_without_a_new_connection(server, timed, caplog):
    server.timed = timed
    check = Check(server.taken)
    frames = watch(source=server.url, size=None, hz=100)
    for frame in islice(frames, 60):
        check(frame)
    server.mood = "jammed"
    jammed = time.monotonic()
    change = later(server, "good", lambda: time.monotonic() - jammed > 1.0)
    for frame in islice(frames, 60):
        check(frame)
    frames.close()
    change.join()
    assert server.connections == 1
    assert len(caplog.records) == 1


def test_a_decoder_slower_than_the_stream_gets_the_newest_picture_with_its_age(server, monkeypatch):
    decode = cv2.imdecode

    def slow(*arguments: object) -> object:
        time.sleep(0.12)  # the time of six pictures
        return decode(*arguments)

    monkeypatch.setattr(cv2, "imdecode", slow)
    check = Check(server.taken)
    for frame in islice(frames := watch(source=server.url, size=None, hz=100), 20):
        check(frame)
        assert clock.now() - server.taken[check.seen[-1]] < 0.4e9
        assert clock.now() - frame.stamp > 0.1e9
    assert check.seen[-1] - check.seen[0] > 19 * 4
    frames.close()


def test_a_stalled_stream_is_told_opened_again_and_repeats_nothing(server, caplog):
    frames = watch(source=server.url, size=None, hz=100, stall=0.5)
    before = [level_of(frame.image) for frame in islice(frames, 5)]
    server.mood = "stalled"
    change = later(server, "good", lambda: caplog.records)
    after = [level_of(frame.image) for frame in islice(frames, 20)]
    frames.close()
    change.join()
    assert before + after == sorted(set(before + after))
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"{masked(server.url)}: no picture for 0.5 s; trying again in 0.2 s"
    assert re.fullmatch(re.escape(masked(server.url)) + r" is back after \d+\.\d s", told[-1])
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert server.connections >= 2


def test_a_dropped_stream_is_told_and_comes_back(server, caplog):
    frames = watch(source=server.url, size=None, hz=100, stall=2)
    first = next(frames)
    server.mood = "dropped"
    change = later(server, "good", lambda: len(caplog.records) == 2)
    while len(caplog.records) < 3:
        last = next(frames)
    frames.close()
    change.join()
    no_video = "it answers, but gives no video: check the path, the user and the password"
    told = [record.getMessage() for record in caplog.records]
    assert told[:2] == [
        f"{masked(server.url)}: it ended; trying again in 0.2 s",
        f"{masked(server.url)}: {no_video}; trying again in 0.4 s",
    ]
    assert "is back after" in told[2]
    assert last.stamp > first.stamp


def test_garbage_is_told_and_outlived(server, caplog):
    server.mood = "garbage"
    change = later(server, "good", lambda: caplog.records)
    frames = watch(source=server.url, size=None, hz=100, stall=1)
    next(frames)
    frames.close()
    change.join()
    told = [record.getMessage() for record in caplog.records]
    assert told[0].endswith(": it answers, but what it sends are no pictures; trying again in 0.2 s")
    assert "is back after" in told[-1]


def test_a_server_that_never_answers_is_told(server, monkeypatch, caplog):
    monkeypatch.setattr(sources, "OPENING", 0.4)
    server.mood = "stalled"
    change = later(server, "good", lambda: caplog.records)
    frames = watch(source=server.url)
    next(frames)
    frames.close()
    change.join()
    assert (
        caplog.records[0].getMessage()
        == f"{masked(server.url)}: no video within 0.4 s; trying again in 0.2 s"
    )


def test_leaving_while_the_source_hangs_is_prompt_and_leaves_no_thread(server):
    frames = watch(source=server.url, hz=100, stall=0.6)
    next(frames)
    server.mood = "stalled"
    began = time.monotonic()
    frames.close()
    assert time.monotonic() - began < 1
    wait_for(lambda: not camera_threads())
    server.mood = "good"  # it notices that the connection is closed when it writes to it
    wait_for(lambda: server.open == 0)


def test_a_thread_that_hangs_for_ever_is_left_behind_and_its_late_picture_unseen(monkeypatch):
    """A driver that ignores every timeout; each time it is opened, it gives three pictures and hangs."""
    monkeypatch.setattr(node, "BACKOFF", (0.01, 0.02))
    monkeypatch.setattr(grabber, "PATIENCE", 0.01)
    wake, opened = threading.Event(), []

    class Stuck:
        scene, period, jpeg = "", 0.0, b""

        def __init__(self) -> None:
            opened.append(self)
            self.left = 3
            self.number = len(opened)
            self.closed = False

        def grab(self) -> bool:
            time.sleep(0.002)
            self.left -= 1
            return self.left >= 0 or wake.wait(30)

        def age(self) -> float:
            return 0.0

        def read(self) -> np.ndarray:
            return grey(self.number if self.left >= 0 else 200)

        def close(self) -> None:
            self.closed = True

    kind = find("0")
    monkeypatch.setattr(node, "find", lambda _: type(kind)("stuck", bool, lambda _: Stuck(), live=True))
    frames = watch(source="0", size=None, hz=1000, stall=0.1)
    seen = []
    while 3 not in seen:
        seen.append(int(next(frames).image[0, 0, 0]))
    assert seen == sorted(seen)
    assert len(camera_threads()) == 3
    watcher = threading.Timer(1.0, wake.set)  # nothing more is started until one of the three has come back
    watcher.start()
    while 4 not in seen:
        seen.append(int(next(frames).image[0, 0, 0]))
    assert wake.is_set()
    assert 200 not in seen
    frames.close()
    wait_for(lambda: not camera_threads())
    assert all(source.closed for source in opened)


@pytest.fixture
def rtsp(tmp_path):
    clip = tmp_path / "clip.ts"
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mpg1"), 25, (64, 48))
    for number in range(400):
        writer.write(numbered(number, 20))
    writer.release()
    server = RtspServer(clip, 400)
    with serving(server):
        yield server


def test_an_rtsp_stream_plays(rtsp):
    check = None
    for frame in islice(frames := watch(source=rtsp.url, size=None, hz=100), 10):
        check = check or Check(rtsp.taken, 20)
        assert frame.image.shape == (48, 64, 3)
        check(frame)
    assert all(a < b for a, b in pairwise(check.seen))
    frames.close()


def test_rtsp_pictures_that_were_held_back_are_never_stamped_as_fresh(rtsp, caplog):
    frames = watch(source=rtsp.url, size=None, hz=100)
    first = next(frames)
    check = Check(rtsp.taken, 20)
    check(first)
    rtsp.jammed = True
    timer = threading.Timer(1.2, lambda: setattr(rtsp, "jammed", False))
    timer.start()
    for frame in islice(frames, 20):
        check(frame)
    assert check.seen[-1] - check.seen[0] > 35  # those of the jam were dropped
    assert "s behind; pictures are dropped until it has caught up" in caplog.records[0].getMessage()
    frames.close()


def test_an_rtsp_stream_that_is_decoded_too_slowly_is_never_stamped_as_fresh(rtsp, monkeypatch, caplog):
    grab = sources.Capture.grab

    def slow(capture: sources.Capture) -> bool:
        time.sleep(0.06)
        return grab(capture)

    monkeypatch.setattr(sources.Capture, "grab", slow)
    frames = watch(source=rtsp.url, size=None, hz=100, stall=6)
    threading.Thread(target=lambda: next(frames, None), daemon=True).start()
    wait_for(lambda: caplog.records, 12)
    assert re.search(r": only \d\d % of its pictures can be read in time", caplog.records[0].getMessage())


def run_node(source: str, **env: str) -> subprocess.Popen[str]:
    """The node in a process of its own, printing a line a picture."""
    program = (
        "import sys; from zuluko.nodes.camera import camera\n"
        "try:\n"
        "    for frame in camera(source=sys.argv[1], stall=0.5): print('picture', flush=True)\n"
        "except KeyboardInterrupt: print('stopped', flush=True)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | env,
    )


def first_complaint(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_an_unreachable_stream_is_told_without_its_password_and_a_signal_ends_the_wait():
    process = run_node("rtsp://ana:s3cret@127.0.0.1:9/door?token=t0ken")
    told = "rtsp://127.0.0.1:9/…: no connection (Connection refused); trying again in "
    assert first_complaint(process) == told + "0.2 s\n"
    assert first_complaint(process) == told + "0.4 s\n"
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=5)
    assert (out, process.returncode) == ("stopped\n", 0)
    assert "s3cret" not in rest
    assert "t0ken" not in rest


def test_a_missing_device_is_told_and_tried_again():
    process = run_node("/dev/video77")
    assert first_complaint(process).startswith("/dev/video77: there is no /dev/video77, ")
    assert first_complaint(process).endswith("trying again in 0.4 s\n")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=5)[0] == "stopped\n"


def test_a_signal_ends_the_wait_for_a_stalled_stream(server):
    process = run_node(server.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "picture\n"
    server.mood = "stalled"
    assert "no picture for 0.5 s" in first_complaint(process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=5)
    assert out.endswith("stopped\n")
    assert process.returncode == 0


# The page


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_page_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "camera.md").read_text(), re.DOTALL)
    assert len(examples) == 3
    exec(compile(examples[number], "docs/camera.md", "exec"), {"__name__": "example"})


# The parts


def test_backoff_doubles_up_to_its_limit_and_is_told_no_more_there(caplog):
    outage = Outage("door")
    assert [outage.begins("gone") for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert len(caplog.records) == 7
    assert caplog.records[2].getMessage() == "door: gone; trying again in 0.8 s"
    assert caplog.records[6].getMessage() == "door: gone; trying again every 10.0 s"


def test_a_source_that_is_back_but_for_a_moment_does_not_start_from_the_shortest_wait(caplog):
    outage = Outage("door")
    outage.begins("gone")
    outage.over()
    assert outage.begins("gone") == 0.4


@pytest.mark.parametrize(("hz", "kept"), [(30, 300), (15, 150), (10, 100), (29, 290), (60, 300)])
def test_thinning_keeps_the_asked_rate_for_a_camera_that_jitters(hz, kept):
    rate, jitter = Rate(hz), np.random.default_rng(5).normal(0, 2e6, 300)
    stamps = [round(10**18 + number * 1e9 / 30 + jitter[number]) for number in range(300)]
    assert sum(rate.wanted(stamp) for stamp in stamps) == pytest.approx(kept, abs=0.02 * kept + 2)


def arrivals(*stretches: tuple[int, float, float]) -> list[float]:
    """Moments from stretches of (pictures, period, jitter), all in seconds."""
    draw, now, moments = np.random.default_rng(2), 100.0, []
    for pictures, period, jitter in stretches:
        for _ in range(pictures):
            now += period
            moments.append(now + float(draw.uniform(0, jitter)))
    return moments


@pytest.mark.parametrize(
    "moments",
    [
        arrivals((300, 1 / 15, 0.03)),
        arrivals((300, 1.0, 0.1)),  # a slow camera
        arrivals((100, 1 / 30, 0.005), (100, 1 / 15, 0.005)),  # it gets dark
        [moment for number, moment in enumerate(arrivals((600, 1 / 30, 0.005))) if number % 10 != 5],
        [
            moment + 0.1 - moment % 0.1 for moment in arrivals((300, 1 / 30, 0.0))
        ],  # a reader that is throttled
    ],
)
def test_no_picture_of_a_camera_that_is_merely_irregular_is_dropped(moments):
    rhythm = Rhythm()
    rhythm.opened(99.9)
    pauses = [0.0, *(b - a for a, b in pairwise(moments))]
    lags = [rhythm.lag(moment, pause) for moment, pause in zip(moments, pauses, strict=True)]
    known = lags[next(index for index, lag in enumerate(lags) if lag is not None) :]
    assert len(known) > len(lags) - 20
    assert all(lag is not None and lag <= LIMIT for lag in known)


def test_a_camera_that_was_set_to_a_much_slower_rate_is_believed_after_a_while():
    rhythm, seen = Rhythm(), []
    for moment in arrivals((100, 1 / 30, 0.0), (40, 0.5, 0.0)):
        seen.append(rhythm.lag(moment, 0.03 if len(seen) < 100 else 0.5))
    assert seen[105] > LIMIT
    assert seen[-1] < LIMIT
    assert rhythm.period == pytest.approx(0.5, rel=0.1)


def test_a_burst_reveals_that_the_link_was_slow_from_the_start():
    rhythm = Rhythm()
    for moment in arrivals((10, 2.0, 0.0)):
        rhythm.lag(moment, 2.0)
    with pytest.raises(OSError, match="the stream was at least 2.0 s behind"):
        rhythm.lag(moment + 0.01, 0.0)


def test_an_index_given_as_text_is_a_device():
    assert find("0").name == "device"
    assert find("0").live
