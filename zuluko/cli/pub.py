"""``zuluko pub``: a message by hand, on a topic of one's own or into an actuator's command input."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from zuluko.cli.say import fail
from zuluko.cli.top import ends_quietly

if TYPE_CHECKING:
    from zuluko.bus.message import Command, Message
    from zuluko.launch.status import Heard, Status

Topic = Annotated[
    str,
    typer.Argument(help="a node's command input, such as lock.commands, or a new topic", metavar="TOPIC"),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="the type, such as LockCommand/1 or module:Class, and the fields as YAML or JSON in quotes; "
        "a command input knows its type",
        metavar="[TYPE] [FIELDS]",
    ),
]
Rate = Annotated[float, typer.Option("--rate", "-r", help="messages a second, again and again", min=0)]
Count = Annotated[int, typer.Option("--count", "-n", help="stop after so many messages", min=0)]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]

LISTENERS = 1.0  # s that a single message waits for somebody to hear it
FASTEST = 10_000.0  # Hz


def pub(topic: Topic, words: Words = None, rate: Rate = 0, count: Count = 0, as_json: Json = False) -> None:
    """Publish a message: once, or with --rate until Ctrl-C or --count.

    A command is sent to the node itself, and its acknowledgement printed: zuluko pub lock.commands
    '{open_for: 2s}'
    """
    from zuluko.bus.topics import TopicError
    from zuluko.launch.graphlock import AlreadyRunningError

    typed = _typed(words or [])
    if rate > FASTEST:
        fail(f"--rate {rate:g}: at most {FASTEST:g} a second", 2)
    times = Times(rate or 1.0, count or (0 if rate else 1))
    try:
        with ends_quietly(), ExitStack() as stack:
            target = _resolve(topic)
            if target.node:
                _command(target, typed, times, as_json, stack)
            else:
                _publish(target, typed, times, as_json, stack)
    except (TopicError, AlreadyRunningError) as error:
        fail(error)


class Typed(NamedTuple):
    """A type and its fields as they were typed, each empty where it was not given."""

    kind: str = ""
    fields: str = ""


def _typed(words: list[str]) -> Typed:
    if len(words) > 2 or any(re.fullmatch(r"\w+(:|=.*)", word) for word in words):
        fail(f"write the fields in quotes and braces: '{{{_fields(words)}}}'", 2)
    if len(words) == 2:
        return Typed(*words)
    only = words[0] if words else ""
    is_fields = only.startswith("{") or ": " in only or only.endswith(":")
    return Typed(fields=only) if is_fields else Typed(kind=only)


def _fields(words: list[str]) -> str:
    """The fields of `a: 1 b=2`, as they are to be written."""
    found = re.findall(r"(\w+)(?::\s+|=)([^\s,}]+)", " ".join(words))
    return ", ".join(f"{name}: {value}" for name, value in found) or "open_for: 2s"


class Times:
    """When to publish: ``count`` times, or for ever where it is 0, at a rate in Hz."""

    def __init__(self, rate: float, count: int) -> None:
        self.count = count
        self._period = 1 / rate

    def __iter__(self) -> Iterator[int]:
        due, number = time.monotonic(), 0
        while not self.count or number < self.count:
            time.sleep(max(0.0, due - time.monotonic()))
            yield number
            due, number = max(due + self._period, time.monotonic() - 1.0), number + 1


class Target:
    """Where a message goes: a topic of a graph, or a node's command input."""

    def __init__(self, graph: str, name: str, told: "Status | None", node: str = "") -> None:
        self.graph, self.name, self.told, self.node = graph, name, told, node
        self.input: Heard | None = None


def _resolve(topic: str) -> Target:
    """What a person means by a name; exits with a sentence where somebody else publishes it."""
    from zuluko.bus.topics import check_name, graphs
    from zuluko.launch import status
    from zuluko.launch.graphlock import running

    wanted, _, name = topic.rpartition("/")
    check_name(name)
    found = {graph: status.read(graph) for graph in graphs() if running(graph) and wanted in ("", graph)}
    inputs = [target for graph, told in found.items() if (target := _input(graph, name, told))]
    if len(inputs) > 1:
        several = ", ".join(f"{target.graph}/{name}" for target in inputs)
        fail(f"several graphs have an input `{name}`; write one of: {several}")
    if inputs:
        return inputs[0]
    if not wanted and len(found) != 1:
        word = "several graphs run" if found else "no graph runs"
        fail(f"{word}; write GRAPH/{name}, such as {next(iter(found), 'test')}/{name}")
    graph = wanted or next(iter(found))
    told = found.get(graph)
    _refuse_second(graph, name, told)
    return Target(graph, name, told)


