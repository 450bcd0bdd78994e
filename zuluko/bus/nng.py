"""pynng, without the 6 MB of asyncio that its import brings for calls that the bus does not use, and without
the abort in which it may end a process.

asyncio is loaded when somebody first uses it, in this process as in any.
"""

import atexit
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from itertools import islice
from pathlib import Path
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

__all__ = ["MOST_REFUSED", "REDIAL", "leave", "listen", "pynng", "take", "waiting"]

_sockets: "weakref.WeakSet[Any]" = weakref.WeakSet()
_make = pynng.Socket.__init__


def _note(socket: Any, *arguments: Any, **options: Any) -> None:
    _make(socket, *arguments, **options)
    _sockets.add(socket)


def _close_all() -> None:
    """Closes what is still open, while Python can still be called for it. nng's threads end with the process.

    pynng would end them before (``nng_fini``), and nng 1.11 then first takes away what its other threads need
    to give up a connection that nobody has answered yet, such as one to a node that is stopped: it panics,
    and the process ends by SIGABRT (pynng's issue 108).
    """
    for socket in list(_sockets):
        socket.close()


pynng.Socket.__init__ = _note
atexit.unregister(pynng.nng._pynng_atexit)
atexit.register(_close_all)

# For one that starts again; later ever more seldom, for each time takes some 2 ms of a core.
REDIAL = {"reconnect_time_min": 20, "reconnect_time_max": 5000}  # ms

MOST_REFUSED = 1000  # messages in a row, before others have their turn


def listen(socket: Any, path: Path) -> int:
    """Listens at a path, in the place of whoever did; gives what ``leave`` wants to know.

    On closing, nng removes the file that it listened at, which by then may be a successor's. So it listens at
    another name, and the file is moved. The folder's descriptor makes that name a short one.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        own = f".{os.urandom(8).hex()}"
        socket.listen(f"ipc:///proc/self/fd/{folder}/{own}")
        os.chmod(own, 0o600, dir_fd=folder)
        file = os.stat(own, dir_fd=folder).st_ino
        os.replace(own, path, src_dir_fd=folder)
    finally:
        os.close(folder)
    return file


def leave(socket: Any, path: Path, file: int) -> None:
    """Closes a socket, and removes its file from the path, unless another has taken its place."""
    with suppress(FileNotFoundError):
        if path.lstat().st_ino == file:
            path.unlink()
    socket.close()


def take(socket: Any) -> bytes | None:
    """The message that waits, or None; pynng 0.9 raises RuntimeError for one of no bytes."""
    try:
        return bytes(socket.recv(block=False))
    except pynng.TryAgain:
        return None
    except RuntimeError:
        return b""


def waiting(socket: Any) -> Iterator[bytes]:
    """The messages that wait, as many as may be refused in a row."""
    return islice(iter(lambda: take(socket), None), MOST_REFUSED)
