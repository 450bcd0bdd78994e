"""Tells faces apart with SFace (Y. Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss", 2021)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zuluko.perception.session import session
from zuluko.perception.zoo import SFACE

SIDE = 112  # pixels of the aligned face

# Where the five landmarks lie in an aligned face, x and y: the reference of ArcFace (Deng et al., 2019) that
# OpenCV's FaceRecognizerSF uses too. Right eye, left eye, nose, right and left corner of the mouth.
REFERENCE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


class Recogniser:
    """SFace: from a face in a picture to its template."""

    def __init__(self, *, threads: int = 1) -> None:
        self._session = session(SFACE, threads=threads)

    def __call__(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """The template of the face with these landmarks (5 x 2, pixels): 128 numbers of Euclidean length 1.

        The cosine of two templates is their dot product.
        """
        return self.template(align(image, landmarks))

    def template(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The template of a face already aligned (112 x 112 x 3 bytes, blue, green, red)."""
        tensor = aligned[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        numbers: NDArray[np.float32] = self._session.run(None, {"data": tensor})[0][0]
        unit: NDArray[np.float32] = numbers / np.linalg.norm(numbers)
        return unit


def alignable(landmarks: NDArray[np.float32]) -> bool:
    """Whether these are landmarks of a face at all: finite, and not all on one spot (within a pixel)."""
    return bool(np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).max() >= 1)


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The face turned, scaled and moved so that its landmarks lie on REFERENCE: 112 x 112 x 3 bytes.

    Ask first whether they are ``alignable``.
    """
    return cv2.warpAffine(image, similarity(landmarks, REFERENCE), (SIDE, SIDE))  # type: ignore[no-any-return]


def similarity(points: NDArray[np.floating], onto: NDArray[np.floating]) -> NDArray[np.float64]:
    """The 2 x 3 similarity transform that brings ``points`` (n x 2) nearest ``onto`` in least squares.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991,
    equations 39 to 43; reflections excluded.
    """
    from_mean, onto_mean = points.mean(axis=0), onto.mean(axis=0)
    centred = points - from_mean
    u, scales, v = np.linalg.svd((onto - onto_mean).T @ centred / len(points))
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    turn = u @ np.diag(signs) @ v
    scale = (scales @ signs) / centred.var(axis=0).sum()
    return np.hstack([scale * turn, (onto_mean - scale * turn @ from_mean)[:, None]])
