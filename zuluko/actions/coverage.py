"""Coverage: how often each clause of a rule was true, false and unknown, and what that leaves untried."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zuluko.actions.calls import Memory, Situation
from zuluko.actions.clauses import Clauses
from zuluko.messages import Clause, Decision, Verdict


@dataclass
class ClauseCoverage:
    """How often one clause had each verdict; of a list, for each item."""

    text: str
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    @property
    def gap(self) -> str:
        """What it has not been, or nothing."""
        true, false = self.verdicts["true"], self.verdicts["false"]
        if not (true or false):
            return "always unknown" if self.verdicts else "never looked at"
        return "never false" if not false else "" if true else "never true"


@dataclass
class RuleCoverage:
    """What one rule did: its outcomes, and the verdicts of its clauses in their order."""

    rule: str
    clauses: list[ClauseCoverage] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def evaluations(self) -> int:
        return self.outcomes.total()

    @property
    def gap(self) -> str:
        """Why it has not been tried as a whole, or nothing."""
        if not self.evaluations:
            return "never evaluated"
        return "" if self.outcomes["fired"] else "never fired"

    @property
    def gaps(self) -> int:
        return bool(self.gap) + sum(bool(clause.gap) for clause in self.clauses)

    def wrap(self, condition: Clauses) -> "Counted":
        """The condition of a rule file's rule, with its verdicts counted; over another log once more."""
        if not self.clauses:
            self.clauses = [ClauseCoverage(clause.text) for clause in condition.clauses]
        return Counted(condition, self.clauses)

    def hear(self, decision: Decision, *, clauses: bool) -> None:
        """Counts an outcome, and with ``clauses`` the verdicts that the Decision tells."""
        self.outcomes[decision.outcome] += 1
        for number, clause in enumerate(decision.clauses if clauses else ()):
            if number == len(self.clauses):
                self.clauses.append(ClauseCoverage(clause.text))
            self.clauses[number].verdicts[clause.verdict] += 1


@dataclass(frozen=True)
class Counted:
    """A condition whose verdicts are counted, those of each item: a Decision tells only of the nearest."""

    condition: Clauses
    counts: list[ClauseCoverage]

    @property
    def topics(self) -> frozenset[str]:
        return self.condition.topics

    def recall(self, memory: Memory, inputs: Mapping[str, Any], now: Situation) -> Mapping[str, Any]:
        return self.condition.recall(memory, inputs, now)

    def evaluate(self, inputs: Mapping[str, Any], item: Any = None) -> tuple[Verdict, ...]:
        verdicts = self.condition.evaluate(inputs, item)
        for count, verdict in zip(self.counts, verdicts, strict=True):
            count.verdicts[verdict] += 1
        return verdicts

    def explain(
        self, verdicts: tuple[Verdict, ...], inputs: Mapping[str, Any], item: Any = None
    ) -> tuple[Clause, ...]:
        return self.condition.explain(verdicts, inputs, item)

    def topics_of(self, number: int) -> frozenset[str]:
        return self.condition.topics_of(number)
