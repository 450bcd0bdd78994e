"""The say node: speaks texts and plays sounds."""

import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from zuluko.actions.errands import SIMULATED, Errands
from zuluko.actions.speakers import Speaker, find_driver, missing
from zuluko.bus.streams import Stream
from zuluko.document import Fault, nearest
from zuluko.messages import Result, SayCommand, SayState

MOST_WAITING = 8  # behind the one that is heard
LONGEST_TEXT = 500  # characters
LAST_CHANCE = 1.5  # seconds for one that is asked to end


def say(
    commands: Stream[SayCommand],
    *,
    driver: str = "simulated",
    sounds: dict[str, Path] | None = None,
    timeout: float = 20.0,
) -> Iterator[SayState]:
    """Speaks and plays by a driver of ``zuluko.actions.speakers.DRIVERS``: ``installed``, or ``simulated``.

    ``sounds`` gives by name the files that a command may have played. What takes longer than ``timeout``
    seconds is cut off. Raises ValueError, before anything is heard, for an unknown driver.
    """
    if wrong := _wrong(timeout):
        raise ValueError(f"`timeout` {wrong}")
    speaker = find_driver(driver)()
    yield from speak(commands, speaker, sounds=sounds or {}, timeout=timeout, at_once=driver == SIMULATED)


def check_say(*, driver: str, sounds: dict[str, Path] | None, timeout: float) -> Iterator[Fault]:
    """What is wrong with the configuration, without anything being heard."""
    if wrong := _wrong(timeout):
        yield Fault("timeout", wrong)
    for name, file in (sounds or {}).items():
        if not file.is_file():
            yield Fault("sounds", f"`{name}`: there is no file {file}")
    try:
        find_driver(driver)
    except ValueError as error:
        yield Fault("driver", str(error))
    if driver == "installed" and (lack := missing(sounds=bool(sounds))):
        yield Fault("driver", lack, passing=True)


def speak(
    commands: Stream[SayCommand],
    speaker: Speaker,
    *,
    sounds: Mapping[str, Path],
    timeout: float = 20.0,
    at_once: bool = False,
) -> Iterator[SayState]:
    """The same with a speaker of one's own; ``at_once`` for one that takes no time."""

    def do(command: SayCommand, hurry: threading.Event) -> SayState:
        try:
            if command.sound and not hurry.is_set():
                speaker.play(sounds[command.sound], timeout=timeout, hurry=hurry)
            if command.text and not hurry.is_set():
                speaker.speak(command.text, timeout=timeout, hurry=hurry)
        except OSError as error:
            return _state(command, "failed", error.strerror or str(error))
        if hurry.is_set():
            return _state(command, "failed", "the node was told to stop")
        return _state(command, "done", command.reason)

    errands = Errands(do, most=MOST_WAITING, at_once=at_once)
    try:
        while not commands.ended:
            command = commands.next(timeout=errands.timeout)
            if command is not None:
                refusal = _refusal(command, sounds)
                if not refusal and not errands.give(command):
                    refusal = f"{MOST_WAITING} wait already"
                if refusal:
                    yield _state(command, "refused", refusal)
            yield from errands.done()
        yield from errands.finish(LAST_CHANCE)
    finally:
        left = errands.close()
    for command in left:
        yield _state(command, "failed", "the node was told to stop")


def _refusal(command: SayCommand, sounds: Mapping[str, Path]) -> str:
    """Why a command must not be heard, or nothing."""
    if command.sound and command.sound not in sounds:
        near = nearest(command.sound, sounds) or f"; there is {', '.join(sounds) or 'none'}"
        return f"there is no sound `{command.sound}`{near}"
    if len(command.text) > LONGEST_TEXT:
        return f"the text has {len(command.text)} characters, at most {LONGEST_TEXT}"
    return "" if command.text or command.sound else "it has neither a text nor a sound"


def _wrong(timeout: float) -> str:
    good = math.isfinite(timeout) and timeout > 0
    return "" if good else f"must be a time longer than 0 s, not {timeout:g}; write 20s"


def _state(command: SayCommand, outcome: Result, reason: str) -> SayState:
    return SayState(
        stamp=command.stamp,
        command=command.id,
        outcome=outcome,
        reason=reason,
        text=command.text,
        sound=command.sound,
    )
