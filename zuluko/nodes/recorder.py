"""The recorder: writes what is said on the topics of a graph into logs.

One thread hears, so that nothing waits in a lane for the disk; another packs, writes and splits.
"""

import platform
import time
from collections.abc import Iterator, Mapping

from zuluko import __version__
from zuluko.bus import clock
from zuluko.bus.log_tap import Taps
from zuluko.bus.log_writer import LogError
from zuluko.bus.streams import Stream
from zuluko.messages import RecordCommand, RecordState
from zuluko.nodes.record_plan import Plan
from zuluko.nodes.recording import Recording
from zuluko.nodes.silences import Silences


def recorder(taps: Taps, *, plan: Plan, about: Mapping[str, str]) -> None:
    """The node: records until it is told to stop, or until no more can be written."""
    try:
        recording = Recording(taps, plan, about)
    except LogError as error:
        print(f"nothing is recorded: {error}", flush=True)
        return
    silences = Silences(taps)
    with recording:
        for batch in taps:
            if not recording.put(batch):
                break
            for what in silences.look(batch):
                print(what, flush=True)
            _print_news(recording)
    _print_news(recording)
    if recording.failure:
        print(recording.failure, flush=True)


def commanded(
    taps: Taps, commands: Stream[RecordCommand], *, plan: Plan, about: Mapping[str, str]
) -> Iterator[RecordState]:
    """The node that rules command: records when it is told to, and tells what became of each command. A full
    disk fails a command and no more: there may be room for the next."""
    recording = Recording(taps, plan, about, lasts=True)
    silences = Silences(taps)
    with recording:
        for batch in taps:
            recording.put(batch)
            while (command := commands.next(timeout=0)) is not None:
                recording.order(command)
            for what in silences.look(batch):
                print(what, flush=True)
            yield from _states(recording)
    yield from _states(recording)


def _states(recording: Recording) -> Iterator[RecordState]:
    for news in recording.news():
        if news.state:
            yield news.state
        else:
            print(news.text, flush=True)


def _print_news(recording: Recording) -> None:
    for news in recording.news():
        print(news.text, flush=True)


def about(graph: str, **more: str) -> dict[str, str]:
    """What a log tells of where it comes from; ``utc_offset`` is graph time less UTC, in ns."""
    return {
        "graph": graph,
        "zuluko": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.node()} {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "utc_offset": str(clock.now() - time.time_ns()),
        **more,
    }
