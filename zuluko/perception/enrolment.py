"""What makes a picture good enough to know somebody by, and what to say when it is not."""

import numpy as np
from numpy.typing import NDArray

from zuluko.nodes.picture import PictureError
from zuluko.perception.detector import Detection, Detector
from zuluko.perception.quality import MAX_TURN, MIN_SHARPNESS, MIN_WIDTH, quality
from zuluko.perception.recogniser import Recogniser, align, alignable


class UnfitError(PictureError):
    """Why nobody can be known by a picture. ``advice`` says it to somebody who stands before a camera."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.advice = advice


def template(image: NDArray[np.uint8], detect: Detector, recognise: Recogniser) -> NDArray[np.float32]:
    """The template of the one face in ``image`` (height x width x 3 bytes, blue, green, red).

    Raises UnfitError: no face, several, or one that is too small, blurred or turned.
    """
    face = _only(detect(image))
    aligned = align(image, face.landmarks)
    check(face, aligned)
    return recognise.template(aligned)


def _only(faces: list[Detection]) -> Detection:
    faces = [face for face in faces if alignable(face.landmarks)]
    if not faces:
        raise UnfitError("there is no face in it", "no face in sight: step before the camera")
    if len(faces) > 1:
        raise UnfitError(f"there are {len(faces)} faces in it; one is needed", "one person at a time, please")
    return faces[0]


def check(face: Detection, aligned: NDArray[np.uint8]) -> None:
    """Raises UnfitError for a face that is too small, blurred or turned to know somebody by."""
    found = quality(face, aligned)
    if found.width < MIN_WIDTH:
        raise UnfitError(
            f"the face is {found.width:.0f} pixels wide; at least {MIN_WIDTH:.0f} are needed", "come nearer"
        )
    if max(abs(found.yaw), abs(found.pitch)) > MAX_TURN:
        raise UnfitError(f"the face is turned {_turned(found.yaw, found.pitch)}", "look into the camera")
    if found.sharpness < MIN_SHARPNESS:
        raise UnfitError(
            f"the face is blurred (sharpness {found.sharpness:.1f}; at least {MIN_SHARPNESS:.0f} is needed)",
            "keep still, or find more light",
        )


def _turned(yaw: float, pitch: float) -> str:
    angle, way = (abs(yaw), "sideways") if abs(yaw) >= abs(pitch) else (abs(pitch), "up or down")
    return f"about {angle:.0f} degrees {way}; at most {MAX_TURN:.0f} are allowed"
