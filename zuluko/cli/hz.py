"""``zuluko hz``: how often a topic speaks, how evenly, and what was lost on the way."""

import json
import sys
from collections import Counter, deque
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.echo import Json, Topic, Wait, losses, messages, resolve
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.bus.wire import Envelope

Window = Annotated[int, typer.Option("--window", "-w", help="how many intervals are looked at", min=1)]
Count = Annotated[int, typer.Option("--count", "-n", help="stop after so many messages; 0 goes on", min=0)]

PERIOD = 1_000_000_000  # ns between two lines
KEEP = 1024  # messages: of a fast topic, what comes while a line is printed


def hz(topic: Topic, window: Window = 1000, count: Count = 0, as_json: Json = False, wait: Wait = 0) -> None:
    """Measure a topic's rate and jitter, by the times at which its messages were sent; Ctrl-C ends it.

    The rate counts what was lost on the way, too: it is the publisher's.
    """
    from zuluko.bus.topics import TopicError

    try:
        graph, name = resolve(topic)
        if not as_json:
            print(f"listening to {graph}/{name}", file=sys.stderr)
        _measure(graph, name, Pace(window), count=count, as_json=as_json, wait=wait)
    except TopicError as error:
        fail(error)


def _measure(graph: str, topic: str, pace: "Pace", *, count: int, as_json: bool, wait: float) -> None:
    shown = 0
    for envelope, lost in messages(graph, topic, wait, keep=KEEP):
        pace.hear(envelope, lost)
        shown = shown or envelope.sent
        if pace.heard == count:
            break
        if envelope.sent - shown >= PERIOD and pace.intervals:
            shown = envelope.sent
            print(pace.line(as_json), flush=True)
    if not pace.intervals:
        fail(f"{pace.heard} came on {topic}; a rate needs two messages")
    print(pace.line(as_json), flush=True)


class Pace:
    """The last intervals between messages, in ns as they were sent."""

    def __init__(self, window: int) -> None:
        self.heard = 0
        self.lost: Counter[str] = Counter()
        self.intervals: deque[int] = deque(maxlen=window)
        self._passed: deque[tuple[int, int]] = deque(maxlen=window + 1)  # seq and sent

    def hear(self, envelope: "Envelope[Any]", lost: "Counter[str]") -> None:
        self.heard += 1
        self.lost += lost
        if self._passed and envelope.seq <= self._passed[-1][0]:
            self._passed.clear()  # the publisher has started again
        if self._passed and envelope.seq == self._passed[-1][0] + 1:
            self.intervals.append(envelope.sent - self._passed[-1][1])
        self._passed.append((envelope.seq, envelope.sent))

    def rate(self) -> float:
        (first, begin), (last, end) = self._passed[0], self._passed[-1]
        if last > first and end > begin:
            return (last - first) * 1e9 / (end - begin)
        return 1e9 / max(1.0, sum(self.intervals) / len(self.intervals))

    def line(self, as_json: bool) -> str:
        from statistics import pstdev

        told = {
            "hz": round(self.rate(), 3),
            "min_ms": min(self.intervals) / 1e6,
            "max_ms": max(self.intervals) / 1e6,
            "std_ms": round(pstdev(self.intervals) / 1e6, 6),
            "window": len(self.intervals),
            "messages": self.heard,
            "lost": dict(self.lost),
        }
        if as_json:
            return json.dumps(told)
        jitter = f"every {told['min_ms']:.2f} to {told['max_ms']:.2f} ms, std {told['std_ms']:.2f} ms"
        lost = f"{losses(self.lost)} lost" if self.lost else "nothing lost"
        return f"{told['hz']:.1f} Hz  {jitter}  {self.heard} messages, {lost}"
