"""Lockstep: a graph run over a log in one process, by the log's time, one node at a time.

One baton is passed among the nodes, each a thread that runs only while it holds it; nothing is dropped, and
timers and timeouts follow the log's clock. A node into which nothing else leaks then says the same bytes on
every run, and as fast as it can.
"""

import heapq
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.message import Command, Message, arrays, check_arrays
from zuluko.bus.streams import Latest, Polls, Stream, Tick
from zuluko.bus.synced import Synced
from zuluko.bus.wire import LONGEST_CAUSE, VERSION, Encoder, Envelope, Hop
from zuluko.launch.chain import Chain, Link
from zuluko.launch.chance import Chance
from zuluko.launch.graph import Entry, Graph, Topic, Wire
from zuluko.launch.leaks import Leak, Watch, place_in
from zuluko.launch.parting import LOCKSTEP
from zuluko.launch.replayed import RUN, ReplayError
from zuluko.launch.rule_entry import is_rules
from zuluko.log import Entry as Recorded
from zuluko.log import by_sending, channel_of, entries
from zuluko.messages import Delivery

LOOK = 0.5  # s
PATIENCE = 10.0  # s of real time for which a node may hold the baton before it is told of
LAST_ASKS = 1_000  # how often a node may ask a stream that has ended
Said = tuple[str, Envelope[Any]]  # a topic and what was said on it


class LockstepError(RuntimeError):
    """A node that failed within a lockstep; its own error is the cause."""


