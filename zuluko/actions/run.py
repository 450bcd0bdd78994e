"""The run node: runs programs that the launch file allows, each a list of items, and never a shell."""

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from zuluko.actions import program
from zuluko.actions.allowlist import AllowList
from zuluko.actions.errands import SIMULATED, Errands
from zuluko.actions.program import Ended
from zuluko.bus.streams import Stream
from zuluko.document import Fault, nearest
from zuluko.messages import RunCommand, RunState

MOST_WAITING = 8  # programs behind the one that runs
LAST_CHANCE = 1.5  # seconds for a program that is asked to end


class Runner(Protocol):
    """Runs a command to its end; raises OSError where it cannot be started."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        folder: Path,
        env: Mapping[str, str],
        hurry: threading.Event,
    ) -> Ended: ...


class SimulatedRunner:
    """Runs nothing and prints the command. ``statuses`` gives by program's path a status other than 0."""

    def __init__(self, statuses: Mapping[str, int] | None = None) -> None:
        self.ran: list[list[str]] = []
        self.statuses = dict(statuses or {})

    def __call__(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        folder: Path,
        env: Mapping[str, str],
        hurry: threading.Event,
    ) -> Ended:
        self.ran = [*self.ran[-99:], list(command)]
        status = self.statuses.get(command[0], 0)
        return Ended(status, " ".join(command), f"status {status}" if status else "")


def run(
    commands: Stream[RunCommand],
    *,
    driver: str = "simulated",
    programs: dict[str, list[str]],
    patterns: dict[str, str] | None = None,
    timeout: float = 10.0,
    folder: Path = Path("/"),
    inherit: tuple[str, ...] = (),
) -> Iterator[RunState]:
    """Runs ``programs``: by name the items of a command, the first a whole path, the others as they are, or
    ``{word}`` for a value that matches the pattern of that name in ``patterns``.

    ``driver`` is ``installed``, or ``simulated``. A program that runs for longer than ``timeout`` seconds is
    ended, with what it has started. It runs in ``folder``, its environment is a path and a language, and of
    the node's own what ``inherit`` names. One runs at a time. Raises ValueError, before anything runs, for
    a list that allows what it should not.
    """
    allowed = AllowList(programs, patterns or {})
    for fault in _faults(driver, allowed, timeout):
        if not fault.passing:
            raise ValueError(f"`{fault.key}` {fault.what}")
    runner, at_once = DRIVERS[driver](), driver == SIMULATED
    yield from carry_out(
        commands, allowed, runner, timeout=timeout, folder=folder, inherit=inherit, at_once=at_once
    )


def check_run(
    *,
    driver: str,
    programs: dict[str, list[str]],
    patterns: dict[str, str] | None,
    timeout: float,
    folder: Path,
    inherit: tuple[str, ...],
) -> Iterator[Fault]:
    """What is wrong with the configuration, without anything being run."""
    yield from _faults(driver, AllowList(programs, patterns or {}), timeout)
    if not folder.is_dir():
        yield Fault("folder", f"there is no folder {folder}", passing=True)
    for name in inherit:
        if name not in os.environ:
            yield Fault("inherit", f"there is no environment variable {name}", passing=True)


def carry_out(
    commands: Stream[RunCommand],
    allowed: AllowList,
    runner: Runner,
    *,
    timeout: float = 10.0,
    folder: Path = Path("/"),
    inherit: Sequence[str] = (),
    at_once: bool = False,
) -> Iterator[RunState]:
    """The same with a runner of one's own; ``at_once`` for one that takes no time."""
    env = program.environment(inherit)

    def do(order: tuple[RunCommand, list[str]], hurry: threading.Event) -> RunState:
        command, items = order
        if hurry.is_set():
            return _state(command, "failed", "the node was told to stop")
        try:
            return _ended(command, runner(items, timeout=timeout, folder=folder, env=env, hurry=hurry))
        except OSError as error:
            return _state(command, "failed", f"it cannot be started: {error.strerror or error}")

    errands = Errands(do, most=MOST_WAITING, at_once=at_once)
    try:
        while not commands.ended:
            command = commands.next(timeout=errands.timeout)
            if command is not None:
                yield _begin(command, allowed, errands.give)
            yield from errands.done()
        yield from errands.finish(LAST_CHANCE)
    finally:
        left = errands.close()
    for command, _ in left:
        yield _state(command, "failed", "the node was told to stop")


def _begin(
    command: RunCommand, allowed: AllowList, give: Callable[[tuple[RunCommand, list[str]]], bool]
) -> RunState:
    try:
        items = allowed.filled(command.name, command.values)
    except ValueError as error:
        return _state(command, "refused", str(error))
    if not give((command, items)):
        return _state(command, "refused", f"{MOST_WAITING} programs wait already")
    return _state(command, "running", command.reason)


def _faults(driver: str, allowed: AllowList, timeout: float) -> Iterator[Fault]:
    if driver not in DRIVERS:
        near = nearest(driver, DRIVERS) or f"; there is {', '.join(DRIVERS)}"
        yield Fault("driver", f"there is no driver `{driver}`{near}")
    if not allowed.programs:
        yield Fault("programs", "must name a program: `programs: {siren: [/usr/bin/aplay, siren.wav]}`")
    if not (math.isfinite(timeout) and timeout > 0):
        yield Fault("timeout", f"must be a time longer than 0 s, not {timeout:g}; write 10s")
    yield from allowed.faults()


def _ended(command: RunCommand, ended: Ended) -> RunState:
    outcome: Literal["done", "failed"] = "failed" if ended.reason else "done"
    return RunState(
        stamp=command.stamp,
        command=command.id,
        name=command.name,
        outcome=outcome,
        reason=ended.reason or command.reason,
        status=ended.status,
        output=ended.output,
        took=ended.took,
    )


def _state(command: RunCommand, outcome: Literal["running", "failed", "refused"], reason: str) -> RunState:
    return RunState(
        stamp=command.stamp, command=command.id, name=command.name, outcome=outcome, reason=reason
    )


DRIVERS: dict[str, Callable[[], Runner]] = {
    "simulated": SimulatedRunner,
    "installed": lambda: program.run,
}
