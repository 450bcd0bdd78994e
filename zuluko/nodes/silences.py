"""Topics that live and say nothing."""

import time

from zuluko.bus.log_tap import Heard, Taps

SILENCE = 2.0  # s after which a topic that lives and says nothing is told of
OFTEN = 1.0  # s between two messages of a topic that is missed when it stops


class Silences:
    """Tells of topics that live and say nothing: since the beginning, or though they used to speak often."""

    def __init__(self, taps: Taps) -> None:
        self._taps = taps
        self._last: dict[str, float] = {}
        self._interval: dict[str, float] = {}
        self._told: set[str] = set()
        self._begin = self._next = time.monotonic()

    def look(self, batch: list[Heard]) -> list[str]:
        """A sentence for each topic that has just become too silent."""
        now = time.monotonic()
        for topic in {heard.topic for heard in batch}:
            self._interval[topic] = now - self._last.get(topic, self._begin)
            self._last[topic] = now
            self._told.discard(topic)
        if now < self._next:
            return []
        self._next = now + SILENCE / 4
        silent = [
            topic for topic in self._taps.taps if topic not in self._told and self._is_silent(topic, now)
        ]
        self._told.update(silent)
        return [f"{topic} has said nothing for {SILENCE:g} s" for topic in silent]

    def _is_silent(self, topic: str, now: float) -> bool:
        if now - self._last.get(topic, self._begin) < SILENCE or not self._taps.taps[topic].connected:
            return False
        return topic not in self._last or self._interval[topic] < OFTEN
