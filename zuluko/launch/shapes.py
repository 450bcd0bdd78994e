"""What may stand under a key of a launch file: read from YAML, told in a sentence, and as JSON Schema.

One table of shapes serves the reader and the schema that editors use, so that the two cannot differ.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

from zuluko import document
from zuluko.document import nearest
from zuluko.launch.options import is_secret, loosened, shown
from zuluko.launch.places import Place

BYTES = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}  # as memory is sold
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)", re.ASCII)
VARIABLE = {"$ref": "#/$defs/variable"}


class MisfitError(ValueError):
    """A value that does not fit; ``path`` leads to it within the value that was read."""

    def __init__(self, what: str, path: Place = (), *, key: bool = False) -> None:
        super().__init__(what)
        self.path, self.key = path, key


class Shape(Protocol):
    """``words`` say what is expected, ``example`` is one as it stands in a file."""

    @property
    def words(self) -> str: ...

    @property
    def example(self) -> str: ...

    def read(self, name: str, value: Any) -> Any:
        """The value in Python's terms; raises MisfitError, whose sentence begins with ``name``."""

    def schema(self) -> dict[str, Any]: ...


def misfit(name: str, value: Any, shape: Shape) -> MisfitError:
    """What is told of a value: what it is, what was expected, what to write."""
    return MisfitError(f"`{name}` is {shown(value)}; expected {shape.words}; try `{name}: {shape.example}`")


def schema_of(shape: Shape) -> dict[str, Any]:
    """The shape, or a variable that stands for it."""
    return {"anyOf": [shape.schema(), VARIABLE]}


@dataclass(frozen=True)
class Flag:
    words: str = "true or false"
    example: str = "false"

    def read(self, name: str, value: Any) -> Any:
        found = loosened(value)
        if isinstance(found, bool):
            return found
        raise misfit(name, value, self)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Whole:
    """A whole number from ``low`` to ``high``, if they are given."""

    low: int | None = None
    high: int | None = None
    example: str = "1"

    @property
    def words(self) -> str:
        if self.low is None:
            return "a whole number"
        limits = f"of {self.low} or more" if self.high is None else f"from {self.low} to {self.high}"
        return f"a whole number {limits}"

    def read(self, name: str, value: Any) -> Any:
        found = loosened(value)
        low, high = self.low if self.low is not None else found, self.high if self.high is not None else found
        if isinstance(found, int) and not isinstance(found, bool) and low <= found <= high:
            return found
        raise misfit(name, value, self)

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.low, "maximum": self.high}
        return {"type": "integer", **{key: limit for key, limit in limits.items() if limit is not None}}


@dataclass(frozen=True)
class Number:
    """A number; with ``positive``, one above 0."""

    positive: bool = False
    example: str = "0.5"

    @property
    def words(self) -> str:
        return "a number above 0" if self.positive else "a number"

    def read(self, name: str, value: Any) -> Any:
        found = loosened(value)
        good = isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)
        if good and (found > 0 or not self.positive):
            return found
        raise misfit(name, value, self)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", **({"exclusiveMinimum": 0} if self.positive else {})}


@dataclass(frozen=True)
class Duration:
    """A duration with its unit, read as seconds."""

    positive: bool = True
    words: str = "a duration such as 200ms, 5s, 2min or 1h"
    example: str = "200ms"

    def read(self, name: str, value: Any) -> Any:
        try:
            length = document.seconds(loosened(value))
        except ValueError as error:
            if is_secret(value):
                raise misfit(name, value, self) from None
            raise MisfitError(f"`{name}`: {error}") from None
        if self.positive and length <= 0:
            what = f"`{name}` is {shown(value)}; expected a duration longer than 0"
            raise MisfitError(f"{what}; try `{name}: {self.example}`")
        return length

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(us|ms|s|min|h)$"}


@dataclass(frozen=True)
class Size:
    """An amount of memory with its unit, read as bytes."""

    words: str = "a size such as 800KB, 100MB or 1.5GB"
    example: str = "100MB"

    def read(self, name: str, value: Any) -> Any:
        plain = loosened(value)
        if isinstance(plain, (int, float)) and not isinstance(plain, bool) and not is_secret(value):
            what = f"`{name}` is {shown(value)}, and a size needs its unit; expected {self.words}"
            raise MisfitError(f"{what}; try `{name}: {plain}MB`")
        found = _SIZE.fullmatch(plain) if isinstance(plain, str) else None
        if found is None or found[2] not in BYTES or not float(found[1]):
            raise misfit(name, value, self)
        return float(found[1]) * BYTES[found[2]]

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(KB|MB|GB)$"}


@dataclass(frozen=True)
class Words:
    """Text; ``pattern`` says which."""

    words: str = "text"
    example: str = "word"
    pattern: str = ""

    def read(self, name: str, value: Any) -> Any:
        if type(value) in (int, float) and not self.pattern:
            return str(value)
        if isinstance(value, str) and re.fullmatch(self.pattern or r"(?s).*", value):
            return value
        raise misfit(name, value, self)

    def schema(self) -> dict[str, Any]:
        pattern = {"type": "string", "pattern": f"^{self.pattern}$"}
        return pattern if self.pattern else {"type": ["string", "number"]}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"one of {', '.join(self.choices)}"

    @property
    def example(self) -> str:
        return self.choices[0]

    def read(self, name: str, value: Any) -> Any:
        if value in self.choices:
            return value
        near = nearest(value, self.choices) if isinstance(value, str) else ""
        what = f"`{name}` is {shown(value)}; expected {self.words}"
        raise MisfitError(what + (near or f"; try `{name}: {self.example}`"))

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class Numeric:
    """What a default such as 15 speaks of: a number; where that is a time, a duration will do as well."""

    words: str = "a number"
    example: str = "15"

    def read(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value[:1].isdigit() and not isinstance(loosened(value), (int, float)):
            return Duration(positive=False).read(name, value)
        return Number(example=self.example).read(name, value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Number().schema(), Duration().schema()]}


@dataclass(frozen=True)
class Anything:
    """Any value, or any but a mapping: what it is for says what it must be."""

    words: str = "a value"
    example: str = "1"
    mappings: bool = True

    def read(self, name: str, value: Any) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {} if self.mappings else {"not": {"type": "object"}}
