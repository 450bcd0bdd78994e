"""Speakers: by what a say node is heard. A driver is a class that fits ``Speaker`` and a line in
``DRIVERS``."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from zuluko.actions import program
from zuluko.document import nearest

INHERITED = ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER", "PIPEWIRE_RUNTIME_DIR", "ALSA_CARD")
VOICES: Mapping[str, tuple[str, ...]] = {"espeak-ng": ("--stdin",), "espeak": ("--stdin",)}
PLAYERS: Mapping[str, tuple[str, ...]] = {"pw-play": (), "paplay": (), "aplay": ("-q",)}


class Speaker(Protocol):
    """Both return when it has been heard, after at most ``timeout`` seconds, or at once when ``hurry`` is
    set, and raise OSError where it could not be."""

    def speak(self, text: str, *, timeout: float, hurry: threading.Event) -> None: ...

    def play(self, sound: Path, *, timeout: float, hurry: threading.Event) -> None: ...


class SimulatedSpeaker:
    """Says nothing and keeps the last hundred in ``heard``. ``fail`` lets the next ones raise OSError."""

    def __init__(self, *, fail: int = 0) -> None:
        self.heard: list[str | Path] = []
        self.fail = fail

    def speak(self, text: str, *, timeout: float, hurry: threading.Event) -> None:
        self._hear(text)

    def play(self, sound: Path, *, timeout: float, hurry: threading.Event) -> None:
        self._hear(sound)

    def _hear(self, what: str | Path) -> None:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the simulated speaker was told to fail")
        self.heard = [*self.heard[-99:], what]


class InstalledSpeaker:
    """Speaks by espeak-ng and plays by PipeWire, PulseAudio or ALSA, whichever is installed. A text reaches
    the program by its standard input, so that none is taken for an option."""

    def speak(self, text: str, *, timeout: float, hurry: threading.Event) -> None:
        voice = _found(VOICES, "speak", "espeak-ng")
        _run([voice, *VOICES[Path(voice).name]], timeout, hurry, text.encode())

    def play(self, sound: Path, *, timeout: float, hurry: threading.Event) -> None:
        player = _found(PLAYERS, "play a sound", "alsa-utils")
        _run([player, *PLAYERS[Path(player).name], str(sound.absolute())], timeout, hurry, b"")


def find_driver(driver: str) -> Callable[[], Speaker]:
    """What makes the speaker; raises ValueError with the choices."""
    if driver not in DRIVERS:
        near = nearest(driver, DRIVERS) or f"; there is {', '.join(DRIVERS)}"
        raise ValueError(f"there is no speaker `{driver}`{near}")
    return DRIVERS[driver]


def missing(*, sounds: bool) -> str:
    """Which program is missing, as a sentence, or nothing."""
    try:
        _found(VOICES, "speak", "espeak-ng")
        if sounds:
            _found(PLAYERS, "play a sound", "alsa-utils")
    except OSError as error:
        return str(error)
    return ""


def _found(programs: Mapping[str, tuple[str, ...]], purpose: str, package: str) -> str:
    found = program.installed([*programs])
    if not found:
        raise OSError(f"no program to {purpose} is installed; run: apt-get install {package}")
    return found


def _run(command: list[str], timeout: float, hurry: threading.Event, given: bytes) -> None:
    env = program.environment(INHERITED)
    ended = program.run(command, timeout=timeout, env=env, given=given, hurry=hurry)
    if ended.reason:
        said = " ".join(ended.output.split())
        raise OSError(f"{Path(command[0]).name}: {ended.reason}{': ' if said else ''}{said}")


DRIVERS: dict[str, Callable[[], Speaker]] = {"simulated": SimulatedSpeaker, "installed": InstalledSpeaker}
