"""Finds faces with YuNet (W. Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023)."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zuluko.perception.session import session
from zuluko.perception.zoo import YUNET

STRIDES = (8, 16, 32)  # pixels between two cells of the network's three output grids
MULTIPLE = 32  # of which both sides of its input must be


@dataclass(frozen=True, eq=False)
class Detection:
    """One found face, in pixels of the picture that was given.

    ``box``        4 numbers: x, y, width, height; may reach beyond the picture's edge
    ``landmarks``  5 x 2: right eye, left eye, nose tip, right and left corner of the mouth (the subject's)
    ``score``      0 to 1
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def area(self) -> float:
        return float(self.box[2] * self.box[3])


class Detector:
    """YuNet over pictures of any size.

    ``min_score``  weaker detections are left out
    ``longest``    a picture with a longer side than this many pixels is scaled down to it for the search;
                   the network finds faces of 10 to some 300 pixels in what it is given
    ``overlap``    of two boxes that share more than this part of their union, the weaker goes
    ``threads``    of onnxruntime
    """

    def __init__(
        self, *, min_score: float = 0.8, longest: int = 640, overlap: float = 0.3, threads: int = 1
    ) -> None:
        self.min_score = min_score
        self.longest = longest
        self.overlap = overlap
        self._session = session(YUNET, threads=threads)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (height x width x 3 bytes, blue, green, red), the largest first."""
        small, scale = _scaled_down(image, self.longest)
        tensor = _tensor(small)
        outputs = dict(zip(self._outputs, self._session.run(None, {"input": tensor}), strict=True))
        boxes, landmarks, scores = decode(outputs, tensor.shape[3], self.min_score)
        kept = suppress(boxes, scores, self.overlap)
        found = [
            Detection(
                box=boxes[i] * np.tile(scale, 2), landmarks=landmarks[i] * scale, score=float(scores[i])
            )
            for i in kept
        ]
        return sorted(found, key=lambda detection: -detection.area)


def _scaled_down(image: NDArray[np.uint8], longest: int) -> tuple[Any, NDArray[np.float32]]:
    """The picture with no side over ``longest``, and by what to multiply x and y to come back."""
    height, width = image.shape[:2]
    shrink = longest / max(height, width)
    if shrink >= 1:
        return image, np.ones(2, np.float32)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, np.array([width / size[0], height / size[1]], np.float32)


def _tensor(image: Any) -> NDArray[np.float32]:
    """1 x 3 x height x width, padded with black on the right and below to multiples of 32."""
    height, width = image.shape[:2]
    tensor = np.zeros((1, 3, height + -height % MULTIPLE, width + -width % MULTIPLE), np.float32)
    tensor[0, :, :height, :width] = image.transpose(2, 0, 1)
    return tensor


def decode(
    outputs: dict[str, NDArray[np.float32]], width: int, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n x 4: x, y, width, height), landmarks (n x 5 x 2) and scores (n) in the network's pixels.

    Every cell of each grid answers relative to its own corner, in units of its stride; sizes are logarithms;
    the score is the geometric mean of "a face" and "an object here" (OpenCV, face_detect.cpp, postProcess).
    """
    boxes, landmarks, scores = [], [], []
    for stride in STRIDES:
        sure = np.sqrt(outputs[f"cls_{stride}"][0, :, 0] * outputs[f"obj_{stride}"][0, :, 0])
        cells = np.flatnonzero(sure >= min_score)
        corner = np.stack([cells % (width // stride), cells // (width // stride)], axis=1).astype(np.float32)
        box = outputs[f"bbox_{stride}"][0, cells]
        size = np.exp(box[:, 2:])
        boxes.append(np.hstack([corner + box[:, :2] - size / 2, size]) * stride)
        points = outputs[f"kps_{stride}"][0, cells].reshape(-1, 5, 2)
        landmarks.append((points + corner[:, None]) * stride)
        scores.append(sure[cells])
    return np.concatenate(boxes), np.concatenate(landmarks), np.concatenate(scores)


def suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> list[int]:
    """Non-maximum suppression: the indices of the boxes to keep, the best first."""
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[_overlaps(boxes[best], boxes[left]) <= overlap]
    return kept


def _overlaps(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with each of the others."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    shared: NDArray[np.float32] = common / (box[2:].prod() + others[:, 2:].prod(axis=1) - common)
    return shared
