"""Leaks: what gets into a node from outside of the log while it runs in lockstep, so that two runs may
differ. A clock, the system's randomness, a thread of its own, a socket, another program.

Each node's thread is watched by Python's profiling hook, which tells every call of a built-in function, under
whatever name a module has imported it. That costs the door a tenth, a node that does next to nothing 60 %.
"""

import datetime
import dis
import os
import random
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

CLOCK = "take the time from its stream: `stream.now`"
CHANCE = "give the generator a seed, as in random.Random(1) or numpy.random.default_rng(1)"
THREAD = "what a thread makes comes at no certain time; make it a node of its own"
OUTSIDE = "what it answers is not in the log; record what this node says, and replay that"

_CALL = dis.opmap["CALL"]
_STANDARD = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen ")
_OURS = str(Path(__file__).parent.parent) + os.sep
_BUS, _LOCKSTEP = (_OURS + name + os.sep for name in ("bus", "launch"))
_DRAW = {
    random.__file__,
    *(str(Path(random.__file__).with_name(f"{name}.py")) for name in ("secrets", "uuid")),
}


class Leak(NamedTuple):
    """One place in a node's code: ``what`` it does there, and what to do ``instead``."""

    node: str
    place: str  # file:line
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.place}: {self.node} {self.what}, and may differ on the next run; {self.instead}"


class _Kind(NamedTuple):
    """``passes`` says through which files between the node's code and the call it counts: where the standard
    library looks at a clock for purposes of its own it does not. With more arguments than ``most`` it does
    not, either: time.ctime() reads a clock, time.ctime(stamp) does not."""

    what: str
    instead: str
    passes: Callable[[str], bool]
    most: int = sys.maxsize


class Watch:
    """Sees the leaks of one node, of which it tells each place once; ``start`` and ``stop`` in its thread."""

    def __init__(self, node: str, found: Callable[[Leak], None]) -> None:
        self._node, self._found = node, found
        self._told: set[Leak] = set()

    def start(self) -> None:
        calls, codes = _table()

        def see(frame: FrameType, event: str, arg: Any) -> None:
            if event == "c_call":
                if arg in calls and _arguments(frame) <= calls[arg].most:
                    self._look(frame, calls[arg])
            elif event == "call" and frame.f_code in codes:
                self._look_into(frame, codes[frame.f_code])

        sys.setprofile(see)

    @staticmethod
    def stop() -> None:
        sys.setprofile(None)

    def _look_into(self, frame: FrameType, kind: _Kind) -> None:
        seeded = frame.f_code is random.Random.seed.__code__ and frame.f_locals.get("a") is not None
        if not seeded and frame.f_back:
            self._look(frame.f_back, kind)

    def _look(self, frame: FrameType, kind: _Kind) -> None:
        place = _place(frame, kind)
        if place and (leak := Leak(self._node, place, kind.what, kind.instead)) not in self._told:
            self._told.add(leak)
            self._found(leak)


def _arguments(frame: FrameType) -> int:
    """How many arguments the call has in which a frame is, as its bytecode says; 0 where they are in a list,
    ``f(*list)``."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at + 1] if code[at] == _CALL else 0


def _place(frame: FrameType, kind: _Kind) -> str:
    """The line of the node's own code that led to a call; nothing where no such line did, or by a way that
    does not count."""
    for one in _outwards(frame):
        file = one.f_code.co_filename
        if file.startswith((_LOCKSTEP, "<frozen importlib")):
            return ""
        if _is_own(one):
            return _line(one)
        if not kind.passes(file):
            return ""
    return ""


def place_in(frame: FrameType | None) -> str:
    """The line of the node's own code that a frame is in, or that called it."""
    return next((_line(one) for one in _outwards(frame) if _is_own(one)), "?")


def _line(frame: FrameType) -> str:
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


def _is_own(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith((_BUS, _LOCKSTEP)) and not _is_library(file)


def _is_library(file: str) -> bool:
    return not file.startswith(_OURS) and (file.startswith(_STANDARD) or _is_package(file))


def _is_package(file: str) -> bool:
    return "site-packages" in file or "dist-packages" in file or file.startswith(_BUS)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


@cache
def _table() -> tuple[dict[Any, _Kind], dict[CodeType, _Kind]]:
    """What is watched: built-in functions, and functions of the standard library by their code."""
    import _posixsubprocess
    import _thread
    import uuid

    calls: dict[Any, _Kind] = {}
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime"):
        for clock in (name, f"{name}_ns"):
            calls[getattr(time, clock)] = _Kind(f"reads a clock, time.{clock}()", CLOCK, _is_package)
    for kind, name in (("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")):
        function = getattr(getattr(datetime, kind), name)
        calls[function] = _Kind(f"reads a clock, {kind}.{name}()", CLOCK, _is_package)
    for name, most in (("localtime", 0), ("gmtime", 0), ("ctime", 0), ("asctime", 0), ("strftime", 1)):
        calls[getattr(time, name)] = _Kind(
            f"reads a clock, time.{name}() without a time", CLOCK, _is_package, most
        )
    calls[os.times] = _Kind("reads a clock, os.times()", CLOCK, _is_package)
    for draw in (os.urandom, os.getrandom):
        calls[draw] = _Kind("draws from the system's randomness", CHANCE, _DRAW.__contains__)
    for module, name in ((_thread, "start_new_thread"), (_thread, "start_joinable_thread")):
        if function := getattr(module, name, None):
            calls[function] = _Kind("starts a thread", THREAD, bool)
    for module, name in ((_posixsubprocess, "fork_exec"), (os, "fork"), (os, "system"), (os, "posix_spawn")):
        calls[getattr(module, name)] = _Kind("starts a program", OUTSIDE, bool)
    codes = {
        random.Random.seed.__code__: _Kind("draws from the system's randomness", CHANCE, _DRAW.__contains__),
        uuid.uuid1.__code__: _Kind("makes an id of the time, uuid.uuid1()", CLOCK, _DRAW.__contains__),
        socket.socket.__init__.__code__: _Kind("opens a socket", OUTSIDE, bool),
    }
    return calls, codes
