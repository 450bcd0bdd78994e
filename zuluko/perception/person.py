"""One enrolled person as a file: a name, and a template per picture. Read with bounds, written whole."""

import errno
import os
import re
import stat
import tempfile
import unicodedata
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from zuluko.perception.ownership import trouble
from zuluko.perception.zoo import SFACE

SUFFIX = ".face"
FORMAT = "zuluko-face/1"
LENGTH = 128  # numbers of an SFace template
MOST_TEMPLATES = 20
MOST_BYTES = 64 * 1024  # of a file
LONGEST_NAME = 40  # characters, so that any script fits a file name's 255 bytes
MODEL = f"{SFACE.name}:{SFACE.sha256}"  # whose templates are comparable with each other

# What the machine suffers from and not the file; whoever meets it should try again.
PASSING = {
    *(errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
}

Templates = NDArray[np.float32]


class Person(NamedTuple):
    """``name`` in Unicode NFC, and ``templates``: n x 128, each of length 1."""

    name: str
    templates: Templates


class PersonError(ValueError):
    """A name or a file of a person that is not acceptable."""


class _Record(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The file's content, as MessagePack: each template is 128 little-endian float32."""

    format: str
    name: str
    model: str
    templates: list[bytes]

    def __repr__(self) -> str:
        return f"_Record({self.name!r}, {len(self.templates)} templates)"


def nfc(name: str) -> str:
    """The name in the one spelling in which names are kept and compared: an "é" is one character, not two."""
    return unicodedata.normalize("NFC", name)


def checked_name(name: str) -> str:
    """The name as it is stored (Unicode NFC). Raises PersonError for one that cannot be a file's name."""
    name = nfc(name)
    if not name or len(name) > LONGEST_NAME:
        raise PersonError(f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    odd = [letter for letter in name if not _allowed(letter)]
    if odd:
        raise PersonError(
            f"the name {name!r} has {odd[0]!r}; letters, digits, spaces, '-' and '_' may be used"
        )
    if not name[0].isalnum() or name[-1] == " " or re.search("  ", name):
        raise PersonError(
            f"the name {name!r} must begin with a letter or digit and have single spaces within"
        )
    return name


def _allowed(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter in " -_" or category[0] in "LM" or category == "Nd"


def path(directory: Path, name: str) -> Path:
    """The person's file. Raises PersonError for a name that is not acceptable."""
    return directory / (checked_name(name) + SUFFIX)


def read(file: Path) -> Person:
    """Who is in a person's file.

    Raises PersonError for a file that is damaged, oversized, somebody else's to write, under another name, or
    of another model; OSError for what may pass (``PASSING``).
    """
    record = _record(file)
    name = nfc(record.name)
    if record.format != FORMAT or nfc(file.stem) != name:
        raise PersonError(f"{file} is not the file of {file.stem}; remove it and enrol {file.stem} again")
    if record.model != MODEL:
        raise PersonError(
            f"{file} was made with another model than {SFACE.name}; remove it and enrol {file.stem} again"
        )
    try:
        checked_name(name)
    except PersonError as error:
        raise PersonError(f"{file}: {error}") from None
    return Person(name, _templates(record.templates, file))


def recorded_name(file: Path) -> str:
    """The name within a person's file, whatever its own name; empty where none is legible."""
    try:
        return nfc(_record(file).name)
    except (PersonError, OSError):
        return ""


def _record(file: Path) -> _Record:
    try:
        return msgspec.msgpack.decode(_content(file), type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PersonError(f"{file} is damaged; remove it and enrol {file.stem} again") from None


def _content(file: Path) -> bytes:
    """The bytes of a regular file of bounded size; never waits on a pipe or follows a link elsewhere.

    Nor does it take a file that somebody else can write.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            state = os.fstat(opened.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise PersonError(f"{file} is not a regular file")
            if why := trouble(file, state, right="600"):
                raise PersonError(why)
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise PersonError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise PersonError(f"{file} is larger than {MOST_BYTES} bytes, which no person's file is")
    return content


def _templates(packed: list[bytes], file: Path) -> Templates:
    if not 1 <= len(packed) <= MOST_TEMPLATES or any(len(part) != 4 * LENGTH for part in packed):
        raise PersonError(f"{file} is damaged; remove it and enrol {file.stem} again")
    templates = np.frombuffer(b"".join(packed), "<f4").reshape(-1, LENGTH).astype(np.float32)
    lengths = np.linalg.norm(templates.astype(np.float64), axis=1)
    if not np.all(np.abs(lengths - 1) < 1e-3):  # also where a number is not finite
        raise PersonError(f"{file} is damaged; remove it and enrol {file.stem} again")
    return templates


def write(file: Path, name: str, templates: Templates) -> None:
    """Replaces a person's file, mode 0600, whole or not at all, and on the disk before it returns."""
    packed = [template.astype("<f4").tobytes() for template in templates]
    content = msgspec.msgpack.encode(_Record(FORMAT, name, MODEL, packed))
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    flush(file.parent)


def flush(directory: Path) -> None:
    """Puts a directory's own entries on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
