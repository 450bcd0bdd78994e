"""The demo clip: a door camera's evening, composed at run time from two photographs in the package.

A stranger walks up and leaves, then the owner, in another photograph than the enrolled one. Nothing in it is
random: the same time gives the same picture, to the bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, count, takewhile
from math import pi, sin
from pathlib import Path

import cv2
import numpy as np

from zuluko.nodes.picture import Image, letterbox

PHOTOGRAPHS = Path(__file__).parent / "photographs"
WIDTH, HEIGHT = 640, 480
DOORWAY = (slice(24, 384), slice(48, 592))  # rows and columns through which the camera sees people
FAR, NEAR = 0.31, 0.56  # a person's size, as a scale of the photograph
WALK_IN, WALK_OUT = 1.3, 0.9  # seconds
NOISE = 4  # the sensor's, in grey levels to either side


@dataclass(frozen=True)
class Person:
    """Who stands in a photograph: the middle of the face and the outline to cut along, in its pixels."""

    photo: str
    face: tuple[int, int]
    outline: str


@dataclass(frozen=True)
class Scene:
    """``name`` is the ground truth that every picture of the scene carries."""

    name: str
    seconds: float
    person: Person | None = None


OWNER = Person(
    "owner.jpg",
    (345, 310),
    "246,49 202,98 170,161 147,256 134,357 140,400 150,445 138,482 102,500 80,524 67,560 62,604 34,630 "
    "18,680 8,760 4,899 682,899 674,760 652,680 620,627 610,597 587,571 577,533 580,515 595,505 596,459 "
    "622,449 617,410 625,377 570,328 508,165 467,99 430,62 388,41 341,30 312,30 284,45",
)
STRANGER = Person(
    "stranger.jpg",
    (342, 290),
    "261,123 232,146 206,181 198,210 196,276 181,293 183,318 203,373 224,379 231,388 245,440 242,460 195,513 "
    "112,555 55,574 16,621 4,690 2,784 678,784 672,720 660,690 634,622 606,602 516,580 466,562 430,530 "
    "418,500 418,464 445,409 453,366 473,353 484,293 480,268 466,254 461,212 440,159 401,125 360,107 307,105",
)
SCENES = (
    Scene("stranger", 4.2, STRANGER),
    Scene("empty", 0.8),
    Scene("owner", 3.8, OWNER),
    Scene("empty", 4.0),  # so that the lock is seen to lock again
)
SECONDS = sum(scene.seconds for scene in SCENES)


def clip(size: tuple[int, int] | None = None, hz: float = 15.0) -> Iterator[tuple[str, Image]]:
    """The whole clip once: ground truth and picture, one every ``1 / hz`` seconds of it.

    ``size`` is width and height in pixels; None gives 640 x 480.
    """
    for t in takewhile(lambda t: t < SECONDS, (index / hz for index in count())):
        scene, picture = compose(t)
        yield scene, letterbox(picture, size)


def prepare() -> None:
    """Cuts and draws what all pictures share, a tenth of a second's work, so that the first is not late."""
    for scene in SCENES:
        if scene.person is not None:
            _cut_out(scene.person)
    _porch(), _grain()


def scene_at(t: float) -> tuple[Scene, float]:
    """The scene at ``t`` seconds into the clip, and how long it has been going on."""
    starts = accumulate((scene.seconds for scene in SCENES), initial=0.0)
    return next((s, t - start) for s, start in zip(SCENES, starts, strict=False) if t < start + s.seconds)


def compose(t: float) -> tuple[str, Image]:
    """Ground truth and picture (480 x 640 x 3, BGR) at ``t`` seconds, 0 <= t < SECONDS."""
    scene, since = scene_at(t)
    picture = _porch().copy()
    if scene.person is not None:
        _paste(picture[DOORWAY], _cut_out(scene.person), _place(scene, since))
    return scene.name, _expose(picture, t)


def _place(scene: Scene, t: float) -> Image:
    """The 2 x 3 matrix that puts the scene's person into the doorway: in from the left, out to the right.

    The face keeps to the camera's height, as it does for a camera at a door; only its size changes.
    """
    come = _ease(t / WALK_IN)
    go = _ease((t - scene.seconds + WALK_OUT) / WALK_OUT)
    near = come * (1 - go)
    scale = (FAR + (NEAR - FAR) * near) / NEAR * (1 + 0.01 * sin(2 * pi * 0.37 * t))
    bob = 6 * (1 - near) * abs(sin(2 * pi * 0.9 * t))
    x = -95 + 367 * come + 375 * go + 5 * sin(2 * pi * 0.31 * t)
    y = 212 - 18 * near - bob
    face = np.multiply(scene.person.face if scene.person else (0, 0), NEAR)
    matrix = cv2.getRotationMatrix2D(face.tolist(), 1.6 * sin(2 * pi * 0.23 * t), scale)
    matrix[:, 2] += (x, y) - face
    return np.asarray(matrix)


def _ease(u: float) -> float:
    """0 to 1 without a jerk at either end."""
    u = min(max(u, 0.0), 1.0)
    return u * u * (3 - 2 * u)


def _paste(doorway: Image, person: Image, place: Image) -> None:
    """Lays a cut-out (BGRA, premultiplied) over the picture, in place."""
    layer = cv2.warpAffine(person, place, (doorway.shape[1], doorway.shape[0]), flags=cv2.INTER_LINEAR)
    behind = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(layer, 3)), cv2.COLOR_GRAY2BGR)
    shaded = cv2.multiply(np.ascontiguousarray(doorway), behind, scale=1 / 255)
    doorway[:] = cv2.add(shaded, cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR))


