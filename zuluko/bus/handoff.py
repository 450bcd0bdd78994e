"""Letting a reader that has just been woken have this core at once.

The kernel likes to put who is woken on the waker's core, where it then waits until the waker sleeps. To yield
lets it go first: a quarter of a small message's latency. But beside programs that compute all the time, or a
reader that does, a yield costs the waker its turn, some ms. So where one took long, none is made for a while.
"""

import os
import time

LONG = 500_000  # ns
REST = 1_000_000_000  # ns


class Handoff:
    def __init__(self) -> None:
        self._rests_until = 0

    def __call__(self) -> None:
        now = time.monotonic_ns()
        if now >= self._rests_until:
            os.sched_yield()
            if time.monotonic_ns() - now > LONG:
                self._rests_until = now + REST
