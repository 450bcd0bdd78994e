"""Graph time: the wall clock at launch plus the monotonic clock since, in nanoseconds.

It never jumps when the wall clock is set, and every node of a graph shares it, because the launcher takes
the offset once and each node it forks inherits it.
"""

import time

_offset = time.time_ns() - time.monotonic_ns()


def now() -> int:
    """Graph time in nanoseconds since the epoch."""
    return time.monotonic_ns() + _offset


def offset() -> int:
    """Graph time minus the monotonic clock, in nanoseconds, for stamps that a driver gives on that clock."""
    return _offset


def share(offset: int) -> None:
    """Takes over a running graph's time, for a process that was not forked by its launcher."""
    global _offset  # noqa: PLW0603
    _offset = offset
