"""Messages: what nodes hand each other. A message is a frozen msgspec struct with a stamp."""

from __future__ import annotations

import re
import sys
import types
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import msgspec

from zuluko.bus.np import np


class _MessageMeta(msgspec.StructMeta):
    """Makes every message keyword-only and frozen, so that a user's own need not say it."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> Any:
        return super().__new__(cls, name, bases, namespace, **{"kw_only": True, "frozen": True, **config})


class Message(msgspec.Struct, metaclass=_MessageMeta, kw_only=True, tag=True):
    """The base of every message type; give each its wire name: ``class Imu(Message, tag="Imu/1")``.

    ``stamp``: graph time, in nanoseconds, of the sensor evidence that the message stands on. A node passes
    it on from input to output, so that ``now - stamp`` is always the age of the evidence.
    """

    stamp: int = 0


class Command(Message, kw_only=True):
    """A message that makes an actuator act. Edges that carry commands are reliable: acknowledged, retried
    until a deadline, and executed once.

    ``id`` tells a retry from a new command; ``to`` is the node it is meant for (empty: every receiver).

    ``needs_fresh_evidence``, of the type: a rule that gives it must say how old its evidence may be, as for
    all that opens or moves; what only tells somebody may say False. ``within_graph``, of the type: what it
    asks for stays within the graph, and is obeyed in a replay, too.
    """

    needs_fresh_evidence: ClassVar[bool] = True
    within_graph: ClassVar[bool] = False

    id: str
    to: str = ""


@dataclass(frozen=True)
class Array:
    """What an array field must be: ``image: Annotated[np.ndarray, Array("u1", (None, None, 3))]``.

    ``dtype`` is a numpy type string; in ``shape``, None stands for any length of that axis.
    """

    dtype: str
    shape: tuple[int | None, ...]
    _fitted: list[Any] = field(default_factory=lambda: [None], compare=False, repr=False)

    def fits(self, array: np.ndarray[Any, Any]) -> bool:
        form = (array.dtype, array.shape)
        if form == self._fitted[0]:  # a camera's frames are all alike
            return True
        if self._fits(array):
            self._fitted[0] = form
            return True
        return False

    def _fits(self, array: np.ndarray[Any, Any]) -> bool:
        return (
            array.dtype == np.dtype(self.dtype)
            and array.ndim == len(self.shape)
            and all(want in (None, have) for want, have in zip(self.shape, array.shape, strict=True))
        )

    def __str__(self) -> str:
        sides = " x ".join("any" if side is None else str(side) for side in self.shape)
        return f"{np.dtype(self.dtype)} array of {sides}"


class MessageError(ValueError):
    """A message that is not what its type says."""


@dataclass(frozen=True)
class _Field:
    array: Array
    optional: bool


@cache
def arrays(kind: type[Message]) -> dict[str, _Field]:
    """The array fields of a message type, by name; ``Annotated[...] | None`` may also be None.

    Raises MessageError for an array that is not annotated, or that stands deeper than in a field.
    """
    found: dict[str, _Field] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        choices = [one for one in _choices(hint) if one is not type(None)]
        wanted = [extra for one in choices for extra in typing.get_args(one) if isinstance(extra, Array)]
        if len(choices) == len(wanted) == 1:
            found[name] = _Field(wanted[0], optional=len(_choices(hint)) > 1)
        elif wanted or _holds_array(hint):
            raise MessageError(
                f"{kind.__name__}.{name}: an array is a field of its own, annotated as "
                f'Annotated[np.ndarray, Array("u1", (None, None))]'
            )
    return found


def only_array(kind: Any) -> Array | None:
    """What the one array of a message type must be; None for a type with none or several, and for any other
    than a message type."""
    if not (isinstance(kind, type) and issubclass(kind, Message)) or len(found := arrays(kind)) != 1:
        return None
    return next(iter(found.values())).array


def _choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the one type."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _holds_array(hint: Any) -> bool:
    """Whether an array is anywhere within a type."""
    numpy = sys.modules.get("numpy")  # without it nobody has named an array's type
    if numpy and numpy.ndarray in (hint, typing.get_origin(hint)):
        return True
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return any(map(_holds_array, typing.get_type_hints(hint, include_extras=True).values()))
    return any(map(_holds_array, typing.get_args(hint)))


def check_arrays(message: Message, fields: dict[str, _Field] | None = None) -> None:
    """Raises MessageError where an array field has another dtype or shape than its annotation; ``fields`` are
    those of its type, for who has them at hand."""
    for name, wanted in (arrays(type(message)) if fields is None else fields).items():
        array = getattr(message, name)
        if array is None and wanted.optional:
            continue
        if not (isinstance(array, np.ndarray) and wanted.array.fits(array)):
            have = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise MessageError(f"{type(message).__name__}.{name} must be a {wanted.array}, not {have}")


def tag(kind: type[Any]) -> str:
    """The type's name on the wire, such as ``Faces/1``."""
    return str(kind.__struct_config__.tag)


def topic_suffix(kind: type[Message]) -> str:
    """What a node of several outputs calls the topic of this type: ``LockCommand`` gives ``lock_command``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
