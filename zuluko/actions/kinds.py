"""Kinds: what a clause may read, by type. Finds a field's type by its path, and makes sample values of it."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from zuluko.actions.celtext import Path, dotted
from zuluko.bus.message import Message
from zuluko.bus.np import np
from zuluko.document import nearest

Kind = inspect.Type | dict[str, "Kind"]  # a dict holds the topics of a node that has several
Scope = Mapping[str, Kind]

ANY = inspect.AnyType()
LIST = inspect.ListType(ANY)
SAMPLES = 12  # enough for each text, number and choice below to meet each other

_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_WORDS = ("text", "", "Ana")
_NUMBERS = (0.5, -1.0, 2.0, 100.0)  # without 0, because 0.0 / 0.0 is NaN, which CEL refuses to compare
_NAMES: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.NoneType: "null",
    inspect.DictType: "a mapping",
    inspect.AnyType: "anything",
}


class KindError(ValueError):
    """A path that leads nowhere; the message is a sentence that says what there is instead."""


def of_topic(types: type[Message] | tuple[type[Message], ...]) -> Kind:
    """The kind of a topic's messages; of several types, what one of them has may be read."""
    one = types if isinstance(types, type) else types[0] if len(types) == 1 else None
    return inspect.type_info(one) if one else ANY


def of_value(value: object) -> Kind:
    """The kind of a parameter, from its default; of a list, what its first item is."""
    if value is None:
        return ANY
    if isinstance(value, (list, tuple)):
        kind = of_value(value[0]) if value else ANY
        return inspect.ListType(kind if isinstance(kind, inspect.Type) else ANY)
    return inspect.type_info(type(value)) if isinstance(value, (bool, int, float, str, dict)) else ANY


def of_param(kind: Any, value: object) -> Kind:
    """The kind of a parameter: of its value, or, where that is null or an empty list, of its type."""
    return inspect.type_info(kind) if value in (None, []) and kind is not list else of_value(value)


def scope_of(topics: Mapping[str, Kind], others: Mapping[str, Kind]) -> dict[str, Kind]:
    """The variables of a clause; the topic ``planner.path`` is a field ``path`` of ``planner``."""
    scope: dict[str, Kind] = {}
    for topic, kind in topics.items():
        node, _, output = topic.partition(".")
        if not output:
            scope[node] = kind
            continue
        outputs = scope.setdefault(node, {})
        if isinstance(outputs, dict):
            outputs[output] = kind
    return {**scope, **others}


def resolve(path: Path, scope: Scope) -> Kind:
    """The kind of what a path reads; raises KindError."""
    if path[0] == "item" and "item" not in scope:
        raise KindError("`item` needs `any:`, the list field whose items it stands for, as in `any: items`")
    if path[0] not in scope:
        known = ", ".join(sorted(scope))
        raise KindError(
            f"`{path[0]}` is nothing known here{nearest(path[0], scope) or f'; there is {known}'}"
        )
    kind: Kind = scope[path[0]]
    for at, step in enumerate(path[1:], 1):
        kind = _element(kind) if step == "[]" else _field(kind, step, path[:at])
    if isinstance(kind, inspect.CustomType) and kind.cls is np.ndarray:
        raise KindError(f"`{dotted(path)}` is an array; clauses read numbers, text and lists")
    return kind


def element(kind: Kind) -> Kind | None:
    """The kind of a list's items, or None where it is no list."""
    return _element(kind) if isinstance(kind, (*_LISTS, inspect.TupleType)) else None


def describe(kind: Kind) -> str:
    """``text``, ``a number``, ``a list`` ..., for a sentence."""
    if isinstance(kind, inspect.StructType):
        return kind.cls.__name__
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(map(str, kind.values))
    if isinstance(kind, (*_LISTS, inspect.TupleType)):
        return "a list"
    if isinstance(kind, inspect.UnionType):
        return " or ".join(map(describe, kind.types))
    return _NAMES.get(type(kind), "a node of several topics" if isinstance(kind, dict) else "something else")


def is_vague(kind: Kind) -> bool:
    """Whether a value may be of several types, so that a sample of one proves nothing about the others."""
    if isinstance(kind, inspect.UnionType):
        return len([one for one in kind.types if not isinstance(one, inspect.NoneType)]) > 1
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return is_vague(kind.item_type)
    return isinstance(kind, (inspect.AnyType, inspect.CustomType))


def is_open(path: Path, scope: Scope) -> bool:
    """Whether a path leads through a mapping, whose keys only the data knows."""
    return any(isinstance(resolve(path[:depth], scope), inspect.DictType) for depth in range(1, len(path)))


def mismatch(kind: Kind, literal: object) -> str:
    """Why a value of this kind can never equal the literal, or nothing."""
    kind = _without_none(kind)
    if isinstance(kind, inspect.LiteralType) and literal not in kind.values and literal is not None:
        choices = [str(value) for value in kind.values]
        return f"is {describe(kind)}, never `{literal}`{nearest(str(literal), choices)}"
    takes = _COMPARES.get(type(kind))
    if takes is None or literal is None or takes(literal):
        return ""
    return f"is {describe(kind)}, and can never equal {_NAMES[type(inspect.type_info(type(literal)))]}"


