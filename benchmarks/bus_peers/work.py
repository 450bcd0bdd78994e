"""The work that every peer does, and what its two processes know of their run."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bus_peers import PEERS, Peer

HEADER = struct.Struct("<qq")  # stamp and seq; 48 bytes follow, or a frame
PAYLOAD = bytes(range(48))
QUEUE = 1024  # small messages that a peer may keep for its subscriber, where it can be told
FRAMES = 4  # and frames

Ready = Callable[[], None]
Take = Callable[[int, int, Any], bool]


@dataclass(frozen=True)
class Case:
    """``shape`` of a frame, None for small messages; ``rate`` in Hz, 0 for as fast as a window of messages
    on their way allows."""

    title: str
    rate: int
    seconds: float
    shape: tuple[int, int, int] | None = None
    subscribers: int = 1


CASES = {
    "small": Case("64 B at 1 kHz", 1000, 3.0),
    "vga": Case("VGA", 30, 3.0, (480, 640, 3)),
    "1080p": Case("1080p", 30, 4.0, (1080, 1920, 3)),
    "4k": Case("4K", 30, 3.0, (2160, 3840, 3)),
    "three": Case("1080p to three", 30, 4.0, (1080, 1920, 3), subscribers=3),
    "sustained": Case("small, a second (lost)", 0, 2.0),
    "pair": Case("pair, MB", 100, 2.0),
    "start": Case("first / restarted, ms", 1000, 0.0),
}


@dataclass(frozen=True)
class Run:
    name: str
    case: Case
    index: int  # of the subscriber; of a publisher, how often one has been started before
    folder: Path

    @property
    def peer(self) -> Peer:
        return PEERS[self.name]

    @property
    def size(self) -> int:
        """Bytes after the header."""
        if self.case.shape is None:
            return len(PAYLOAD)
        rows, columns, colours = self.case.shape
        return rows * columns * colours

    @property
    def small(self) -> bool:
        return self.case.shape is None

    @property
    def keep(self) -> int:
        return QUEUE if self.small else FRAMES

    def view(self, data: Any, offset: int = 0) -> Any:
        """The frame that lies in a buffer, without a copy."""
        import numpy as np

        assert self.case.shape
        return np.frombuffer(data, np.uint8, self.size, offset).reshape(self.case.shape)


def header(data: Any) -> tuple[int, int]:
    """The stamp and the seq with which a message begins."""
    stamp, seq = HEADER.unpack_from(data)
    return stamp, seq


@dataclass(frozen=True)
class Link:
    """A publisher's end: ``send(stamp, seq, payload)`` takes 48 bytes or a frame; ``fill(frame)`` writes it
    into lent memory first."""

    send: Callable[[int, int, Any], object]
    fill: Callable[[Any], object] | None = None
