"""How long a process has waited for a processor core, which tells a starved one from one that hangs.

Linux counts for each thread how long it was runnable and had no core (``schedstat``, its second field), but
adds a wait only when it is over. A wait that still lasts is seen by a thread that is runnable (``R``) and has
not run since the last look. What sleeps, waits for a lock, is stopped by a signal or runs does not wait.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

STARVED = 6  # times as long something may take a process that had no core to run on
SOONEST = 0.1  # s between two looks, of which each costs some 40 us a thread


class Taken(NamedTuple):
    """How long something has taken a process, and how much of that it ``waited`` for a core, in s; ``most``
    is what it may take with one."""

    long: float
    waited: float
    most: float

    @property
    def too_long(self) -> bool:
        """Whether it has taken too long, and that for want of a core or not."""
        return self.is_slow or self.long > self.longest

    @property
    def is_slow(self) -> bool:
        return self.long - self.waited > self.most

    @property
    def is_starved(self) -> bool:
        """Whether it takes longer than it may, for want of a core."""
        return self.long > self.most and not self.too_long and self.waited > self.long / 2

    @property
    def longest(self) -> float:
        """What it may take in all."""
        return STARVED * self.most

    def __str__(self) -> str:
        return f"{self.long:.1f} s ({self.waited:.1f} s waiting for a processor core)"


@dataclass(frozen=True)
class Thread:
    """``waited`` s for a core in all; ``since`` when it has been seen runnable without having ``run`` (the
    text of its schedstat), on the monotonic clock."""

    run: str
    waited: float
    since: float | None

    def until(self, now: float) -> float:
        return self.waited + (now - self.since if self.since is not None else 0.0)


@dataclass(frozen=True)
class Span:
    """Between two looks, and how much longer a thread was then known to have waited: the most of those whose
    waiting holds up the nodes' loops, and any of them, one after the other. It may be more than the span is
    long: of a wait that began before, too, little may have been known."""

    begin: float
    end: float
    loops: float
    any: float


@dataclass
class Starvation:
    """Looks at a process as long as it is silent; ``rest`` says that it is not. The times are in s, on the
    monotonic clock."""

    _threads: dict[int, Thread] = field(default_factory=dict)
    _spans: deque[Span] = field(default_factory=deque)
    _looked: float | None = None

    def rest(self, now: float) -> None:
        self._threads.clear()
        self._spans.clear()
        self._looked = now

    def begin(self, pid: int, now: float) -> None:
        """Looks for the first time, at a process of which something is expected from now on."""
        self.rest(now)
        self._threads = threads(pid, now, {})

    def look(self, pid: int, now: float, *, usual: float, beside: int = 0) -> None:
        """``usual`` is how long a look that follows ``rest`` comes after it at most. What is beyond was the
        supervisor's own want of a core, and nothing is known of it but that. ``beside`` is a thread that no
        loop waits for."""
        before = self._looked
        if before is not None and now - before < SOONEST:
            return
        found = threads(pid, now, self._threads)
        if before is not None and found:
            waits = {
                thread: seen.until(now) - was.until(before)
                for thread, seen in found.items()
                if (was := self._threads.get(thread))
            }
            unseen = 0.0 if self._threads else now - before - usual
            loops = [wait for thread, wait in waits.items() if thread != beside]
            in_turn = min(now - before, sum(waits.values()))  # for Python's lock, each while another has it
            any_ = max([unseen, in_turn, *waits.values(), 0.0])
            self._spans.append(Span(before, now, max([unseen, *loops, 0.0]), any_))
        self._threads, self._looked = found, now

    def since(self, moment: float, *, loops: bool) -> float:
        """How long the process waited for a core since then."""
        total = rest = 0.0
        for span in reversed(self._spans):
            if span.end <= moment:
                break
            rest += span.loops if loops else span.any
            here = min(rest, span.end - max(span.begin, moment))
            total, rest = total + here, rest - here
        return total


def threads(pid: int, now: float, before: Mapping[int, Thread]) -> dict[int, Thread]:
    """The threads of a process by their ids; none where the kernel does not tell of their waits."""
    found = {}
    for thread, (run, state) in read(pid).items():
        since = now if state == "R" else None
        was = before.get(thread)
        if since is not None and was and was.since is not None and was.run == run:
            since = was.since
        found[thread] = Thread(run, int(run.split()[1]) / 1e9, since)
    return found


def read(pid: int) -> dict[int, tuple[str, str]]:
    """By thread what its schedstat says (ns run, ns waited, times run) and the letter of its state."""
    found = {}
    with suppress(OSError):
        for folder in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # the thread has ended, or this kernel does not count
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                found[int(folder.name)] = ((folder / "schedstat").read_text(), state)
    return found
