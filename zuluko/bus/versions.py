"""Versions of message types: what a log holds as ``Imu/1``, read as ``Imu/2``.

A field that was added with a default needs nothing. Any other change is a type of the next version, and
beside its fields one function that makes an older message's fields those of the version after it::

    class Light(Message, tag="Light/3"):
        lux: float
        sensor: str

        @staticmethod
        def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
            if version == 1:
                return {"stamp": fields["stamp"], "lux": 1000 * fields["kilolux"]}
            return {**fields, "sensor": "unnamed"}

It is called once for each version on the way, with arrays as numpy arrays.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from zuluko.bus.message import Message, check_arrays, tag
from zuluko.bus.np import np
from zuluko.bus.wire import Decoder, Envelope, WireError, inline, tags

Fields = dict[str, Any]
From = Callable[[dict[str, Any]], Any]  # an array, of its form
Schema = Mapping[str, Any]  # of a type, as JSON schema


class VersionError(ValueError):
    """A message of another version that cannot be read; names the type, both versions and the field."""


def split(name: str) -> tuple[str, int]:
    """The two parts of a wire name, ``Imu/2``; without a version it has 0."""
    word, _, number = name.rpartition("/")
    return (word, int(number)) if word and number.isascii() and number.isdecimal() else (name, 0)


def fitting(kinds: Mapping[str, type[Message]], have: str) -> type[Message] | None:
    """The type for messages of a wire name, of those by wire name: their own, or else the newest version."""
    word, _ = split(have)
    versions = [name for name in kinds if split(name)[0] == word]
    return kinds.get(have) or (kinds[max(versions, key=split)] if versions else None)


def refusal(kind: Any, have: str, schema: Schema) -> str:
    """Why messages of a wire name, which a log's JSON schema describes, cannot be read as a type; empty where
    they can."""
    if not isinstance(kind, type) or not issubclass(kind, Message) or not have or have == tag(kind):
        return (
            "" if have in (*tags(kind), "") or kind is Any else f"{have} is none of {', '.join(tags(kind))}"
        )
    want = tag(kind)
    (old_word, old), (new_word, new) = split(have), split(want)
    if old_word != new_word:
        return f"{have} is not {want}"
    if old < new and callable(getattr(kind, "upgrade", None)):
        return ""
    where = f" ({found})" if (found := difference(schema, kind, have)) else ""
    if old > new:
        return f"{have} is newer than {want}, which this program knows{where}; update the program"
    return f"{have} is older than {want}, which this program knows{where}; give {want} an `upgrade`"


def decoder(kind: Any, have: str, array: From) -> Callable[[bytes], Envelope[Any]]:
    """What decodes messages of a wire name as a type that does not refuse them. It raises WireError, and
    VersionError where ``upgrade`` gives what the type is not."""
    if kind is Any or get_args(kind) or have in (tag(kind), ""):
        return Decoder(kind, array)
    plain: Decoder[Any] = Decoder(Any, array)

    def decode(data: bytes) -> Envelope[Any]:
        told = plain(data)
        if not isinstance(told.body, dict) or told.body.get("type") != have:
            raise WireError("wrong type", f"{_type(told.body)!r:.60}, expected {have}")
        return Envelope(told.version, told.seq, told.sent, told.cause, _made(kind, have, told.body, array))

    return decode


def upgraded(kind: type[Message], have: str, body: Fields, array: From) -> Fields:
    """The fields of an older message in a type's own version; raises VersionError."""
    fields = {key: _array(value, array) for key, value in body.items() if key != "type"}
    for version in range(split(have)[1], split(tag(kind))[1]):
        try:
            fields = kind.upgrade(version, fields)  # type: ignore[attr-defined]
        except Exception as error:  # a user's own function
            why = f"there is no field `{error.args[0]}`" if isinstance(error, KeyError) else f"{error!r}"
            raise VersionError(
                f"{have} cannot become {tag(kind)}: `upgrade` from {version}: {why}"
            ) from error
        if not isinstance(fields, dict):
            what = f"`upgrade` from {version} gave no map of fields"
            raise VersionError(f"{have} cannot become {tag(kind)}: {what}")
    return {"type": tag(kind), **fields}


