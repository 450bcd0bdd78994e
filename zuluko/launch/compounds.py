"""Shapes made of shapes: lists, mappings, records of known keys, and alternatives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zuluko.document import nearest
from zuluko.launch.options import loosened
from zuluko.launch.shapes import Duration, MisfitError, Shape, Size, misfit, schema_of


@dataclass(frozen=True)
class Listed:
    """A list of one shape; text that was typed may be ``a,b``."""

    item: Shape
    words: str = "a list"
    example: str = "[a, b]"

    def read(self, name: str, value: Any) -> Any:
        found = loosened(value, listed=True)
        if not isinstance(found, list):
            raise misfit(name, value, self)
        return [_within(number, self.item, name, item) for number, item in enumerate(found)]

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": schema_of(self.item)}


@dataclass(frozen=True)
class Mapped:
    """A mapping of names to one shape."""

    value: Shape
    keys: str = r"[A-Za-z_][A-Za-z0-9_-]*"
    words: str = "a mapping of names to values"
    example: str = "{name: value}"

    @property
    def _letters(self) -> str:
        dash = ", - and _" if "-]" in self.keys else " and _"
        return f"letters, digits{dash}, a letter first"

    def read(self, name: str, value: Any) -> Any:
        if not isinstance(value, dict):
            raise misfit(name, value, self)
        for key in value:
            if not re.fullmatch(self.keys, key):
                what = f"`{key}` cannot be a name in `{name}`; expected {self._letters}"
                raise MisfitError(what, (key,), key=True)
        return {key: _within(key, self.value, key, inner) for key, inner in value.items()}

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{self.keys}$"},
            "additionalProperties": schema_of(self.value),
        }


@dataclass(frozen=True)
class Field:
    shape: Shape
    help: str = ""
    required: bool = False


@dataclass(frozen=True)
class Record:
    """A mapping of known keys, each with its own shape."""

    fields: Mapping[str, Field]
    example: str
    words: str = field(default="")

    def read(self, name: str, value: Any) -> Any:
        if not isinstance(value, dict):
            raise misfit(name, value, self)
        for key in value:
            if key not in self.fields:
                hint = nearest(key, self.fields) or f"; expected: {', '.join(self.fields)}"
                raise MisfitError(f"`{name}` has no key `{key}`{hint}", (key,), key=True)
        for key, known in self.fields.items():
            if known.required and key not in value:
                raise MisfitError(f"`{name}` needs `{key}`; try `{name}: {self.example}`")
        return {key: _within(key, self.fields[key].shape, key, inner) for key, inner in value.items()}

    def schema(self) -> dict[str, Any]:
        required = [key for key, known in self.fields.items() if known.required]
        return {
            "type": "object",
            "properties": {key: described(known.shape, known.help) for key, known in self.fields.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


@dataclass(frozen=True)
class Either:
    """One of several shapes; a mapping or a list is read by the shape that takes such."""

    shapes: tuple[Shape, ...]
    words: str
    example: str

    def read(self, name: str, value: Any) -> Any:
        for shape in self.shapes:
            if isinstance(shape, _TAKES.get(type(value), ())):
                return shape.read(name, value)
        said = misfit(name, value, self)
        for shape in self.shapes:
            try:
                return shape.read(name, value)
            except MisfitError as error:
                if isinstance(shape, (Size, Duration)):
                    said = error  # it says what is wrong with the unit
        raise said

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


_TAKES: Mapping[type, tuple[type, ...]] = {dict: (Record, Mapped), list: (Listed,)}


def described(shape: Shape, help: str) -> dict[str, Any]:
    return {**schema_of(shape), **({"description": help} if help else {})}


def _within(step: str | int, shape: Shape, name: str, value: Any) -> Any:
    try:
        return shape.read(name, value)
    except MisfitError as error:
        raise MisfitError(str(error), (step, *error.path), key=error.key) from None