def _input(graph: str, name: str, told: "Status | None") -> Target | None:
    for node in told.nodes if told else ():
        for heard in node.inputs:
            if heard.how == "commands" and f"{node.name}.{heard.name}" == name:
                target = Target(graph, name, told, node.name)
                target.input = heard
                return target
    return None


def _refuse_second(graph: str, name: str, told: "Status | None") -> None:
    """Exits where somebody publishes the topic; a second publisher would take it from the first."""
    import os

    from zuluko.bus.topics import announcement

    node = told.publisher(name) if told else None
    other = announcement(graph, name)
    pid = node.pid if node else other.pid if other else 0
    if not node and not (pid and os.path.exists(f"/proc/{pid}")):
        return
    who = f"the node {node.name} of {graph}" if node else f"a process (pid {pid})"
    what = f"`{name}` is published by {who}, and a topic has one publisher"
    fail(f"{what}; {_instead(name, told) or 'choose another name'}")


def _instead(name: str, told: "Status | None") -> str:
    """The command input that a person may have meant: the one that hears the topic, or of the node that
    publishes it."""
    for node in told.nodes if told else ():
        for heard in node.inputs:
            if heard.how == "commands" and (name in heard.topics or name.partition(".")[0] == node.name):
                return f"to command {node.name}, write: zuluko pub {node.name}.{heard.name}"
    return ""


def _command(target: Target, typed: Typed, times: Times, as_json: bool, stack: ExitStack) -> None:
    """Sends commands reliably, and prints what became of each; exits with status 1 if one failed."""
    from zuluko.bus import clock
    from zuluko.bus.commands import DEADLINE, CommandSender
    from zuluko.bus.wire import VERSION, Envelope
    from zuluko.launch.status import share_clock

    assert target.input
    share_clock(target.graph)
    kind: type[Command] = _command_kind(target, typed.kind)
    make = _maker(kind, typed.fields, to=target.node)
    sender = CommandSender(target.graph, target.node, target.input.name)
    stack.callback(sender.close)
    for number in times:
        command: Any = make(clock.now())
        sender.send(Envelope(VERSION, number, clock.now(), (), command))
        until = time.monotonic() + DEADLINE + 0.5
        while sender.taken + sender.failed <= number and time.monotonic() < until:
            time.sleep(0.002)
        taken = sender.taken == number + 1 - sender.failed and sender.failed == 0
        if as_json:
            print(json.dumps({"to": target.name, "id": command.id, "taken": taken}), flush=True)
        elif taken:
            print(f"{target.node} has taken the command {command.id}", flush=True)
        if not taken:
            sys.exit(1)  # why, the sender has said


def _command_kind(target: Target, wanted: str) -> Any:
    """The type of a command input: the one that was named, of those that it takes."""
    assert target.input
    takes = {kind.type: kind.home for kind in target.input.kinds}
    known = ", ".join(takes)
    if not wanted and len(takes) > 1:
        fail(f"`{target.name}` takes several types; name one of: {known}", 2)
    tag = wanted or next(iter(takes))
    home = takes.get(tag) or next((home for name, home in takes.items() if wanted in (home, _bare(name))), "")
    if not home:
        fail(f"`{target.name}` takes {known}, not {wanted}")
    folder = str(Path(target.told.file).parent) if target.told else ""
    return _imported(home, folder)


def _publish(target: Target, typed: Typed, times: Times, as_json: bool, stack: ExitStack) -> None:
    """Publishes on a topic that nobody else publishes, in a running graph or in one of its own."""
    from zuluko.bus import clock
    from zuluko.bus.message import MessageError
    from zuluko.bus.publisher import Publisher
    from zuluko.bus.wire import WireError
    from zuluko.launch.graphlock import GraphLock, running
    from zuluko.launch.status import share_clock

    if not typed.kind:
        _fail_without_type(target)
    kind = _kind(typed.kind)
    make = _maker(kind, typed.fields)
    if running(target.graph):
        share_clock(target.graph)
    else:
        stack.callback(GraphLock(target.graph).release)
    publisher = Publisher(target.graph, target.name, kind)
    stack.callback(publisher.close)
    if times.count == 1:
        _wait_for_listeners(publisher)
    for number in times:
        try:
            publisher.send(make(clock.now()))
        except (MessageError, WireError) as error:
            fail(error)
        listeners = publisher.subscribers
        if as_json:
            told = {"topic": f"{target.graph}/{target.name}", "seq": number, "listeners": listeners}
            print(json.dumps(told), flush=True)
        elif number == 0:
            heard = "nobody listens" if not listeners else f"{listeners} listen{'s' * (listeners == 1)}"
            goes_on = "" if times.count else "; Ctrl-C ends it"
            print(f"{kind.__name__} on {target.graph}/{target.name}: {heard}{goes_on}", flush=True)
    time.sleep(0.05)  # what goes over a socket leaves in its own time


