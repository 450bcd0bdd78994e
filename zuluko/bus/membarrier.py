"""One fence for two sides: ``membarrier(2)`` makes every thread of every registered process that runs
right now execute a full memory barrier: the other side then needs none in its own path (asymmetric fences).

Without it, on another kernel or behind a filter of system calls, ``available()`` is false.
"""

import ctypes
import os
import platform
from functools import cache

_NUMBER = {"x86_64": 324, "aarch64": 283}.get(platform.machine())
_GLOBAL_EXPEDITED = 1 << 1
_REGISTER_GLOBAL_EXPEDITED = 1 << 2
_QUERY = 0

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_uint, ctypes.c_int]

# x86 keeps stores in order among themselves, and loads too; ARM keeps neither.
ORDERED = platform.machine() == "x86_64"


@cache
def available() -> bool:
    """Whether this process takes part: registered, so that another's barrier reaches its threads.

    ``ZULUKO_NO_LANE=1`` answers no, to see how a graph fares on a kernel without it.
    """
    if _NUMBER is None or os.environ.get("ZULUKO_NO_LANE"):
        return False
    commands = _syscall(_NUMBER, _QUERY, 0, 0)
    if commands < 0 or not commands & _GLOBAL_EXPEDITED:
        return False
    return bool(_syscall(_NUMBER, _REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0)


def barrier() -> None:
    """A full barrier in every registered process, this one included; about 1 us."""
    if _syscall(_NUMBER, _GLOBAL_EXPEDITED, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "membarrier failed")
