"""Plans: the commands of a rule that are still to come, because of their delays and gates."""

from dataclasses import dataclass, field

from zuluko.actions.rule import Gate, Rule
from zuluko.bus.message import Command

LOOK = 50_000_000  # ns between two looks at a gate

Stage = tuple[Gate, list[tuple[float, Command]]]  # a gate, and the commands behind it with their delays (s)


@dataclass
class Plan:
    """The commands of one firing, by the graph time (ns) at which each is due; ``ends``: of ``else_do``.

    ``whole``   all of them, given or still to come
    ``later``   those behind gates
    ``begun``   when it came to the gate that it stands at; ``looked``: when that was looked at last
    """

    commands: list[tuple[int, Command]]
    ends: bool
    whole: tuple[tuple[int, Command], ...] = ()
    later: list[Stage] = field(default_factory=list)
    begun: int = 0
    looked: int = 0

    @property
    def end(self) -> int:
        """When all will have been given, at the latest."""
        waits = [gate.within + max(delay for delay, _ in stage) for gate, stage in self.later]
        return max([self.begun, *(due for due, _ in self.commands)]) + round(sum(waits) * 1e9)

    @property
    def due(self) -> int:
        """The next moment at which there is something to do."""
        return self.commands[0][0] if self.commands else min(self.looked + LOOK, self.deadline)

    @property
    def deadline(self) -> int:
        """When the gate that it stands at must have opened."""
        return self.begun + round(self.later[0][0].within * 1e9)

    def arrive(self, now: int) -> None:
        """Comes to the next gate, if there is one."""
        self.begun = self.looked = now

    def go_through(self, now: int) -> None:
        """Goes through the gate that it stands at."""
        _, stage = self.later.pop(0)
        self.commands = [(now + round(delay * 1e9), command) for delay, command in stage]


@dataclass
class Plans:
    """All that a rule has still to give, the earliest firing first."""

    plans: list[Plan] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.plans)

    def clear(self) -> None:
        self.plans.clear()

    def add(
        self,
        rule: Rule,
        now: int,
        commands: list[tuple[float, Command]],
        later: list[Stage] | None = None,
        *,
        ends: bool = False,
    ) -> list[Command]:
        """Takes the commands of a firing, each with its delay in seconds, and what is behind gates; gives
        those that are due now. What was to come of an ``else_do`` is dropped."""
        self.plans = [plan for plan in self.plans if not plan.ends]
        if rule.mode == "restart":
            self.plans.clear()
        start = max([now, *(plan.end for plan in self.plans)]) if rule.mode == "queued" else now
        return self._begin(now, start, commands, later or [], ends=ends)

    def add_beside(self, now: int, commands: list[tuple[float, Command]]) -> list[Command]:
        """The same for commands that wait for no others, and drop none."""
        return self._begin(now, now, commands, [], ends=False)

    def _begin(
        self, now: int, start: int, commands: list[tuple[float, Command]], later: list[Stage], *, ends: bool
    ) -> list[Command]:
        dated = [(start + round(delay * 1e9), command) for delay, command in commands]
        waiting = [one for one in dated if one[0] > now]
        if waiting or later:
            whole = (*dated, *((start, command) for _, stage in later for _, command in stage))
            self.plans.append(Plan(waiting, ends, whole, later, now, now))
        return [command for due, command in dated if due <= now]

    def drop(self, id_: str) -> None:
        """Drops what is still to come of the firing that gave this command."""
        self.plans = [plan for plan in self.plans if all(one.id != id_ for _, one in plan.whole)]

    def due(self, now: int) -> list[Command]:
        """Takes out the commands that are due, in the order of their moments."""
        dated = [one for plan in self.plans for one in plan.commands if one[0] <= now]
        for plan in self.plans:
            left = [one for one in plan.commands if one[0] > now]
            if plan.commands and not left:
                plan.arrive(now)
            plan.commands = left
        self.plans = [plan for plan in self.plans if plan.commands or plan.later]
        return [command for _, command in sorted(dated, key=lambda one: one[0])]

    def at_gates(self) -> list[Plan]:
        return [plan for plan in self.plans if not plan.commands]

    def next_due(self) -> int | None:
        return min((plan.due for plan in self.plans), default=None)

    def free(self, rule: Rule, now: int) -> int:
        """When another firing may be, with what is still to come of the others: ``now`` or later."""
        running = sorted(plan.end for plan in self.plans if not plan.ends and plan.end > now)
        if rule.mode == "restart" or len(running) < rule.most:
            return now
        return running[len(running) - rule.most]

    def bar(self, rule: Rule, now: int) -> str:
        """Why there must be no firing now, or nothing."""
        if not self.plans or (free := self.free(rule, now)) <= now:
            return ""
        gates = " at most" * any(plan.later for plan in self.plans)
        return f"its commands of the last firing are still to come, for{gates} {(free - now) / 1e9:.3g} s"
