import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from zuluko.nodes.picture import PictureError, bgr, header_size, letterbox, load, whole_jpeg
from zuluko.nodes.sources import (
    SourceError,
    Wish,
    _in_order,
    device_path,
    find,
    masked,
    open_photos,
    why_no_device,
)

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("demo", "demo"),
        ("0", "device"),
        ("12", "device"),
        ("/dev/video2", "device"),
        ("/dev/v4l/by-id/usb-camera-index0", "device"),
        ("http://192.168.1.7:8080/video", "stream"),
        ("https://user:pass@camera/stream.mjpg", "stream"),
        ("rtsp://[fe80::1]:554/live", "stream"),
        ("pictures", "folder"),
        ("photo.JPG", "picture"),
        ("clip.mp4", "video"),
    ],
)
def test_a_source_is_told_by_how_it_is_written(source, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    Path("photo.JPG").touch()
    Path("clip.mp4").touch()
    assert find(source).name == kind


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "gone.mp4",
            "no such file gone.mp4; give a camera index, a device, a file, a folder, a URL or `demo`",
        ),
        ("", "no such file (empty); give a camera"),
        ("-1", "no such file -1; give a camera"),
        ("ftp://u:s3cret@host/clip.mp4", "no way to read ftp://host/…; give a camera"),
        ("http://", "no host and port in http://…; write rtsp://host:554/path"),
        ("rtsp://ana:s3c/ret@host/", "no host and port in rtsp://…; write"),
    ],
)
def test_what_can_never_work_is_an_error_of_one_sentence(source, sentence):
    with pytest.raises(SourceError, match="^" + re.escape(sentence)) as error:
        find(source)
    assert "s3c" not in str(error.value)


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"^no pictures in .*; it needs files ending in \.bmp, \.jpeg, "):
        open_photos(Wish(str(tmp_path)))


