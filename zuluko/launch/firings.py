"""The firings of a running graph, kept longer than the lane's memory: ``RUN/.<graph>.firings``.

A Decision that fired or commanded, what became of its commands, and what locks did are rare, and asked for
long after they were. The process that hears every topic for ``zuluko up`` writes them down, one JSON line
each, so that it costs the rules nothing and outlives their death. The runtime directory is memory: at most
twice ``LARGEST`` of it are taken, and what is to outlive the graph belongs in a log.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from zuluko.bus.message import Message
from zuluko.bus.topics import check_name, run_dir
from zuluko.bus.wire import Envelope, Hop
from zuluko.messages import Decision, Delivery, LockState

LARGEST = 256 * 1024  # bytes of one file: some 300 firings with all that came of them

Noted = Decision | Delivery | LockState


class _Line(msgspec.Struct, frozen=True):
    topic: str
    told: Envelope[Noted]


def path(graph: str) -> Path:
    return run_dir() / f".{check_name(graph, 'graph')}.firings"


def _older(graph: str) -> Path:
    return path(graph).with_suffix(".firings.1")


class Firings:
    """Writes down what is worth it (``note``). A file that cannot be written, on a full disk, holds nothing
    up."""

    def __init__(self, graph: str) -> None:
        self._graph = graph
        self._size = 0
        self._file = -1
        self._states: dict[str, tuple[str, str, str]] = {}
        self._causes: dict[str, tuple[str, int, tuple[Hop, ...]]] = {}
        self.close()
        with suppress(OSError):
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path(self._graph), flags, 0o600)
        self._size = 0

    def note(self, topic: str, envelope: Envelope[Message]) -> None:
        if isinstance(envelope.body, Decision):
            envelope = self._caused(topic, envelope, envelope.body)
        if self._file < 0 or not self._is_worth_it(topic, envelope.body):
            return
        with suppress(OSError, msgspec.MsgspecError, TypeError):
            self._size += os.write(self._file, msgspec.json.encode(_Line(topic, envelope)) + b"\n")  # type: ignore[arg-type]
            if self._size > LARGEST:
                os.close(self._file)
                self._file = -1
                path(self._graph).replace(_older(self._graph))
                self._open()

    def _caused(self, topic: str, envelope: Envelope[Message], decision: Decision) -> Envelope[Message]:
        """A Decision with its cause: what is evaluated again has that of the time before."""
        if envelope.cause:
            self._causes[topic] = decision.topic, decision.seq, envelope.cause
            return envelope
        *evaluated, cause = self._causes.get(topic, ("", -1, ()))
        known = evaluated == [decision.topic, decision.seq]
        return msgspec.structs.replace(envelope, cause=cause) if known else envelope

    def _is_worth_it(self, topic: str, body: Any) -> bool:
        if isinstance(body, LockState):
            now = (body.state, body.reason, body.command)
            changed = self._states.get(topic) != now
            self._states[topic] = now
            return changed
        acted = isinstance(body, Decision) and (body.outcome == "fired" or body.command != "")
        return acted or isinstance(body, Delivery)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        forget(self._graph)


def forget(graph: str) -> None:
    """Leaves nothing behind."""
    with suppress(OSError):
        path(graph).unlink(missing_ok=True)
        _older(graph).unlink(missing_ok=True)


def read(graph: str) -> Iterator[tuple[str, Envelope[Noted]]]:
    """What has been written down, the oldest first; a line that cannot be read is passed over."""
    decode = msgspec.json.Decoder(_Line).decode
    for file in (_older(graph), path(graph)):
        try:
            with file.open("rb") as lines:
                data = lines.read(2 * LARGEST)
        except OSError:
            continue
        for line in data.split(b"\n"):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                told = decode(line)
                yield told.topic, told.told
