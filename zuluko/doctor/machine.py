"""The machine that is looked at: its files, and what only a system call tells. A test gives another one."""

import ctypes
import grp
import os
import platform
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)


def _is_synchronised() -> bool:
    """Whether the kernel's clock follows another one."""
    timex = (ctypes.c_int * 128)()  # struct timex, whose fields are read only: modes is 0
    libc = ctypes.CDLL(None)
    if libc.adjtimex(timex) < 0:
        return False
    status = 10 if ctypes.sizeof(ctypes.c_long) == 8 else 5  # where the field stands, in ints
    return not timex[status] & _UNSYNCHRONISED


def _groups() -> set[int]:
    return {*os.getgroups(), os.getegid()}


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container users may have no names
        return str(os.getuid())


def _run(*command: str) -> str:
    """What a command prints; nothing where it is not there, fails, or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _disk(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


@dataclass(frozen=True)
class Machine:
    """``root`` is where its /proc, /sys, /dev and /usr stand."""

    root: Path = Path("/")
    architecture: str = field(default_factory=platform.machine)
    user: str = field(default_factory=_user)
    groups: set[int] = field(default_factory=_groups)
    may: Callable[[Path, int], bool] = os.access
    run: Callable[..., str] = _run
    disk: Callable[[Path], tuple[int, int]] = _disk  # free bytes, and all
    now: Callable[[], float] = time.time  # s since 1970
    is_synchronised: Callable[[], bool] = _is_synchronised

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def read(self, name: str | Path) -> str:
        """A file's text without the white space around it; empty where there is none."""
        path = self.path(str(name)) if isinstance(name, str) else name
        try:
            return path.read_text(errors="replace").strip(" \t\r\n\0")
        except OSError:
            return ""

    def glob(self, pattern: str) -> list[Path]:
        """What fits, in the order of the numbers in its names."""
        found = self.root.glob(pattern.lstrip("/"))
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def shown(self, path: Path) -> str:
        """A path as it is called on the machine."""
        return "/" + str(path.relative_to(self.root))

    def memory(self) -> dict[str, int]:
        """/proc/meminfo in bytes."""
        found = {}
        for line in self.read("/proc/meminfo").splitlines():
            name, _, value = line.partition(":")
            if number := value.removesuffix("kB").strip():
                found[name] = int(number) * 1024
        return found

    @property
    def is_raspberry_pi(self) -> bool:
        return "Raspberry Pi" in self.read("/proc/device-tree/model")

    def group_of(self, path: Path) -> str:
        number = path.stat().st_gid
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:  # in a container the host's groups have no names
            return str(number)

    def is_member(self, group: str) -> bool:
        """Whether the user is in a group by the system's list, though maybe not yet in this session."""
        try:
            return self.user in grp.getgrnam(group).gr_mem
        except KeyError:
            return False
