"""What makes a picture good enough to know somebody by, and what to say when it is not."""

import stat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zuluko.nodes.picture import whole_jpeg
from zuluko.perception.detector import Detection, Detector
from zuluko.perception.quality import MAX_TURN, MIN_SHARPNESS, MIN_WIDTH, quality
from zuluko.perception.recogniser import Recogniser

MOST_FILE_BYTES = 64 * 1024 * 1024


class PictureError(Exception):
    """Why a picture is refused. ``advice`` says it to somebody who stands before a camera."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


def template(image: NDArray[np.uint8], detect: Detector, recognise: Recogniser) -> NDArray[np.float32]:
    """The template of the one face in ``image`` (height x width x 3 bytes, blue, green, red).

    Raises PictureError: no face, several, or one that is too small, blurred or turned.
    """
    face = _only(detect(image))
    check(image, face)
    return recognise(image, face.landmarks)


def _only(faces: list[Detection]) -> Detection:
    if not faces:
        raise PictureError("there is no face in it", "no face in sight: step before the camera")
    if len(faces) > 1:
        raise PictureError(
            f"there are {len(faces)} faces in it; one is needed", "one person at a time, please"
        )
    return faces[0]


def check(image: NDArray[np.uint8], face: Detection) -> None:
    """Raises PictureError for a face that is too small, blurred or turned to know somebody by."""
    found = quality(image, face)
    if found.width < MIN_WIDTH:
        raise PictureError(
            f"the face is {found.width:.0f} pixels wide; at least {MIN_WIDTH:.0f} are needed", "come nearer"
        )
    if max(abs(found.yaw), abs(found.pitch)) > MAX_TURN:
        raise PictureError(f"the face is turned {_turned(found.yaw, found.pitch)}", "look into the camera")
    if found.sharpness < MIN_SHARPNESS:
        raise PictureError(
            f"the face is blurred (sharpness {found.sharpness:.1f}; at least {MIN_SHARPNESS:.0f} is needed)",
            "keep still, or find more light",
        )


def _turned(yaw: float, pitch: float) -> str:
    angle, way = (abs(yaw), "sideways") if abs(yaw) >= abs(pitch) else (abs(pitch), "up or down")
    return f"about {angle:.0f} degrees {way}; at most {MAX_TURN:.0f} are allowed"


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture in a file, height x width x 3 bytes. Raises PictureError where it is not whole."""
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
    if content.startswith(b"\xff\xd8") and not whole_jpeg(content):
        raise PictureError("it is a JPEG that was cut short")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # OpenCV raises for a picture of absurd size
        image = None
    if image is None:
        raise PictureError("it is not a picture that OpenCV can read, such as JPEG or PNG")
    return image  # type: ignore[no-any-return]
