"""What is recorded where, and when: as a launch file or a command line asks for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

SPLITS = 10  # files that what is kept is split into, unless told otherwise

Images = Literal["raw", "jpeg", "as-is"]


class Trigger(Protocol):
    """What makes a message an event: it is asked about each of some ``topics``, with the envelope's bytes."""

    @property
    def text(self) -> str: ...

    @property
    def topics(self) -> frozenset[str]: ...

    def fires(self, topic: str, data: bytes) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """Only what is about an event is recorded: ``last`` seconds before it, from at most ``memory`` bytes, and
    ``after`` seconds from it on. ``on`` says what an event is; without it, commands do."""

    last: float
    after: float = 5.0
    memory: float = 64 << 20
    on: Trigger | None = None


@dataclass(frozen=True)
class Plan:
    """Where and how to record.

    ``to``       a file that ends in .mcap, or a folder for files named by graph and time (UTC)
    ``images``   pictures as they are; as JPEG of a ``quality`` from 1 to 100; or as the JPEG that they came
                 as, and else as one of that quality
    ``split_size``, ``split_time``   bytes and seconds after which another file is begun; 0 for never
    ``keep_size``, ``keep_time``   bytes and seconds of logs that are kept; older files are deleted
    ``start``    records from the beginning, and not only when it is told to
    """

    to: Path
    images: Images = "raw"
    quality: int = 90
    split_size: float = 0.0
    split_time: float = 0.0
    keep_size: float = 0.0
    keep_time: float = 0.0
    start: bool = True
    snapshot: Snapshot | None = None

    @property
    def size(self) -> float:
        return self.split_size or self.keep_size / SPLITS or float("inf")

    @property
    def time(self) -> float:
        return self.split_time or self.keep_time / SPLITS or float("inf")
