"""numpy, loaded when something first needs an array: what has none does without its 13 MB.

``from zuluko.bus.np import np`` in the modules that every process loads; annotations there are text.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:

    class _Numpy:
        def __getattr__(self, name: str) -> Any:
            import numpy

            value = getattr(numpy, name)
            setattr(self, name, value)  # the next time it is there
            return value

    class NDArray:
        """As numpy.typing's."""

        def __class_getitem__(cls, scalar: Any) -> Any:
            return np.ndarray[Any, np.dtype[scalar]]

    np = _Numpy()

__all__ = ["NDArray", "freeze", "np"]


def freeze(array: Any) -> None:
    """Makes an array read-only, and with it the one that it is a view of, if it is the whole of that."""
    size = array.nbytes
    while isinstance(array, np.ndarray) and array.nbytes == size:
        array.flags.writeable = False
        array = array.base
