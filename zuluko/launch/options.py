"""Values for a node's configuration: from a launch file or the command line, by msgspec, to the type that the
node's annotation asks for."""

import enum
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from zuluko import document
from zuluko.document import Problem


class Text(str):
    """A value that came as text, and becomes what the option's type asks for; ``origin`` says from where:
    ``--set name``, or ``$env:NAME``, of which the value is shown to nobody."""

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, text: str, origin: str = "") -> "Text":
        made = super().__new__(cls, text)
        made.origin = origin
        return made


class Lacking(Text):
    """What stands for a variable that the environment does not have; ``problem`` says so, to those who need
    it."""

    __slots__ = ("problem",)
    problem: Problem

    @classmethod
    def of(cls, origin: str, problem: Problem) -> "Lacking":
        made = cls("", origin)
        made.problem = problem
        return made


def lacks(value: Any) -> list[Problem]:
    """What the environment should have had for a value."""
    if isinstance(value, (dict, list)):
        return [
            one for inner in (value.values() if isinstance(value, dict) else value) for one in lacks(inner)
        ]
    return [value.problem] if isinstance(value, Lacking) else []


class Concealed(str):
    """A text with something of the environment in it, which nobody is shown: ``shown`` stands for it."""

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str) -> "Concealed":
        made = super().__new__(cls, text)
        made.shown = shown
        return made


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()  # what stands for a value that has been complained of already

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number or a duration such as 200ms",
    str: "text",
    Path: "a path",
    list: "a list",
    tuple: "a list",
    set: "a list",
    dict: "a mapping",
    type(None): "null",
}
_MSGSPECS = {"array": "list", "object": "mapping", "str": "text", "bool": "true or false"}
_PLAIN_WORDS = {"yes": True, "on": True, "no": False, "off": False}  # text here, and true or false elsewhere
_MISMATCH = re.compile(r"Expected `[^`]*`, got `[^`]*`(?: - at `\$(.*)`)?")


class OptionError(ValueError):
    """A value that does not fit, as a sentence that says what was expected."""


def convert(value: Any, kind: Any, *, folder: Path, name: str = "", example: Any = None) -> Any:
    """``value`` as ``kind``; a duration such as 200ms as seconds where a float is asked for, a path relative
    to ``folder``. Raises OptionError, whose sentence begins with ``name`` and proposes the ``example``."""
    try:
        return _convert(value, kind, folder)
    except ValueError as error:
        if isinstance(value, Text) and (parsed := _parsed(value)) is not None:
            try:
                return _convert(parsed, kind, folder)
            except ValueError:
                pass
        raise OptionError(_sentence(str(error), value, kind, name, example)) from None


def _convert(value: Any, kind: Any, folder: Path) -> Any:
    try:
        return msgspec.convert(
            _plain(value, kind),
            kind,
            strict=not isinstance(value, Text),
            dec_hook=lambda inner, given: _path(inner, given, isinstance(value, Text), folder),
        )
    except TypeError as error:
        raise ValueError(str(error)) from None


def _path(kind: type, value: Any, typed: bool, folder: Path) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser() if typed else folder / Path(value).expanduser()
    raise ValueError("Expected `it`, got `another`")


def _plain(value: Any, kind: Any) -> Any:
    """What a person may write for a type: 5s for a float, a number for a text, null typed for None."""
    taken = accepts(kind)
    if isinstance(value, Concealed):
        value = str(value)
    if isinstance(value, Text) and value == "null" and taken.null:
        return None
    if taken.durations and isinstance(value, str) and value[:1].isdigit() and not _number(value):
        try:
            return document.seconds(value)
        except ValueError:
            raise ValueError("Expected `float`, got `str`") from None
    if type(value) is int and taken.numbers:
        return str(value)  # `source: 0` is the camera's number
    return value


class Accepts(NamedTuple):
    """What a person may write for a type besides its own values: null, durations for numbers, and numbers
    for text."""

    null: bool
    durations: bool
    numbers: bool


