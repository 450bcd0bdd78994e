"""Why a clause is false, and by how much: its text taken apart into comparisons of values that are known.

Nothing is guessed. A comparison counts only where both of its sides can be worked out from what the clause
read and where it then is what its verdict says; of all else nothing is said, and the values speak.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from zuluko.actions.celtext import Token, tokens
from zuluko.document import printable

_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda one, many: one in many,
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_CONSTANTS = {"true": True, "false": False, "null": None}
_COUNT = re.compile(r"([0-9]+) items")  # what a Decision tells of a long list


class Shortfall(msgspec.Struct, kw_only=True, frozen=True):
    """One comparison that is false.

    ``text``   the comparison, as it stands in the clause
    ``name``   its left side, ``sign`` what stands between, ``right`` its right side
    ``value``  what the left side was, ``limit`` the right one
    ``by``     how far apart they were, of two numbers
    """

    text: str
    name: str
    sign: str
    right: str
    value: Any
    limit: Any
    by: float | None = None

    @property
    def sentence(self) -> str:
        """The same in words: ``similarity 0.41 is below 0.45 (short by 0.04)``."""
        name = self.name.removeprefix("item.")
        value, limit = _pair(self.value, self.limit, self.by)
        limit = limit if self.right == limit or _is_literal(self.right) else f"{self.right} {limit}"
        if self.sign == "in":
            return f"{name} {value} is not in {limit}"
        if self.sign == "!=":
            return f"{name} is {'empty' if self.value == '' else value}"
        if self.sign == "==":
            return f"{name} is {value}, not {limit}"
        if not self.by:
            return f"{name} {value} is not {'below' if self.sign == '<' else 'above'} {limit}"
        words = ("below", "short") if self.value < self.limit else ("above", "over")
        return f"{name} {value} is {words[0]} {limit} ({words[1]} by {_rounded(self.by, self.by)})"


class Comparison(NamedTuple):
    """One comparison, true or false: its left side, the sign, its right side, and what both were."""

    name: str
    sign: str
    right: str
    value: Any
    limit: Any


def comparisons(text: str, values: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons of two numbers in a clause, in which parts may be joined by ``&&`` and ``||``."""
    found = _parts(tokens(text), text, values)
    return [one for one in found if _is_number(one.value) and _is_number(one.limit)]


def _parts(parts: list[Token], text: str, values: Mapping[str, Any]) -> Iterator[Comparison]:
    parts = _unwrapped(parts)
    for sign in ("||", "&&"):
        if len(some := _split(parts, sign)) > 1:
            for one in some:
                yield from _parts(one, text, values)
            return
    if one_comparison := _comparison(parts, text, values):
        yield one_comparison


def shortfalls(text: str, values: Mapping[str, Any]) -> list[Shortfall]:
    """The comparisons for which a clause is false, given the values that it read by name: of parts joined by
    ``||`` all, of parts joined by ``&&`` those that are false. None where that cannot be told."""
    found = _false(tokens(text), text, values)
    return found or []


def _false(parts: list[Token], text: str, values: Mapping[str, Any]) -> list[Shortfall] | None:
    """Why some tokens are false; None where they are not, or nobody can tell."""
    parts = _unwrapped(parts)
    if any(_splits(parts, "?")):
        return None
    either = _split(parts, "||")
    if len(either) > 1:
        told = [_false(one, text, values) for one in either]
        return None if None in told else [one for some in told for one in some or []]
    both = _split(parts, "&&")
    if len(both) > 1:
        return [one for some in both for one in _false(some, text, values) or []] or None
    short = _compared(parts, text, values)
    return [short] if short else None


def _splits(parts: list[Token], sign: str) -> Iterator[int]:
    """Where a sign, or the word ``in``, stands outside of all brackets."""
    depth = 0
    for index, token in enumerate(parts):
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and token.kind != "text" and token.text == sign:
            yield index


