"""A log that is said again while a person watches: paused, sought in and stepped through by the keyboard."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from zuluko.bus import clock
from zuluko.bus.message import Message
from zuluko.cli.keys import Keys
from zuluko.cli.progress import Progress
from zuluko.nodes.player import NAP, Due, Lateness, Timeline, play

HINT = "space pauses, arrows go 5 s and 60 s, s steps, q ends"
SEEKS = {"left": -5, "right": 5, "down": -60, "up": 60}  # s
ENDS = ("q", "Q", "\x03", "\x04")
LOOK = 50_000_000  # ns between two looks at the keyboard while messages follow each other
LATEST = 100_000_000  # ns, where no message leaves time for one
PAUSE = 500_000  # ns to the next message that are time enough
YOUNG = 10_000  # objects made between two collections of garbage, of which a replay makes next to none


class Playback:
    """Says a log by ``say``, each message at its time; ``idle`` is called some times a second."""

    def __init__(
        self, timeline: Timeline, keys: Keys, say: Callable[[Due], None], idle: Callable[[], None]
    ) -> None:
        self.lateness = Lateness()
        self._timeline, self._keys, self._say, self._idle = timeline, keys, say, idle
        self._bar = Progress(timeline.start, timeline.end)
        self._rate = "" if timeline.rate == 1 else f"  x{timeline.rate:g}"
        self._moment = timeline.start
        self._paused: int | None = None  # graph time since which it pauses
        self._looked = 0
        self._ended = False

    def run(self, log: Path, kinds: Mapping[str, type[Message]]) -> None:
        self._timeline.begin()
        since: int | None = self._timeline.start
        try:
            with _few_collections():
                while since is not None:
                    since = self._play(log, kinds, since)
            if not self._ended:
                self._bar(self._timeline.end, self._rate, always=True)
        finally:
            self._bar.leave()

    def _play(self, log: Path, kinds: Mapping[str, type[Message]], since: int) -> int | None:
        """Says what comes from a moment on; gives the moment from which to go on, and None at the end."""
        is_new = since != self._timeline.start
        with closing(play(log, kinds, self._timeline, since)) as playing:
            for due in playing:
                if is_new and self._paused is None:
                    self._timeline.seek(since, clock.now())  # to find the place has taken some time
                is_new = False
                if (sought := self._wait_for(due)) is not None or self._ended:
                    return sought
                self.lateness.add(due.at)
                self._moment = due.entry.received
                self._say(due)
        return self._wait_for(None)

    def _wait_for(self, due: Due | None) -> int | None:
        """Waits until a message is due, and does what the keys say; gives a moment where they seek. Without
        a message, at the log's end, it waits only while it pauses."""
        while True:
            now = clock.now()
            at = due.at if due else now
            left = NAP * 1e9 if self._paused is not None else at - now
            looks = now >= self._looked + (LOOK if left > PAUSE else LATEST)
            if left <= 0 and not (looks and due):
                return None
            if looks:  # before it waits: what is due would be late by it
                self._look(now)
                left -= clock.now() - now
            for key in self._keys.read(min(left / 1e9, NAP)):
                if key in SEEKS:
                    return self._seek(SEEKS[key])
                if key in ENDS:
                    self._ended = True
                    return None
                if key == "s" and self._paused is not None:
                    self._paused = clock.now()
                    self._timeline.shift(self._paused - at)
                    return None
                if key == " ":
                    self._pause()
            if self._keys.resumed:
                self._keys.resumed = False
                self._timeline.shift(max(0, clock.now() - at))

    def _look(self, now: int) -> None:
        self._looked = now
        self._idle()
        self._bar(self._here(now), self._rate + "  paused" * (self._paused is not None))

    def _here(self, now: int) -> int:
        """The moment of the log that it is now."""
        if not self._timeline.is_timed:
            return self._moment
        return self._timeline.moment(self._paused or now)

    def _pause(self) -> None:
        self._looked = 0
        if self._paused is None:
            self._paused = clock.now()
        else:
            self._timeline.shift(clock.now() - self._paused)
            self._paused = None

    def _seek(self, seconds: int) -> int:
        now = clock.now()
        moment = self._here(now) + seconds * 10**9
        moment = min(max(moment, self._timeline.start), self._timeline.end)
        self._timeline.seek(moment, self._paused or now)
        self._moment = moment
        self._look(now)
        return moment


@contextmanager
def _few_collections() -> Iterator[None]:
    """Has what was imported not be looked through for garbage again and again: each time that takes 10 ms, in
    which no message is said."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
