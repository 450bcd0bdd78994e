"""Frames without a copy: an array that lies in shared memory from the beginning."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from zuluko.bus.np import np
from zuluko.bus.publisher import Publisher
from zuluko.bus.wire import INLINE

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_node = threading.local()  # a node has a thread of its own


def serve(publisher: Publisher | None) -> None:
    """Says whose slots ``empty`` gives in this thread."""
    _node.publisher = publisher


def empty(shape: Sequence[int], dtype: DTypeLike = "u1") -> np.ndarray[Any, Any]:
    """An uninitialised array for a driver to fill, in a free slot of its node's shared memory.

    Yielding a message that holds it publishes it without a copy, and makes it read-only. Outside a graph,
    for a small array, or with all slots in use it is a plain ``np.empty``.
    """
    kind, sides = np.dtype(dtype), tuple(int(side) for side in shape)
    publisher: Publisher | None = getattr(_node, "publisher", None)
    large = kind.itemsize * prod(sides) > INLINE
    array = publisher.empty(sides, kind) if publisher and large else None
    return np.empty(sides, kind) if array is None else array
