"""``@rule``: a plain Python function as a rule, and as a node of a graph."""

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zuluko.actions.calls import Memory, Situation
from zuluko.actions.engine import Engine
from zuluko.actions.rule import Rule
from zuluko.actions.rules import run
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Stream
from zuluko.document import nearest
from zuluko.messages import Clause, Decision, Verdict

ITEM = "item"  # the parameter that takes an item of the ``any`` list

Function = Callable[..., bool | Command | None]
Node = Callable[..., Iterator[Decision | Command]]


class RuleError(TypeError):
    """A function that cannot be a rule; says which part of it, and what was expected."""


def rule(
    *,
    any: str = "",
    all: str = "",
    seen: tuple[int, int] = (1, 1),
    hold: float = 0.0,
    max_age: float = math.inf,
    cooldown: float = 0.0,
    again: float = math.inf,
    stale: Mapping[str, float] | None = None,
) -> Callable[[Function], Node]:
    """Makes a rule of a function; times are in seconds, and mean what they do in a rule file (``hold`` is
    ``for`` there).

    The function's first parameter is the message that is looked at, by its type; further ones are the latest
    of other topics. While one of those is missing or stale the rule is unknown, unless it may be None. A
    parameter ``item`` takes the items of the list that ``any`` or ``all`` names. Keyword-only parameters are
    configuration. It returns True, False or None (unknown), or a command, and None for no command.

    It must be pure: what it says may depend on nothing but what it is given. The node yields Decisions and
    the commands; ``node.function`` is the function itself. Raises RuleError.
    """

    def decorate(function: Function) -> Node:
        form = _form(function)
        known = Rule(
            name=function.__name__,
            when=form.driver,
            condition=_Condition(form, function),
            any=any,
            all=all,
            seen=seen[0],
            of=seen[1],
            hold=hold,
            max_age=max_age,
            cooldown=cooldown,
            again=again,
            stale=stale or {},
        )
        _check(known, form)
        return _node(known, form, function)

    return decorate


@dataclass(frozen=True)
class _Form:
    """What a function's annotations say.

    ``types``     by parameter, the message type; ``driver`` is the parameter of the message looked at
    ``order``     the parameters that are given by position, ``item`` among them
    ``optional``  those that may be None
    ``commands``  the types of the commands that it returns
    ``config``    the keyword-only parameters
    """

    name: str
    types: dict[str, type[Message]]
    driver: str
    order: tuple[str, ...]
    optional: frozenset[str]
    commands: tuple[type[Command], ...]
    config: tuple[inspect.Parameter, ...]


class _Condition:
    """A function as what must hold: one clause, which bears its name."""

    def __init__(self, form: _Form, function: Function) -> None:
        self.topics = frozenset(form.types)
        self._form, self._function = form, function

    def recall(self, memory: Memory, inputs: Mapping[str, Any], now: Situation) -> Mapping[str, Any]:
        return {}

    def evaluate(self, inputs: Mapping[str, Any], item: Any = None) -> tuple[Verdict, ...]:
        if any(name not in inputs for name in self.topics - self._form.optional):
            return ("unknown",)
        said = self._ask(inputs, item)
        if self._form.commands:
            return ("true" if said else "false",)
        return ("unknown" if said is None else "true" if said else "false",)

    def explain(
        self, verdicts: tuple[Verdict, ...], inputs: Mapping[str, Any], item: Any = None
    ) -> tuple[Clause, ...]:
        return (Clause(text=self._form.name, verdict=verdicts[0]),)

    def topics_of(self, number: int) -> frozenset[str]:
        return self.topics - self._form.optional

    def give(self, inputs: Mapping[str, Any], item: Any) -> Command | None:
        """The command that it returns."""
        said = self._ask(inputs, item)
        return said if isinstance(said, Command) else None

    def _ask(self, inputs: Mapping[str, Any], item: Any) -> bool | Command | None:
        said = self._function(*(item if name == ITEM else inputs.get(name) for name in self._form.order))
        if said is None or isinstance(said, self._form.commands or bool):
            return said
        expected = " or ".join(one.__name__ for one in self._form.commands or (bool,))
        raise RuleError(
            f"the rule `{self._form.name}` returned {said!r}; it is annotated to return {expected}"
        )


