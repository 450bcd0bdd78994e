"""One rule of an engine and its state; what it does, precisely, stands in ``engine.py``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from zuluko.actions import failures
from zuluko.actions.calls import Memory, Situation
from zuluko.actions.evaluation import Event, Look, Moment, Track
from zuluko.actions.plan import Plan, Plans, Stage
from zuluko.actions.rule import STALE, START, Action, Condition, Gate, Rule
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Tick
from zuluko.messages import Decision, Verdict

Levels = Mapping[str, Latest[Any]]
Said = list[Decision | Command]

REMEMBERED = 64  # commands of one rule of which it may be told that they failed


@dataclass
class Run:
    """One rule and its state.

    ``source``        what the ids of its commands begin with
    ``last``, ``at``  what was evaluated last, and the graph time (ns) at which it came
    ``heard``         by topic, the last message that triggered
    ``stamps``        those of the evaluations that count, the newest last
    ``memory``        what its clauses remember
    ``cooled``        when the cooldown ends
    ``given``         how many commands were given on the last message
    ``begun``         whether its clocks have been wound up
    ``strikes``       by timer, when its next tick is due; of a silence, when it will have lasted long enough
    ``silent``        whether that silence lasts
    ``fired``         the graph time (ns) of the firing for which it stands, None while it does not stand
    ``plans``         the commands that are still to come
    ``given_ids``     the last commands of ``do``, of which it may be told that they failed, with their stamps
    """

    rule: Rule
    source: str
    zone: str
    blockers: list["Run"] = field(default_factory=list)
    tracks: dict[str, Track] = field(default_factory=dict)
    last: Event | None = None
    at: int = 0
    heard: dict[str, Event] = field(default_factory=dict)
    stamps: list[int] = field(default_factory=list)
    memory: Memory = field(default_factory=dict)
    cooled: int = 0
    deadline: int | None = None
    given: int = 0
    begun: bool = False
    strikes: dict[str, int] = field(default_factory=dict)
    silent: bool = False
    fired: int | None = None
    plans: Plans = field(default_factory=Plans)
    given_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_clock = bool(self.rule.periods or self.rule.at_start or self.rule.silence)
        self.several = len(self.rule.also) > 0
        self.limit = self._limit()

    # -- what makes it look

    def meet(self, now: int, event: Event, levels: Levels, *, back: int) -> Said:
        """Evaluates a message, unless time says that it must not count."""
        ahead = event.message.stamp - now
        last = self.heard.get(event.topic)
        late = last.message.stamp - event.message.stamp if last else 0
        if back > 0:
            why = f"the clock went back by {back / 1e9:.3g} s; nothing is decided until it has caught up"
        elif ahead > 0:
            why = f"evidence is {ahead / 1e9:.3g} s ahead of the clock"
        elif late > 0:
            why = f"evidence is out of order, {late / 1e9:.3g} s before the last"
        elif self.rule.silence:
            return self._hear(now, event, levels)
        else:
            return self.evaluate(now, event, levels, again=late == 0 and last is not None)
        return [Moment(self.rule, now, event).refused(why)]

    def look_again(self, now: int, levels: Levels) -> Said:
        """Evaluates what was evaluated last; a silence is evidence of the moment."""
        if self.rule.silence:
            return self.evaluate(now, self._silence(now), levels, again=False)
        return self.evaluate(now, self.last, levels, again=True) if self.last else []

    def strike(self, now: int, levels: Levels) -> Said:
        """Evaluates the ticks that are due."""
        said: Said = []
        if not self.begun:
            said += self._begin(now, levels)
        for text, due in self.strikes.items():
            if now < due:
                continue
            if self.rule.silence:
                self.silent = True
                self.strikes[text] = now + round(self.rule.silence * 1e9)
                said += self.evaluate(now, self._silence(now), levels, again=False)
            else:
                count, _ = divmod(now, self.rule.periods[text])
                self.strikes[text] = (count + 1) * self.rule.periods[text]
                tick = Tick(stamp=count * self.rule.periods[text], count=count)
                said += self.evaluate(now, Event(text, count, tick), levels, again=False)
        return said

    def next_due(self) -> int | None:
        """When a step is due for it even without a message."""
        if not self.has_clock and not self.plans:
            return self.deadline
        moments = [self.deadline, self.plans.next_due(), *self.strikes.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _begin(self, now: int, levels: Levels) -> Said:
        """Winds the clocks up at the first step."""
        self.begun = True
        self.strikes = {text: (now // period + 1) * period for text, period in self.rule.periods.items()}
        if self.rule.silence:
            self.strikes[self.rule.when] = now + round(self.rule.silence * 1e9)
        if not self.rule.at_start:
            return []
        return self.evaluate(now, Event(START, 0, Tick(stamp=now)), levels, again=False)

    def _hear(self, now: int, event: Event, levels: Levels) -> Said:
        """Takes note that the topic is not silent, and evaluates that if it was; however old the message is,
        it was heard at this moment."""
        was, self.silent = self.silent, False
        self.heard[event.topic] = event
        self.strikes[self.rule.when] = now + round(self.rule.silence * 1e9)
        return self.evaluate(now, self._silence(now), levels, again=False) if was else []

    def _silence(self, now: int) -> Event:
        """What is looked at, silent or not: evidence of the moment, under the number of the last message."""
        heard = self.heard.get(self.rule.when)
        return Event(self.rule.when, heard.seq if heard else -1, Tick(stamp=now))

    # -- an evaluation

    def evaluate(self, now: int, event: Event, levels: Levels, *, again: bool) -> Said:
        """Evaluates a message or tick, ``again`` in the place of the last one."""
        if event is not self.last:
            self._lapse(now, event.message.stamp)
            self.last, self.at, self.given = event, now, 0
            if not self.rule.silence:  # which is about what was not heard
                self.heard[event.topic] = event
        self._place(event.message.stamp, again=again)
        moment = self._moment(now, event, levels, again=again)
        looks = self._looks(moment)
        self._count({look.name for look in looks if look.true}, moment, again=again)
        moment.cooled, moment.bar = self.cooled, self.bar() or self.plans.bar(self.rule, now)
        said = self._fire(looks, moment) if moment.fresh and not moment.bar else []
        self.deadline = self._due(moment)
        if self.fired is not None and not said and self._is_over(looks, moment):
            said = self._end(looks, moment)
        return said or [moment.held(looks, self.tracks)]

    def _lapse(self, now: int, stamp: int) -> None:
        """Forgets what the silence before this message has made worthless."""
        if self.last is None:
            return
        if (now - self.at) / 1e9 > self.limit:
            self.tracks.clear()
            self.stamps.clear()
            self.memory.clear()
        elif (now - self.at) / 1e9 > self.rule.max_age:
            for track in self.tracks.values():
                if track.begun is not None:
                    track.begun, track.since = now, stamp

    def _limit(self) -> float:
        """How long, in seconds, nothing may be evaluated before everything starts anew."""
        rule, usual = self.rule, max(STALE, self.rule.max_age)
        limits = [rule.stale.get(topic, usual) for topic in rule.triggers]
        clocks = [2e-9 * period for period in rule.periods.values()]
        return max([*limits, *clocks, 2 * rule.silence], default=usual)

    def _place(self, stamp: int, *, again: bool) -> None:
        """Gives the evidence its place among those that count, and takes away what is too many or too old."""
        if not again or not self.stamps:
            self.stamps.append(stamp)
        span = self.rule.of * self.rule.max_age
        self.stamps = [one for one in self.stamps[-self.rule.of :] if (stamp - one) / 1e9 <= span]

    def _moment(self, now: int, event: Event, levels: Levels, *, again: bool) -> Moment:
        """Sorts the topics that the clauses read into known and missing, and asks what is not in messages."""
        moment = Moment(self.rule, now, event)
        ages = self._gather(moment, self.rule.condition, levels, event)
        if moment.fresh:
            situation = Situation(now, self.zone, ages, anew=not again, silent=self.silent)
            moment.inputs.update(self.rule.condition.recall(self.memory, moment.inputs, situation))
        return moment

    def _gather(
        self, moment: Moment, condition: Condition, levels: Levels, event: Event | None = None
    ) -> dict[str, float]:
        """Puts what a condition reads into a moment, the message that is evaluated as it is; the ages."""
        ages = dict[str, float]()
        for topic in condition.topics:
            level = levels.get(topic)
            if event and topic == event.topic and not self.rule.silence:
                moment.inputs[topic] = event.message
                ages[topic] = moment.age
                continue
            if topic in self.rule.triggers:
                value = self.heard[topic].message if topic in self.heard else None
                age = (moment.now - value.stamp) / 1e9 if value else 0.0
            else:
                value, age = (level.value, level.age) if level else (None, 0.0)
            self._sort(moment, ages, topic, value, age)
        return ages

    def _sort(
        self, moment: Moment, ages: dict[str, float], topic: str, value: Message | None, age: float
    ) -> None:
        limit = self.rule.stale_after(topic)
        if value is None:
            moment.missing[topic] = f"{topic} has not been heard"
            return
        ages[topic] = age
        if abs(age) > limit:
            moment.missing[topic] = f"{topic} is {age:.3g} s old, at most {limit:g}"
        else:
            moment.inputs[topic] = value

    def _looks(self, moment: Moment) -> list[Look]:
        """What the clauses say: of each item by its name, of all items that which is the furthest from true,
        or of the message."""
        rule, judge, message = self.rule, self.rule.condition.evaluate, moment.event.message
        if rule.any:
            named = [(getattr(item, "name", ""), item) for item in getattr(message, rule.any)]
            return [
                Look(name if isinstance(name, str) else "", item, judge(moment.inputs, item))
                for name, item in named
            ]
        if rule.all:
            looks = [Look("", item, judge(moment.inputs, item)) for item in getattr(message, rule.all)]
            return [min(looks, key=lambda one: ("false" not in one.verdicts, one.trues))] if looks else []
        return [Look("", None, judge(moment.inputs))]

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

    def _due(self, moment: Moment) -> int | None:
        """When what was evaluated is to be looked at again."""
        if not self.tracks or not moment.fresh or self.bar():
            return None
        free = max(self.cooled, self.plans.free(self.rule, moment.now) if self.plans else 0)
        dues = [track.due(self.rule, free) for track in self.tracks.values()]
        return min((due for due in dues if due is not None), default=None)

    # -- what it does

    def bar(self) -> str:
        """Why it may not fire, whatever is true: a rule that blocks it."""
        for other in self.blockers:
            if other.fired is not None:
                return f"blocked by `{other.rule.name}`, which stands since it fired"
        return ""

    def resumed(self, now: int, plan: Plan) -> Decision:
        """The Decision of a rule that goes on with a firing from before its node was started anew."""
        first = plan.commands[0][1]
        how = "begin anew" if self.rule.on_restart == "restart" else "go on where they were"
        what = f"the node was started anew; its commands {how}, {len(plan.commands)} still to come"
        event = Event("restart", 0, Tick(stamp=first.stamp))
        return Moment(self.rule, now, event).refused(what, "held")

    def cancel(self, now: int, why: str) -> Said:
        """Drops the commands that are still to come, and tells it."""
        self.plans.clear()
        what = f"{why}; its commands that were still to come are not given"
        return [Moment(self.rule, now, self.last).refused(what, "blocked")] if self.last else []

    def _fire(self, looks: list[Look], moment: Moment) -> Said:
        """The Decisions and commands for each name that is due."""
        said: Said = []
        for look in looks:
            track = self.tracks.get(look.name) if look.true else None
            due = track.due(self.rule, self.cooled) if track else None
            if track is None or due is None or due > moment.now or self.plans.bar(self.rule, moment.now):
                continue
            track.fired = self.fired = moment.now
            self.cooled = moment.now + round(self.rule.cooldown * 1e9)
            first = self.given
            found = self._commands(self.rule.do, moment, look)
            self._remember(command for _, command in found)
            commands = self.plans.add(self.rule, moment.now, *self._staged(found))
            id_ = self._id(moment.event, first + 1) if self.given > first else ""
            said += [moment.fired(look, track, id_), *commands]
        return said

    def _staged(self, found: list[tuple[float, Command]]) -> tuple[list[tuple[float, Command]], list[Stage]]:
        """The commands of a firing that stand before all gates, and those behind each."""
        if not self.rule.gates:
            return found, []
        stages: list[list[tuple[float, Command]]] = [[] for _ in range(len(self.rule.gates) + 1)]
        for action, one in zip(self.rule.do, found, strict=True):
            stages[action.stage].append(one)
        return stages[0], list(zip(self.rule.gates, stages[1:], strict=True))

    def proceed(self, now: int, levels: Levels) -> Said:
        """Gives the commands that are due, and goes through the gates that are open."""
        said: Said = list(self.plans.due(now))
        for plan in self.plans.at_gates():
            if plan.commands or plan not in self.plans.plans:  # it has gone on with one before it
                continue
            gate, plan.looked = plan.later[0][0], now
            moment = Moment(self.rule, now, self.last or Event(self.rule.when, -1, Tick(stamp=now)))
            self._gather(moment, gate.condition, levels)
            verdicts = gate.condition.evaluate(moment.inputs)
            if verdicts == ("true",):
                plan.go_through(now)
                said += self.proceed(now, levels)
            elif now >= plan.deadline:
                said += self._give_up(moment, plan, gate, verdicts)
        return said

    def _give_up(self, moment: Moment, plan: Plan, gate: Gate, verdicts: tuple[Verdict, ...]) -> Said:
        """Drops what is behind a gate that did not open in time, and gives ``on_failure``."""
        (clause,) = gate.condition.explain(verdicts, moment.inputs)
        first = plan.whole[0][1]
        self.plans.plans.remove(plan)
        for _, command in plan.whole:
            self.given_ids.pop(command.id, None)
        found = self._on_failure(first.id, first.stamp)
        said = self.plans.add_beside(moment.now, found)
        what = f"`{clause.text}` did not become true within {gate.within:g} s"
        decision = moment.failed(what, first.stamp, found[0][1].id if found else "")
        return [msgspec.structs.replace(decision, clauses=(clause,)), *said]

    def _on_failure(self, failed: str, stamp: int) -> list[tuple[float, Command]]:
        return [
            (one.delay, one.command(id=f"{failed}-failure-{number}", stamp=stamp))
            for number, one in enumerate(self.rule.on_failure, 1)
        ]

    def _remember(self, commands: Iterable[Command]) -> None:
        if self.rule.on_failure:
            self.given_ids.update((command.id, command.stamp) for command in commands)
            for id_ in list(self.given_ids)[:-REMEMBERED]:
                del self.given_ids[id_]

    def hear(self, now: int, event: Event) -> Said:
        """Hears what has become of a command. When one of its own has failed, what was still to come of that
        firing is dropped, and ``on_failure`` is given, on the same evidence."""
        id_ = getattr(event.message, "command", "")
        if id_ not in self.given_ids or not (why := failures.failure(event.message)):
            return []
        stamp = self.given_ids.pop(id_)
        self.plans.drop(id_)
        commands = self._on_failure(id_, stamp)
        said = self.plans.add_beside(now, commands)
        what = f"its command to {getattr(event.message, 'to', event.topic)} {why}"
        return [Moment(self.rule, now, event).failed(what, stamp, commands[0][1].id), *said]

    def _is_over(self, looks: list[Look], moment: Moment) -> bool:
        """Whether it no longer stands."""
        if not moment.fresh or any(track.begun is not None for track in self.tracks.values()):
            return False
        return all("false" in look.verdicts for look in looks)

    def _end(self, looks: list[Look], moment: Moment) -> Said:
        """The Decision and commands of a rule that has fired and is no longer true."""
        self.fired = None
        if not self.rule.else_do:
            return []
        self.plans.clear()
        first = self.given
        commands = self.plans.add(self.rule, moment.now, self._commands(self.rule.else_do, moment), ends=True)
        return [moment.ended(looks, self._id(moment.event, first + 1)), *commands]

    def _commands(
        self, actions: tuple[Action, ...], moment: Moment, look: Look | None = None
    ) -> list[tuple[float, Command]]:
        """Commands and after how many seconds each is given."""
        stamp = moment.event.message.stamp
        commands = [(one.delay, one.command(id=self._next_id(moment.event), stamp=stamp)) for one in actions]
        if look and self.rule.give and (made := self.rule.give(moment.inputs, look.item)):
            named = msgspec.structs.replace(made, id=self._next_id(moment.event), stamp=stamp)
            commands.append((0.0, named))
        return commands

    def _next_id(self, event: Event) -> str:
        self.given += 1
        return self._id(event, self.given)

    def _id(self, event: Event, number: int) -> str:
        """A command's id says who gives it on which evidence, so that a node started anew gives the same id
        for the same evidence (and it is executed once), and never one that another node or other evidence
        had."""
        by = f"{self.source}-{event.topic.replace(' ', '_')}" if self.several else self.source
        return f"{by}-{event.message.stamp}-{event.seq}-{number}"