def _split(parts: list[Token], sign: str) -> list[list[Token]]:
    found, start = [], 0
    for index in _splits(parts, sign):
        found.append(parts[start:index])
        start = index + 1
    return [*found, parts[start:]]


def _unwrapped(parts: list[Token]) -> list[Token]:
    """Without the brackets that hold the whole."""
    while len(parts) > 2 and parts[0].text == "(" and next(iter(_splits(parts, ")")), 0) == len(parts) - 1:
        parts = parts[1:-1]
    return parts


def _compared(parts: list[Token], text: str, values: Mapping[str, Any]) -> Shortfall | None:
    """The one comparison that the tokens are, if it is false."""
    one = _comparison(parts, text, values)
    try:
        if one is None or not _fit(one.value, one.limit, one.sign) or _SIGNS[one.sign](one.value, one.limit):
            return None
    except TypeError:
        return None
    numbers = _is_number(one.value) and _is_number(one.limit)
    return Shortfall(
        text=_text(parts, text),
        name=one.name,
        sign=one.sign,
        right=one.right,
        value=one.value,
        limit=one.limit,
        by=abs(one.value - one.limit) if numbers else None,
    )


def _comparison(parts: list[Token], text: str, values: Mapping[str, Any]) -> Comparison | None:
    """The one comparison that the tokens are, whether true or false; a constant is its right side."""
    found = [(index, sign) for sign in _SIGNS for index in _splits(parts, sign)]
    if len(found) != 1 or not parts:
        return None
    index, sign = found[0]
    left, right = parts[:index], parts[index + 1 :]
    try:
        value, limit = _Side(left, values, text).value(), _Side(right, values, text).value()
    except (_UnknownError, TypeError, ArithmeticError):
        return None
    if sign in _FLIPPED and _is_constant(left) and not _is_constant(right):
        left, right, value, limit, sign = right, left, limit, value, _FLIPPED[sign]
    return Comparison(_text(left, text), sign, _text(right, text), value, limit)


def _fit(value: Any, limit: Any, sign: str) -> bool:
    """Whether two values may be compared so; of a shortened one only its length is known."""
    if sign == "in":
        return isinstance(limit, list) and not isinstance(value, list)
    if _is_number(value) and _is_number(limit):
        return True
    return sign in ("==", "!=") and not (_is_cut(value) or _is_cut(limit))


def _is_cut(value: Any) -> bool:
    return isinstance(value, str) and (value.endswith("…") or bool(_COUNT.fullmatch(value)))


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_constant(parts: list[Token]) -> bool:
    return all(token.is_literal or token.kind == "sign" for token in parts)


def _is_literal(text: str) -> bool:
    return _is_constant(tokens(text))


def _text(parts: list[Token], text: str) -> str:
    return text[parts[0].start : parts[-1].start + len(parts[-1].text)]


class _UnknownError(Exception):
    """A side that cannot be worked out from what the clause read."""


