"""The camera node: pictures from a camera, a stream, a file, a folder or the demo, each with its true age."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from math import isfinite

import numpy as np

from zuluko.bus import clock
from zuluko.document import Fault
from zuluko.messages import Frame
from zuluko.nodes import sources
from zuluko.nodes.grabber import Grabber
from zuluko.nodes.picture import Image, letterbox
from zuluko.nodes.sources import Kind, SourceError, Wish, device_path, find, is_device, masked

log = logging.getLogger("zuluko.camera")

BACKOFF = (0.2, 10.0)  # seconds before the first new attempt, and at most; each wait is twice the one before
STEADY = 5.0  # seconds of pictures after which a failure counts as a first one again
HANGING = 3  # threads that may hang in a driver at a time before no more are started


def camera(
    *,
    source: str = "0",
    size: tuple[int, int] | None = (640, 480),
    hz: float = 30.0,
    loop: bool = False,
    stall: float = 3.0,
    jpeg: bool = False,
) -> Iterator[Frame]:
    """Publishes what a camera sees, always the newest picture.

    ``source``  a camera's index, a device, a video file, a picture, a folder of pictures, an http(s) or rtsp
                URL, or ``demo``
    ``size``    width and height in pixels; other pictures are letterboxed into it; None keeps their own
    ``hz``      at most so many pictures a second from a live source; so many from a folder and the demo
    ``loop``    starts a file, a folder or the demo again at its end; without it, the node ends there
    ``stall``   seconds without a picture after which a live source is opened anew
    ``jpeg``    publishes with each picture the JPEG that it came as, where a camera or an MJPEG stream gives
                some and ``size`` leaves it as it is: a recorder with ``images: as-is`` keeps that one

    The stamp is the moment of the exposure where the driver tells it, else that of the picture's arrival less
    what the stream is behind; a picture of a file, a folder or the demo has the moment at which it was due.
    A live source that fails is told and tried again for ever. Raises SourceError for one that can never work.
    """
    _check(hz=hz, stall=stall, width=(size or (1, 1))[0], height=(size or (1, 1))[1])
    kind, wish = find(source), Wish(source, size, hz, stall, jpeg)
    yield from _live(kind, wish) if kind.live else _recorded(kind, wish, loop)


def pictures(source: str, *, hz: float) -> Iterator[Frame]:
    """What the camera node publishes, in each picture's own size, for a person who waits in front of it: a
    live source that fails before its first picture is not tried again. Raises SourceError, too, for that."""
    kind, wish = find(source), Wish(source, hz=hz)
    yield from _live(kind, wish, patient=False) if kind.live else _recorded(kind, wish, loop=False)


def check_camera(
    *, source: str, size: tuple[int, int] | None, hz: float, stall: float, **_: object
) -> Iterator[Fault]:
    """What is wrong with the configuration, as far as that shows without opening a camera or a stream."""
    for name, number in (("hz", hz), ("stall", stall), *(("size", side) for side in size or ())):
        if wrong := _wrong(number):
            yield Fault(name, wrong)
    yield from sources.faults(source)


def devices(*, source: str = "0", **_: object) -> Iterator[str]:
    """What the node opens of a board's devices, for a service to be allowed it."""
    if is_device(source):
        yield device_path(source)


def _check(**settings: float) -> None:
    for name, number in settings.items():
        if wrong := _wrong(number):
            raise SourceError(f"the camera's {name} {wrong}")


def _wrong(number: float) -> str:
    return "" if isfinite(number) and number > 0 else f"must be a number above 0, not {number}"


