"""When a node runs: a CEL expression over parameters, the board and what topics said last."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from zuluko.actions import kinds
from zuluko.actions.clausecheck import compile_clause
from zuluko.actions.clauses import Clauses, CompiledClause
from zuluko.bus.message import Message
from zuluko.launch import board, params
from zuluko.launch.board import Facts
from zuluko.launch.graph import Graph, Param, Topic
from zuluko.launch.include import Given, Part
from zuluko.launch.options import MISSING

BOARD = "board"


class ConditionError(ValueError):
    """A condition that can never be decided; ``problems`` are sentences that say why."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Condition:
    """A checked condition. ``topics`` are those that it reads: it is to be asked again when one of them has
    said something. Without any it is decided once and for all.
    """

    def __init__(
        self,
        text: str,
        topics: tuple[Topic, ...] = (),
        constants: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """``names`` gives by topic what the text calls it, where that is not its own name."""
        self.text, self.topics = text, topics
        self._names = names or {}
        read = frozenset(self._names.get(topic.name, topic.name) for topic in topics)
        self._clauses = Clauses([CompiledClause(text)], read, constants or {})

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def holds(self, latest: Mapping[str, Message]) -> bool | None:
        """Whether it is true, given the last message of each topic; None while that is unknown, as it is
        before a topic that matters has said anything."""
        known = {topic.name for topic in self.topics}
        inputs = {self._names.get(name, name): latest[name] for name in latest if name in known}
        (verdict,) = self._clauses.evaluate(inputs)
        return {"true": True, "false": False}.get(verdict)


def read(
    text: str,
    *,
    topics: Mapping[str, Topic],
    declared: Mapping[str, Param],
    values: Mapping[str, Any],
    facts: Facts,
) -> Condition:
    """The condition, checked against the types of what it reads; raises ConditionError.

    ``topics`` are by the name that the text has for them; ``values`` are those of the parameters.
    """
    heard = {name: kinds.of_topic(topic.kind) for name, topic in topics.items()}
    nodes = {name.partition(".")[0] for name in heard}
    own = {name: _kind(declared[name], value) for name, value in values.items() if name not in nodes}
    scope = kinds.scope_of(heard, {**own, BOARD: inspect.type_info(Facts)})
    constants = {name: values[name] for name in own} | {BOARD: msgspec.to_builtins(facts)}
    clause, problems = compile_clause(text, scope, constants)
    if clause is None:
        raise ConditionError(problems)
    roots = {path[0] for path in clause.paths}
    if both := sorted(roots & nodes & {*values, BOARD}):
        raise ConditionError(
            [f"`{both[0]}` is a node's name and means something else here, too; give the node another name"]
        )
    if problems:
        raise ConditionError(problems)
    used = [name for name in topics if _reads(clause, name)]
    names = {topics[name].name: name for name in used if topics[name].name != name}
    return Condition(
        text,
        tuple(topics[name] for name in used),
        {name: value for name, value in constants.items() if name in roots},
        names,
    )


def of_entry(given: Given, graph: Graph) -> Condition | None:
    """The condition of an entry; None where there is something wrong, which is told."""
    value = given.read("when")
    if value is MISSING:
        return None
    text = value if isinstance(value, str) else str(value).lower()
    try:
        return of_part(text, given.part, graph)
    except ConditionError as error:
        for problem in error.problems:
            given.complain(("when",), f"`when`: {problem}", given.value["when"])
    return None


def of_part(text: str, part: Part, graph: Graph) -> Condition:
    """A condition in the words of a file of the graph; raises ConditionError."""
    values = {name: params.plain(part.declared[name], value) for name, value in part.params.items()}
    return read(
        text,
        topics=part.visible(graph.topics),
        declared=part.declared,
        values={name: value for name, value in values.items() if value is not MISSING},
        facts=board.facts(graph.board),
    )


def _kind(param: Param, value: Any) -> kinds.Kind:
    return kinds.of_value(value if value is not None else param.default)


def _reads(clause: CompiledClause, topic: str) -> bool:
    parts = tuple(topic.split("."))
    return any(path[: len(parts)] == parts or parts[: len(path)] == path for path in clause.paths)
