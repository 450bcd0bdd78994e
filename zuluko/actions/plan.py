"""Plans: the commands of a rule that are still to come, because of their delays."""

from dataclasses import dataclass, field

from zuluko.actions.rule import Rule
from zuluko.bus.message import Command


@dataclass
class Plan:
    """The commands of one firing, by the graph time (ns) at which each is due; ``ends``: of ``else_do``.
    ``whole`` are all of them, given or still to come."""

    commands: list[tuple[int, Command]]
    ends: bool
    whole: tuple[tuple[int, Command], ...] = ()

    @property
    def end(self) -> int:
        return self.commands[-1][0]


@dataclass
class Plans:
    """All that a rule has still to give, the earliest firing first."""

    plans: list[Plan] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.plans)

    def clear(self) -> None:
        self.plans.clear()

    def add(
        self, rule: Rule, now: int, commands: list[tuple[float, Command]], *, ends: bool = False
    ) -> list[Command]:
        """Takes the commands of a firing, each with its delay in seconds; gives those that are due now. What
        was to come of an ``else_do`` is dropped."""
        self.plans = [plan for plan in self.plans if not plan.ends]
        if rule.mode == "restart":
            self.plans.clear()
        start = max([now, *(plan.end for plan in self.plans)]) if rule.mode == "queued" else now
        dated = [(start + round(delay * 1e9), command) for delay, command in commands]
        if waiting := [one for one in dated if one[0] > now]:
            self.plans.append(Plan(waiting, ends, tuple(dated)))
        return [command for due, command in dated if due <= now]

    def drop(self, id_: str) -> None:
        """Drops what is still to come of the firing that gave this command."""
        self.plans = [plan for plan in self.plans if all(one.id != id_ for _, one in plan.whole)]

    def due(self, now: int) -> list[Command]:
        """Takes out the commands that are due, in the order of their moments."""
        dated = [one for plan in self.plans for one in plan.commands if one[0] <= now]
        for plan in self.plans:
            plan.commands = [one for one in plan.commands if one[0] > now]
        self.plans = [plan for plan in self.plans if plan.commands]
        return [command for _, command in sorted(dated, key=lambda one: one[0])]

    def next_due(self) -> int | None:
        return min((plan.commands[0][0] for plan in self.plans), default=None)

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
        return f"its commands of the last firing are still to come, for {(free - now) / 1e9:.3g} s"
