"""The chain of what the nodes of a lockstep said: a link a message, each the digest of all that was said up
to it. Two runs said the same if their chains end alike; else they part at the first link that differs.

A chain in a file is a line a link, so that a reference can lie beside a test, in version control.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

FIRST = "zuluko chain 1"
SHOWN = 16  # hexadecimal digits of a digest that stand in a file and on a screen
LONGEST_LINE = 1024  # characters


class ChainError(ValueError):
    """A file that is no chain, or that cannot be written; a whole sentence."""


class Link(NamedTuple):
    """One message: its number in the run, topic, number in the topic, the log's time (ns), and the digest."""

    number: int
    topic: str
    seq: int
    at: int
    digest: str

    def __str__(self) -> str:
        return f"{self.topic} {self.seq} {self.at} {self.digest}"


class Chain:
    """Grows by a link a message. ``digest`` stands for all messages in their order, ``topics`` for those of
    each topic; SHA-256, in hexadecimal digits."""

    def __init__(self) -> None:
        self.count = 0
        self._state = bytes(32)
        self._topics: dict[str, bytes] = {}

    @property
    def digest(self) -> str:
        return self._state.hex()

    @property
    def topics(self) -> dict[str, str]:
        return {topic: state.hex() for topic, state in self._topics.items()}

    def add(self, topic: str, seq: int, at: int, data: bytes) -> Link:
        """Adds a message, an envelope's bytes."""
        said = topic.encode() + b"\0" + hashlib.sha256(data).digest()
        self._state = hashlib.sha256(self._state + said).digest()
        self._topics[topic] = hashlib.sha256(self._topics.get(topic, bytes(32)) + said).digest()
        self.count += 1
        return Link(self.count - 1, topic, seq, at, self._state.hex()[:SHOWN])


class ChainFile:
    """A chain in the making, mode 0600; ``end`` makes it whole. Raises ChainError for a file that exists, or
    a full disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = self._open()
        self._write(FIRST)

    def _open(self) -> IO[str]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.fdopen(os.open(self.path, flags, 0o600), "w", encoding="utf-8")
        except FileExistsError:
            raise ChainError(f"{self.path} exists already; choose another name, or remove it") from None
        except OSError as error:
            raise self._full(error) from None

    def add(self, link: Link) -> None:
        self._write(str(link))

    def end(self, chain: Chain) -> None:
        self._write(f"end {chain.count} {chain.digest}")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._full(error) from None

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
        except OSError as error:
            raise self._full(error) from None

    def _full(self, error: OSError) -> ChainError:
        return ChainError(f"{self.path} cannot be written: {error.strerror}")

    def __enter__(self) -> "ChainFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._file.close()


def is_chain(path: Path) -> bool:
    """Whether a file begins as a chain does."""
    try:
        with path.open("rb") as file:
            return file.read(len(FIRST)) == FIRST.encode()
    except OSError as error:
        raise ChainError(f"{path} cannot be read: {error.strerror}") from None


def links(path: Path) -> Iterator[Link]:
    """The links of a chain in a file; raises ChainError for one that is none, or that has no end."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline(LONGEST_LINE).rstrip("\n") != FIRST:
                raise ChainError(f"{path} is no chain: it does not begin with `{FIRST}`")
            number = 0
            while line := file.readline(LONGEST_LINE):
                if line.startswith("end "):
                    return
                yield _link(path, number, line)
                number += 1
    except OSError as error:
        raise ChainError(f"{path} cannot be read: {error.strerror}") from None
    raise ChainError(f"{path} has no end: the run that wrote it was stopped; make it anew with --chain")


def _link(path: Path, number: int, line: str) -> Link:
    try:
        topic, seq, at, digest = line.split()
        return Link(number, topic, int(seq), int(at), digest)
    except ValueError:
        what = "expected a topic, two numbers and a digest"
        raise ChainError(f"{path}:{number + 2}: `{line.strip()[:40]}` is no link; {what}") from None
