"""Which rules a trial tries: those of a rule file, of a Python file or of a launch file, as nodes of a graph
whose other topics come from a log."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from zuluko.bus.log_reader import LogReader
from zuluko.bus.message import Command, Message, tag
from zuluko.bus.versions import difference, fitting, refusal
from zuluko.document import Document, DocumentError, nearest
from zuluko.launch import functions, launchfile, options, rule_entry, signature
from zuluko.launch.graph import Entry, Topic, Wire
from zuluko.launch.options import Text
from zuluko.log import known_types, schema_in
from zuluko.messages import Decision

Named = tuple[str, str]  # a rule: its node and its name

NODE = "rules"  # what the node of a rule file is called, as in most graphs


class TrialError(ValueError):
    """Rules and a log that do not go together; whole sentences."""


class Found(NamedTuple):
    """The nodes that decide, and the rules of all of which some are wanted."""

    entries: list[Entry]
    rules: list[Named]


def find(
    rules: str, reader: LogReader, sets: Mapping[str, str], types: Iterable[str] = (), rule: str = ""
) -> Found:
    """The nodes that decide: of ``door.rules.yaml``, of ``opener.py`` or ``opener.py:unlock``, or of a launch
    file or stock graph.

    ``sets`` are parameters that were typed; ``types`` name modules or files that define message types. With a
    ``rule``, by its name or as ``node.rule``, there is nothing that this one does not hang on, and what is
    wrong with the others is not looked at. Raises TrialError, and DocumentError for a launch file with
    problems.
    """
    load_types(types)
    if rule_entry.is_rules(rules):
        return _of_file(Path(rules), reader, sets, rule)
    if rules.partition(":")[0].endswith(".py") or (":" in rules and not Path(rules).exists()):
        return _of_python(rules, reader, sets, rule)
    return _of_launch(rules, sets, rule)


def _is_wanted(one: Named, rule: str) -> bool:
    """Whether it is the rule that is wanted, if one is."""
    return not rule or rule in (one[1], ".".join(one))


def load_types(types: Iterable[str]) -> None:
    """Imports modules or files that define message types; raises TrialError."""
    try:
        for path in types:
            functions.module(path, Path.cwd())
    except functions.RunError as error:
        raise TrialError(f"--types: {error}") from None


def silent(entries: Collection[Entry], reader: LogReader) -> list[str]:
    """The topics that the rules hear and the log has nothing on; raises TrialError where one has another
    type, or where a node would have nothing to look at."""
    own = {topic.name for entry in entries for topic in entry.outputs}
    missing: dict[str, None] = {}
    for entry in entries:
        for wire in entry.wires:
            heard = [topic for topic in wire.topics if topic.name not in own]
            absent = [topic.name for topic in heard if topic.name not in reader.topics]
            if absent and wire.input.drives and len(absent) == len(heard):
                what = f"{reader.path} has nothing on {', '.join(absent)}, which drives {entry.name}"
                raise TrialError(f"{what}; it has: {', '.join(reader.topics)}")
            missing |= dict.fromkeys(absent)
            for topic in heard:
                _check_type(topic, reader)
    return list(missing)


def _check_type(topic: Topic, reader: LogReader) -> None:
    have = reader.type_of(topic.name) if topic.name in reader.topics else tag(topic.kind)
    schema = schema_in(reader, topic.name) if topic.name in reader.topics else {}
    if refusal(topic.kind, have, schema):
        where = f" ({found})" if (found := difference(schema, topic.kind, have)) else ""
        what = f"{reader.path} has {topic.name} as {have}, and the rules read {tag(topic.kind)}{where}"
        raise TrialError(f"{what}; try them over a log of the graph as it is now")


# -- a rule file


def _of_file(file: Path, reader: LogReader, sets: Mapping[str, str], rule: str) -> Found:
    from zuluko import document
    from zuluko.actions import rulefile

    if not file.is_file():
        raise TrialError(functions.no_file(file))
    known = known_types()
    kinds = {name: kind for name in reader.topics if (kind := fitting(known, reader.type_of(name)))}
    try:
        read = document.load(file)
        names = [name for name in read.value if name != "params"]
        named = [(NODE, name) for name in names]
        if rule:
            wanted = next((name for name in names if _is_wanted((NODE, name), rule)), None)
            if wanted is None:
                return Found([], named)
            read = rulefile.document_of(read, wanted)
        ruleset = rulefile.check(
            read,
            topics=kinds,
            actuators=_actuators(read, known.values()),
            params=rule_entry.typed(file, {key: Text(text, f"--set {key}") for key, text in sets.items()}),
            name=NODE,
            zone=rule_entry.zone(),
        )
    except DocumentError as error:
        raise TrialError(_told(error, reader, kinds)) from None
    topics = {name: Topic(name, "", kinds[name]) for name in kinds}
    return Found([rule_entry.entry(NODE, str(file), ruleset, topics)], named)


def _told(error: DocumentError, reader: LogReader, kinds: Mapping[str, type[Message]]) -> str:
    """What is wrong, and what the rules were checked against; of a topic of no known type only that."""
    for name in reader.topics:
        named = f"`{name.partition('.')[0]}`"
        if name not in kinds and any(named in one.what for one in error.problems):
            what = f"{reader.path} has {name} as {reader.type_of(name)}, a type that is not known here"
            return f"{what}; name the file that defines it: --types ./FILE.py"
    return f"{error}\nthey were checked against {reader.path}, which has: {', '.join(kinds) or 'no topic'}"


def _actuators(read: Document, known: Iterable[type[Message]]) -> dict[str, type[Command]]:
    """The command type of each actuator, which a log does not tell: of those that are known, the one whose
    fields fit what the rules command, or whose name does."""
    from zuluko.actions.command import fields_of

    kinds = [kind for kind in known if issubclass(kind, Command) and kind is not Command]
    wanted: dict[str, set[str]] = {}
    for actuator, fields in _commanded(read.value):
        wanted.setdefault(actuator, set()).update(fields)
    found = {}
    for actuator, given in wanted.items():

        def fit(kind: type[Command], actuator: str = actuator, given: set[str] = given) -> tuple[Any, ...]:
            named = kind.__name__.lower().startswith(actuator.lower().rstrip("s"))
            shared = given & set(fields_of(kind))
            return named or bool(shared), shared == given, named, len(shared), kind.__name__

        best = max(kinds, key=fit)
        if fit(best)[0]:
            found[actuator] = best
    return found


def _commanded(rules: Mapping[str, Any]) -> Iterator[tuple[str, Iterable[str]]]:
    """Each actuator that rules name, as far as they are rules, and the fields of its command."""
    for rule in rules.values():
        for key in ("do", "else_do", "on_failure"):
            given = rule.get(key) if isinstance(rule, dict) else None
            for step in given if isinstance(given, list) else [given]:
                for actuator, fields in step.items() if isinstance(step, dict) else ():
                    yield actuator, fields if isinstance(fields, dict) else ()


# -- rules in Python


def _of_python(run: str, reader: LogReader, sets: Mapping[str, str], rule: str) -> Found:
    try:
        found = list(_functions(run))
    except functions.RunError as error:
        raise TrialError(str(error)) from None
    except signature.SignatureError as error:
        raise TrialError(f"{run} cannot be a rule: {error}") from None
    if not found:
        raise TrialError(f"{run} has no rule; one is a function under @rule, as docs/rules.md shows")
    taken = {key for _, read in found for key in read.options}
    for key in sets:
        if key not in taken:
            raise TrialError(f"--set {key}: {run} has no such configuration{nearest(key, taken)}")
    named = [(function.__name__, function.__name__) for function, _ in found]
    wanted = [one for one, name in zip(found, named, strict=True) if _is_wanted(name, rule)]
    return Found([_python_entry(run, function, read, reader, sets) for function, read in wanted], named)


def _functions(run: str) -> Iterator[tuple[Any, signature.Signature]]:
    """The rules of a module, or the one that is named, with their signatures."""
    path, _, name = run.partition(":")
    module = functions.module(path, Path.cwd())
    for one in [functions.find(run, Path.cwd())] if name else vars(module).values():
        own = getattr(one, "__module__", "") == module.__name__
        if callable(one) and hasattr(one, "function") and (name or own):
            read = signature.read(one)
            if Decision in read.outputs:
                yield one, read


def _python_entry(
    run: str, function: Any, read: signature.Signature, reader: LogReader, sets: Mapping[str, str]
) -> Entry:
    given = {key: Text(text, f"--set {key}") for key, text in sets.items() if key in read.options}
    if needed := [key for key in read.required if key not in given]:
        raise TrialError(f"{function.__name__} needs the configuration {needed[0]}: --set {needed[0]}=VALUE")
    try:
        values = {
            key: options.convert(text, read.options[key], folder=Path.cwd(), name=key)
            for key, text in given.items()
        }
    except options.OptionError as error:
        raise TrialError(f"--set: {error}") from None
    wires = tuple(Wire(wanted, (_topic(wanted, function.__name__, reader),)) for wanted in read.inputs)
    return Entry(function.__name__, run, function, read, wires=wires, options=values)


def _topic(wanted: signature.Input, rule: str, reader: LogReader) -> Topic:
    """The topic that an input hears: the one of its name, or the only one of its type."""
    (kind,) = wanted.types
    if wanted.name in reader.topics:
        return Topic(wanted.name, "", kind)
    fitting = [name for name in reader.topics if reader.type_of(name) == tag(kind)]
    if len(fitting) > 1:
        what = f"`{wanted.name}` of {rule} may be any of {', '.join(fitting)} in {reader.path}"
        raise TrialError(f"{what}; give the launch file, which says which, in the place of the rules")
    return Topic(fitting[0] if fitting else wanted.name, "", kind)


# -- the rules of a graph


def _of_launch(name: str, sets: Mapping[str, str], rule: str) -> Found:
    graph = launchfile.load(launchfile.locate(name), sets=sets, sparing=True)
    found = [entry for entry in graph.entries.values() if Decision in entry.signature.outputs]
    if not found:
        raise TrialError(f"{graph.file} has no rules; docs/rules.md tells how to write the first")
    for entry in found:
        entry.options.pop("source", None)  # a file that is edited meanwhile is for graphs that run
        if entry.when is not None:
            what = f"{entry.name} runs only `when` a condition holds, and a log does not tell when that was"
            raise TrialError(f"{what}; try its rules by their file")
    named = [(entry.name, name) for entry in found for name in _names(entry)]
    wanted = [one for one in named if _is_wanted(one, rule)]
    if rule:
        found = [_only(entry, name) for entry in found for node, name in wanted if node == entry.name]
    graph.demand(entry.name for entry in found)
    return Found(found, named)


def _names(entry: Entry) -> list[str]:
    """The rules that a node has: those of its file, or the function."""
    ruleset = entry.options.get("ruleset")
    return [rule.name for rule in ruleset.rules] if ruleset else [entry.function.__name__]


def _only(entry: Entry, rule: str) -> Entry:
    """The node with no more than one of its rules, and what that hangs on and hears."""
    if not (ruleset := entry.options.get("ruleset")):
        return entry
    from zuluko.actions import rulefile

    less = rulefile.only(ruleset, rule)
    heard = (less.hears, less.levels)
    wires = tuple(
        replace(wire, topics=tuple(one for one in wire.topics if less.names.get(one.name, one.name) in names))
        for wire, names in zip(entry.wires, heard, strict=True)
    )
    return replace(entry, wires=wires, options={**entry.options, "ruleset": less})
