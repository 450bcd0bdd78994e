"""What ``zuluko rules`` prints: a line an act, a summary of each rule, and what was never tried."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zuluko.actions.acts import Act
from zuluko.actions.explanation import Explanation, explain
from zuluko.actions.trails import Run, Trail
from zuluko.cli.moment import clock_time
from zuluko.cli.why_told import colour

if TYPE_CHECKING:
    from zuluko.actions.coverage import ClauseCoverage, RuleCoverage
    from zuluko.launch.trial import Labels, Tried

OUTCOMES = ("false", "held", "unknown", "cooldown", "blocked", "ended")  # as they are told behind the firings


class Told:
    """Takes the trails of a trial as they come, and prints what is to be told of them."""

    def __init__(self, trial: "Tried", labels: "Labels", *, as_json: bool) -> None:
        self._trial, self._labels, self._as_json = trial, labels, as_json
        self._counts: dict[str, Counter[str]] = {label: Counter() for label in labels.values()}
        self._lines: list[tuple[int, str]] = []
        self._begun: dict[str, Run] = {}

    def hear(self, trail: Trail, *, others: bool) -> None:
        """Counts it; with ``others`` an outcome that is not as the last one is told, too."""
        label = self._labels[trail.rule]
        self._counts[label][trail.decision.outcome] += 1
        is_new = label not in self._begun or not self._begun[label].takes(trail)
        self._begun[label] = Run([trail])
        if others and is_new and trail.decision.outcome not in ("fired", "ended"):
            self._lines.append((trail.at, self._line(Act(trail))))

    def print(self, acts: Iterable[Act]) -> None:
        lines = self._lines + [(act.at, self._line(act)) for act in acts]
        for _, line in sorted(lines, key=lambda line: line[0]):
            print(line)
        print("\n".join(self._summary()))

    def _line(self, act: Act) -> str:
        explained = explained_of(act.trail)
        label = self._labels[act.trail.rule]
        if self._as_json:
            return encoded(plain(act, label, self._trial.start))
        when = moment(act.at, self._trial)
        orders = "".join(f"; {order}" for order in act.orders)
        return f"{when}  {label} {colour(explained.verb)}: {explained.short}{orders}; {explained.evidence}"

    def _summary(self) -> Iterator[str]:
        seconds = (self._trial.end - self._trial.start) / 1e9
        if self._as_json:
            rules = {label: {"decisions": one.total(), **one} for label, one in self._counts.items()}
            yield encoded({"log": str(self._trial.log), "length": round(seconds, 3), "rules": rules})
            return
        for label, count in self._counts.items():
            yield f"{label} {fired(count)} in {seconds:.1f} s{_others(count)}"


def encoded(told: Mapping[str, Any]) -> str:
    """An object in one line; a number that JSON does not have is null."""
    return msgspec.json.encode(told).decode()


def fired(count: Counter[str]) -> str:
    if not count.total():
        return "was never evaluated"
    return "never fired" if not count["fired"] else f"fired {times(count['fired'])}"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _others(count: Counter[str]) -> str:
    """What the other decisions were."""
    others = [f"{count[outcome]} {outcome}" for outcome in OUTCOMES if count[outcome]]
    plural = "s" if count.total() != 1 else ""
    return f"; of {count.total()} decision{plural} {', '.join(others)}" if others else ""


def explained_of(trail: Trail) -> Explanation:
    return explain(trail.decision, node=trail.node, cause=trail.cause)


def moment(at: int, trial: "Tried") -> str:
    """The time of day, for ``why --at``, and the seconds from the log's beginning, for ``log cat --from``."""
    return f"{clock_time(at, trial.end)} {(at - trial.start) / 1e9:9.3f} s"


def plain(act: Act, label: str, start: int) -> dict[str, Any]:
    """An act for a program: its explanation, ``seconds`` from the log's beginning, and its commands."""
    explained = explained_of(act.trail)
    told: dict[str, Any] = msgspec.to_builtins(explained)
    told |= {"rule": label, "seconds": round((act.at - start) / 1e9, 6), "commands": act.commands}
    return told | {"sentence": f"{explained.verb}: {explained.short}; {explained.evidence}"}


# -- coverage


def coverage(found: "Sequence[RuleCoverage]", logs: Sequence[Path], *, as_json: bool) -> Iterator[str]:
    """Each rule with its clauses; then how much has not been tried."""
    gaps = sum(one.gaps for one in found)
    if as_json:
        rules = [_plain_coverage(one) for one in found]
        yield encoded({"logs": [str(log) for log in logs], "gaps": gaps, "rules": rules})
        return
    for one in found:
        yield f"{one.rule} {fired(one.outcomes)}{_others(one.outcomes)}"
        if one.clauses:
            yield f"{'true':>8}{'false':>8}{'unknown':>9}"
        yield from map(_clause, one.clauses)
        yield ""
    over = f"{len(logs)} logs" if len(logs) > 1 else str(logs[0])
    yield f"{over}: {gaps} not tried" if gaps else f"{over}: all was tried"


def _clause(one: "ClauseCoverage") -> str:
    counts = one.verdicts
    text = f"{counts['true']:8}{counts['false']:8}{counts['unknown']:9}  {one.text}"
    return text + (f"  <- {colour(one.gap, 'false')}" if one.gap else "")


def _plain_coverage(one: "RuleCoverage") -> dict[str, Any]:
    clauses = [
        {
            "text": clause.text,
            **{verdict: clause.verdicts[verdict] for verdict in ("true", "false", "unknown")},
        }
        | {"gap": clause.gap or None}
        for clause in one.clauses
    ]
    return {"rule": one.rule, "gap": one.gap or None, "outcomes": one.outcomes, "clauses": clauses}
