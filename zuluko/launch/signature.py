"""A node's signature: its inputs, its configuration and its outputs, read from a function's annotations."""

import inspect
import types
import typing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zuluko.bus.message import Message, MessageError, arrays
from zuluko.bus.streams import Latest, Stream
from zuluko.bus.synced import Synced


class SignatureError(TypeError):
    """A function that cannot be a node; says which parameter and what was expected."""


@dataclass(frozen=True)
class Input:
    """``kind``: stream, synced and taps (any topic, as bytes) drive the loop; latest is asked for its value,
    latests by topic. ``types`` are alternatives; for synced, those of the two sides."""

    name: str
    kind: Literal["stream", "synced", "latest", "latests", "taps"]
    types: tuple[type[Message], ...]

    @property
    def drives(self) -> bool:
        return self.kind in ("stream", "synced", "taps")

    def takes(self, kind: type[Message]) -> bool:
        return any(issubclass(kind, wanted) for wanted in self.types)


@dataclass(frozen=True)
class Signature:
    """``options`` holds each keyword-only parameter's annotation, ``required`` those without a default."""

    inputs: tuple[Input, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    outputs: tuple[type[Message], ...] = ()


def read(function: Callable[..., Any]) -> Signature:
    """Reads a node function's annotations; raises SignatureError."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except Exception as error:  # an annotation may be any text
        raise SignatureError(f"its annotations cannot be read: {type(error).__name__}: {error}") from None
    inputs, options, required = [], {}, []
    for parameter in parameters:
        hint = hints.get(parameter.name)
        if parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = Any if hint is None else hint
            if parameter.default is parameter.empty:
                required.append(parameter.name)
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SignatureError(f"`*{parameter.name}` cannot be an input; name each input")
        else:
            inputs.append(_input(parameter.name, hint))
    return Signature(tuple(inputs), options, tuple(required), _outputs(hints.get("return")))


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What a node's configuration is where a launch file says nothing of it."""
    known = inspect.signature(function).parameters.values()
    keywords = (one for one in known if one.kind is one.KEYWORD_ONLY)
    return {one.name: one.default for one in keywords if one.default is not one.empty}


def _input(name: str, hint: Any) -> Input:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Stream:
        return Input(name, "stream", _messages(arguments[0], name))
    if origin is Synced:
        return Input(name, "synced", (*_messages(arguments[0], name), *_messages(arguments[1], name)))
    if origin is Latest:
        return Input(name, "latest", _messages(arguments[0], name))
    if origin in (Mapping, dict) and len(arguments) == 2 and typing.get_origin(arguments[1]) is Latest:
        return Input(name, "latests", _messages(typing.get_args(arguments[1])[0], name))
    raise SignatureError(
        f"the input `{name}` must be annotated Stream[...], Latest[...] or Synced[...]; "
        f"configuration comes after a `*`, as keyword-only parameters"
    )


def _outputs(hint: Any) -> tuple[type[Message], ...]:
    if hint is None or hint is type(None):
        return ()
    if typing.get_origin(hint) not in (Iterator, Iterable, Generator) or not typing.get_args(hint):
        raise SignatureError("it must be annotated to return Iterator[a message type], or None")
    return _messages(typing.get_args(hint)[0], "what it yields")


def _messages(hint: Any, name: str) -> tuple[type[Message], ...]:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise SignatureError(f"`{name}` is annotated with {hint}, which is not a message type")
        try:
            arrays(kind)
        except MessageError as error:
            raise SignatureError(str(error)) from None
    return tuple(kinds)
