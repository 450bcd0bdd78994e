"""Pictures, and whom they show."""

from __future__ import annotations

from typing import Annotated

import msgspec

from zuluko.bus.message import Array, Message
from zuluko.bus.np import NDArray, np

Point = tuple[float, float]


class Frame(Message, tag="Frame/1"):
    """One picture; ``stamp`` is the moment at which it was grabbed.

    ``image``  height x width x 3 bytes, blue, green, red, rows from the top
    ``jpeg``   the same picture byte for byte as the camera gave it, where it gave a JPEG and was asked for it
    ``scene``  ground truth where the source knows it (the demo, a labelled recording), else empty;
               it is there to judge by, perception never reads it
    """

    image: Annotated[NDArray[np.uint8], Array("u1", (None, None, 3))]
    scene: str = ""
    jpeg: Annotated[NDArray[np.uint8], Array("u1", (None,))] | None = None


class Face(msgspec.Struct, kw_only=True, frozen=True):
    """One face in a picture.

    ``box``         x, y, width, height in pixels; may reach beyond the image's edge
    ``landmarks``   right eye, left eye, nose tip, right and left corner of the mouth (the subject's right),
                    each x, y in pixels
    ``score``       the detector's confidence, 0 to 1
    ``name``        the person, or empty where nobody in the gallery is similar enough
    ``similarity``  best cosine to the most similar person's templates, -1 to 1; -1 where it was not looked
                    for: the gallery is empty, or the face too small or not among the largest four
    ``margin``      how much more similar that person is than the second best; with one person in the
                    gallery there is nobody to confuse them with, and the margin is 2; 0 beside a
                    similarity that was not looked for
    ``quality``     0 to 1: the least of the face's size, sharpness and frontality, each against what
                    enrolment asks for; 0 where it was not looked for, as the similarity
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[Point, Point, Point, Point, Point]
    score: float
    name: str = ""
    similarity: float = -1.0
    margin: float = 0.0
    quality: float = 0.0


class Faces(Message, tag="Faces/1"):
    """The faces in one picture, the largest first; ``size`` is the picture's width and height in pixels."""

    items: tuple[Face, ...] = ()
    size: tuple[int, int] = (0, 0)
