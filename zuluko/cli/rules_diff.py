"""What ``zuluko rules diff`` finds and prints."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zuluko.actions.acts import Act
from zuluko.actions.difference import Difference, Nearest, differences
from zuluko.actions.explanation import duration
from zuluko.actions.trails import Trail
from zuluko.cli.moment import clock_time
from zuluko.cli.rules_told import encoded, explained_of, moment, plain

if TYPE_CHECKING:
    from zuluko.launch.trial import Tried

MOST = 20  # differences of one kind that are told one by one
NAMED = 3  # moments that a headline names
NOUNS = {"fired": "firing", "ended": "ending"}


class Comparison:
    """Two sets of rules over one log; ``found`` is what is different. Raises as ``Tried.follow`` does."""

    def __init__(self, old: "Tried", new: "Tried", rule: str, *, within: float, same: float) -> None:
        self._sides = {"old": old, "new": new}
        self._labels = {"old": dict(old.labels()), "new": dict(new.labels())}
        if rule:
            self._choose(rule)
        self._acts = {side: self._done(side) for side in self._sides}
        self.found = differences(self._acts["old"], self._acts["new"], within=within, same=same)
        self._whys = {side: self._why(side) for side in self._sides}

    def _choose(self, rule: str) -> None:
        """Leaves only one rule, which one side may not have."""
        known = {label for labels in self._labels.values() for label in labels.values()}
        if rule not in known:
            self._sides["new"].labels(rule)  # which says that there is none, and what is near
        for side, labels in self._labels.items():
            self._labels[side] = {pair: label for pair, label in labels.items() if label == rule}

    def _done(self, side: str) -> dict[str, list[Act]]:
        labels = self._labels[side]
        done: dict[str, list[Act]] = {label: [] for label in labels.values()}
        for act in self._sides[side].follow(labels):
            done[labels[act.trail.rule]].append(act)
        return done

    def _why(self, side: str) -> dict[tuple[str, int], Trail]:
        """What the rules of a side decided at the moments at which they did not do what the others did."""
        wanted: dict[str, list[int]] = defaultdict(list)
        for one in self.found:
            if one.missed and one.missed[0] == side:
                wanted[one.rule].append(one.missed[1])
        labels = {pair: label for pair, label in self._labels[side].items() if label in wanted}
        if not labels:
            return {}
        nearest = {label: Nearest(wanted[label]) for label in labels.values()}
        self._sides[side].follow(labels, lambda trail: nearest[labels[trail.rule]].hear(trail))
        for near in nearest.values():
            near.end()
        return {(label, at): trail for label, near in nearest.items() for at, trail in near.found.items()}

    # -- how it is told

    def print(self, old: str, new: str, *, as_json: bool) -> None:
        print("\n".join(self._json() if as_json else self._lines(old, new)))

    def _lines(self, old: str, new: str) -> Iterator[str]:
        if not self.found:
            count = sum(act.outcome == "fired" for acts in self._acts["new"].values() for act in acts)
            firings = "1 firing" if count == 1 else f"{count or 'no'} firings"
            yield f"{old} and {new} do the same over {self._sides['new'].log}: {firings}"
            return
        groups: dict[tuple[str, str, str], list[Difference]] = {}
        for one in self.found:
            groups.setdefault((one.rule, one.outcome, one.what), []).append(one)
        for (rule, outcome, what), several in groups.items():
            yield self._headline(rule, NOUNS[outcome], what, several)
            for one in several[:MOST]:
                yield f"  {moment(one.at, self._sides['new'])}  {self._told(one)}"
            if len(several) > MOST:
                yield f"  and {len(several) - MOST} more, which --json tells"

    def _headline(self, rule: str, noun: str, what: str, several: Sequence[Difference]) -> str:
        named = ", ".join(clock_time(one.at, self._sides["new"].end) for one in several[:NAMED])
        rest = f" and {len(several) - NAMED} more" if len(several) > NAMED else ""
        count = len(several)
        firings = f"{noun}{'s' if count > 1 else ''}"
        how = {
            "more": f"{count} more {firings}",
            "fewer": f"{count} fewer {firings}",
            "moved": f"{count} {firings} moved",
            "commands": f"{count} {firings} with other commands",
        }
        return f"{rule}: {how[what]}: at {named}{rest}"

    def _told(self, one: Difference) -> str:
        """One difference, and why the other rules did not do so."""
        act = one.new or one.old
        assert act
        orders = "".join(f"; {order}" for order in act.orders)
        if one.what == "commands":
            before = "; ".join(one.old.orders if one.old else ()) or "nothing"
            return f"new: {'; '.join(act.orders) or 'nothing'}; old: {before}"
        if one.what == "moved":
            what = f"{duration(abs(one.by))} {'later' if one.by > 0 else 'earlier'}"
            if one.old and not one.old.gives_as(act, 0.0):
                what += f", with other commands{orders}"
        else:
            what = f"{explained_of(act.trail).why}{orders}"
        return f"{what}; {self._missed(one)}"

    def _missed(self, one: Difference) -> str:
        assert one.missed
        side, at = one.missed
        trail = self._whys[side].get((one.rule, at))
        if trail is None:
            has = one.rule in self._labels[side].values()
            return f"{side}: {'was not evaluated' if has else 'has no such rule'}"
        return f"{side}: {explained_of(trail).short}"

    def _json(self) -> Iterator[str]:
        start = self._sides["new"].start
        for one in self.found:
            told: dict[str, Any] = {"rule": one.rule, "what": one.what, "outcome": one.outcome, "at": one.at}
            told |= {"seconds": round((one.at - start) / 1e9, 6), "by": one.by}
            for side, act in (("old", one.old), ("new", one.new)):
                told[side] = plain(act, one.rule, start) if act else None
            told["why"] = self._missed(one) if one.missed else None
            yield encoded(told)
        counts = {
            side: {rule: len(acts) for rule, acts in self._acts[side].items()} for side in ("old", "new")
        }
        yield encoded({"log": str(self._sides["new"].log), "differences": len(self.found), **counts})
