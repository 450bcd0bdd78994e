"""The rules node: hands messages and time to the engine, and publishes what it says."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from zuluko.actions.engine import Engine, Step
from zuluko.actions.evaluation import Event
from zuluko.actions.ledger import Ledger
from zuluko.actions.rulefile import RuleSet
from zuluko.actions.rulesource import LOOK, RuleSource
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Stream
from zuluko.messages import Decision

NEVER = 1 << 63  # ns


def rules(
    events: Stream[Message],
    levels: Mapping[str, Latest[Any]],
    *,
    ruleset: RuleSet,
    source: RuleSource | None = None,
) -> Iterator[Decision | Command]:
    """Yields a Decision for each evaluation, followed by the commands that it gave.

    ``events`` merges the topics that trigger (``ruleset.triggers``), ``levels`` holds by topic the latest of
    those that clauses read besides. A command's ``to`` is the actuator's node. ``source`` is looked at for
    new rules once a second.
    """
    engine = Engine(ruleset.rules, name=ruleset.name, zone=ruleset.zone)
    names = ruleset.names
    only = next(iter(ruleset.triggers), "")  # what a stream over a list, which names no topic, must be
    levels = {names.get(topic, topic): level for topic, level in levels.items()}
    return run(engine, events, levels, lambda topic: names.get(topic, topic) or only, source)


def run(
    engine: Engine,
    events: Stream[Message],
    levels: Mapping[str, Latest[Any]],
    called: Callable[[str], str],
    source: RuleSource | None = None,
) -> Iterator[Decision | Command]:
    """What an engine says to the messages of a stream, and to time; ``called`` gives what its rules call a
    topic."""
    topics: dict[str, str] = {}
    look = events.now if source else NEVER  # a node that was restarted looks at once
    ledger = Ledger() if engine.keeps else None
    resumed = engine.resume(ledger.read(), events.now) if ledger else []
    step = engine.step(events.now, None, levels) if events.now else Step([], None)  # a list has no now yet
    yield from resumed
    while True:
        if ledger:
            ledger.write(
                engine.pending()
            )  # before the commands are given, so that what ends them is not lost
        yield from (_in_graph(one, topics) for one in step.said) if topics else step.said
        if events.ended:
            return
        if source and events.now >= look:
            look = events.now + round(LOOK * 1e9)
            if found := source.edited():
                engine.take(found.rules, zone=found.zone)
        due = look if step.deadline is None else min(look, step.deadline)
        message = events.next(timeout=None if due == NEVER else max(0.0, (due - events.now) / 1e9))
        name = called(events.topic)
        if events.topic not in ("", name):
            topics[name] = events.topic
        event = Event(name, events.seq, message) if message is not None else None
        step = engine.step(events.now, event, levels)


def _in_graph(said: Decision | Command, topics: Mapping[str, str]) -> Decision | Command:
    """A Decision with the graph's name for its topic."""
    if isinstance(said, Decision):
        return msgspec.structs.replace(said, topic=topics.get(said.topic, said.topic))
    return said
