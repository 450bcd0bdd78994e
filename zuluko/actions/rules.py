"""The rules node: hands messages and time to the engine, and publishes what it says."""

from collections.abc import Iterator, Mapping
from typing import Any

from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.rulefile import RuleSet
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Stream
from zuluko.messages import Decision


def rules(
    events: Stream[Message], levels: Mapping[str, Latest[Any]], *, ruleset: RuleSet
) -> Iterator[Decision | Command]:
    """Yields a Decision for each evaluation, followed by the commands that it gave.

    ``events`` merges the topics that trigger (``ruleset.triggers``), ``levels`` holds by topic the latest of
    those that clauses read besides. A command's ``to`` is the actuator's node.
    """
    engine = Engine(ruleset.rules, name=ruleset.name)
    only = ruleset.triggers[0]  # what a stream over a list, which names no topic, must be
    deadline: int | None = None
    while not events.ended:
        message = events.next(timeout=None if deadline is None else max(0.0, (deadline - events.now) / 1e9))
        event = Event(events.topic or only, events.seq, message) if message is not None else None
        step = engine.step(events.now, event, levels)
        deadline = step.deadline
        yield from step.said
