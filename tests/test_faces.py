"""The faces node over lists of frames: who is in the picture, and which pictures are too old."""

import inspect
import logging
from pathlib import Path

import numpy as np
import pytest

from tests.photographs import beside, load, networks, template, wide
from zuluko.bus.streams import Stream
from zuluko.messages import Frame
from zuluko.nodes import demo
from zuluko.perception import zoo
from zuluko.perception.detector import Detection
from zuluko.perception.faces import faces, fresh
from zuluko.perception.gallery import MIN_MARGIN, THRESHOLD, Gallery
from zuluko.perception.zoo import ModelError

SECOND = 1_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    gallery = Gallery(tmp_path / "people")
    gallery.enrol("ana", {"a": template("person_a_2")})
    gallery.enrol("bea", {"b": template("person_b_1")})
    return tmp_path / "people"


def see(*images: np.ndarray, **configuration) -> list:
    frames = [Frame(stamp=number * SECOND, image=image) for number, image in enumerate(images, 1)]
    return list(faces(frames, **configuration))


def test_people_are_named_and_strangers_are_not(place):
    names = ["person_a_1", "person_b_2", "impostor_1", "impostor_2"]
    seen = see(*[load(name) for name in names], gallery=place)
    assert [[face.name for face in message.items] for message in seen] == [["ana"], ["bea"], [""], [""]]
    assert [message.stamp for message in seen] == [1 * SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    assert seen[0].size == (204, 244)
    for message in seen:
        (face,) = message.items
        assert (face.name != "") == (face.similarity >= THRESHOLD and face.margin >= MIN_MARGIN)


def test_a_face_says_where_and_how_good_it_is(place):
    ((face,),) = [message.items for message in see(load("person_a_1"), gallery=place)]
    found = networks()[0](load("person_a_1"))[0]
    assert face.box == pytest.approx(tuple(found.box))
    assert np.array(face.landmarks) == pytest.approx(found.landmarks)
    assert face.score == pytest.approx(found.score)
    assert face.similarity == pytest.approx(float(template("person_a_1") @ template("person_a_2")), abs=1e-4)
    assert face.quality == pytest.approx(found.box[2] / 80, abs=0.01)
    assert {type(number) for number in (*face.box, *face.landmarks[0], face.score, face.quality)} == {float}


def test_two_in_a_picture_are_told_apart_and_the_nearer_comes_first(place):
    (message,) = see(
        beside(wide("person_a_2", 90), wide("impostor_1", 60), wide("person_b_2", 130)), gallery=place
    )
    assert [face.name for face in message.items] == ["bea", "ana", ""]


def test_a_picture_without_a_face_is_published_empty(place):
    (message,) = see(np.zeros((480, 640, 3), np.uint8), gallery=place)
    assert (message.items, message.size, message.stamp) == ((), (640, 480), SECOND)


def test_the_threshold_and_the_margin_are_obeyed(place):
    ((face,),) = [message.items for message in see(load("person_b_2"), gallery=place)]
    for configuration in ({"threshold": face.similarity + 0.01}, {"min_margin": face.margin + 0.01}):
        ((refused,),) = [message.items for message in see(load("person_b_2"), gallery=place, **configuration)]
        assert (refused.name, refused.similarity) == ("", face.similarity)
    ((again,),) = [m.items for m in see(load("person_b_2"), gallery=place, threshold=face.similarity - 0.01)]
    assert again.name == "bea"


def test_only_the_largest_four_are_recognised_and_no_tiny_face(place):
    crowd = beside(*[wide("person_b_2", width) for width in (70, 65, 60, 55, 50)])
    (message,) = see(crowd, gallery=place, detect_size=2000)
    assert [face.name for face in message.items] == ["bea"] * 4 + [""]
    assert (message.items[4].similarity, message.items[4].margin, message.items[4].quality) == (-1, 0, 0)
    assert all(face.quality > 0.5 for face in message.items[:4])
    (message,) = see(wide("person_b_2", 26), gallery=place)
    assert [(face.name, face.similarity, face.quality) for face in message.items] == [("", -1, 0)]


def test_with_nobody_enrolled_nobody_is_known(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        ((face,),) = [message.items for message in see(load("person_b_1"), gallery=tmp_path / "none")]
    assert (face.name, face.similarity, face.margin) == ("", -1, 0)
    assert f"nobody is enrolled in {tmp_path / 'none'}; run: zuluko face enrol" in caplog.text


def test_without_a_gallery_it_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Gallery(tmp_path / "zuluko" / "people").enrol("ana", {"a": template("person_a_2")})
    ((face,),) = [message.items for message in see(load("person_a_1"), source="0")]
    assert face.name == "ana"


def test_the_demo_knows_its_owner_and_never_the_users_people(place):
    seen = see(
        *[load(name) for name in ("person_b_2", "person_a_1", "impostor_1")], gallery=place, source="demo"
    )
    assert [[face.name for face in message.items] for message in seen] == [["owner"], [""], [""]]


def test_the_demos_owner_is_nobody_to_a_real_door(tmp_path):
    for source in ("0", "demo.mp4", ""):
        ((face,),) = [m.items for m in see(load("person_b_1"), gallery=tmp_path, source=source)]
        assert face.name == ""


def test_on_the_demos_clip_the_owner_is_known_and_the_stranger_never():
    pictures = list(demo.clip(hz=3))
    seen = see(*[image for _, image in pictures], source="demo")
    known = {"owner": 0, "stranger": 0, "empty": 0}
    for (scene, _), message in zip(pictures, seen, strict=True):
        known[scene] += any(face.name == "owner" for face in message.items)
        assert len(message.items) == 0 or scene != "empty"
    assert known["stranger"] == known["empty"] == 0
    assert known["owner"] >= 6


def test_somebody_enrolled_while_the_door_runs_is_known_a_second_later(place):
    def frames():
        yield Frame(stamp=SECOND, image=load("impostor_1"))
        Gallery(place).enrol("carl", {"c": template("impostor_1")})
        yield Frame(stamp=SECOND + SECOND // 2, image=load("impostor_1"))
        yield Frame(stamp=2 * SECOND, image=load("impostor_1"))
        Gallery(place).remove("carl")
        yield Frame(stamp=3 * SECOND, image=load("impostor_1"))

    assert [message.items[0].name for message in faces(frames(), gallery=place)] == ["", "", "carl", ""]


def test_a_face_whose_landmarks_are_no_face_is_left_unrecognised(place, monkeypatch):
    def odd(image):
        rows = [np.full((5, 2), number, np.float32) for number in (np.nan, np.inf, 7.0)]
        box = np.array([0, 0, 90, 90], np.float32)
        return [Detection(box=box, landmarks=landmarks, score=0.9) for landmarks in rows]

    monkeypatch.setattr("zuluko.perception.faces.Detector", lambda **_: odd)
    (message,) = see(load("person_a_1"), gallery=place)
    assert [(face.name, face.similarity, face.quality) for face in message.items] == [("", -1, 0)] * 3


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [
        ("threshold", 1.01, "threshold of faces must be -1 to 1, not 1.01"),
        ("threshold", float("nan"), "threshold of faces must be -1 to 1, not nan"),
        ("min_margin", -0.1, "min_margin of faces must be 0 to 2, not -0.1"),
        ("min_margin", 2.5, "min_margin of faces must be 0 to 2, not 2.5"),
        ("min_score", 80, "min_score of faces must be 0 to 1, not 80"),
        ("min_score", float("nan"), "min_score of faces must be 0 to 1, not nan"),
        ("max_age", -1, "max_age of faces must be 0 or more, not -1"),
        ("max_wait", float("nan"), "max_wait of faces must be 0 or more, not nan"),
        ("detect_size", 0, "detect_size of faces must be 32 to 10000, not 0"),
        ("threads", -1, "threads of faces must be 1 to 64, not -1"),
    ],
)
def test_a_number_out_of_its_range_is_refused_before_the_first_picture(place, name, number, said):
    with pytest.raises(ValueError) as error:
        see(gallery=place, **{name: number})
    assert str(error.value) == said


def test_a_missing_network_is_a_mistake_to_tell_and_not_to_start_again_from(place, monkeypatch):
    def missing(model):
        raise ModelError("the weights are missing")

    monkeypatch.setattr(zoo, "source", missing)
    with pytest.raises(ValueError, match="the weights are missing"):
        see(gallery=place)


class Late(Stream):
    """Frames that arrive so many seconds after their stamps, and ``wait`` seconds after they were sent."""

    def __init__(self, frames: list[Frame], delays: list[float], wait: float | None = None) -> None:
        super().__init__(frames)
        self._delays = iter(delays)
        self._wait = wait
        self.sent = 0

    def next(self, timeout=None):
        frame = super().next(timeout)
        if frame is not None:
            self.now = frame.stamp + round(next(self._delays) * 1e9)
            self.sent = 0 if self._wait is None else self.now - round(self._wait * 1e9)
        return frame


def test_a_picture_that_comes_late_is_skipped():
    tiny = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(stamp=number * SECOND // 10, image=tiny) for number in range(1, 6)]
    kept = fresh(Late(frames, [0.01, 0.2, 0.15, 0.151, 0.0]), 0.3, 0.15)
    assert [frame.stamp for frame in kept] == [frames[n].stamp for n in (0, 2, 4)]


def test_the_node_publishes_nothing_of_a_late_picture(place):
    frames = [Frame(stamp=number * SECOND, image=load("person_a_1")) for number in (1, 2)]
    assert [message.stamp for message in faces(Late(frames, [0.3, 0.1]), gallery=place)] == [2 * SECOND]


def test_a_machine_that_is_too_slow_is_told_and_not_too_often(caplog):
    tiny = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(stamp=number * SECOND // 10, image=tiny) for number in range(150)]
    with caplog.at_level(logging.WARNING):
        assert list(fresh(Late(frames[:10], [0.3] * 10), 0.3, 0.15)) == []
        assert caplog.records == []
        assert list(fresh(Late(frames, [0.3] * 150), 0.3, 0.15)) == []
    assert len(caplog.records) == 2
    assert "every picture of the last 1 s was skipped; the newest had waited 300 ms: the mach" in caplog.text


def seconds(count: int) -> list[Frame]:
    return [Frame(stamp=n * SECOND, image=np.zeros((2, 2, 3), np.uint8)) for n in range(1, count + 1)]


def test_what_the_cameras_exposure_takes_is_no_waiting():
    assert len(list(fresh(Late(seconds(3), [0.24, 0.3, 0.31], wait=0.02), 0.3, 0.1))) == 2
    assert len(list(fresh(Late(seconds(3), [0.09, 0.15, 0.24], wait=0.11), 0.3, 0.1))) == 0


@pytest.mark.parametrize(
    ("delay", "wait", "why"),
    [
        (0.35, 0.02, "was 350 ms old, 330 of them when the camera sent it: its exposure is long in little"),
        (0.35, 0.20, "had waited 200 ms: the machine is too slow; lower the camera's hz or size"),
        (-1.5, 0.02, "is stamped 1.5 s in the future: compare the clocks of the machines"),
    ],
    ids=["dark", "slow", "future"],
)
def test_the_warning_says_whose_fault_it_is(caplog, delay, wait, why):
    with caplog.at_level(logging.WARNING):
        assert list(fresh(Late(seconds(3), [delay] * 3, wait=wait), 0.3, 0.1)) == []
    assert why in caplog.text


def test_a_picture_from_the_future_neither_counts_nor_stops_the_gallery(place):
    def frames():
        yield Frame(stamp=10**9 * SECOND, image=load("person_a_1"))
        yield Frame(stamp=2 * SECOND, image=load("person_a_1"))
        Gallery(place).remove("ana")
        yield Frame(stamp=4 * SECOND, image=load("person_a_1"))

    late = Late(frames(), [1.0 - 1e9, 0.01, 0.01])
    assert [message.items[0].name for message in faces(late, gallery=place)] == ["ana", ""]


def test_the_defaults_are_those_that_the_gallery_explains():
    parameters = inspect.signature(faces).parameters
    assert (parameters["threshold"].default, parameters["min_margin"].default) == (0.45, 0.10)
    assert (THRESHOLD, MIN_MARGIN) == (0.45, 0.10)
