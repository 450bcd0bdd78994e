"""Parameters of a rule file: what type each has, and values for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

KEYS = ("default", "type", "help")
TYPES: Mapping[str, Any] = {
    "text": str,
    "number": float,
    "whole number": int,
    "true or false": bool,
    "list": list,
    "list of text": list[str],
    "list of numbers": list[float],
    "mapping": dict,
}


@dataclass(frozen=True)
class Param:
    """A parameter: its value, what it is for, and the Python type (one of TYPES) that the value has.

    ``optional``  whether it may be null, because its default is
    """

    value: Any
    help: str = ""
    kind: Any = None
    optional: bool = False

    def given(self, value: Any) -> "Param":
        """The same with another value; raises ValueError, whose text says what it must be."""
        if value is None and self.optional:
            return Param(None, self.help, self.kind, optional=True)
        return Param(_convert(value, self.kind), self.help, self.kind, self.optional)


def read(name: str, spec: Any) -> Param:
    """The parameter that ``name: default`` or ``name: {default: ..., type: ..., help: ...}`` declares."""
    if not isinstance(spec, dict):
        spec = {"default": spec}
    if "default" not in spec:
        raise ValueError(f"`{name}` needs a `default:`, which also says of what type it is")
    default, named = spec["default"], spec.get("type")
    if named is not None and (not isinstance(named, str) or named not in TYPES):
        raise ValueError(f"`{name}`: there is no type `{named}`; there are {', '.join(TYPES)}")
    if named is None and default is None:
        raise ValueError(f"`{name}` is null unless given, and needs a `type:`, such as `type: list of text`")
    kind = TYPES[named] if named else _type_of(default)
    param = Param(None, str(spec.get("help", "")), kind, optional=default is None)
    try:
        return param.given(default)
    except ValueError as error:
        raise ValueError(f"the default of `{name}` must be {error}") from None


def types(declared: Any) -> dict[str, Any]:
    """By parameter, the Python type of its value, for what is typed on a command line; ``declared`` is what
    stands under ``params:``. What is declared wrongly is left out."""
    found = {}
    for name, spec in declared.items() if isinstance(declared, dict) else ():
        try:
            found[name] = read(name, spec).kind
        except ValueError:
            continue
    return found


def _type_of(default: Any) -> Any:
    """What a default says of the type: of a list, what all its items are."""
    if not isinstance(default, list):
        return type(default)
    if default and all(isinstance(item, str) for item in default):
        return list[str]
    numbers = [item for item in default if isinstance(item, (int, float)) and not isinstance(item, bool)]
    return list[float] if numbers and len(numbers) == len(default) else list


def _convert(value: Any, kind: Any) -> Any:
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        found = math.nan
    numbers = found if isinstance(found, list) else [found]
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        words = next(words for words, one in TYPES.items() if one == kind)
        raise ValueError(f"{_ARTICLES.get(words, 'a ')}{words}, not `{value}`")
    return str(found) if kind is str else found


_ARTICLES = {"text": "", "true or false": ""}
