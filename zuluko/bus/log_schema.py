"""The JSON schema of a message type as a log holds it: each field with the words of the type's docstring,
where its unit stands."""

import re
from typing import Any

import msgspec

_TOLD = re.compile(r"^ *((?:``\w+``,? *(?:and )?)+) {2,}(.*(?:\n {4,}(?! *``\w+``).*)*)", re.MULTILINE)


def encode(schema: dict[str, Any]) -> bytes:
    """A schema as it was announced on the bus, with the fields described."""
    definitions = schema.get("$defs", {})
    described = {name: _described(one) for name, one in definitions.items()}
    return msgspec.json.encode({**_described(schema), **({"$defs": described} if described else {})})


def _described(schema: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return schema
    words = told(str(schema.get("description", "")))
    properties = {
        name: {"description": words[name], **one} if name in words and isinstance(one, dict) else one
        for name, one in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def told(docstring: str) -> dict[str, str]:
    """What a docstring says of each field, in the lines that begin with its name."""
    return {
        name: re.sub(r"\s+", " ", text).strip()
        for names, text in _TOLD.findall(docstring)
        for name in re.findall(r"\w+", names)
    }