class _Side:
    """Works out one side of a comparison: values by name, literals, arithmetic, a few functions, and of
    others, such as ``mean(imu.up, "2s")``, what the clause got, which a Decision tells by their text.

    CEL does not mix whole numbers with others, and neither does this.
    """

    def __init__(self, parts: list[Token], values: Mapping[str, Any], text: str) -> None:
        self.parts, self.values, self.text, self.at = parts, values, text, 0

    def value(self) -> Any:
        found = self.sum()
        if self.at != len(self.parts):
            raise _UnknownError
        return found

    def peek(self) -> str:
        return self.parts[self.at].text if self.at < len(self.parts) else ""

    def eat(self, text: str) -> None:
        if self.peek() != text:
            raise _UnknownError
        self.at += 1

    def sum(self) -> Any:
        found = self.product()
        while (sign := self.peek()) in ("+", "-"):
            self.at += 1
            found = _joined(sign, found, self.product())
        return found

    def product(self) -> Any:
        found = self.single()
        while (sign := self.peek()) in ("*", "/", "%"):
            self.at += 1
            found = _joined(sign, found, self.single())
        return found

    def single(self) -> Any:
        if self.peek() == "-":
            self.at += 1
            return _joined("-", 0, number) if type(number := self.single()) is int else -_float(number)
        if self.at >= len(self.parts):
            raise _UnknownError
        token = self.parts[self.at]
        if token.text in ("(", "["):
            return self.bracket(token.text)
        self.at += 1
        if token.kind == "word" and self.peek() == "(":
            return self.call(token.text)
        if token.is_literal:
            return _literal(token)
        if token.kind != "word":
            raise _UnknownError
        return self.named(token.text)

    def bracket(self, opening: str) -> Any:
        self.at += 1
        if opening == "(":
            found = self.sum()
            self.eat(")")
            return found
        items = []
        while self.peek() != "]":
            items.append(self.sum())
            if self.peek() != "]":
                self.eat(",")
        self.eat("]")
        return items

    def call(self, name: str) -> Any:
        closing = next(_splits(self.parts[self.at :], ")"), 0) + self.at
        whole = _text(self.parts[self.at - 1 : closing + 1], self.text)
        if whole in self.values:
            self.at = closing + 1
            return self.values[whole]
        self.eat("(")
        argument = self.sum()
        self.eat(")")
        if name == "size":
            return _size(argument)
        if name == "double" and _is_number(argument):
            return float(argument)
        if name == "int" and type(argument) is int:
            return argument
        raise _UnknownError

    def named(self, name: str) -> Any:
        """A field by its path, which a Decision tells up to where it enters a list."""
        while self.peek() == "." and self.at + 1 < len(self.parts):
            name = f"{name}.{self.parts[self.at + 1].text}"
            self.at += 2
        if self.peek() == "(" or name not in self.values:
            raise _UnknownError
        value = self.values[name]
        if self.peek() == "[" and isinstance(value, list):
            self.at += 1
            index = self.sum()
            self.eat("]")
            if type(index) is not int or not 0 <= index < len(value):
                raise _UnknownError
            value = value[index]
        return value


def _literal(token: Token) -> Any:
    if token.kind == "text" and (token.text[0] not in "\"'" or "\\" in token.text or token.text[:3] in _LONG):
        raise _UnknownError
    return token.text[1:-1] if token.kind == "text" else token.value


_LONG = ('"""', "'''")


def _size(value: Any) -> int:
    if isinstance(value, list):
        return len(value)
    if isinstance(value, str) and (found := _COUNT.fullmatch(value)):
        return int(found[1])
    raise _UnknownError


def _float(value: Any) -> float:
    if type(value) is not float:
        raise _UnknownError
    return value


def _joined(sign: str, one: Any, other: Any) -> Any:
    """CEL's arithmetic on two whole numbers, which cuts towards zero, or on two others."""
    if type(one) is not type(other) or type(one) not in (int, float):
        raise _UnknownError
    if sign in ("+", "-", "*"):
        return {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](one, other)
    if type(one) is float:
        if sign == "%":
            raise _UnknownError
        return one / other
    quotient = abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
    return quotient if sign == "/" else one - other * quotient


def _pair(value: Any, limit: Any, by: float | None) -> tuple[str, str]:
    """Both as a person reads them; of two numbers as many digits as tell them apart."""
    if by is None:
        return shown(value), shown(limit)
    return _rounded(value, by), _rounded(limit, by)


def _rounded(value: float, by: float) -> str:
    """With two digits of the difference, and three of the value."""
    if type(value) is int or not by:
        return shown(value)
    places = max(1 - _magnitude(by), 2 - _magnitude(value) if value != by else 0)
    places = max(0, min(17, places))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 2


def shown(value: Any) -> str:
    """A value that a clause read, as a person reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return printable(value if _is_cut(value) else f'"{value}"')
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
