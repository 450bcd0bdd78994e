import hashlib
from itertools import groupby, pairwise

import cv2
import numpy as np
import pytest

from zuluko.bus import clock
from zuluko.nodes import demo
from zuluko.nodes.camera import camera
from zuluko.perception.detector import Detector
from zuluko.perception.recogniser import Recogniser

HZ = 5.0


@pytest.fixture(scope="module")
def clip() -> list[tuple[str, np.ndarray]]:
    return list(demo.clip(hz=HZ))


def test_the_scenes_follow_each_other_for_as_long_as_the_table_says(clip):
    played = [(name, len(list(group)) / HZ) for name, group in groupby(clip, key=lambda shot: shot[0])]
    assert [name for name, _ in played] == [scene.name for scene in demo.SCENES]
    assert [name for name, _ in played] == ["stranger", "empty", "owner", "empty"]
    for (_, seconds), scene in zip(played, demo.SCENES, strict=True):
        assert seconds == pytest.approx(scene.seconds, abs=1 / HZ)
    assert 12 <= demo.SECONDS <= 14
    assert demo.SCENES[-1].seconds >= 3.5  # a lock that opens for 3 s is seen to lock again


def test_the_same_time_gives_the_same_picture_to_the_bit():
    first, second = (hashlib.sha256(demo.compose(2.0)[1].tobytes()).hexdigest() for _ in range(2))
    assert first == second
    assert hashlib.sha256(demo.compose(2.1)[1].tobytes()).hexdigest() != first


def test_a_picture_is_the_callers_own():
    _, image = demo.compose(5.0)
    image[:] = 0
    assert demo.compose(5.0)[1].mean() > 20


def test_no_picture_is_like_the_one_before_and_the_light_changes(clip):
    empty = [image for name, image in clip if name == "empty"]
    assert all((a != b).mean() > 0.3 for a, b in pairwise(empty))
    means = [image.mean() for image in empty]
    assert max(means) / min(means) > 1.1


def test_the_clip_comes_in_any_size():
    assert {image.shape for _, image in demo.clip((320, 240), hz=1)} == {(240, 320, 3)}
    assert {image.shape for _, image in demo.clip((480, 480), hz=1)} == {(480, 480, 3)}


def test_perception_finds_in_each_scene_who_is_there(clip):
    """Close up, faces are at least 110 pixels wide and whole."""
    detect, recognise = Detector(), Recogniser()
    enrolled = cv2.imread(str(demo.PHOTOGRAPHS / "owner_enrolled.jpg"))
    owner = recognise(enrolled, detect(enrolled)[0].landmarks)
    similarities: dict[str, list[float]] = {"stranger": [], "empty": [], "owner": []}
    for name, image in clip:
        for face in detect(image):
            x, y, width, height = face.box
            if width >= 110:
                assert 0 < x < x + width < 640
                assert 0 < y < y + height < 480
                similarities[name].append(float(recognise(image, face.landmarks) @ owner))
    assert similarities["empty"] == []
    assert len(similarities["stranger"]) > 2 * HZ
    assert len(similarities["owner"]) > 2.5 * HZ
    assert max(similarities["stranger"]) < 0.3
    assert min(similarities["owner"]) > 0.6
    assert max(similarities["owner"]) < 0.95  # another photograph than the enrolled one


def test_the_node_plays_it_in_real_time_with_the_truth(monkeypatch):
    scenes = (demo.Scene("stranger", 0.4, demo.STRANGER), demo.Scene("empty", 0.2))
    monkeypatch.setattr(demo, "SCENES", scenes)
    monkeypatch.setattr(demo, "SECONDS", 0.6)
    began = clock.now()
    frames = list(camera(source="demo", size=None, hz=10))
    assert clock.now() - began >= 0.5e9
    assert [frame.scene for frame in frames] == ["stranger"] * 4 + ["empty"] * 2
    assert {b.stamp - a.stamp for a, b in pairwise(frames)} == {100_000_000}


def test_in_a_loop_it_starts_again(monkeypatch):
    monkeypatch.setattr(demo, "SCENES", (demo.Scene("empty", 0.1),))
    monkeypatch.setattr(demo, "SECONDS", 0.1)
    frames = camera(source="demo", hz=50, loop=True)
    stamps = [next(frames).stamp for _ in range(12)]
    assert all(a < b for a, b in pairwise(stamps))
