"""Checks the calls of a clause, such as ``mean(front.range, "2s")``, before anything runs."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import inspect

from zuluko.actions import kinds
from zuluko.actions.calls import DAYS, NUMBERS, WINDOWS, Call, Found, find, minutes
from zuluko.actions.celtext import dotted
from zuluko.actions.celtext import read as read_paths
from zuluko.actions.clauses import ITEM, cel
from zuluko.bus.message import Message
from zuluko.document import seconds

FORMS: Mapping[str, str] = {
    "age": "age(lock), with a topic",
    "between": 'between("22:00", "06:00"), with two times of day',
    "weekday": "weekday()",
    "hysteresis": "hysteresis(a number, 19.0, 21.0)",
    "now": "now",
    **{name: f'{name}(a number, "2s")' for name in WINDOWS},
}
_COUNTS = {"age": 1, "between": 2, "weekday": 0, "hysteresis": 3, "now": 0, **dict.fromkeys(WINDOWS, 2)}


def read(
    text: str, found: Iterable[Found], scope: kinds.Scope, constants: Mapping[str, Any]
) -> tuple[list[Call], list[str]]:
    """The calls of a clause, and sentences about those that are wrong."""
    calls, wrong = [], []
    for one in found:
        try:
            calls.append(_call(text[one.start : one.end], one, scope, constants))
        except ValueError as error:
            wrong.append(str(error))
    return calls, wrong


def formula(text: str, found: Iterable[Found], calls: Iterable[Call]) -> str:
    """The clause with variables in the place of its calls; empty where it has none."""
    parts, at = [], 0
    for one, call in zip(found, calls, strict=True):
        parts += [text[at : one.start], call.name]
        at = one.end
    return "".join([*parts, text[at:]]) if parts else ""


def kind_of(function: str) -> kinds.Kind:
    """The kind of what a call gives."""
    if function == "weekday":
        return inspect.LiteralType(DAYS)
    return inspect.FloatType() if function in NUMBERS else inspect.BoolType()


def written(problem: str, calls: Iterable[Call]) -> str:
    """A sentence with the calls as they stand in the clause."""
    for call in calls:
        problem = problem.replace(call.name, call.text)
    return problem


def _call(text: str, found: Found, scope: kinds.Scope, constants: Mapping[str, Any]) -> Call:
    function, arguments = found.function, found.arguments
    if len(arguments) != _COUNTS[function]:
        raise ValueError(f"`{text}` must read {FORMS[function]}")
    for argument in arguments:
        if inner := next(find(argument), None):
            raise ValueError(
                f"`{text}`: `{inner.function}` cannot stand within `{function}`; make two clauses"
            )
    name = f"called_{zlib.crc32(text.encode()):08x}"
    if function == "age":
        return Call(text, name, function, _topic(arguments[0], scope))
    if function in ("between", "weekday", "now"):
        return Call(text, name, function, "", tuple(minutes(_fixed(one, constants)) for one in arguments))
    subject, *others = arguments
    if any(path[0] == ITEM for path in read_paths(subject).paths):
        raise ValueError(f"`{text}`: items come and go, so `{function}` is about a message, not about `item`")
    return Call(text, name, function, subject, _settings(text, function, others, constants))


def _topic(text: str, scope: kinds.Scope) -> str:
    paths = read_paths(text).paths
    if len(paths) == 1 and dotted(paths[0]) == text:
        try:
            kind = kinds.resolve(paths[0], scope)
        except kinds.KindError as error:
            raise ValueError(str(error)) from None
        if (isinstance(kind, inspect.StructType) and issubclass(kind.cls, Message)) or kind is kinds.ANY:
            return text
    raise ValueError(f"`age({text})` must read {FORMS['age']}, such as those of `when`")


def _settings(text: str, function: str, others: list[str], constants: Mapping[str, Any]) -> tuple[float, ...]:
    values = [_fixed(one, constants) for one in others]
    if function in WINDOWS:
        window = seconds(values[0])
        if window <= 0:
            raise ValueError(f"`{text}` looks back for no time at all; write how long, such as 2s")
        return (window,)
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values):
        raise ValueError(f"`{text}` must read {FORMS[function]}")
    low, high = values
    if low >= high:
        raise ValueError(f"`{text}` goes off at {low:g} and on at {high:g}; the first must be the smaller")
    return (float(low), float(high))


def _fixed(text: str, constants: Mapping[str, Any]) -> Any:
    """The value of an argument that does not change."""
    try:
        return cel().compile(text).execute(dict(constants))
    except (LookupError, RuntimeError, TypeError, ValueError, ArithmeticError):
        raise ValueError(f"`{text}` changes; it must be a value, or a parameter") from None
