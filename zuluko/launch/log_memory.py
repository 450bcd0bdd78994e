"""What a log knows of its rules' decisions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zuluko.bus.log_reader import LogReader
from zuluko.bus.versions import fitting
from zuluko.bus.wire import Decoder, Envelope
from zuluko.launch.recall import KINDS
from zuluko.launch.status import Node
from zuluko.log import entries, from_log
from zuluko.messages import Decision

AROUND = 120.0  # s before and after a moment that are read, since a run of evaluations goes on for some time
NEAR = 10_000_000_000  # ns before a decision in which the message that it evaluated came


class LogMemory:
    """The memory of a log. Raises LogError for a file that is none, and where it is damaged as it is read."""

    live = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._limits: dict[str, float] = {}
        with LogReader(path) as reader:
            self.start, self.end = reader.span
            kinds = {topic: fitting(KINDS, reader.type_of(topic)) for topic in reader.topics}
            self._kinds = {topic: kind for topic, kind in kinds.items() if kind}
            told = [topic for topic, kind in kinds.items() if kind is Decision]
            self._topics = set(reader.topics)
        self.nodes: Sequence[Node] = [Node(topic.removesuffix(".decision"), state="ready") for topic in told]
        self._told = False

    def now(self) -> int:
        return self.end

    def look_at(self, moment: int) -> None:
        """Remembers no more than what was about that time (ns)."""
        seconds = (moment - self.start) / 1e9
        self._limits = {"start": seconds - AROUND, "end": seconds + AROUND}

    def told(self) -> Iterator[tuple[str, Envelope[Any]]]:
        if self._told:
            return
        self._told = True
        for entry in entries(LogReader(self.path), self._kinds, **self._limits):
            yield entry.topic, entry.envelope

    def knows(self, topic: str) -> bool:
        return topic in self._topics

    def message(self, topic: str, seq: int, before: int) -> Any:
        found = None
        with LogReader(self.path) as reader:
            for _, message in reader.messages([topic], before - NEAR, before + NEAR):
                if message.sequence == seq and message.sent <= before:
                    found = message
        return Decoder[Any](Any, from_log)(found.data).body if found else None

    def last_sent(self, topic: str) -> int | None:
        """A log ends where it ends; what fell silent in it is for ``zuluko log info``."""
        return None

    def close(self) -> None:
        """It holds nothing open."""
