"""YAML that a person wrote: plain values, and the place of each one for what is to be said of it.

YAML without its traps: ``on``, ``off``, ``yes``, ``no``, ``10:30``, ``2024-01-01``, ``1_000`` and ``007``
stay text, and so do all keys. Only ``true``, ``false``, ``null``, ``~``, integers (decimal, 0x) and floats
are anything else. Tags, aliases and a key given twice are errors.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zuluko import yaml_mistake

LARGEST = 1_000_000  # bytes; a launch or rule file has a few thousand

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-zµ]*)", re.ASCII)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}  # in seconds

Step = str | int


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a file: a sentence and its place.

    Line and column count from 1; line 0 stands for the file as a whole.
    """

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}:{self.column}: {self.what}"
            if self.line
            else f"{self.file}: {self.what}"
        )


class Fault(NamedTuple):
    """What a node's own check finds wrong with its configuration: the key, a sentence, and whether it may
    mend itself while the graph runs, as a camera does that is plugged in later."""

    key: str
    what: str
    passing: bool = False


class DocumentError(Exception):
    """All that is wrong with a document; ``problems`` stand in the order of their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted({replace(one, what=printable(one.what)) for one in problems}))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Document:
    """A YAML mapping as plain dicts, lists and scalars; a path of keys and indices leads to each value.

    ``file`` is the path as the user gave it, for what is shown.
    """

    file: str
    value: dict[str, Any]
    _values: dict[tuple[Step, ...], tuple[int, int]] = field(default_factory=dict, repr=False)
    _keys: dict[tuple[Step, ...], tuple[int, int]] = field(default_factory=dict, repr=False)

    def place(self, *path: Step) -> str:
        """``file:line:column`` of the value; of the nearest parent where there is no such value."""
        return "{}:{}:{}".format(self.file, *self._find(path, key=False))

    def key_place(self, *path: Step) -> str:
        """``file:line:column`` of the key (or list item) that ends the path."""
        return "{}:{}:{}".format(self.file, *self._find(path, key=True))

    def problem(self, path: tuple[Step, ...], what: str, *, key: bool = False) -> Problem:
        """Something wrong with the value at ``path``, or with its key."""
        return Problem(self.file, *self._find(path, key=key), what)

    def _find(self, path: tuple[Step, ...], *, key: bool) -> tuple[int, int]:
        if key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, (1, 1))


def load(file: Path | str) -> Document:
    """Reads a YAML file; raises DocumentError where it cannot be read or is not what this module takes."""
    shown = str(file)
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise DocumentError([Problem(shown, 0, 0, f"cannot be read: {error.strerror}")]) from None
    try:
        return parse(data.decode("utf-8-sig") if len(data) <= LARGEST else data.decode("latin-1"), file=shown)
    except UnicodeDecodeError as error:
        place = _place(data[: error.start].decode("utf-8-sig"), error.start)
        raise DocumentError(
            [Problem(shown, *place, "this is not UTF-8 text; save the file as UTF-8")]
        ) from None


def parse(text: str, *, file: str) -> Document:
    """The document in ``text``; ``file`` is its name in what is said of it. Raises DocumentError."""
    if len(text) > LARGEST:
        what = f"is larger than {LARGEST // 1_000_000} MB; no launch or rule file needs that"
        raise DocumentError([Problem(file, 0, 0, what)])
    document = Document(file, {})
    try:
        problems = list(_read(_Loader(text).get_single_node(), document))
    except yaml.MarkedYAMLError as error:
        raise DocumentError([Problem(file, *_told(error))]) from None
    except yaml.reader.ReaderError as error:
        what = f"the character {text[error.position]!r} cannot stand in YAML; remove it"
        raise DocumentError([Problem(file, *_place(text, error.position), what)]) from None
    except RecursionError:
        raise DocumentError([Problem(file, 0, 0, "is nested too deeply")]) from None
    if problems:
        raise DocumentError(problems)
    return document


def nearest(word: str, choices: Iterable[str]) -> str:
    """``; did you mean `x`?`` for a word that somebody mistyped, or nothing where no choice is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(choices), n=1)
    return f"; did you mean `{found[0]}`?" if found else ""


