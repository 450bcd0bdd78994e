"""A rule: when to look, what must hold, for how long, and what to do then."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from zuluko.actions.calls import Memory, Situation
from zuluko.bus.message import Command
from zuluko.document import seconds
from zuluko.messages import Clause, Verdict

STALE = 3.0  # seconds after which a topic that says nothing is unknown
START = "start"  # the trigger that is the node's start
EVERY = "every "  # what the trigger of a timer begins with

Mode = Literal["single", "restart", "queued", "parallel"]
OnRestart = Literal["cancel", "resume", "restart"]
Give = Callable[[Mapping[str, Any], Any], Command | None]


class Condition(Protocol):
    """What must hold: the clauses of a YAML rule, or anything else that gives verdicts."""

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it reads."""

    def recall(self, memory: Memory, inputs: Mapping[str, Any], now: Situation) -> Mapping[str, Any]:
        """What it asks beyond messages, as further inputs; ``memory`` is the rule's, to keep it in."""

    def evaluate(self, inputs: Mapping[str, Any], item: Any = None) -> tuple[Verdict, ...]:
        """A verdict for each clause; ``inputs`` holds the last message of each topic that is known."""

    def explain(
        self, verdicts: tuple[Verdict, ...], inputs: Mapping[str, Any], item: Any = None
    ) -> tuple[Clause, ...]:
        """The same with the values that were read, as a Decision tells them."""

    def topics_of(self, number: int) -> frozenset[str]:
        """The topics that one clause reads."""


@dataclass(frozen=True)
class Action:
    """A command for an actuator: its type and fields, all but ``id``, ``to`` and ``stamp``; ``delay`` is how
    long after the firing it is given, in seconds, or after the gate before its ``stage``."""

    actuator: str
    kind: type[Command]
    fields: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    stage: int = 0

    def command(self, *, id: str, stamp: int) -> Command:
        return self.kind(**self.fields, id=id, to=self.actuator, stamp=stamp)


@dataclass(frozen=True)
class Gate:
    """What must become true ``within`` so many seconds before the next commands of ``do`` are given."""

    condition: Condition
    within: float


@dataclass(frozen=True)
class Rule:
    """A rule as the engine runs it; ``docs/rules.md`` says precisely what each part means.

    ``when``      the topic whose messages make an evaluation, ``every 10s`` or ``start``
    ``also``      further ones
    ``any``       the list field of which some item must pass, or empty
    ``all``       the list field of which each item must pass, or empty
    ``seen``      how many of the last ``of`` evaluations must be true
    ``hold``      for how long it must stay so, in seconds
    ``max_age``   the age, in seconds, beyond which evidence never acts
    ``cooldown``  seconds after a firing in which there is no other
    ``again``     seconds after a firing at which, still true, it fires once more; infinite: never
    ``stale``     by topic, seconds after which what it last said is unknown, where it is not 3
    ``silence``   where it is not 0, ``when`` is a topic that must say nothing for so many seconds
    ``do``        what it commands when it fires, ``else_do`` when it ends, ``on_failure`` when a command of
                  ``do`` has failed; ``give`` makes a command of what was read, for a rule written in Python
    ``gates``     what stands after each stage of ``do`` but the last
    ``reports``   the topics that tell what has become of commands
    ``mode``      what a firing does while commands of the last are still to come; ``most`` firings at a time
    ``on_restart``  what becomes of commands that are still to come when the node is started anew
    ``priority``  rules of a higher one are evaluated first
    ``blocks``    the rules that do not fire while this one stands
    """

    name: str
    when: str
    condition: Condition
    also: tuple[str, ...] = ()
    any: str = ""
    all: str = ""
    seen: int = 1
    of: int = 1
    hold: float = 0.0
    max_age: float = math.inf
    cooldown: float = 0.0
    again: float = math.inf
    stale: Mapping[str, float] = field(default_factory=dict)
    silence: float = 0.0
    do: tuple[Action, ...] = ()
    else_do: tuple[Action, ...] = ()
    on_failure: tuple[Action, ...] = ()
    gates: tuple[Gate, ...] = ()
    reports: tuple[str, ...] = ()
    give: Give | None = None
    mode: Mode = "single"
    most: int = 1
    on_restart: OnRestart = "cancel"
    priority: int = 0
    blocks: tuple[str, ...] = ()

    @cached_property
    def triggers(self) -> tuple[str, ...]:
        """The topics that trigger it."""
        return tuple(one for one in (self.when, *self.also) if one != START and not one.startswith(EVERY))

    @cached_property
    def periods(self) -> dict[str, int]:
        """The timers that trigger it, and how long each takes, in ns."""
        texts = [one for one in (self.when, *self.also) if one.startswith(EVERY)]
        return {text: round(seconds(text.removeprefix(EVERY).strip()) * 1e9) for text in texts}

    @property
    def at_start(self) -> bool:
        """Whether the node's start triggers it."""
        return START in (self.when, *self.also)

    def stale_after(self, topic: str) -> float:
        """The age, in seconds, beyond which what a level said is unknown. One that triggers as well is
        evidence, too; where no topic triggers all levels are, unless ``stale`` says otherwise."""
        if topic in self.triggers or (not self.triggers and topic not in self.stale):
            return min(self.stale.get(topic, STALE), self.max_age)
        return self.stale.get(topic, STALE)
