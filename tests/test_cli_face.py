"""``zuluko face`` as a user types it."""

import json
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from tests.photographs import PATHS
from zuluko.cli.face import _frames

PROGRAM = "from zuluko.cli.face import app; app(prog_name='zuluko face')"


def face(*words: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command with a data directory of its own."""
    command = ["env", f"XDG_DATA_HOME={home}", sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def refused(*words: object, home: Path) -> str:
    """The one sentence with which the command ends; nothing but it is said."""
    done = face(*words, home=home)
    assert done.returncode == 1, done
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    return sentence


def enrolled(home: Path) -> dict[str, int]:
    listed = json.loads(face("list", "--json", home=home).stdout)
    return {person["name"]: person["pictures"] for person in listed}


def test_enrol_list_and_remove(tmp_path):
    done = face("enrol", "ana", PATHS["person_a_2"], home=tmp_path)
    place = tmp_path / "zuluko" / "people"
    assert (done.returncode, done.stdout) == (0, f"ana is enrolled with 1 picture in {place}\n")
    done = face("enrol", "béa", PATHS["person_b_1"], PATHS["person_b_2"], home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"béa is enrolled with 2 pictures in {place}\n")
    assert face("list", home=tmp_path).stdout == "ana  1 picture\nbéa  2 pictures\n"
    assert face("remove", "ana", home=tmp_path).stdout == "ana is forgotten\n"
    assert enrolled(tmp_path) == {"béa": 2}


def test_another_gallery(tmp_path):
    other = tmp_path / "other"
    assert face("enrol", "ana", PATHS["person_a_2"], "--gallery", other, home=tmp_path).returncode == 0
    assert [file.name for file in other.iterdir()] == ["ana.face"]
    assert enrolled(tmp_path) == {}
    assert face("list", "--gallery", other, home=tmp_path).stdout == "ana  1 picture\n"


def test_of_several_photographs_all_are_good_or_nothing_is_stored(tmp_path):
    said = refused("enrol", "ana", PATHS["person_a_2"], PATHS["person_a_1"], home=tmp_path)
    assert (
        said
        == f"{PATHS['person_a_1']}: the face is 73 pixels wide; at least 80 are needed; nothing was stored"
    )
    said = refused("enrol", "ana", PATHS["person_a_2"], PATHS["impostor_1"], home=tmp_path)
    assert said.startswith(f"{PATHS['impostor_1']} is unlike the other pictures of ana (similarity 0.1")
    assert enrolled(tmp_path) == {}


def bomb(path: Path) -> None:
    """A small PNG whose header promises 600 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def test_a_relative_who_looks_alike(tmp_path):
    face("enrol", "béa", PATHS["person_b_1"], home=tmp_path)
    said = refused("enrol", "carl", PATHS["person_b_2"], home=tmp_path)
    assert said.endswith("if carl is somebody else who looks alike, such as a relative, add --another-person")
    done = face("enrol", "carl", PATHS["person_b_2"], "--another-person", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert enrolled(tmp_path) == {"béa": 1, "carl": 1}


def cut_short(path: Path, original: Path) -> None:
    content = original.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: cut_short(path, PATHS["person_b_1"]), "it is a JPEG that was cut short"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: None, "it cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "it is not a file"),
        (bomb, "it has 30000 x 20000 pixels; at most 50 million are taken"),
        (
            lambda path: path.write_text("a poem"),
            "it is not a picture that OpenCV can read, such as JPEG or PNG",
        ),
    ],
    ids=["truncated", "empty", "missing", "directory", "bomb", "text"],
)
def test_a_file_that_is_no_picture_is_one_sentence(tmp_path, make, said):
    make(tmp_path / "photo.jpg")
    sentence = refused("enrol", "ana", tmp_path / "photo.jpg", home=tmp_path)
    assert sentence == f"{tmp_path / 'photo.jpg'}: {said}; nothing was stored"


def test_a_jpeg_with_something_after_its_end_is_whole(tmp_path):
    (tmp_path / "phone.jpg").write_bytes(
        PATHS["person_a_2"].read_bytes() + b"a trailer as phones add it" * 99
    )
    assert face("enrol", "ana", tmp_path / "phone.jpg", home=tmp_path).returncode == 0


