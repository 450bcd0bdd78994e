"""Trails: each Decision with what led to it and what came of it, found together again from any messages, be
they from a log or from a running graph's memory."""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from zuluko.actions.comparison import Shortfall
from zuluko.actions.explanation import Explanation, explain
from zuluko.bus.wire import Envelope, Hop
from zuluko.messages import Decision, Delivery, LockState

MOST = 20_000  # decisions, and as many commands, that are held

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


@dataclass(frozen=True)
class Trail:
    """One Decision as it was published: by which node, when (``sent``, graph time in ns), caused by what."""

    node: str
    seq: int
    sent: int
    decision: Decision
    cause: tuple[Hop, ...] = ()

    @property
    def rule(self) -> tuple[str, str]:
        """Its node and its name."""
        return self.node, self.decision.rule

    @property
    def at(self) -> int:
        """Graph time (ns) of the evaluation."""
        return self.decision.stamp + round(self.decision.age * 1e9)

    @property
    def fired(self) -> bool:
        return self.decision.outcome == "fired"

    @property
    def kind(self) -> Hashable:
        """What two decisions have in common that a person need not be told twice."""
        verdicts = tuple(clause.verdict for clause in self.decision.clauses)
        return self.decision.outcome, verdicts, _NUMBER.sub("0", self.decision.reason)


@dataclass
class Run:
    """Evaluations of one rule, one after the other, that ended alike; a firing is one of its own."""

    trails: list[Trail] = field(default_factory=list)

    @property
    def first(self) -> Trail:
        return self.trails[0]

    @property
    def last(self) -> Trail:
        return self.trails[-1]

    def takes(self, trail: Trail) -> bool:
        return not trail.fired and self.last.kind == trail.kind  # a firing's kind is its own


class Trails:
    """Takes messages in any order (``hear``), and tells each rule's decisions in the order of their time.
    ``most`` is how many of each rule it holds."""

    def __init__(self, told: Iterable[tuple[str, Envelope[Any]]] = (), *, most: int = MOST) -> None:
        self._most = most
        self._rules: dict[tuple[str, str], deque[Trail]] = {}
        self._known: dict[tuple[str, int, int], None] = {}
        self._causes: dict[str, tuple[int, tuple[Hop, ...]]] = {}
        self._deliveries: dict[str, list[Envelope[Delivery]]] = {}
        self._states: dict[str, list[tuple[str, Envelope[LockState]]]] = {}
        for topic, envelope in told:
            self.hear(topic, envelope)

    @property
    def rules(self) -> list[tuple[str, str]]:
        """Node and name of each rule that has decided something."""
        return sorted(self._rules)

    def hear(self, topic: str, envelope: Envelope[Any]) -> Trail | None:
        """Takes a message in; the trail that begins with it, of a Decision that is new."""
        key = (topic, envelope.seq, envelope.sent)
        if key in self._known:
            return None
        _keep(self._known, key, None, 4 * self._most)
        body = envelope.body
        if isinstance(body, Delivery):
            self._deliveries.setdefault(_given_with(body.command), []).append(envelope)
            _trim(self._deliveries)
        elif isinstance(body, LockState) and body.command:
            self._hear_state(topic, envelope)
        elif isinstance(body, Decision):
            return self._hear_decision(topic, envelope)
        return None

    def _hear_state(self, topic: str, envelope: Envelope[LockState]) -> None:
        """Of what a lock says again and again, the first counts."""
        states = self._states.setdefault(_given_with(envelope.body.command), [])
        _trim(self._states)
        said = [(where, one.body.state, one.body.reason) for where, one in states]
        if (topic, envelope.body.state, envelope.body.reason) not in said:
            states.append((topic, envelope))

    def _hear_decision(self, topic: str, envelope: Envelope[Decision]) -> Trail:
        """What is evaluated again, as its `for` ends, was caused by what caused the evaluation before."""
        node, decision = topic.removesuffix(".decision"), envelope.body
        seq, cause = self._causes.get(f"{node} {decision.topic}", (-1, ()))
        if envelope.cause:
            cause = envelope.cause
            self._causes[f"{node} {decision.topic}"] = decision.seq, cause
        elif seq != decision.seq:
            cause = ()
        trail = Trail(node, envelope.seq, envelope.sent, decision, cause)
        line = self._rules.setdefault((node, decision.rule), deque(maxlen=self._most))
        if line and line[-1].sent > trail.sent:
            later = [one for one in line if one.sent > trail.sent]
            for _ in later:
                line.pop()
            line.extend([trail, *later])
        else:
            line.append(trail)
        return trail

    def of(self, node: str, rule: str) -> list[Trail]:
        """A rule's decisions, the oldest first."""
        return list(self._rules.get((node, rule), ()))

    def nearest(self, node: str, rule: str, at: int) -> Trail | None:
        """The decision nearest to a moment of graph time (ns)."""
        line = self.of(node, rule)
        index = bisect_left(line, at, key=lambda trail: trail.at)
        return min(line[max(0, index - 1) : index + 1], key=lambda trail: abs(trail.at - at), default=None)

    def explain(self, trail: Trail) -> Explanation:
        base = _given_with(trail.decision.command)
        states = self._states.get(base, []) if base else []
        if not any(one.body.stamp == trail.decision.stamp or _refuses(one.body) for _, one in states):
            states = []  # what it did at once is not known, and what it says now is no answer
        return explain(
            trail.decision,
            node=trail.node,
            cause=trail.cause,
            deliveries=self._deliveries.get(base, []) if base else [],
            states=states,
        )


def runs(trails: Iterable[Trail]) -> list[Run]:
    """Decisions of one rule, those folded that ended alike."""
    found: list[Run] = []
    for trail in trails:
        if found and found[-1].takes(trail):
            found[-1].trails.append(trail)
        else:
            found.append(Run([trail]))
    return found


def nearest_miss(run: Run, explained: Explanation) -> tuple[Trail, Shortfall] | None:
    """Where several evaluations failed by one number: the one that came nearest, if it came nearer."""
    numbers = [short for reason in explained.reasons for short in reason.shortfalls if short.by]
    if len(run.trails) < 2 or len(numbers) != 1:
        return None
    misses = [
        (trail, short)
        for trail in run.trails
        for reason in explain(trail.decision).reasons
        for short in reason.shortfalls
        if short.text == numbers[0].text and short.by
    ]
    nearest = min(misses, key=lambda miss: miss[1].by or 0)
    return nearest if nearest[1].by != numbers[0].by else None


def _given_with(command: str) -> str:
    """What the ids of all commands of one firing begin with."""
    return command.rpartition("-")[0] or command


def _refuses(state: LockState) -> bool:
    return state.reason.startswith("refused")


def _keep(known: dict[Any, Any], key: Any, value: Any, most: int = MOST) -> None:
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def _trim(known: dict[str, Any]) -> None:
    if len(known) > MOST:
        del known[next(iter(known))]
