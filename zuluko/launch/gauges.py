"""How much goes over a graph's topics and how fast, and what its processes cost, seen from outside.

Watching must not slow what is watched. A reader of the express lane costs its publisher a system call a
message, for the bell; so a topic's rate and size are read without a bell, a few times a second, and the bell
is hung for the latency only: always where messages are few, else for a moment and a few messages at a time.
Timed is what comes while the watcher waits for it; what has waited for the watcher would be timed as late.
No array is touched and no slot is leased: a frame's size follows from its handle.
"""

import os
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from zuluko.bus import clock
from zuluko.bus.np import np
from zuluko.bus.poller import Poller
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.wire import Envelope, WireError, plain_dtype

LOOK = 0.25  # s between two looks at a topic without a bell
WINDOW = 5_000_000_000  # ns over which a rate is taken
KEEP = 64  # messages that a look takes
OFTEN = (150.0, 250.0)  # Hz: below the first a topic's bell is always hung, above the second never for long
PROBE = (8, 0.05)  # messages, and s, that the bell of a frequent topic is hung for, once a second
LATENCIES = 512  # that are remembered
ROUND = 0.1  # s: whoever is asked about again sooner, is so for another node of its group
WORTH = 5.0  # s between two looks at a process's memory, which costs it some microseconds
LONGEST_AGE = 1e15  # ns: older evidence has a stamp that is no time

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Flow:
    """What is known of one topic; the times are in ns."""

    marks: deque[tuple[int, int]] = field(default_factory=deque)  # seq and sent
    size: float = 0.0  # bytes of a message, its arrays included
    latencies: deque[int] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    ages: deque[int] = field(default_factory=lambda: deque(maxlen=LATENCIES))

    def mark(self, envelope: Envelope[Any]) -> None:
        if self.marks and envelope.seq <= self.marks[-1][0]:
            self.marks.clear()  # its publisher has started again
        self.marks.append((envelope.seq, envelope.sent))
        while len(self.marks) > 2 and envelope.sent - self.marks[0][1] > WINDOW:
            self.marks.popleft()
        size = len(msgspec.msgpack.encode(envelope)) + arrays_size(envelope.body)
        self.size += (size - self.size) / min(len(self.marks), KEEP)

    def time(self, envelope: Envelope[Any], now: int) -> None:
        self.latencies.append(now - envelope.sent)
        stamp = envelope.body.get("stamp") if isinstance(envelope.body, dict) else None
        if isinstance(stamp, int) and 0 <= now - stamp < LONGEST_AGE:
            self.ages.append(now - stamp)

    def rate(self, now: int) -> float | None:
        """Messages a second, as they were sent; 0 after a silence of three intervals, None before two."""
        if len(self.marks) < 2:
            return None
        (first, begin), (last, end) = self.marks[0], self.marks[-1]
        interval = max(1, end - begin) / (last - first)
        return 0.0 if now - end > max(1e9, 3 * interval) else 1e9 / interval


def arrays_size(body: Any) -> int:
    """The bytes of a message's arrays that lie in the lane and not in the message."""
    if not isinstance(body, dict):
        return 0
    return sum(_array_size(value) for value in body.values() if isinstance(value, dict) and "slot" in value)


def _array_size(form: dict[str, Any]) -> int:
    try:
        return plain_dtype(form.get("dtype")).itemsize * prod(form.get("shape") or ())
    except (WireError, TypeError):
        return 0


def percentile(values: Iterable[int], percent: float) -> float | None:
    found = list(values)
    return float(np.percentile(found, percent)) if found else None