def seconds(text: object) -> float:
    """A duration such as 200ms, 5s, 1.5min or 1h, in seconds; ValueError says what to write instead."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"a duration needs its unit: write {text}s or {text}ms, not {text}")
    shown = str(text)
    if re.fullmatch(r"\d+(:\d+)+", shown):
        raise ValueError(f"`{shown}` reads as a clock time; a duration is written 200ms, 5s, 2min or 1h")
    found = _DURATION.fullmatch(shown)
    if found and not found[2]:
        raise ValueError(f"a duration needs its unit: write {shown}s or {shown}ms, not {shown}")
    if not found or found[2] not in _UNITS:
        raise ValueError(f"`{shown}` is no duration; write 200ms, 5s, 2min or 1h")
    length = float(found[1]) * _UNITS[found[2]]
    if length > 1e9:
        raise ValueError(f"`{shown}` is longer than a board lives; write 200ms, 5s, 2min or 1h")
    return length


class _Refused(yaml.MarkedYAMLError):
    """YAML that is sound but that this module does not take."""

    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(problem=what, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """Composes the tree of nodes with their marks, and takes neither tags nor aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            what = f"`*{event.anchor}` repeats a value by alias, which is not taken here; write the value out"
            raise _Refused(what, event.start_mark)
        if getattr(event, "tag", None) is not None:
            what = f"the tag `{event.tag}` is not taken here; write a plain value"
            raise _Refused(what, event.start_mark)
        return super().compose_node(parent, index)


def _read(root: yaml.Node | None, document: Document) -> Iterator[Problem]:
    """Fills the document from the tree; yields what is wrong."""
    if not isinstance(root, yaml.MappingNode):
        line, column = _start(root) if root else (1, 1)
        what = "this file must be a mapping, lines of `key: value`"
        yield Problem(document.file, line, column, what if root else f"the file is empty; {what}")
        return
    document._values[()] = _start(root)
    yield from _mapping(root, (), document, document.value)


def _mapping(
    node: yaml.MappingNode, path: tuple[Step, ...], document: Document, into: dict[str, Any]
) -> Iterator[Problem]:
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(document.file, *_start(key), "a key must be a word, not a list or a mapping")
            continue
        place = (*path, key.value)
        if key.value in into:
            first = document._keys[place][0]
            what = f"`{key.value}` is given twice, first in line {first}; keep one of them"
            yield Problem(document.file, *_start(key), what)
            continue
        document._keys[place] = _start(key)
        into[key.value] = yield from _value(value, place, document)


def _value(node: yaml.Node, path: tuple[Step, ...], document: Document) -> Any:
    """The plain value of a node, as what the generator returns."""
    document._values[path] = _start(node)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        yield from _mapping(node, path, document, mapping)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            items.append((yield from _value(item, (*path, index), document)))
        return items
    try:
        return scalar(node.value) if isinstance(node, yaml.ScalarNode) and node.style is None else node.value
    except ValueError as error:
        yield Problem(document.file, *_start(node), str(error))


def scalar(text: str) -> Any:
    """What an unquoted word stands for; raises ValueError for a number that fits no machine word."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        number = int(text, 0) if len(text) <= 20 else 1 << 64
        if not -(1 << 63) <= number < 1 << 64:
            raise ValueError(f"`{text:.24}` is too large a number; put it in quotes if it is text")
        return number
    if _FLOAT.fullmatch(text):
        if math.isinf(float(text)):
            raise ValueError(f"`{text:.24}` is too large a number; put it in quotes if it is text")
        return float(text)
    return text


def printable(text: str) -> str:
    """A sentence in one line, as it may stand in anybody's terminal: a file can hold any character."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and column of a position in a text."""
    before = text[:position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _told(error: yaml.MarkedYAMLError) -> yaml_mistake.Mistake:
    if isinstance(error, _Refused) and error.problem_mark:
        mark = error.problem_mark
        return yaml_mistake.Mistake(mark.line + 1, mark.column + 1, str(error.problem))
    return yaml_mistake.mistake(error)
