"""YuNet: its decoding against OpenCV's own, and pictures of every kind."""

import cv2
import numpy as np
import pytest

from tests.photographs import PATHS, beside, load, networks, wide
from zuluko.perception import prepare
from zuluko.perception.detector import Detector, suppress
from zuluko.perception.zoo import YUNET

# Where the eyes, the nose and the corners of the mouth are, measured by hand to a few pixels.
BY_HAND = {
    "person_a_1": [(87, 87), (120, 87), (104, 108), (90, 123), (120, 123)],
    "person_b_1": [(290, 311), (423, 301), (368, 380), (307, 436), (432, 428)],
}


def numbers(detection) -> np.ndarray:
    return np.concatenate([detection.box, detection.landmarks.ravel(), [detection.score]])


@pytest.fixture(scope="module")
def opencv():
    return cv2.FaceDetectorYN.create(str(prepare.graph(YUNET)), "", (320, 320), 0.8, 0.3, 5000)


@pytest.mark.parametrize("name", PATHS)
def test_it_finds_what_opencv_finds(name, opencv):
    image = load(name)
    opencv.setInputSize(image.shape[1::-1])
    expected = opencv.detect(image)[1]
    found = Detector(longest=2000)(image)
    assert len(found) == len(expected) == 1
    assert numbers(found[0]) == pytest.approx(expected[0], abs=0.05)


@pytest.mark.parametrize("name", BY_HAND)
def test_landmarks_lie_on_the_face(name):
    face = networks()[0](load(name))[0]
    off = np.linalg.norm(face.landmarks - np.array(BY_HAND[name]), axis=1)
    assert off.max() < 0.05 * face.box[2]


@pytest.mark.parametrize("name", PATHS)
def test_a_large_picture_is_searched_small_and_answered_large(name):
    as_it_is = Detector(longest=900)(load(name))[0]
    (large,) = Detector(longest=320)(cv2.resize(load(name), None, fx=3, fy=3))
    assert large.landmarks == pytest.approx(3 * as_it_is.landmarks, abs=0.3 * float(as_it_is.box[2]))
    assert large.box == pytest.approx(3 * as_it_is.box, abs=0.5 * float(as_it_is.box[2]))


def test_a_picture_that_is_not_square_is_scaled_alike_both_ways():
    image = np.zeros((500, 3001, 3), np.uint8)
    photograph = wide("person_b_2", 120)
    image[: photograph.shape[0], 2500 : 2500 + photograph.shape[1]] = photograph
    (found,) = Detector(longest=1000)(image)
    (alone,) = networks()[0](photograph)
    assert found.landmarks == pytest.approx(alone.landmarks + np.array([2500, 0]), abs=12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (31, 33), (64, 32), (479, 641), (1080, 1920)])
def test_any_size_without_a_face_has_none(shape):
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert networks()[0](noise) == []
    assert networks()[0](np.zeros_like(noise)) == []


def test_the_largest_face_comes_first():
    faces = networks()[0](beside(wide("impostor_1", 60), wide("person_a_2", 110), wide("person_b_1", 80)))
    assert [round(float(face.box[2]), -1) for face in faces] == [110, 80, 60]
    assert faces[0].area > faces[1].area > faces[2].area


def test_a_stricter_score_finds_less():
    image = load("person_b_1")
    score = networks()[0](image)[0].score
    assert len(Detector(min_score=score - 0.01)(image)) == 1
    assert Detector(min_score=score + 0.01)(image) == []


def test_a_picture_in_shared_memory_may_be_read_only():
    image = load("person_a_1")
    image.setflags(write=False)
    assert len(networks()[0](image)) == 1


def test_of_overlapping_boxes_the_best_is_kept():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [6, 0, 10, 10], [30, 30, 5, 5]], np.float32)
    assert suppress(boxes, np.array([0.8, 0.9, 0.7, 0.6], np.float32), 0.3) == [1, 3]
    assert suppress(boxes, np.array([0.8, 0.9, 0.7, 0.6], np.float32), 0.4) == [1, 2, 3]
    assert suppress(boxes[:0], np.zeros(0, np.float32), 0.3) == []
