"""SFace: alignment and templates against OpenCV's own, and who is told from whom."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from tests.photographs import PATHS, load, networks, template
from zuluko.perception import prepare
from zuluko.perception.gallery import SAME, THRESHOLD
from zuluko.perception.recogniser import REFERENCE, align, alignable, similarity
from zuluko.perception.zoo import SFACE

PAIRS = list(combinations(PATHS, 2))
SAME_PERSON = [("person_a_1", "person_a_2"), ("person_b_1", "person_b_2")]
STRANGERS = [pair for pair in PAIRS if pair not in SAME_PERSON]


@pytest.fixture(scope="module")
def opencv():
    return cv2.FaceRecognizerSF.create(str(prepare.graph(SFACE)), "")


@pytest.mark.parametrize("name", PATHS)
def test_alignment_and_template_are_those_of_opencv(name, opencv):
    image = load(name)
    face = networks()[0](image)[0]
    row = np.concatenate([face.box, face.landmarks.ravel(), [face.score]]).astype(np.float32)
    expected = opencv.alignCrop(image, row)
    aligned = align(image, face.landmarks)
    assert np.abs(aligned.astype(int) - expected).mean() < 0.1
    feature = opencv.feature(expected)[0]
    assert float(template(name) @ feature) / np.linalg.norm(feature) > 0.999


def test_a_template_is_128_numbers_of_length_1():
    numbers = template("person_a_2")
    assert numbers.shape == (128,)
    assert numbers.dtype == np.float32
    assert np.linalg.norm(numbers) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("one", "other"), SAME_PERSON)
def test_the_same_person_is_accepted(one, other):
    assert float(template(one) @ template(other)) >= THRESHOLD


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_strangers_are_refused(one, other):
    assert float(template(one) @ template(other)) < SAME < THRESHOLD


def test_a_tilted_head_is_the_same_person():
    image = load("person_b_1")
    height, width = image.shape[:2]
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 0.8)
    tilted = cv2.warpAffine(image, tilt, (width, height))
    detect, recognise = networks()
    assert float(recognise(tilted, detect(tilted)[0].landmarks) @ template("person_b_1")) > 0.85


def test_the_similarity_transform_is_found_again():
    turn = 1.7 * np.array([[np.cos(2.5), -np.sin(2.5)], [np.sin(2.5), np.cos(2.5)]])
    points = (REFERENCE - (12, -40)) @ np.linalg.inv(turn).T
    assert similarity(points, REFERENCE) == pytest.approx(np.hstack([turn, [[12], [-40]]]))


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = REFERENCE * (-1, 1)
    assert np.linalg.det(similarity(mirrored, REFERENCE)[:, :2]) > 0


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e-3])
def test_landmarks_that_are_no_face_cannot_be_aligned(number):
    assert alignable(REFERENCE.astype(np.float32))
    assert not alignable((REFERENCE * number).astype(np.float32))
    odd = REFERENCE.astype(np.float32)
    odd[3, 1] = number
    assert alignable(odd) == np.isfinite(number)
