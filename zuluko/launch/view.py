"""What ``zuluko up`` shows: a process of its own that hears every topic and tells the story.

Live in a terminal, one plain line an event elsewhere, or JSON. It slows nobody: what it is too late for, it
has lost, and the summary says so.
"""

import errno
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from typing import Any, Literal, Protocol

from zuluko.bus import clock
from zuluko.bus.message import Message
from zuluko.bus.poller import Poller
from zuluko.bus.subscriber import Subscriber
from zuluko.launch.firings import Firings
from zuluko.launch.fork import TERMINAL_GONE
from zuluko.launch.graph import Graph
from zuluko.launch.runner import ORPHANED, outlive_by
from zuluko.launch.story import Event, Story
from zuluko.launch.teller import aloud
from zuluko.messages import Frame, LockState

REFRESH = 125  # ms between two pictures of the screen
MOST_AT_ONCE = 100  # messages of one topic before the others have their turn
Style = Literal["auto", "plain", "json"]


class Screen(Protocol):
    """A way of showing a story."""

    def __enter__(self) -> "Screen": ...

    def __exit__(self, *_: object) -> None: ...

    def events(self, events: Iterable[Event]) -> None: ...

    def refresh(self) -> None: ...

    def end(self, summary: dict[str, Any]) -> None: ...


def watch(graph: Graph, events: int, *, style: Style = "auto") -> int:
    """Shows a running graph until its events end; 0 if the lock did what it should, else 1, and TERMINAL_GONE
    when the terminal was closed. Raises BrokenPipeError when nobody reads its pipe any more."""
    on_terminal = sys.stdout.isatty()
    try:
        return _watch(graph, events, style)
    except OSError as error:
        if on_terminal and (isinstance(error, BrokenPipeError) or error.errno == errno.EIO):
            return TERMINAL_GONE
        if isinstance(error, BrokenPipeError):
            raise
        aloud(f"what goes on cannot be shown any more: {error.strerror}")  # a full disk
        return 1


def _watch(graph: Graph, events: int, style: Style) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of a whole group: the supervisor acts, and hangs up
    outlive_by(ORPHANED)
    demo = any(entry.options.get("source") == "demo" for entry in graph.entries.values())
    lock = any(topic.kind is LockState for topic in graph.topics)
    story = Story(
        _holds(graph),
        clock.now(),
        has_truth=demo,
        has_lock=lock,
        cameras=_cameras(graph),
        without=_without_camera(graph),
    )
    with ExitStack() as stack:
        ears = Ears(graph, events)
        stack.callback(ears.close)
        screen = stack.enter_context(_screen(graph, story, style))
        while ears.listen(story):
            _check_reader()
            _show(story, screen)
        ears.listen(story)  # what was said last
        _show(story, screen)
    screen.end(story.summary())
    return 0 if story.verdict()[0] else 1


def _holds(graph: Graph) -> dict[str, float]:
    """Each rule's own `for`, in seconds."""
    rulesets = [entry.options["ruleset"] for entry in graph.entries.values() if "ruleset" in entry.options]
    return {rule.name: rule.hold for ruleset in rulesets for rule in ruleset.rules}


def _cameras(graph: Graph) -> dict[str, tuple[str, str]]:
    """The node and the process of each topic of pictures that begin there."""
    return {
        topic.name: (entry.name, entry.process)
        for entry in graph.entries.values()
        for topic in entry.outputs
        if topic.kind is Frame and entry.is_source
    }


def _without_camera(graph: Graph) -> str:
    """How to see a graph work without a camera, where its file says so."""
    param = graph.params.get("source")
    return "to try it without a camera: --set source=demo" if param and param.default == "demo" else ""


def _show(story: Story, screen: Screen) -> None:
    story.look(clock.now())
    screen.events(list(story.events))
    story.events.clear()
    screen.refresh()


