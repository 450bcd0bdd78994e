"""Every test has a runtime directory of its own, short enough for a socket's address, and cleans it away."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def users_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets the modules that a test wrote and imported; another test may use their names."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what is printed must come out without it, too
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(tempfile.gettempdir()):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="zk-"))
    monkeypatch.setenv("ZULUKO_RUN", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)
