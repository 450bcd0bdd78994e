"""The notify node: tells people, tries again where that may help, and says what became of each notice."""

import math
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zuluko.actions.channels import Address, Channel, RefusedError, find_driver, read_secret
from zuluko.actions.errands import SIMULATED, Errands
from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import NotifyCommand, NotifyState, Result

LONGEST_PAUSE = 60.0  # seconds between two tries
LAST_CHANCE = 2.0  # seconds for what waits when the node is told to stop


@dataclass(frozen=True)
class Patience:
    """How often a notice is tried, with pauses of ``backoff`` seconds that double, and how many may wait
    behind it."""

    tries: int = 4
    backoff: float = 1.0
    most_waiting: int = 32

    def faults(self) -> Iterator[Fault]:
        """What would never send, or wait without end."""
        for name, least in (("tries", 1), ("most_waiting", 1)):
            if getattr(self, name) < least:
                yield Fault(name, f"must be {least} or more, not {getattr(self, name)}")
        if not 0 <= self.backoff <= LONGEST_PAUSE:
            yield Fault("backoff", f"must be from 0 to {LONGEST_PAUSE:g} s, not {self.backoff:g}")


def notify(
    commands: Stream[NotifyCommand],
    *,
    driver: str = "simulated",
    to: str = "",
    via: str = "",
    sender: str = "",
    secret: str = "",
    secret_file: Path | None = None,
    timeout: float = 5.0,
    tries: int = 4,
    backoff: float = 1.0,
    most_waiting: int = 32,
) -> Iterator[NotifyState]:
    """Sends notices through a channel: a name in ``zuluko.actions.channels.DRIVERS``.

    ``to``, ``via`` and ``sender`` are the channel's; ``secret`` its password or token, which comes from
    ``$env:NAME`` or from ``secret_file``, a file of mode 0600. One try takes at most about ``timeout``
    seconds. A notice that was not taken is tried again, ``tries`` times in all, with pauses of ``backoff``
    seconds that double up to a minute; of those behind it ``most_waiting`` wait, and more are refused.
    Raises ValueError, before anything is sent, for what the channel cannot use.
    """
    patience = Patience(tries, backoff, most_waiting)
    faults = [*_faults(timeout, patience)]
    if faults:
        raise ValueError(f"`{faults[0].key}` {faults[0].what}")
    token = read_secret(secret_file) if secret_file and driver != SIMULATED else secret
    address = Address(to, via, sender, token, timeout)
    channel = find_driver(driver)(address)
    yield from deliver(commands, channel, address, patience, at_once=driver == SIMULATED)


def check_notify(
    *,
    driver: str,
    to: str,
    via: str,
    sender: str,
    secret: str,
    secret_file: Path | None,
    timeout: float,
    **patience: float,
) -> Iterator[Fault]:
    """What is wrong with the configuration, without anybody being told."""
    yield from _faults(timeout, Patience(**patience))  # type: ignore[arg-type]
    if secret and secret_file:
        yield Fault("secret_file", "stands beside `secret`; give one of them")
    try:
        token = read_secret(secret_file) if secret_file else secret
    except ValueError as error:
        yield Fault("secret_file", str(error))
        return
    try:
        find_driver(driver)(Address(to, via, sender, token, timeout))
    except ValueError as error:
        yield Fault("driver", str(error))


def deliver(
    commands: Stream[NotifyCommand],
    channel: Channel,
    address: Address | None = None,
    patience: Patience | None = None,
    *,
    at_once: bool = False,
) -> Iterator[NotifyState]:
    """The same with a channel of one's own; ``at_once`` for one that takes no time."""
    postman = _Postman(channel, address or Address(), patience or Patience())
    errands = Errands(postman.send, most=postman.patience.most_waiting, at_once=at_once)
    try:
        while not commands.ended:
            command = commands.next(timeout=errands.timeout)
            if command is not None and not errands.give(command):
                yield _state(command, "refused", f"{postman.patience.most_waiting} notices wait already")
            yield from errands.done()
        yield from errands.finish(LAST_CHANCE)
    finally:
        left = errands.close()
    for command in left:
        yield _state(command, "failed", "the node was told to stop")


def _faults(timeout: float, patience: Patience) -> Iterator[Fault]:
    if not (math.isfinite(timeout) and timeout > 0):
        yield Fault("timeout", f"must be a time longer than 0 s, not {timeout:g}; write 5s")
    yield from patience.faults()


@dataclass(frozen=True)
class _Postman:
    channel: Channel
    address: Address
    patience: Patience

    def send(self, notice: NotifyCommand, hurry: threading.Event) -> NotifyState:
        """Tries until it is taken, refused, or has been tried often enough; in a hurry, once."""
        problem, pause = "", self.patience.backoff
        for number in range(1, self.patience.tries + 1):
            try:
                self.channel.send(notice)
                return _state(notice, "done", notice.reason, tries=number)
            except RefusedError as error:
                return _state(notice, "failed", self._told(error), tries=number)
            except OSError as error:
                problem = self._told(error)
            if number == self.patience.tries or hurry.wait(min(pause, LONGEST_PAUSE) * _jitter()):
                break
            pause *= 2
        return _state(notice, "failed", problem, tries=number)

    def _told(self, error: Exception) -> str:
        said = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return self.address.hidden(said)


def _jitter() -> float:
    """So that a hundred boards do not come back to a server all at once."""
    return random.uniform(0.8, 1.2)  # noqa: S311


def _state(command: NotifyCommand, outcome: Result, reason: str, *, tries: int = 0) -> NotifyState:
    return NotifyState(
        stamp=command.stamp,
        command=command.id,
        outcome=outcome,
        reason=reason,
        tries=tries,
        title=command.title,
        text=command.text,
    )
