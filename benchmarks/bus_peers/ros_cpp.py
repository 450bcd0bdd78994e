"""ROS 1's roscpp: ``ros_cpp.cpp`` beside this file, compiled once a run of the benchmark."""

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from benchmarks.bus_peers.work import Run

SOURCE = Path(__file__).with_suffix(".cpp")


@cache
def program() -> Path:
    """The compiled program; RuntimeError with the compiler's first complaint where it cannot be made."""
    folder = Path(tempfile.mkdtemp(prefix="zb-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "roscpp", "sensor_msgs", "std_msgs"],
        check=True,
        capture_output=True,
        text=True,
    )
    made = folder / "ros_cpp"
    command = ["g++", "-O2", "-o", str(made), str(SOURCE), *flags.stdout.split(), "-lpthread"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(next((line for line in done.stderr.splitlines() if "error" in line), done.stderr))
    return made


def command(role: str, run: Run, index: int) -> list[str]:
    """What ``benchmarks.bus_peers.node`` is told by names, in numbers."""
    case = run.case
    rows, columns, _ = case.shape or (0, 0, 0)
    numbers = [index, case.seconds, case.rate, case.subscribers, run.peer.window, run.keep, rows, columns]
    return [str(program()), role, str(run.folder), *map(str, numbers)]
