"""How a graph fares as a whole, from how its processes do; told to systemd, the status file and whoever
looks."""

import time
from collections.abc import Iterator, Mapping

from zuluko.bus import clock
from zuluko.launch.child import Child
from zuluko.launch.notify import Notify
from zuluko.launch.status import Member, Status
from zuluko.launch.teller import Teller

AWAY = 10.0  # s that a node that must run may be away before the graph is no longer healthy


class Health:
    """``failed`` is a process that had to run, and does not; ``stopping`` since when the graph stops."""

    def __init__(self, children: Mapping[str, Child], teller: Teller) -> None:
        self.failed: Child | None = None
        self.stopping: float | None = None
        self._children, self._teller = children, teller
        self._notify = Notify()
        self._begun = time.monotonic()
        self._was_ready = False

    @property
    def due(self) -> float | None:
        """When systemd wants to hear next, on the monotonic clock."""
        return self._notify.due

    @property
    def state(self) -> str:
        if self.stopping is not None:
            return "failing" if self.failed else "stopping"
        if not self._was_ready:
            return "starting"
        return "ready" if all(child.is_well for child in self._children.values()) else "degraded"

    @property
    def is_good(self) -> bool:
        """Whether each node that must run does, or has not been away for long. A node that starts may take as
        long as its deadline, which is longer where it has no core; a graph that starts, as long as systemd
        gives it (TimeoutStartSec), on a slow card more than its watchdog would; and one that stops, the time
        that this takes."""
        if self.stopping is not None:
            return True
        away = [
            child for child in self._children.values() if child.must and not child.is_fit and not child.starts
        ]
        longest = max((clock.now() - child.since for child in away), default=0)
        return not self.failed and (not self._was_ready or longest < AWAY * 1e9)

    def status(self) -> Status:
        return self._teller.account.status(self.state, self._members)

    @property
    def _members(self) -> Iterator[Member]:
        return (member for child in self._children.values() for member in child.members)

    def stop(self) -> None:
        if self.stopping is None:
            self.stopping = time.monotonic()
            self._notify.stopping()

    def tell(self, now: float) -> None:
        """Called in each turn of the supervisor's loop."""
        if not self._was_ready and all(child.is_fit for child in self._children.values() if child.must):
            self._was_ready = True
            self._notify.ready()
            self._teller.tell(graph="ready", text=f"the graph is ready after {now - self._begun:.2f} s")
        self._teller.account.beat(self.state, self._members)
        self._notify.status(self._summary())
        self._notify.beat(now, healthy=self.is_good)

    def _summary(self) -> str:
        """The graph's state, and those of its nodes that are not well, in one line."""
        ill = [f"{child.name} {child.reason or child.state}" for child in self._children.values()
               if not child.is_well and self.stopping is None]  # fmt: skip
        return "; ".join([self.state, *ill])

    def close(self) -> None:
        self._notify.close()
