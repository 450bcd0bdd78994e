"""Frames without a copy: an array that lies in shared memory from the beginning."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from zuluko.bus.publisher import Publisher
from zuluko.bus.wire import INLINE

_publisher: Publisher | None = None


def serve(publisher: Publisher | None) -> None:
    """Says whose slots ``empty`` gives in this process."""
    global _publisher  # noqa: PLW0603
    _publisher = publisher


def empty(shape: Sequence[int], dtype: DTypeLike = np.uint8) -> np.ndarray[Any, Any]:
    """An uninitialised array for a driver to fill, in a free slot of its node's shared memory.

    Yielding a message that holds it publishes it without a copy, and makes it read-only. Outside a graph,
    for a small array, or with all slots in use it is a plain ``np.empty``.
    """
    kind, sides = np.dtype(dtype), tuple(int(side) for side in shape)
    plain = _publisher is None or kind.itemsize * int(np.prod(sides)) <= INLINE
    array = None if plain or _publisher is None else _publisher.empty(sides, kind)
    return np.empty(sides, kind) if array is None else array
