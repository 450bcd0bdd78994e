"""The runtime directory: private, short enough, and files written whole."""

import os
import stat

import pytest

from zuluko.bus import topics
from zuluko.bus.topics import TopicError
from zuluko.messages import Faces, Frame


def test_the_runtime_directory_is_ours_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path / "a" / "b"))
    assert stat.S_IMODE(topics.run_dir().stat().st_mode) == 0o700


def test_the_session_directory_serves_when_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("ZULUKO_RUN")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert topics.run_dir() == tmp_path / "zuluko"


def test_a_directory_that_others_can_enter_is_refused(monkeypatch, tmp_path):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path))
    with pytest.raises(TopicError, match=f"open to other users; run: chmod 700 {tmp_path}"):
        topics.run_dir()


def test_the_folder_of_all_is_refused_and_left_to_them(monkeypatch):
    monkeypatch.setenv("ZULUKO_RUN", "/tmp")
    with pytest.raises(
        TopicError, match="/tmp is (for all users; set ZULUKO_RUN to a folder|not a directory)"
    ):
        topics.run_dir()


def test_a_link_is_no_runtime_directory(monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path / "link"))
    with pytest.raises(TopicError, match="not a directory of yours"):
        topics.run_dir()


def test_a_file_in_its_place_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path / "file"))
    with pytest.raises(TopicError, match="set ZULUKO_RUN to another"):
        topics.run_dir()


def test_a_path_longer_than_the_kernel_takes_is_told(monkeypatch, tmp_path):
    room = topics.LONGEST_PATH - len(str(tmp_path)) - len("/door/t") - 1
    if room < 1:
        pytest.skip("the test's own directory is too long for this")
    fitting = tmp_path / ("x" * room)
    monkeypatch.setenv("ZULUKO_RUN", str(fitting))
    assert len(str(topics.socket_path("door", "t"))) == topics.LONGEST_PATH
    with pytest.raises(TopicError, match=r"is 108 bytes long, and the kernel takes 107; set ZULUKO_RUN"):
        topics.socket_path("door", "tt")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "1st", "a..b", "é"])
def test_names_that_are_no_names(name):
    with pytest.raises(TopicError, match="cannot name a topic"):
        topics.socket_path("door", name)


def test_announcements_tell_type_and_schema(run_dir):
    topics.graph_dir("door")
    topics.announce("door", "camera", Frame)
    topics.announce("door", "faces", Faces)
    (run_dir / "door" / "broken.json").write_text("{")
    camera, faces = topics.announcements("door")
    assert (camera.topic, camera.type, camera.pid) == ("camera", "Frame/1", os.getpid())
    assert "similarity" in str(faces.schema)
    assert topics.graphs() == ["door"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "file"
    topics.write_whole(file, b"old")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(TypeError):
        topics.write_whole(file, "no bytes")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
