"""Parameters of a launch file: what each is called, its default, its type and what it is for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zuluko.document import nearest
from zuluko.launch.compounds import Field, Listed, Record
from zuluko.launch.graph import Param
from zuluko.launch.options import MISSING, Lacking, Text, loosened, written
from zuluko.launch.places import Say
from zuluko.launch.shapes import (
    Anything,
    Choice,
    Duration,
    Flag,
    MisfitError,
    Number,
    Numeric,
    Shape,
    Whole,
    Words,
)

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
TYPES: Mapping[str, Shape] = {
    "int": Whole(example="15"),
    "float": Number(example="1.5"),
    "text": Words(example="demo"),
    "bool": Flag(),
    "duration": Duration(positive=False),
    "path": Words("a path", "people"),
    "list": Listed(Anything(), words="a list such as [a, b]"),
}
SPEC = Record(
    {
        "default": Field(Anything(), "what it is unless `--set` says otherwise; none: it must be given"),
        "type": Field(Choice(tuple(TYPES)), "what a value must be; unless given, what the default is"),
        "help": Field(Words(), "what it is for, as `zuluko up FILE --help` tells"),
    },
    '{default: 15, type: float, help: "pictures a second"}',
)


@dataclass(frozen=True)
class Given:
    """A value for a parameter from outside its file, and whom to tell that it does not fit."""

    value: Any
    tell: Callable[[str], None]


def read(declared: Any, say: Say) -> dict[str, Param]:
    """The parameters under `params:`: `name: default`, or `name: {default: ..., type: ..., help: ...}`."""
    if declared is not None and not isinstance(declared, dict):
        say(("params",), "`params` must be a mapping of names to defaults; try `params: {hz: 15}`")
        return {}
    found = {}
    for name, value in (declared or {}).items():
        try:
            found[name] = _param(name, value)
        except MisfitError as error:
            say(("params", name, *error.path), str(error), key=error.key)
            found[name] = Param(MISSING)
    return found


def values(file: str, params: Mapping[str, Param], given: Mapping[str, Given], say: Say) -> dict[str, Any]:
    """What each parameter is: its default, or what was ``given``, checked against its type."""
    found = {name: param.default for name, param in params.items()}
    for name, one in given.items():
        if name not in params:
            known = f"; its parameters are: {', '.join(params)}" if params else "; it has none"
            one.tell(f"`{name}` is no parameter of {file}{nearest(name, params) or known}")
            continue
        try:
            found[name] = _fitting(name, one.value, params[name])
        except MisfitError as error:
            one.tell(str(error))
            found[name] = MISSING
    for name, param in params.items():
        if param.required and name not in given:
            example = f"try --set {name}={shape(param).example}"
            say(("params", name), f"`{name}` has no default and was not given; {example}", key=True)
            found[name] = MISSING
    return found


def shape(param: Param) -> Shape:
    """What a value of the parameter must be. A default such as 15 asks for a number, be it whole or not."""
    if param.type not in TYPES:
        return Anything()
    found = Numeric() if param.inferred and param.type in ("int", "float") else TYPES[param.type]
    if param.default in (None, MISSING):
        return found
    return replace(found, example=written(param.default))  # type: ignore[type-var]


def plain(param: Param, value: Any) -> Any:
    """A parameter's value as a condition reads it: of what was typed, what its type makes of it."""
    if value is MISSING or isinstance(value, Lacking):
        return MISSING
    if _is_null(value, param):
        return None
    if param.type == "duration" or isinstance(value, Text):
        return shape(param).read("", value) if param.type else loosened(value)
    return value


def listing(params: Mapping[str, Param]) -> list[tuple[str, str, str]]:
    """Each parameter as it is typed, what it must be, and what it is for."""
    return [
        (f"{name}={'' if param.required else written(param.default)}", _kind(param), param.help)
        for name, param in params.items()
    ]


def _kind(param: Param) -> str:
    kind = "number" if isinstance(shape(param), Numeric) else param.type
    return f"{kind}, required" if param.required else kind


def _param(name: str, value: Any) -> Param:
    if not re.fullmatch(NAME, name):
        what = f"`{name}` cannot name a parameter; expected letters, digits and _, a letter first"
        raise MisfitError(what, key=True)
    spec = SPEC.read(name, value) if isinstance(value, dict) else {"default": value}
    default, named = spec.get("default"), spec.get("type", "")
    if "default" not in spec and not named:
        what = f"`{name}` has neither a default nor a type; expected one of them"
        raise MisfitError(f"{what}; try `{name}: {{type: text}}`")
    if named and default is not None and not (isinstance(default, str) and "$env:" in default):
        try:
            TYPES[named].read("default", default)
        except MisfitError as error:
            raise MisfitError(str(error), ("default", *error.path)) from None
    return Param(
        default,
        spec.get("help", ""),
        named or _inferred(default),
        inferred=not named,
        required="default" not in spec,
    )


def _inferred(default: Any) -> str:
    """The type that a default speaks of; empty where it says nothing."""
    if isinstance(default, str) and not default[:1].isdigit():
        return "text"
    for name in ("bool", "int", "float", "duration", "list", "text"):
        try:
            TYPES[name].read(name, default)
            return name
        except MisfitError:
            continue
    return ""


def _fitting(name: str, value: Any, param: Param) -> Any:
    """The value, where it fits; what was typed stays so: the option that it is for makes something of it."""
    if value is not MISSING and not isinstance(value, Lacking) and not _is_null(value, param):
        shape(param).read(name, value)
    return value


def _is_null(value: Any, param: Param) -> bool:
    """Whether it is null, and may be, because its default is."""
    null = value is None or (isinstance(value, Text) and value == "null")
    return null and param.default is None and not param.required