def _node(known: Rule, form: _Form, function: Function) -> Node:
    """The node function: its inputs are a stream of the driver and the latest of the others."""
    names = [name for name in form.order if name != ITEM]

    def node(*inputs: Any, **config: Any) -> Iterator[Decision | Command]:
        condition = _Condition(form, functools.partial(function, **config))
        given = dict(zip(names, inputs, strict=True))
        events = given.pop(form.driver)
        stream = events if isinstance(events, Stream) else Stream(events)
        engine = Engine([replace(known, condition=condition, give=condition.give)])
        return run(engine, stream, given, lambda topic: form.driver)

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    hints: dict[str, Any] = {
        name: Stream[form.types[name]] if name == form.driver else Latest[form.types[name]]  # type: ignore[name-defined]
        for name in names
    }
    yields = functools.reduce(lambda one, other: one | other, form.commands, Decision)  # type: ignore[arg-type, return-value]
    hints["return"] = Iterator[yields]  # type: ignore[valid-type]
    node.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, positional, annotation=hints[name]) for name in names] + list(form.config),
        return_annotation=hints["return"],
    )
    node.__annotations__ = {**{one.name: one.annotation for one in form.config}, **hints}
    node.__name__ = node.__qualname__ = function.__name__
    node.__module__, node.__doc__ = function.__module__, function.__doc__
    node.function = function  # type: ignore[attr-defined]
    return node


def _form(function: Function) -> _Form:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    taken = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    config = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
    if len(taken) + len(config) < len(parameters):
        raise RuleError(f"the rule `{function.__name__}` must name each of its inputs")
    types_, optional = {}, set()
    for one in taken:
        if one.name != ITEM:
            kinds = _choices(hints.get(one.name))
            types_[one.name] = _message(function, one.name, kinds)
            optional |= {one.name} if types.NoneType in kinds else set()
    if not types_:
        raise RuleError(f"the rule `{function.__name__}` needs a message to look at, as in `faces: Faces`")
    return _Form(
        function.__name__,
        types_,
        next(iter(types_)),
        tuple(one.name for one in taken),
        frozenset(optional),
        _commands(function, hints),
        tuple(one.replace(annotation=hints.get(one.name, Any)) for one in config),
    )


def _message(function: Function, name: str, kinds: tuple[Any, ...]) -> type[Message]:
    found = [one for one in kinds if isinstance(one, type) and issubclass(one, Message)]
    if len(found) != 1 or any(one not in (found[0], types.NoneType) for one in kinds):
        raise RuleError(
            f"`{name}` of the rule `{function.__name__}` must be annotated with one message type, as in "
            f"`{name}: Faces`; configuration comes after a `*`"
        )
    return found[0]


def _commands(function: Function, hints: Mapping[str, Any]) -> tuple[type[Command], ...]:
    kinds = [one for one in _choices(hints.get("return")) if one is not types.NoneType]
    commands = tuple(one for one in kinds if isinstance(one, type) and issubclass(one, Command))
    if not kinds or (kinds != [bool] and len(commands) < len(kinds)):
        raise RuleError(
            f"the rule `{function.__name__}` must be annotated to return bool, bool | None or a command, "
            "as in `-> LockCommand | None`"
        )
    return commands


def _check(known: Rule, form: _Form) -> None:
    """Raises RuleError where the decorator was given what cannot be."""
    said = f"the rule `{known.name}`"
    if not 1 <= known.seen <= known.of:
        raise RuleError(
            f"{said}: seen=({known.seen}, {known.of}) must be a number of true ones and of evaluations"
        )
    times = {"hold": known.hold, "max_age": known.max_age, "cooldown": known.cooldown, **known.stale}
    for name, value in times.items():
        if not value >= 0:
            raise RuleError(f"{said}: {name}={value} must be 0 or more, in seconds")
    if not known.again >= 0.01:
        raise RuleError(f"{said}: again={known.again} would fire without end; it must be 0.01 or more")
    if (ITEM in form.order) != bool(known.any or known.all) or (known.any and known.all):
        raise RuleError(f"{said}: a parameter `item` goes with any= or all=, the list whose items it takes")
    listed = known.any or known.all
    fields = form.types[form.driver].__struct_fields__
    if listed and listed not in fields:
        near = nearest(listed, fields) or f"; it has {', '.join(fields)}"
        raise RuleError(f"{said}: {form.types[form.driver].__name__} has no field `{listed}`{near}")
    for topic in known.stale:
        if topic not in form.types:
            raise RuleError(f"{said}: stale names `{topic}`, and it takes {', '.join(form.types)}")
    if known.max_age == math.inf and any(one.needs_fresh_evidence for one in form.commands):
        raise RuleError(
            f"{said} commands something and needs max_age, the age beyond which evidence must not act"
        )


def _choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the one type."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else () if hint is None else (hint,)
