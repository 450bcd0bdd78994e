"""A rule: when to look, what must hold, for how long, and what to do then."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from zuluko.bus.message import Command, Message
from zuluko.messages import Clause, Verdict

STALE = 3.0  # seconds after which a topic that says nothing is unknown


class Condition(Protocol):
    """What must hold: the clauses of a YAML rule, or anything else that gives verdicts."""

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it reads."""

    def evaluate(self, inputs: Mapping[str, Message], item: Any = None) -> tuple[Verdict, ...]:
        """A verdict for each clause; ``inputs`` holds the last message of each topic that is known."""

    def explain(
        self, verdicts: tuple[Verdict, ...], inputs: Mapping[str, Message], item: Any = None
    ) -> tuple[Clause, ...]:
        """The same with the values that were read, as a Decision tells them."""

    def topics_of(self, number: int) -> frozenset[str]:
        """The topics that one clause reads."""


@dataclass(frozen=True)
class Action:
    """A command for an actuator: its type and fields, all but ``id``, ``to`` and ``stamp``."""

    actuator: str
    kind: type[Command]
    fields: Mapping[str, Any] = field(default_factory=dict)

    def command(self, *, id: str, stamp: int) -> Command:
        return self.kind(**self.fields, id=id, to=self.actuator, stamp=stamp)


@dataclass(frozen=True)
class Rule:
    """A rule as the engine runs it; ``docs/rules.md`` says precisely what each part means.

    ``when``      the topic whose messages make an evaluation
    ``any``       the list field of which some item must pass, or empty
    ``seen``      how many of the last ``of`` evaluations must be true
    ``hold``      for how long it must stay so, in seconds
    ``max_age``   the age, in seconds, beyond which evidence never acts
    ``cooldown``  seconds after a firing in which there is no other
    ``again``     seconds after a firing at which, still true, it fires once more; infinite: never
    ``stale``     by topic, seconds after which what it last said is unknown, where it is not 3
    """

    name: str
    when: str
    condition: Condition
    any: str = ""
    seen: int = 1
    of: int = 1
    hold: float = 0.0
    max_age: float = math.inf
    cooldown: float = 0.0
    again: float = math.inf
    stale: Mapping[str, float] = field(default_factory=dict)
    do: tuple[Action, ...] = ()

    def stale_after(self, topic: str) -> float:
        return self.stale.get(topic, STALE)
