"""Who is known: enrolment, matching, the files, and what is refused."""

import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from tests.photographs import beside, load, networks, template, turned, wide
from zuluko.perception import enrolment, person
from zuluko.perception.detector import Detection
from zuluko.perception.enrolment import PictureError
from zuluko.perception.gallery import MIN_MARGIN, THRESHOLD, Gallery, GalleryError, default_place
from zuluko.perception.person import PersonError
from zuluko.perception.quality import quality, sharpness, turn
from zuluko.perception.recogniser import REFERENCE, align

SECOND = 1_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "people"


@pytest.fixture
def people(place: Path) -> Gallery:
    """Persons a and b, each with one picture, the other one of each left to recognise."""
    gallery = Gallery(place)
    gallery.enrol("ana", {"a": template("person_a_2")})
    gallery.enrol("béa", {"b": template("person_b_1")})
    return gallery


def accepted(match) -> bool:
    return match.similarity >= THRESHOLD and match.margin >= MIN_MARGIN


@pytest.mark.parametrize(("photograph", "name"), [("person_a_1", "ana"), ("person_b_2", "béa")])
def test_the_same_person_years_apart_is_accepted(people, photograph, name):
    match = people.match(template(photograph))
    assert match.name == name
    assert accepted(match)


@pytest.mark.parametrize("photograph", ["impostor_1", "impostor_2"])
def test_impostors_are_refused(people, photograph):
    assert not accepted(people.match(template(photograph)))


@pytest.mark.parametrize("photograph", ["person_a_1", "impostor_1", "impostor_2"])
def test_with_one_person_enrolled_nobody_else_is_accepted(photograph):
    gallery = Gallery()
    gallery.enrol("béa", {"b": template("person_b_1")})
    match = gallery.match(template(photograph))
    assert match.margin == 2
    assert not accepted(match)


def test_an_empty_gallery_knows_nobody():
    assert Gallery().match(template("person_a_1")) == ("", -1, 0)


def test_similarity_is_the_best_of_a_person_and_margin_is_over_the_second_person(people):
    people.enrol("ana", {"another": template("person_a_1")})
    match = people.match(template("person_a_1"))
    second = float(template("person_b_1") @ template("person_a_1"))
    assert match.similarity == pytest.approx(1, abs=1e-5)
    assert match.margin == pytest.approx(1 - second, abs=1e-5)


def test_what_is_enrolled_is_on_the_disk_for_its_owner_alone(people, place):
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    assert sorted(file.name for file in place.iterdir()) == ["ana.face", "béa.face"]
    again = Gallery(place)
    assert again.load() == []
    assert again.people == {"ana": 1, "béa": 1}
    assert again.match(template("person_a_1")) == pytest.approx(people.match(template("person_a_1")))


def test_a_further_picture_is_added(people, place):
    assert people.enrol("béa", {"c": template("person_b_2")}) == 2
    assert person.read(place / "béa.face") == pytest.approx(
        np.stack([template("person_b_1"), template("person_b_2")])
    )


def test_a_picture_of_another_enrolled_person_is_refused(people, place):
    with pytest.raises(GalleryError, match=r"me.jpg is more like béa \(0.77\) than like ana \(0.08\)"):
        people.enrol("ana", {"me.jpg": template("person_b_2")})
    with pytest.raises(GalleryError, match=r"me.jpg shows béa, who is enrolled already \(similarity 0.77\)"):
        people.enrol("carl", {"me.jpg": template("person_b_2")})
    assert Gallery(place).load() == []
    assert people.people == {"ana": 1, "béa": 1}


def test_a_stranger_is_not_added_to_a_person(people):
    with pytest.raises(
        GalleryError, match=r"x.jpg is unlike the other pictures of béa \(similarity 0.1\d; 0"
    ):
        people.enrol("béa", {"x.jpg": template("impostor_1")})
    with pytest.raises(GalleryError, match=r"2.jpg is unlike the other pictures of carl"):
        people.enrol("carl", {"1.jpg": template("impostor_1"), "2.jpg": template("impostor_2")})
    assert people.people == {"ana": 1, "béa": 1}


def test_a_person_keeps_a_bounded_number_of_pictures(people):
    many = {str(number): template("person_a_2") for number in range(20)}
    with pytest.raises(GalleryError, match="ana would have 21 pictures; at most 20 are kept"):
        people.enrol("ana", many)
    assert people.people["ana"] == 1


def test_a_removed_person_is_forgotten(people, place):
    people.remove("ana")
    assert people.match(template("person_a_1")).name == "béa"
    assert not (place / "ana.face").exists()
    with pytest.raises(GalleryError, match="nobody of the name ana is enrolled; see: zuluko face list"):
        people.remove("ana")


