"""The pictures in a message, as other programs name their layouts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zuluko.bus.jpeg import size as jpeg_size
from zuluko.bus.wire import WireError, plain_dtype, plain_shape
from zuluko.log import from_log

if TYPE_CHECKING:
    from zuluko.log_export.part import Item, Part

FRAME = "Frame/1"
SMALLEST = 8  # pixels each way; what is smaller is a table of numbers

# What ROS and Foxglove both call the layout of an array, by its numbers and how many there are a pixel.
ENCODINGS = {("|u1", 3): "bgr8", ("|u1", 1): "mono8", ("<u2", 1): "16UC1", ("<f4", 1): "32FC1"}


@dataclass(frozen=True)
class Picture:
    """One picture of a message: a JPEG as it lies in the log where it is one, and else its pixels.

    ``field``  what the message calls it, such as ``image``
    ``jpeg``   the JPEG's bytes, or empty
    ``form``   the map of dtype, shape and bytes that stands in the log
    """

    field: str
    encoding: str
    height: int
    width: int
    jpeg: bytes
    form: dict[str, Any]

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """Its pixels, height x width, or those x 3 in the order blue, green, red; raises WireError."""
        return from_log(self.form)

    @property
    def step(self) -> int:
        """Bytes a row."""
        return self.width * plain_dtype(self.form["dtype"]).itemsize * (3 if self.encoding == "bgr8" else 1)


def pictures(body: dict[str, Any]) -> Iterator[Picture]:
    """The arrays of a message that are pictures; raises WireError for one that cannot be read."""
    for field, form in body.items():
        if isinstance(form, dict) and {"dtype", "shape"} <= form.keys() and (found := _picture(field, form)):
            yield found


def shown(part: "Part", item: "Item") -> Iterator[Picture]:
    """The pictures of a message of a part, which counts a Frame that has none; raises WireError."""
    count = 0
    for count, one in enumerate(pictures(item.body), 1):  # noqa: B007
        yield one
    if item.kind == FRAME and not count:
        part.leave_out(item.topic, unseen(item.body))


def unseen(body: dict[str, Any]) -> str:
    """Why a Frame without pictures has none."""
    form = body.get("image")
    try:
        shape = plain_shape(form["shape"]) if isinstance(form, dict) and "shape" in form else ()
    except WireError as error:
        return str(error)
    if min(shape[:2], default=SMALLEST) < SMALLEST:
        return f"a picture under {SMALLEST} pixels a side is not shown"
    return "it has no picture that can be read"


def _picture(field: str, form: dict[str, Any]) -> Picture | None:
    shape = plain_shape(form["shape"])
    channels = shape[2] if len(shape) == 3 else 1
    encoding = ENCODINGS.get((plain_dtype(form["dtype"]).str, channels))
    if not 2 <= len(shape) <= 3 or min(shape[:2]) < SMALLEST or encoding is None:
        return None
    jpeg = form.get("jpeg", b"")
    if jpeg and (not isinstance(jpeg, bytes) or jpeg_size(jpeg) != shape[:2]):
        raise WireError("malformed", "a JPEG that cannot be read")
    return Picture(field, encoding, shape[0], shape[1], jpeg, form)


def topic_of(topic: str, kind: str, picture: Picture) -> str:
    """Where a picture is shown: a Frame's on the topic itself, another's beside its message."""
    return topic if kind == FRAME else f"{topic}/{picture.field}"
