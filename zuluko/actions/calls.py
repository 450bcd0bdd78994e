"""What a clause asks beyond a message: how late it is, how old a topic, and what a value was before.

CEL sees none of it. A call such as ``mean(front.range, "2s")`` is cut out of the clause, computed before the
clause is evaluated, and read there as a variable. What it has to remember for that is the rule's memory, so
that the same messages and times give the same values on every run.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from zuluko.actions.celtext import Path, Token, read, tokens

NOW = "now"  # what a clause calls graph time
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST = 1000  # values that a window remembers

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass
class Situation:
    """What is known when a rule is evaluated.

    ``now``   graph time, in ns; ``zone``: of the place, for the time of day
    ``ages``  by topic, how old (s) its last message is, however old that may be
    ``anew``  whether this is a new piece of evidence; else what it gave before is replaced
    ``silent``  whether the topic that is to be silent has been for long enough
    """

    now: int
    zone: str
    ages: Mapping[str, float]
    anew: bool = True
    silent: bool = False


Memory = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One call in a clause.

    ``text``      as it stands there; ``name``: the variable that stands for it
    ``function``  which one it is
    ``subject``   the text of its first argument, a number that changes, or the topic of ``age``
    ``settings``  the values of the other arguments
    """

    text: str
    name: str
    function: str
    subject: str = ""
    settings: tuple[Any, ...] = ()

    @property
    def measures(self) -> bool:
        """Whether its subject is an expression, and not a topic, or nothing."""
        return self.function in _MEMORIES

    @property
    def paths(self) -> list[Path]:
        return read(self.subject).paths

    def value(self, memory: Memory, now: Situation, subject: float | None) -> Any:
        """What it gives, given the value of its subject; None where that cannot be known."""
        if self.function == "age":
            return now.ages.get(self.subject)
        if self.function in _TIMES:
            return _TIMES[self.function](now, *self.settings)
        if subject is None:
            return None
        return _MEMORIES[self.function](memory.setdefault(self.name, _Past()), now, subject, *self.settings)


@dataclass
class _Past:
    """What one call remembers.

    ``values``  those of its subject and when they were (ns), the newest last
    ``side``    of a hysteresis, and on which it was ``before`` the newest evidence
    ``begun``   of a sequence, by how many of its steps have been, when the first of them was (the latest)
    ``whole``   whether the newest evidence was its last step
    """

    values: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=MOST))
    side: bool | None = None
    before: bool | None = None
    begun: list[int | None] = field(default_factory=list)
    whole: bool = False

    def within(self, now: Situation, subject: float, window: float) -> list[float]:
        """Takes the newest value in, and gives those that are not older than the window."""
        at = now.now
        if not now.anew and self.values:
            at, _ = self.values.pop()
        self.values.append((at, subject))
        while self.values[0][0] < now.now - round(window * 1e9) and len(self.values) > 1:
            self.values.popleft()
        return [value for _, value in self.values]


def _mean(past: _Past, now: Situation, subject: float, window: float) -> float:
    values = past.within(now, subject, window)
    return sum(values) / len(values)


def _least(past: _Past, now: Situation, subject: float, window: float) -> float:
    return min(past.within(now, subject, window))


def _most(past: _Past, now: Situation, subject: float, window: float) -> float:
    return max(past.within(now, subject, window))


def _change(past: _Past, now: Situation, subject: float, window: float) -> float:
    values = past.within(now, subject, window)
    return values[-1] - values[0]


def _hysteresis(past: _Past, now: Situation, subject: float, low: float, high: float) -> bool | None:
    """True from ``high`` up, false from ``low`` down, and between them what it was; None before it was
    either."""
    if now.anew:
        past.before = past.side
    past.side = True if subject >= high else False if subject <= low else past.before
    return past.side


def _sequence(past: _Past, now: Situation, steps: float, within: float, count: int) -> bool:
    """Whether the newest evidence is the last step of a sequence; bit n of ``steps`` says that the step n is
    true. Each step is a piece of evidence of its own, and a sequence that is whole begins anew."""
    if not now.anew:
        return past.whole
    begun = past.begun = past.begun or [None] * (count + 1)
    begun[0] = now.now
    for step in reversed(range(count)):
        if int(steps) >> step & 1 and (since := begun[step]) is not None:
            begun[step + 1] = since if now.now - since <= round(within * 1e9) else None
    past.whole = begun[count] is not None
    if past.whole:
        past.begun = [None] * (count + 1)
    return past.whole


def _local(now: Situation) -> datetime:
    return datetime.fromtimestamp(now.now // 1_000_000_000, zone_of(now.zone))


def _between(now: Situation, start: int, end: int) -> bool:
    """Whether the time of day, in minutes, is at or after ``start`` and before ``end``, over midnight too."""
    local = _local(now)
    minute = local.hour * 60 + local.minute
    return start <= minute < end if start <= end else minute >= start or minute < end


_MEMORIES: dict[str, Callable[..., Any]] = {
    "mean": _mean,
    "min": _least,
    "max": _most,
    "change": _change,
    "hysteresis": _hysteresis,
    "sequence": _sequence,
}
_TIMES: dict[str, Callable[..., Any]] = {
    "silent": lambda now: now.silent,
    "now": lambda now: now.now / 1e9,
    "between": _between,
    "weekday": lambda now: DAYS[_local(now).weekday()],
}
WINDOWS = frozenset({"mean", "min", "max", "change"})
NAMES = frozenset({*_MEMORIES, *_TIMES, "age"}) - {"now", "silent", "sequence"}
NUMBERS = frozenset({*WINDOWS, "now", "age"})  # what gives a number


@lru_cache
def zone_of(name: str) -> tzinfo:
    """The time zone of that name; raises ValueError."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError(f"there is no time zone `{name}`; it is written Europe/Berlin, or UTC") from None


def minutes(text: object) -> int:
    """A time of day such as 22:30, in minutes; ValueError says what to write instead."""
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise ValueError(f'`{text}` is no time of day; write it with quotes, from "00:00" to "23:59"')
    return int(found[1]) * 60 + int(found[2])


@dataclass(frozen=True)
class Found:
    """A call in the text of a clause: where it starts and ends, its function and its arguments' texts."""

    start: int
    end: int
    function: str
    arguments: tuple[str, ...]


def find(text: str) -> Iterator[Found]:
    """The outermost calls in a clause, in order."""
    listed = tokens(text)
    at = 0
    while at < len(listed):
        token, after = listed[at], listed[at + 1] if at + 1 < len(listed) else None
        free = token.kind == "word" and (at == 0 or listed[at - 1].text != ".")
        if free and token.text in NAMES and after is not None and after.text == "(":
            at, arguments = _arguments(text, listed, at + 2)
            yield Found(token.start, listed[at - 1].start + 1, token.text, arguments)
        elif free and token.text == "now" and (after is None or after.text != "."):
            yield Found(token.start, token.start + len("now"), "now", ())
            at += 1
        else:
            at += 1


def _arguments(text: str, listed: list[Token], at: int) -> tuple[int, tuple[str, ...]]:
    """The arguments of a call from the token after its bracket, and the token after its end."""
    depth, start, found = 0, listed[at].start, []
    while depth >= 0:
        token = listed[at]
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
            if depth < 0 or (depth == 0 and token.text == ","):
                found.append(text[start : token.start].strip())
                start = token.start + 1
        at += 1
    return at, tuple(argument for argument in found if argument)
