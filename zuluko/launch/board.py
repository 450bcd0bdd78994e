"""Boards: what a machine has. A launch file names one, and `zuluko check` proves that the graph fits."""

import os
import platform
import re
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from zuluko import document
from zuluko.document import Document, DocumentError, Problem
from zuluko.launch.compounds import Field, Listed, Record
from zuluko.launch.shapes import MisfitError, Size, Whole, Words

FOLDER = Path(__file__).parent / "boards"
MB = 1 << 20

SHAPE = Record(
    {
        "title": Field(Words(example="Raspberry Pi 4 Model B"), "what people call it", required=True),
        "memory": Field(Size(example="512MB"), "all of it, as it is sold", required=True),
        "system": Field(
            Size(example="120MB"), "what firmware, kernel and services take of it", required=True
        ),
        "cores": Field(Whole(1, 4096, "4"), "how many", required=True),
        "arch": Field(Words(example="aarch64"), "as `uname -m` says", required=True),
        "features": Field(Listed(Words(example="asimd")), "of the processor, as /proc/cpuinfo says"),
    },
    "{title: My board, memory: 512MB, system: 120MB, cores: 4, arch: aarch64}",
)


@dataclass(frozen=True)
class Board:
    """``memory`` and what the ``system`` takes of it in bytes."""

    name: str
    memory: float
    system: float
    cores: int
    arch: str
    features: tuple[str, ...] = ()
    title: str = ""

    @property
    def free(self) -> float:
        """What is left for a graph, in bytes."""
        return self.memory - self.system


class Facts(msgspec.Struct, frozen=True):
    """What a condition may ask of the board, as `board.cores`; ``memory`` is in MB."""

    name: str
    cores: int
    memory: int
    arch: str
    hostname: str
    features: list[str]


class BoardError(ValueError):
    """A board that there is not; says which there are."""


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def find(name: str) -> Board:
    """The board of that name that comes with the package; raises BoardError."""
    if name not in names():
        what = f"there is no board `{name}`; expected one of {', '.join(names())}"
        raise BoardError(f"{what}; try `board: {{file: my-board.yaml}}` for one of your own")
    return load(FOLDER / f"{name}.yaml")


def load_beside(folder: Path, name: str) -> Board:
    """The board of a file beside a launch file; raises BoardError and DocumentError."""
    if not (folder / name).is_file():
        raise BoardError(f"there is no file {folder / name}; expected one that holds {SHAPE.example}")
    return load(folder / name)


def load(file: Path) -> Board:
    """The board that a file describes; raises DocumentError."""
    doc = document.load(file)
    try:
        read = SHAPE.read(file.stem, doc.value)
    except MisfitError as error:
        raise DocumentError([doc.problem(error.path, str(error), key=error.key)]) from None
    board = Board(name=file.stem, **{**read, "features": tuple(read.get("features", ()))})
    if board.free <= 0:
        raise DocumentError([_full(doc)])
    return board


def _full(doc: Document) -> Problem:
    return doc.problem(("system",), "`system` takes all the memory; expected less than `memory`")


@cache
def machine() -> Board:
    """The machine that this runs on, as far as it tells."""
    info = _lines("/proc/meminfo")
    memory = float(info.get("MemTotal", "0 kB").split()[0]) * 1024
    cpu = _lines("/proc/cpuinfo")
    features = (cpu.get("Features") or cpu.get("flags") or "").split()
    return Board("", memory, 0.0, os.cpu_count() or 1, platform.machine(), tuple(features), "this machine")


def _lines(path: str) -> dict[str, str]:
    try:
        text = Path(path).read_text()
    except OSError:
        return {}
    return dict(re.findall(r"^([^\n:]+?)\s*: *(.*)$", text, re.MULTILINE))


def facts(board: Board | None) -> Facts:
    """What is known of the board that a graph is for, or of this machine. The name of the host is always
    this machine's."""
    known = board or machine()
    return Facts(
        name=known.name,
        cores=known.cores,
        memory=round(known.memory / MB),
        arch=known.arch,
        hostname=socket.gethostname(),
        features=list(known.features),
    )


def constants(found: Facts) -> dict[str, Any]:
    return {"board": msgspec.to_builtins(found)}