@pytest.mark.parametrize("name", ["Ana", "Ana María", "o-2_b", "李雷", "Дмитрий", "नेहा", "7"])
def test_names_of_any_script_are_files(place, name):
    gallery = Gallery(place)
    gallery.enrol(name, {"p": template("person_a_2")})
    again = Gallery(place)
    assert again.load() == []
    assert list(again.people) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "..",
        ".",
        "../ana",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "-rf",
        "a.face",
        " ana",
        "ana ",
        "a  b",
        "x" * 41,
        "a\u202eb",
        "*",
    ],
)
def test_names_that_are_no_file_are_refused(place, name):
    with pytest.raises(PersonError, match="name"):
        Gallery(place).enrol(name, {"p": template("person_a_2")})
    assert not place.exists()


def test_one_name_typed_in_two_ways_is_one_person(people):
    people.enrol("be\u0301a", {"c": template("person_b_2")})
    assert people.people == {"ana": 1, "béa": 2}


def damage(place: Path, how: str) -> None:
    """Makes ana's file unfit in one way."""
    file = place / "ana.face"
    record = msgspec.msgpack.decode(file.read_bytes())
    parts = {"format": 0, "name": 1, "model": 2, "templates": 3}
    new = {
        "format": "zuluko-face/9",
        "name": "eva",
        "model": "sface:0000",
        "templates": [b"\0" * 512],
    }
    if how in new:
        record[parts[how]] = new[how]
    if how == "nan":
        record[3] = [np.full(128, np.nan, "<f4").tobytes()]
    if how == "many":
        record[3] *= 21
    content = msgspec.msgpack.encode(record)
    content = {
        "empty": b"",
        "cut": content[:300],
        "noise": os.urandom(600),
        "large": content + bytes(70_000),
    }.get(how, content)
    file.unlink()
    if how == "pipe":
        os.mkfifo(file)
    elif how == "link":
        (place.parent / "elsewhere").mkdir()
        (place.parent / "elsewhere" / "ana.face").write_bytes(content)
        file.symlink_to(place.parent / "elsewhere" / "ana.face")
    elif how == "folder":
        file.mkdir()
    else:
        file.write_bytes(content)


KINDS = [
    "format",
    "name",
    "model",
    "templates",
    "nan",
    "many",
    "empty",
    "cut",
    "noise",
    "large",
    "pipe",
    "link",
]


@pytest.mark.parametrize("how", [*KINDS, "folder"])
def test_a_damaged_file_is_told_and_left_out(people, place, how):
    damage(place, how)
    (problem,) = people.load()
    assert str(place / "ana.face") in problem
    assert list(people.people) == ["béa"]
    with pytest.raises((PersonError, GalleryError)):
        people.enrol("ana", {"p": template("person_a_1")})


def test_templates_of_another_model_are_refused_with_what_to_do(people, place):
    damage(place, "model")
    assert people.load() == [
        f"{place / 'ana.face'} was made with another model than sface; remove it and enrol ana again"
    ]


def test_a_running_door_notices_who_is_enrolled_and_who_is_removed(place, caplog):
    door = Gallery(place)
    with caplog.at_level(logging.INFO):
        door.refresh(0)
    assert "nobody is enrolled in" in caplog.text
    Gallery(place).enrol("ana", {"p": template("person_a_2")})
    door.refresh(SECOND - 1)
    assert door.people == {}
    door.refresh(SECOND)
    assert door.people == {"ana": 1}
    Gallery(place).enrol("ana", {"q": template("person_a_1")})
    door.refresh(2 * SECOND)
    assert door.people == {"ana": 2}
    damage(place, "cut")
    door.refresh(3 * SECOND)
    assert door.people == {}
    assert "ana.face is damaged; remove it and enrol ana again" in caplog.text
    Gallery(place).remove("ana")
    caplog.clear()
    door.refresh(4 * SECOND)
    assert "damaged" not in caplog.text


def test_an_unchanged_gallery_is_not_read_again(people, place, monkeypatch):
    people.refresh(0)
    monkeypatch.setattr(person, "read", lambda file: pytest.fail("it was read again"))
    people.refresh(5 * SECOND)
    (place / "ana.face").touch()
    with pytest.raises(pytest.fail.Exception):
        people.refresh(10 * SECOND)


def test_a_gallery_that_others_can_write_lets_nobody_in(people, place):
    place.chmod(0o770)
    assert people.load() == [
        f"the gallery {place} can be written by others (mode 770); run: chmod 700 {place}"
    ]
    assert people.people == {}


def test_nobody_is_enrolled_where_others_can_read(people, place):
    place.chmod(0o755)
    with pytest.raises(GalleryError, match=r"can be read or written by others \(mode 755\); run: chmod 700"):
        people.enrol("ana", {"p": template("person_a_1")})