def _fail_without_type(target: Target) -> NoReturn:
    from zuluko.document import nearest

    inputs = [
        f"{node.name}.{heard.name}"
        for node in (target.told.nodes if target.told else ())
        for heard in node.inputs
        if heard.how == "commands"
    ]
    hint = nearest(target.name, inputs) or "; a new topic needs its type, such as LockCommand/1"
    fail(f"no node has a command input `{target.name}`{hint}", 2)


def _wait_for_listeners(publisher: Any) -> None:
    until = time.monotonic() + LISTENERS
    while not publisher.subscribers and time.monotonic() < until:
        time.sleep(0.005)


def _bare(tag: str) -> str:
    return tag.partition("/")[0]


def _kind(wanted: str) -> "type[Message]":
    """The message type ``LockCommand/1`` or ``LockCommand`` of zuluko.messages, or ``module:Class``."""
    if ":" in wanted:
        return _imported(wanted, str(Path.cwd()))  # type: ignore[no-any-return]
    from zuluko import messages
    from zuluko.bus.message import Message, tag
    from zuluko.document import nearest

    known = {
        tag(kind): kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and issubclass(kind, Message) and tag(kind) not in ("Message", "Command")
    }
    found = known.get(wanted) or next((kind for name, kind in known.items() if _bare(name) == wanted), None)
    if not found:
        hint = nearest(wanted, known) or f"; there are: {', '.join(sorted(known))}, and your own module:Class"
        fail(f"no message type `{wanted}`{hint}")
    return found


def _imported(home: str, folder: str) -> Any:
    """The message type ``module:Class``; the folder is where a user's own module lies."""
    import importlib

    from zuluko.bus.message import Message
    from zuluko.document import nearest

    module, _, name = home.partition(":")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    plain = module.removesuffix(".py").removeprefix("./")
    try:
        found = vars(importlib.import_module(plain))
    except Exception as error:  # a user's module may fail in any way; it is told as one sentence
        if isinstance(error, ModuleNotFoundError) and f"{plain}.".startswith(f"{error.name}."):
            beside = [file.stem for file in Path(folder).glob("*.py")]
            fail(f"there is no module `{module}`{nearest(plain, beside)}")
        fail(f"importing `{module}` failed: {type(error).__name__}: {error}")
    kinds = {key: kind for key, kind in found.items() if isinstance(kind, type) and issubclass(kind, Message)}
    if name not in kinds:
        fail(f"`{module}` has no message type `{name}`{nearest(name, kinds)}")
    return kinds[name]


def _maker(kind: "type[Message]", text: str, **given: Any) -> "Callable[[int], Message]":
    """Makes the message at a time, in ns: it is the stamp unless one is given; a command has a new id each
    time."""
    import secrets

    from zuluko.bus.message import Command, tag

    values = {**given, **_values(kind, text)}
    is_command = issubclass(kind, Command)
    auto = {"stamp", *(("id",) if is_command else ())}
    missing = [name for name in _required(kind) if name not in {*values, *auto}]
    if missing:
        fail(f"{tag(kind)} needs {', '.join(f'`{name}`' for name in missing)}")

    def make(now: int) -> "Message":
        own = {"id": f"pub-{secrets.randbelow(10**12)}"} if is_command else {}
        return kind(**{"stamp": now, **own, **values})

    return make


def _required(kind: type[Any]) -> list[str]:
    import msgspec

    return [field.name for field in msgspec.structs.fields(kind) if field.required]


def _values(kind: "type[Message]", text: str) -> dict[str, Any]:
    """The fields that were typed, checked; exits with a sentence on the first that is wrong."""
    import typing

    from zuluko import document
    from zuluko.bus.message import tag
    from zuluko.document import nearest

    if not text.strip() or text.strip() == "{}":
        return {}
    try:
        typed = document.parse(text, file="the fields").value
    except document.DocumentError as error:
        fail(f"{str(error).splitlines()[0]}; write them as '{{name: value}}'")
    hints = typing.get_type_hints(kind, include_extras=True)
    known = [name for name in kind.__struct_fields__ if name in hints]
    for name in typed:
        if name not in known:
            hint = nearest(name, known) or f"; it has: {', '.join(known)}"
            fail(f"{tag(kind)} has no field `{name}`{hint}")
    return {name: _value(kind, name, value, hints[name]) for name, value in typed.items()}


def _value(kind: "type[Message]", name: str, value: Any, hint: Any) -> Any:
    from zuluko.bus.message import arrays
    from zuluko.launch import options

    try:
        if found := arrays(kind).get(name):
            import numpy as np

            return np.array(value, dtype=found.array.dtype)
        return options.convert(value, hint, folder=Path.cwd(), name=name)
    except options.OptionError as error:
        fail(error)
    except (ValueError, TypeError, OverflowError) as error:
        fail(f"`{name}`: {error}")
