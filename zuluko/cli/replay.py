"""``zuluko replay``: a log said again, on its own or in place of a graph's nodes."""

import json
import sys
import time
from contextlib import ExitStack
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli import lockstep as steps
from zuluko.cli.graphs import Json, Name, Set
from zuluko.cli.log import From, Log, To, Topics, Types, import_types, opened, seconds
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.bus.log_reader import LogReader
    from zuluko.bus.message import Message
    from zuluko.nodes.player import Due, Lateness, Timeline

Graph = Annotated[
    str, typer.Argument(help="a launch file or stock graph, whose other nodes run", metavar="[GRAPH]")
]
Rate = Annotated[str, typer.Option("--rate", "-r", help="so many times as fast, or max", metavar="RATE")]
Loop = Annotated[bool, typer.Option("--loop", help="begin again at the end")]
Only = Annotated[list[str] | None, typer.Option("--only", help="a node to replay; again for another")]
Without = Annotated[
    list[str] | None, typer.Option("--without", help="a node that runs though the log has it")
]
Act = Annotated[list[str] | None, typer.Option("--act", help="a node that acts for real; again for another")]
STEPS = "With --lockstep"
Lockstep = Annotated[
    bool,
    typer.Option(
        "--lockstep", help="with GRAPH: by the log's time, the same on every run", rich_help_panel=STEPS
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="write what is said into a log", metavar="OUT.mcap", rich_help_panel=STEPS),
]
ChainOut = Annotated[
    Path | None,
    typer.Option("--chain", help="write a digest a message", metavar="FILE", rich_help_panel=STEPS),
]
Against = Annotated[
    Path | None,
    typer.Option(
        help="say where the run parts from an earlier --out or --chain", metavar="FILE", rich_help_panel=STEPS
    ),
]
Twice = Annotated[
    bool, typer.Option("--twice", help="run twice, and say where the two part", rich_help_panel=STEPS)
]

LEAD = 0.5  # s before the first message, for those who want to hear it
SLOWEST, FASTEST = 0.01, 100.0


def replay(  # noqa: PLR0917
    log: Log,
    graph: Graph = "",
    set_: Set = [],  # noqa: B006
    name: Name = "",
    rate: Rate = "1",
    start: From = "",
    end: To = "",
    loop: Loop = False,
    topics: Topics = None,
    types: Types = None,
    only: Only = None,
    without: Without = None,
    act: Act = None,
    lockstep: Lockstep = False,
    out: Out = None,
    chain: ChainOut = None,
    against: Against = None,
    twice: Twice = False,
    as_json: Json = False,
) -> None:
    """Publish what a log holds, each message at its time; with GRAPH, in place of the nodes that said it."""
    from zuluko.bus.log_writer import LogError
    from zuluko.bus.topics import TopicError
    from zuluko.launch.graphlock import AlreadyRunningError

    stepping = bool(lockstep or out or chain or against or twice)
    times = _rate(rate)
    of_nodes = {"--only": only, "--without": without, "--act": act, "--set": set_}
    _check_alone(not graph and not stepping, of_nodes)
    _check_graph(graph, {"--topic": topics, "--types": types})
    if stepping:
        _check_stepping(graph, {"--rate": times != 1, "--loop": loop})
        steps.begin_anew()
    elif graph and times == inf:
        fail(
            f"--rate max would outrun the nodes of {graph}; as fast as they can, run them with: --lockstep", 2
        )
    try:
        with opened(log) as reader:
            timeline = _timeline(reader, start, end, times, loop)
            if stepping:
                span = [f"--from={start}"] * bool(start) + [f"--to={end}"] * bool(end)
                nodes = only or [], without or [], act or []
                wish = steps.Wish(graph, set_, name, *nodes, span, out, chain, against, twice, as_json)
                steps.run(reader, timeline, wish)
            elif graph:
                nodes = only or [], without or [], act or []
                _with_graph(reader, timeline, (graph, set_, name), *nodes, as_json)
            else:
                _alone(reader, timeline, name, topics, types or [], as_json)
    except (TopicError, AlreadyRunningError, LogError) as error:
        fail(error)


def _rate(text: str) -> float:
    if text == "max":
        return inf
    try:
        rate = float(text)
    except ValueError:
        rate = nan
    if not SLOWEST <= rate <= FASTEST:
        fail(f"--rate {text}: write a number from {SLOWEST:g} to {FASTEST:g}, such as 4, or max", 2)
    return rate


def _check_alone(alone: bool, given: dict[str, Any]) -> None:
    if alone and (wrong := next((option for option, value in given.items() if value), None)):
        what = f"{wrong} is for the nodes of a graph; name it: zuluko replay LOG GRAPH {wrong} ..."
        fail(f"{what}, or choose topics of the log with: --topic NAME", 2)


def _check_graph(graph: str, given: dict[str, Any]) -> None:
    if graph and (wrong := next((option for option, value in given.items() if value), None)):
        fail(f"{wrong} is for a log without a graph; with {graph}, choose nodes with: --only NODE", 2)


def _check_stepping(graph: str, given: dict[str, bool]) -> None:
    if not graph:
        fail("--lockstep runs a graph over the log; name it: zuluko replay LOG GRAPH --lockstep", 2)
    if wrong := next((option for option, value in given.items() if value), None):
        fail(f"{wrong} does not go with --lockstep, which runs once, as fast as the nodes can", 2)