def test_a_name_that_cannot_be_a_file(tmp_path):
    said = refused("enrol", "../ana", PATHS["person_a_2"], home=tmp_path)
    assert said == "the name '../ana' has '.'; letters, digits, spaces, '-' and '_' may be used"


def test_neither_photographs_nor_a_camera(tmp_path):
    said = "give photographs, or --camera with a source, such as: zuluko face enrol ana photo.jpg"
    assert refused("enrol", "ana", home=tmp_path) == said
    assert refused("enrol", "ana", PATHS["person_a_2"], "--camera", "0", home=tmp_path) == said


def test_removing_nobody(tmp_path):
    said = "nobody of the name carl is enrolled; see: zuluko face list"
    assert refused("remove", "carl", home=tmp_path) == said


def test_an_empty_list_says_what_to_do(tmp_path):
    done = face("list", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("nobody is enrolled in ")
    assert done.stderr.endswith("; run: zuluko face enrol NAME PHOTO...\n")


def test_a_damaged_file_is_told_and_the_others_are_listed(tmp_path):
    face("enrol", "ana", PATHS["person_a_2"], home=tmp_path)
    (tmp_path / "zuluko" / "people" / "eva.face").write_bytes(b"no")
    done = face("list", home=tmp_path)
    assert done.stdout == "ana  1 picture\n"
    assert done.stderr.endswith("eva.face is damaged; remove it and enrol eva again\n")
    assert face("remove", "eva", home=tmp_path).returncode == 0
    assert face("list", home=tmp_path).stderr == ""


def test_from_a_camera_it_says_what_is_wrong_until_it_has_five_pictures(tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    for number in range(40):
        shutil.copy(PATHS["person_a_1" if number < 3 else "person_b_1"], folder / f"{number}.jpg")
    done = face("enrol", "béa", "--camera", folder, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-6:-1] == [f"picture {number} of 5" for number in range(1, 6)]
    assert done.stdout.splitlines()[0] == "come nearer"
    assert enrolled(tmp_path) == {"béa": 5}


def test_pictures_in_quick_succession_count_once_and_too_few_store_nothing(tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    for number in range(8):  # 0.8 s
        shutil.copy(PATHS["person_b_1"], folder / f"{number}.jpg")
    done = face("enrol", "béa", "--camera", folder, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "picture 1 of 5\npicture 2 of 5\n")
    said = "gave 2 of the 5 good pictures that are needed within 30 s; nothing was stored"
    assert done.stderr == f"{folder} {said}\n"
    assert enrolled(tmp_path) == {}


def test_no_thread_reads_pictures_any_more_when_there_are_enough(tmp_path):
    for number in range(8):
        shutil.copy(PATHS["person_b_1"], tmp_path / f"{number}.jpg")
    before = set(threading.enumerate())
    frames = _frames(str(tmp_path), "béa")
    next(frames)
    frames.close()
    assert set(threading.enumerate()) <= before


def test_a_source_that_can_never_work(tmp_path):
    assert refused("enrol", "béa", "--camera", tmp_path / "none", home=tmp_path).startswith("no such file")


def test_a_camera_that_is_not_there_is_told_at_once_with_what_to_do(tmp_path):
    said = refused("enrol", "ana", "--camera", "77", home=tmp_path)
    assert said.startswith("there is no /dev/video77, ")
    assert said.endswith(
        "; or give another --camera, or photographs: zuluko face enrol ana photo1.jpg photo2.jpg"
    )


def test_a_device_that_gives_no_picture_is_told_without_another_attempt(tmp_path):
    said = refused("enrol", "ana lu", "--camera", "/dev/null", home=tmp_path)
    assert said.startswith("/dev/null gives no pictures: another program may have it ")
    assert said.endswith("or photographs: zuluko face enrol 'ana lu' photo1.jpg photo2.jpg")


def test_light_commands_load_no_heavy_library(tmp_path):
    program = (
        "import sys\nfrom zuluko.cli.face import app\n"
        "try:\n    app(['list'])\n"
        "except SystemExit:\n    pass\n"
        "assert not {'cv2', 'onnxruntime', 'onnx'} & set(sys.modules)"
    )
    command = ["env", f"XDG_DATA_HOME={tmp_path}", sys.executable, "-c", program]
    subprocess.run(command, check=True, capture_output=True)