@cache
def _cut_out(person: Person) -> Image:
    """The person at the size of NEAR, cut along the outline with a soft edge; BGRA, premultiplied."""
    photo = cv2.imread(str(PHOTOGRAPHS / person.photo))
    if photo is None:
        raise FileNotFoundError(f"{PHOTOGRAPHS / person.photo} is missing or damaged; install zuluko again")
    outline = np.array([point.split(",") for point in person.outline.split()], np.int32)
    inside = cv2.fillPoly(np.zeros(photo.shape[:2], np.uint8), [outline], 255)
    inside = cv2.GaussianBlur(cv2.erode(inside, np.ones((7, 7), np.uint8)), (0, 0), 4)
    cut = cv2.multiply(photo, cv2.cvtColor(inside, cv2.COLOR_GRAY2BGR), scale=1 / 255)
    return np.asarray(
        cv2.resize(cv2.merge([cut, inside]), None, fx=NEAR, fy=NEAR, interpolation=cv2.INTER_AREA)
    )


def _expose(picture: Image, t: float) -> Image:
    """The camera's part: light that changes in strength and colour, and the sensor's noise."""
    gain = 1.0 + 0.10 * sin(2 * pi * t / 5.3) + 0.04 * sin(2 * pi * t / 1.7)
    warmth = 0.04 * sin(2 * pi * t / 8.9 + 1)
    tone = np.arange(256)[:, None, None] * np.array([gain * (1 - warmth), gain, gain * (1 + warmth)]) - NOISE
    lit = cv2.LUT(picture, np.clip(tone, 0, 255 - 2 * NOISE).astype(np.uint8))
    beat = round(t * 1000)
    top, left = beat * 37 % 64, beat * 53 % 64
    return np.asarray(cv2.add(lit, _grain()[top : top + HEIGHT, left : left + WIDTH]))


@cache
def _grain() -> Image:
    """Noise of twice NOISE at most, larger than a picture, so that each shows another part of it."""
    draw = np.random.default_rng(7).normal(NOISE, NOISE / 2, (HEIGHT + 64, WIDTH + 64, 3))
    return np.asarray(draw.clip(0, 2 * NOISE).astype(np.uint8))


# What the porch consists of, from the back to the front: colour (BGR) and corners.
_PORCH = (
    ((120, 138, 150), ((0, 0), (640, 0), (640, 480), (0, 480))),  # the wall at the back
    ((148, 160, 168), ((0, 0), (640, 0), (455, 92), (185, 92))),  # ceiling
    ((86, 100, 116), ((0, 480), (640, 480), (455, 318), (185, 318))),  # floor
    ((104, 124, 140), ((0, 0), (185, 92), (185, 318), (0, 480))),  # left wall
    ((132, 150, 162), ((640, 0), (455, 92), (455, 318), (640, 480))),  # right wall
    ((70, 84, 98), ((262, 128), (378, 128), (378, 318), (262, 318))),  # the house door's frame
    ((92, 78, 66), ((268, 134), (372, 134), (372, 318), (268, 318))),  # and its leaf
    ((196, 186, 168), ((282, 148), (358, 148), (358, 226), (282, 226))),  # with a pane
    ((92, 78, 66), ((318, 148), (322, 148), (322, 226), (318, 226))),
    ((150, 196, 226), ((80, 122), (104, 132), (104, 172), (80, 170))),  # a lamp on the left wall
    ((98, 88, 84), ((520, 150), (586, 128), (586, 236), (520, 232))),  # a picture on the right one
    ((150, 146, 122), ((526, 157), (580, 138), (580, 228), (526, 226))),
)
_FRAME = (
    ((60, 66, 72), ((0, 0), (48, 0), (48, 480), (0, 480))),
    ((60, 66, 72), ((592, 0), (640, 0), (640, 480), (592, 480))),
    ((60, 66, 72), ((0, 0), (640, 0), (640, 24), (0, 24))),
    ((84, 92, 100), ((40, 16), (48, 24), (48, 384), (40, 384))),  # the edges that catch the light
    ((44, 48, 54), ((592, 24), (600, 16), (600, 384), (592, 384))),
    ((62, 76, 92), ((0, 384), (640, 384), (640, 480), (0, 480))),  # the lower half of the door
    ((96, 112, 130), ((0, 384), (640, 384), (640, 394), (0, 394))),
    ((50, 62, 76), ((70, 412), (300, 412), (300, 480), (70, 480))),
    ((50, 62, 76), ((340, 412), (570, 412), (570, 480), (340, 480))),
)


@cache
def _porch() -> Image:
    """The empty scene: a porch out of focus, seen over the lower half of a door."""
    porch = _draw(np.zeros((HEIGHT, WIDTH, 3), np.uint8), _PORCH)
    porch = cv2.GaussianBlur(porch, (0, 0), 4)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    lamp = 0.5 * np.exp(-((x - 92) ** 2 + (y - 150) ** 2) / 16000)
    corners = 0.35 * (((x - 320) / 320) ** 2 + ((y - 200) / 280) ** 2)
    shade = (1.05 - corners)[..., None] + lamp[..., None] * np.array([0.6, 0.85, 1.0])
    lit = np.clip(porch * shade, 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(_draw(lit, _FRAME), (0, 0), 0.8))


def _draw(picture: Image, shapes: tuple[tuple[tuple[int, ...], tuple[tuple[int, int], ...]], ...]) -> Image:
    for colour, corners in shapes:
        cv2.fillPoly(picture, [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    return picture
