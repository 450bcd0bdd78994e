"""How good a picture of a face is: large, sharp and frontal enough to tell who it is."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zuluko.perception.detector import Detection

MIN_WIDTH = 80.0  # pixels of the box: below it the 112 x 112 that SFace looks at is a picture blown up
MIN_SHARPNESS = 3.0
MAX_TURN = 25.0  # degrees

# How far the nose tip stands out before the eyes, in distances between the eyes (an adult's is near 35 of
# 63 mm), and where it lies between the eyes (0) and the mouth (1) when the face looks straight ahead: the
# mean of YuNet's landmarks over the six photographs of the tests.
NOSE_DEPTH = 0.55
NOSE_HEIGHT = 0.57


@dataclass(frozen=True)
class Quality:
    """``width`` in pixels, ``sharpness`` as ``sharpness()`` gives it, ``yaw`` and ``pitch`` in degrees.

    Yaw is positive to the right of the picture, pitch is positive downwards; both are coarse.
    """

    width: float
    sharpness: float
    yaw: float
    pitch: float

    @property
    def overall(self) -> float:
        """0 to 1: the least of the three, each against what enrolment asks for."""
        turn = max(abs(self.yaw), abs(self.pitch), 1.0)
        return min(1.0, self.width / MIN_WIDTH, self.sharpness / MIN_SHARPNESS, MAX_TURN / turn)


def quality(face: Detection, aligned: NDArray[np.uint8]) -> Quality:
    """The quality of one found face; ``aligned`` is it as ``recogniser.align`` gives it."""
    yaw, pitch = turn(face.landmarks)
    return Quality(width=float(face.box[2]), sharpness=sharpness(aligned), yaw=yaw, pitch=pitch)


def sharpness(aligned: NDArray[np.uint8]) -> float:
    """How much fine detail an aligned face (112 x 112 x 3 bytes) has; contrast and brightness do not count.

    Energy of the second derivative over the energy of the picture, in thousandths, in the direction in which
    there is less of it (so that motion blur shows), after a little smoothing (so that noise does not). Good
    pictures have 6 to 16. Below 3 a template has moved away from that of the sharp picture, to a cosine of
    0.9 and less: measured by blurring, shaking and shrinking the photographs of the tests.
    """
    grey = cv2.cvtColor(aligned, cv2.COLOR_BGR2GRAY)[28:104, 24:88].astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    across, down = np.diff(smooth, 2, axis=1), np.diff(smooth, 2, axis=0)
    return float(1000 * min(across.var(), down.var()) / max(float(smooth.var()), 1.0))


def turn(landmarks: NDArray[np.float32]) -> tuple[float, float]:
    """Yaw and pitch of a face in degrees from its five landmarks; a tilted head counts as straight.

    Seen from afar, a turn by t moves the nose tip by NOSE_DEPTH * sin(t) while the eyes close up by cos(t),
    so that the offset over the distance of the eyes is NOSE_DEPTH * tan(t).
    """
    right, left, nose, mouth = landmarks[0], landmarks[1], landmarks[2], landmarks[3:].mean(axis=0)
    eyes = max(float(np.linalg.norm(left - right)), 1e-3)
    along = (left - right) / eyes
    down = np.array([-along[1], along[0]])
    middle = (right + left) / 2
    sideways = float((nose - middle) @ along) / eyes
    height = float((nose - middle) @ down) / max(float((mouth - middle) @ down), 1e-3)
    yaw, pitch = np.degrees(np.arctan(np.array([sideways, height - NOSE_HEIGHT]) / NOSE_DEPTH))
    return float(yaw), float(pitch)
