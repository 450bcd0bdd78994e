"""The publisher's end of its readers' bells: rings them, and notices readers that have died."""

import os
import stat
from contextlib import suppress

from zuluko.bus.lane import NO_BELL
from zuluko.bus.lane_writer import Writer
from zuluko.bus.poller import GET_READY, RING, bell_path, bury_bell

ROUND = 500_000_000  # ns between two looks for readers that died


class Bells:
    """Rings whoever reads a lane. ``count`` is how many wait to be rung."""

    def __init__(self, graph: str, writer: Writer) -> None:
        self._graph, self._writer = graph, writer
        self._words: dict[int, int] = {}
        self._ropes: dict[int, int] = {}
        self._next_round = 0

    @property
    def any(self) -> bool:
        """Whether somebody was rung the last time."""
        return bool(self._ropes)

    @property
    def count(self) -> int:
        self._look()
        return len(self._ropes)

    def ring(self, now: int) -> None:
        """Rings all, and once in a while looks who has died; ``now`` is graph time in ns."""
        self._pull()
        if self._look():
            self._pull()
        if self._words and now >= self._next_round:
            self._next_round = now + ROUND
            for cell in list(self._words):
                self._bury(cell)

    def forewarn(self) -> None:
        """Has all get ready for a frame that a driver fills."""
        self._pull(GET_READY)

    def _pull(self, word: bytes = RING) -> None:
        for cell, rope in list(self._ropes.items()):
            try:
                os.write(rope, word)
            except BlockingIOError:
                pass  # it has been rung often enough
            except OSError:
                self._bury(cell)

    def _look(self) -> bool:
        """Whether readers have come or gone."""
        words = self._writer.bells()
        for cell, word in enumerate(words or ()):
            if word != self._words.get(cell, 0):
                self._hang(cell, word)
        return words is not None

    def _hang(self, cell: int, word: int) -> None:
        """Takes up the bell of a cell's new reader, in place of the old one's."""
        if (rope := self._ropes.pop(cell, -1)) >= 0:
            os.close(rope)
        if before := self._words.pop(cell, 0):
            bury_bell(bell_path(self._graph, before))
        if word:
            self._words[cell] = word
        if word and word < NO_BELL:
            with suppress(OSError):  # it died, or is no pipe: nobody to ring
                rope = os.open(
                    bell_path(self._graph, word), os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
                )
                if stat.S_ISFIFO(os.fstat(rope).st_mode):
                    self._ropes[cell] = rope
                else:
                    os.close(rope)

    def _bury(self, cell: int) -> None:
        if self._writer.reclaim(cell):
            self._hang(cell, 0)

    def close(self) -> None:
        for rope in self._ropes.values():
            os.close(rope)
        self._ropes.clear()