class Lockstep:
    """One run of a graph in which players stand in for nodes (``replayed.stand_in``).

    ``out``    the log to write
    ``follow`` is given the link and the envelope's bytes of each message that a node says
    ``alone``  the nodes are only asked: nobody takes their commands, nor is told what became of them
    ``tell``   is given a sentence about a node that keeps the others waiting
    ``said``   counts the messages of each topic that the nodes said
    ``chain``  the digests of what they said, of all and of each topic
    ``leaks``  what got into the nodes from outside of the log
    ``now``    the log's time, in ns
    """

    def __init__(
        self,
        graph: Graph,
        out: Path | None = None,
        *,
        follow: Callable[[Link, bytes], None] | None = None,
        alone: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.now = 0
        self.ended = False
        self.said: dict[str, int] = {}
        self.chain = Chain()
        self.leaks: list[Leak] = []
        self._graph = graph
        self._follow, self._alone, self.tell = follow, alone, tell
        self._encode = Encoder()
        self._out = out
        self._writer: LogWriter | None = None
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._ready: deque[_Runner] = deque()
        self._polling: dict[_Runner, int] = {}  # since which moment of the log
        self._runners = [_Runner(self, entry) for entry in _running(graph)]
        self._before: _Runner | None = None  # the last that had the baton
        _check(graph)

    @property
    def digest(self) -> str:
        """The SHA-256 of all that the nodes said, in order."""
        return self.chain.digest

    def run(self) -> None:
        """Plays the log to its end; raises LogError, and LockstepError for a node that fails."""
        player = next(entry for entry in self._graph.entries.values() if entry.run == RUN)
        line = player.options["timeline"]
        kinds = {topic: kind for entry in self._graph.entries.values() if entry.run == RUN
                 for topic, kind in entry.options["kinds"].items()}  # fmt: skip
        self.now = line.start
        self._writer = LogWriter(self._out) if self._out else None
        chance = Chance.of_this_process()
        try:
            with LogReader(player.options["log"]) as reader:
                begin = reader.span[0]
                limits = {"start": (line.start - begin) / 1e9, "end": (line.end - begin + 1) / 1e9}
                for runner in self._runners:
                    runner.start(f"{runner.name} {begin}")
                for moment, entry in self._timed(entries(reader, kinds, **limits)):
                    self._pass_until(moment)
                    self.deliver(entry.topic, entry.envelope)
            self._pass_until(line.end)
            self._end()
        finally:
            for runner in self._runners:
                runner.abandon()
            chance.enter()
            self._close()

    def _timed(self, found: Iterator[Recorded[Any]]) -> Iterator[tuple[int, Recorded[Any]]]:
        """The log's messages with their moments: when the recorder had them. For nodes that are only asked,
        when they were sent: what followed from a message, such as the word of the lock that it opened, was
        sent after it for certain, but may have reached the recorder before."""
        return by_sending(found) if self._alone else ((entry.received, entry) for entry in found)

    def _close(self) -> None:
        if self._writer:
            self._writer.tell("zuluko", {"graph": self._graph.name})
            self._writer.tell(LOCKSTEP, {"messages": str(self.chain.count), "sha256": self.digest})
            self._writer.close()

    def hand_over(self, runner: "_Runner") -> None:
        """Makes the random generators those of the node that is to run."""
        if self._before is not runner:
            if self._before:
                self._before.chance.leave()
            runner.chance.enter()
            self._before = runner

    def at(self, moment: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), act))

    def wake(self, runner: "_Runner") -> None:
        if runner not in self._ready:
            self._ready.append(runner)

    def wake_later(self, runner: "_Runner") -> None:
        """Wakes a node that polls when time has moved, and after those that were told something then."""
        self._polling[runner] = self.now

    def deliver(self, topic: str, envelope: Envelope[Any]) -> None:
        for runner in self._runners:
            runner.hear(topic, envelope)

    def publish(self, runner: "_Runner", topic: str, message: Message, cause: tuple[Hop, ...]) -> None:
        """Says a message at the present moment, and hands it to whoever hears it."""
        if arrays(type(message)):
            check_arrays(message)
        seq = self.said.get(topic, 0)
        envelope = Envelope(VERSION, seq, self.now, cause[-LONGEST_CAUSE:], message)
        self.said[topic] = seq + 1
        data = self._encode.envelope(envelope)
        link = self.chain.add(topic, seq, self.now, data)
        if self._follow:
            self._follow(link, data)
        if self._writer:
            channel = channel_of(self._writer, topic, type(message))
            self._writer.write(channel, data, seq=seq, sent=self.now, received=self.now)
        self.deliver(topic, envelope)
        if isinstance(message, Command) and not self._alone:
            self._command(runner, message, envelope)

    def _command(self, runner: "_Runner", command: Command, envelope: Envelope[Any]) -> None:
        meant = [one for one in self._runners if command.to in ("", one.name) and one.obeys(runner.name)]
        for one in meant:
            one.take(envelope)
        for name in [one.name for one in meant] or [command.to]:
            told = Delivery(
                stamp=command.stamp,
                command=command.id,
                to=name,
                outcome="taken" if meant else "failed",
                reason="" if meant else "nobody listens",
            )
            self.at(self.now, lambda told=told: self.publish(runner, f"{runner.name}.delivery", told, ()))  # type: ignore[misc]

    def _pass_until(self, moment: int) -> None:
        """Lets the nodes run, and time pass, up to a moment."""
        self._settle()
        while self._events and self._events[0][0] <= moment:
            self.now, _, act = heapq.heappop(self._events)
            act()
            self._settle()
        self.now = max(self.now, moment)

    def _settle(self) -> None:
        self._go_on()
        for runner in [one for one, since in self._polling.items() if since < self.now]:
            self.wake(runner)
        self._go_on()

    def _go_on(self) -> None:
        while self._ready:
            runner = self._ready.popleft()
            self._polling.pop(runner, None)
            runner.go()

    def _end(self) -> None:
        """Ends the streams, node by node, and hears their last words."""
        self._settle()
        self.ended = True
        for runner in self._runners:
            runner.go()
            self._settle()


