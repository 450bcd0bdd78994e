"""The rules node: hands messages and time to the engine, and publishes what it says."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from zuluko.actions.engine import Engine, Step
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
    engine = Engine(ruleset.rules, name=ruleset.name, zone=ruleset.zone)
    names = ruleset.names
    levels = {names.get(topic, topic): level for topic, level in levels.items()}
    topics = {name: topic for topic, name in names.items()}
    only = next(iter(ruleset.triggers), "")  # what a stream over a list, which names no topic, must be
    first = engine.step(events.now, None, levels) if events.now else Step([], None)  # a list has no now yet
    yield from (_in_graph(one, topics) for one in first.said)
    deadline = first.deadline
    while not events.ended:
        message = events.next(timeout=None if deadline is None else max(0.0, (deadline - events.now) / 1e9))
        topic = events.topic or only
        event = Event(names.get(topic, topic), events.seq, message) if message is not None else None
        step = engine.step(events.now, event, levels)
        deadline = step.deadline
        yield from (_in_graph(one, topics) for one in step.said) if topics else step.said


def _in_graph(said: Decision | Command, topics: Mapping[str, str]) -> Decision | Command:
    """A Decision with the graph's name for its topic."""
    if isinstance(said, Decision):
        return msgspec.structs.replace(said, topic=topics.get(said.topic, said.topic))
    return said
