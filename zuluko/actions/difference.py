"""Differences between what two sets of rules do over one log: more, fewer, moved, with other commands."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from zuluko.actions.acts import Act
from zuluko.actions.trails import Trail

What = Literal["more", "fewer", "moved", "commands"]


@dataclass(frozen=True)
class Difference:
    """One act that is not the same: of the ``old`` rules, of the ``new``, or of both, where it ``moved`` or
    gives other ``commands``."""

    rule: str
    what: What
    old: Act | None = None
    new: Act | None = None

    @property
    def at(self) -> int:
        """Graph time (ns): that of the old act, where there was one."""
        return (self.old or self._new).at

    @property
    def by(self) -> float:
        """How much later (s) it is; below 0, how much earlier."""
        return (self.new.at - self.old.at) / 1e9 if self.old and self.new else 0.0

    @property
    def outcome(self) -> str:
        return (self.old or self._new).outcome

    @property
    def missed(self) -> tuple[Literal["old", "new"], int] | None:
        """Whose rules did not do it, and at which moment they might have; None where both did at one time."""
        if self.what == "commands":
            return None
        if self.old is None or (self.new is not None and self.by < 0):
            return "old", self._new.at
        return "new", self.old.at

    @property
    def _new(self) -> Act:
        assert self.new
        return self.new


def differences(
    old: Mapping[str, Sequence[Act]],
    new: Mapping[str, Sequence[Act]],
    *,
    within: float,
    same: float = 0.0,
) -> list[Difference]:
    """What is different, in the order of time; the acts of each rule stand under what it is called.

    An act that is in one only and one that is in the other only are one that moved if they lie no more than
    ``within`` seconds apart. Those up to ``same`` seconds apart are not told as moved.
    """
    found: list[Difference] = []
    for rule in dict.fromkeys([*old, *new]):
        for outcome in ("fired", "ended"):
            ours = [act for act in old.get(rule, ()) if act.outcome == outcome]
            theirs = [act for act in new.get(rule, ()) if act.outcome == outcome]
            found += _of_rule(rule, ours, theirs, round(within * 1e9), round(same * 1e9))
    return sorted(found, key=lambda one: (one.at, one.rule))


def _of_rule(
    rule: str, old: Sequence[Act], new: Sequence[Act], within: int, same: int
) -> Iterable[Difference]:
    pairs = _pairs(old, new, same)
    left = [act for act in old if id(act) not in {id(one) for one, _ in pairs}]
    right = [act for act in new if id(act) not in {id(other) for _, other in pairs}]
    moved = _pairs(left, right, within)
    gone = {id(act) for pair in moved for act in pair}
    for one, other in pairs:
        if not one.gives_as(other, same / 1e9):
            yield Difference(rule, "commands", one, other)
    for one, other in moved:
        yield Difference(rule, "moved", one, other)
    for act in left:
        if id(act) not in gone:
            yield Difference(rule, "fewer", old=act)
    for act in right:
        if id(act) not in gone:
            yield Difference(rule, "more", new=act)


def _pairs(old: Sequence[Act], new: Sequence[Act], apart: int) -> list[tuple[Act, Act]]:
    """Acts that are no more than so many ns apart, each in one pair, the nearest first."""
    times = [act.at for act in new]
    near: list[tuple[int, int, int]] = []
    for number, act in enumerate(old):
        other = bisect_left(times, act.at - apart)
        while other < len(times) and times[other] <= act.at + apart:
            near.append((abs(times[other] - act.at), number, other))
            other += 1
    taken: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for _, number, other in sorted(near):
        if number not in taken[0] and other not in taken[1]:
            taken[0].add(number)
            taken[1].add(other)
            pairs.append((old[number], new[other]))
    return pairs


class Nearest:
    """Of the trails of one rule that it hears, in their order, the nearest to each of some moments (ns)."""

    def __init__(self, moments: Iterable[int]) -> None:
        self.found: dict[int, Trail] = {}
        self._waiting = sorted(set(moments), reverse=True)
        self._before: Trail | None = None

    def hear(self, trail: Trail) -> None:
        while self._waiting and self._waiting[-1] <= trail.at:
            moment = self._waiting.pop()
            before = self._before
            nearer = before if before and moment - before.at < trail.at - moment else trail
            self.found[moment] = nearer
        self._before = trail

    def end(self) -> None:
        """Nothing more will come."""
        if self._before:
            self.found.update(dict.fromkeys(self._waiting, self._before))
