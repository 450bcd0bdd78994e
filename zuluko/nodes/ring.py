"""The ring: the last seconds of what was heard, in memory, for the log of an incident."""

from collections import deque
from collections.abc import Iterator

from zuluko.bus.log_tap import Heard

OVERHEAD = 400  # bytes that Python takes for a message besides its own


class Ring:
    """Holds what came in the last ``last`` seconds, in at most ``memory`` bytes. ``shortened`` says that it
    has held less for want of memory."""

    def __init__(self, last: float, memory: float) -> None:
        self.shortened = False
        self._last, self._memory = round(last * 1e9), memory
        self._held: deque[Heard] = deque()
        self._bytes = 0

    def add(self, heard: Heard) -> None:
        self._held.append(heard)
        self._bytes += len(heard.data) + OVERHEAD
        self._forget(heard.received - self._last)
        while self._bytes > self._memory and self._held:
            self.shortened = True
            self._drop()

    def since(self, moment: int) -> Iterator[Heard]:
        """What it holds of the ``last`` seconds before a moment (ns)."""
        self._forget(moment - self._last)
        return iter(self._held)

    @property
    def seconds(self) -> float:
        return (self._held[-1].received - self._held[0].received) / 1e9 if self._held else 0.0

    def _forget(self, before: int) -> None:
        while self._held and self._held[0].received < before:
            self._drop()

    def _drop(self) -> None:
        self._bytes -= len(self._held.popleft().data) + OVERHEAD
