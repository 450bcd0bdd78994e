"""The part of a log that is to be exported, message by message."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogError
from zuluko.bus.message import Message, check_arrays, tag
from zuluko.bus.topics import schema
from zuluko.bus.versions import VersionError
from zuluko.bus.wire import Decoder, WireError
from zuluko.log import from_log, newer, schema_in, upgrades

M = TypeVar("M", bound=Message)


class Item(NamedTuple):
    """One message: its topic and its type's wire name, when it was received and sent (ns), and its body as
    the plain map that it is on the wire, an array in it the map of dtype, shape and bytes."""

    topic: str
    kind: str
    received: int
    sent: int
    seq: int
    body: dict[str, Any]


class Part:
    """Some topics of a log (all, unless told) from ``start`` to before ``end``, log times in ns.

    It can be gone through several times. Messages of an older version than this program's are upgraded. What
    cannot be read is left out and counted, and told by ``told``. Raises LogError where there is nothing.
    ``on_progress`` hears the log time of each message.
    """

    def __init__(
        self,
        reader: LogReader,
        topics: Iterable[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        *,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        first, last = reader.span
        self.reader = reader
        self.topics = list(reader.topics if topics is None else topics)
        self.start = first if start is None else max(first, start)
        self.end = last if end is None else min(last, end)
        self.on_progress = on_progress
        self._limits = start, end
        self._newer, self._upgrades = newer(reader), upgrades(reader)
        self._unread: dict[str, Counter[str]] = {}

    def type_of(self, topic: str) -> str:
        """The wire name of a topic's type, upgraded."""
        return tag(self._newer[topic]) if topic in self._newer else self.reader.type_of(topic)

    def schema(self, topic: str) -> dict[str, Any]:
        """The JSON schema of a topic's messages, upgraded; empty where the log has none."""
        return schema(self._newer[topic]) if topic in self._newer else schema_in(self.reader, topic)

    def __iter__(self) -> Iterator[Item]:
        found = self.of(self.topics)
        first = next(found, None)
        if first is None:
            raise LogError(f"{self.reader.path} has no message that could be exported")
        yield first
        yield from found

    def of(self, topics: Iterable[str]) -> Iterator[Item]:
        """The messages of some of its topics, in the order in which they were received."""
        decode = Decoder(Any)
        self._unread.clear()
        for topic, message in self.reader.messages(topics, *self._limits):
            self.on_progress(message.received)
            try:
                envelope: Any = decode(message.data)
                body = envelope.body
                if topic in self._upgrades and isinstance(body, dict):
                    body = self._upgrades[topic](body)
            except (WireError, VersionError) as error:
                self.leave_out(topic, error)
                continue
            if isinstance(body, dict):
                kind = str(body.get("type", ""))
                yield Item(topic, kind, message.received, envelope.sent, envelope.seq, body)
            else:
                self.leave_out(topic, "its body is no map")

    def typed(self, item: Item, kind: type[M]) -> M | None:
        """A message as its type; None, and counted, where it does not fit."""
        try:
            message = msgspec.convert(item.body, kind, dec_hook=_array)
            check_arrays(message)
        except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and our own are ValueErrors
            self.leave_out(item.topic, error)
            return None
        return message

    def leave_out(self, topic: str, why: object) -> None:
        """Counts a message of a topic that could not be exported."""
        self._unread.setdefault(topic, Counter())[str(why)[:200]] += 1

    def told(self) -> Iterator[str]:
        """What is to be said of the last time through, each a sentence."""
        contents = self.reader.contents
        if not contents.whole:
            where = f"byte {contents.torn} of {self.reader.size}"
            yield f"{self.reader.path} is torn: this is what stands before {where}"
        for topic, reasons in self._unread.items():
            why, count = reasons.most_common(1)[0]
            messages = "1 message" if reasons.total() == 1 else f"{reasons.total()} messages"
            more = "" if count == reasons.total() else f" (and {len(reasons) - 1} other reasons)"
            yield f"{topic}: {messages} left out: {why}{more}"


def _array(_: type, form: Any) -> np.ndarray[Any, Any]:
    if not isinstance(form, dict):
        raise WireError("malformed", "an array must be a map")
    return from_log(form)
