"""Acts: what rules do, gathered from what they say: each firing, and each end of one, with its commands."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from zuluko.actions.comparison import shown
from zuluko.actions.explanation import duration
from zuluko.actions.trails import Trail, Trails
from zuluko.bus.message import Command, tag
from zuluko.bus.wire import Envelope
from zuluko.document import printable
from zuluko.messages import Decision

SOON = 0.02  # s after the evaluation, up to which a command is one that was given at once
EQUAL = 0.001  # s between two delays that are the same
_OF_THE_CASE = ("type", "id", "to", "stamp", "reason")  # what else a command holds than what is to be done


@dataclass
class Act:
    """A firing, or the end of what had fired; ``given`` are its commands, each after so many seconds."""

    trail: Trail
    given: list[tuple[float, Command]] = field(default_factory=list)

    @property
    def at(self) -> int:
        """Graph time (ns) of the evaluation."""
        return self.trail.at

    @property
    def outcome(self) -> str:
        return self.trail.decision.outcome

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The commands as plain maps, ``after`` so many seconds, without what is of this case only."""
        return [
            {"to": one.to, "type": tag(type(one)), "after": round(after, 3), "fields": _fields(one)}
            for after, one in self.given
        ]

    def gives_as(self, other: "Act", apart: float) -> bool:
        """Whether both give the same commands, each at the same time to within so many seconds. One that
        names no node is for whoever listens; why it was given is no part of it."""
        pairs = list(zip(self.given, other.given, strict=False))
        return len(pairs) == len(self.given) == len(other.given) and all(
            type(one) is type(two)
            and (one.to == two.to or not (one.to and two.to))
            and _fields(one) == _fields(two)
            and abs(after - later) <= apart + EQUAL
            for (after, one), (later, two) in pairs
        )

    @property
    def orders(self) -> list[str]:
        """The commands in words: ``lock: open_for 3``, ``after 0.5 s horn: times 2``."""
        found = []
        for one in self.commands:
            fields = [f"{key} {shown(value)}" for key, value in one["fields"].items()]
            when = f"after {duration(one['after'])} " if one["after"] >= SOON else ""
            whom = printable(one["to"]) or "whoever listens"
            found.append(f"{when}{whom}: {', '.join(fields) or one['type']}")
        return found


class Acts:
    """Takes Decisions and commands as they are said (``hear``); ``done`` are the acts so far."""

    def __init__(self) -> None:
        self.done: list[Act] = []
        self._trails = Trails(most=1)
        self._open: dict[str, list[Act]] = {}  # by what the ids of their commands begin with

    def hear(self, topic: str, envelope: Envelope[Any]) -> Trail | None:
        """The trail that begins with a Decision."""
        if isinstance(envelope.body, Command):
            self._give(envelope)
        if not isinstance(envelope.body, Decision):
            return None
        trail = self._trails.hear(topic, envelope)
        if trail and trail.decision.outcome in ("fired", "ended"):
            act = Act(trail)
            self.done.append(act)
            if trail.decision.command:
                self._open.setdefault(_parted(trail.decision.command)[0], []).append(act)
        return trail

    def _give(self, envelope: Envelope[Command]) -> None:
        """A command is its that began last among those whose first has no higher number."""
        case, number = _parted(envelope.body.id)
        for act in reversed(self._open.get(case, [])):
            if _parted(act.trail.decision.command)[1] <= number:
                act.given.append(((envelope.sent - act.trail.sent) / 1e9, envelope.body))
                return


def _parted(id: str) -> tuple[str, int]:
    """What the ids of all commands on one piece of evidence have in common, and which of them it is."""
    case, _, number = id.rpartition("-")
    return (case, int(number)) if number.isdecimal() else (id, 0)


def _fields(command: Command) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(command)
    return {key: value for key, value in told.items() if key not in _OF_THE_CASE}