def _live(kind: Kind, wish: Wish, *, patient: bool = True) -> Iterator[Frame]:
    rate, outage = Rate(wish.hz), Outage(masked(wish.source))
    hanging: list[Grabber] = []
    while True:
        hanging = [grabber for grabber in hanging if grabber.thread.is_alive()]
        if len(hanging) < HANGING:
            with Grabber(partial(kind.open, wish), wanted=rate.wanted, stall=wish.stall) as grabber:
                while (picture := grabber.next()) is not None:
                    patient = True
                    outage.over()
                    stamp, image, jpeg = picture
                    yield _frame(stamp, image, wish.size, jpeg if wish.jpeg else b"")
            hanging.append(grabber)
            why = grabber.why
        else:
            why = "it hangs in the driver"
        if not patient:
            name = masked(wish.source)
            raise SourceError(why if name in why else f"{name}: {why}")
        time.sleep(outage.begins(why))


def _frame(stamp: int, image: Image, size: tuple[int, int] | None, jpeg: bytes) -> Frame:
    fitted = letterbox(image, size)
    as_it_came = jpeg and fitted is image
    return Frame(stamp=stamp, image=fitted, jpeg=np.frombuffer(jpeg, np.uint8) if as_it_came else None)


class Outage:
    """Tells of a live source's failures, and for how long to let it be after each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._delay = 0.0
        self._lost = self._back = time.monotonic()
        self._out = False

    def begins(self, why: str) -> float:
        """Seconds to wait before the next attempt: twice as long each time, up to a limit."""
        new = not self._out
        if new:
            self._out, self._lost = True, time.monotonic()
            self._delay = 0.0 if self._lost - self._back > STEADY else self._delay
        last, self._delay = self._delay, min(max(2 * self._delay, BACKOFF[0]), BACKOFF[1])
        if new or self._delay > last:  # at the limit, once is enough
            every = "in" if self._delay < BACKOFF[1] else "every"
            log.warning("%s: %s; trying again %s %.1f s", self._name, why, every, self._delay)
        return self._delay

    def over(self) -> None:
        if self._out:
            self._out, self._back = False, time.monotonic()
            log.warning("%s is back after %.1f s", self._name, self._back - self._lost)


class Rate:
    """Thins pictures out to ``hz`` a second on average, without beating against the camera's own jitter."""

    def __init__(self, hz: float) -> None:
        self._period = round(1e9 / hz)
        self._due = 0

    def wanted(self, stamp: int) -> bool:
        if stamp < self._due - self._period // 4:
            return False
        late = stamp >= self._due + self._period  # then a new rhythm starts; else the old one is kept
        self._due = self._period + (stamp if late else self._due)
        return True


def _recorded(kind: Kind, wish: Wish, loop: bool) -> Iterator[Frame]:
    pace: Pace | None = None
    while True:
        seen = damaged = 0
        with closing(kind.open(wish)) as source:
            pace = pace or Pace(source.period, masked(wish.source))
            while source.grab():
                seen += 1
                if (due := pace.wait()) is None:
                    continue
                if (image := source.read()) is None:
                    damaged += 1
                    continue
                yield Frame(stamp=due, image=letterbox(image, wish.size), scene=source.scene)
        if seen == damaged:
            raise SourceError(f"{wish.source} holds no picture that can be read; is it whole?")
        if not loop:
            return


class Pace:
    """When each picture of a recording is due, one ``period`` (s) after the other."""

    def __init__(self, period: float, name: str) -> None:
        self._period = round(period * 1e9)
        self._due = clock.now() - self._period
        self._name = name
        self._behind_since = 0
        self._told = False

    def wait(self) -> int | None:
        """Waits for the next picture's moment (ns) and gives it; None when the one after it is due as well.

        Where even skipping does not catch up within a second, the clock of the recording is put back.
        """
        self._due += self._period
        now = clock.now()
        if now < self._due + self._period:
            self._behind_since = 0
        else:
            self._behind_since = self._behind_since or now
            if now < self._behind_since + 10**9:
                return None
            self._put_back(now)
        while (now := clock.now()) < self._due:
            time.sleep((self._due - now) / 1e9)
        return self._due

    def _put_back(self, now: int) -> None:
        self._due, self._behind_since = now, 0
        if not self._told:
            log.warning("%s is read more slowly than it was recorded; it plays as fast as it can", self._name)
            self._told = True
