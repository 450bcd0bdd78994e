"""What a process uses, and whether that is more than it may."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from zuluko.launch.gauges import cpu_seconds, pss
from zuluko.launch.graph import Entry, Limit

LOOK = 1.0  # s between two looks at the processor time
WORTH = 5.0  # s between two looks at the memory, which cost the kernel more
WINDOW = 10  # looks over which the processor time must be too much


@dataclass
class Usage:
    """``memory`` in MB (PSS), ``cpu`` in cores over the last look; ``look`` takes both as time passes."""

    memory: float = 0.0
    cpu: float = 0.0
    _looks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW + 1))
    _weighed: float = float("-inf")

    def look(self, pid: int, now: float) -> bool:
        """Whether there was something new to see."""
        if self._looks and now - self._looks[-1][0] < LOOK:
            return False
        if (used := cpu_seconds(pid)) is not None:
            self._looks.append((now, used))
            self.cpu = round(self._cores(min(2, len(self._looks))), 3)
        if now - self._weighed >= WORTH:
            self._weighed = now
            self.memory = round(pss(pid) or 0.0, 1)
        return True

    def _cores(self, looks: int) -> float:
        (begin, before), (end, after) = self._looks[-looks], self._looks[-1]
        return (after - before) / (end - begin) if end > begin else 0.0

    @property
    def steady_cpu(self) -> float:
        """Cores over the whole window; 0 before it has passed."""
        return self._cores(WINDOW + 1) if len(self._looks) > WINDOW else 0.0

    def excess(self, memory: Limit | None, cpu: Limit | None) -> tuple[str, bool]:
        """What it uses too much of, as a sentence, and whether it is to start anew for it."""
        if memory and self.memory * (1 << 20) > memory.most:
            most = memory.most / (1 << 20)
            return f"uses {self.memory:.0f} MB of memory, and may use {most:.0f}", memory.restart
        if cpu and self.steady_cpu > cpu.most:
            return f"uses {self.steady_cpu:.2f} cores, and may use {cpu.most:g}", cpu.restart
        return "", False


def together(limits: Iterable[Limit | None]) -> Limit | None:
    """The limit of a process of several nodes: the least of those that are given."""
    return min((limit for limit in limits if limit), key=lambda limit: limit.most, default=None)


def excess(usage: Usage, entries: Iterable[Entry]) -> tuple[str, bool]:
    """What a process of these nodes uses too much of, and whether it is to start anew."""
    nodes = list(entries)
    return usage.excess(together(e.memory for e in nodes), together(e.cpu for e in nodes))