def accepts(kind: Any) -> Accepts:
    asked = {kind, *typing.get_args(kind)}
    text = str in asked
    return Accepts(type(None) in asked, float in asked and not text, text and not {int, float} & asked)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def loosened(value: Any, *, listed: bool = False) -> Any:
    """Text that was typed, as a launch file reads it: a number, true, null; ``listed``: also ``a,b``."""
    if not isinstance(value, Text):
        return value
    if listed:
        return _parsed(value)
    try:
        return document.scalar(value)
    except ValueError:
        return str(value)


def _parsed(text: str) -> Any:
    """A list or mapping that was typed, as in ``--set size=[640,480]`` or ``--set owners=ana,ben``."""
    shape = text if text.startswith(("[", "{")) else f"[{text}]"
    try:
        return document.parse(f"value: {shape}", file="--set").value["value"]
    except document.DocumentError:
        return None


def words(kind: Any) -> str:
    """What a type asks for, as a person would say it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return words(arguments[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(words, arguments))
    if origin in (list, tuple, set, frozenset):
        return _list(origin, arguments)
    return _class(origin or kind)


def _list(origin: Any, items: tuple[Any, ...]) -> str:
    if origin is tuple and items and items[-1] is not Ellipsis:
        return f"a list of {len(items)} ({', '.join(map(words, items))})"
    return f"a list, each item {words(items[0])}" if items and items[0] is not Any else "a list"


def _class(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"a mapping of {', '.join(kind.__struct_fields__)}"
    return _NAMES.get(kind, "") or getattr(kind, "__name__", str(kind))


def mask(text: str, used: Any, given: Any) -> str:
    """A sentence without the value that came from the environment."""
    return text.replace(str(used), shown(given)) if is_secret(given) and str(used) else text


def is_secret(value: Any) -> bool:
    """Whether a value came from the environment, and is shown to nobody."""
    return isinstance(value, Concealed) or (isinstance(value, Text) and value.origin.startswith("$env:"))


def shown(value: Any) -> str:
    """A value as a person wrote it, short."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, Text) and is_secret(value):
        return f"what {value.origin} holds"
    text = str(value.shown if isinstance(value, Concealed) else value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return f"`{text if len(text) <= 60 else text[:59] + '…'}`"


def _sentence(error: str, value: Any, kind: Any, name: str, example: Any) -> str:
    """msgspec's message in a launch file's words, with the value and what to write instead."""
    if (meant := _meant(value, kind)) is not None:
        if isinstance(value, str) and value.lower() not in _PLAIN_WORDS:
            remedy = f"take the quotes away: `{name}: {value}`"
            return f'`{name}` is the text "{value}"; expected {words(kind)}; {remedy}'
        return f"`{name}` is {shown(value)}; expected {words(kind)}; try `{name}: {written(meant)}`"
    hint = "" if example is None else f"; try `{name}: {written(example)}`"
    if (found := _MISMATCH.fullmatch(error)) or is_secret(value):
        within = found[1] if found and found[1] else ""
        return f"`{name}{within}` is {shown(_within(value, within))}; expected {words(kind)}{hint}"
    if not error.startswith(("Expected", "Invalid", "Object")):
        return f"`{name}`: {error}"
    said = re.sub(r"`(\w+)`", lambda word: f"`{_MSGSPECS.get(word[1], word[1])}`", error)
    return f"`{name}` is {shown(value)}; {said[:1].lower()}{said[1:]}{hint}"


def _meant(value: Any, kind: Any) -> Any:
    """What was meant by a number in quotes, `yes` or 3.0; None where that does not fit either."""
    try:
        if type(value) is str:
            return msgspec.convert(_PLAIN_WORDS.get(value.lower(), document.scalar(value)), kind)
        if type(value) is float and value.is_integer():
            return msgspec.convert(int(value), kind)
    except (ValueError, TypeError):  # nor as what it looks like
        pass
    return None


def _within(value: Any, path: str) -> Any:
    """The item of a list at a path such as ``[1]``; the value itself where the path is another."""
    found = re.fullmatch(r"\[(\d+)\]", path)
    return value[int(found[1])] if found and isinstance(value, list) else value


def written(value: Any) -> str:
    """A default as it would stand in a launch file."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if str(value) else '""'
