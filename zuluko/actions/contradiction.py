"""Clauses that can never be true together: ``a > 5 && a < 3``, in one clause or in two of one rule."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zuluko.actions.celtext import Token, tokens

_OPERATORS = frozenset("+-*/%!<>=,")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True)
class Bound:
    """``path sign value``, as in ``item.score >= 0.5``."""

    path: str
    sign: str
    value: Any

    def __str__(self) -> str:
        return f"{_WORDS[self.sign]} {self.value!r}".replace("'", '"')


_WORDS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "equal to"}


def find(formulas: Iterable[str], constants: Mapping[str, Any]) -> tuple[int, str] | None:
    """The number of the first clause that contradicts itself or one before it, and the sentence about it."""
    before: list[Bound] = []
    for number, formula in enumerate(formulas):
        for bound in _bounds(formula, constants):
            for other in before:
                if other.path == bound.path and _exclude(other, bound):
                    said = f"`{bound.path}` can never be {other} and {bound} at the same time"
                    return number, f"{said}, so this rule never fires; look at both clauses"
            before.append(bound)
    return None


def _exclude(one: Bound, other: Bound) -> bool:
    """Whether no value keeps within both bounds."""
    if isinstance(one.value, str) or isinstance(other.value, str):
        return one.sign == other.sign == "==" and one.value != other.value
    low, high = -math.inf, math.inf
    open_low = open_high = False
    for bound in (one, other):
        if bound.sign in (">", ">=", "==") and bound.value >= low:
            open_low = bound.sign == ">" or (open_low and bound.value == low)
            low = bound.value
        if bound.sign in ("<", "<=", "==") and bound.value <= high:
            open_high = bound.sign == "<" or (open_high and bound.value == high)
            high = bound.value
    return low > high or (low == high and (open_low or open_high))


def _bounds(formula: str, constants: Mapping[str, Any]) -> Iterator[Bound]:
    """The bounds of a clause that is nothing but parts joined by ``&&``, where all of them must hold."""
    parts: list[list[Token]] = [[]]
    listed = tokens(formula)
    for at, token in enumerate(listed):
        is_index = token.text == "[" and [one.kind for one in listed[at + 1 : at + 2]] == ["number"]
        if token.kind == "sign" and token.text in ("||", "?", "(", "[", "{") and not is_index:
            return  # it may be true otherwise, or be about more than one value
        if token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    for part in parts:
        if bound := _bound(part, constants):
            yield bound


def _bound(part: list[Token], constants: Mapping[str, Any]) -> Bound | None:
    at = next((at for at, token in enumerate(part) if token.text in _TURNED), None)
    if at is None:
        return None
    sign, left, right = part[at].text, part[:at], part[at + 1 :]
    value = _value(right, constants)
    if value is None:
        value, left, sign = _value(left, constants), right, _TURNED[sign]
    path = "".join(token.text for token in left)
    is_path = bool(left) and left[0].kind == "word" and not left[0].is_literal
    known = value is not None and is_path and not any(token.text in _OPERATORS for token in left)
    return Bound(path, sign, value) if known else None


def _value(side: list[Token], constants: Mapping[str, Any]) -> Any:
    """The number or text that a side is, or None."""
    minus = len(side) == 2 and side[0].text == "-"
    last = side[-1] if len(side) == 1 or minus else None
    if last is None:
        return None
    value = last.value if last.is_literal else constants.get(last.text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return -value if minus else value
    return value if isinstance(value, str) and not minus and "\\" not in last.text else None
