"""Recorders to be killed; a program of its own, since one that has opened a socket cannot be forked.

    python -m tests.recorder_kills FOLDER COUNT SEED

Forks so many recorders of the graph ``g``, each with a log of its own, and kills each at a moment of its own.
Prints, of each, how many messages it had handed to the system in its last flush.
"""

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from zuluko.bus.live import Waker
from zuluko.bus.log_tap import Taps
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.poller import Poller
from zuluko.nodes import recording
from zuluko.nodes.record_plan import Plan
from zuluko.nodes.recorder import about
from zuluko.nodes.recording import Recording

FLUSH = 0.2  # s: as a recorder does, but more often, so that more kills come while it writes
LONGEST = 1.5  # s from its first flush to its end


def record(log: Path, pipe: int) -> None:
    """Records, and tells of each flush, from the first that had something on."""
    recording.FLUSH = FLUSH
    taps = Taps("g", ["faces", "camera"], Waker(), Poller("g"))
    one: list[Recording] = []
    flush = LogWriter.flush

    def telling(writer: LogWriter) -> None:
        flush(writer)
        if one and (count := one[0].progress.messages):
            os.write(pipe, f"{count}\n".encode())

    LogWriter.flush = telling  # type: ignore[method-assign,assignment]
    one.append(Recording(taps, Plan(log), about("g")))
    for batch in taps:
        one[0].put(batch)


def begin(log: Path) -> tuple[int, int]:
    """A recorder's pid, and where it tells of its flushes."""
    here, there = os.pipe()
    if pid := os.fork():
        os.close(there)
        return pid, here
    try:
        record(log, there)
    finally:
        os._exit(1)


def main(folder: str, count: str, seed: str) -> None:
    random_ = random.Random(int(seed))
    recorders = [begin(Path(folder) / f"{number}.mcap") for number in range(int(count))]
    for _, pipe in recorders:
        select.select([pipe], [], [], 30)
    now = time.monotonic()
    kills = sorted((now + random_.uniform(0, LONGEST), pid) for pid, _ in recorders)
    for moment, pid in kills:
        time.sleep(max(0.0, moment - time.monotonic()))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for _, pipe in recorders:
        os.set_blocking(pipe, False)
        told = b""
        while part := os.read(pipe, 1 << 16):
            told += part
        print(told.split()[-1].decode() if told else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
