"""Messages as JSON, and their schemas in the words that Foxglove's reader knows.

That reader takes objects, lists of one kind of item, strings, numbers and booleans, refuses a schema with
anything else in it, references included, and shows what the schema leaves out all the same.
"""

from typing import Any

import msgspec

DEEPEST = 8  # objects within each other
_PLAIN = {"boolean", "string", "number", "integer"}


def encode(body: dict[str, Any]) -> bytes:
    """A body as JSON: NaN and infinity are null, of an array dtype and shape are told, of bytes how many."""
    return msgspec.json.encode(_plain(body))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if {"dtype", "shape"} <= value.keys():
            return {"dtype": value["dtype"], "shape": value["shape"]}
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def schema(told: dict[str, Any]) -> bytes:
    """A type's JSON schema, as a log has it, without references and without what Foxglove cannot take."""
    return msgspec.json.encode(plain(told))


def plain(told: dict[str, Any]) -> dict[str, Any]:
    """The same as a map; whatever a log has there, every part of it is of the kind that it must be."""
    definitions = told.get("$defs")
    found = _object(told, definitions if isinstance(definitions, dict) else {}, 0)
    return found or {"type": "object", "properties": {}}


def _object(told: dict[str, Any], definitions: dict[str, Any], depth: int) -> dict[str, Any] | None:
    told = _followed(told, definitions)
    if told.get("type") != "object" or depth > DEEPEST:
        return None
    if told.get("title") == "Array":
        numbers = {"type": "array", "items": {"type": "integer"}}
        told = {**told, "properties": {"dtype": {"type": "string"}, "shape": numbers}}
    fields = told.get("properties")
    properties = {
        name: found
        for name, one in (fields.items() if isinstance(fields, dict) else ())
        if (found := _field(one, definitions, depth + 1))
    }
    return {**_words(told), "type": "object", "properties": properties}


def _field(told: Any, definitions: dict[str, Any], depth: int) -> dict[str, Any] | None:
    """A field's schema; None where it cannot be told."""
    if not isinstance(told, dict):
        return None
    words, told = _words(told), _followed(told, definitions)
    if told.get("type") == "object":
        found = _object(told, definitions, depth)
        return found and {**found, **words}
    if told.get("type") == "array":
        kinds = [*told["prefixItems"]] if isinstance(told.get("prefixItems"), list) else [told.get("items")]
        items = [_field(one, definitions, depth) for one in kinds]
        if (
            not items
            or items[0] is None
            or items[0]["type"] == "array"
            or items.count(items[0]) != len(items)
        ):
            return None
        return {**words, "type": "array", "items": items[0]}
    kind = _plain_kind(told)
    return {**words, "type": kind} if kind else None


def _plain_kind(told: dict[str, Any]) -> str:
    values = told.get("enum")
    if isinstance(values, list) and values and all(isinstance(one, str) for one in values):
        return "string"
    kind = told.get("type")
    return kind if isinstance(kind, str) and kind in _PLAIN else ""


def _followed(told: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema without its reference, and of a choice between something and nothing the something."""
    for _ in range(DEEPEST):
        choices = told.get("anyOf")
        if isinstance(choices, list):
            some = [one for one in choices if isinstance(one, dict) and one.get("type") != "null"]
            told = some[0] if len(some) == 1 else {}
        elif isinstance(reference := told.get("$ref"), str):
            found = definitions.get(reference.rpartition("/")[2])
            told = found if isinstance(found, dict) else {}
        else:
            break
    return told


def _words(told: dict[str, Any]) -> dict[str, Any]:
    words = told.get("description")
    return {"description": words} if isinstance(words, str) else {}
