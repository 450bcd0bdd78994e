"""An album: a folder of files that belong together by their names, the oldest of which make room."""

import errno
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

LONGEST_LABEL = 40  # characters
_OWN = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z-[A-Za-z0-9_-]*\.(jpg|json)")
_PARTIAL = ".snapshot-"  # begins the name of a file that is not whole yet


@dataclass(frozen=True)
class Album:
    """Keeps at most ``most`` entries and ``most_bytes`` bytes in a folder; touches no file but its own."""

    folder: Path
    most: int
    most_bytes: int

    def open(self) -> None:
        """Makes the folder, mode 0700, and removes what a crash has left half written; raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in self.folder.glob(f"{_PARTIAL}*"):
            file.unlink(missing_ok=True)

    def keep(self, name: str, parts: Mapping[str, bytes]) -> dict[str, Path]:
        """Writes an entry's files, each by its suffix, whole and on the disk before it returns; their paths.

        Raises OSError as soon as one cannot be written; those before it are there.
        """
        self._make_room(sum(map(len, parts.values())))
        stem = self._free(name)
        found = {}
        for suffix, content in parts.items():
            found[suffix] = self.folder / f"{stem}.{suffix}"
            write(found[suffix], content)
        return found

    def entries(self) -> dict[str, list[Path]]:
        """The files of each entry, the oldest entry first."""
        found: dict[str, list[Path]] = {}
        for name in sorted(os.listdir(self.folder)):
            if _OWN.fullmatch(name):
                found.setdefault(name.rpartition(".")[0], []).append(self.folder / name)
        return found

    def _free(self, name: str) -> str:
        """The name, or with a number behind it the first that no entry has."""
        taken = self.entries()
        return next(stem for n in count(1) if (stem := f"{name}-{n}" if n > 1 else name) not in taken)

    def _make_room(self, size: int) -> None:
        if size > self.most_bytes:
            raise OSError(errno.EFBIG, f"it has {size} bytes, and the folder may have {self.most_bytes}")
        entries = self.entries()
        sizes = {stem: sum(map(_size, files)) for stem, files in entries.items()}
        total = sum(sizes.values())
        for stem, files in entries.items():
            if len(sizes) < self.most and total + size <= self.most_bytes:
                return
            for file in files:
                file.unlink(missing_ok=True)
            total -= sizes.pop(stem)


def entry_name(stamp: int, label: str) -> str:
    """What an entry of this moment (graph time, ns) is called; names sort as their moments do."""
    try:
        moment = datetime.fromtimestamp(stamp // 1_000_000 / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # no stamp that a clock could have given
        moment = datetime.fromtimestamp(0, UTC)
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", label).strip("-")[:LONGEST_LABEL] or "snapshot"
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{moment.microsecond // 1000:03}Z-{word}"


def write(file: Path, content: bytes) -> None:
    """Writes a file, mode 0600, whole or not at all, and on the disk before it returns."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=_PARTIAL)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(name, file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # somebody has tidied up
        return 0
