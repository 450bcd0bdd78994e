"""Values for a node's configuration: from a launch file or the command line, by msgspec, to the type that the
node's annotation asks for."""

import typing
from pathlib import Path
from typing import Any

import msgspec

from zuluko import document


class Text(str):
    """A value that was typed on the command line: text that becomes what the option's type asks for."""

    __slots__ = ()


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
            _durations(value, kind),
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


def _durations(value: Any, kind: Any) -> Any:
    asked = {kind, *typing.get_args(kind)}
    if isinstance(value, str) and float in asked and str not in asked and not _number(value):
        return document.seconds(value)
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
