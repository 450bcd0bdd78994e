"""Where and how urgently a node's thread runs: cores, nice and priority, as its entry says."""

import logging
import os

from zuluko.launch.graph import Entry

log = logging.getLogger("zuluko.launch")


def settle(entry: Entry) -> None:
    """Sets what the entry asks of the calling thread, and of the threads that it will start. What the system
    does not allow is told in one sentence, and the node runs without it."""
    if entry.cores:
        _cores(entry.cores)
    if entry.nice:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, entry.nice)
        except PermissionError:
            log.warning(
                "nice %d needs a permission: run as root, or with LimitNICE=; it runs without", entry.nice
            )
    if entry.priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(entry.priority))
        except PermissionError:
            what = "priority %d needs a permission: run as root, or with LimitRTPRIO=; it runs without"
            log.warning(what, entry.priority)


def _cores(cores: tuple[int, ...]) -> None:
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        log.warning("there are no cores %s; it may run on: %s", ", ".join(map(str, cores)), here)
