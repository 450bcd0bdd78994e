"""One evaluation of a rule, and how it is told: a Decision that says what held, what did not, and why."""

import math
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from zuluko.actions.rule import Rule
from zuluko.bus.message import Message
from zuluko.messages import Clause, Decision, Outcome, Verdict


@dataclass(frozen=True)
class Event:
    """A message as it came: its topic and its number there."""

    topic: str
    seq: int
    message: Message


@dataclass(frozen=True)
class Look:
    """One item (or None, for a rule without ``any``) as the clauses judged it; ``name`` is whose it is."""

    name: str
    item: Any
    verdicts: tuple[Verdict, ...]

    @property
    def trues(self) -> int:
        return self.verdicts.count("true")

    @property
    def true(self) -> bool:
        return self.trues == len(self.verdicts)


@dataclass
class Track:
    """The smoothing of one name.

    ``history``  a bit for each evaluation that counts, 1 for true, the last in bit 0
    ``begun``    graph time (ns) at which the smoothed condition became true, None while it is not
    ``since``    the stamp of the evidence then
    ``fired``    graph time (ns) at which it last fired since, None while it has not
    """

    history: int = 0
    begun: int | None = None
    since: int = 0
    fired: int | None = None

    @property
    def seen(self) -> int:
        return self.history.bit_count()

    def add(self, true: bool, *, again: bool, rule: Rule, places: int, now: int, stamp: int) -> None:
        """Takes an evaluation, of which the last ``places`` count; one made ``again`` on the same evidence
        replaces the last."""
        shifted = self.history & ~1 if again else self.history << 1
        self.history = (shifted | true) & (1 << places) - 1
        if self.seen < rule.seen:
            self.begun, self.since, self.fired = None, 0, None
        elif self.begun is None:
            self.begun, self.since = now, stamp

    def due(self, rule: Rule, cooled: int) -> int | None:
        """When it may fire, if its last evaluation was true and it is to fire (once more) for this edge."""
        if self.begun is None or not self.history & 1:
            return None
        repeat = self.repeat(rule)
        return None if repeat is None else max(self.begun + round(rule.hold * 1e9), repeat, cooled)

    def repeat(self, rule: Rule) -> int | None:
        """Before when it must not fire again: 0 while it has not fired for this edge, None for never."""
        if self.fired is None:
            return 0
        return self.fired + round(rule.again * 1e9) if math.isfinite(rule.again) else None


@dataclass
class Moment:
    """One evaluation: when, of what, with which topics known, and why the missing ones are missing.

    ``cooled``  when the cooldown ends; ``bar``: why it may not fire, whatever is true
    ``age``     the evidence's, in seconds; ``fresh``: whether that is young enough
    """

    rule: Rule
    now: int
    event: Event
    inputs: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    cooled: int = 0
    bar: str = ""

    def __post_init__(self) -> None:
        self.age = (self.now - self.event.message.stamp) / 1e9
        self.fresh = self.age <= self.rule.max_age

    def refused(self, why: str, outcome: Outcome = "unknown") -> Decision:
        """The Decision about a message that time forbids to look at, or that changes nothing."""
        return self._decision(outcome, why, (), Track(), "")

    def ended(self, looks: list[Look], command: str) -> Decision:
        """The Decision of a rule that had fired and is no longer true."""
        held = self.held(looks, {})
        return msgspec.structs.replace(
            held, outcome="ended", reason=f"it had fired, and now {held.reason}", command=command
        )

    def failed(self, why: str, stamp: int, command: str) -> Decision:
        """The Decision about a command that has failed; ``stamp`` is that of the evidence on which it was
        given, ``command`` the id of what is commanded now."""
        decision = self._decision("failed", why, (), Track(), command)
        return msgspec.structs.replace(decision, stamp=stamp, age=(self.now - stamp) / 1e9)

    def fired(self, look: Look, track: Track, command: str) -> Decision:
        parts = [f"seen {track.seen} of {self.rule.of}"] if self.rule.of > 1 else []
        if self.rule.hold and track.begun is not None:
            parts.append(f"true for {_s(self.now - track.begun)} s")
        reason = ", ".join(parts) or "all clauses are true"
        return self._decision("fired", reason, self._clauses(look), track, command)

    def held(self, looks: list[Look], tracks: dict[str, Track]) -> Decision:
        """The Decision of an evaluation that fired nothing: of a list, about the item that came nearest."""
        if not looks:
            empty = f"{self.rule.when}.{self.rule.any or self.rule.all} is empty"
            return self._decision("false", empty, (), Track(), "")
        nothing = Track()
        look = max(looks, key=lambda look: (look.trues, tracks.get(look.name, nothing).seen))
        track = tracks.get(look.name, nothing)
        clauses = self._clauses(look)
        outcome, reason = self._why(look, track, clauses)
        return self._decision(outcome, reason, clauses, track, "")

    def _why(self, look: Look, track: Track, clauses: tuple[Clause, ...]) -> tuple[Outcome, str]:
        rule = self.rule
        if not self.fresh:
            return "unknown", f"evidence is {self.age:.3g} s old, at most {rule.max_age:g}"
        if not look.true:
            verdict: Verdict = "false" if "false" in look.verdicts else "unknown"
            return cast(Outcome, verdict), self._clause(clauses, look.verdicts.index(verdict))
        return self._waits(track)

    def _waits(self, track: Track) -> tuple[Outcome, str]:
        """Why an evaluation that is true does not fire yet."""
        rule = self.rule
        if track.begun is None:
            return "held", f"seen {track.seen} of {rule.of}, needs {rule.seen}"
        if self.now < track.begun + round(rule.hold * 1e9):
            return "held", f"true for {_s(self.now - track.begun)} s, needs {rule.hold:g}"
        repeat = track.repeat(rule)
        if repeat is None:
            return "held", "still true since it fired; it fires again once it has been false"
        if self.bar:
            return "blocked", self.bar
        if self.now < repeat:
            left = _s(max(repeat, self.cooled) - self.now)
            return "held", f"still true since it fired; it fires again in {left} s if it stays so"
        return "cooldown", f"cooldown: {_s(self.cooled - self.now)} s left"

    def _clauses(self, look: Look) -> tuple[Clause, ...]:
        return self.rule.condition.explain(look.verdicts, self.inputs, look.item)

    def _clause(self, clauses: tuple[Clause, ...], number: int) -> str:
        """Why one clause is not true, with the values that it read and the topics that it missed."""
        clause = clauses[number]
        missing = self.missing.keys() & self.rule.condition.topics_of(number)
        details = [self.missing[topic] for topic in sorted(missing)]
        details += [f"{name} = {_shown(value)}" for name, value in clause.values.items()]
        return f"clause `{clause.text}` is {clause.verdict}" + (f" ({', '.join(details)})" if details else "")

    def _decision(
        self, outcome: Outcome, reason: str, clauses: tuple[Clause, ...], track: Track, command: str
    ) -> Decision:
        return Decision(
            stamp=self.event.message.stamp,
            rule=self.rule.name,
            outcome=outcome,
            reason=reason,
            topic=self.event.topic,
            seq=self.event.seq,
            clauses=clauses,
            seen=track.seen,
            of=self.rule.of,
            held=0.0 if track.begun is None else (self.now - track.begun) / 1e9,
            age=self.age,
            since=track.since,
            command=command,
        )


def _s(ns: int) -> str:
    return f"{ns / 1e9:.3g}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value if value.endswith(" items") else f'"{value}"'
    return f"{value:.4g}" if isinstance(value, float) else str(value)
