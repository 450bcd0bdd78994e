"""What a message says to a person who reads along: a line with a level, as in a program's log."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from zuluko.bus.message import Message
from zuluko.messages import (
    Decision,
    Delivery,
    DriveState,
    Face,
    LockState,
    Note,
    NotifyCommand,
    NotifyState,
    RunState,
    SayState,
    SnapshotState,
)

Level = Literal["debug", "info", "warning", "error"]


class Line(NamedTuple):
    """``name`` is who says it: a rule, or a node."""

    level: Level
    name: str
    text: str


def _decision(topic: str, told: Decision) -> Line:
    levels: dict[str, Level] = {"fired": "info", "ended": "info", "blocked": "warning"}
    return Line(levels.get(told.outcome, "debug"), told.rule, f"{told.outcome}: {told.reason}")


def _lock(topic: str, told: LockState) -> Line:
    return Line(_refusal(told.reason), topic, f"{told.state} ({told.reason})")


def _drive(topic: str, told: DriveState) -> Line:
    return Line(_refusal(told.reason), topic, f"{told.state} ({told.reason})")


def _note(topic: str, told: Note) -> Line:
    return Line("info", told.reason or topic, told.text or f"{told.value:g}")


def _notice(topic: str, told: NotifyCommand) -> Line:
    level: Level = "error" if told.level == "alarm" else told.level
    return Line(level, told.reason or topic, ": ".join(filter(None, (told.title, told.text))))


def _delivery(topic: str, told: Delivery) -> Line:
    words = f"{told.outcome} by {told.to}" if told.outcome == "taken" else f"not taken by {told.to}"
    return Line("debug" if told.outcome == "taken" else "error", topic, _with(words, told.reason))


def _outcome(topic: str, told: Any) -> Line:
    levels: dict[str, Level] = {"failed": "error", "refused": "warning"}
    return Line(levels.get(told.outcome, "info"), topic, _with(told.outcome, told.reason))


def named(face: Face) -> str:
    """Who it is, and how sure that is."""
    if face.similarity < 0 and not face.name:
        return f"face {face.score:.2f}"
    return f"{face.name or 'stranger'} {face.similarity:.2f}"


def _refusal(reason: str) -> Level:
    return "warning" if reason.startswith("refused") else "info"


def _with(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words


# The types that say something, by wire name: the type, and how its line is made.
SAYS: dict[str, tuple[type[Message], Callable[[str, Any], Line]]] = {
    "Decision/1": (Decision, _decision),
    "LockState/1": (LockState, _lock),
    "DriveState/1": (DriveState, _drive),
    "Note/1": (Note, _note),
    "NotifyCommand/1": (NotifyCommand, _notice),
    "Delivery/1": (Delivery, _delivery),
    "NotifyState/1": (NotifyState, _outcome),
    "RunState/1": (RunState, _outcome),
    "SayState/1": (SayState, _outcome),
    "SnapshotState/1": (SnapshotState, _outcome),
}
