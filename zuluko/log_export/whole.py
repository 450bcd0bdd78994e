"""Files under another name until they are whole, and never in an existing one's place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zuluko.bus.log_writer import LogError


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to write a file or a folder at, which becomes ``target`` when all went well and else goes away.

    Raises LogError where ``target`` exists, before or by then, or where its folder cannot be written.
    """
    if os.path.lexists(target):
        raise LogError(f"{target} exists already; choose another name, or remove it")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        for path in (temporary, *temporary.rglob("*")):
            _keep(path)
        _place(temporary, target)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise LogError(f"{target} cannot be written: {why}") from None
    finally:
        _remove(temporary)


def _keep(path: Path) -> None:
    """Has the disk keep a file for this user alone."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(temporary: Path, target: Path) -> None:
    if temporary.is_dir():
        temporary.rename(target)  # fails where anything but an empty folder has come there
        return
    try:
        os.link(temporary, target)  # unlike a rename it takes nobody's place
    except FileExistsError:
        raise LogError(f"{target} exists by now; choose another name") from None
    except OSError:  # a card's file system may know no links
        temporary.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
