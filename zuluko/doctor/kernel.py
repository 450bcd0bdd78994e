"""The kernel: the calls that the bus stands on, the express lane tried out, and the clock."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

FIRST_YEAR = 2024
CALLS = ("memfd_create", "pidfd_open")
SLOW = 5.0  # ms from a message's sending to its reader, beyond which something is wrong


def calls(machine: Machine) -> Iterator[Finding]:
    from zuluko.bus import membarrier

    release = machine.read("/proc/sys/kernel/osrelease")
    missing = [name for name in CALLS if not hasattr(os, name)]
    if missing:
        yield bad(f"Linux {release} has no {' and no '.join(missing)}", "install Linux 5.3 or later")
    elif not membarrier.available():
        what = f"Linux {release} has no membarrier(2): pictures are copied through sockets"
        yield warn(what, "unset ZULUKO_NO_LANE, or install a kernel with CONFIG_MEMBARRIER")
    else:
        yield good(f"Linux {release}: memfd, pidfd and membarrier work")


def lane(machine: Machine) -> Iterator[Finding]:
    """Really sends pictures from one process to another."""
    told = machine.run(sys.executable, "-m", "zuluko.doctor.trial")
    try:
        found = json.loads(told)
    except ValueError:
        mend = f"{sys.executable} -m zuluko.doctor.trial"
        yield bad("a picture sent from one process to another does not come", mend)
        return
    way = "through shared memory" if found["lane"] else "through sockets"
    what = f"{found['received']} of {found['sent']} pictures went {way}, in {found['ms']:.2f} ms each"
    if not found["lane"]:
        yield warn(what, "see the line about the kernel; a filter of system calls may be in the way")
    elif found["received"] < found["sent"] or found["ms"] > SLOW:
        yield warn(what, "see what else runs with: top")
    else:
        yield good(what)


def clock(machine: Machine) -> Iterator[Finding]:
    now = datetime.fromtimestamp(machine.now(), UTC)
    mend = "sudo timedatectl set-ntp true"
    if now.year < FIRST_YEAR:
        yield bad(f"it is not {now:%Y}: every stamp in a log would be wrong", mend)
    elif not machine.is_synchronised():
        yield warn(f"{now:%Y-%m-%d %H:%M} UTC, but the clock follows no other one", mend)
    else:
        yield good(f"{now:%Y-%m-%d %H:%M} UTC, synchronised")
