"""What ``ps`` and ``top`` show of a process."""

import ctypes
import os

_PR_SET_NAME = 15
_prctl = ctypes.CDLL(None).prctl  # made before the fork: to make it costs a child more memory than to call it


def show(name: str) -> None:
    """Calls this process ``zuluko: name`` where the whole command line is shown, and ``zk:`` with the last
    part of the name where fifteen characters are.

    The command line is what the kernel reads from the process's own memory, so it is written over there; no
    title is longer than the command line was.
    """
    _prctl(_PR_SET_NAME, f"zk:{name.rpartition('/')[2]}".encode()[:15])
    stat = os.open("/proc/self/stat", os.O_RDONLY)
    start, end = arguments(os.read(stat, 4096))
    os.close(stat)
    if start and (room := end - start - 1) > 0:
        ctypes.memmove(start, f"zuluko: {name}".encode()[:room].ljust(room + 1, b"\0"), room + 1)


def arguments(stat: bytes) -> tuple[int, int]:
    """Where a process's command line lies, as its stat tells (arg_start and arg_end of proc(5)); 0 and 0
    where an emulator leaves them out."""
    fields = stat.rpartition(b")")[2].split()
    return (int(fields[45]), int(fields[46])) if len(fields) > 46 else (0, 0)
