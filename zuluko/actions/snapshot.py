"""The snapshot node: keeps the picture that a Decision stands on, and the Decision, when a rule says so."""

import stat
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from zuluko.actions.album import Album, entry_name
from zuluko.actions.errands import SIMULATED, Errands
from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import Decision, Frame, SnapshotCommand, SnapshotState

TURN = 0.03  # seconds between two looks at the pictures; one at 30 Hz is not missed
PATIENCE = 0.2  # seconds that a command waits for its Decision, which comes on another way
LAST_CHANCE = 2.0  # seconds for what waits when the node is told to stop
MOST_WAITING = 8  # snapshots: each holds a picture
REMEMBERED = 64  # Decisions that fired

Picture = NDArray[np.uint8]


class Keeper(Protocol):
    """Where snapshots go: JPEG and JSON in, their paths out. Raises OSError where they cannot be kept."""

    def keep(self, name: str, parts: dict[str, bytes]) -> dict[str, Path]: ...


class SimulatedKeeper:
    """Keeps the last few in memory, in ``kept``. ``fail`` lets the next ones raise OSError."""

    def __init__(self, *, fail: int = 0) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self.fail = fail

    def keep(self, name: str, parts: dict[str, bytes]) -> dict[str, Path]:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the simulated disk was told to fail")
        self.kept[name] = parts
        if len(self.kept) > MOST_WAITING:
            del self.kept[next(iter(self.kept))]
        return {suffix: Path("simulated") / f"{name}.{suffix}" for suffix in parts}


def snapshot(
    commands: Stream[SnapshotCommand],
    frames: Stream[Frame],
    decisions: Stream[Decision],
    *,
    driver: Literal["folder", "simulated"] = "folder",
    folder: Path | None = None,
    quality: int = 85,
    most: int = 1000,
    megabytes: float = 200.0,
    recent: int = 8,
    within: float = 0.5,
) -> Iterator[SnapshotState]:
    """Keeps JPEGs of a ``quality`` of 1 to 100, and JSON, in ``folder``; without a folder, and with
    the driver ``simulated``, in memory only.

    The folder holds at most ``most`` snapshots and ``megabytes``; the oldest make room. The picture is the
    one of the command's stamp, or of the ``recent`` last ones the nearest, at most ``within`` seconds off.
    Raises ValueError for limits that limit nothing, OSError where the folder cannot be made.
    """
    for fault in _faults(quality, most, megabytes, recent, within):
        raise ValueError(f"`{fault.key}` {fault.what}")
    keeper: Keeper = SimulatedKeeper()
    if folder is not None and driver != SIMULATED:
        album = Album(folder, most, round(megabytes * 1e6))
        album.open()
        keeper = album
    at_once = driver == SIMULATED
    yield from keep(
        commands, frames, decisions, keeper, quality=quality, recent=recent, within=within, at_once=at_once
    )


def check_snapshot(
    *, driver: str, folder: Path | None, quality: int, most: int, megabytes: float, recent: int, within: float
) -> Iterator[Fault]:
    """What is wrong with the configuration, without a file being written."""
    yield from _faults(quality, most, megabytes, recent, within)
    if driver == SIMULATED or folder is None or not folder.exists():
        return
    if not folder.is_dir():
        yield Fault("folder", f"{folder} is no folder")
    elif stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Fault("folder", f"{folder} can be read by others; run: chmod 700 {folder}")


def _faults(quality: int, most: int, megabytes: float, recent: int, within: float) -> Iterator[Fault]:
    if not 1 <= quality <= 100:
        yield Fault("quality", f"must be from 1 to 100, not {quality}")
    if not 1 <= recent <= 100:
        yield Fault("recent", f"must be from 1 to 100 pictures, not {recent}")
    if most < 1:
        yield Fault("most", f"must be 1 or more, not {most}")
    if not 0 < megabytes < 1e9:
        yield Fault("megabytes", f"must be more than 0, not {megabytes:g}")
    if not 0 <= within <= 60:
        yield Fault("within", f"must be from 0 s to 60 s, not {within:g}")


