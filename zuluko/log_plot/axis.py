"""Round numbers along an axis."""

import math
from collections.abc import Iterator


def ticks(low: float, high: float, most: int) -> Iterator[float]:
    """At most so many multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``."""
    span = (high - low) / max(1, most)
    if span <= 0 or not math.isfinite(span):
        return
    power = 10.0 ** math.floor(math.log10(span))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= span * (1 - 1e-9))
    number = math.ceil(low / step - 1e-9)
    while number * step <= high + step * 1e-9:
        yield number * step
        number += 1


def short(value: float) -> str:
    """A number in few characters."""
    return f"{value:.4g}"
