"""Who is known: enrolment, matching, the files, and what is refused."""

import logging
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from tests.photographs import beside, load, networks, template, turned, wide
from zuluko.perception import enrolment, person
from zuluko.perception.detector import Detection
from zuluko.perception.enrolment import UnfitError
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
    assert person.read(place / "béa.face").templates == pytest.approx(
        np.stack([template("person_b_1"), template("person_b_2")])
    )


def test_a_picture_of_another_enrolled_person_is_refused(people, place):
    with pytest.raises(GalleryError, match=r"me.jpg is more like béa \(0.77\) than like ana \(0.08\)"):
        people.enrol("ana", {"me.jpg": template("person_b_2")})
    with pytest.raises(GalleryError, match=r"me.jpg shows béa, who is enrolled already \(similarity 0.77\)"):
        people.enrol("carl", {"me.jpg": template("person_b_2")})
    assert Gallery(place).load() == []
    assert people.people == {"ana": 1, "béa": 1}


def test_a_relative_is_enrolled_when_somebody_vouches_for_it(people):
    """Two photographs of one person stand in for twins; nobody is alike more than oneself."""
    with pytest.raises(GalleryError, match="such as a relative, add --another-person"):
        people.enrol("carl", {"me.jpg": template("person_b_2")})
    assert people.enrol("carl", {"me.jpg": template("person_b_2")}, another=True) == 1
    assert people.match(template("person_b_2")).name == "carl"
    blend = template("person_b_1") + 0.9 * template("person_b_2")
    blend /= np.linalg.norm(blend)
    match = people.match(blend)
    assert match.similarity > THRESHOLD
    assert not accepted(match)
    with pytest.raises(GalleryError, match="more like béa"):
        people.enrol("carl", {"next.jpg": blend})
    assert people.enrol("carl", {"next.jpg": blend}, another=True) == 2
    with pytest.raises(GalleryError, match="is unlike the other pictures of carl"):
        people.enrol("carl", {"x.jpg": template("impostor_1")}, another=True)


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


DECOMPOSED = "be\u0301a"


def test_a_file_named_in_another_spelling_is_the_same_person(people, place):
    """As macOS and some archives leave it."""
    (place / "béa.face").rename(place / f"{DECOMPOSED}.face")
    door = Gallery(place)
    assert door.load() == []
    assert door.people == {"ana": 1, "béa": 1}
    assert door.match(template("person_b_2")).name == "béa"
    door.enrol("béa", {"c": template("person_b_2")})
    assert sorted(file.name for file in place.iterdir()) == ["ana.face", f"{DECOMPOSED}.face"]
    assert Gallery(place).load() == []
    door.remove("béa")
    assert [file.name for file in place.iterdir()] == ["ana.face"]


def test_two_files_of_one_person_do_not_compete(people, place):
    shutil.copy(place / "béa.face", place / f"{DECOMPOSED}.face")
    door = Gallery(place)
    assert door.load() == [
        f"{place / DECOMPOSED}.face is left out: béa has another file, {place / 'béa.face'}; "
        "remove one of the two"
    ]
    assert door.people == {"ana": 1, "béa": 1}
    assert accepted(door.match(template("person_b_2")))
    door.remove(DECOMPOSED)
    assert [file.name for file in place.iterdir()] == ["ana.face"]


def test_a_removed_person_is_in_no_file_under_another_name_either(people, place):
    (place / "ana.face").rename(place / "holiday.face")
    (problem,) = people.load()
    assert problem.startswith(f"{place / 'holiday.face'} is not the file of holiday")
    people.remove("ana")
    assert [file.name for file in place.iterdir()] == ["béa.face"]


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


