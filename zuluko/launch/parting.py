"""Where a lockstep parts from an earlier one, of which the chain or the log was kept."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_records import Logged
from zuluko.launch.chain import ChainError, Link, is_chain, links

LOCKSTEP = "lockstep"  # names the metadata of a log that a lockstep has written
LONGEST = 60  # characters of a value that is shown


class Parting(Protocol):
    """Holds a run against an earlier one: ``see`` each message, then ``end``. ``told`` says where they part,
    as one sentence; nothing while they are the same."""

    told: str

    def see(self, link: Link, data: bytes) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


def parting(before: Path, begin: int) -> Parting:
    """Holds a run against a file: a chain, or a log of ``--out``. ``begin`` is the log time (ns) from which
    seconds count. Raises ChainError for a file that is neither, and LogError."""
    return _FromChain(before, begin) if is_chain(before) else _FromLog(before, begin)


class _FromChain:
    def __init__(self, before: Path, begin: int) -> None:
        self.told = ""
        self._links, self._begin = links(before), begin
        self._next = next(self._links, None)

    def see(self, link: Link, _data: bytes) -> None:
        if self.told:
            return
        have, before = _name(link, self._begin), self._next
        if before is None:
            self.told = f"this run goes on with {have}, where the earlier run has ended"
        elif before[:4] != link[:4]:
            self.told = f"this run says {have}, where the earlier run said {_name(before, self._begin)}"
        elif before.digest != link.digest:
            self.told = (
                f"{have} is not the message that it was; a log of the earlier run (--out) would show both"
            )
        else:
            self._next = next(self._links, None)

    def end(self) -> None:
        if not self.told and self._next is not None:
            self.told = f"this run ends, where the earlier run went on with {_name(self._next, self._begin)}"

    def close(self) -> None:
        pass


class _FromLog:
    """Messages of one time may lie in a log in another order than they were said in, so each is looked for by
    its topic and number among those of its time."""

    def __init__(self, before: Path, begin: int) -> None:
        self.told = ""
        self._reader, self._begin = LogReader(before), begin
        if LOCKSTEP not in self._reader.told:
            self._reader.close()
            what = "was not written by --lockstep --out, and a graph that runs has times of its own"
            raise ChainError(f"{before} {what}; keep a run to compare with: --out FILE or --chain FILE")
        self._messages = self._reader.messages()
        self._ahead: tuple[str, Logged] | None = next(self._messages, None)
        self._waiting: dict[tuple[str, int], Logged] = {}

    def see(self, link: Link, data: bytes) -> None:
        if self.told:
            return
        self._read_to(link.at)
        before, have = self._waiting.pop((link.topic, link.seq), None), _name(link, self._begin)
        if missed := next((key for key, one in self._waiting.items() if one.received < link.at), None):
            self.told = f"this run says {have}, and not {self._named(missed)}, as the earlier run did"
        elif before is None:
            self.told = f"this run says {have}, which the earlier run did not"
        elif before.data != data:
            self.told = f"{have} is not what it was: {difference(before.data, data)}"

    def _read_to(self, at: int) -> None:
        while self._ahead is not None and self._ahead[1].received <= at:
            topic, message = self._ahead
            self._waiting[topic, message.sequence] = message
            self._ahead = next(self._messages, None)

    def _named(self, key: tuple[str, int]) -> str:
        return _name(Link(0, *key, self._waiting[key].received, ""), self._begin)

    def end(self) -> None:
        if self.told:
            return
        if self._ahead is not None:
            self._read_to(self._ahead[1].received)
        if left := next(iter(self._waiting), None):
            self.told = f"this run ends, where the earlier run went on with {self._named(left)}"

    def close(self) -> None:
        self._reader.close()


def difference(before: bytes, after: bytes) -> str:
    """The first field in which two envelopes differ, with both values."""
    names = "version", "seq", "sent", "cause", ""
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        both = msgspec.msgpack.decode(before), msgspec.msgpack.decode(after)
        parts = sorted(zip(names, *both, strict=True), key=lambda part: part[0] != "")  # the body first
        for name, was, now in parts:
            if found := next(_differences(was, now, name), None):
                path, old, new = found
                return f"{path or 'it'} was {_shown(old)}, and is {_shown(new)}"
    return "its bytes differ"


def _differences(was: Any, now: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in (*was, *(key for key in now if key not in was)):
            yield from _differences(was.get(key), now.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (old, new) in enumerate(zip(was, now, strict=True)):
            yield from _differences(old, new, f"{path}[{number}]")
    elif msgspec.msgpack.encode(was) != msgspec.msgpack.encode(now):  # NaN is no other than NaN
        yield path, was, now


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = str(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _name(link: Link, begin: int) -> str:
    return f"{link.topic} {link.seq} at {(link.at - begin) / 1e9:.3f} s"
