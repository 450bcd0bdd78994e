"""What a CEL clause reads, from its text: the compiled program tells its variables, but not their fields.

The text is one that the CEL compiler has taken, so this parser may trust its grammar. It follows operands
(``item.name``, ``faces.items[0].score``, ``faces.items.exists(f, f.score > 0.5)``) and steps over operators.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Path = tuple[str, ...]  # ("faces", "items", "[]", "score"); "[]" stands for any element of a list

MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
FUNCTIONS = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "has", "dyn", "type"),
        *("int", "uint", "double", "string", "bytes", "timestamp", "duration"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        *("distance", "inside"),
    }
)
_CONSTANTS = {"true": True, "false": False, "null": None}
TYPES = frozenset({"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type"})
_ARITHMETIC = frozenset("+-*/%.[")
_EQUALITY = ("==", "!=", "in")

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>[bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"]*"|'[^']*')
        |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][-+]?\d+)?[uU]?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int

    @property
    def is_literal(self) -> bool:
        return self.kind in ("text", "number") or self.text in _CONSTANTS

    @property
    def value(self) -> object:
        """What a literal stands for; of a text with escapes, or of bytes, only the kind is right."""
        if self.kind == "word":
            return _CONSTANTS[self.text]
        if self.kind == "text":
            return self.text.strip("bBrR").strip("\"'")
        digits = self.text.rstrip("uU")
        if "x" in digits.lower():
            return int(digits, 16)
        return float(digits) if re.search(r"[.eE]", digits) else int(digits)


@dataclass
class Reading:
    """What a clause reads and how.

    ``paths``     each value it reads, in the order of the text, once
    ``compared``  each value that is compared, by ``==``, ``!=`` or ``in``, with a literal: its path and the
                  literal; of ``"ana" in known`` it is an item of ``known``
    ``alike``     each two values that are compared in the same way, of plain fields: their paths
    ``indexed``   each list of which an item is read by its number: its path and the number
    ``equated``   each value that stands beside ``==``, ``!=`` or ``in``, whatever is on the other side
    """

    paths: list[Path] = field(default_factory=list)
    compared: list[tuple[Path, object]] = field(default_factory=list)
    alike: list[tuple[Path, Path]] = field(default_factory=list)
    indexed: list[tuple[Path, int]] = field(default_factory=list)
    equated: list[Path] = field(default_factory=list)


def dotted(path: Path) -> str:
    """A path as a person would write it."""
    return ".".join(path).replace(".[]", "[]")


def tokens(text: str) -> list[Token]:
    found = (Token(match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(text))
    return [token for token in found if token.kind != "space"]


def read(text: str) -> Reading:
    """The paths that a CEL text reads, variables of its macros resolved to what they run over."""
    parser = _Parser(tokens(text))
    parser.expressions({})
    reading = parser.reading
    reading.paths = list(dict.fromkeys(reading.paths))
    return reading


def operands(text: str) -> Iterator[str]:
    """The parts of a clause joined by ``&&``, ``||`` and ``?:``, each of which must be true or false itself.

    CEL takes ``true || mistake`` for true; a check has to look at each part on its own.
    """
    parts = _split(text)
    for part in parts:
        inner = _unwrapped(part)
        if inner != part or len(parts) > 1:
            yield from operands(inner)
        else:
            yield part


def _split(text: str) -> list[str]:
    depth, start, parts = 0, 0, []
    for token in tokens(text):
        if token.kind != "sign":
            continue
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and token.text in ("&&", "||", "?", ":"):
            parts.append(text[start : token.start].strip())
            start = token.start + len(token.text)
    return [*parts, text[start:].strip()]


def _unwrapped(text: str) -> str:
    """``(a || b)`` and ``!(a || b)`` without their brackets, where one pair holds the whole."""
    body = text.lstrip("! \t\n")
    if not body.startswith("("):
        return text
    depth = 0
    for token in tokens(body):
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0:
            return body[1 : token.start].strip() if token.start == len(body) - 1 else text
    return text


class _Parser:
    """Walks the tokens once; ``scope`` maps a macro's variable to the path of what it runs over, or None."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.reading = Reading()

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.tokens[index] if 0 <= index < len(self.tokens) else Token("end", "", -1)

    def expressions(self, scope: dict[str, Path | None]) -> None:
        """All operands up to the closing bracket, which is eaten, or to the end."""
        while (token := self.peek()).kind != "end":
            if token.kind == "sign" and token.text in ")]}":
                self.at += 1
                return
            if token.kind == "sign" and token.text not in "([{":
                self.at += 1
            else:
                self.operand(scope)

    def operand(self, scope: dict[str, Path | None]) -> None:
        first, before = self.peek(), self.peek(-1)
        self.at += 1
        if first.kind == "sign":
            self.expressions(scope)
            self.suffixes(None, scope)
        elif first.is_literal:
            if self.peek().text in _EQUALITY:
                self.compare(first, before, scope)
            self.suffixes(None, scope)
        elif first.kind == "word" and first.text != "in":
            self.variable(first.text, scope)

    def variable(self, name: str, scope: dict[str, Path | None]) -> None:
        if self.peek().text == "(":
            self.at += 1
            self.expressions(scope)
            self.suffixes(None, scope)
        elif name in TYPES and name not in scope and self.peek().text not in (".", "["):
            return  # the type itself, which has no fields; with some, it is a topic of that name
        else:
            self.suffixes(scope.get(name, (name,)), scope)

    def suffixes(self, path: Path | None, scope: dict[str, Path | None]) -> None:
        """Fields, indices and calls that follow an operand; the path read ends where a call begins."""
        start = self.at
        while True:
            if self.peek().text == "." and self.peek(1).kind == "word":
                name = self.peek(1).text
                called = self.peek(2).text == "("
                self.at += 3 if called else 2
                path = self.call(name, path, scope) if called else path and (*path, name)
            elif self.peek().text == "[" and self.peek().kind == "sign":
                path = self.index(path, scope)
            else:
                break
        if path:
            self.reading.paths.append(path)
            self.follow(path, start, scope)

    def index(self, path: Path | None, scope: dict[str, Path | None]) -> Path | None:
        minus = self.peek(1).text == "-"
        key = self.peek(1 + minus)
        self.at += 1
        lone = self.peek(1 + minus).text == "]"
        self.expressions(scope)
        if path is None:
            return None
        if lone and key.kind == "number" and isinstance(key.value, int):
            self.reading.indexed.append((path, -key.value if minus else key.value))
        return (*path, str(key.value) if lone and key.kind == "text" else "[]")

    def call(self, name: str, path: Path | None, scope: dict[str, Path | None]) -> Path | None:
        """A method's arguments; of the macros, the first names what the others see of each element."""
        if path:
            self.reading.paths.append(path)
        if name in MACROS and self.peek().kind == "word" and self.peek(1).text == ",":
            scope = {**scope, self.peek().text: path and (*path, "[]")}
            self.at += 2
        self.expressions(scope)
        return None

    def follow(self, path: Path, start: int, scope: dict[str, Path | None]) -> None:
        """Notes what a path is compared with: ``path == literal``, ``path in [literal, ...]``,
        ``path == path`` and ``path in path``."""
        sign, before = self.peek().text, self.tokens[start - 2].text if start >= 2 else ""
        if sign in _EQUALITY or before in _EQUALITY:
            self.reading.equated.append(path)
        if sign not in _EQUALITY or before in _ARITHMETIC:
            return
        literal, after = self.peek(1), self.peek(2)
        if sign == "in":
            self.reading.compared += [(path, one.value) for one in self.literals()]
        elif literal.is_literal and after.text not in _ARITHMETIC:
            self.reading.compared.append((path, literal.value))
        if other := self.plain_path(scope):
            self.reading.alike.append((path, (*other, "[]") if sign == "in" else other))

    def literals(self) -> list[Token]:
        """The literals of a list of nothing else, from its bracket on."""
        found, ahead = [], 1
        while self.peek(ahead).text in ("[", ",") and self.peek(ahead + 1).is_literal:
            found.append(self.peek(ahead + 1))
            ahead += 2
        return found if self.peek(ahead).text == "]" else []

    def compare(self, literal: Token, before: Token, scope: dict[str, Path | None]) -> None:
        """Notes ``literal == path`` and ``literal in path``, for a path of plain fields."""
        path = self.plain_path(scope)
        if path and before.text not in _ARITHMETIC:
            self.reading.compared.append(((*path, "[]") if self.peek().text == "in" else path, literal.value))

    def plain_path(self, scope: dict[str, Path | None]) -> Path | None:
        """The path of plain fields that follows the sign here, where nothing but that stands on its side."""
        ahead, names = 1, list[str]()
        while self.peek(ahead).kind == "word" and self.peek(ahead).text not in _CONSTANTS:
            names.append(self.peek(ahead).text)
            if self.peek(ahead + 1).text != ".":
                break
            ahead += 2
        if not names or names[0] in TYPES or self.peek(ahead + 1).text in {"(", *_ARITHMETIC}:
            return None
        root = scope.get(names[0], (names[0],))
        return root and (*root, *names[1:])
