"""Why a rule fired, or why not: a Decision told to a person, with what led to it and what came of it."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from zuluko.actions.celtext import dotted, read
from zuluko.actions.comparison import Shortfall, shortfalls, shown
from zuluko.bus.wire import Envelope, Hop
from zuluko.document import printable
from zuluko.messages import Clause, Decision, Delivery, LockState, Outcome, Verdict

_NULL = re.compile(r"(?<![\w.])(\w+) *[!=]= *null\b|\bnull *[!=]= *(\w+)(?![\w.(])")
MOST_TOLD = 3  # clauses that a sentence names


class Reason(msgspec.Struct, kw_only=True, frozen=True):
    """One clause as it stood, and why in words.

    ``why``         what made it false or unknown; of a true one, what it read; may be empty
    ``shortfalls``  the comparisons that made it false, where they can be told
    """

    text: str
    verdict: Verdict
    why: str = ""
    values: dict[str, Any] = {}
    shortfalls: tuple[Shortfall, ...] = ()


class Leg(msgspec.Struct, kw_only=True, frozen=True):
    """One hop on the way from the sensor: what it took, and how old the evidence then was, in seconds."""

    topic: str
    took: float
    age: float


class Consequence(msgspec.Struct, kw_only=True, frozen=True):
    """What came of a command: who says what, ``after`` so many seconds since the evaluation, the evidence
    then ``age`` seconds old."""

    who: str
    what: str
    after: float
    age: float


class Explanation(msgspec.Struct, kw_only=True, frozen=True):
    """A Decision explained.

    ``at``            graph time (ns) of the evaluation
    ``node``          the rules node that made it
    ``why``           the cause, in words
    ``seen``, ``of``  how many of the last so many evaluations were true; ``held`` for how long, in seconds
    ``age``           the evidence's age in seconds at the evaluation, ``legs`` where it grew so old
    ``topic``, ``seq``  the message that was evaluated
    ``command``       the id of the command that it gave, ``consequences`` what came of it
    """

    rule: str
    node: str
    outcome: Outcome
    at: int
    why: str
    reasons: tuple[Reason, ...] = ()
    seen: int = 0
    of: int = 1
    held: float = 0.0
    age: float = 0.0
    legs: tuple[Leg, ...] = ()
    topic: str = ""
    seq: int = -1
    command: str = ""
    consequences: tuple[Consequence, ...] = ()

    @property
    def fired(self) -> bool:
        return self.outcome == "fired"

    @property
    def verb(self) -> str:
        return self.outcome if self.outcome in ("fired", "ended", "failed") else "did not fire"

    @property
    def evidence(self) -> str:
        """``evidence 31 ms old: camera 4 ms, faces 22 ms, rules 5 ms``."""
        legs = ", ".join(f"{leg.topic} {duration(leg.took)}" for leg in self.legs)
        return f"evidence {duration(self.age)} old" + (f": {legs}" if legs else "")

    @property
    def short(self) -> str:
        """The cause, and how near it was otherwise, without the evidence's age."""
        parts = [self.why, self._others, self._seen, self.outcome_of_commands]
        return "; ".join(part for part in parts if part)

    @property
    def outcome_of_commands(self) -> str:
        """``lock: acknowledged the command after 1.9 ms, unlocked (unlock) after 1.5 ms``."""
        whats: dict[str, list[str]] = {}
        for one in self.consequences:
            whats.setdefault(one.who, []).append(one.what)
        return "; ".join(f"{who}: {', '.join(what)}" for who, what in whats.items())

    @property
    def _others(self) -> str:
        """How the clauses stood that the cause does not name."""
        true = sum(reason.verdict == "true" for reason in self.reasons)
        all_ = len(self.reasons)
        if not all_ or true == all_:
            clauses = {1: "the clause was", 2: "both clauses were"}.get(all_, f"all {all_} clauses were")
            return f"{clauses} true" if all_ and not self.why.startswith("all clauses") else ""
        if not true:
            return "" if all_ == 1 else "no other clause was true either"
        others = all_ - 1
        if true == others:
            return "the other clause was true" if others == 1 else f"the other {others} clauses were true"
        return f"{true} of the {all_} clauses {'was' if true == 1 else 'were'} true"

    @property
    def _seen(self) -> str:
        told = f"seen {self.seen} of {self.of}"
        return told if self.of > 1 and told not in self.why else ""


def explain(
    decision: Decision,
    *,
    node: str = "rules",
    cause: Sequence[Hop] = (),
    deliveries: Sequence[Envelope[Delivery]] = (),
    states: Sequence[tuple[str, Envelope[LockState]]] = (),
) -> Explanation:
    """The Decision of a rules node in words.

    ``cause`` is the chain of messages that led to it, the sensor's first; ``deliveries`` and ``states`` are
    what became of its commands, as told by the node and, on the topics named, by the locks that obeyed or
    refused. Each may be missing, and is then not told.
    """
    at = decision.stamp + round(decision.age * 1e9)
    reasons = tuple(_reason(clause, decision) for clause in decision.clauses)
    return Explanation(
        rule=_line(decision.rule),
        node=node,
        outcome=decision.outcome,
        at=at,
        why=_line(_why(decision, reasons)),
        reasons=reasons,
        seen=decision.seen,
        of=decision.of,
        held=decision.held,
        age=decision.age,
        legs=_legs(decision, cause, at, node),
        topic=decision.topic,
        seq=decision.seq,
        command=decision.command,
        consequences=tuple(_consequences(decision, deliveries, states, at)),
    )


