"""Every test has a runtime directory of its own, short enough for a socket's address, and cleans it away."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="zk-"))
    monkeypatch.setenv("ZULUKO_RUN", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)
