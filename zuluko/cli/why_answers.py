"""The answers of ``zuluko why``."""

import json
import sys
from collections.abc import Sequence
from typing import NoReturn

from zuluko.actions.explanation import duration
from zuluko.actions.trails import Run, Trail, Trails, runs
from zuluko.cli import why_told
from zuluko.cli.moment import Moment, clock_time, moment
from zuluko.cli.which import refuse
from zuluko.document import nearest
from zuluko.launch.recall import Memory, Recall

NEAR = 1_000_000_000  # ns from the moment that was asked for, within which a decision is an answer
SILENT = 2_000_000_000  # ns without an evaluation, after which it is asked what has fallen silent
PATIENCE = 0.5  # s between two looks at whether the graph still runs
AWAITED = 16  # firings of which it is still told what becomes of them

Rule = tuple[str, str]  # its node and its name


class Answers:
    """What a memory of decisions has to say of its rules."""

    def __init__(self, memory: Memory, *, as_json: bool) -> None:
        self._memory = memory
        self._as_json = as_json
        self._trails = Trails(memory.told())

    def _refuse(self, what: object) -> NoReturn:
        refuse(what, self._as_json)

    # -- which rule

    def _known(self) -> list[Rule]:
        """Each rule, those before that were never evaluated."""
        declared = [(node.name, rule.name) for node in self._memory.nodes for rule in node.rules]
        return list(dict.fromkeys([*declared, *self._trails.rules]))

    def _find(self, wanted: str) -> Rule:
        """The rule that a person means; exits with a sentence where there is none, or no telling."""
        known = self._known()
        fitting = [one for one in known if wanted in (one[1], ".".join(one), "/".join(one))]
        if len(fitting) > 1:
            self._refuse(
                f"several nodes have a rule `{wanted}`; write one of: {', '.join(map('.'.join, fitting))}"
            )
        if not fitting:
            names = sorted({rule for _, rule in known})
            self._refuse(f"no rule `{wanted}`{nearest(wanted, names) or '; there are: ' + ', '.join(names)}")
        return fitting[0]

    def _decisions(self, rule: Rule) -> list[Trail]:
        """All that is remembered of a rule; exits with a sentence where that is nothing."""
        return self._trails.of(*rule) or self._refuse(self._never(rule))

    # -- the answers

    def all(self) -> None:
        """The last outcome of each rule, a line each."""
        for rule in self._known():
            line = self._trails.of(*rule)
            if line and self._as_json:
                self._print_json(runs(line)[-1], line[-1])
            elif line:
                explained = self._trails.explain(line[-1])
                print(why_told.summary(explained, _last_fired(line[:-1]), self._memory.now()))
            elif self._as_json:
                print(
                    json.dumps({"node": rule[0], "rule": rule[1], "outcome": None, "why": self._never(rule)})
                )
            else:
                print(self._never(rule))

    def last(self, wanted: str, count: int) -> None:
        """The last outcome as a tree, or the last several as a line each."""
        rule = self._find(wanted)
        line = self._decisions(rule)
        found = runs(line)[-max(1, count) :]
        if count > 1 or self._as_json:
            self._print_lines(found)
            return
        last = line[-1]
        more = [*self._evidence(last), *self._silence(rule, last)]
        if not last.fired:
            more += why_told.fired_before(self._trails, _last_fired(line), self._memory.now())
        self._print_tree(found[-1], last, more)

    def at(self, wanted: str, text: str) -> None:
        """The decision nearest to a moment; of those within a minute or a second, a firing first of all.
        Raises ValueError for what is no time."""
        asked = moment(text, self._memory.now())
        rule = self._find(wanted)
        line = self._decisions(rule)
        within = [trail for trail in line if asked.start <= trail.at < asked.end]
        fired = (trail for trail in within if trail.fired)
        chosen = next(fired, within[0] if within else self._trails.nearest(*rule, asked.start))
        assert chosen
        self._check_remembered(rule, chosen, asked)
        run = next(run for run in runs(line) if chosen in run.trails)
        if self._as_json:
            self._print_json(run, chosen)
            return
        self._print_tree(run, chosen, self._evidence(chosen))
        if len(others := runs(within)) > 1:
            print(f"\nall of {text}:")
            self._print_lines(others)

    def follow(self, wanted: str, recall: Recall) -> None:
        """Each outcome as it begins, and what comes of each firing; until the graph ends."""
        only = self._find(wanted) if wanted else None
        ends: dict[Rule, Run] = {}
        awaited: list[tuple[Trail, int]] = []
        while recall.wait(PATIENCE):
            for topic, envelope in recall.told():
                trail = self._trails.hear(topic, envelope)
                if trail and only in (None, trail.rule) and self._is_new(trail, ends):
                    awaited.append((trail, self._print_begun(trail)))
            awaited = [(trail, self._print_since(trail, told)) for trail, told in awaited if trail.fired]
            awaited = awaited[-AWAITED:]

    # -- how they are told

    def _is_new(self, trail: Trail, ends: dict[Rule, Run]) -> bool:
        """Whether a rule's outcome is another than it was."""
        if trail.rule in ends and ends[trail.rule].takes(trail):
            return False
        ends[trail.rule] = Run([trail])
        return True

    def _print_begun(self, trail: Trail) -> int:
        """A new outcome; how much is known by now of what came of it."""
        explained = self._trails.explain(trail)
        if self._as_json:
            self._print_json(Run([trail]), trail)
        else:
            print(f"{explained.rule} {why_told.sentence(explained, self._memory.now())}", flush=True)
        return len(explained.consequences)

    def _print_since(self, trail: Trail, told: int) -> int:
        """What has become known since of a firing; how much has been told by now."""
        consequences = self._trails.explain(trail).consequences
        for one in () if self._as_json else consequences[told:]:
            print(f"  {one.who}: {one.what}", flush=True)
        return len(consequences)

    def _print_tree(self, run: Run, chosen: Trail, more: Sequence[str]) -> None:
        explained = self._trails.explain(chosen)
        lines = why_told.tree(run, explained, self._memory.now(), ago=self._memory.live, more=more)
        print("\n".join(lines))

    def _print_lines(self, found: Sequence[Run]) -> None:
        for run in found:
            if self._as_json:
                self._print_json(run, run.last)
            else:
                print(why_told.line(run, self._trails.explain(run.last), self._memory.now()))

    def _print_json(self, run: Run, chosen: Trail) -> None:
        print(why_told.as_json(run, self._trails.explain(chosen)), flush=True)

    # -- what else there is to say

    def _evidence(self, trail: Trail) -> list[str]:
        """The message that was evaluated, while it can still be read."""
        topic, seq = trail.decision.topic, trail.decision.seq
        body = self._memory.message(topic, seq, trail.sent) if self._memory.knows(topic) else None
        return why_told.evidence(self._trails.explain(trail), body)

    def _silence(self, rule: Rule, trail: Trail) -> list[str]:
        """What has fallen silent, where nothing has been evaluated for some time: the first on the way from
        the sensor."""
        now = self._memory.now()
        if not self._memory.live or now - trail.sent < SILENT:
            return []
        topics = dict.fromkeys([*(hop.topic for hop in trail.cause), trail.decision.topic])
        for topic in filter(self._memory.knows, topics):
            sent = self._memory.last_sent(topic)
            if sent is None or sent <= trail.sent:
                ago = (
                    f"has come on {topic} for {duration((now - sent) / 1e9)}" if sent else f"comes on {topic}"
                )
                return [f"it has not been evaluated since, for nothing {ago}"]
        return [f"it has not been evaluated since; zuluko top shows how {rule[0]} fares"]

    def _never(self, rule: Rule) -> str:
        """Why nothing is known of a rule."""
        node = next(node for node in self._memory.nodes if node.name == rule[0])
        when = next((one.when for one in node.rules if one.name == rule[1]), ())
        what = f"{rule[1]} has not been evaluated"
        if node.state not in ("ready", "degraded"):
            why = f", {node.reason}" if node.reason else ""
            return f"{what}: {node.name} is {node.state or 'not started'}{why}"
        silent = [
            topic for topic in when if self._memory.knows(topic) and self._memory.last_sent(topic) is None
        ]
        if silent:
            return f"{what}: nothing has come on {', '.join(silent)}"
        return f"{what} for as long as memory reaches back; zuluko why --follow tells when it is"

    def _check_remembered(self, rule: Rule, chosen: Trail, asked: Moment) -> None:
        """Says so where the answer is about another moment; exits where the moment is forgotten."""
        if asked.start - NEAR <= chosen.at <= asked.end + NEAR:
            return
        now, line = self._memory.now(), self._trails.of(*rule)
        oldest = next((trail for trail in line if not trail.fired), chosen)
        if self._memory.live and asked.start < oldest.at and self._forgets(rule[0]):
            kept = (
                f"{clock_time(asked.start, now)} is no longer in memory: of {rule[1]} it holds what was since"
            )
            kept += f" {clock_time(oldest.at, now)} ({duration((now - oldest.at) / 1e9)} ago)"
            if fired := _last_fired([trail for trail in line if trail.at < oldest.at]):
                kept += f", and of before when it fired, last at {clock_time(fired.at, now)}"
            self._refuse(f"{kept}; to keep more from now on: zuluko record why.mcap {rule[0]}")
        away = (chosen.at - asked.start) / 1e9
        words = f"{duration(abs(away))} {'later' if away > 0 else 'earlier'}"
        what = f"{rule[1]} was not evaluated at {clock_time(asked.start, now)}; the nearest is {words}"
        print(what, file=sys.stderr)

    def _forgets(self, node: str) -> bool:
        """Whether a node has decided more than is remembered."""
        kept = [
            trail.seq for rule in self._trails.rules if rule[0] == node for trail in self._trails.of(*rule)
        ]
        return min(kept, default=0) > 0


def _last_fired(trails: Sequence[Trail]) -> Trail | None:
    return next((trail for trail in reversed(trails) if trail.fired), None)
