"""Bolts: what a lock node moves. A driver is a class that fits ``Bolt`` and a line in ``DRIVERS``."""

import fcntl
import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from zuluko.document import nearest


class Bolt(Protocol):
    """A bolt that can be driven and read.

    ``lock`` and ``unlock`` return when the bolt has had its time to move, and raise where it could not be
    driven: OSError, or what else the hardware's library raises. Neither is believed: ``is_locked`` reads
    where the bolt is.
    """

    def unlock(self) -> None: ...

    def lock(self) -> None: ...

    @property
    def is_locked(self) -> bool:
        """What the sensor says; raises where it cannot be read."""

    def close(self) -> None:
        """Gives the hardware back, which without power locks."""


def bolt(driver: str) -> Bolt:
    """The bolt that ``name`` or ``name:argument`` stands for; raises ValueError with the choices."""
    return find_driver(driver)(driver.partition(":")[2])


def find_driver(driver: str) -> "Callable[[str], Bolt]":
    """What makes the bolt, nothing of which is touched yet; raises ValueError with the choices."""
    name = driver.partition(":")[0]
    if name not in DRIVERS:
        near = nearest(name, DRIVERS) or f"; there is {', '.join(sorted(DRIVERS))}"
        raise ValueError(f"there is no lock driver `{name}`{near}")
    return DRIVERS[name]


class SimulatedBolt:
    """A solenoid that a spring locks when nothing holds it open.

    Without a path it lives in memory. With one, its state is a file that others may read by ``reading``: it
    says ``unlocked`` only while a living process holds it so, because the hold is a lock on the file that
    the kernel takes away from a process that dies, however it dies.

    ``fail_on`` and ``jam_on`` make it a bad one: ``{"lock": 2}`` lets the next two calls of ``lock`` raise
    OSError, or return without having moved anything; ``{"read": 1}`` makes the next reading fail. Both may be
    changed while it is in use.
    """

    def __init__(
        self,
        path: str = "",
        *,
        fail_on: Mapping[str, int] | None = None,
        jam_on: Mapping[str, int] | None = None,
    ) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644) if path else -1
        self._path = path
        self._held = False
        self.fail_on = Counter(fail_on or {})
        self.jam_on = Counter(jam_on or {})

    def unlock(self) -> None:
        if self._moves("unlock"):
            self._hold()

    def lock(self) -> None:
        if self._moves("lock"):
            self._release()

    @property
    def is_locked(self) -> bool:
        self._moves("read")
        return not self._held

    def close(self) -> None:
        if self._file < 0:
            self._held = False
            return
        try:
            self._release()
        finally:
            os.close(self._file)
            self._file = -1

    def _moves(self, what: str) -> bool:
        if self.fail_on[what] > 0:
            self.fail_on[what] -= 1
            raise OSError(f"the simulated bolt was told to fail on {what}")
        self.jam_on[what] -= 1
        return self.jam_on[what] < 0

    def _hold(self) -> None:
        if self._file < 0 or self._held:
            self._held = True
            return
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _file_lock(fcntl.F_WRLCK))
        except BlockingIOError:
            raise OSError(f"another process holds the bolt {self._path} open") from None
        self._held = True
        self._write(b"unlocked")

    def _release(self) -> None:
        """Lets go even where the file cannot be written, as on a full disk: the hold is what counts. It is
        written while it is held, or it might overwrite what the next holder writes."""
        held, self._held = self._held, False
        if self._file < 0 or not held:
            return
        try:
            self._write(b"locked")
        finally:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _file_lock(fcntl.F_UNLCK))

    def _write(self, state: bytes) -> None:
        os.pwrite(self._file, state.ljust(8) + b"\n", 0)


def reading(path: Path | str) -> Literal["locked", "unlocked"]:
    """What a simulated bolt with this file is: ``unlocked`` only while a living process holds it open."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return "locked"
    try:
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _file_lock(fcntl.F_WRLCK))
        held = struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK
        return "unlocked" if held and os.pread(file, 8, 0) == b"unlocked" else "locked"
    finally:
        os.close(file)


_FLOCK = "hhqqi4x"  # struct flock: l_type, l_whence, l_start, l_len, l_pid (fcntl(2))


def _file_lock(kind: int) -> bytes:
    """A lock of the open file description on the whole file: unlike a process's, no other open file of the
    process frees it; unlike flock(2), it can be asked for without being taken."""
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


DRIVERS: dict[str, Callable[[str], Bolt]] = {"simulated": SimulatedBolt}
