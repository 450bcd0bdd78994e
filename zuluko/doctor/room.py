"""Room: memory, swap, disks, the runtime directory; and what a door needs to know people."""

import os
from collections.abc import Iterator
from pathlib import Path

from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

MB = 1_000_000
SMALL = 1_100 * MB  # of memory: a board that should have some swap
MEMORY = (64 * MB, 200 * MB)  # bad and warn below; the door takes about 230 MB, a pair of nodes 45
DISK = (100 * MB, 1_000 * MB)
RUNTIME = 16 * MB
MEMORIES = ("tmpfs", "ramfs")  # file systems that wear no card


def memory(machine: Machine) -> Iterator[Finding]:
    found = machine.memory()
    free, total = found.get("MemAvailable", 0), found.get("MemTotal", 0)
    what = f"{_mb(free)} of {_mb(total)} are free"
    if free < MEMORY[0]:
        yield bad(what, "stop what you do not need: ps -eo rss,comm --sort=-rss | head")
    elif free < MEMORY[1]:
        yield warn(what, "see what takes it: ps -eo rss,comm --sort=-rss | head")
    else:
        yield good(what)
    controllers = (line.split() for line in machine.read("/proc/cgroups").splitlines())
    if any(words[0] == "memory" and words[-1] == "0" for words in controllers if words):
        mend = "add cgroup_enable=memory to /boot/firmware/cmdline.txt and start the board anew"
        yield warn("the kernel does not bound a service's memory", mend)


def swap(machine: Machine) -> Iterator[Finding]:
    found = machine.memory()
    total, free = found.get("SwapTotal", 0), found.get("SwapFree", 0)
    if not total and found.get("MemTotal", 0) < SMALL:
        yield warn("a small board without swap kills a node at a peak", "sudo apt install zram-tools")
    elif total and free < total / 10:
        yield warn(f"{_mb(free)} of {_mb(total)} of swap are free", "ps -eo rss,comm --sort=-rss | head")
    elif total:
        yield good(f"{_mb(free)} of {_mb(total)} of swap are free")
    else:
        yield good("no swap, and enough memory")


def disk(machine: Machine) -> Iterator[Finding]:
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home())
    seen = set()
    for path in (home, Path.cwd()):
        try:
            free, total = machine.disk(path)
        except OSError as error:
            yield warn(f"{path} cannot be looked at: {error.strerror}", f"ls -ld {path}")
            continue
        if (free, total) in seen:
            continue  # the same disk
        seen.add((free, total))
        what = f"{_mb(free)} of {_mb(total)} are free under {path}"
        if free < DISK[0]:
            yield bad(what, f"see what takes it: du -xh {path} | sort -h | tail")
        elif free < DISK[1]:
            yield warn(what, f"see what takes it: du -xh {path} | sort -h | tail")
        else:
            yield good(what)


def runtime(machine: Machine) -> Iterator[Finding]:
    """Where sockets and status files lie: private, in memory, with room."""
    from zuluko.bus.topics import TopicError, run_dir

    try:
        path = run_dir()
    except TopicError as error:
        what, _, mend = str(error).partition("; ")
        yield bad(what, mend.removeprefix("run: "))
        return
    free, _ = machine.disk(path)
    kind = _file_system(machine, path)
    if free < RUNTIME:
        yield bad(f"{path} has {_mb(free)} left", f"df -h {path}")
    elif kind and kind not in MEMORIES:
        what = f"{path} lies on a disk ({kind}), which is written every second"
        yield warn(what, f"export ZULUKO_RUN=/dev/shm/zuluko-{machine.user}")
    else:
        yield good(f"{path} is private and in memory, with {_mb(free)} left")


def _file_system(machine: Machine, path: Path) -> str:
    """The kind of the innermost mount that holds a path; the last of several at one place."""
    mounts = [line.split() for line in machine.read("/proc/self/mounts").splitlines()]
    fitting = [words for words in mounts if len(words) > 2 and path.is_relative_to(words[1])]
    return max(reversed(fitting), key=lambda words: len(words[1]), default=["", "", ""])[2]


def models(machine: Machine) -> Iterator[Finding]:
    from zuluko.perception import zoo

    missing = []
    for model in zoo.MODELS:
        try:
            zoo.source(model)
        except zoo.ModelError as error:
            missing.append(str(error))
    for what in missing:
        said, _, mend = what.rpartition("; ")
        yield warn(said, mend.removeprefix("run: "))
    if not missing:
        yield good(f"{', '.join(model.name for model in zoo.MODELS)}: the weights are there, and right")


def people(machine: Machine) -> Iterator[Finding]:
    from zuluko.perception.gallery import Gallery, GalleryError, default_place

    try:
        gallery = Gallery(default_place())
        problems = gallery.load()
    except (GalleryError, OSError) as error:
        what, _, mend = str(error).partition("; ")
        yield bad(what, mend.removeprefix("run: "))
        return
    for problem in problems:
        yield warn(str(problem), "zuluko face list")
    count = len(gallery.people)
    if count:
        yield good(f"{count} {'person is' if count == 1 else 'people are'} enrolled in {gallery.directory}")
    else:
        yield good(
            "nobody is enrolled, so a door opens for nobody but in the demo",
            "zuluko face enrol NAME PHOTO...",
        )


def _mb(size: int) -> str:
    return f"{size / MB:.0f} MB" if size < 10_000 * MB else f"{size / 1000 / MB:.0f} GB"
