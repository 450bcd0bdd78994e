"""The limits that this process's control group sets, and what the group has used: version 1 or 2."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # bytes; version 1 has no word for no limit


@dataclass(frozen=True)
class Cgroup:
    """The group's two folders: the same one in version 2."""

    memory: Path
    cpu: Path

    @property
    def memory_limit(self) -> float | None:
        """MB, or None without a limit."""
        told = _read(self.memory / "memory.max") or _read(self.memory / "memory.limit_in_bytes")
        return int(told) / 2**20 if told.isdigit() and int(told) < UNLIMITED else None

    @property
    def memory_peak(self) -> float | None:
        """MB that all its processes took at most, the files that they cached included; None where the kernel
        does not tell."""
        told = _read(self.memory / "memory.peak") or _read(self.memory / "memory.max_usage_in_bytes")
        return int(told) / 2**20 if told else None

    @property
    def oom_kills(self) -> int | None:
        """How often the kernel has killed one of its processes for want of memory."""
        return (_table(self.memory / "memory.events") or _table(self.memory / "memory.oom_control")).get(
            "oom_kill"
        )

    @property
    def cores(self) -> float | None:
        """The share of processor time, in cores, or None without a limit."""
        told = _read(self.cpu / "cpu.max").split() or [
            _read(self.cpu / f"cpu.cfs_{name}_us") for name in ("quota", "period")
        ]
        return int(told[0]) / int(told[1]) if told[0].isdigit() else None

    @property
    def throttled(self) -> float:
        """Seconds for which its processes stood still because their share was used up."""
        stat = _table(self.cpu / "cpu.stat")
        return stat.get("throttled_usec", 0) / 1e6 + stat.get("throttled_time", 0) / 1e9


def mine(root: Path = ROOT, membership: Path = Path("/proc/self/cgroup")) -> Cgroup:
    """The group of this process: that of version 1 where it has a controller, else that of version 2."""
    unified, folders = root, {}
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            folders[name] = root / name / path.lstrip("/")
        if not controllers:
            unified = root / path.lstrip("/")
    return Cgroup(folders.get("memory", unified), folders.get("cpu", unified))


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text().strip()
    return ""


def _table(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in _read(file).splitlines())}
