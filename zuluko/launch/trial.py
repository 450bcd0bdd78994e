"""A trial: what rules would have decided over a recorded log, by the log's time; and beside it what the log
says was decided."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from zuluko.actions.acts import Act, Acts
from zuluko.actions.rule import Condition
from zuluko.actions.trails import Trail
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogError
from zuluko.bus.message import Command
from zuluko.bus.versions import fitting
from zuluko.bus.wire import Decoder, Envelope
from zuluko.document import nearest, printable
from zuluko.launch.chain import Link
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.leaks import Leak
from zuluko.launch.lockstep import Lockstep
from zuluko.launch.replayed import RUN
from zuluko.launch.signature import Signature
from zuluko.launch.trial_rules import Named, TrialError, find, silent
from zuluko.log import entries, known_types
from zuluko.messages import Decision
from zuluko.nodes.player import OLDEST, Timeline, player

Labels = Mapping[Named, str]  # what rules are called

_LOG = "(the log)"  # the node that stands in for all others; no launch file can call one so


class Tried:
    """Rules and what they said over one log.

    ``rules``           each by its node and its name
    ``start``, ``end``  of the log, in ns of its time
    """

    rules: list[Named]

    def __init__(self, log: Path, reader: LogReader) -> None:
        if not reader.contents.places:
            raise TrialError(f"{log} holds no message")
        self.log = log
        self.start, self.end = reader.span

    def labels(self, wanted: str = "") -> Labels:
        """What each rule is called: its name, and where several nodes have a rule of that name ``node.rule``;
        of a ``wanted`` one only that. Raises TrialError where there is none of that name, or several."""
        names = [name for _, name in self.rules]
        found = {
            (node, name): printable(name if names.count(name) == 1 else f"{node}.{name}")
            for node, name in self.rules
        }
        fitting = {pair: label for pair, label in found.items() if wanted in (label, ".".join(pair))}
        if wanted and not fitting:
            hint = nearest(wanted, found.values()) or f"; there are: {', '.join(found.values()) or 'none'}"
            raise TrialError(f"no rule `{wanted}`{hint}")
        return fitting or found

    def follow(
        self, labels: Labels, hear: Callable[[Trail], None] | None = None, *, out: Path | None = None
    ) -> list[Act]:
        """What these rules did, from the log's beginning to its end; ``hear`` is told each trail, and ``out``
        is a log to write what is said into.

        Raises LogError, and LockstepError for a rule in Python that fails.
        """
        acts = Acts()

        def listen(topic: str, envelope: Envelope[Any]) -> None:
            trail = acts.hear(topic, envelope)
            if trail and hear and trail.rule in labels:
                hear(trail)

        self._tell(listen, out)
        return [act for act in acts.done if act.trail.rule in labels]

    def _tell(self, hear: Callable[[str, Envelope[Any]], None], out: Path | None) -> None:
        raise NotImplementedError


class Trial(Tried):
    """Rules that are run over a log. They are asked and not obeyed: what they read is what was recorded.

    ``rules``, ``sets``, ``types`` and ``rule`` are as ``trial_rules.find`` takes them. ``silent`` are the
    topics that the rules hear and the log has nothing on; ``leaks``, after a run, what got into a rule in
    Python from elsewhere. Raises TrialError, DocumentError and LogError.
    """

    def __init__(
        self,
        rules: str,
        log: Path,
        *,
        sets: Mapping[str, str] | None = None,
        types: Iterable[str] = (),
        rule: str = "",
    ) -> None:
        with LogReader(log) as reader:
            super().__init__(log, reader)
            self._entries, self.rules = find(rules, reader, sets or {}, types, rule)
            self.silent = silent(self._entries, reader)
            heard = (topic for entry in self._entries for wire in entry.wires for topic in wire.topics)
            self._kinds = {topic.name: topic.kind for topic in heard if topic.name in reader.topics}
        self._given = rules
        self.leaks: list[Leak] = []

    def count(self, wraps: Mapping[Named, Callable[[Any], Condition]]) -> set[Named]:
        """Puts another condition, made of its own, in the place of that of each rule that is in a file; gives
        those rules."""
        found: set[Named] = set()
        for entry in self._entries:
            if ruleset := entry.options.get("ruleset"):
                own = {(entry.name, rule.name): rule for rule in ruleset.rules}
                rules = [
                    replace(rule, condition=wraps[pair](rule.condition)) if pair in wraps else rule
                    for pair, rule in own.items()
                ]
                entry.options["ruleset"] = replace(ruleset, rules=tuple(rules))
                found |= own.keys()
        return found

    def _tell(self, hear: Callable[[str, Envelope[Any]], None], out: Path | None) -> None:
        options = {"log": self.log, "kinds": self._kinds, "timeline": Timeline(self.start, self.end)}
        nodes = {_LOG: Entry(_LOG, RUN, player, Signature(), options=options)}
        nodes |= {entry.name: entry for entry in self._entries}
        decoders = {topic.name: Decoder(topic.kind) for entry in self._entries for topic in entry.outputs}

        def follow(link: Link, data: bytes) -> None:
            hear(link.topic, decoders[link.topic](data))

        run = Lockstep(Graph("trial", self._given, nodes, {}), out, follow=follow, alone=True)
        with _on_one_core():
            run.run()
        self.leaks = run.leaks


class Recorded(Tried):
    """What a log says was decided. Raises TrialError and LogError."""

    def __init__(self, log: Path) -> None:
        known = known_types()
        with LogReader(log) as reader:
            super().__init__(log, reader)
            kinds = {topic: fitting(known, reader.type_of(topic)) for topic in reader.topics}
        self._kinds = {
            topic: kind for topic, kind in kinds.items() if kind and issubclass(kind, (Decision, Command))
        }
        if Decision not in self._kinds.values():
            what = f"{log} has no decisions; record the rules node, too"
            raise TrialError(f"{what}, or name the rules to run over it")
        deciding = {topic: kind for topic, kind in self._kinds.items() if kind is Decision}
        found = dict.fromkeys(
            (entry.topic.removesuffix(".decision"), entry.envelope.body.rule)
            for entry in entries(LogReader(log), deciding)
        )
        self.rules = list(found)

    def _tell(self, hear: Callable[[str, Envelope[Any]], None], out: Path | None) -> None:
        for entry in entries(LogReader(self.log), self._kinds):
            body = entry.envelope.body
            if isinstance(body, Decision) and not self._is_of_its_time(body):
                what = f"{self.log}: a decision of {printable(body.rule)} is of another time than the log"
                raise LogError(f"{what}; look at it with: zuluko log cat {self.log} --topic {entry.topic}")
            hear(entry.topic, entry.envelope)

    def _is_of_its_time(self, decision: Decision) -> bool:
        """Whether it was made within an hour of the log: a log may come from anybody."""
        at = decision.stamp + decision.age * 1e9
        return self.start - OLDEST <= at <= self.end + OLDEST


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Only the node that has the baton runs: to hand it to another core is slow, and ten times slower where
    other programs want the cores, too."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
