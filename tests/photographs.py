"""The six photographs that the tests use: two of person a, two of person b, and two other people."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

import zuluko.nodes
from zuluko.perception.detector import Detector
from zuluko.perception.recogniser import Recogniser

_TESTS = Path(__file__).parent / "data" / "faces"
_DEMO = Path(zuluko.nodes.__file__).parent / "photographs"

PATHS = {
    "person_a_1": _TESTS / "person_a_1.jpg",
    "person_a_2": _TESTS / "person_a_2.jpg",
    "person_b_1": _DEMO / "owner_enrolled.jpg",
    "person_b_2": _DEMO / "owner.jpg",
    "impostor_1": _DEMO / "stranger.jpg",
    "impostor_2": _TESTS / "impostor_2.jpg",
}


def load(name: str) -> np.ndarray:
    """A photograph, height x width x 3 bytes."""
    image = cv2.imread(str(PATHS[name]))
    assert image is not None, PATHS[name]
    return image


@cache
def networks() -> tuple[Detector, Recogniser]:
    """Both networks, once a test process."""
    return Detector(), Recogniser()


@cache
def template(name: str) -> np.ndarray:
    """The template of a photograph's largest face."""
    detect, recognise = networks()
    image = load(name)
    return recognise(image, detect(image)[0].landmarks)


def wide(name: str, pixels: float) -> np.ndarray:
    """A photograph scaled so that its face is so many pixels wide."""
    image = load(name)
    scale = pixels / networks()[0](image)[0].box[2]
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def beside(*images: np.ndarray) -> np.ndarray:
    """Pictures side by side, on black."""
    height = max(image.shape[0] for image in images)
    return np.hstack([np.pad(image, ((0, height - image.shape[0]), (0, 0), (0, 0))) for image in images])


def turned(name: str, degrees: float) -> np.ndarray:
    """A photograph whose face is wrapped around a cylinder, which is then turned about its upright axis."""
    image = wide(name, 200)
    middle = networks()[0](image)[0].landmarks[:, 0].mean()
    radius = 115.0
    columns, rows = np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0]))
    seen = np.arcsin(np.clip((columns - middle) / radius, -1, 1)) - np.radians(degrees)
    source = middle + radius * np.sin(np.clip(seen, -np.pi / 2, np.pi / 2))
    return cv2.remap(image, source.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
