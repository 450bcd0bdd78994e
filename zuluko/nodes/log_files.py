"""The files of a recording: what each is called, and which of the old ones are deleted."""

import os
import re
import shutil
import time
from pathlib import Path

from zuluko.bus.log_writer import LogError


def free_bytes(path: Path) -> int:
    """What the disk has room for."""
    return shutil.disk_usage(path.parent).free


def stem(to: Path, graph: str) -> Path:
    """The first file's path; in a folder it bears the graph's name and the time."""
    if to.suffix == ".mcap":
        return to
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{to} cannot be made: {error.strerror}") from None
    return to / f"{graph}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.mcap"


def free(first: Path, *, begun: bool) -> Path:
    """The path, and with the next number once it is taken: ``a.mcap``, ``a-2.mcap``, ``a-3.mcap``."""
    if not begun and not os.path.lexists(first):
        return first
    taken = [int(found[1]) for one in first.parent.iterdir() if (found := _number(first).fullmatch(one.name))]
    return first.with_name(f"{first.stem}-{max(taken, default=1) + 1}.mcap")


def delete_old(first: Path, current: Path | None, *, size: float, age: float) -> None:
    """Deletes the oldest logs of this name beyond ``size`` bytes and ``age`` seconds, 0 for no limit; never
    the ``current`` one."""
    if not (size or age):
        return
    now, sum_ = time.time(), 0.0
    for file in sorted(_siblings(first), key=lambda one: one.stat().st_mtime, reverse=True):
        told = file.stat()
        sum_ += told.st_size
        if file != current and ((age and now - told.st_mtime > age) or (size and sum_ > size)):
            file.unlink(missing_ok=True)


def _number(first: Path) -> re.Pattern[str]:
    return re.compile(re.escape(first.stem) + r"-(\d{1,9})\.mcap")


def _siblings(first: Path) -> list[Path]:
    """The logs of one name: with another number, and in a folder of another time."""
    name = re.sub(r"-\\?\d{8}\\?-\d{6}$", r"-\\d{8}-\\d{6}", re.escape(first.stem))
    pattern = re.compile(name + r"(-\d{1,9})?\.mcap")
    return [one for one in first.parent.iterdir() if pattern.fullmatch(one.name) and one.is_file()]
