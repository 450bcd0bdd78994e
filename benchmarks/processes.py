"""The processes of a benchmark: the folder and environment they run in, and what they take of the machine."""

import os
import platform
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LAST = (1 << 47) // _PAGE
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1


@contextmanager
def folder() -> Iterator[Path]:
    """A short path: a socket's address must fit."""
    path = Path(tempfile.mkdtemp(prefix="zb-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def environment(folder: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's, with a runtime directory of its own, one thread for a library, and ``more``."""
    own = {
        "ZULUKO_RUN": str(folder),
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "ECAL_DATA": str(folder),
    }
    return {**os.environ, **own, **(more or {})}


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents[parent].append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents[one]
    return found


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used, by the clock that clock_getcpuclockid names.

    Asked until two answers agree: of one that was about to end it once said minutes too much.
    """
    try:
        answer = time.clock_gettime((~pid << 3) | 2)
        while (again := time.clock_gettime((~pid << 3) | 2)) - answer > 1 or again < answer:
            answer = again
        return again
    except OSError:
        return 0.0


def pss(pid: int) -> float:
    """Proportional set size of one process, in MB; 0 for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.partition("Pss:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def alone(pids: Iterable[int]) -> float | None:
    """What processes would take with the machine to themselves, in MB: each page that any of them has, once.
    PSS is less where programs beside them map the same libraries. None for who is not root, whom the kernel
    does not tell which page is which."""
    found: set[int] = set()
    for pid in pids:
        with suppress(OSError):  # gone meanwhile
            found |= _pages(pid)
    found.discard(0)  # what the kernel says of each page to those whom it does not tell
    return len(found) * _PAGE / (1 << 20) if found else None


def _pages(pid: int) -> set[int]:
    """The numbers of the page frames in a process's memory, after the kernel's pagemap.rst."""
    frames: set[int] = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as table:
        for line in maps:
            start, end = (int(part, 16) // _PAGE for part in line.split()[0].split("-"))
            if end <= _LAST:  # what the kernel lends every process is above
                table.seek(start * 8)
                entries = struct.unpack(f"<{end - start}Q", table.read((end - start) * 8))
                frames.update(entry & _FRAME for entry in entries if entry & _PRESENT)
    return frames


def kill(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Kills each with all below it: a launcher's children may lead process groups of their own."""
    processes = list(processes)
    for pid in [pid for process in processes for pid in family(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.wait()


def machine() -> str:
    """What was measured on, for the head of a table."""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"Linux {platform.release()}; load {os.getloadavg()[0]:.1f}"
    )