def _timeline(reader: "LogReader", start: str, end: str, rate: float, loop: bool) -> "Timeline":
    from zuluko.bus import clock
    from zuluko.nodes.player import Timeline

    begin, last = reader.span
    if not reader.contents.places:
        fail(f"{reader.path} holds no message")
    first, until = seconds("--from", start), seconds("--to", end)
    last = last if until is None else min(last, begin + round(until * 1e9))
    begin += 0 if first is None else round(first * 1e9)
    if begin >= last and (start or end):
        fail(f"{reader.path} has nothing between --from {start or '0s'} and --to {end or 'its end'}", 2)
    clock.share(begin - time.monotonic_ns() - round(LEAD * 1e9))
    return Timeline(begin, last, rate=rate, loop=loop)


def _with_graph(  # noqa: PLR0917
    reader: "LogReader",
    timeline: "Timeline",
    given: tuple[str, list[str], str],
    only: list[str],
    without: list[str],
    act: list[str],
    as_json: bool,
) -> None:
    from zuluko.cli.graphs import _load
    from zuluko.document import DocumentError
    from zuluko.launch import held, record_entry, view
    from zuluko.launch.replayed import ReplayError, stand_in
    from zuluko.launch.supervisor import Supervisor

    checked = _load(*given, sparing=True)
    record_entry.leave_out(checked)
    try:
        found = stand_in(checked, reader, timeline, only=only, without=without, act=act)
    except (ReplayError, DocumentError) as error:
        fail(error)
    if found:
        print(held.sentence(found), file=sys.stderr, flush=True)
    style: view.Style = "json" if as_json else "auto"
    sys.exit(Supervisor(checked, lambda events: view.watch(checked, events, style=style)).run())


def _alone(  # noqa: PLR0917
    reader: "LogReader",
    timeline: "Timeline",
    name: str,
    topics: list[str] | None,
    types: list[str],
    as_json: bool,
) -> None:
    from zuluko.bus.publisher import Publisher
    from zuluko.cli.keys import Keys
    from zuluko.cli.log import _known
    from zuluko.cli.playback import HINT, Playback
    from zuluko.cli.top import ends_quietly
    from zuluko.launch.graph import Graph
    from zuluko.launch.graphlock import GraphLock
    from zuluko.launch.status import Account

    kinds = _kinds(reader, _known(reader, topics), types)
    graph = name or reader.told.get("zuluko", {}).get("graph", "") or reader.path.stem
    begun = time.monotonic()
    with ExitStack() as stack:
        stack.callback(GraphLock(graph).release)
        account = Account(Graph(graph, str(reader.path), {}, {}))
        stack.callback(account.close)
        account.beat("ready", [])
        publishers = {}
        for topic, kind in kinds.items():
            publishers[topic] = Publisher(graph, topic, kind)
            stack.callback(publishers[topic].close)
        stack.enter_context(ends_quietly())
        keys = stack.enter_context(Keys())
        count = f"{len(kinds)} topic{'' if len(kinds) == 1 else 's'}"
        print(f"replaying {count} of {reader.path} as the graph {graph}", file=sys.stderr)
        if keys.listening:
            print(HINT, file=sys.stderr)
        playback = Playback(
            timeline, keys, lambda due: _say(due, publishers), lambda: account.beat("ready", [])
        )
        playback.run(reader.path, kinds)
    _tell(playback.lateness, timeline, time.monotonic() - begun, as_json)


def _say(due: "Due", publishers: dict[str, Any]) -> None:
    from zuluko.bus import clock

    publisher, envelope = publishers[due.topic], due.entry.envelope
    if not due.timeline.is_timed:
        clock.share(envelope.sent - time.monotonic_ns())
    publisher.seq = envelope.seq
    publisher.send(due.message, envelope.cause)


def _tell(lateness: "Lateness", timeline: "Timeline", took: float, as_json: bool) -> None:
    late = {"median": lateness.percentile(50), "p99": lateness.percentile(99)}
    if as_json:
        told = {
            "messages": lateness.count,
            "took": round(took, 3),
            "late_ms": late if timeline.is_timed else None,
        }
        print(json.dumps(told))
    elif timeline.is_timed:
        print(lateness)
    else:
        print(f"{lateness.count} messages replayed in {took:.1f} s")


def _kinds(reader: "LogReader", topics: list[str] | None, types: list[str]) -> "dict[str, type[Message]]":
    """The type of each topic; one that nobody knows, or that cannot be read, is told of and left out."""
    from zuluko.bus.versions import fitting, refusal
    from zuluko.log import known_types, schema_in

    import_types(types)
    known, found = known_types(), {}
    for topic in topics or reader.topics:
        kind = fitting(known, reader.type_of(topic))
        if kind and (why := refusal(kind, reader.type_of(topic), schema_in(reader, topic))):
            print(f"{topic} is left out: {why}", file=sys.stderr)
        elif kind:
            found[topic] = kind
        else:
            what = f"{topic} is left out: its type {reader.type_of(topic)} is not known here"
            print(f"{what}; name the file that defines it: --types ./FILE.py", file=sys.stderr)
    if not found:
        fail(f"{reader.path} has no topic that can be replayed")
    return found
