"""Pictures: height x width x 3 bytes, blue, green, red, whatever the camera or the file had."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_FILE_BYTES = 64 * 1024 * 1024
MOST_PIXELS = 50_000_000  # 150 MB once decoded; a board has 512

# OpenCV and FFmpeg would print their own diagnostics over a node's output; what matters is told by the node.
# Both look at the environment once, at import and at the first stream; who sets them sees everything.
# The limit of pixels holds for formats whose header is not read here.
_WANTS_OPENCV_LOG = "OPENCV_LOG_LEVEL" in os.environ
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

if not _WANTS_OPENCV_LOG:  # it may have been imported before
    getattr(cv2.utils, "logging", cv2).setLogLevel(0)  # it moved with OpenCV 5

Image = NDArray[Any]
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}


class PictureError(ValueError):
    """Why a file gives no picture, in one sentence without the file's name and without its full stop."""


def bgr(image: Image) -> Image:
    """Any grey, BGR or BGRA picture of 8 or 16 bits as a BGR picture of 8 bits."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    if channels not in _TO_BGR:
        raise ValueError(f"its pictures have {channels} channels, which is neither grey nor colour")
    return np.asarray(cv2.cvtColor(image, _TO_BGR[channels]))


def decoded(data: bytes) -> Image | None:
    """A JPEG's picture; None where it is damaged or larger than is allowed."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else bgr(image)


def letterbox(image: Image, size: tuple[int, int] | None) -> Image:
    """The picture in ``size`` (width, height), whole, undistorted, between black borders; None: as it is."""
    height, width = image.shape[:2]
    if size is None or size == (width, height):
        return image
    scale = min(size[0] / width, size[1] / height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    framed = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    framed[top : top + high, left : left + wide] = cv2.resize(image, (wide, high), interpolation=method)
    return framed


def load(path: Path) -> Image:
    """The picture in a file, height x width x 3 bytes, turned as its EXIF data says.

    Raises PictureError: missing, unreadable, cut short, no picture, or too large. It never decodes more than
    ``MOST_PIXELS``, however few bytes they take in the file.
    """
    content = _content(path)
    if content.startswith(b"\xff\xd8") and not whole_jpeg(content):
        raise PictureError("it is a JPEG that was cut short")
    width, height = header_size(content)
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"it has {width} x {height} pixels; at most {MOST_PIXELS // 10**6} million are taken"
        )
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError):
        raise PictureError(
            f"it cannot be decoded: it is damaged, larger than {MOST_PIXELS // 10**6} million pixels, "
            "or larger than the memory that is free"
        ) from None
    if image is None and width:
        raise PictureError("it is damaged or was cut short")
    if image is None:
        raise PictureError("it is not a picture that OpenCV can read, such as JPEG or PNG")
    return np.asarray(image)


def _content(path: Path) -> bytes:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise PictureError("it is not a file")
        if state.st_size > MOST_FILE_BYTES:
            raise PictureError(f"it is larger than {MOST_FILE_BYTES // 2**20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise PictureError(f"it cannot be read: {error.strerror}") from None
    if not content:
        raise PictureError("the file is empty")
    return content


def header_size(data: bytes) -> tuple[int, int]:
    """Width and height as a JPEG's, PNG's or BMP's header says, without decoding; (0, 0) for others."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(b"BM") and len(data) >= 26:
        numbers = [int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22)]
        return abs(numbers[0]), abs(numbers[1])  # a negative height: from the top to the bottom
    if data.startswith(b"\xff\xd8"):
        for marker, at in _segments(data):
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame, SOF
                height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
                return int.from_bytes(width, "big"), int.from_bytes(height, "big")
    return 0, 0


def whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG goes on to its end; decoders make grey of what is missing and say nothing."""
    return jpeg_end(data) > 0


def jpeg_end(data: bytes | bytearray) -> int:
    """Where the JPEG at the beginning of ``data`` ends; 0: it goes on; -1: it is none, or damaged.

    Walks the segments up to the pixels, because a thumbnail within them has an end of its own. Among the
    pixels, FF D9 can be nothing but the end, and FF D8 nothing but the next picture.
    """
    after = 2
    for marker, at in _segments(data):
        if marker == 0xDA:
            end, another = data.find(b"\xff\xd9", at), data.find(b"\xff\xd8", at)
            if another >= 0 and (end < 0 or another < end):
                return -1
            return end + 2 if end >= 0 else 0
        after = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return -1 if after + 4 <= len(data) else 0


def _segments(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Marker and place of each of a JPEG's segments up to and with SOS, the pixels (ITU T.81, annex B)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        yield data[at + 1], at
        if data[at + 1] == 0xDA:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
