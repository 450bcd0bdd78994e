"""Becoming another user, as root, for a command that looks at what is theirs."""

import ctypes
import os
from struct import pack

_SET_KEEPCAPS, _CAP_AMBIENT, _AMBIENT_RAISE = 8, 47, 2  # of prctl(2)
_VERSION_3 = 0x20080522  # of capset(2)
_DAC_READ_SEARCH = 2


def become(uid: int, gid: int) -> None:
    """Gives up root's rights but one, also for what is executed next: to read what root can read. For the
    interpreter may lie in a home that the user cannot enter, and so may the photographs to enrol."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    kept = 1 << _DAC_READ_SEARCH
    if libc.capset(pack("Ii", _VERSION_3, 0), pack("6I", kept, kept, kept, 0, 0, 0)) == 0:
        libc.prctl(_CAP_AMBIENT, _AMBIENT_RAISE, _DAC_READ_SEARCH, 0, 0)
