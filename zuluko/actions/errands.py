"""Errands: what a node has done beside its loop, one after another, because each may take its time."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

E = TypeVar("E")
R = TypeVar("R")

SIMULATED = "simulated"  # the driver of which nothing takes time
POLL = 0.02  # seconds between two looks whether an errand is done, while one is


class Errands(Generic[E, R]):
    """A queue of at most ``most`` errands, and one thread that runs them.

    ``do`` gives an errand's result; it is handed an event that is set when it is to hurry, because the node
    ends. What it raises is raised by ``done``, in the node's own loop. What is simulated takes no time: it is
    done ``at_once``, without a thread, and so the same on every run over a log.
    """

    def __init__(self, do: Callable[[E, threading.Event], R], *, most: int, at_once: bool = False) -> None:
        self._do, self._at_once = do, at_once
        self._waiting: queue.Queue[E | None] = queue.Queue(most)
        self._results: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._open = 0
        self._current: E | None = None
        self._thread: threading.Thread | None = None

    @property
    def timeout(self) -> float | None:
        """How long the node's loop may wait before it looks for results: for ever while there are none."""
        return POLL if self._open else None

    def give(self, errand: E) -> bool:
        """Queues an errand; false where too many wait already."""
        if self._at_once:
            self._open += 1
            self._results.put(self._do(errand, self._hurry))
            return True
        try:
            self._waiting.put_nowait(errand)
        except queue.Full:
            return False
        self._open += 1
        if self._thread is None:  # a node that is never asked has no thread
            self._thread = threading.Thread(target=self._run, name="errands", daemon=True)
            self._thread.start()
        return True

    def done(self) -> Iterator[R]:
        """The results since the last call."""
        while not self._results.empty():
            self._open -= 1
            result = self._results.get()
            if isinstance(result, BaseException):
                raise result
            yield result

    def finish(self, patience: float) -> Iterator[R]:
        """The results of what is still to be done, for which there are ``patience`` seconds."""
        yield from self.done()
        self._hurry.set()
        deadline = time.monotonic() + patience if self._open else 0.0
        while self._open and time.monotonic() < deadline:
            yield from self.done()
            time.sleep(POLL if self._open else 0)
        yield from self.done()

    def close(self) -> list[E]:
        """Stops the thread as soon as it can; what is not done."""
        self._hurry.set()
        current = self._current
        left = [] if current is None else [current]
        while not self._waiting.empty():
            try:
                errand = self._waiting.get_nowait()
            except queue.Empty:
                break
            left += [] if errand is None else [errand]
        if self._thread:
            self._waiting.put(None)
        return left

    def _run(self) -> None:
        while (errand := self._waiting.get()) is not None:
            self._current = errand
            try:
                self._results.put(self._do(errand, self._hurry))
            except BaseException as error:
                self._results.put(error)
            self._current = None
