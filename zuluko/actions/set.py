"""The set node: gives parameters of other nodes other values, of those that the launch file allows."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence

from zuluko.actions.errands import POLL, SIMULATED, Errands
from zuluko.actions.host import Answer
from zuluko.actions.setter import DRIVERS, Setter
from zuluko.bus.streams import Stream
from zuluko.document import Fault, nearest
from zuluko.messages import Result, SetCommand, SetState

LAST_CHANCE = 1.5  # seconds for a change that is on its way

Place = tuple[str, str]  # a node and its parameter


def set(
    commands: Stream[SetCommand],
    *,
    driver: str = "simulated",
    allow: dict[str, list[str]],
    pause: float = 1.0,
) -> Iterator[SetState]:
    """Changes by a driver of ``zuluko.actions.setter.DRIVERS``: ``graph``, or ``simulated``.

    ``allow`` gives by node the names of the parameters that may be changed, and ``pause`` the least time
    between two changes of one node, in seconds. Raises ValueError for an unknown driver and times that are
    none.
    """
    for fault in check_set(driver=driver, allow=allow, pause=pause):
        raise ValueError(f"`{fault.key}` {fault.what}")
    yield from change(commands, DRIVERS[driver](), allow=allow, pause=pause, at_once=driver == SIMULATED)


def check_set(*, driver: str, allow: Mapping[str, Sequence[str]], pause: float) -> Iterator[Fault]:
    """What is wrong with the configuration; whether there are such nodes, the graph knows."""
    if driver not in DRIVERS:
        near = nearest(driver, DRIVERS) or f"; there is {', '.join(DRIVERS)}"
        yield Fault("driver", f"there is no driver `{driver}`{near}")
    if not any(allow.values()):
        yield Fault("allow", "must name a node's parameter: `allow: {faces: [threshold]}`")
    if not (math.isfinite(pause) and pause >= 0):
        yield Fault("pause", f"must be a time of 0 s or more, not {pause:g}; write 1s")


def change(
    commands: Stream[SetCommand],
    setter: Setter,
    *,
    allow: Mapping[str, Sequence[str]],
    pause: float = 1.0,
    at_once: bool = False,
) -> Iterator[SetState]:
    """The same with a setter of one's own, ``at_once`` for one that takes no time. Of several commands that
    wait for one parameter the newest counts."""

    def do(command: SetCommand, hurry: threading.Event) -> tuple[SetCommand, Answer]:
        if hurry.is_set():
            return command, ("refused", "the node was told to stop")
        return command, setter.set(command.node, command.name, command.value)

    errands, queue = Errands(do, most=1, at_once=at_once), _Queue(allow, pause)
    try:
        while not commands.ended:
            command = commands.next(timeout=queue.timeout(commands.now))
            if command is not None:
                yield from queue.take(command)
            for done, answer in errands.done():
                yield _state(done, *answer)
                queue.note(done, commands.now)
            if (due := queue.due(commands.now)) and errands.give(due):
                queue.begin(due)
        for done, answer in errands.finish(LAST_CHANCE):
            yield _state(done, *answer)
    finally:
        left = errands.close()
    for one in left:
        yield _state(one, "failed", "the node was told to stop before it was known what became of it")
    for one in queue.waiting.values():
        yield _state(one, "refused", "the node was told to stop")


class _Queue:
    """The commands that wait, at most one for each parameter that is allowed.

    ``stamps``  by parameter, that of the newest command that was taken
    ``free``    by node, the graph time (ns) from which it may be changed again
    """

    def __init__(self, allow: Mapping[str, Sequence[str]], pause: float) -> None:
        self.waiting: dict[Place, SetCommand] = {}
        self._allow, self._pause = allow, round(pause * 1e9)
        self._stamps: dict[Place, int] = {}
        self._free: dict[str, int] = {}
        self._busy = False

    def take(self, command: SetCommand) -> Iterator[SetState]:
        """Queues a command, or refuses it, and the one whose place it takes."""
        place = (command.node, command.name)
        if command.name not in self._allow.get(command.node, ()):
            what = f"the launch file does not allow to set {command.name} of {command.node}"
            yield _state(command, "refused", what)
        elif command.stamp < self._stamps.get(place, 0):
            yield _state(command, "refused", "the evidence is from before what was set last")
        else:
            self._stamps[place] = command.stamp
            if older := self.waiting.pop(place, None):
                yield _state(older, "refused", "a later command came before it was tried")
            self.waiting[place] = command

    def due(self, now: int) -> SetCommand | None:
        """The command to try now, the one that has waited longest first."""
        ready = (one for one in self.waiting.values() if now >= self._free.get(one.node, 0))
        return None if self._busy else next(ready, None)

    def begin(self, command: SetCommand) -> None:
        self._busy = True
        del self.waiting[command.node, command.name]

    def note(self, command: SetCommand, now: int) -> None:
        """Takes note that a command has been tried."""
        self._busy = False
        self._free[command.node] = now + self._pause

    def timeout(self, now: int) -> float | None:
        """How long the node's loop may wait for the next command."""
        if self._busy:
            return POLL
        frees = [self._free.get(one.node, 0) for one in self.waiting.values()]
        return max(0.0, (min(frees) - now) / 1e9) if frees else None


def _state(command: SetCommand, outcome: Result, reason: str) -> SetState:
    return SetState(
        stamp=command.stamp,
        command=command.id,
        node=command.node,
        name=command.name,
        outcome=outcome,
        reason=reason or command.reason,
        value=command.value,
    )