def _why(decision: Decision, reasons: Sequence[Reason]) -> str:
    """The cause: the clauses that were not true where those are it, else what the engine says."""
    before, clause, _ = decision.reason.partition("clause `")
    verdict = "unknown" if decision.outcome == "unknown" else "false"
    culprits = [one.why or f"`{one.text}` is {one.verdict}" for one in reasons if one.verdict == verdict]
    if not (clause and culprits):
        return decision.reason
    more = [f"{len(culprits) - MOST_TOLD} more"] if len(culprits) > MOST_TOLD else []
    return before + ", and ".join([*culprits[:MOST_TOLD], *more])


def _reason(clause: Clause, decision: Decision) -> Reason:
    short = shortfalls(clause.text, clause.values) if clause.verdict == "false" else []
    known = [f"{name} = {shown(value)}" for name, value in clause.values.items() if name != clause.text]
    values = ", ".join([*_nulls(clause), *known])
    why = values
    if clause.verdict == "false":
        told = ", and ".join(dict.fromkeys(one.sentence for one in short))
        why = told or f"`{clause.text}` is false" + (f" ({values})" if values else "")
    elif clause.verdict == "unknown":
        why = _unknown(clause, decision, values)
    return Reason(
        text=_line(clause.text),
        verdict=clause.verdict,
        why=_line(why),
        values=clause.values,
        shortfalls=tuple(short),
    )


def _nulls(clause: Clause) -> list[str]:
    """The parameters that it asks about and that are null, which a Decision leaves out."""
    asked = [one or other for one, other in _NULL.findall(clause.text)]
    given = [name for name in dict.fromkeys(asked) if name not in clause.values]
    return [f"{name} = null" for name in given if clause.verdict != "unknown"]


def _unknown(clause: Clause, decision: Decision, values: str) -> str:
    """What kept a clause from an answer: what the engine says of it, else what it wanted and did not get."""
    begin = f"clause `{clause.text}` is unknown ("
    if decision.reason.startswith(begin):
        return f"`{clause.text}` is unknown ({decision.reason[len(begin) : -1]})"
    cut = [path[: path.index("[]")] if "[]" in path else path for path in read(clause.text).paths]
    missing = [name for name in dict.fromkeys(map(dotted, cut)) if name not in clause.values]
    details = [f"{name} is not known" for name in missing] or ([values] if values else [])
    return f"`{clause.text}` is unknown" + (f" ({', '.join(details)})" if details else "")


def _legs(decision: Decision, cause: Sequence[Hop], at: int, node: str) -> tuple[Leg, ...]:
    """Where the evidence grew old: until each message on its way was sent, and until the evaluation."""
    hops = [hop for hop in cause if hop.stamp == decision.stamp and decision.stamp <= hop.sent <= at]
    moments = [(hop.topic, hop.sent) for hop in hops if not hop.is_timer] + ([(node, at)] if hops else [])
    before, legs = decision.stamp, []
    for topic, moment in moments:
        legs.append(Leg(topic=topic, took=(moment - before) / 1e9, age=(moment - decision.stamp) / 1e9))
        before = moment
    return tuple(legs)


def _consequences(
    decision: Decision,
    deliveries: Sequence[Envelope[Delivery]],
    states: Sequence[tuple[str, Envelope[LockState]]],
    at: int,
) -> list[Consequence]:
    """What came of the commands: who has them, and then what locks did."""
    told = sorted((one.sent, one.body.to or "a node", _answer(one.body)) for one in deliveries)
    told += sorted((one.sent, topic, f"{one.body.state} ({one.body.reason})") for topic, one in states)
    return [
        Consequence(
            who=who,
            what=_line(f"{what} after {duration((sent - at) / 1e9)}"),
            after=(sent - at) / 1e9,
            age=(sent - decision.stamp) / 1e9,
        )
        for sent, who, what in told
    ]


def _line(text: str) -> str:
    """In one line, fit for anybody's terminal: a message can hold any character."""
    return printable(" ".join(text.split()))


def _answer(delivery: Delivery) -> str:
    if delivery.outcome == "taken":
        return "acknowledged the command"
    return f"did not get the command: {delivery.reason}"


def duration(seconds: float) -> str:
    """A length of time as a person reads it: 0.4 ms, 31 ms, 2.5 s, 3 min."""
    size = abs(seconds)
    if size < 0.9995:
        return f"{seconds * 1e3:.1f} ms" if size < 0.00995 else f"{seconds * 1e3:.0f} ms"
    if size < 120:
        return f"{seconds:.1f} s" if size < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if size < 7200 else f"{seconds / 3600:.1f} h"
