"""``zuluko top``: what a running graph does, at a glance: its topics' rates and latencies, what was lost, and
what its processes cost."""

import json
import os
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli import which
from zuluko.cli.say import fail
from zuluko.cli.which import Graph

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zuluko.launch.status import Status

Once = Annotated[bool, typer.Option("--once", help="look for two seconds, print one table, and end")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line, each second")]

REFRESH = 1.0  # s
GAP = 2  # columns between two of a table
NARROW = 110  # columns; on fewer, a topic's type and publisher are left out
EXPENDABLE = (
    "MB/s",
    "age ms",
    "p99 ms",
    "p50 ms",
    "pid",
    "restarts",
    "PSS MB",
)  # what goes first on fewer yet

Rows = list[list[str]]


def top(graph: Graph = "", once: Once = False, as_json: Json = False) -> None:
    """Watch a running graph: rates, latencies, losses, CPU and memory. q or Ctrl-C ends it."""
    from zuluko.bus.topics import TopicError

    try:
        name = which.graph(graph, status=1)
        live = not (once or as_json) and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        with ends_quietly():
            if live:
                _live(name)
            else:
                _print(name, as_json, once or not as_json)
    except TopicError as error:
        fail(error)


@contextmanager
def ends_quietly() -> Iterator[None]:
    """Ctrl-C and a kill end the command in order: the terminal is given back as it was."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    with suppress(KeyboardInterrupt):
        yield


def _print(graph: str, as_json: bool, once: bool) -> None:
    watch = Watch(graph)
    with ExitStack() as stack:
        stack.callback(watch.close)
        if once:
            watch.look()  # two looks, so that a topic with one message a second shows its rate
        while watch.look():
            told = watch.told()
            print(json.dumps(told) if as_json else plain(told), flush=True)
            if once:
                return
    _say_end(graph)


def _say_end(graph: str) -> None:
    print(f"the graph {graph} has ended", file=sys.stderr)


def _live(graph: str) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with ExitStack() as stack:
        keys = stack.enter_context(_keys())
        watch = Watch(graph, keys)
        stack.callback(watch.close)
        live = Live(console=console, auto_refresh=False, screen=True)
        live.update(screen(watch.told(), console.width))
        stack.enter_context(live)
        while watch.look():
            if any(_pressed(key) in ("q", "Q", "\x03") for key in keys):
                return
            live.update(screen(watch.told(), console.width), refresh=True)
    _say_end(graph)


@contextmanager
def _keys() -> Iterator[tuple[int, ...]]:
    """Standard input, told at each key and not at each line; nothing where it is no terminal."""
    if not sys.stdin.isatty():
        yield ()
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        os.set_blocking(fd, False)
        yield (fd,)
    finally:
        os.set_blocking(fd, True)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _pressed(fd: int) -> str:
    try:
        return os.read(fd, 1).decode(errors="replace")
    except BlockingIOError:
        return ""


class Watch:
    """One graph, watched: ``look`` listens for a while, ``told`` is what is known then."""

    def __init__(self, graph: str, fds: tuple[int, ...] = ()) -> None:
        from zuluko.launch.gauges import Costs, Gauges
        from zuluko.launch.graphlock import running
        from zuluko.launch.status import share_clock

        share_clock(graph)
        self._graph = graph
        self._pid = running(graph) or 0
        self._costs: Costs = Costs()
        self._gauges: Gauges = Gauges(graph, fds)
        self._shown: dict[str, Any] = {}
        self._gather()

    def look(self) -> bool:
        """False when the graph has ended."""
        from zuluko.launch.graphlock import running

        self._gauges.listen(REFRESH)
        if running(self._graph) != self._pid:
            return False
        self._gather()
        return True

    def told(self) -> dict[str, Any]:
        return self._shown

    def _gather(self) -> None:
        from zuluko.bus.topics import announcements
        from zuluko.launch import status

        told = status.read(self._graph) or status.Status(self._graph, "", self._pid, 0, 0, 0)
        topics = {out.topic: out.type for node in told.nodes for out in node.outputs}
        pids = {one.topic: (one.type, one.pid) for one in announcements(self._graph)}
        topics |= {topic: kind for topic, (kind, _) in pids.items()}
        self._gauges.watch(topics)
        self._shown = {
            "graph": self._graph,
            "pid": self._pid,
            "seconds": _seconds_since(told.started),
            "topics": [
                self._topic(topic, kind, told, pids.get(topic, ("", 0))[1]) for topic, kind in topics.items()
            ],
            "nodes": self._nodes(told),
        }

    def _topic(self, topic: str, kind: str, told: "Status", pid: int) -> dict[str, Any]:
        from zuluko.bus import clock
        from zuluko.launch.gauges import percentile

        flow, publisher = self._gauges.flows[topic], told.publisher(topic)
        rate = flow.rate(clock.now())
        return {
            "topic": topic,
            "type": kind,
            "publisher": publisher.name if publisher else f"pid {pid}",
            "hz": _rounded(rate, 2),
            "mb_per_s": None if rate is None else _rounded(rate * flow.size / 1e6, 4),
            "latency_ms": {
                "p50": _ms(percentile(flow.latencies, 50)),
                "p99": _ms(percentile(flow.latencies, 99)),
            },
            "age_ms": _ms(percentile(flow.ages, 50)),
            "lost": told.losses(topic),
        }

    def _nodes(self, told: "Status") -> list[dict[str, Any]]:
        processes = [(node.name, node.state, node.pid, node.restarts) for node in told.nodes]
        if told.nodes:
            processes.append(("(supervisor)", "", told.pid, 0))
        rows = []
        for name, state, pid, restarts in processes:
            cost = self._costs.of(pid) if pid else None
            rows.append(
                {
                    "node": name,
                    "state": state,
                    "pid": pid or None,
                    "cpu_percent": _rounded(cost.cpu, 1) if cost else None,
                    "pss_mb": _rounded(cost.pss, 1) if cost else None,
                    "restarts": restarts,
                }
            )
        return rows

    def close(self) -> None:
        self._gauges.close()


def _seconds_since(started: int) -> float | None:
    from zuluko.bus import clock

    return round((clock.now() - started) / 1e9, 1) if started else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)


def _figure(value: float | None) -> str:
    """A number in three digits or so; a dash for one that is not known."""
    if value is None:
        return "-"
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    if value < 0.001:
        return "<.001"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"


def _tenths(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _lost(lost: dict[str, dict[str, int]]) -> str:
    """What each reader lost, by cause."""
    told = ", ".join(
        f"{node} {count} {cause}" for node, causes in lost.items() for cause, count in causes.items()
    )
    return told or "-"


TOPICS = ["topic", "type", "from", "Hz", "MB/s", "p50 ms", "p99 ms", "age ms", "lost"]
NODES = ["node", "state", "pid", "CPU %", "PSS MB", "restarts"]
_OF_LOGS = ("messages", "silent s", "at s")
_NUMBERS = {"Hz", "MB/s", "p50 ms", "p99 ms", "age ms", "pid", "CPU %", "PSS MB", "restarts", *_OF_LOGS}


def tables(told: dict[str, Any]) -> tuple[Rows, Rows]:
    """The two tables' rows, in the order of TOPICS and NODES."""
    topics = [
        [
            topic["topic"],
            topic["type"],
            topic["publisher"],
            _tenths(topic["hz"]),
            _figure(topic["mb_per_s"]),
            _figure(topic["latency_ms"]["p50"]),
            _figure(topic["latency_ms"]["p99"]),
            _figure(topic["age_ms"]),
            _lost(topic["lost"]),
        ]
        for topic in told["topics"]
    ]
    nodes = [
        [
            node["node"],
            node["state"],
            str(node["pid"] or "-"),
            _tenths(node["cpu_percent"]),
            _tenths(node["pss_mb"]),
            str(node["restarts"]),
        ]
        for node in told["nodes"]
    ]
    return topics, nodes


def heading(told: dict[str, Any]) -> str:
    up = "" if told["seconds"] is None else f", up {told['seconds']:.0f} s"
    return f"{told['graph']} (pid {told['pid']}{up})"


def plain(told: dict[str, Any]) -> str:
    """Both tables as lines, as wide as they need to be."""
    topics, nodes = tables(told)
    lines = [heading(told), "", *aligned(TOPICS, topics)]
    return "\n".join([*lines, "", *aligned(NODES, nodes)] if nodes else lines)


def aligned(titles: list[str], rows: Rows, numbers: Collection[str] = _NUMBERS) -> Iterator[str]:
    """Rows under their titles, words to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        cells = zip(titles, row, widths, strict=True)
        yield "  ".join(
            cell.rjust(width) if title in numbers else cell.ljust(width) for title, cell, width in cells
        ).rstrip()


def screen(told: dict[str, Any], width: int) -> "RenderableType":
    """Both tables for a terminal of so many columns."""
    from rich.console import Group
    from rich.text import Text

    topics, nodes = tables(told)
    topics_without = left_out(TOPICS, topics, width, ("type", "from") if width < NARROW else (), EXPENDABLE)
    nodes_without = left_out(NODES, nodes, width, (), EXPENDABLE)
    title = Text.assemble((heading(told), "bold"), ("    q ends", "dim"))
    parts = [title, Text(), _table(TOPICS, topics, topics_without), Text()]
    parts.append(_table(NODES, nodes, nodes_without))
    return Group(*parts[: 5 if nodes else 3])


def left_out(
    titles: list[str], rows: Rows, width: int, always: Collection[str], then: Collection[str]
) -> set[str]:
    """The columns that do not fit into a terminal: some ``always``, and ``then`` one after the other for as
    long as there is too little room. The last column folds, and is content with 20 characters."""
    widths = {
        title: max(map(len, (title, *cells))) + GAP
        for title, *cells in zip(titles, *rows, strict=True)
        if title not in always
    }
    widths[titles[-1]] = min(widths.get(titles[-1], 0), 20)
    gone = set(always)
    for title in then:
        if title in widths and sum(widths.values()) > width:
            gone.add(title)
            del widths[title]
    return gone


def _table(titles: list[str], rows: Rows, left_out: set[str]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", expand="lost" in titles)
    for title in titles:
        if title not in left_out:
            table.add_column(
                title,
                justify="right" if title in _NUMBERS else "left",
                no_wrap=title != "lost",
                overflow="fold" if title == "lost" else "ellipsis",
                ratio=1 if title == "lost" else None,
            )
    for row in rows:
        cells = [
            Text(cell, style=_style(title, cell))
            for title, cell in zip(titles, row, strict=True)
            if title not in left_out
        ]
        table.add_row(*cells)
    return table


def _style(title: str, cell: str) -> str:
    if title in ("topic", "node"):
        return "cyan"
    if title == "state":
        return "green" if cell == "ready" else "yellow"
    if (title == "lost" and cell != "-") or (title == "restarts" and cell != "0"):
        return "yellow"
    return ""