def test_a_full_disk_leaves_the_old_file_and_no_rest(people, place, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    before = (place / "ana.face").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GalleryError, match="cannot be written: No space left on device"):
        people.enrol("ana", {"p": template("person_a_1")})
    assert (place / "ana.face").read_bytes() == before
    assert sorted(file.name for file in place.iterdir()) == ["ana.face", "béa.face"]


def test_enrolments_at_once_lose_nothing(place):
    def enrol(number: int) -> None:
        Gallery(place).enrol("ana", {str(number): template("person_a_2")})

    threads = [threading.Thread(target=enrol, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gallery = Gallery(place)
    gallery.load()
    assert gallery.people == {"ana": 8}


def test_nothing_of_a_template_is_in_a_representation(people):
    record = person._Record(person.FORMAT, "ana", person.MODEL, [template("person_a_2").tobytes()])
    assert repr(record) == "_Record('ana', 1 templates)"
    assert repr(people).endswith("people', 2 people)")


def test_the_default_place_is_the_users_data_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_place() == tmp_path / "zuluko" / "people"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_place() == tmp_path / ".local" / "share" / "zuluko" / "people"


def test_reading_a_gallery_loads_neither_opencv_nor_onnxruntime(people, place):
    program = (
        "import sys; from pathlib import Path; from zuluko.perception.gallery import Gallery;"
        f"gallery = Gallery(Path({str(place)!r})); gallery.load(); assert len(gallery.people) == 2;"
        "assert not {'cv2', 'onnxruntime', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# What a picture must be.


def enrol(image: np.ndarray) -> np.ndarray:
    return enrolment.template(image, *networks())


@pytest.mark.parametrize("name", ["person_a_2", "person_b_1", "person_b_2", "impostor_1", "impostor_2"])
def test_a_good_photograph_is_accepted(name):
    assert enrol(load(name)) == pytest.approx(template(name))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (lambda: np.full((480, 640, 3), 90, np.uint8), "there is no face in it"),
        (lambda: beside(load("person_a_2"), load("person_b_2")), "there are 2 faces in it; one is needed"),
        (lambda: beside(load("person_a_2"), wide("person_b_2", 60)), "there are 2 faces in it"),
        (lambda: load("person_a_1"), "the face is 73 pixels wide; at least 80 are needed"),
        (
            lambda: cv2.GaussianBlur(wide("person_b_1", 160), (0, 0), 4),
            r"blurred \(sharpness \d.\d; at least 3 is",
        ),
        (lambda: cv2.blur(wide("person_b_1", 160), (15, 1)), "the face is blurred"),
        (lambda: turned("impostor_1", 50), r"turned about 3\d degrees sideways; at most 25 are allowed"),
        (lambda: turned("impostor_2", -50), r"turned about \d\d degrees sideways; at most 25 are allowed"),
    ],
    ids=["none", "two", "another behind", "small", "out of focus", "shaken", "turned left", "turned right"],
)
def test_a_poor_picture_is_refused_and_says_why(image, reason):
    with pytest.raises(PictureError, match=reason) as error:
        enrol(image())
    assert error.value.advice


def test_a_face_that_looks_up_or_down_is_refused():
    landmarks = (REFERENCE * 2).astype(np.float32)
    landmarks[2, 1] += 40
    face = Detection(box=np.array([30, 40, 160, 200], np.float32), landmarks=landmarks, score=0.9)
    with pytest.raises(PictureError, match=r"turned about \d\d degrees up or down"):
        enrolment.check(np.zeros((300, 300, 3), np.uint8), face)


def test_turn_grows_with_the_angle_and_ignores_tilt():
    straight = turn(REFERENCE.astype(np.float32))
    assert np.abs(straight).max() < 10
    tilt = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert turn((REFERENCE @ tilt.T).astype(np.float32)) == pytest.approx(straight, abs=0.01)
    yaws = []
    for degrees in (-50, -20, 0, 20, 50):
        image = turned("impostor_1", degrees)
        yaws.append(quality(image, networks()[0](image)[0]).yaw)
    assert yaws == sorted(yaws)


def test_sharpness_falls_with_blur_and_not_with_darkness_or_noise():
    image = load("person_b_2")
    aligned = align(image, networks()[0](image)[0].landmarks)
    blurred = [sharpness(cv2.GaussianBlur(aligned, (0, 0), sigma)) for sigma in (0.5, 1, 2, 3)]
    assert blurred == sorted(blurred, reverse=True)
    assert sharpness((aligned * 0.3).astype(np.uint8)) == pytest.approx(sharpness(aligned), rel=0.1)
    noisy = aligned + np.random.default_rng(3).normal(0, 6, aligned.shape)
    assert sharpness(noisy.clip(0, 255).astype(np.uint8)) == pytest.approx(sharpness(aligned), rel=0.2)
    assert sharpness(np.zeros_like(aligned)) == 0
