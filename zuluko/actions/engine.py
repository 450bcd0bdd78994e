"""The rule engine: events and time in; decisions, commands and the next deadline out.

It is a pure state machine: no I/O, no clock, no randomness, so that the same events give the same decisions
on every run. What it does, precisely (``docs/rules.md`` says it to users):

* Each message of a rule's ``when`` topics is one **evaluation**, at graph time ``now``. Its **evidence** is
  the message, known by its stamp. Other topics are read as they stand (levels) and evaluate nothing.
* ``every 10s`` is a tick at each multiple of 10 s of graph time, which is evidence of its own moment; of
  those that a late step finds due, the last. ``start`` is one at the first step. In one step a message comes
  before a tick.
* With ``silence`` the evidence is that nothing was heard, at whatever moment it is looked at. It is evaluated
  when the silence has lasted so long, again each time that it has lasted as long once more, and once (then
  false) at the message that ends it.
* An evaluation is true when each clause is true. A level that was never heard, or is older than its limit,
  makes what reads it **unknown**, and so does evidence older than ``max_age``. Unknown is not true.
* With ``all``, each item of a list must pass, and there must be one.
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
* A rule **stands** from its firing until an evaluation, on fresh evidence, that is false, while the smoothed
  condition is true for nobody. Unknown does not end it, nor does a silence. Then ``else_do`` is given, and
  what was still to come of ``do`` is not. While it stands, the rules that it ``blocks`` do not fire, and
  what was still to come of their commands is not given. Rules are evaluated by falling ``priority``, and in
  the order of the file.
* Behind a gate (``until``) commands are given when it is true, which is looked at in each step, and every
  50 ms. Where it is not true in time, they are not given, and the rule has failed as well.
* When a message of one of the rule's ``reports`` says that a command of its ``do`` has failed, what was
  still to come of that firing is not given, and ``on_failure`` is, on the evidence of the firing.
* A message whose stamp is before the last one's of its topic, or ahead of the clock, and a clock that has
  gone back, change nothing and never act.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from zuluko.actions import ledger
from zuluko.actions.evaluation import Event
from zuluko.actions.ledger import Saved
from zuluko.actions.rule import Rule
from zuluko.actions.rulerun import Levels, Run, Said

_NO_LEVELS: Levels = {}


@dataclass(frozen=True)
class Step:
    """What one step gave.

    ``said``      each Decision, followed by its commands; commands whose delay is over stand alone
    ``deadline``  graph time (ns) at which a step is due even without a message, or None
    """

    said: Said
    deadline: int | None


class Engine:
    """All rules of a file, run together; each keeps its own state. Ids of commands begin with ``name``;
    ``zone`` is the time zone of the place, for the time of day."""

    def __init__(self, rules: Iterable[Rule], *, name: str = "", zone: str = "UTC") -> None:
        self._name, self._now, self._runs = name, 0, list[Run]()
        self.take(rules, zone=zone)

    def take(self, rules: Iterable[Rule], *, zone: str = "UTC") -> None:
        """Takes other rules; one that is the same as before keeps its state, and the others begin anew."""
        old = {run.rule.name: run for run in self._runs if run.zone == zone}
        self._runs = []
        for rule in sorted(rules, key=lambda rule: -rule.priority):
            source = f"{self._name}.{rule.name}" if self._name else rule.name
            run = old.get(rule.name)
            self._runs.append(run if run and run.rule == rule else Run(rule, source, zone))
        for run in self._runs:
            run.blockers = [other for other in self._runs if run.rule.name in other.rule.blocks]

    @property
    def keeps(self) -> bool:
        """Whether a rule goes on where it was when its node is started anew."""
        return any(run.rule.on_restart != "cancel" for run in self._runs)

    def pending(self) -> list[Saved]:
        """What such rules have still to give."""
        kept = (run for run in self._runs if run.rule.on_restart != "cancel")
        return [ledger.save(run.rule, plan) for run in kept for plan in run.plans.plans]

    def resume(self, saved: Iterable[Saved], now: int) -> Said:
        """Goes on with what was kept; what is overdue is given in the next step."""
        said: Said = []
        for run in self._runs:
            plans = [plan for one in saved if (plan := ledger.restored(run.rule, one, now))]
            run.plans.plans += plans
            said += [run.resumed(now, plan) for plan in plans]
        return said

    def step(self, now: int, event: Event | None = None, levels: Levels | None = None) -> Step:
        """Evaluates what the event triggers, and what is due at ``now`` (graph time, ns)."""
        said: Said = []
        levels, back = levels or _NO_LEVELS, self._now - now
        for run in self._runs:
            if run.plans and (bar := run.bar()):
                said += run.cancel(now, bar)
            if event and event.topic in run.rule.triggers:
                said += run.meet(now, event, levels, back=back)
            elif run.last and run.deadline is not None and now >= max(run.deadline, self._now):
                said += run.look_again(now, levels)
            if event and event.topic in run.rule.reports:
                said += run.hear(now, event)
            if run.has_clock and back <= 0:
                said += run.strike(now, levels)
            if run.plans:
                said += run.proceed(now, levels)
        self._now = max(self._now, now)
        return Step(
            said, min((due for run in self._runs if (due := run.next_due()) is not None), default=None)
        )
