"""``zuluko record``: what a running graph says, into a log."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.echo import losses
from zuluko.cli.progress import over
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.bus.live import Waker
    from zuluko.bus.log_tap import Taps
    from zuluko.launch.event import Event
    from zuluko.nodes.record_plan import Plan, Snapshot
    from zuluko.nodes.recording import Recording

Out = Annotated[Path, typer.Argument(help="the log to write, or a folder for it", metavar="OUT.mcap")]
Topics = Annotated[
    list[str] | None, typer.Argument(help="topics or nodes; all unless given", metavar="[TOPIC]...")
]
Graph = Annotated[str, typer.Option("--graph", "-g", help="the running graph, where there are several")]
Images = Annotated[
    str, typer.Option(help="pictures raw, as jpeg, or as-is: as the JPEG that the camera gave, if it did")
]
Quality = Annotated[int, typer.Option(help="of the JPEG", min=1, max=100)]
Split = Annotated[
    str, typer.Option(help="another file after so much or so long: 1GB, 10min", metavar="SIZE|TIME")
]
Keep = Annotated[
    str, typer.Option(help="delete older files of this name beyond it: 10GB, 24h", metavar="SIZE|TIME")
]
Last = Annotated[
    str, typer.Option("--snapshot", help="keep only so long before each event: 30s", metavar="TIME")
]
On = Annotated[
    str,
    typer.Option("--on", help="the event of a snapshot: a message of this topic, or this CEL becoming true"),
]
After = Annotated[str, typer.Option(help="how long a snapshot goes on after the event", metavar="TIME")]
Memory = Annotated[str, typer.Option(help="for what a snapshot keeps before the event", metavar="SIZE")]
Seconds = Annotated[float, typer.Option("--for", help="stop after so many seconds", min=0)]

LOOK = 1.0  # s between two looks for new topics, and two lines of progress


def record(  # noqa: PLR0917
    out: Out,
    topics: Topics = None,
    graph: Graph = "",
    images: Images = "raw",
    quality: Quality = 90,
    split: Split = "",
    keep: Keep = "",
    snapshot: Last = "",
    on: On = "",
    after: After = "5s",
    memory: Memory = "64MB",
    seconds: Seconds = 0,
) -> None:
    """Record a running graph into a log until Ctrl-C, or until the graph ends."""
    from zuluko.bus.log_writer import LogError
    from zuluko.bus.topics import TopicError
    from zuluko.nodes.record_plan import Plan

    if images not in ("raw", "jpeg", "as-is"):
        fail(f"--images {images}: write raw, jpeg or as-is", 2)
    if out.suffix == ".mcap" and out.exists():
        fail(f"{out} exists already; choose another name, or remove it")
    limits = {**_limit("split", split), **_limit("keep", keep)}
    try:
        name = _graph(graph)
        kept = _snapshot(name, snapshot, on, after, memory)
        plan = Plan(out, images, quality, **limits, start=kept is None, snapshot=kept)  # type: ignore[arg-type]
        _record(name, topics or [], plan, seconds)
    except (TopicError, LogError) as error:
        fail(error)


def _limit(option: str, text: str) -> dict[str, float]:
    """A size or a time that was typed."""
    from zuluko.launch.shapes import Duration, MisfitError, Size

    if not text:
        return {}
    try:
        if text.rstrip().endswith("B"):
            return {f"{option}_size": Size().read(f"--{option}", text)}
        return {f"{option}_time": Duration().read(f"--{option}", text)}
    except MisfitError:
        fail(f"--{option} {text}: write a size such as 1GB, or a time such as 10min", 2)


def _snapshot(graph: str, last: str, on: str, after: str, memory: str) -> "Snapshot | None":
    """What is kept about each event; exits with a sentence where that is not clear."""
    from zuluko.launch.shapes import Duration, MisfitError, Size
    from zuluko.nodes.record_plan import Snapshot

    if bool(last) != bool(on):
        fail("write both, as in --snapshot 30s --on 'lock.state == \"unlocked\"'", 2)
    if not last:
        return None
    try:
        return Snapshot(
            last=Duration().read("--snapshot", last),
            after=Duration().read("--after", after),
            memory=Size().read("--memory", memory),
            on=_event(graph, on),
        )
    except MisfitError as error:
        fail(error, 2)


def _event(graph: str, text: str) -> "Event":
    """What is said on a graph's topics, or about them; of types that this program knows it is checked."""
    from zuluko.bus.topics import announcements
    from zuluko.launch import board, condition
    from zuluko.launch.event import Event
    from zuluko.launch.graph import Topic
    from zuluko.launch.record_entry import named
    from zuluko.log import known_types

    kinds: dict[str, Any] = dict(known_types())
    told = announcements(graph)
    topics = {one.topic: Topic(one.topic, "", kinds.get(one.type, Any)) for one in told}
    if meant := named(topics, text):
        return Event(text, meant)
    try:
        asked = condition.read(text, topics=topics, declared={}, values={}, facts=board.facts(None))
    except condition.ConditionError as error:
        fail(f"--on: {error}", 2)
    if not asked.topics:
        fail(f"--on: `{text}` asks about no topic; there are: {', '.join(topics)}", 2)
    return Event(text, asked.topics, asked)