class _Runner:
    """One node: a thread that holds the baton while it runs, and gives it back when it waits."""

    def __init__(self, lockstep: Lockstep, entry: Entry) -> None:
        self.name = entry.name
        self._lockstep, self._entry = lockstep, entry
        self._topics = {topic.kind: topic.name for topic in entry.outputs}
        self._driver: _Stream | None = None
        self._streams: list[tuple[Wire, _Stream]] = []
        self._latest: dict[str, list[Latest[Any]]] = {}
        self.chance = Chance()
        self._baton, self._back = _taken(), _taken()
        self._done = self._abandoned = self._is_told = False
        self.polls = Polls()
        self._last_asks = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=entry.name, daemon=True)

    def start(self, seed: str) -> None:
        self.chance = Chance(seed)
        self._thread.start()
        self.go()

    def go(self) -> None:
        """Hands over the baton, and waits until it comes back."""
        if self._done:
            return
        self._lockstep.hand_over(self)
        begun = time.monotonic()
        self._baton.release()
        while not self._back.acquire(timeout=LOOK):  # a Ctrl-C that came just before does not wake it
            if time.monotonic() - begun > PATIENCE and not self._is_told:
                self._tell_where()
        if self._failure:
            raise LockstepError(f"{self.name} failed: {self._failure}") from self._failure

    def park(self) -> None:
        """Gives the baton back, in the node's own thread, until there is something to do."""
        self._back.release()
        self._baton.acquire()
        if self._abandoned:
            raise _AbandonedError

    def _tell_where(self) -> None:
        """Says which line keeps the others waiting; once, for it may only be slow."""
        self._is_told = True
        place = place_in(sys._current_frames().get(self._thread.ident or 0))
        what = (
            f"{self.name} has run for {PATIENCE:.0f} s without asking its stream, and all others wait for it"
        )
        self._lockstep.tell(f"{place}: {what}; a loop in it ends or waits: `stream.next(timeout=0.1)`")

    def has_asked_in_vain(self) -> None:
        """Its stream has ended; raises _EndlessError for a node that does not end with it."""
        self._last_asks += 1
        if self._last_asks > LAST_ASKS:
            what = "it goes on asking its stream, which has ended, and will not end"
            raise _EndlessError(f"{what}; end its loop with the stream: `while not stream.ended:`")

    def abandon(self) -> None:
        """Ends a thread that waits, whatever it waits for."""
        self._abandoned = True
        if self._thread.ident and not self._done:
            with suppress(RuntimeError):  # Ctrl-C came as the baton was handed over
                self._baton.release()
            self._thread.join(1.0)

    def obeys(self, commander: str) -> bool:
        return any(wire.reliable and commander in {t.node for t in wire.topics} for wire, _ in self._streams)

    def hear(self, topic: str, envelope: Envelope[Any]) -> None:
        for wire, stream in self._streams:
            if not wire.reliable and any(one.name == topic for one in wire.topics):
                stream.put(topic, envelope)
        for latest in self._latest.get(topic, ()):
            latest.value = envelope.body

    def take(self, envelope: Envelope[Any]) -> None:
        for wire, stream in self._streams:
            if wire.reliable:
                stream.put(f"{self.name}.{wire.input.name}.commands", envelope)

    def _run(self) -> None:
        self._baton.acquire()
        watch = Watch(self.name, self._lockstep.leaks.append)
        if not is_rules(self._entry.run):  # their engine is pure, and much of a lockstep's time
            watch.start()
        try:
            if not self._abandoned:
                self._say_all()
        except _AbandonedError:
            pass
        except BaseException as error:
            self._failure = error
        finally:
            watch.stop()
        self._done = True
        if not self._abandoned:
            self._back.release()

    def _say_all(self) -> None:
        made = {}
        for wire in sorted(self._entry.wires, key=lambda wire: not wire.input.drives):
            made[wire.input.name] = self._input(wire)
        result = self._entry.function(*(made[w.input.name] for w in self._entry.wires), **self._entry.options)
        for message in result if isinstance(result, Iterator) else ():
            if (topic := self._topics.get(type(message))) is None:
                known = ", ".join(kind.__name__ for kind in self._topics) or "nothing"
                raise TypeError(f"{self.name} yielded a {type(message).__name__}; it is to yield {known}")
            cause = self._driver.cause if self._driver else ()
            self._lockstep.publish(self, topic, message, cause)

    def _input(self, wire: Wire) -> Any:
        if wire.input.kind in ("latest", "latests"):
            made = {topic.name: self._make_latest(topic) for topic in wire.topics}
            return made if wire.input.kind == "latests" else next(iter(made.values()))
        stream = _Stream(self._lockstep, self)
        self._streams.append((wire, stream))
        self._driver = self._driver or stream
        if wire.period is not None:
            stream.tick(round(wire.period * 1e9), self._lockstep.now)
        if wire.input.kind == "synced":
            return _Synced(stream, [topic.name for topic in wire.topics], wire.tolerance)
        return stream

    def _make_latest(self, topic: Topic) -> Latest[Any]:
        latest: Latest[Any] = Latest(driver=self._driver)
        self._latest.setdefault(topic.name, []).append(latest)
        return latest


