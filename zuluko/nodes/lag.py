"""How far a stream's pictures are behind the scene, as far as their arrival tells.

What is held back on the way (a jammed link, a buffer, a slow decoder) comes late, and then in a burst. A
delay that was there from the first picture on and never changes cannot be seen.
"""

import logging
from collections import deque

log = logging.getLogger("zuluko.camera")

LIMIT = 0.3  # seconds: what is further behind, or may be, is dropped
CATCH_UP = 1.5  # seconds for which a stream may be too far behind before it is opened anew
DRIFT = 2e-4  # seconds a second by which the camera's clock may differ from ours; quartz: 1e-4 at most
SAME_CLOCK = 60.0  # s: a greater difference is another clock, and no lag
UNSETTLED = 4.0  # seconds after which a stream that has not found the pace of time never will
SETTLED = 0.5  # seconds of pictures that tell a stream's pace


class Lag:
    """Says of each picture how far it is behind, or that it is to be dropped.

    Raises OSError when the stream has been too far behind for too long: a new connection starts with what the
    camera sees now, while what waits in the old one is thrown away.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        self._most = 0.0

    def bounded(self, arrival: float, lag: float | None) -> float | None:
        """Seconds that the picture is behind; None where it cannot be published. ``lag`` None: not known."""
        if lag is not None and lag <= LIMIT:
            self._since = None
            return lag
        if self._since is None and lag is not None:
            self._since, self._most = arrival, lag
            told = "%s: the stream is %.1f s behind; pictures are dropped until it has caught up"
            log.warning(told, self._name, lag)
        self._most = max(self._most, lag or 0.0)
        if self._since is not None and arrival - self._since > CATCH_UP:
            raise OSError(f"the stream is up to {self._most:.1f} s behind and does not catch up")
        return None


class Timed:
    """The lag of pictures that bear the camera's own time (RTP, MPEG-TS, X-Timestamp).

    The least difference between arrival and picture time that was ever seen counts as no lag. ``false``
    where the times in the stream run faster than time does, so that they tell nothing.
    """

    def __init__(self, before: "Timed | None" = None) -> None:
        # Of the last connection that had pictures, where the times are the camera's wall clock.
        self._before: Timed | None = before._before if before and before._began is None else before
        self._recent: deque[tuple[float, float]] = deque()
        self._least = self._lag = self._taken = self._last = 0.0
        self._began: float | None = None
        self._settled = self.false = False

    def lag(self, arrival: float, taken: float) -> float | None:
        """``arrival`` and ``taken`` in seconds, by a clock each; None until their pace is the same.

        At first pictures come faster, out of buffers that filled meanwhile. Raises OSError where they keep
        coming more slowly than they were taken.
        """
        behind = arrival - taken
        if self._began is None:
            self._began, self._least = arrival, min(behind, self._known(arrival, taken, behind))
            self._before = None
        elif taken <= self._taken:  # the camera's clock was put back; what was late is so still
            self._least = behind - self._lag
            self._recent.clear()
        else:
            self._least = min(self._least + DRIFT * (arrival - self._last), behind)
        self._taken, self._last, self._lag = taken, arrival, behind - self._least
        if not self._settled:
            self._settle(arrival, taken, arrival - self._began)
        return self._lag if self._settled else None

    def _known(self, arrival: float, taken: float, behind: float) -> float:
        """The least difference of the last connection, if the camera's clock has gone on since: a link that
        is jammed when it is opened anew is then seen to be."""
        before = self._before
        if before is None or before._began is None or taken <= before._taken:
            return behind
        least = before._least + DRIFT * (arrival - before._last)
        return least if behind - least < SAME_CLOCK else behind

    def _settle(self, arrival: float, taken: float, waited: float) -> None:
        self._recent.append((arrival, taken))
        while len(self._recent) > 2 and arrival - self._recent[1][0] >= SETTLED:
            self._recent.popleft()
        passed, played = arrival - self._recent[0][0], taken - self._recent[0][1]
        pace = played / passed if passed >= SETTLED else 0.0
        self._settled = 0.85 < pace < 1.15
        if not self._settled and pace and waited > UNSETTLED:
            self.false = pace > 1
            if pace < 1:
                raise OSError(
                    f"only {pace * 100:.0f} % of its pictures can be read in time; ask for smaller ones"
                )


class Rhythm:
    """The lag of pictures that bear no time, judged by the period in which they used to come.

    A gap longer than the period puts the stream behind by what it is longer: the pictures of the gap may be
    waiting. A shorter one makes up for that. Pictures that keep the period after a pause on the line show
    that nothing waits any more, as for a camera that drops what it cannot send. The period outlives the
    connection, so that a jammed link is seen to be one even when it is opened anew.
    """

    STEPS = 32  # pictures over which a slow change of the period is taken over
    RUN = 5.0  # seconds and pictures of another, regular period after which it is believed

    def __init__(self) -> None:
        self.period: float | None = None
        self.timed: Timed | None = None  # of the last connection
        self._run: list[float] = []
        self.opened(0.0)

    def opened(self, asked: float) -> None:
        """A new connection, asked for at that moment (s)."""
        self._last = self._paused = asked
        self._lag = self._surplus = 0.0
        self._catching = False
        self._first: list[float] = []

    def lag(self, arrival: float, pause: float) -> float | None:
        """``pause``: seconds for which the line was silent before the picture. None where it cannot be told.

        Raises OSError where pictures come much faster than they should: those before were late, unseen.
        """
        gap, self._last = arrival - self._last, arrival
        self._first = [*self._first[:3], arrival] if self.period else [*self._first, arrival]
        if self.period is None:
            self._learn(arrival)
            return None
        blocked = pause >= max(0.01, self.period / 4)
        self._paused = arrival if blocked else self._paused
        self._reveal(gap)
        self._lag = max(0.0, self._lag + gap - self.period)
        silent_lately = arrival - self._paused < max(1.0, 4 * self.period)
        if self.period / 2 <= gap <= 2.5 * self.period and silent_lately:
            self._lag *= 0.8
        if self._lag > LIMIT:
            self._catching = True
            self._believe(gap, pause)
        elif self._catching:  # until the reader waits for a picture again, more may be in the pipe
            self._catching = not (blocked and gap >= self.period / 2)
        elif gap < self.period or silent_lately:  # on a full line, a longer gap is not the camera's
            self.period += (gap - self.period) / self.STEPS
        return None if self._catching and self._lag <= LIMIT else self._lag

    def _learn(self, arrival: float) -> None:
        """The mean of the first gaps: a median would be misled where the reader gets them by threes."""
        gaps = len(self._first) - 1
        if gaps >= 3 and arrival - self._first[0] >= SETTLED:
            self.period = (arrival - self._first[0]) / gaps
            self._paused = arrival

    def _reveal(self, gap: float) -> None:
        assert self.period is not None
        fast = gap < self.period / 2 and self._lag == 0
        self._surplus = self._surplus + self.period - gap if fast else 0.0
        if self._surplus > LIMIT:
            self.period = None
            raise OSError(f"the stream was at least {self._surplus:.1f} s behind")

    def _believe(self, gap: float, pause: float) -> None:
        """Takes over a regular period that is far from the one before, after some time."""
        if len(self._first) < 2 or pause < gap / 4:  # the first gap is the server's
            return
        mean = (sum(self._run) + gap) / (len(self._run) + 1)
        alike = all(mean / 2 <= other <= mean * 2 for other in [*self._run, gap])
        self._run = [*self._run, gap] if alike else [gap]
        if len(self._run) >= self.RUN and sum(self._run) >= self.RUN:
            self.period, self._lag, self._run = mean, 0.0, []
