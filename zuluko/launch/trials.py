"""Trials: what is tried in a process of its own before it is done, so that a mistake costs nobody."""

import os
import selectors
import signal
import time
from collections.abc import Callable

from zuluko.launch.child import how
from zuluko.launch.helper import Helper

TRIAL = 10.0  # s that a trial may take
LONGEST = 4096  # bytes of what it finds wrong

Then = Callable[[str], None]


class Trials:
    """Runs each in the supervisor's loop; nobody waits for another's."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._running: dict[Helper, tuple[Then, float]] = {}  # and when each is given up

    @property
    def pids(self) -> list[int]:
        return [trial.pid for trial in self._running]

    def start(self, name: str, find: Callable[[], str], then: Then, *, late: str) -> None:
        """Has ``find`` look for what is wrong; ``then`` is called with that, or with nothing. ``late`` is
        what is wrong when it takes too long, or fails."""

        def trial(end: int) -> int:
            os.write(end, find().encode()[:LONGEST])
            return 0

        try:
            helper = Helper(f"try/{name}", trial)
        except OSError as error:  # no memory, process or descriptor left
            then(f"it could not be tried ({error.strerror})")
            return

        def ended() -> None:
            self._selector.unregister(helper.pidfd)
            del self._running[helper]
            why = helper.receive().decode(errors="replace")
            if code := helper.reap():
                why = f"{late}{f' within {TRIAL:g} s' if code < 0 else ''} ({how(code)})"
            then(why)

        self._running[helper] = then, time.monotonic() + TRIAL
        self._selector.register(helper.pidfd, selectors.EVENT_READ, ended)

    def look(self) -> None:
        """Ends those that take too long."""
        for trial, (_, until) in self._running.items():
            if time.monotonic() > until:
                os.kill(trial.pid, signal.SIGKILL)

    def end(self) -> None:
        for trial in self._running:
            trial.kill()
        self._running.clear()