def unlike(one: Kind, other: Kind) -> bool:
    """Whether values of two kinds can never be equal."""
    sorts = [_SORTS.get(type(_without_none(kind))) for kind in (one, other)]
    return None not in sorts and sorts[0] != sorts[1]


def beyond(kind: Kind, index: int) -> str:
    """Why a list of this kind never has an item of that number, or nothing."""
    length = len(kind.item_types) if isinstance(kind := _without_none(kind), inspect.TupleType) else None
    if index >= 0 and (length is None or index < length):
        return ""
    last = f"0 to {length - 1}" if length else "0 on"
    return f"has no item {index}; they count from {last}"


def sample(kind: Kind, number: int) -> Any:
    """A value of this kind as CEL is given it; another for each ``number``, always the same."""
    if isinstance(kind, dict):
        return {name: sample(inner, number + at) for at, (name, inner) in enumerate(kind.items())}
    kind = _without_none(kind)
    make = _SAMPLES.get(type(kind))
    return make(kind, number) if make else None


def _field(kind: Kind, name: str, owner: Path) -> Kind:
    if isinstance(kind, dict):
        fields: dict[str, Kind] = kind
    elif isinstance(kind, inspect.StructType):
        fields = {field.name: field.type for field in kind.fields}
    else:
        return _loose_field(_without_none(kind), name, owner)
    if name not in fields:
        near = nearest(name, fields) or "; it has " + ", ".join(fields)
        raise KindError(f"`{dotted(owner)}` has no field `{name}`{near}")
    return fields[name]


def _loose_field(kind: inspect.Type, name: str, owner: Path) -> Kind:
    if isinstance(kind, inspect.StructType):
        return _field(kind, name, owner)
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    if is_vague(kind):
        return ANY
    if element(kind) is not None:
        hint = f"`{dotted(owner)}.exists(x, x.{name} ...)` asks whether one of them has"
        raise KindError(f"`{dotted(owner)}` is a list and has no field `{name}`; {hint}")
    raise KindError(f"`{dotted(owner)}` is {describe(kind)} and has no field `{name}`")


def _element(kind: Kind) -> Kind:
    kind = kind if isinstance(kind, dict) else _without_none(kind)
    if isinstance(kind, _LISTS):
        return kind.item_type
    if isinstance(kind, inspect.TupleType):
        first = kind.item_types[0] if kind.item_types else ANY
        return first if all(one == first for one in kind.item_types) else ANY
    return kind.value_type if isinstance(kind, inspect.DictType) else ANY


def _without_none(kind: Any) -> Any:
    """``float | None`` as ``float``: a missing value is unknown when the clause is evaluated."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
    return kinds[0] if len(kinds) == 1 else kind


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_COMPARES: dict[type, Callable[[object], bool]] = {
    inspect.StrType: lambda value: isinstance(value, str),
    inspect.BoolType: lambda value: isinstance(value, bool),
    inspect.IntType: _is_number,
    inspect.FloatType: _is_number,
    inspect.ListType: lambda value: False,
    inspect.VarTupleType: lambda value: False,
    inspect.TupleType: lambda value: False,
    inspect.StructType: lambda value: False,
}
_SORTS: dict[type, str] = {
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.IntType: "a number",
    inspect.FloatType: "a number",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.TupleType: "a list",
    inspect.StructType: "a mapping",
    inspect.DictType: "a mapping",
}
_SAMPLES: dict[type, Callable[[Any, int], Any]] = {
    inspect.BoolType: lambda kind, n: n % 2 == 0,
    inspect.IntType: lambda kind, n: n % 4,
    inspect.FloatType: lambda kind, n: _NUMBERS[n % len(_NUMBERS)],
    inspect.StrType: lambda kind, n: _WORDS[n % len(_WORDS)],
    inspect.LiteralType: lambda kind, n: kind.values[n % len(kind.values)],
    inspect.EnumType: lambda kind, n: _plain(list(kind.cls)[n % len(kind.cls)]),
    inspect.ListType: lambda kind, n: [sample(kind.item_type, n + at) for at in range(n % 3)],
    inspect.VarTupleType: lambda kind, n: [sample(kind.item_type, n + at) for at in range(n % 3)],
    inspect.TupleType: lambda kind, n: [sample(one, n + at) for at, one in enumerate(kind.item_types)],
    inspect.DictType: lambda kind, n: {_WORDS[0]: sample(kind.value_type, n)},
    inspect.UnionType: lambda kind, n: sample(kind.types[n % len(kind.types)], n),
    inspect.StructType: lambda kind, n: {
        field.name: sample(field.type, n + at) for at, field in enumerate(kind.fields)
    },
}


def _plain(value: enum.Enum) -> Any:
    return msgspec.to_builtins(value)
