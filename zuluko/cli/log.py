"""``zuluko log``: what is in a log, parts of it, and one that is torn made whole."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.actions.clauses import CompiledClause
    from zuluko.bus.log_reader import LogReader

app = typer.Typer(
    help="Look into logs, plot, export, cut, merge, verify and repair them.", no_args_is_help=True
)

Log = Annotated[Path, typer.Argument(help="a log, such as night.mcap", metavar="LOG")]
Logs = Annotated[list[Path], typer.Argument(help="the logs to merge", metavar="LOG...")]
Out = Annotated[Path, typer.Argument(help="the log to write", metavar="OUT.mcap")]
Mended = Annotated[
    Path | None, typer.Argument(help="the log to write; LOG.repaired.mcap", metavar="[OUT.mcap]")
]
Into = Annotated[Path, typer.Option("--out", "-o", help="the log to write")]
Json = Annotated[bool, typer.Option("--json", help="for a script to read")]
Topics = Annotated[list[str] | None, typer.Option("--topic", "-t", help="a topic; again for another")]
From = Annotated[str, typer.Option("--from", help="from so long after the beginning: 12s", metavar="TIME")]
To = Annotated[str, typer.Option("--to", help="to so long after the beginning: 15s", metavar="TIME")]
Where = Annotated[
    str, typer.Option(help="a CEL expression over the fields, `topic` and `seq`", metavar="CEL")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--types", help="a module or file with your own message types", metavar="./FILE.py"),
]
Count = Annotated[int, typer.Option("--count", "-n", help="stop after so many; 0 goes on", min=0)]


@app.command()
def info(log: Log, as_json: Json = False) -> None:
    """Tell what a log holds: duration, topics, types, rates, silences, loss and size."""
    from zuluko.bus import log_edit
    from zuluko.bus.log_reader import losses

    with opened(log) as reader:
        start, end = reader.span
        paces, lost = log_edit.paces(reader), losses(reader.told)
        told = {
            "file": str(log),
            "bytes": reader.size,
            "whole": reader.whole,
            "start_ns": start,
            "seconds": round((end - start) / 1e9, 3),
            "messages": sum(pace.count for pace in paces.values()),
            "about": reader.told.get("zuluko", {}),
            "imported": reader.told.get("imported", {}),
            "topics": [
                {
                    "topic": topic,
                    "type": reader.type_of(topic) if topic in reader.topics else "",
                    "messages": pace.count,
                    "hz": round(pace.rate, 3),
                    "longest_silence_s": round(pace.gap / 1e9, 3),
                    "silent_at_s": round((pace.gap_at - start) / 1e9, 3) if pace.gap else None,
                    "lost": lost.get(topic, {}),
                }
                for topic, pace in paces.items()
            ],
        }
    print(json.dumps(told) if as_json else "\n".join(_lines(told)))


def _lines(told: dict[str, Any]) -> Iterator[str]:
    from datetime import UTC, datetime

    from zuluko.cli.echo import losses
    from zuluko.cli.top import aligned

    about, begun = told["about"], datetime.fromtimestamp(told["start_ns"] / 1e9, UTC)
    machine = f" on {about['machine']}" if "machine" in about else ""
    graph = f"the graph {about['graph']}{machine}, " if "graph" in about else ""
    if imported := told["imported"]:
        graph = f"{imported.get('as', 'imported')}, {imported.get('from', '?')}, "
    yield f"{told['file']}: {graph}{begun:%Y-%m-%d %H:%M:%S} UTC"
    size = f"{told['bytes'] / 1e6:.2f} MB"
    whole = "" if told["whole"] else f"; it has no index: zuluko log repair {told['file']}"
    yield f"{told['seconds']:.1f} s, {told['messages']} messages, {size}{whole}"
    rows = [
        [
            one["topic"],
            one["type"],
            str(one["messages"]),
            f"{one['hz']:.1f}",
            "-" if one["silent_at_s"] is None else f"{one['longest_silence_s']:.2f}",
            "-" if one["silent_at_s"] is None else f"{one['silent_at_s']:.1f}",
            losses(one["lost"]) or "-",
        ]
        for one in told["topics"]
    ]
    yield ""
    yield from aligned(["topic", "type", "messages", "Hz", "silent s", "at s", "lost"], rows)


@app.command()
def cat(  # noqa: PLR0917
    log: Log,
    topics: Topics = None,
    start: From = "",
    end: To = "",
    where: Where = "",
    count: Count = 0,
    types: Types = None,
    as_json: Json = False,
) -> None:
    """Print the messages of a log, a line each; arrays show their shape."""
    from zuluko.cli.echo import line

    clause = _clause(where) if where else None
    import_types(types or [])
    with opened(log) as reader:
        printed, begin, fields = 0, reader.span[0], set[str]()
        for topic, received, seq, body in _bodies(reader, topics, start, end):
            fields |= {"topic", "seq", *body}
            if clause and not _holds(clause, {**body, "topic": topic, "seq": seq}):
                continue
            seconds = (received - begin) / 1e9
            shown = line(seq, body, as_json, topic=topic, seconds=round(seconds, 6))
            print(shown if as_json else f"{seconds:10.3f} s  {topic:<12} {shown}")
            printed += 1
            if printed == count:
                return
    if clause and (unknown := {path[0] for path in clause.paths} - fields):
        from zuluko.document import nearest

        name = min(unknown)
        known = nearest(name, fields) or f"; there are: {', '.join(sorted(fields))}"
        fail(f"--where: no message has `{name}`{known}")


def _bodies(
    reader: "LogReader", topics: list[str] | None, start: str, end: str
) -> Iterator[tuple[str, int, int, dict[str, Any]]]:
    """Topic, log time, number and body of each message, upgraded where this program has a newer version of
    its type; one that cannot be read is told on standard error."""
    from zuluko.bus.versions import VersionError
    from zuluko.bus.wire import Decoder, WireError
    from zuluko.log import upgrades

    decode, newer = Decoder(Any), upgrades(reader)
    for topic, message in reader.messages(_known(reader, topics), *_span(reader, start, end)):
        try:
            envelope: Any = decode(message.data)
            body = newer[topic](envelope.body) if topic in newer else envelope.body
        except (WireError, VersionError) as error:
            print(f"{reader.path}: message {message.sequence} on {topic}: {error}", file=sys.stderr)
            continue
        if isinstance(body, dict):
            yield topic, message.received, envelope.seq, body


@app.command()
def cut(log: Log, out: Out, topics: Topics = None, start: From = "", end: To = "") -> None:
    """Write a part of a log into another: some topics, some time."""
    from zuluko.bus import log_edit

    with opened(log) as reader:
        begin, last = _span(reader, start, end)
        count = log_edit.write([reader], out, topics=_known(reader, topics), start=begin, end=last)
    print(f"{out}: {count} messages")


@app.command()
def merge(logs: Logs, out: Into) -> None:
    """Write several logs into one, in the order in which the messages were received."""
    from contextlib import ExitStack

    from zuluko.bus import log_edit

    with ExitStack() as stack:
        count = log_edit.write([stack.enter_context(opened(log)) for log in logs], out)
    print(f"{out}: {count} messages of {len(logs)} logs")


@app.command()
def verify(log: Log) -> None:
    """Read all of a log and hold it against its checksums and its index; status 1 where one is wrong."""
    from zuluko.bus import log_edit

    with opened(log) as reader:
        faults = log_edit.faults(reader)
        chunks = len(reader.contents.places)
    if faults:
        fail(
            "\n".join(f"{log}: {what}" for what in faults)
            + f"\nsave what is left with: zuluko log repair {log}"
        )
    print(f"{log}: good; {chunks} chunk{'' if chunks == 1 else 's'}")


@app.command()
def repair(log: Log, out: Mended = None) -> None:
    """Make a torn or damaged log whole, as a new file, and say what was lost."""
    from zuluko.bus.log_repair import repair
    from zuluko.bus.log_writer import LogError

    target = out or log.with_suffix(".repaired.mcap")
    try:
        done = repair(log, target)
    except LogError as error:
        fail(error)
    for what in done.lost:
        print(f"lost: {what}")
    print(
        f"{target}: {done.messages} messages on {done.topics} topics"
        + ("" if done.lost else ", nothing lost")
    )


def import_types(paths: list[str]) -> None:
    """Imports the modules with a user's own message types; exits with a sentence for one that cannot be."""
    from zuluko.launch import functions

    for path in paths:
        try:
            functions.module(path, Path.cwd())
        except functions.RunError as error:
            fail(f"--types: {error}")


