"""The command that a rule gives: the fields written in YAML, checked against the actuator's Command type."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from zuluko.bus.message import Command
from zuluko.document import nearest, seconds
from zuluko.messages import LockCommand

ENGINES = ("id", "to", "stamp")  # the fields that the engine fills in
LEAST: Mapping[tuple[type[Command], str], float] = {(LockCommand, "open_for"): 0.0}  # what a field must reach


def fields_of(kind: type[Command]) -> dict[str, Any]:
    """The fields that a rule may give a command, and their annotations."""
    return {field.name: field.type for field in msgspec.structs.fields(kind) if field.name not in ENGINES}


def read(
    kind: type[Command], given: Mapping[str, Any], *, rule: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields converted to their types, and by key what is wrong (under "" what concerns the whole).

    A duration such as 5s stands for its seconds where a number is wanted. A command with a field ``reason``
    that is not given one gets the rule's name.
    """
    types = fields_of(kind)
    found: dict[str, Any] = {"reason": rule} if "reason" in types else {}
    wrong = {}
    for key, value in given.items():
        try:
            found[key] = _field(kind, key, value, types)
        except ValueError as error:
            wrong[key] = str(error)
    missing = [field.name for field in msgspec.structs.fields(kind) if field.required]
    missing = [name for name in missing if name not in (*given, *ENGINES)]
    if missing:
        wrong[""] = f"{kind.__name__} needs `{missing[0]}`"
    return found, wrong


def _field(kind: type[Command], key: str, value: Any, types: Mapping[str, Any]) -> Any:
    if key in ENGINES:
        raise ValueError(f"`{key}` is filled in when the rule fires; leave it out")
    if key not in types:
        near = nearest(key, types) or "; it has " + ", ".join(types)
        raise ValueError(f"{kind.__name__} has no field `{key}`{near}")
    if isinstance(value, str) and types[key] in (float, float | None):
        return seconds(value)
    try:
        found = msgspec.convert(value, types[key])
    except msgspec.ValidationError as error:
        raise ValueError(f"`{key}`: {error}, got `{value}`") from None
    if isinstance(found, float) and not LEAST.get((kind, key), -math.inf) <= found < math.inf:
        least = f"{LEAST[kind, key]:g} or more" if (kind, key) in LEAST else "a finite number"
        raise ValueError(f"`{key}` must be {least}, not `{value}`")
    return found
