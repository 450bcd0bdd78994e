"""What ``zuluko why`` prints: a tree for one decision, a line for each of several, JSON for a program."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from zuluko.actions.comparison import shown
from zuluko.actions.explanation import Explanation, duration
from zuluko.actions.trails import Run, Trail, Trails, nearest_miss
from zuluko.cli.logs import has_colours
from zuluko.cli.moment import clock_time

_COLOURS = {
    "fired": "32",
    "true": "32",
    "false": "31",
    "unknown": "33",
    "ended": "1",
    "failed": "31",
    "did not fire": "1",
}
LONGEST = 40  # characters of a text
WIDEST = 48  # characters of a clause, beside what it read


def colour(text: str, kind: str = "") -> str:
    """In a terminal, a word in the colour of what it says."""
    code = _COLOURS.get(kind or text)
    return f"\x1b[{code}m{text}\x1b[0m" if code and has_colours() else text


def sentence(explained: Explanation, now: int) -> str:
    """All of it in one sentence."""
    verb = colour(explained.verb)
    return f"{verb} at {clock_time(explained.at, now)}: {explained.short}; {explained.evidence}"


def summary(explained: Explanation, fired: Trail | None, now: int) -> str:
    """The last outcome of a rule in one short line, and when it fired before."""
    verb = colour(explained.verb)
    told = f"{explained.rule} {verb} at {clock_time(explained.at, now)}: {explained.why}"
    return told + (f"; it fired {duration((now - fired.at) / 1e9)} ago" if fired else "")


def line(run: Run, explained: Explanation, now: int) -> str:
    """One run in one line."""
    count = len(run.trails)
    since = f" ({count} times since {clock_time(run.first.at, now)})" if count > 1 else ""
    return sentence(explained, now) + since


def tree(
    run: Run, explained: Explanation, now: int, *, ago: bool = True, more: Sequence[str] = ()
) -> Iterable[str]:
    """One decision of a run and all that is known of it; ``more`` are lines from elsewhere."""
    when = clock_time(explained.at, now)
    then = f", {duration((now - explained.at) / 1e9)} ago" if ago else ""
    verb = colour(explained.verb)
    yield f"{explained.rule} {verb} at {when}{then}: {explained.why}"
    branches = [*_same(run, explained, now), *_clauses(explained), *_progress(explained), *more]
    for index, branch in enumerate(branches):
        yield ("└─ " if index == len(branches) - 1 else "├─ ") + branch


def _same(run: Run, explained: Explanation, now: int) -> Iterable[str]:
    if len(run.trails) < 2:
        return
    first, last = clock_time(run.first.at, now), clock_time(run.last.at, now)
    yield f"the same for {len(run.trails)} evaluations from {first} to {last}"
    if miss := nearest_miss(run, explained):
        yield f"it came nearest at {clock_time(miss[0].at, now)}: {miss[1].sentence}"


def _clauses(explained: Explanation) -> Iterable[str]:
    width = min(WIDEST, max((len(one.text) for one in explained.reasons), default=0))
    for one in explained.reasons:
        verdict = colour(f"{one.verdict:<7}", one.verdict)
        why = one.why.removeprefix(f"`{one.text}` is {one.verdict}").strip()
        why = why[1:-1] if why.startswith("(") and why.endswith(")") else why
        yield f"{verdict}  {one.text:<{width}}  {why}".rstrip()


def _progress(explained: Explanation) -> Iterable[str]:
    if explained.of > 1:
        held = f", and so for {duration(explained.held)}" if explained.held else ""
        yield f"seen {explained.seen} of {explained.of}{held}"
    yield explained.evidence
    for one in explained.consequences:
        yield f"{one.who}: {one.what}, the evidence then {duration(one.age)} old"


def fired_before(trails: Trails, fired: Trail | None, now: int) -> list[str]:
    """When the rule last fired, and what came of it."""
    if fired is None:
        return []
    told = trails.explain(fired)
    when = f"{clock_time(fired.at, now)}, {duration((now - fired.at) / 1e9)} ago"
    return ["; ".join([f"it last fired at {when}", *filter(None, [told.outcome_of_commands])])]


def evidence(explained: Explanation, body: Mapping[str, Any] | None) -> list[str]:
    """What the evaluated message said besides what the clauses read: of a list, of the item that they saw."""
    if body is None:
        return []
    read = {
        name.removeprefix("item."): value
        for reason in explained.reasons
        for name, value in reason.values.items()
        if name.startswith("item.") and not isinstance(value, list)
    }
    lists = [value for value in body.values() if isinstance(value, list)]
    items = [item for items in lists for item in items if isinstance(item, dict)]
    fitting = [item for item in items if all(item.get(key) == value for key, value in read.items())]
    if read and not fitting:
        return []
    told = fitting[0] if read else body
    plain = {key: value for key, value in told.items() if key not in ("type", "stamp")}
    told = {key: value[:LONGEST] if isinstance(value, str) else value for key, value in plain.items()}
    parts = [f"{key} {shown(value)}" for key, value in told.items() if isinstance(value, str | int | float)]
    return [f"{explained.topic} {explained.seq} said: {', '.join(parts)}"] if parts else []


def as_json(run: Run, explained: Explanation) -> str:
    """The same for a program; times in ns of graph time, lengths of time in seconds."""
    told: dict[str, Any] = msgspec.to_builtins(explained)
    told["sentence"] = f"{explained.verb}: {explained.short}; {explained.evidence}"
    told["run"] = {"count": len(run.trails), "from": run.first.at, "to": run.last.at}
    return msgspec.json.encode(told).decode()
