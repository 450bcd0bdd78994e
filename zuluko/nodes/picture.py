"""Pictures: height x width x 3 bytes, blue, green, red, whatever the camera or the file had."""

import os
from pathlib import Path
from typing import Any

# OpenCV and FFmpeg would print their own diagnostics over a node's output; what matters is told by the node.
# Both look at the environment once, at import and at the first stream; who sets them sees everything.
_WANTS_OPENCV_LOG = "OPENCV_LOG_LEVEL" in os.environ
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

if not _WANTS_OPENCV_LOG:  # it may have been imported before
    getattr(cv2.utils, "logging", cv2).setLogLevel(0)  # it moved with OpenCV 5

Image = NDArray[Any]
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}


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


def load(path: Path) -> Image | None:
    """The picture in a file, turned as its EXIF data says; None where it is damaged or no picture."""
    data = path.read_bytes()
    if not data or (data.startswith(b"\xff\xd8") and not whole_jpeg(data)):
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image)


def whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG goes on to its end; decoders make grey of what is missing and say nothing.

    Walks the segments up to the pixels (ITU T.81, annex B), because a thumbnail within them has an end of its
    own. Among the pixels, FF D9 can be nothing but the end.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) >= 0