def plainly(kind: type[Message], have: str, array: From, body: Fields) -> Fields:
    """The same for whoever shows fields: arrays in the form that they have on the wire, and a message that
    says to be of another type as it is."""
    if body.get("type") != have:
        return body
    fields = upgraded(kind, have, body, array)
    return {key: inline(value) if isinstance(value, np.ndarray) else value for key, value in fields.items()}


def difference(schema: Schema, kind: type[Message], have: str) -> str:
    """The first field that a type has otherwise than the schema of its other version, as a clause; empty
    where none is found, and of another type."""
    from zuluko.bus.topics import schema as schema_of

    (old, theirs, _), (new, ours, required) = _properties(schema), _properties(schema_of(kind))
    here = f"{tag(kind)} here" if have == tag(kind) else tag(kind)
    if not old or split(have)[0] != split(tag(kind))[0]:
        return ""
    for name in (*new, *(name for name in old if name not in new)):
        if name not in old and name in required:
            return f"`{name}` of {here} is not in {have}"
        if name in old and name not in new:
            return f"`{name}` of {have} is not in {here}"
        if name in old and (was := _word(old[name], theirs)) != (is_ := _word(new[name], ours)):
            return f"`{name}` is {was} in {have} and {is_} in {here}"
    return ""


def _made(kind: type[Message], have: str, body: Fields, array: From) -> Message:
    try:
        message = msgspec.convert(upgraded(kind, have, body, array), kind, dec_hook=lambda _, value: value)
        check_arrays(message)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        if isinstance(error, VersionError | WireError):
            raise
        what = str(error).replace("$.", "")
        raise VersionError(
            f"{have} cannot become {tag(kind)}: `upgrade` gave no such message: {what}"
        ) from None
    return message


def _array(value: Any, array: From) -> Any:
    """An array's form as the array; anything else as it is."""
    is_form = isinstance(value, dict) and {"dtype", "shape"} <= value.keys()
    return array(value) if is_form and ("data" in value or "jpeg" in value) else value


def _type(body: Any) -> Any:
    return body.get("type") if isinstance(body, dict) else None


def _properties(schema: Schema) -> tuple[dict[str, Any], Mapping[str, Any], list[str]]:
    """The fields of a message's schema, what it refers to, and the fields that have no default."""
    others = schema.get("$defs", {})
    named = str(schema.get("$ref", "")).rpartition("/")[2]
    body = others.get(named, {}) if named and isinstance(others, dict) else schema
    properties = body.get("properties", {}) if isinstance(body, dict) else {}
    if not isinstance(properties, dict):
        return {}, {}, []
    return {name: one for name, one in properties.items() if name != "type"}, others, body.get("required", [])


def _word(field: Any, others: Any) -> str:
    """What a field is, in a word or two."""
    if not isinstance(field, dict):
        return "anything"
    if "anyOf" in field and isinstance(field["anyOf"], list):
        return " or ".join(_word(one, others) for one in field["anyOf"])
    if "$ref" in field:
        named = str(field["$ref"]).rpartition("/")[2]
        inner = others.get(named, {}) if isinstance(others, dict) else {}
        return f"a {inner.get('title', named) if isinstance(inner, dict) else named}"
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum'] if isinstance(field['enum'], list) else ()))}"
    if field.get("type") == "array" and "items" in field:
        return f"a list of {_WORDS.get(_word(field['items'], others), _word(field['items'], others))}"
    return _KINDS.get(str(field.get("type")), str(field.get("type", "anything")))


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "none",
}
_WORDS = {"a whole number": "whole numbers", "a number": "numbers", "a text": "texts"}
