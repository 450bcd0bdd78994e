"""The publish node: what a rule has said, such as a house's mode, for other rules and nodes to rely on."""

import math
from collections.abc import Iterator

import msgspec

from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import Note, PublishCommand

LONGEST_TEXT = 1000  # characters


def publish(
    commands: Stream[PublishCommand],
    *,
    text: str = "",
    value: float = 0.0,
    lasts: float = math.inf,
    every: float = 1.0,
) -> Iterator[Note]:
    """Tells ``text`` and ``value`` until a command says something else; ``lasts`` seconds after a command it
    tells them again. It tells at each change, and ``every`` so many seconds, since what was said too long ago
    is unknown to a rule. Raises ValueError for times that are none.
    """
    for fault in check_publish(text=text, value=value, lasts=lasts, every=every):
        raise ValueError(f"`{fault.key}` {fault.what}")
    first = Note(text=text, value=value, reason="start")
    said, told, pause = first, commands.now, round(every * 1e9)
    until: float = math.inf  # ns: a whole number or never, for a float of this year is 256 ns off
    yield msgspec.structs.replace(said, stamp=told)
    while not commands.ended:
        command = commands.next(timeout=max(0.0, (min(until, told + pause) - commands.now) / 1e9))
        now = commands.now
        if command is not None and (refusal := _refusal(command, said)):
            yield msgspec.structs.replace(said, stamp=command.stamp, reason=f"refused: {refusal}")
            continue
        if command is not None:
            said, until = _note(command), lasts if lasts == math.inf else now + round(lasts * 1e9)
        elif now >= until:
            said, until = msgspec.structs.replace(first, reason="time is up"), math.inf
        elif now < told + pause:
            continue
        told = now
        yield said if command is not None else msgspec.structs.replace(said, stamp=now)


def check_publish(*, text: str, value: float, lasts: float, every: float) -> Iterator[Fault]:
    """What is wrong with the configuration."""
    if not lasts > 0:
        yield Fault("lasts", f"must be a time longer than 0 s, not {lasts:g}; write 10min")
    if not 0.01 <= every <= 3600:
        yield Fault("every", f"must be from 0.01 s to 1 h, not {every:g}; write 1s")
    if len(text) > LONGEST_TEXT:
        yield Fault("text", f"must have at most {LONGEST_TEXT} characters")
    if not math.isfinite(value):
        yield Fault("value", f"must be a finite number, not {value:g}")


def _refusal(command: PublishCommand, said: Note) -> str:
    """Why a command must not be said, or nothing."""
    if command.stamp < said.since:
        return "the evidence is from before what is said now"
    if len(command.text) > LONGEST_TEXT or not math.isfinite(command.value):
        return f"it must be a text of at most {LONGEST_TEXT} characters and a finite number"
    return ""


def _note(command: PublishCommand) -> Note:
    return Note(
        stamp=command.stamp,
        text=command.text,
        value=command.value,
        since=command.stamp,
        reason=command.reason or "said by command",
        command=command.id,
    )
