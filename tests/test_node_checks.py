"""What nodes themselves find wrong with their configuration, before anything starts."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.running import write, zuluko
from zuluko.document import DocumentError
from zuluko.launch import launchfile
from zuluko.perception import zoo

CAMERA = "nodes: {camera: {run: zuluko.nodes.camera, source: SOURCE, REST}}"
DOOR = """
nodes:
  camera: {run: zuluko.nodes.camera, source: demo}
  faces: {run: zuluko.perception.faces, in: {frames: camera}, FACES}
  rules: {run: RULES}
  lock: {run: zuluko.actions.lock, in: {commands: rules}, LOCK}
"""


def said(folder: Path, text: str, *, passing: bool = True) -> list[str]:
    """What is told of a file, without its place's file."""
    file = write(folder, text)
    try:
        launchfile.load(Path(file), passing=passing)
    except DocumentError as error:
        return str(error).replace(f"{file}:", "").replace(f"{folder}/", "").splitlines()
    return []


def camera(folder: Path, source: str, rest: str = "hz: 5", **how: bool) -> list[str]:
    return said(folder, CAMERA.replace("SOURCE", source).replace("REST", rest), **how)


def door(folder: Path, *, faces: str = "threshold: 0.5", lock: str = "driver: simulated") -> list[str]:
    rules = launchfile.locate("door").with_name("door.rules.yaml")
    return said(folder, DOOR.replace("FACES", faces).replace("LOCK", lock).replace("RULES", str(rules)))


@pytest.mark.parametrize("source", ["demo", "http://127.0.0.1:1/video", "rtsp://camera/stream"])
def test_a_source_that_may_work_is_good(tmp_path, source):
    assert camera(tmp_path, source) == []


def test_folders_and_files_are_looked_into_but_not_opened(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    cv2.imwrite(str(tmp_path / "full" / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "film.mp4").write_bytes(b"not a film")
    assert camera(tmp_path, f"{tmp_path}/full") == []
    assert camera(tmp_path, f"{tmp_path}/film.mp4") == [], "whether it can be read shows when it is opened"
    (told,) = camera(tmp_path, f"{tmp_path}/empty")
    assert told.startswith("1:52: `source`: no pictures in empty; it needs files ending in ")
    (told,) = camera(tmp_path, f"{tmp_path}/nothing.mp4")
    assert told == (
        "1:52: `source`: no such file nothing.mp4; "
        "give a camera index, a device, a file, a folder, a URL or `demo`"
    )


def test_a_camera_that_is_not_there_is_told_by_check_and_waited_for_by_up(tmp_path):
    (told,) = camera(tmp_path, "/dev/video987")
    assert told.startswith("1:52: `source`: there is no /dev/video987")
    assert camera(tmp_path, "/dev/video987", passing=False) == []
    board = "board: pi-4\n" + CAMERA.replace("SOURCE", "/dev/video987").replace("REST", "hz: 5")
    assert said(tmp_path, board) == [], "it is to run on another machine"


def test_numbers_out_of_range(tmp_path):
    assert camera(tmp_path, "demo", "hz: -5, size: [0, 480], stall: 0s") == [
        "1:62: `hz` must be a number above 0, not -5.0",
        "1:72: `size` must be a number above 0, not 0",
        "1:89: `stall` must be a number above 0, not 0.0",
    ]
    assert door(tmp_path, faces="threshold: 3", lock="max_open: 0s") == [
        "4:74: `threshold` must be -1 to 1, not 3",
        "6:69: `max_open` must be a time longer than 0 s, not 0; write 500ms or 30s",
    ]


def test_a_driver_that_there_is_not(tmp_path):
    assert door(tmp_path, lock="driver: simulatd") == [
        "6:67: `driver`: there is no lock driver `simulatd`; did you mean `simulated`?"
    ]


def test_a_gallery(tmp_path):
    (told,) = door(tmp_path, faces="gallery: people")
    assert told == (
        "4:72: `gallery`: there is no folder people; "
        "make it with: zuluko face enrol NAME PHOTO... --gallery people"
    )
    (tmp_path / "people").write_text("")
    assert door(tmp_path, faces="gallery: people") == [
        "4:72: `gallery`: people is a file; expected the folder of the people who are known"
    ]
    (tmp_path / "people").unlink()
    (tmp_path / "people").mkdir()
    assert door(tmp_path, faces="gallery: people") == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_gallery_that_may_not_be_read(tmp_path):
    (tmp_path / "people").mkdir(mode=0)
    assert "you may not read" in door(tmp_path, faces="gallery: people")[0]


def test_models_are_looked_for(tmp_path, monkeypatch):
    """A file of another size, and a package that is not there; nothing is computed over the 11 MB."""
    small = tmp_path / "small.onnx"
    small.write_bytes(b"x")
    monkeypatch.setattr(zoo, "sha256", lambda path: pytest.fail("the check is to be light"))
    assert door(tmp_path) == []
    monkeypatch.setattr(zoo, "distribution", lambda name: Located(small))
    first, second = door(tmp_path)
    assert first.startswith("4:3: small.onnx has 1 bytes, sface has 10667852; run: pip install")
    assert second.startswith("4:3: small.onnx has 1 bytes, yunet has 122489; run: pip install")


class Located:
    def __init__(self, file: Path) -> None:
        self._file = file

    def locate_file(self, name: str) -> Path:
        return self._file


def test_a_users_node_has_its_check_beside_it(tmp_path):
    (tmp_path / "port.py").write_text(
        "from collections.abc import Iterator\n"
        "from zuluko.document import Fault\n"
        "def port(*, number: int = 80, name: str = 'x') -> None: ...\n"
        "def check_port(*, number: int, name: str) -> Iterator[Fault]:\n"
        "    if number < 1024:\n"
        "        yield Fault('number', f'{number} is for root; give one of 1024 or more')\n"
    )
    assert said(tmp_path, "nodes: {a: {run: ./port.py, number: 3}}") == [
        "1:37: `number`: 3 is for root; give one of 1024 or more"
    ]
    assert said(tmp_path, "nodes: {a: {run: ./port.py}}") == [
        "1:9: `number`: 80 is for root; give one of 1024 or more"
    ]
    typed = "params: {n: 2000}\nnodes: {a: {run: ./port.py, number: $n}}"
    assert said(tmp_path, typed) == []
    done = zuluko("check", write(tmp_path, typed), "--set", "n=5")
    assert done.stderr == "--set n: `number`: 5 is for root; give one of 1024 or more\n"