def _check_reader() -> None:
    """Raises BrokenPipeError where the reader of a pipe (``| head``) or the terminal has gone, though nothing
    is written."""
    poll = select.poll()
    poll.register(1, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        raise BrokenPipeError


def _screen(graph: Graph, story: Story, style: Style) -> Screen:
    if style == "json":
        return Json()
    if style == "auto" and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from zuluko.launch.live_screen import LiveScreen

        return LiveScreen(graph, story)
    return Plain()


class Ears:
    """Hears every topic of a graph, and the supervisor's events; writes firings down for ``zuluko why``."""

    def __init__(self, graph: Graph, events: int) -> None:
        self._events = socket.socket(fileno=events)
        self._events.setblocking(False)
        self._poller = Poller(graph.name)
        self._firings = Firings(graph.name)
        self._topics = [
            Subscriber[Message](graph.name, topic.name, topic.kind, keep=256, poller=self._poller)
            for topic in graph.topics
        ]
        self._poller.watch(events)

    def listen(self, story: Story) -> bool:
        """Takes in what comes within one refresh; False when the supervisor has no more to say."""
        until = clock.now() + REFRESH * 1_000_000
        while (left := (until - clock.now()) // 1_000_000) > 0:
            self._poller.wait(left / 1000)
            if [subscriber for subscriber in self._topics if self._hear(subscriber, story)]:
                self._poller.ring()  # what is left rings no more
            if not self._note(story):
                return False
        return True

    def _hear(self, subscriber: Subscriber[Message], story: Story) -> bool:
        """Takes in what a topic has said; whether there may be more."""
        count = 0
        for envelope in islice(iter(subscriber.receive, None), MOST_AT_ONCE):
            story.hear(subscriber.topic, envelope, clock.now())
            self._firings.note(subscriber.topic, envelope)
            count += 1
        return count == MOST_AT_ONCE

    def _note(self, story: Story) -> bool:
        """Takes in the supervisor's events, one packet each; false at their end."""
        while True:
            try:
                packet = self._events.recv(1 << 18)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not packet:
                return False
            story.note(json.loads(packet), clock.now())

    def close(self) -> None:
        for subscriber in self._topics:
            subscriber.close()
        self._poller.close()
        self._firings.close()
        self._events.close()


class Plain:
    """One line an event, for a pipe or a log."""

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None: ...

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            print(f"{event.seconds:8.2f} s  {event.who:<8}  {event.text}", flush=True)

    def refresh(self) -> None: ...

    def end(self, summary: dict[str, Any]) -> None:
        print()
        for name, value in summary_rows(summary):
            print(f"{name:<24}{value}", flush=True)


class Json:
    """One JSON object an event, and one with the summary."""

    def __enter__(self) -> "Json":
        return self

    def __exit__(self, *_: object) -> None: ...

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            told = {"seconds": round(event.seconds, 3), "who": event.who, "text": event.text}
            print(json.dumps(told), flush=True)

    def refresh(self) -> None: ...

    def end(self, summary: dict[str, Any]) -> None:
        print(json.dumps({"summary": summary}), flush=True)


def summary_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary as a person reads it; what the graph has not, is left out."""
    latency = summary["evidence_to_unlock_ms"]
    refused = f", {summary['refused']} refused" if summary["refused"] else ""
    lost = ", ".join(f"{count} {cause}" for cause, count in summary["lost"].items())
    rows = {
        "frames": summary["frames"] and str(summary["frames"]),
        "faces found": summary["faces"] and str(summary["faces"]),
        "decisions": summary["decisions"] and f"{summary['decisions']}, of which {summary['fired']} fired",
        "unlocks": summary["decisions"]
        and summary["unlocks"] is not None
        and f"{summary['unlocks']}{refused}",
        "evidence to unlock": latency["median"] is not None
        and f"{latency['median']:.0f} ms median, {latency['worst']:.0f} ms worst, beyond the rule's `for`",
        "oldest evidence": summary["decisions"] and f"{summary['oldest_evidence_ms']:.0f} ms at a decision",
        "messages": not summary["frames"]
        and ", ".join(f"{topic} {count}" for topic, count in summary["messages"].items()),
        "lost on the way": lost or "nothing",
        "verdict": summary["verdict"] and ("good: " if summary["good"] else "BAD: ") + summary["verdict"],
    }
    return [(name, text) for name, text in rows.items() if text]
