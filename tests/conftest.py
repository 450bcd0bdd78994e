"""Every test has a runtime directory of its own, short enough for a socket's address, and cleans it away."""

import sys
import tempfile
from collections.abc import Iterator

import pytest

from zuluko.testing.fixtures import run_dir  # noqa: F401


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
