"""Whether, and when, a process that died starts again."""

import random
from collections import deque
from collections.abc import Callable, Iterable

from zuluko.launch.graph import Restart

BACKOFF = (0.1, 5.0)  # s to the first and at most to any restart; doubled in between
JITTER = 0.2  # of the wait, more or less: what died together does not start together
STEADY = 10.0  # s of life after which the wait begins small again


def together(each: Iterable[Restart]) -> Restart:
    """The rule for a process of several nodes: the strictest of each."""
    rules = list(each)
    silences = [rule.silence for rule in rules if rule.silence is not None]
    return Restart(
        on=all(rule.on for rule in rules),
        most=min(rule.most for rule in rules),
        within=max(rule.within for rule in rules),
        silence=min(silences, default=None),
    )


class Restarts:
    """Counts a process's deaths against its rule. It reads no clock: times are given, in seconds."""

    def __init__(self, rule: Restart, chance: Callable[[], float] = random.random) -> None:
        self._rule, self._chance = rule, chance
        self._deaths: deque[float] = deque()
        self._in_row = 0

    @property
    def is_last(self) -> bool:
        """Whether another death soon would be the last."""
        return not self._rule.on or len(self._deaths) >= self._rule.most

    def forget(self) -> None:
        """Begins anew, when a person starts it."""
        self._deaths.clear()
        self._in_row = 0

    def died(self, now: float, lived: float) -> float | None:
        """The seconds to wait before it starts again; None where it fails for good."""
        self._in_row = 1 if lived > STEADY else self._in_row + 1
        self._deaths.append(now)
        while now - self._deaths[0] > self._rule.within:
            self._deaths.popleft()
        if not self._rule.on or len(self._deaths) > self._rule.most:
            return None
        wait = min(BACKOFF[0] * 2.0 ** min(self._in_row - 1, 30), BACKOFF[1])
        return wait * (1 - JITTER + 2 * JITTER * self._chance())

    def why(self) -> str:
        """What the limit was, for whoever reads that it failed."""
        if not self._rule.on:
            return "it is not to start again"
        times, within = self._rule.most, self._rule.within
        return f"it has started again {times} times within {within:g} s"