@contextmanager
def opened(log: Path) -> Iterator["LogReader"]:
    """A log; what is wrong with it is one sentence."""
    from zuluko.bus.log_reader import LogReader
    from zuluko.bus.log_writer import LogError

    try:
        with LogReader(log) as reader:
            yield reader
    except LogError as error:
        fail(error)


def _known(reader: "LogReader", topics: list[str] | None) -> list[str] | None:
    """The topics that were named; exits with a sentence for one that the log does not have."""
    from zuluko.document import nearest

    for name in topics or ():
        if name not in reader.topics:
            known = nearest(name, reader.topics) or f"; it has: {', '.join(reader.topics) or 'nothing'}"
            fail(f"{reader.path} has no topic `{name}`{known}")
    return topics or None


def _span(reader: "LogReader", start: str, end: str) -> tuple[int | None, int | None]:
    begin = reader.span[0]
    first, last = seconds("--from", start), seconds("--to", end)
    return (
        None if first is None else begin + round(first * 1e9),
        None if last is None else begin + round(last * 1e9),
    )


def seconds(option: str, text: str) -> float | None:
    """A time that was typed, such as 12s; None for nothing."""
    from zuluko import document

    try:
        return document.seconds(text) if text else None
    except ValueError as error:
        fail(f"{option}: {error}", 2)


def _clause(text: str) -> "CompiledClause":
    from zuluko.actions.clauses import CompiledClause

    try:
        return CompiledClause(text)
    except ValueError as error:
        fail(f"--where {text}: {str(error).splitlines()[0]}; write a CEL expression such as: score > 0.8", 2)


def _holds(clause: "CompiledClause", fields: dict[str, Any]) -> bool:
    """Whether a message passes; one without what the expression reads does not."""
    try:
        return clause.program.execute(fields) is True
    except (KeyError, TypeError, RuntimeError, ValueError, OverflowError):
        return False