class _AbandonedError(BaseException):
    """Raised in a node's thread when the run is over."""


class _EndlessError(BaseException):
    """A node that does not end with its stream. No ``except Exception`` in its loop is to keep it going."""


class _Stream(Stream[Any]):
    """A stream whose ``next`` gives the baton back while there is nothing.

    A timeout of 0 gives it back only after some in a row, and then until time has moved: a node that polls
    sees each moment of the log, and time moves on.
    """

    def __init__(self, lockstep: Lockstep, runner: _Runner) -> None:
        super().__init__()
        self.cause: tuple[Hop, ...] = ()
        self.now = lockstep.now
        self._lockstep, self._runner = lockstep, runner
        self._queue: deque[Said] = deque()

    def put(self, topic: str, envelope: Envelope[Any]) -> None:
        self._queue.append((topic, envelope))
        self._lockstep.wake(self._runner)

    def tick(self, period: int, start: int, number: int = 1) -> None:
        """Has the tick of that number come when it is due, and then the next."""
        due = start + number * period

        def act() -> None:
            self.put("every", Envelope(VERSION, number - 1, due, (), Tick(stamp=due, count=number)))
            self.tick(period, start, number + 1)

        self._lockstep.at(due, act)

    def next(self, timeout: float | None = None) -> Any:
        until = None
        if timeout is not None and not self._queue and not self._lockstep.ended:
            until = self._sleep(max(0, round(timeout * 1e9)))
        while not self._queue:
            self.now, self.cause = self._lockstep.now, ()
            self.ended = self._lockstep.ended
            if self.ended:
                self._runner.has_asked_in_vain()
            if self.ended or (until is not None and self.now >= until):
                return None
            self._runner.park()
        self._runner.polls.end()
        self.topic, envelope = self._queue.popleft()
        self.now, self.seq, self.sent = self._lockstep.now, envelope.seq, envelope.sent
        self.cause = (*envelope.cause, envelope.hop(self.topic))
        return envelope.body

    def _sleep(self, wait: int) -> int:
        """Has the node be woken after so many ns; gives when its wait is over."""
        if self._runner.polls.too_many(wait):
            self._lockstep.wake_later(self._runner)
            self._runner.park()
            return self._lockstep.now
        until = self._lockstep.now + wait
        if wait:
            self._lockstep.at(until, lambda: self._lockstep.wake(self._runner))
        return until


class _Synced(Synced[Any, Any]):
    def __init__(self, stream: _Stream, topics: list[str], tolerance: float) -> None:
        super().__init__(tolerance=tolerance)
        self._stream, self._names = stream, topics

    def _messages(self) -> Iterator[tuple[int, Message]]:
        for message in self._stream:
            yield self._names.index(self._stream.topic), message


def _taken() -> threading.Lock:
    """A lock that somebody else will release."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _running(graph: Graph) -> list[Entry]:
    return [entry for entry in graph.entries.values() if entry.run != RUN]


def _check(graph: Graph) -> None:
    """Raises ReplayError for a node that no log can drive."""
    for entry in _running(graph):
        if not entry.is_driven:
            what = f"{entry.name} has no stream to drive it, and the log does not hold what it says"
            raise ReplayError(f"{what}; record it, too, or leave out --lockstep")
        if entry.when is not None:
            raise ReplayError(f"{entry.name} runs only `when` a condition holds; leave out --lockstep")