class Gauges:
    """Watches the topics of a graph; ``watch`` adds one, ``listen`` takes in what comes for a while."""

    def __init__(self, graph: str, fds: Iterable[int] = ()) -> None:
        self.flows: dict[str, Flow] = {}
        self._graph = graph
        self._fds = tuple(fds)
        self._quiet_poller = Poller(graph)
        self._quiet: dict[str, Subscriber[Any]] = {}
        self._often: set[str] = set()
        self._turn = 0
        self._next_look = 0.0
        self._next_probe = 0.0
        self._woken = False
        self._hang()

    def watch(self, topics: Iterable[str]) -> None:
        new = [topic for topic in topics if topic not in self.flows]
        for topic in new:
            self.flows[topic] = Flow()
            self._quiet[topic] = self._subscriber(topic, self._quiet_poller, latched=True)
        if new:
            self._look()
            self._sort()
            self._hang_anew()

    def _subscriber(self, topic: str, poller: Poller, *, latched: bool = False) -> Subscriber[Any]:
        return Subscriber(self._graph, topic, Any, keep=KEEP, poller=poller, latched=latched)

    def listen(self, seconds: float) -> None:
        """Returns after ``seconds``, or when one of ``fds`` is readable."""
        self._woken, until = False, time.monotonic() + seconds
        while (now := time.monotonic()) < until and not self._woken:
            if now >= self._next_look:
                self._next_look = now + LOOK
                self._look()
            if now >= self._next_probe:
                self._next_probe = now + 1.0
                self._sort_anew()
                self._probe()
            self._pass_over(self._calm)
            self._poller.wait(max(0.0, min(until, self._next_look, self._next_probe) - time.monotonic()))
            self._take(self._calm)

    def _look(self) -> None:
        self._quiet_poller.wait(0)  # for news of publishers that have come and gone
        for topic, subscriber in self._quiet.items():
            for _ in range(KEEP):
                if (envelope := subscriber.receive()) is None:
                    break
                self.flows[topic].mark(envelope)

    def _pass_over(self, subscribers: Iterable[Subscriber[Any]]) -> None:
        """Takes what came while nobody waited here, so that the next that rings is the next to be timed. The
        looks count it all the same."""
        for subscriber in subscribers:
            for _ in islice(iter(subscriber.receive, None), KEEP):
                pass

    def _take(self, subscribers: Iterable[Subscriber[Any]]) -> None:
        for subscriber in subscribers:
            for envelope in islice(iter(subscriber.receive, None), KEEP):
                self.flows[subscriber.topic].time(envelope, clock.now())

    def _sort(self) -> bool:
        """Tells frequent topics from the others; whether that has changed."""
        before = set(self._often)
        for topic, flow in self.flows.items():
            rate = flow.rate(clock.now()) or 0.0
            if rate > OFTEN[1]:
                self._often.add(topic)
            elif rate < OFTEN[0]:
                self._often.discard(topic)
        return self._often != before

    def _sort_anew(self) -> None:
        if self._sort():
            self._hang_anew()

    def _hang(self) -> None:
        """Hangs one bell at all the topics that speak seldom."""
        self._poller = Poller(self._graph)
        for fd in self._fds:
            self._poller.watch(fd, self._wake)
        self._calm = [
            self._subscriber(topic, self._poller) for topic in self.flows if topic not in self._often
        ]

    def _wake(self) -> None:
        self._woken = True

    def _hang_anew(self) -> None:
        self._take_down()
        self._hang()

    def _take_down(self) -> None:
        for subscriber in self._calm:
            subscriber.close()
        self._poller.close()

    def _probe(self) -> None:
        """Hangs the bell of one frequent topic for a moment, of each in its turn."""
        if not self._often:
            return
        self._turn += 1
        topic = sorted(self._often)[self._turn % len(self._often)]
        poller = Poller(self._graph)
        subscriber = self._subscriber(topic, poller)
        self._pass_over([subscriber])
        left, until = PROBE[0], time.monotonic() + PROBE[1]
        while left and (patience := until - time.monotonic()) > 0:
            if (envelope := subscriber.wait(patience)) is not None:
                self.flows[topic].time(envelope, clock.now())
                left -= 1
        subscriber.close()
        poller.close()

    def close(self) -> None:
        self._take_down()
        for subscriber in self._quiet.values():
            subscriber.close()
        self._quiet_poller.close()


@dataclass
class Cost:
    """What a process costs: its share of one core in percent, and its memory in MB."""

    cpu: float | None = None
    pss: float | None = None


class Costs:
    """Asks the kernel what processes cost; ``of`` gives the share of a core since the last round of asking.
    Nodes of a group share a process: each shows the whole of it."""

    def __init__(self) -> None:
        self._ticks: dict[int, tuple[float, float]] = {}
        self._pss: dict[int, tuple[float, float | None]] = {}
        self._last: dict[int, Cost] = {}

    def of(self, pid: int) -> Cost:
        now = time.monotonic()
        used = cpu_seconds(pid)
        if used is None:
            return Cost()
        before, when = self._ticks.get(pid, (used, now))
        if pid in self._last and now - when < ROUND:
            return self._last[pid]
        self._ticks[pid] = (used, now)
        if pid not in self._pss or now - self._pss[pid][0] >= WORTH:
            self._pss[pid] = (now, pss(pid))
        cpu = 100 * (used - before) / (now - when) if now > when else None
        self._last[pid] = Cost(cpu, self._pss[pid][1])
        return self._last[pid]


def cpu_seconds(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss(pid: int) -> float | None:
    """The memory of a process in MB, what it shares with others divided among them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None
