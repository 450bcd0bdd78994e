"""Topics that live and say nothing."""

import time
from collections.abc import Mapping
from typing import Any

from zuluko.bus.log_tap import Heard, Taps

SILENCE = 2.0  # s after which a topic that lives and says nothing is told of
OFTEN = 1.0  # s between two messages of a topic that is missed when it stops


class Silences:
    """Tells of topics that live and say nothing: since the beginning, or though they have spoken often for as
    long as that silence. What speaks when something is done has no rhythm, and its silence is no fault."""

    def __init__(self, taps: Taps) -> None:
        self._taps = taps
        self._last: dict[str, float] = {}
        self._often_since: dict[str, float] = {}
        self._told: set[str] = set()
        self._begin = self._next = time.monotonic()

    def look(self, batch: list[Heard]) -> list[str]:
        """A sentence for each topic that has just become too silent."""
        now = time.monotonic()
        for topic in {heard.topic for heard in batch}:
            if now - self._last.get(topic, float("-inf")) >= OFTEN:
                self._often_since[topic] = now
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
        tap = self._taps.taps[topic]
        last = self._last.get(topic)
        if now - (last or self._begin) < SILENCE or not tap.connected:
            return False
        if tap.told and _is_of_deeds(tap.told.schema):
            return False
        return last is None or last - self._often_since[topic] >= SILENCE


def _is_of_deeds(schema: Mapping[str, Any]) -> bool:
    """Whether a type is that of commands, or of what is told about them: decisions, deliveries, states."""
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    definitions = schema.get("$defs")
    body = definitions.get(named, schema) if isinstance(definitions, dict) else schema
    fields = body.get("properties") if isinstance(body, dict) else None
    return isinstance(fields, dict) and ("command" in fields or {"id", "to"} <= fields.keys())
