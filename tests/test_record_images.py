"""Pictures in a log: a camera's own JPEG is kept byte for byte, and each picture stands there once."""

import cv2
import msgspec
import numpy as np
import pytest

from tests.running import up, write
from tests.test_camera import write_video
from tests.test_log import strictly
from tests.test_record import Taped
from tests.video_server import MjpegServer, serving
from tests.waiting import until
from zuluko import read
from zuluko.bus import log_tap
from zuluko.bus.log_reader import LogReader
from zuluko.bus.publisher import Publisher
from zuluko.messages import Frame
from zuluko.nodes.camera import camera
from zuluko.nodes.record_plan import Plan
from zuluko.nodes.sources import JpegDevice


def noise(number: int, size: tuple[int, int] = (160, 240)) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (*size, 3), "u1")


def with_jpeg(number: int, size: tuple[int, int] = (160, 240)) -> Frame:
    """A picture as a camera that gives JPEG has it published."""
    data = cv2.imencode(".jpg", noise(number, size))[1].reshape(-1)
    return Frame(image=cv2.imdecode(data, cv2.IMREAD_COLOR), jpeg=data, stamp=number)


def bodies(log) -> list[dict]:
    with LogReader(log) as reader:
        return [msgspec.msgpack.decode(message.data)[4] for _, message in reader.messages()]


def recorded(log, frames: list[Frame], **plan) -> list[dict]:
    publisher = Publisher("g", "camera", Frame)
    taped = Taped("camera", plan=Plan(log, **plan))
    for frame in frames:
        publisher.send(frame)
        taped.turn()
    taped.end()
    publisher.close()
    assert len(strictly(log)) == len(frames)
    return bodies(log)


@pytest.mark.parametrize("size", [(160, 240), (48, 64)])  # in a slot of the lane, and within its ring
def test_a_picture_is_kept_as_the_jpeg_that_it_came_as(run_dir, tmp_path, size):
    frames = [with_jpeg(number, size) for number in range(5)]
    kept = recorded(tmp_path / "a.mcap", frames, images="as-is")
    assert [body["image"]["jpeg"] for body in kept] == [frame.jpeg.tobytes() for frame in frames]
    assert not any("jpeg" in body or "data" in body["image"] for body in kept)
    for have, sent in zip(read(tmp_path / "a.mcap", "camera"), frames, strict=True):
        assert np.array_equal(have.image, sent.image)
        assert (have.jpeg, have.stamp) == (None, sent.stamp)


@pytest.mark.parametrize("images", ["raw", "jpeg"])
def test_a_picture_that_came_as_jpeg_is_recorded_once(run_dir, tmp_path, images):
    (body,) = recorded(tmp_path / "a.mcap", [with_jpeg(1)], images=images, quality=30)
    assert "jpeg" not in body
    assert set(body["image"]) == {"dtype", "shape", "data" if images == "raw" else "jpeg"}
    if images == "jpeg":
        assert len(body["image"]["jpeg"]) < with_jpeg(1).jpeg.nbytes / 2


def test_a_picture_without_its_jpeg_is_made_one(run_dir, tmp_path):
    lies = with_jpeg(1)
    wrong = Frame(image=noise(2, (80, 80)), jpeg=lies.jpeg)  # of another size: no picture of this one
    torn = Frame(image=noise(3), jpeg=np.zeros(9, "u1"))
    sent = [Frame(image=noise(1)), wrong, torn]
    kept = recorded(tmp_path / "a.mcap", sent, images="as-is", quality=60)
    for body, frame in zip(kept, sent, strict=True):
        packed = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
        assert body["image"]["jpeg"] == packed
        assert body.get("jpeg") is None
    assert len(list(read(tmp_path / "a.mcap", "camera"))) == 3


@pytest.mark.parametrize("shape", [[80, 90, 3], ["80", 80, 3], [80, 80], [-80, 80, 3], 80, None])
def test_what_is_no_picture_stays_as_it_is(shape):
    image = {"dtype": "|u1", "shape": shape, "data": bytes(80 * 80 * 3)}
    data = msgspec.msgpack.encode((1, 0, 0, (), {"type": "Frame/1", "image": image}))
    assert log_tap.with_jpeg(data, 90) == data


class Kept(MjpegServer):
    """Remembers what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []

    def take(self, number: int) -> bytes:
        self.given.append(cv2.imencode(".jpg", noise(number, (48, 64)))[1].tobytes())
        return self.given[-1]


@pytest.fixture
def server():
    server = Kept()
    with serving(server):
        yield server


STREAM = """
nodes:
  camera: {run: zuluko.nodes.camera, source: "URL", size: SIZE, hz: 100, jpeg: true}
record: {topics: [camera], to: a.mcap, images: as-is}
"""


def test_a_log_has_the_bytes_that_an_mjpeg_stream_gave(tmp_path, server):
    text = STREAM.replace("URL", server.url).replace("SIZE", "null")
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("camera", "ready")
        until(lambda: server.served > 60)
        assert graph.stop() == 0
    kept = [body["image"]["jpeg"] for body in bodies(tmp_path / "a.mcap")]
    order = [server.given.index(data) for data in kept]
    assert len(order) > 5
    assert order == sorted(set(order))
    for data, frame in zip(kept, read(tmp_path / "a.mcap", "camera"), strict=True):
        assert np.array_equal(frame.image, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_a_picture_that_was_fitted_into_a_size_is_no_longer_the_cameras(server):
    frames = camera(source=server.url, size=(100, 100), jpeg=True)
    assert next(frames).jpeg is None
    frames.close()
    frames = camera(source=server.url, size=None)
    assert next(frames).jpeg is None  # nobody asked
    frames.close()


def test_a_device_that_gives_jpeg_has_its_bytes_at_hand(tmp_path):
    """OpenCV gives the packets of an MJPEG file as it gives those of a V4L2 camera."""
    video = write_video(tmp_path / "clip.avi")
    device = JpegDevice(cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1]))
    content, seen = video.read_bytes(), []
    while device.grab():
        image = device.read()
        assert device.jpeg in content
        assert image.shape == (48, 64, 3)
        seen.append(round(float(image.mean()) / 4) - 1)
    device.close()
    assert seen == list(range(12))
