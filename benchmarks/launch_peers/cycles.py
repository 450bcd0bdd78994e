"""One launcher that starts and stops a graph again and again: ``cycles FILE TIMES``.

Prints, as JSON, what the process holds after its first cycle and after its last, and how long each node took
from its fork until the supervisor knew that it was ready, in ms.
"""

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.processes import family
from zuluko.launch import launchfile
from zuluko.launch.supervisor import Supervisor


def main() -> None:
    file, times = Path(sys.argv[1]), int(sys.argv[2])
    told = file.with_suffix(".ready")
    cycle(file, told)
    before = held()
    for _ in range(times):
        cycle(file, told)
    ready = [float(line) for line in told.read_text().split()]
    print(json.dumps({"before": before, "after": held(), "ready": ready}))


def cycle(file: Path, told: Path) -> None:
    """Runs the graph until each of its nodes is ready; ``told`` grows by how long each took."""
    graph = launchfile.load(file)

    def watch(events: int) -> int:
        heard, left = socket.socket(fileno=events), len(graph.entries)
        while packet := heard.recv(1 << 18):
            event: dict[str, Any] = json.loads(packet)
            if event.get("state") == "ready":
                with told.open("a") as times:
                    times.write(f"{event['after'] * 1000:.0f}\n")
                left -= 1
                if not left:
                    os.kill(os.getppid(), signal.SIGINT)
        return 0

    if status := Supervisor(graph, watch).run():
        sys.exit(f"the graph ended with {status}")


def held() -> dict[str, int]:
    """What this process holds, its children apart."""
    gc.collect()
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the listing's own
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {
        "processes": len(family(os.getpid())),
        "descriptors": len(links),
        "sockets": sum(link.startswith("socket:") for link in links),
        "memfds": sum(link.startswith("/memfd:") for link in links),
        "files": sum(len(folders) + len(files) for _, folders, files in os.walk(os.environ["ZULUKO_RUN"])),
    }


if __name__ == "__main__":
    main()
