"""What actuators did, each in a line for people."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zuluko.bus.message import Message
from zuluko.messages import (
    DriveState,
    Note,
    NotifyState,
    RecordState,
    RunState,
    SayState,
    SetState,
    SnapshotState,
)

_MOODS = {"done": "good", "failed": "bad", "refused": "bad"}


class Deed(NamedTuple):
    """``command`` tells two alike apart; of what goes on by itself it is empty."""

    text: str
    mood: str = ""
    command: str = ""


def describe(message: Message) -> Deed | None:
    """The line to tell; None for a message that tells of no deed. Equal ones are told once."""
    told = _DEEDS.get(type(message))
    return told(message) if told else None


def _drive(state: DriveState) -> Deed:
    mood = "bad" if state.reason.startswith("refused") or ", but " in state.reason else ""
    return Deed(f"{state.state} ({state.reason})", mood)


def _note(note: Note) -> Deed:
    return Deed(f"{note.text or format(note.value, 'g')} ({note.reason})")


def _outcome(what: Callable[[Any], str]) -> Callable[[Any], Deed]:
    def describe(state: Any) -> Deed:
        why = f" ({state.reason})" if state.reason else ""
        return Deed(f"{state.outcome}: {what(state)}{why}", _MOODS.get(state.outcome, ""), state.command)

    return describe


_DEEDS: Mapping[type[Message], Callable[[Any], Deed]] = {
    DriveState: _drive,
    Note: _note,
    NotifyState: _outcome(lambda state: state.title or state.text),
    RecordState: _outcome(lambda state: f"{state.action} {Path(state.log).name}".strip()),
    RunState: _outcome(lambda state: state.name),
    SayState: _outcome(lambda state: state.text or state.sound),
    SetState: _outcome(lambda state: f"{state.node}.{state.name} = {state.value}"),
    SnapshotState: _outcome(lambda state: Path(state.picture or state.decision).name or "snapshot"),
}
