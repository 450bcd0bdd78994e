"""pynng, without the 6 MB of asyncio that its import brings for calls that the bus does not use.

asyncio is loaded when somebody first uses it, in this process as in any.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any


class _Deferred:
    """Finds asyncio as a module that loads itself at its first use."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "asyncio" else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Deferred)
try:
    import pynng
finally:
    sys.meta_path.remove(_Deferred)

__all__ = ["pynng", "take"]


def take(socket: Any) -> bytes | None:
    """The message that waits, or None; pynng 0.9 raises RuntimeError for one of no bytes."""
    try:
        return bytes(socket.recv(block=False))
    except pynng.TryAgain:
        return None
    except RuntimeError:
        return b""
