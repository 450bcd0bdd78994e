"""The JSON Schema of launch files, for editors: made of the tables that the reader checks by, and of the
annotations of the nodes' functions."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from zuluko.document import DocumentError
from zuluko.launch import functions, include, keys, signature, stock
from zuluko.launch.compounds import described
from zuluko.launch.options import accepts
from zuluko.launch.rule_entry import is_rules
from zuluko.launch.shapes import VARIABLE, Duration
from zuluko.launch.signature import Signature

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def of(file: Path | None = None) -> dict[str, Any]:
    """The schema, with the configuration of the stock graphs' nodes, and of those in ``file``. Raises
    DocumentError where the file is no YAML; a node of it that cannot be imported is left undescribed."""
    nodes = dict(_nodes(file))
    defs: dict[str, Any] = {
        "variable": {"type": "string", "pattern": r"\$", "description": "$name, $env:NAME"},
        "entry": _entry(list(nodes)),
    }
    defs["entry"]["allOf"] = [_case(run, function, defs) for run, function in nodes.items()]
    properties = {key: described(known.shape, known.help) for key, known in keys.TOP.items()}
    properties["nodes"] = {
        "type": "object",
        "description": keys.TOP["nodes"].help,
        "propertyNames": {"pattern": f"^{keys.NAME}$"},
        "additionalProperties": {"$ref": "#/$defs/entry"},
        "minProperties": 1,
    }
    return {
        "$schema": DRAFT,
        "title": "Zuluko launch file",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [{"required": ["nodes"]}, {"required": ["include"]}],
        "$defs": defs,
    }


def _nodes(file: Path | None) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions that are known, by what `run` says."""
    files = [stock.FOLDER / f"{name}.yaml" for name in stock.names()]
    for one in [*files, *([file] if file else ())]:
        try:
            parts = include.read(one, {})
        except DocumentError:
            if one is file:
                raise
            continue
        for given in (given for part in parts for given in include.nodes(part)):
            if not is_rules(given.run):
                try:
                    function = functions.find(given.run, given.part.folder)
                    signature.read(function)
                except (functions.RunError, signature.SignatureError):
                    continue
                yield given.run, function


def _entry(known: list[str]) -> dict[str, Any]:
    properties = {key: described(one.shape, one.help) for key, one in keys.ENTRY.items()}
    properties["run"] = {
        "description": keys.ENTRY["run"].help,
        "anyOf": [{"enum": known}, {"type": "string"}],
    }
    return {"type": "object", "properties": properties, "required": ["run"]}


def _case(run: str, function: Callable[..., Any], defs: dict[str, Any]) -> dict[str, Any]:
    """What an entry may hold where it runs this function."""
    read, defaults = signature.read(function), signature.defaults(function)
    properties: dict[str, Any] = dict.fromkeys(keys.ENTRY, True)
    properties["in"] = _inputs(read)
    for name, kind in read.options.items():
        properties[name] = _option(kind, defs)
        if name in defaults and (default := _plain(defaults[name])) is not msgspec.UNSET:
            properties[name]["default"] = default
        if text := _told(function, name):
            properties[name]["description"] = text
    required = [*read.required, *(["in"] if read.inputs else [])]
    then = {"properties": properties, "additionalProperties": False, "required": required}
    return {"if": {"properties": {"run": {"const": run}}, "required": ["run"]}, "then": then}


def _inputs(read: Signature) -> dict[str, Any]:
    shape = keys.IN.value.schema()
    inputs = {
        one.name: {**shape, "description": " or ".join(kind.__name__ for kind in one.types)}
        for one in read.inputs
    }
    return {"type": "object", "properties": inputs, "additionalProperties": False, "required": list(inputs)}


def _option(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """A type as msgspec tells it, and what else a person may write for it."""
    try:
        (schema,), inner = msgspec.json.schema_components(
            [kind], schema_hook=_hook, ref_template="#/$defs/{name}"
        )
    except (TypeError, NotImplementedError):
        return {}
    defs.update(inner)
    taken = accepts(kind)
    others = [Duration().schema()] if taken.durations else []
    return {"anyOf": [schema, *others, *([{"type": "integer"}] if taken.numbers else []), VARIABLE]}


def _hook(kind: type) -> dict[str, Any]:
    if issubclass(kind, Path):
        return {"type": "string"}
    raise NotImplementedError


def _plain(default: Any) -> Any:
    """A default as JSON; UNSET where it has no form there."""
    try:
        return msgspec.to_builtins(default, enc_hook=str)
    except (TypeError, ValueError):
        return msgspec.UNSET


def _told(function: Callable[..., Any], name: str) -> str:
    """What the function's docstring says of a parameter, in the lines that begin with its name."""
    found = re.search(rf"^ *``{name}`` +(.*(?:\n {{8,}}.*)*)", function.__doc__ or "", re.MULTILINE)
    return re.sub(r"\s+", " ", found[1]).strip() if found else ""
