"""How often a node was later than its budget: the time from the evidence to what it made of it."""

import logging
import time

TELL = 10.0  # s between two sentences about it

log = logging.getLogger("zuluko.launch")


class Budget:
    """``late`` counts the messages that were published later than ``seconds`` after their stamp."""

    def __init__(self, seconds: float) -> None:
        self.late = 0
        self._seconds = seconds
        self._told = 0
        self._worst = 0.0
        self._next = 0.0

    def count(self, stamp: int, sent: int) -> None:
        """Takes in a message's stamp and when it was sent, both in ns; a stamp of 0 is no time."""
        if stamp <= 0 or (age := (sent - stamp) / 1e9) <= self._seconds:
            return
        self.late += 1
        self._worst = max(self._worst, age)
        if (now := time.monotonic()) >= self._next:
            new = self.late - self._told
            many = f"{new} messages are" if new > 1 else "a message is"
            worst, budget = self._worst * 1000, self._seconds * 1000
            log.warning("%s beyond the budget of %.0f ms, by evidence of up to %.0f ms", many, budget, worst)
            self._told, self._worst, self._next = self.late, 0.0, now + TELL