def test_a_folder_is_read_in_the_order_of_names_and_of_the_numbers_in_them(tmp_path):
    for name in ("b1.png", "a10.png", "a2.png", "a2b3.png", "a2b20.png"):
        cv2.imwrite(str(tmp_path / name), noise())
    ordered = ["a2.png", "a2b3.png", "a2b20.png", "a10.png", "b1.png"]
    assert [path.name for path in sorted(tmp_path.iterdir(), key=_in_order)] == ordered


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://ana:s3cret@door:554/live", "rtsp://door:554/…"),
        ("rtsp://ana:p@ss:w/rd@door/live", "rtsp://…"),
        ("rtsp://ana:p?s3cret@door/live", "rtsp://…"),
        ("rtsp://ana:s3cret/live", "rtsp://…"),
        ("http://s3cret@door/", "http://door"),
        ("rtsp://door/user=admin_password=s3cret_channel=1.sdp", "rtsp://door/…"),
        ("http://door/video?access_token=s3cret&x=1", "http://door/…"),
        ("http://door?api_key=s3cret", "http://door/…"),
        ("http://door:8080/video", "http://door:8080/…"),
        ("https://ana:s3cret@[fe80::1]:443/live", "https://[fe80::1]:443/…"),
        ("rtsp:/ana:s3cret@door/live", "rtsp:…"),
        ("ana:s3cret@door/live", "ana:…"),
        ("0", "0"),
        ("/dev/v4l/by-id/usb-camera", "/dev/v4l/by-id/usb-camera"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_a_password_is_never_shown(url, shown):
    assert masked(url) == shown


def test_an_index_is_a_device():
    assert device_path("3") == "/dev/video3"
    assert device_path("/dev/v4l/by-id/usb-camera") == "/dev/v4l/by-id/usb-camera"


def test_a_missing_device_is_told_with_those_that_are_there():
    there = sorted(str(path) for path in Path("/dev").glob("video*"))
    assert why_no_device("/dev/video77") == "there is no /dev/video77, " + (
        f"only {', '.join(there)}: plug it in, or take one that is there"
        if there
        else "nor any other /dev/video*: plug one in"
    )


def test_a_device_without_permission_is_told_with_the_group_to_join(tmp_path):
    device = tmp_path / "video0"
    device.touch()
    device.chmod(0)
    tmp_path.chmod(0o755)
    group = device.group()
    if os.getuid() == 0:  # root may open anything; ask as somebody else
        program = "import os, sys; sys.path.insert(0, '.')\n"
        program += (
            "from zuluko.nodes import sources; os.setuid(65534); print(sources.why_no_device('video0'))"
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        said = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        wanted = "video0"
    else:
        said, wanted = why_no_device(str(device)), str(device)
    assert said == f"you may not open {wanted}: run `sudo usermod -aG {group} $USER` and log in again"


def test_a_device_that_is_no_camera_is_told(tmp_path):
    (tmp_path / "video0").touch()
    assert "another program may have it" in why_no_device(str(tmp_path / "video0"))


def noise(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def png(width: int, height: int) -> bytes:
    """A white picture of one bit a pixel: it takes a few kilobytes, whatever its size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    row = b"\0" + b"\xff" * ((width + 7) // 8)
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    pixels = zlib.compress(row * height, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size than it has."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def test_a_jpeg_is_whole_only_with_its_own_end():
    whole = jpeg(noise())
    thumbnail = jpeg(noise(8, 8))
    exif = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = whole[:2] + exif + whole[2:]
    assert whole_jpeg(whole)
    assert whole_jpeg(with_thumbnail)
    assert whole_jpeg(whole + b"a phone's film after the picture")
    for cut in range(0, len(with_thumbnail) - 1, 97):
        assert not whole_jpeg(with_thumbnail[:cut])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_a_picture_cut_short_is_an_error_in_every_format(tmp_path, suffix, capfd):
    path = tmp_path / f"picture{suffix}"
    data = cv2.imencode(suffix, noise())[1].tobytes()
    path.write_bytes(data)
    assert load(path).shape == (48, 64, 3)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match="cut short|not a picture|damaged"):
        load(path)
    assert "OpenCV" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "it cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "it is not a file"),
        (os.mkfifo, "it is not a file"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: path.write_text("hello"), "it is not a picture that OpenCV can read, such as JPEG or PNG"),
        (lambda path: path.write_bytes(png(32000, 20000)), "it has 32000 x 20000 pixels; at most 50 million are taken"),
        (lambda path: path.write_bytes(with_size(jpeg(noise()), 9000, 8000)), "it has 9000 x 8000 pixels; at most"),
        (lambda path: path.write_bytes(png(9000, 8000)[:200]), "it has 9000 x 8000 pixels; at most"),
        (lambda path: path.write_bytes(png(64, 48)[:60]), "it is damaged or was cut short"),
    ],
)  # fmt: skip
def test_a_file_that_gives_no_picture_is_told_in_one_sentence(tmp_path, make, sentence):
    make(tmp_path / "picture")
    with pytest.raises(PictureError, match="^" + re.escape(sentence)):
        load(tmp_path / "picture")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_the_size_is_read_from_the_header(suffix):
    assert header_size(cv2.imencode(suffix, noise())[1].tobytes()) == (64, 48)


def test_a_picture_larger_than_the_memory_is_an_error_and_no_crash(tmp_path):
    """As under a memory limit of the launch file; 40 million pixels are allowed, but there is no room."""
    (tmp_path / "large.png").write_bytes(png(8000, 5000))
    program = (
        "import resource\n"
        "from pathlib import Path\n"
        "from zuluko.nodes.picture import PictureError, load\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000,) * 2)\n"
        "try: load(Path('large.png'))\n"
        "except PictureError as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.startswith(
        "it cannot be decoded: it is damaged, larger than 50 million pixels, or larger than"
    )


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_colour_and_transparent_pictures_become_bgr(shape, depth):
    image = np.full(shape, 200 if depth == np.uint8 else 200 * 256, depth)
    converted = bgr(image)
    assert converted.dtype == np.uint8
    assert converted.shape == (4, 5, 3)
    assert (converted == 200).all()


def test_a_picture_of_two_channels_is_refused():
    with pytest.raises(ValueError, match="its pictures have 2 channels"):
        bgr(np.zeros((4, 5, 2), np.uint8))


@pytest.mark.parametrize("size", [(64, 48), (100, 20), (20, 100), (3, 300), (640, 480)])
def test_a_letterboxed_picture_is_whole_centred_and_keeps_its_aspect(size):
    framed = letterbox(np.full((48, 64, 3), 255, np.uint8), size)
    assert framed.shape == (size[1], size[0], 3)
    rows, columns = np.nonzero(framed[..., 0])
    high, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert wide == size[0] or high == size[1]
    assert abs(wide - high * 64 / 48) < 1.5
    assert abs(rows.min() - (size[1] - 1 - rows.max())) <= 1
    assert abs(columns.min() - (size[0] - 1 - columns.max())) <= 1


def test_a_picture_of_the_right_size_is_not_copied():
    image = noise()
    assert letterbox(image, (64, 48)) is image
    assert letterbox(image, None) is image
