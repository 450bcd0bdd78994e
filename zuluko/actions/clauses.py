"""Clauses: what a rule asks, each one CEL expression that is true, false or unknown.

Unknown is what cannot be answered: a topic that has not been heard or is too old, an index beyond the end of
a list, an absent value, a number that is NaN. It spreads as CEL has it: ``true || unknown`` is true,
``false && unknown`` is false, and ``!unknown`` is unknown.
"""

import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import msgspec

from zuluko.actions.calls import Call, Memory, Situation
from zuluko.actions.celtext import Path, Reading, dotted, read
from zuluko.actions.geometry import FUNCTIONS
from zuluko.bus.np import np
from zuluko.messages import Clause, Verdict

ITEM = "item"  # what a clause calls the item of an ``any`` list
_NUMBERS = frozenset({float, int, bool})
_PLAIN = frozenset({str, float, int, bool, type(None)})
_NOTHING: Mapping[str, Any] = {}
_UNKNOWN = (LookupError, RuntimeError, TypeError, ValueError, ArithmeticError)  # what CEL cannot answer


@cache
def cel() -> ModuleType:
    """The compiled half of ``cel``, loaded where there is something to compile: a graph without rules is
    spared it. The package around it loads a command line of 21 MB and 110 ms."""
    if "cel.cel" in sys.modules:
        return sys.modules["cel.cel"]
    package = find_spec("cel")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec("cel.cel", folders)
    if spec is None or spec.loader is None:
        raise ImportError("rules need CEL; run: pip install common-expression-language")
    module = sys.modules["cel.cel"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    logging.getLogger("cel").setLevel(logging.ERROR)  # a clause that cannot be answered is no warning
    return module


@dataclass(frozen=True)
class CompiledClause:
    """A clause and the paths that it reads; raises ValueError where the text is no CEL.

    ``formula``  the text with variables in the place of its ``calls``, where it has some
    """

    text: str
    calls: tuple[Call, ...] = ()
    formula: str = ""

    def __post_init__(self) -> None:
        _ = self.program

    @cached_property
    def program(self) -> Any:
        return cel().compile(self.formula or self.text)

    @cached_property
    def reading(self) -> Reading:
        return read(self.formula or self.text)

    @property
    def paths(self) -> list[Path]:
        return self.reading.paths

    @cached_property
    def heard(self) -> list[Path]:
        """What it reads of topics, within its calls too."""
        return [*self.paths, *(path for call in self.calls for path in call.paths)]

    @cached_property
    def shown(self) -> list[tuple[str, Path]]:
        """What a Decision shows: each path up to where it enters a list's items, and its name."""
        cut = [path[: path.index("[]")] if "[]" in path else path for path in self.paths]
        written = {call.name: call.text for call in self.calls}
        return [(written.get(path[0], dotted(path)), path) for path in dict.fromkeys(cut)]

    def values(self, sources: Mapping[str, Any]) -> dict[str, Any]:
        """What it read, by name; ``sources`` holds topics, parameters and the item."""
        found = {}
        for name, path in self.shown:
            value = sources.get(path[0])
            steps = path[1:]
            if value is None and steps:  # a topic of a node that has several
                value, steps = sources.get(f"{path[0]}.{path[1]}"), path[2:]
            for step in steps:
                value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
            if value is not None:
                found[name] = value if type(value) in _NUMBERS else _short(value)
        return found


@dataclass
class Clauses:
    """The clauses of one rule over what they read.

    ``topics``  the topics that they read; ``constants`` the values of the parameters
    """

    clauses: Sequence[CompiledClause]
    topics: frozenset[str]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._context: Any = None
        self._inputs: dict[str, Any] = {}
        self._holes: dict[str, list[Path]] = {}  # by name, the lists in it that hold a NaN
        self._fields = self._needed()
        self._topics_of = [
            frozenset(topic for topic in self.topics if any(_under(path, topic) for path in clause.heard))
            for clause in self.clauses
        ]
        calls = {call.name: call for clause in self.clauses for call in clause.calls}
        self._calls = [
            (call, cel().compile(call.subject) if call.measures else None) for call in calls.values()
        ]
        self._called: Mapping[str, Any] = {}
        named = {name for clause in self.clauses for name in clause.program.functions()}
        named |= {name for _, program in self._calls if program for name in program.functions()}
        self._functions = {name: FUNCTIONS[name] for name in FUNCTIONS if name in named}

    def recall(self, memory: Memory, inputs: Mapping[str, Any], now: Situation) -> Mapping[str, Any]:
        """What the calls of the clauses give, by the variable that stands for each; what is not known is
        left out."""
        if not self._calls:
            return _NOTHING
        context = self._bind({**self._called, **inputs})
        found = {}
        for call, program in self._calls:
            value = call.value(memory, now, _number(program, context) if program else None)
            if value is not None:
                found[call.name] = value
        self._called = found
        return found

    def evaluate(self, inputs: Mapping[str, Any], item: Any = None) -> tuple[Verdict, ...]:
        """Each clause's verdict, given the last message of each topic that is known, what the calls gave, and
        the item."""
        context = self._bind(inputs)
        self._holes[ITEM] = []
        if item is not None:
            _add(context, ITEM, self._as_cel(item, ITEM))
        holes = [path for name in (*inputs, ITEM) for path in self._holes.get(name, ())]
        return tuple(
            [
                "unknown" if _asks(clause, holes) else _verdict(clause.program, context)
                for clause in self.clauses
            ]
        )

    def explain(
        self, verdicts: Sequence[Verdict], inputs: Mapping[str, Any], item: Any = None
    ) -> tuple[Clause, ...]:
        """The clauses as a Decision tells them: text, verdict, and the values that each one read by name."""
        sources = {**self.constants, **inputs, ITEM: item}
        told = zip(self.clauses, verdicts, strict=True)
        return tuple([Clause(text=one.text, verdict=said, values=one.values(sources)) for one, said in told])

    def topics_of(self, number: int) -> frozenset[str]:
        """The topics that one clause reads."""
        return self._topics_of[number]

    def _needed(self) -> dict[str, tuple[str, ...] | None]:
        """The fields read of each topic and of the item; None where one is read as a whole."""
        needed: dict[str, tuple[str, ...] | None] = {}
        for name in (*self.topics, ITEM):
            depth = name.count(".") + 1
            measured = [call.paths for clause in self.clauses for call in clause.calls if call.measures]
            read = [
                path for paths in (*(clause.paths for clause in self.clauses), *measured) for path in paths
            ]
            paths = [path for path in read if _under(path, name)]
            whole = any(len(path) <= depth or path[depth] == "[]" for path in paths)
            needed[name] = None if whole else tuple(dict.fromkeys(path[depth] for path in paths))
        return needed

    def _bind(self, inputs: Mapping[str, Any]) -> Any:
        """The context with the inputs; what has not changed since the last time stays as it was converted."""
        if self._context is None or inputs.keys() != self._inputs.keys():
            self._context, self._inputs = context_of(self.constants, self._functions), {}
        changed = [topic for topic in inputs if self._inputs.get(topic) is not inputs[topic]]
        if changed:
            for node in {topic.partition(".")[0] for topic in changed}:
                _add(self._context, node, self._variable(node, inputs))
            self._inputs = dict(inputs)
        return self._context

    def _variable(self, node: str, inputs: Mapping[str, Any]) -> Any:
        if node in inputs:
            return self._as_cel(inputs[node], node)
        outputs = [topic for topic in inputs if topic.startswith(f"{node}.")]
        return {topic.partition(".")[2]: self._as_cel(inputs[topic], topic) for topic in outputs}

    def _as_cel(self, value: Any, name: str) -> Any:
        """A message or item as CEL takes it, without its NaNs."""
        self._holes[name] = []
        return _sound(self._fielded(value, name), tuple(name.split(".")), self._holes[name])

    def _fielded(self, value: Any, name: str) -> Any:
        if not isinstance(value, msgspec.Struct):
            return _plain(value)
        fields = self._fields[name]
        names = value.__struct_fields__ if fields is None else fields
        return {name: _field(value, name) for name in names if hasattr(value, name)}


def context_of(variables: Mapping[str, Any], functions: Mapping[str, Any] = FUNCTIONS) -> Any:
    """A context of CEL with these variables and functions."""
    context = cel().Context(dict(variables))
    for name, function in functions.items():
        context.add_function(name, function)
    return context


def _number(program: Any, context: Any) -> float | None:
    """The number that an expression gives, or None where it is unknown."""
    try:
        result = program.execute(context)
    except _UNKNOWN:
        return None
    is_number = isinstance(result, (int, float)) and not isinstance(result, bool) and math.isfinite(result)
    return result if is_number else None


def _under(path: Path, name: str) -> bool:
    """Whether a path reads of a topic; one that stops at ``planner`` reads all of ``planner.path``."""
    parts = tuple(name.split("."))
    return path[: len(parts)] == parts or parts[: len(path)] == path


def _sound(value: Any, path: Path, holes: list[Path]) -> Any:
    """The value without the fields that are NaN, which CEL takes for unequal to everything: what is not there
    is unknown. In a list each item has its place; where one is NaN, the list's path goes into ``holes``."""
    if isinstance(value, dict):
        return {
            key: one if type(one) in _PLAIN else _sound(one, (*path, str(key)), holes)
            for key, one in value.items()
            if not _is_nan(one)
        }
    if isinstance(value, (list, tuple)):
        return [_sound(one, (*path, "[]"), holes) for one in value]
    if _is_nan(value):
        holes.append(path)
    return value


def _is_nan(value: Any) -> bool:
    return type(value) is float and math.isnan(value)


def _asks(clause: CompiledClause, holes: list[Path]) -> bool:
    """Whether it asks if something with a NaN in it is equal."""
    return bool(holes) and any(
        path[: len(hole)] == hole or hole[: len(path)] == path
        for path in clause.reading.equated
        for hole in holes
    )


def _verdict(program: Any, context: Any) -> Verdict:
    try:
        result = program.execute(context)
    except _UNKNOWN:
        return "unknown"
    if result is True:
        return "true"
    return "false" if result is False else "unknown"


def _add(context: Any, name: str, value: Any) -> None:
    """Sets a variable; of a value that CEL has no type for nothing can be read: clauses are unknown."""
    try:
        context.add_variable(name, value)
    except (ValueError, TypeError, OverflowError):
        context.add_variable(name, {})


def _field(owner: msgspec.Struct, name: str) -> Any:
    """A field as CEL takes it; a whole number in a field for floats is one, since CEL does not mix them."""
    value = getattr(owner, name)
    return float(value) if type(value) is int and name in _floats(type(owner)) else _plain(value)


@cache
def _floats(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(
        field.name for field in msgspec.structs.fields(kind) if field.type in (float, float | None)
    )


def _plain(value: Any) -> Any:
    """A field's value as CEL takes it; arrays are not for clauses and read as null."""
    return value if type(value) in _PLAIN else msgspec.to_builtins(value, enc_hook=lambda _: None)


def _short(value: Any) -> Any:
    """A value fit for every line of a log: numbers and text; of a long list only how many."""
    if isinstance(value, str):
        return value if len(value) <= 80 else value[:79] + "…"
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        few = len(value) <= 8 and all(type(one) in _PLAIN for one in value)
        return [_short(one) for one in value] if few else f"{len(value)} items"
    return "an array" if isinstance(value, np.ndarray) else type(value).__name__
