"""``zuluko replay``: a log said again, on its own or in place of a graph's nodes."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.graphs import Json, Name, Set
from zuluko.cli.log import From, Log, To, Topics, opened, seconds
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.bus.log_reader import LogReader
    from zuluko.bus.message import Message
    from zuluko.nodes.player import Lateness, Timeline

Graph = Annotated[
    str, typer.Argument(help="a launch file or stock graph, whose other nodes run", metavar="[GRAPH]")
]
Rate = Annotated[float, typer.Option("--rate", "-r", help="so many times as fast", min=0.01, max=100)]
Loop = Annotated[bool, typer.Option("--loop", help="begin again at the end")]
Only = Annotated[list[str] | None, typer.Option("--only", help="a node to replay; again for another")]
Without = Annotated[
    list[str] | None, typer.Option("--without", help="a node that runs though the log has it")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--types", help="a module or file with your own message types", metavar="./FILE.py"),
]

Lockstep = Annotated[
    bool, typer.Option("--lockstep", help="with GRAPH: by the log's time, the same on every run")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="of --lockstep: the log to write", metavar="OUT.mcap")
]

LEAD = 0.5  # s before the first message, for those who want to hear it
BAR = 30  # characters


def replay(  # noqa: PLR0917
    log: Log,
    graph: Graph = "",
    set_: Set = [],  # noqa: B006
    name: Name = "",
    rate: Rate = 1.0,
    start: From = "",
    end: To = "",
    loop: Loop = False,
    topics: Topics = None,
    types: Types = None,
    only: Only = None,
    without: Without = None,
    lockstep: Lockstep = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Publish what a log holds, each message at its time; with GRAPH, in place of the nodes that said it."""
    from zuluko.bus.log_writer import LogError
    from zuluko.bus.topics import TopicError
    from zuluko.launch.graphlock import AlreadyRunningError

    try:
        with opened(log) as reader:
            timeline = _timeline(reader, start, end, rate, loop)
            if lockstep or out:
                _in_lockstep(reader, timeline, (graph, set_, name), only or [], without or [], out)
            elif graph:
                _with_graph(reader, timeline, (graph, set_, name), only or [], without or [], as_json)
            else:
                _alone(reader, timeline, name, topics, types or [])
    except (TopicError, AlreadyRunningError, LogError) as error:
        fail(error)


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
    as_json: bool,
) -> None:
    from zuluko.cli.graphs import _load
    from zuluko.launch import record_entry, view
    from zuluko.launch.replayed import ReplayError, stand_in
    from zuluko.launch.supervisor import Supervisor

    checked = _load(*given)
    record_entry.leave_out(checked)
    try:
        stand_in(checked, reader, timeline, only=only, without=without)
    except ReplayError as error:
        fail(error)
    style: view.Style = "json" if as_json else "auto"
    sys.exit(Supervisor(checked, lambda events: view.watch(checked, events, style=style)).run())


def _in_lockstep(  # noqa: PLR0917
    reader: "LogReader",
    timeline: "Timeline",
    given: tuple[str, list[str], str],
    only: list[str],
    without: list[str],
    out: Path | None,
) -> None:
    from zuluko.cli.graphs import _load
    from zuluko.launch.fork import print_error
    from zuluko.launch.lockstep import Lockstep, LockstepError
    from zuluko.launch.record_entry import leave_out
    from zuluko.launch.replayed import ReplayError, stand_in

    if not given[0]:
        fail("--lockstep runs a graph over the log; name it: zuluko replay LOG GRAPH --lockstep", 2)
    checked, begun = _load(*given), time.monotonic()
    leave_out(checked)
    try:
        stand_in(checked, reader, timeline, only=only, without=without)
        run = Lockstep(checked, out)
        run.run()
    except ReplayError as error:
        fail(error)
    except LockstepError as error:
        print_error(error.__cause__ or error)
        fail(error)
    passed, length = time.monotonic() - begun, (timeline.end - timeline.start) / 1e9
    for topic, count in run.said.items():
        print(f"{topic}: {count} messages")
    print(f"{length:.1f} s in {passed:.1f} s; sha256 {run.digest}")


def _alone(
    reader: "LogReader", timeline: "Timeline", name: str, topics: list[str] | None, types: list[str]
) -> None:
    from zuluko.bus.publisher import Publisher
    from zuluko.cli.log import _known
    from zuluko.cli.top import ends_quietly
    from zuluko.launch.graph import Graph
    from zuluko.launch.graphlock import GraphLock
    from zuluko.launch.status import Account
    from zuluko.nodes.player import Lateness

    kinds = _kinds(reader, _known(reader, topics), types)
    graph = name or reader.told.get("zuluko", {}).get("graph", "") or reader.path.stem
    lateness = Lateness()
    with ExitStack() as stack:
        stack.callback(GraphLock(graph).release)
        account = Account(Graph(graph, str(reader.path), {}, {}))
        stack.callback(account.close)
        account.beat("ready", [])
        publishers = {}
        for topic, kind in kinds.items():
            publishers[topic] = Publisher(graph, topic, kind)
            stack.callback(publishers[topic].close)
        print(f"replaying {len(kinds)} topics of {reader.path} as the graph {graph}", file=sys.stderr)
        with ends_quietly():
            _say_all(reader.path, kinds, timeline, publishers, lateness, account)
    print(lateness)


def _say_all(  # noqa: PLR0917
    log: Path,
    kinds: "dict[str, type[Message]]",
    timeline: "Timeline",
    publishers: dict[str, Any],
    lateness: "Lateness",
    account: Any,
) -> None:
    from zuluko.nodes.player import play, wait_until

    bar = _Bar(timeline)
    timeline.begin()
    for due in play(log, kinds, timeline):
        wait_until(due.at)
        lateness.add(due.at)
        publisher = publishers[due.topic]
        publisher.seq = due.entry.envelope.seq
        publisher.send(due.message, due.entry.envelope.cause)
        account.beat("ready", [])
        bar.draw(due.entry.received)
    bar.end()


def _kinds(reader: "LogReader", topics: list[str] | None, types: list[str]) -> "dict[str, type[Message]]":
    """The type of each topic; one that nobody knows is told of and left out."""
    from zuluko.launch import functions
    from zuluko.log import known_types

    for path in types:
        try:
            functions.module(path, Path.cwd())
        except functions.RunError as error:
            fail(f"--types: {error}")
    known, found = known_types(), {}
    for topic in topics or reader.topics:
        if kind := known.get(reader.type_of(topic)):
            found[topic] = kind
        else:
            what = f"{topic} is left out: its type {reader.type_of(topic)} is not known here"
            print(f"{what}; name the file that defines it: --types ./FILE.py", file=sys.stderr)
    if not found:
        fail(f"{reader.path} has no topic that can be replayed")
    return found


class _Bar:
    """How far the replay is, drawn over itself in a terminal, ten times a second."""

    def __init__(self, timeline: "Timeline") -> None:
        self._timeline = timeline
        self._next = 0.0
        self._is_shown = sys.stderr.isatty()

    def draw(self, moment: int) -> None:
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + 0.1
        whole = max(1, self._timeline.end - self._timeline.start)
        passed = min(max(0, moment - self._timeline.start), whole)
        bar = "=" * (BAR * passed // whole)
        rate = "" if self._timeline.rate == 1 else f"  x{self._timeline.rate:g}"
        text = f"[{bar:<{BAR}}] {passed / 1e9:.1f} of {whole / 1e9:.1f} s{rate}"
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown:
            print(file=sys.stderr)
