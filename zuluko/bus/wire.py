"""The envelope: one MessagePack array ``[version, seq, sent, cause, body]``, for any language to read.

``seq`` counts per topic; ``sent`` is graph time in ns; ``cause`` is the chain of (topic, seq, stamp, sent)
that led here, the sensor first; ``body`` is a map with its type's name under ``type``. An array is a map of
``dtype``, ``shape`` and either its bytes (``data``) or, in the express lane, its ``slot`` and ``generation``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, Generic, TypeVar, get_args

import msgspec

from zuluko.bus.message import Message, arrays, check_arrays, only_array, tag
from zuluko.bus.np import np

VERSION = 1
LARGEST = 1 << 20  # bytes of one message, without its arrays
LARGEST_ARRAYS = 64 << 20  # bytes of one message that carries its arrays through a socket
INLINE = 16 * 1024  # bytes; in the express lane a larger array lies in a slot, and the message says in which
BLOB = b"\xc1"  # begins what stands in the lane for a message in a slot; no MessagePack begins so
_NUMBERS = re.compile(r"[<>=|]?[biufc][0-9]{1,2}")  # as numpy writes the dtypes of numbers
LONGEST_CAUSE = 16  # hops; a loop of nodes would otherwise grow it without end

T = TypeVar("T")


class Hop(msgspec.Struct, array_like=True, frozen=True):
    """One message that led to another: its topic, number, evidence stamp and sending time (ns)."""

    topic: str
    seq: int
    stamp: int
    sent: int

    @property
    def is_timer(self) -> bool:
        """Whether it was no message but a timer's tick, ``every 0.1s``."""
        return " " in self.topic


class Envelope(msgspec.Struct, Generic[T], array_like=True, frozen=True):
    version: int
    seq: int
    sent: int
    cause: tuple[Hop, ...]
    body: T

    def hop(self, topic: str) -> Hop:
        return Hop(topic, self.seq, getattr(self.body, "stamp", 0), self.sent)


class WireError(ValueError):
    """A message that was not taken; ``reason`` is the name it is counted under, ``seq`` its number where it
    could be read."""

    seq: int | None = None

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Blob(msgspec.Struct, array_like=True, frozen=True):
    """Where a whole message lies that is too long for the lane's ring; ``size`` in bytes."""

    slot: int
    generation: int
    size: int

    def encode(self) -> bytes:
        return BLOB + msgspec.msgpack.encode(self)

    @staticmethod
    def decode(data: bytes) -> Blob:
        try:
            blob = msgspec.msgpack.decode(data[len(BLOB) :], type=Blob)
        except (ValueError, RecursionError) as error:
            raise WireError("malformed", str(error)) from None
        if min(blob.slot, blob.generation, blob.size) < 0 or blob.size > LARGEST_ARRAYS:
            raise WireError("malformed", "a message in no slot")
        return blob


def sent(data: bytes) -> int:
    """When a message in the lane was sent; 0 for one that is no envelope."""
    try:
        return msgspec.msgpack.decode(data, type=Envelope[msgspec.Raw]).sent
    except (ValueError, RecursionError):
        return 0


def largest(kind: Any) -> int:
    """How many bytes a message of a type, or of one of several, may have."""
    small = kind is not Any and not any(arrays(one) for one in get_args(kind) or (kind,))
    return LARGEST if small else LARGEST_ARRAYS


def tags(kind: Any) -> tuple[str, ...]:
    """The wire names of a type or a union of types; none for Any."""
    return tuple(tag(one) for one in (get_args(kind) or (kind,)) if one is not Any)


def inline(array: Any) -> dict[str, Any]:
    """An array as it stands in a message."""
    if not isinstance(array, np.ndarray):
        raise NotImplementedError(f"a message cannot hold a {type(array).__name__}")
    return {
        "dtype": array.dtype.str,
        "shape": array.shape,
        "data": array.data if array.flags.c_contiguous else array.tobytes(),
    }


@lru_cache(maxsize=64)  # the few that a graph uses
def _dtype(text: str) -> np.dtype[Any]:
    return np.dtype(text)


def plain_dtype(text: object) -> np.dtype[Any]:
    """A dtype of plain numbers; anything else, objects above all, is a WireError."""
    if not isinstance(text, str) or not _NUMBERS.fullmatch(text):
        raise WireError("malformed", f"no such dtype: {text!r:.40}")
    try:
        return _dtype(text)
    except TypeError:
        raise WireError("malformed", f"no such dtype: {text!r:.40}") from None