def _graph(wanted: str) -> str:
    """The running graph that is meant; exits with a sentence where it is not clear."""
    from zuluko.bus.topics import graphs
    from zuluko.document import nearest
    from zuluko.launch.graphlock import running

    found = [graph for graph in graphs() if running(graph)]
    if wanted in found:
        return wanted
    if not found:
        fail("no graph runs; start one with: zuluko up door")
    if wanted:
        fail(f"no graph `{wanted}` runs{nearest(wanted, found) or '; there are: ' + ', '.join(found)}")
    if len(found) > 1:
        fail(f"several graphs run; write one of: {', '.join(f'--graph {name}' for name in found)}")
    return found[0]


def _topics(graph: str, wanted: list[str]) -> list[str]:
    """The topics that were named, or all that are announced."""
    from zuluko.bus.topics import announcements
    from zuluko.document import nearest

    known = [told.topic for told in announcements(graph)]
    found = []
    for name in wanted:
        meant = [topic for topic in known if topic == name or topic.partition(".")[0] == name]
        if not meant:
            fail(f"no topic `{name}`{nearest(name, known) or '; there are: ' + ', '.join(known)}")
        found += [name] if name in meant else meant
    return found if wanted else known


def _record(graph: str, wanted: list[str], plan: "Plan", seconds: float) -> None:
    from zuluko.bus.live import Waker
    from zuluko.bus.log_tap import Taps
    from zuluko.bus.poller import Poller
    from zuluko.launch.status import read, share_clock
    from zuluko.nodes.recorder import about
    from zuluko.nodes.recording import Recording

    share_clock(graph)
    waker, poller = Waker(), Poller(graph)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: waker.stop())
    topics = [
        *_topics(graph, wanted),
        *(plan.snapshot.on.topics if plan.snapshot and plan.snapshot.on else ()),
    ]
    taps = Taps(graph, topics, waker, poller)
    told = read(graph)
    try:
        with Recording(taps, plan, about(graph, launch_file_path=told.file if told else "")) as recording:
            shown = _Line(recording)
            _hear(taps, recording, waker, shown, all_topics=not wanted, seconds=seconds)
        shown.say_news()
    finally:
        taps.close()
        poller.close()
    print(_summary(recording), flush=True)
    if recording.failure:
        fail(recording.failure)


def _hear(
    taps: "Taps",
    recording: "Recording",
    waker: "Waker",
    shown: "_Line",
    *,
    all_topics: bool,
    seconds: float,
) -> None:
    from zuluko.launch.graphlock import running
    from zuluko.nodes.silences import Silences

    pid, silences = running(taps.graph), Silences(taps)
    begin = look = time.monotonic()
    for batch in taps:
        if not recording.put(batch):
            break
        for what in silences.look(batch):
            shown.say(what)
        shown.say_news()
        if (now := time.monotonic()) < look:
            continue
        look = now + LOOK
        shown.draw(now - begin)
        if running(taps.graph) != pid:
            shown.say(f"the graph {taps.graph} has ended")
            waker.stop()
        if seconds and now - begin >= seconds:
            waker.stop()
        for topic in _new(taps) if all_topics else ():
            taps.add(topic)
    shown.end()


def _new(taps: "Taps") -> Iterator[str]:
    from zuluko.bus.topics import announcements

    return (told.topic for told in announcements(taps.graph) if told.topic not in taps.taps)


class _Line:
    """The progress in a terminal, drawn over itself; into a file only what is to be said."""

    def __init__(self, recording: "Recording") -> None:
        self._recording = recording
        self._drawn = ""
        self._last = (0.0, 0)

    def draw(self, seconds: float) -> None:
        from zuluko.nodes.log_files import free_bytes

        if not sys.stderr.isatty():
            return
        progress = self._recording.progress
        passed, size = seconds - self._last[0], progress.bytes - self._last[1]
        rate = size / passed / 1e6 if passed > 0 else 0.0
        self._last = (seconds, progress.bytes)
        lost = progress.lost_total
        text = (
            f"{seconds:.0f} s  {progress.messages} messages  {progress.bytes / 1e6:.1f} MB  {rate:.2f} MB/s  "
            f"{losses(lost) + ' lost' if lost else 'nothing lost'}  "
            f"{free_bytes(self._recording.place) / 1e9:.1f} GB free"
        )
        over(text)
        self._drawn = text

    def say(self, what: str) -> None:
        print(f"\r\x1b[K{what}" if self._drawn else what, file=sys.stderr, flush=True)

    def say_news(self) -> None:
        for news in self._recording.news():
            self.say(news.text)

    def end(self) -> None:
        if self._drawn:
            print(file=sys.stderr)


def _summary(recording: "Recording") -> str:
    progress = recording.progress
    lost = progress.lost_total
    files = str(progress.files[-1]) if len(progress.files) == 1 else f"{len(progress.files) or 'no'} files"
    count = f"{progress.messages} message{'' if progress.messages == 1 else 's'}"
    told = f"{losses(lost)} lost" if lost else "nothing lost"
    return f"{files}: {count}, {progress.bytes / 1e6:.2f} MB, {told}"
