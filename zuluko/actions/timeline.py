"""The timeline of one rule: its outcomes and its clauses as bars, the numbers that it read with their limits,
and what it did. ``timeline_png`` and ``timeline_html`` draw it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from zuluko.actions.acts import Act
from zuluko.actions.comparison import comparisons
from zuluko.actions.explanation import explain
from zuluko.actions.rule import STALE
from zuluko.actions.trails import Trail
from zuluko.messages import Clause

LARGEST = 1e30  # a number beyond it is nothing measured, and nothing that can be drawn
BETWEEN = 3  # times the last interval: for longer an evaluation does not speak for the time that passes

Points = list[tuple[int, float]]  # times (ns) and values; NaN where a line is broken


@dataclass
class Stretch:
    """A time (ns) in which so many evaluations gave one verdict or outcome; ``trail`` is the first."""

    start: int
    end: int
    kind: str
    trail: Trail
    count: int = 1

    @property
    def why(self) -> str:
        return explain(self.trail.decision, node=self.trail.node, cause=self.trail.cause).short


@dataclass
class Bar:
    """What a clause, or the rule, was over time. Where there is no stretch nothing was known of it."""

    label: str
    stretches: list[Stretch] = field(default_factory=list)
    holds: bool = False  # whether the last evaluation said something of it

    def reach(self, until: int) -> None:
        """Has what the last evaluation said hold until then."""
        if self.holds:
            self.stretches[-1].end = until
        self.holds = False

    def add(self, trail: Trail, kind: str) -> None:
        self.holds = True
        last = self.stretches[-1] if self.stretches else None
        if last and last.kind == kind != "fired" and last.end == trail.at:
            last.count += 1
        else:
            self.stretches.append(Stretch(trail.at, trail.at, kind, trail))


@dataclass
class Curve:
    """A number that clauses read, and what it was compared with, by the sign and the text of that."""

    label: str
    points: Points = field(default_factory=list)
    limits: dict[str, Points] = field(default_factory=dict)
    last: int = 0  # the number of the evaluation that read it last

    def told_limits(self) -> Iterator[tuple[str, Points]]:
        """Each limit with its value, where it always was the same: ``< dark = 40``."""
        for text, points in self.limits.items():
            values = {value for _, value in points}
            known = f"{next(iter(values)):g}" if len(values) == 1 else ""
            is_literal = text.rpartition(" ")[2][:1] in "-.0123456789"
            yield (text if is_literal or not known else f"{text} = {known}"), points


@dataclass
class Timeline:
    """From ``start`` to ``end`` (ns); ``begin`` is the beginning of the log, from which seconds count.

    ``hear`` takes the rule's trails in the order of their time; ``close`` ends it, with the acts of the rule.
    """

    rule: str
    log: str
    begin: int
    start: int
    end: int
    outcomes: Bar = field(default_factory=lambda: Bar("outcome"))
    clauses: list[Bar] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    evaluations: int = 0
    _at: int = 0
    _gap: int = 0

    def hear(self, trail: Trail) -> None:
        if not self.start <= trail.at <= self.end:
            return
        self._pass(trail.at)
        self.evaluations += 1
        self.outcomes.add(trail, trail.decision.outcome)
        for number, clause in enumerate(trail.decision.clauses):
            if number == len(self.clauses):
                self.clauses.append(Bar(clause.text))
            self.clauses[number].add(trail, clause.verdict)
            self._read(trail.at, clause)

    def close(self, acts: list[Act]) -> None:
        self.acts = [act for act in acts if self.start <= act.at <= self.end]
        self._pass(self.end)

    @property
    def fired(self) -> list[Act]:
        return [act for act in self.acts if act.outcome == "fired"]

    @property
    def title(self) -> str:
        count = len(self.fired)
        fired = "never fired" if not count else "fired once" if count == 1 else f"fired {count} times"
        return f"{self.rule} {fired} in {(self.end - self.start) / 1e9:.1f} s of {self.log}"

    def seconds(self, at: int) -> float:
        """A time (ns) in seconds from the log's beginning."""
        return (at - self.begin) / 1e9

    def _pass(self, now: int) -> None:
        """Time passes: what was evaluated last still holds, unless that is long ago."""
        longest = max(round(STALE * 1e9), BETWEEN * self._gap)
        for bar in (self.outcomes, *self.clauses):
            bar.reach(min(now, self._at + longest))
        self._gap = now - self._at if self._at else 0
        self._at = now

    def _read(self, at: int, clause: Clause) -> None:
        """Takes in the numbers that a clause read."""
        compared = comparisons(clause.text, clause.values)
        for one in compared:
            curve = self._point(one.name, at, one.value)
            if abs(one.limit) < LARGEST:
                curve.limits.setdefault(f"{one.sign} {one.right}", []).append((at, float(one.limit)))
        told = [side for one in compared for side in (one.name, one.right)]
        for name, value in clause.values.items():
            if "." in name and type(value) in (int, float) and not any(name in side for side in told):
                self._point(name, at, value)

    def _point(self, name: str, at: int, value: float) -> Curve:
        curve = self.curves.setdefault(name, Curve(name))
        if curve.points and curve.last < self.evaluations - 1:
            curve.points.append((at, math.nan))
        if curve.last != self.evaluations or not curve.points:
            curve.points.append((at, float(value) if abs(value) < LARGEST else math.nan))
        curve.last = self.evaluations
        return curve