def plain_shape(shape: object) -> tuple[int, ...]:
    if not (isinstance(shape, list | tuple) and len(shape) <= 8):
        raise WireError("malformed", "an array's shape must be a list of at most 8 lengths")
    for side in shape:
        if type(side) is not int or not 0 <= side < 1 << 32:
            raise WireError("malformed", "an array's lengths must be whole numbers")
    return tuple(shape)


def from_inline(form: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The array of a map of dtype, shape and data, read-only."""
    dtype, shape = plain_dtype(form.get("dtype")), plain_shape(form.get("shape"))
    data = form.get("data")
    if not isinstance(data, bytes) or len(data) != dtype.itemsize * prod(shape):
        raise WireError("malformed", "an array's bytes do not fill its shape")
    return np.frombuffer(data, dtype).reshape(shape)


class Handles:
    """Reads the handles of one topic's arrays: slot, generation, dtype and shape of what lies in the lane."""

    def __init__(self) -> None:
        self._seen: tuple[object, object] | None = None  # as it stood in the last one: frames are all alike
        self._form: tuple[Any, ...] = ()  # dtype and shape

    def __call__(self, form: dict[str, Any]) -> tuple[int, int, np.dtype[Any], tuple[int, ...]]:
        slot, generation = form.get("slot"), form.get("generation")
        if not (
            type(slot) is int
            and type(generation) is int
            and 0 <= slot < 1 << 32
            and 0 <= generation < 1 << 64
        ):
            raise WireError("malformed", "an array without data needs slot and generation")
        seen = (form.get("dtype"), form.get("shape"))
        if seen != self._seen:
            self._form = plain_dtype(seen[0]), plain_shape(seen[1])
            self._seen = seen
        return slot, generation, self._form[0], self._form[1]


class Encoder:
    """Encodes one topic's messages; ``array`` says how an array is written (inline unless told)."""

    def __init__(self, array: Callable[[Any], Any] = inline) -> None:
        self.envelope = msgspec.msgpack.Encoder(enc_hook=array).encode

    def __call__(self, message: Message, *, seq: int, sent: int, cause: tuple[Hop, ...] = ()) -> bytes:
        return self.envelope(Envelope(VERSION, seq, sent, cause[-LONGEST_CAUSE:], message))


class Decoder(Generic[T]):
    """Decodes one topic's messages, checked against its type; raises WireError and nothing else.

    With ``Any`` for a type the body stays a plain map, and an array in it the map that it is on the wire.
    """

    def __init__(self, kind: type[T], array: Callable[[dict[str, Any]], Any] = from_inline) -> None:
        self._kind = kind
        self._largest = largest(kind)
        self._array = array
        self._only = only_array(kind)
        self._decode = msgspec.msgpack.Decoder(Envelope[kind], dec_hook=self._hook).decode  # type: ignore[valid-type]

    def __call__(self, data: bytes) -> Envelope[T]:
        if len(data) > self._largest:
            raise WireError("too large", f"{len(data)} bytes, at most {self._largest}")
        try:
            envelope: Envelope[T] = self._decode(data)
            if envelope.version != VERSION:
                raise WireError("version", f"{envelope.version}, this is version {VERSION}")
            if self._only is None and isinstance(envelope.body, Message):
                check_arrays(envelope.body)
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
            raise self._refusal(data, error) from None
        return envelope

    def _hook(self, _type: type, form: Any) -> Any:
        if not isinstance(form, dict):
            raise WireError("malformed", "an array must be a map")
        array = self._array(form)
        if self._only and not self._only.fits(array):
            raise WireError("malformed", f"a {array.dtype} array {array.shape} must be a {self._only}")
        return array

    def _refusal(self, data: bytes, error: Exception) -> WireError:
        """Why it was not taken, with its number if it has one."""
        try:
            loose = msgspec.msgpack.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            loose = None
        cause = error if isinstance(error, WireError) else error.__cause__
        refusal = cause if isinstance(cause, WireError) else self._judge(loose, error)
        if isinstance(loose, list) and len(loose) > 1 and type(loose[1]) is int:
            refusal.seq = loose[1]
        return refusal

    def _judge(self, loose: Any, error: Exception) -> WireError:
        """What is wrong with a message: another version, another type, or no envelope at all."""
        if loose is None:
            return WireError("malformed", str(error))
        if not (isinstance(loose, list) and len(loose) >= 5):
            return WireError("malformed", "not an array of version, seq, sent, cause and body")
        if loose[0] != VERSION:
            return WireError("version", f"{loose[0]!r:.20}, this is version {VERSION}")
        have = loose[4].get("type") if isinstance(loose[4], dict) else None
        wanted = tags(self._kind)
        if wanted and have not in wanted:
            return WireError("wrong type", f"{have!r:.60}, expected {' or '.join(wanted)}")
        return WireError("malformed", str(error))
