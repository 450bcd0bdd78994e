"""The thread that reads a live camera and keeps only its newest picture."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Self

from zuluko.bus import clock
from zuluko.nodes.picture import Image
from zuluko.nodes.sources import OPENING, Source

PATIENCE = 0.5  # seconds that leaving waits for the thread; one that hangs longer is left to itself


class Picture(NamedTuple):
    """A picture, its stamp (ns), and the JPEG that it came as, where it came as one."""

    stamp: int
    image: Image
    jpeg: bytes


class Grabber:
    """Opens a source and reads it in a thread of its own, until left or until the source fails.

    Only that thread touches the source: OpenCV crashes where one thread closes what another reads. A thread
    that hangs in a read is abandoned with its grabber; should it ever wake up, it closes the source and ends,
    and nobody sees what it had read.
    """

    def __init__(self, opener: Callable[[], Source], *, wanted: Callable[[int], bool], stall: float) -> None:
        """``wanted`` says by its stamp whether to decode a grabbed picture. ``stall`` is in seconds."""
        self._opener, self._wanted, self._stall = opener, wanted, stall
        self._news = threading.Condition()
        self._newest: Picture | None = None
        self._alive = time.monotonic() + OPENING  # opening may take that long before it counts as a stall
        self._opened = self._leaving = self._over = False
        self.why = ""
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        self.thread.join(PATIENCE)

    def next(self) -> Picture | None:
        """The next picture; None when the source has failed or stalled: ``why`` tells."""
        with self._news:
            while self._newest is None and not self._over:
                left = self._alive + self._stall - time.monotonic()
                if left <= 0:
                    self.why = f"no picture for {self._stall:g} s" if self._opened else "it does not answer"
                    return None
                self._news.wait(left)
            newest, self._newest = self._newest, None
            return newest

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:
            self.why = self.why or str(error) or type(error).__name__
        with self._news:
            self._over = True
            self._news.notify()

    def _read(self) -> None:
        source = self._opener()
        try:
            self._alive, self._opened = time.monotonic(), True
            stamp = 0
            while not self._leaving and source.grab():
                age = source.age()
                taken = 0 if age is None else clock.now() - round(age * 1e9)
                if taken <= stamp:  # of unknown age, or shown to be older than one that was taken before it
                    self._alive = time.monotonic()
                    continue
                stamp = taken
                if self._wanted(stamp):
                    image = source.read()
                    if image is None:
                        continue  # damaged; where all are, that is a stall
                    self._put(Picture(stamp, image, source.jpeg))
                self._alive = time.monotonic()
            silent = time.monotonic() - self._alive
            why = f"no picture for {self._stall:g} s" if silent > 0.9 * self._stall else "it ended"
            self.why = self.why or why
        finally:
            source.close()

    def _put(self, picture: Picture) -> None:
        with self._news:
            self._newest = picture
            self._news.notify()
