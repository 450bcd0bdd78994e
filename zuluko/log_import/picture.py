"""Pictures of others, in the forms in which they come, as ours: height x width x 3 bytes, blue, green,
red."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zuluko.bus import jpeg
from zuluko.bus.wire import LARGEST_ARRAYS
from zuluko.log_import.source import Jpeg, UnfitError

Picture = np.ndarray[Any, Any]
LARGEST = LARGEST_ARRAYS - (1 << 16)  # bytes of a picture, so that its message fits into a log
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"


class _Encoding(NamedTuple):
    """How many values a pixel has, of how many bits, and what makes blue, green and red of them: the name of
    a conversion of OpenCV, or a function."""

    channels: int
    bits: int
    convert: "str | Callable[[Picture], Picture]"


def _same(pixels: Picture) -> Picture:
    return pixels


def _grey(pixels: Picture) -> Picture:
    return np.repeat(pixels, 3, axis=2)


# sensor_msgs/image_encodings.hpp; a Bayer pattern is named by its first row's and second row's first pixels.
ENCODINGS = {
    "bgr8": _Encoding(3, 8, _same),
    "8UC3": _Encoding(3, 8, _same),
    "rgb8": _Encoding(3, 8, "COLOR_RGB2BGR"),
    "bgra8": _Encoding(4, 8, "COLOR_BGRA2BGR"),
    "8UC4": _Encoding(4, 8, "COLOR_BGRA2BGR"),
    "rgba8": _Encoding(4, 8, "COLOR_RGBA2BGR"),
    "mono8": _Encoding(1, 8, _grey),
    "8UC1": _Encoding(1, 8, _grey),
    "mono16": _Encoding(1, 16, _grey),
    "bgr16": _Encoding(3, 16, _same),
    "rgb16": _Encoding(3, 16, "COLOR_RGB2BGR"),
    "bgra16": _Encoding(4, 16, "COLOR_BGRA2BGR"),
    "rgba16": _Encoding(4, 16, "COLOR_RGBA2BGR"),
    "bayer_rggb8": _Encoding(1, 8, "COLOR_BayerRGGB2BGR"),
    "bayer_bggr8": _Encoding(1, 8, "COLOR_BayerBGGR2BGR"),
    "bayer_gbrg8": _Encoding(1, 8, "COLOR_BayerGBRG2BGR"),
    "bayer_grbg8": _Encoding(1, 8, "COLOR_BayerGRBG2BGR"),
    "bayer_rggb16": _Encoding(1, 16, "COLOR_BayerRGGB2BGR"),
    "bayer_bggr16": _Encoding(1, 16, "COLOR_BayerBGGR2BGR"),
    "bayer_gbrg16": _Encoding(1, 16, "COLOR_BayerGBRG2BGR"),
    "bayer_grbg16": _Encoding(1, 16, "COLOR_BayerGRBG2BGR"),
    "yuv422": _Encoding(2, 8, "COLOR_YUV2BGR_UYVY"),
    "uyvy": _Encoding(2, 8, "COLOR_YUV2BGR_UYVY"),
    "yuv422_yuy2": _Encoding(2, 8, "COLOR_YUV2BGR_YUY2"),
    "yuyv": _Encoding(2, 8, "COLOR_YUV2BGR_YUY2"),
}
NO_PICTURES = {
    "16UC1": "a depth picture",
    "32FC1": "a depth picture",
    "16SC1": "a picture of differences",
}


def raw(data: Picture, *, encoding: str, size: tuple[int, int], step: int, big_endian: bool) -> Picture:
    """A sensor_msgs/Image's bytes as a picture; ``size`` is height and width, ``step`` bytes a row. Of 16
    bits the upper 8 are kept. Raises UnfitError."""
    known = ENCODINGS.get(encoding)
    if known is None:
        what = NO_PICTURES.get(encoding)
        raise UnfitError(
            f"its encoding is `{encoding:.40}`{f', {what},' if what else ''} and no message holds it"
        )
    height, width = size
    row = width * known.channels * known.bits // 8
    if not (height and width and step >= row and step * height == data.size):
        raise UnfitError(
            f"{data.size} bytes are no {width}x{height} picture in {encoding}, {step} bytes a row"
        )
    _check_size(height, width)
    rows = data.reshape(height, step)[:, :row]
    if known.bits == 16:  # the upper byte of each two
        rows = rows[:, 0 if big_endian else 1 :: 2]
    return _converted(np.ascontiguousarray(rows.reshape(height, width, known.channels)), known)


def _converted(pixels: Picture, known: _Encoding) -> Picture:
    import cv2

    if callable(known.convert):
        return known.convert(pixels)
    try:
        return np.asarray(cv2.cvtColor(pixels, getattr(cv2, known.convert)))
    except cv2.error as error:  # such as an odd width
        raise UnfitError(f"it cannot be converted ({str(error).splitlines()[0]:.80})") from None


def packed(data: bytes, form: str = "") -> Picture | Jpeg:
    """A JPEG as it is, or a PNG as the picture that it packs; ``form`` is what it is said to be. Raises
    UnfitError."""
    if "compressedDepth" in form:
        raise UnfitError("it is a depth picture, and no message holds it")
    if data.startswith(JPEG):
        return _jpeg(data)
    if not data.startswith(PNG):
        raise UnfitError(f"it is neither JPEG nor PNG but {form[:40] or 'something else'}")
    import cv2

    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    _check_size(height, width)
    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (height, width, 3):
        raise UnfitError("it is a PNG that cannot be read")
    return np.asarray(picture)


def _jpeg(data: bytes) -> Jpeg:
    import cv2

    size = jpeg.size(data)
    if len(size) != 2 or len(data) > LARGEST:
        raise UnfitError("it is a JPEG that cannot be read")
    _check_size(*size)
    small = (
        cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    )  # enough to see that it can be read
    if cv2.imdecode(np.frombuffer(data, np.uint8), small) is None:
        raise UnfitError("it is a JPEG that cannot be read")
    return Jpeg((*size, 3), data)


def file(path: Path) -> Picture | Jpeg:
    """The picture in a file; raises UnfitError."""
    try:
        with path.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise UnfitError(f"{path.name} cannot be read ({error.strerror})") from None
    return packed(data[:LARGEST])


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width * 3 <= LARGEST:
        raise UnfitError(f"a picture of {width}x{height} is none, or larger than the 64 MB that a log holds")
