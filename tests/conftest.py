"""Every test has a runtime directory of its own, short enough for a socket's address, and cleans it away."""

import signal
import sys
import tempfile
from collections.abc import Iterator

import pytest

from zuluko.testing.fixtures import run_dir  # noqa: F401

# In the background or under nohup these are ignored, and would be by all that a test starts and signals.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


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