@contextmanager
def no_handle_left() -> Iterator[None]:
    """Nothing can be opened meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_door_without_file_handles_keeps_who_is_there_and_looks_again(people, place, caplog):
    door = Gallery(place)
    door.refresh(0)
    people.enrol("ana", {"p": template("person_a_1")})
    (place / "béa.face").unlink()
    with no_handle_left():
        door.refresh(SECOND)
        door.refresh(2 * SECOND)
    assert door.people == {"ana": 1}
    told = [record.message for record in caplog.records]
    assert told.count(f"the gallery {place} cannot be read: Too many open files") == 1
    assert told.count(f"{place / 'ana.face'} cannot be read at the moment: Too many open files") == 1
    assert not any("nobody is enrolled" in sentence for sentence in told)
    door.refresh(3 * SECOND)
    assert door.people == {"ana": 2}


def test_an_error_while_reading_one_file_passes(people, place, monkeypatch):
    door = Gallery(place)
    door.refresh(0)
    people.enrol("ana", {"p": template("person_a_1")})
    people.enrol("béa", {"p": template("person_b_2")})
    opened = os.open

    def broken(path, *rest, **more):
        if str(path).endswith("ana.face"):
            raise OSError(5, "Input/output error")
        return opened(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        door.refresh(SECOND)
        assert door.people == {"ana": 1, "béa": 2}
        fresh = Gallery(place)
        assert fresh.load() == [f"{place / 'ana.face'} cannot be read at the moment: Input/output error"]
        assert fresh.people == {"béa": 2}
    door.refresh(2 * SECOND)
    assert door.people == {"ana": 2, "béa": 2}


def test_a_file_that_may_not_be_read_any_more_counts_as_gone(people, place, monkeypatch):
    def refused(path, *rest, **more):
        raise PermissionError(13, "Permission denied")

    people.refresh(0)
    (place / "ana.face").touch()
    monkeypatch.setattr(os, "open", refused)
    people.refresh(SECOND)
    assert people.people == {}


def test_a_time_that_was_once_far_ahead_does_not_stop_the_looking(people, place):
    people.refresh(10**18)
    Gallery(place).remove("ana")
    people.refresh(SECOND)
    assert list(people.people) == ["béa"]


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


def give_away(path: Path, monkeypatch) -> int:
    """Makes ``path`` somebody else's; gives whose."""
    if os.geteuid() == 0:
        os.chown(path, 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda uid=os.getuid(): uid + 1)
    return path.stat().st_uid


def test_a_gallery_of_somebody_elses_lets_nobody_in(people, place, monkeypatch):
    people.refresh(0)
    uid = give_away(place, monkeypatch)
    sentence = f"the gallery {place} belongs to user {uid}; run: sudo chown {os.geteuid()} {place}"
    people.refresh(SECOND)
    assert people.people == {}
    assert people.load() == [sentence]
    for change in (lambda: people.enrol("eva", {"p": template("impostor_1")}), lambda: people.remove("ana")):
        with pytest.raises(GalleryError, match="belongs to user"):
            change()


def test_a_file_that_somebody_else_can_write_is_left_out(people, place, monkeypatch):
    people.refresh(0)
    (place / "ana.face").chmod(0o620)
    people.refresh(SECOND)
    assert list(people.people) == ["béa"]
    assert people.load()[0].startswith(f"{place / 'ana.face'} can be written by others (mode 620); run: chm")
    (place / "ana.face").chmod(0o600)
    assert people.load() == []
    if os.geteuid() == 0:
        uid = give_away(place / "ana.face", monkeypatch)
        assert people.load()[0].startswith(f"{place / 'ana.face'} belongs to user {uid}; run: sudo chown")


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


def test_without_a_home_a_sentence_says_what_to_set(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ValueError, match="there is no home directory to keep people in; name a gallery, or"):
        default_place()


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
    with pytest.raises(UnfitError, match=reason) as error:
        enrol(image())
    assert error.value.advice


def test_a_face_that_looks_up_or_down_is_refused():
    landmarks = (REFERENCE * 2).astype(np.float32)
    landmarks[2, 1] += 40
    face = Detection(box=np.array([30, 40, 160, 200], np.float32), landmarks=landmarks, score=0.9)
    with pytest.raises(UnfitError, match=r"turned about \d\d degrees up or down"):
        enrolment.check(face, np.zeros((112, 112, 3), np.uint8))


@pytest.mark.parametrize("number", [np.nan, np.inf, 5.0], ids=["nan", "infinite", "all on one spot"])
def test_landmarks_that_are_no_face_are_not_enrolled(number):
    landmarks = np.full((5, 2), number, np.float32)
    face = Detection(box=np.array([30, 40, 160, 200], np.float32), landmarks=landmarks, score=0.9)
    with pytest.raises(UnfitError, match="there is no face in it"):
        enrolment.template(np.zeros((300, 300, 3), np.uint8), lambda image: [face], networks()[1])


def test_turn_grows_with_the_angle_and_ignores_tilt():
    straight = turn(REFERENCE.astype(np.float32))
    assert np.abs(straight).max() < 10
    tilt = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert turn((REFERENCE @ tilt.T).astype(np.float32)) == pytest.approx(straight, abs=0.01)
    yaws = []
    for degrees in (-50, -20, 0, 20, 50):
        image = turned("impostor_1", degrees)
        face = networks()[0](image)[0]
        yaws.append(quality(face, align(image, face.landmarks)).yaw)
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
