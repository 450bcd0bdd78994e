"""Values for a node's configuration: from a launch file or the command line, by msgspec, to the type that the
node's annotation asks for."""

import typing
from pathlib import Path
from typing import Any

import msgspec

from zuluko import document


class Text(str):
    """A value that came as text, and becomes what the option's type asks for; ``origin`` says from where."""

    origin = ""


MISSING = object()  # what stands for a value that has been complained of already


class OptionError(ValueError):
    """A value that does not fit; says what was expected."""


def convert(value: Any, kind: Any, *, folder: Path) -> Any:
    """``value`` as ``kind``; a duration such as 200ms as seconds where a float is asked for, a path relative
    to ``folder``. Raises OptionError."""
    try:
        return _convert(value, kind, folder)
    except OptionError:
        if not isinstance(value, Text) or (parsed := _parsed(value)) is None:
            raise
        try:
            return _convert(parsed, kind, folder)
        except OptionError:
            pass
        raise


def _convert(value: Any, kind: Any, folder: Path) -> Any:
    try:
        return msgspec.convert(
            _plain(value, kind),
            kind,
            strict=not isinstance(value, Text),
            dec_hook=lambda inner, given: _path(inner, given, isinstance(value, Text), folder),
        )
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise OptionError(_sentence(str(error), value)) from None


def _path(kind: type, value: Any, typed: bool, folder: Path) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser() if typed else folder / Path(value).expanduser()
    raise ValueError(f"expected a {kind.__name__}")


def _plain(value: Any, kind: Any) -> Any:
    """What a person may write for a type: 5s for a float, a number for a text, null typed for None."""
    asked = {kind, *typing.get_args(kind)}
    if isinstance(value, Text) and value == "null" and type(None) in asked:
        return None
    if (
        isinstance(value, str)
        and value[:1].isdigit()
        and float in asked
        and str not in asked
        and not _number(value)
    ):
        return document.seconds(value)
    if type(value) is int and str in asked and not {int, float} & asked:
        return str(value)  # `source: 0` is the camera's number
    return value


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsed(text: str) -> Any:
    """A list or mapping that was typed, as in ``--set size=[640,480]`` or ``--set owners=ana,ben``."""
    shape = text if text.startswith(("[", "{")) else f"[{text}]"
    try:
        return document.parse(f"value: {shape}", file="--set").value["value"]
    except document.DocumentError:
        return None


def _sentence(error: str, value: Any) -> str:
    """msgspec's message in a launch file's words, with the value."""
    words = error.replace("`array`", "`list`").replace("`object`", "`mapping`")
    return f"{words[:1].lower()}{words[1:]} (given: `{value}`)"
