"""Fixtures for pytest; a test suite takes them with a line in its ``conftest.py``:

from zuluko.testing.fixtures import run_dir
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory for each test, short enough for a socket's address, and cleaned away: what runs in
    one test is not seen by another, nor by a graph that runs beside."""
    path = Path(tempfile.mkdtemp(prefix="zk-"))
    monkeypatch.setenv("ZULUKO_RUN", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)