def keep(
    commands: Stream[SnapshotCommand],
    frames: Stream[Frame],
    decisions: Stream[Decision],
    keeper: Keeper,
    *,
    quality: int = 85,
    recent: int = 8,
    within: float = 0.5,
    at_once: bool = False,
) -> Iterator[SnapshotState]:
    """The same with a keeper of one's own; ``at_once`` for one that takes no time."""
    import cv2  # noqa: F401 (now: later it would cost the first snapshot its pictures)

    evidence = _Evidence(deque(maxlen=recent), within)
    errands = Errands(_Clerk(keeper, quality, within).do, most=MOST_WAITING, at_once=at_once)
    waiting: list[tuple[int, SnapshotCommand]] = []
    try:
        while not commands.ended:
            command = commands.next(timeout=TURN)
            while (frame := frames.next(timeout=0)) is not None:
                evidence.see(frame)
            while (decision := decisions.next(timeout=0)) is not None:
                evidence.hear(decision)
            if command is not None:
                waiting.append((commands.now, command))
            for since, one in [*waiting]:
                if evidence.of(one) or commands.ended or commands.now >= since + round(PATIENCE * 1e9):
                    waiting.remove((since, one))
                    if not errands.give(evidence.order(one)):
                        yield _state(one, f"{MOST_WAITING} snapshots wait already", outcome="refused")
            yield from errands.done()
        yield from errands.finish(LAST_CHANCE)
    finally:
        left = errands.close()
    for order in left:
        yield _state(order.command, "the node was told to stop")


class _Order(NamedTuple):
    command: SnapshotCommand
    picture: Picture | None
    stamp: int
    decision: Decision | None


@dataclass
class _Evidence:
    """The last pictures, copied, since of a publisher's own a reader may hold only a few, and the Decisions
    that fired, by the stem of their commands' ids."""

    pictures: deque[tuple[int, Picture]]
    within: float
    decisions: dict[str, Decision] = field(default_factory=dict)

    def see(self, frame: Frame) -> None:
        self.pictures.append((frame.stamp, frame.image.copy()))

    def hear(self, decision: Decision) -> None:
        if decision.command:
            self.decisions[_stem(decision.command)] = decision
            if len(self.decisions) > REMEMBERED:
                del self.decisions[next(iter(self.decisions))]

    def of(self, command: SnapshotCommand) -> Decision | None:
        return self.decisions.get(_stem(command.id))

    def order(self, command: SnapshotCommand) -> _Order:
        """The command with what it stands on."""
        nearest = min(self.pictures, key=lambda one: abs(one[0] - command.stamp), default=None)
        if nearest is None or abs(nearest[0] - command.stamp) > self.within * 1e9:
            return _Order(command, None, 0, self.of(command))
        return _Order(command, nearest[1], nearest[0], self.of(command))


@dataclass(frozen=True)
class _Clerk:
    """Encodes and writes, in a thread of its own: a slow card must not keep the node from its pictures."""

    keeper: Keeper
    quality: int
    within: float

    def do(self, order: _Order, hurry: threading.Event) -> SnapshotState:
        command = order.command
        off = abs(order.stamp - command.stamp) / 1e9 if order.picture is not None else 0.0
        name = entry_name(command.stamp, command.label or command.reason)
        parts = {} if order.picture is None else {"jpg": _jpeg(order.picture, self.quality)}
        parts["json"] = _json(order, off)
        try:
            paths = {suffix: str(path) for suffix, path in self.keeper.keep(name, parts).items()}
        except OSError as error:
            return _state(command, f"cannot be written: {error.strerror or error}")
        if order.picture is None:
            why = f"no picture within {self.within:g} s of the evidence; the decision is kept"
            return _state(command, why, decision=paths["json"])
        return SnapshotState(
            stamp=command.stamp,
            command=command.id,
            outcome="done",
            reason=command.reason,
            picture=paths["jpg"],
            decision=paths["json"],
            off=off,
        )


def _jpeg(picture: Picture, quality: int) -> bytes:
    import cv2

    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def _json(order: _Order, off: float) -> bytes:
    told = {
        "command": order.command,
        "picture_stamp": order.stamp if order.picture is not None else None,
        "picture_off": off if order.picture is not None else None,
        "decision": order.decision,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _stem(command: str) -> str:
    """What the ids of all commands of one firing have in common: they end in the command's number."""
    return command.rpartition("-")[0] or command


def _state(
    command: SnapshotCommand, reason: str, *, decision: str = "", outcome: str = "failed"
) -> SnapshotState:
    return SnapshotState(
        stamp=command.stamp,
        command=command.id,
        outcome="refused" if outcome == "refused" else "failed",
        reason=reason,
        decision=decision,
    )
