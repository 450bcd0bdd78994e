"""The rule engine: events and time in; decisions, commands and the next deadline out.

It is a pure state machine: no I/O, no clock, no randomness, so that the same events give the same decisions
on every run. What it does, precisely (``docs/rules.md`` says it to users):

* Each message of a rule's ``when`` topic is one **evaluation**, at graph time ``now``. Its **evidence** is
  the message, known by its stamp. Other topics are read as they stand (levels) and evaluate nothing.
* An evaluation is true when each clause is true. A level that was never heard, or is older than its limit,
  makes what reads it **unknown**, and so does evidence older than ``max_age``. Unknown is not true.
* With ``any``, evaluations are counted **for each name** among the items (all that is below), so that two
  people in turn never add up to one; items without a field ``name`` count together.
* The **smoothed** condition is true while at least ``seen`` of the last ``of`` evaluations were true.
  Messages of one stamp are one piece of evidence and share one place among them: the last counts. Evidence
  from more than ``of`` times ``max_age`` before the newest has no place among them any more.
* The rule **fires** at an evaluation that is itself true, when the smoothed condition has been true for
  ``hold``, counted from the evaluation at which it became so. When ``hold`` or ``cooldown`` ends between
  messages, the last message is evaluated once more at that moment, against the levels as they are then; one
  that is merely too old by then does not act, and what it said when it came stands.
* If no message comes for longer than ``max_age``, ``hold`` starts again.
* It fires once for each time that the smoothed condition becomes true, and is armed again when that is no
  longer true, or when it is still true ``again`` seconds after the firing: a command may be lost.
  ``cooldown`` is the rule's, whoever it fired for; an edge that falls into it waits for its end.
* After a silence longer than the trigger's ``stale`` limit (3 s, or ``max_age`` where that is longer)
  everything starts anew. At its start the engine takes each condition to have been false.
* A message whose stamp is before the last one's, or ahead of the clock, and a clock that has gone back,
  change nothing and never act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zuluko.actions.evaluation import Event, Look, Moment, Track
from zuluko.actions.rule import STALE, Action, Rule
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest
from zuluko.messages import Decision

Levels = Mapping[str, Latest[Any]]


@dataclass(frozen=True)
class Step:
    """What one step gave.

    ``said``      each Decision, followed by its commands
    ``deadline``  graph time (ns) at which a step is due even without a message, or None
    """

    said: list[Decision | Command]
    deadline: int | None


class Engine:
    """All rules of a file, run together; each keeps its own state. Ids of commands begin with ``name``."""

    def __init__(self, rules: Iterable[Rule], *, name: str = "") -> None:
        self._runs = [_Run(rule, f"{name}.{rule.name}" if name else rule.name) for rule in rules]
        self._now = 0

    def step(self, now: int, event: Event | None = None, levels: Levels | None = None) -> Step:
        """Evaluates what the event triggers, and what is due at ``now`` (graph time, ns)."""
        said: list[Decision | Command] = []
        for run in self._runs:
            if event and event.topic == run.rule.when:
                said += run.meet(now, event, levels or {}, back=self._now - now)
            elif run.last and run.deadline is not None and now >= max(run.deadline, self._now):
                said += run.evaluate(now, run.last, levels or {})
        self._now = max(self._now, now)
        return Step(said, min((run.deadline for run in self._runs if run.deadline is not None), default=None))


@dataclass
class _Run:
    """One rule and its state.

    ``source``        what the ids of its commands begin with
    ``last``, ``at``  the last message, and the graph time (ns) at which it came
    ``stamps``        those of the evaluations that count, the newest last
    ``cooled``        when the cooldown ends
    ``given``         how many commands were given on the last message
    """

    rule: Rule
    source: str
    tracks: dict[str, Track] = field(default_factory=dict)
    last: Event | None = None
    at: int = 0
    stamps: list[int] = field(default_factory=list)
    cooled: int = 0
    deadline: int | None = None
    given: int = 0

    def meet(self, now: int, event: Event, levels: Levels, *, back: int) -> list[Decision | Command]:
        """Evaluates a message, unless time says that it must not count."""
        ahead = event.message.stamp - now
        late = self.last.message.stamp - event.message.stamp if self.last else 0
        if back > 0:
            why = f"the clock went back by {back / 1e9:.3g} s; nothing is decided until it has caught up"
        elif ahead > 0:
            why = f"evidence is {ahead / 1e9:.3g} s ahead of the clock"
        elif late > 0:
            why = f"evidence is out of order, {late / 1e9:.3g} s before the last"
        else:
            return self.evaluate(now, event, levels)
        return [Moment(self.rule, now, event).refused(why)]

    def evaluate(self, now: int, event: Event, levels: Levels) -> list[Decision | Command]:
        """Evaluates a message, or the last one again."""
        again = self.last is not None and self.last.message.stamp == event.message.stamp
        if event is not self.last:
            self._lapse(now, event.message.stamp)
            self.last, self.at, self.given = event, now, 0
        self._place(event.message.stamp)
        moment = self._moment(now, event, levels)
        looks = [
            Look(name, item, self.rule.condition.evaluate(moment.inputs, item))
            for name, item in self._items(event.message)
        ]
        self._count({look.name for look in looks if look.true}, moment, again=again)
        said = self._fire(looks, moment) if moment.fresh else []
        dues = [track.due(self.rule, self.cooled) for track in self.tracks.values() if moment.fresh]
        self.deadline = min((due for due in dues if due is not None), default=None)
        return said or [moment.held(looks, self.tracks, self.cooled)]

    def _lapse(self, now: int, stamp: int) -> None:
        """Forgets what the silence before this message has made worthless."""
        if self.last is None:
            return
        silence = self.rule.stale.get(self.rule.when, max(STALE, self.rule.max_age))
        if (now - self.at) / 1e9 > silence:
            self.tracks.clear()
            self.stamps.clear()
        elif (now - self.at) / 1e9 > self.rule.max_age:
            for track in self.tracks.values():
                if track.begun is not None:
                    track.begun, track.since = now, stamp

    def _place(self, stamp: int) -> None:
        """Gives the evidence its place among those that count, and takes away what is too many or too old."""
        if not self.stamps or self.stamps[-1] != stamp:
            self.stamps.append(stamp)
        span = self.rule.of * self.rule.max_age
        self.stamps = [one for one in self.stamps[-self.rule.of :] if (stamp - one) / 1e9 <= span]

    def _moment(self, now: int, event: Event, levels: Levels) -> Moment:
        """Sorts the topics that the clauses read into known and missing."""
        moment = Moment(self.rule, now, event)
        for topic in self.rule.condition.topics:
            level = levels.get(topic)
            limit = self.rule.stale_after(topic)
            if topic == self.rule.when:
                moment.inputs[topic] = event.message
            elif level is None or level.value is None:
                moment.missing[topic] = f"{topic} has not been heard"
            elif abs(level.age) > limit:
                moment.missing[topic] = f"{topic} is {level.age:.3g} s old, at most {limit:g}"
            else:
                moment.inputs[topic] = level.value
        return moment

    def _items(self, message: Message) -> list[tuple[str, Any]]:
        """The items of an ``any`` list, each with the name that it counts under."""
        if not self.rule.any:
            return [("", None)]
        named = [(getattr(item, "name", ""), item) for item in getattr(message, self.rule.any)]
        return [(name if isinstance(name, str) else "", item) for name, item in named]

    def _count(self, true: set[str], moment: Moment, *, again: bool) -> None:
        """Counts for each name; of evidence looked at again, that it has grown old changes nothing."""
        stands = true if again and not moment.fresh else set()
        true = true if moment.fresh else set()
        for name in sorted(true - self.tracks.keys()):
            self.tracks[name] = Track()
        stamp, places = moment.event.message.stamp, len(self.stamps)
        for name, track in self.tracks.items():
            if name not in stands:
                track.add(
                    name in true, again=again, rule=self.rule, places=places, now=moment.now, stamp=stamp
                )
        self.tracks = {name: track for name, track in self.tracks.items() if track.history}

    def _fire(self, looks: list[Look], moment: Moment) -> list[Decision | Command]:
        """The Decisions and commands for each name that is due."""
        said: list[Decision | Command] = []
        for look in looks:
            track = self.tracks.get(look.name) if look.true else None
            due = track.due(self.rule, self.cooled) if track else None
            if track is None or due is None or due > moment.now:
                continue
            track.fired = moment.now
            self.cooled = moment.now + round(self.rule.cooldown * 1e9)
            commands = [self._command(action, moment.event) for action in self.rule.do]
            said += [moment.fired(look, track, commands[0].id if commands else ""), *commands]
        return said

    def _command(self, action: Action, event: Event) -> Command:
        """Its id says who gives it on which evidence, so that a node started anew gives the same id for the
        same evidence (and it is executed once), and never one that another node or other evidence had."""
        self.given += 1
        stamp = event.message.stamp
        return action.command(id=f"{self.source}-{stamp}-{event.seq}-{self.given}", stamp=stamp)
