"""What must hold: the keys ``if``, ``sequence`` and ``within`` of a rule file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zuluko.actions import callcheck, contradiction, kinds
from zuluko.actions.calls import Call
from zuluko.actions.clausecheck import compile_clause
from zuluko.actions.clauses import ITEM, CompiledClause
from zuluko.actions.rulenotes import Notes
from zuluko.actions.rulewhen import When
from zuluko.document import Step, seconds

MOST_STEPS = 8  # of a sequence

Path = tuple[Step, ...]


@dataclass(frozen=True)
class ClauseReader:
    """Reads the clauses of the rule ``name``; ``scope`` gives the kind of each variable, ``constants`` the
    value of each parameter."""

    notes: Notes
    name: str
    scope: kinds.Scope
    constants: Mapping[str, Any]

    def read(self, when: When) -> list[CompiledClause]:
        """The clauses of ``if``, after those that ``if_silent`` and ``sequence`` stand for."""
        keys = self.notes.given(self.name)
        given = keys.get("if", [])
        if given in (None, []) and not keys.keys() & {"sequence", "if_silent"}:
            what = f"`{self.name}` needs `if:`, a list of clauses that must all be true"
            self.notes.wrong((self.name,), what, key=True)
            return []
        first = [_silent(when)] if when.silence else []
        first += self._sequence(keys["sequence"]) if "sequence" in keys else []
        texts: dict[Path, Any] = {(self.name, "if"): given}
        if isinstance(given, list):
            texts = {(self.name, "if", number): text for number, text in enumerate(given)}
        found = {path: self.clause(path, text) for path, text in texts.items()}
        right = {path: clause for path, clause in found.items() if clause}
        self._contradicted(right)
        return [*first, *right.values()]

    def _contradicted(self, clauses: Mapping[Path, CompiledClause]) -> None:
        """Tells of a clause that can never be true beside those before it."""
        formulas = [clause.formula or clause.text for clause in clauses.values()]
        if found := contradiction.find(formulas, self.constants):
            number, what = found
            called = [call for clause in clauses.values() for call in clause.calls]
            self.notes.wrong(list(clauses)[number], callcheck.written(what, called))

    def _sequence(self, given: Any) -> list[CompiledClause]:
        """The clause that a sequence stands for."""
        path: Path = (self.name, "sequence")
        if not isinstance(given, list) or not 2 <= len(given) <= MOST_STEPS:
            what = f"must be a list of 2 to {MOST_STEPS} clauses that become true one after the other"
            self.notes.wrong(path, f"`sequence` {what}")
            return []
        if "within" not in self.notes.given(self.name):
            what = f"`{self.name}` has a `sequence` and needs `within:`, such as `within: 2s`"
            self.notes.wrong((self.name,), what, key=True)
        within = self.notes.value(self.name, "within", seconds, 1.0)
        steps = [self.clause((*path, at), text, recalls=False) for at, text in enumerate(given)]
        text = f"{', then '.join(map(str, given))}, within {within:g} s"
        bits = " + ".join(f"(({one}\n) ? {1 << at} : 0)" for at, one in enumerate(given))
        call = Call(text, "called_sequence", "sequence", bits, (within, len(given)))
        return [CompiledClause(text, (call,), call.name)] if all(steps) else []

    def clause(self, path: Path, text: Any, *, recalls: bool = True) -> CompiledClause | None:
        """One clause; what is wrong with it is told. Without ``recalls`` it may not ask for the past."""
        if not isinstance(text, str):
            hint = "; put quotes around it" if isinstance(text, (dict, list)) else ""
            self.notes.wrong(path, f"a clause must be text, one CEL expression{hint}")
            return None
        clause, problems = compile_clause(text, self.scope, self.constants, recalls=recalls)
        for problem in problems:
            self.notes.wrong(path, problem)
        return clause


def heard(clauses: Iterable[CompiledClause], topics: Iterable[str]) -> frozenset[str]:
    """The topics that clauses read, of those that there are."""
    paths = [path for clause in clauses for path in clause.heard]
    starts = {path[:depth] for path in paths for depth in (1, 2)}
    whole = {path for path in paths if len(path) == 1}
    return frozenset(
        topic
        for topic in topics
        if topic != ITEM and (tuple(topic.split(".")) in starts or (topic.partition(".")[0],) in whole)
    )


def _silent(when: When) -> CompiledClause:
    """The clause that ``if_silent`` stands for."""
    text = f"{when.triggers[0]} is silent for {when.silence:g} s"
    call = Call(text, "called_silent", "silent")
    return CompiledClause(text, (call,), call.name)
