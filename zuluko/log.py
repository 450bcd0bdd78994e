"""Logs in Python: ``read`` gives what was recorded as a stream, ``record`` writes a stream into a log."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from zuluko import messages
from zuluko.bus import jpeg
from zuluko.bus.log_reader import LogReader, schema_of
from zuluko.bus.log_schema import encode
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.bus.message import Message, MessageError, tag, topic_suffix
from zuluko.bus.streams import Stream
from zuluko.bus.topics import schema
from zuluko.bus.versions import VersionError, decoder, difference, fitting, plainly, refusal, split
from zuluko.bus.wire import Decoder, Encoder, Envelope, Hop, WireError, from_inline, plain_dtype, plain_shape
from zuluko.document import nearest

M = TypeVar("M", bound=Message)
LARGEST_PICTURE = 1 << 26  # bytes that a JPEG may become


class Entry(NamedTuple, Generic[M]):
    """One message of a log: its topic, when the recorder had it (ns), and its envelope."""

    topic: str
    received: int
    envelope: Envelope[M]


LATEST = 1_000_000_000  # ns for which a message may be on its way to the recorder


class LogStream(Stream[M]):
    """The messages of a log as a node reads them: time is the log's. ``cause`` is the chain behind the last
    message, itself included."""

    def __init__(self, entries: Iterator[Entry[M]], topic: str = "") -> None:
        super().__init__(topic=topic)
        self.cause: tuple[Hop, ...] = ()
        self._entries = entries
        self._next: Entry[M] | None = None

    def next(self, timeout: float | None = None) -> M | None:
        self._next = self._next or next(self._entries, None)
        if self._next is None:
            self.ended = timeout is None or self._pass(timeout)
            return None
        topic, received, envelope = self._next
        if timeout is not None and self.now and self._passes(timeout, received):
            return None
        self._next = None
        self._polls.end()
        self.topic, self.seq, self.sent = topic, envelope.seq, envelope.sent
        self.now = max(self.now, received)
        self.cause = (*envelope.cause, envelope.hop(topic))
        return envelope.body


def read(
    log: str | Path, topic: str, *topics: str, kind: Any = None, start: float = 0.0, end: float | None = None
) -> LogStream[Any]:
    """The messages of one topic of a log, or of several in the order in which they were received.

    ``kind``   the message type, where it is a type of your own that this program has not imported
    ``start``, ``end``   seconds from the log's beginning

    Messages of an older version than the type's are upgraded (``zuluko.bus.versions``). Raises LogError for a
    file that is no log, a topic that it does not have, and a message that its type cannot read, each as one
    sentence.
    """
    reader = LogReader(Path(log))
    try:
        for name in (topic, *topics):
            _check_topic(reader, name)
        kinds = {name: kind or _known(reader, name) for name in (topic, *topics)}
    except BaseException:
        reader.close()
        raise
    return LogStream(entries(reader, kinds, start=start, end=end), topic)


def entries(
    reader: LogReader, kinds: dict[str, Any], *, start: float = 0.0, end: float | None = None
) -> Iterator[Entry[Any]]:
    """The messages of the topics in ``kinds``, each decoded as its type, and upgraded where it is older;
    closes the reader at the end. Raises LogError for a topic that its type cannot read."""
    try:
        decoders = {name: _decoder(reader, name, kind) for name, kind in kinds.items()}
    except BaseException:
        reader.close()
        raise
    begin = reader.span[0]
    limits = begin + round(start * 1e9), None if end is None else begin + round(end * 1e9)
    return _entries(reader, decoders, kinds, limits)


def _entries(
    reader: LogReader,
    decoders: dict[str, Callable[[bytes], Envelope[Any]]],
    kinds: dict[str, Any],
    limits: tuple[int, int | None],
) -> Iterator[Entry[Any]]:
    with reader:
        for topic, message in reader.messages(decoders, *limits):
            try:
                yield Entry(topic, message.received, decoders[topic](message.data))
            except (WireError, VersionError) as error:
                kind = reader.type_of(topic) or "?"
                where = f"{reader.path}: message {message.sequence} on {topic} ({kind})"
                raise LogError(f"{where} cannot be read: {error}{_changed(reader, topic, kinds)}") from None


def by_sending(found: Iterator[Entry[Any]]) -> Iterator[tuple[int, Entry[Any]]]:
    """Messages in the order of their sending, with when that was. One that was on its way to the recorder for
    longer than a second, or has no such time, counts as sent when it came."""
    waiting: list[tuple[int, int, Entry[Any]]] = []
    for number, entry in enumerate(found):
        sent, received = entry.envelope.sent, entry.received
        heapq.heappush(waiting, (sent if 0 <= received - sent < LATEST else received, number, entry))
        while waiting[0][0] <= received - LATEST:
            yield _popped(waiting)
    while waiting:
        yield _popped(waiting)


def _popped(waiting: list[tuple[int, int, Entry[Any]]]) -> tuple[int, Entry[Any]]:
    moment, _, entry = heapq.heappop(waiting)
    return moment, entry


def _decoder(reader: LogReader, topic: str, kind: Any) -> Callable[[bytes], Envelope[Any]]:
    if topic not in reader.topics:  # an unindexed log may tell of it later
        return Decoder(kind, from_log)
    have = reader.type_of(topic)
    if why := refusal(kind, have, schema_in(reader, topic)):
        raise LogError(f"{reader.path}: {topic} cannot be read: {why}")
    return decoder(kind, have, from_log)


def schema_in(reader: LogReader, topic: str) -> dict[str, Any]:
    """The JSON schema that a log has of a topic's messages; empty where it has none."""
    return schema_of(reader.contents, reader.contents.channels[reader.topics[topic]])


def upgrades(reader: LogReader) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """For each topic of a log whose type this program has in a newer version, what upgrades a message's plain
    fields. It raises VersionError, and WireError for an array that is none."""
    return {
        topic: partial(plainly, kind, reader.type_of(topic), from_log)
        for topic, kind in newer(reader).items()
    }


def newer(reader: LogReader) -> dict[str, type[Message]]:
    """The newer version, with an ``upgrade``, that this program has of a topic's type; by topic."""
    found = {}
    for topic in reader.topics:
        have = reader.type_of(topic)
        kind = fitting(known_types(), have)
        if kind and tag(kind) != have and not refusal(kind, have, {}):
            found[topic] = kind
    return found


def _changed(reader: LogReader, topic: str, kinds: dict[str, Any]) -> str:
    """How a type has changed since it was recorded, under the same version."""
    kind, have = kinds[topic], reader.type_of(topic)
    if not isinstance(kind, type) or tag(kind) != have:
        return ""
    found = difference(schema_in(reader, topic), kind, have)
    word, version = split(have)
    return f"; {found}: such a change is {word}/{version + 1}, with an `upgrade`" if found else ""


def record(stream: Iterable[Message], log: str | Path, topic: str = "") -> int:
    """Writes the messages of a stream, or of a list, into a new log, and gives their number.

    The topic is the stream's unless given, and else what the type is called: ``Faces`` on ``faces``. Time in
    the log is the stream's; over a list, the stamps'. Raises LogError for a file that exists, or a full disk,
    and MessageError for a message that is not what its type says, or not of the type of those before it; what
    came before it is kept.
    """
    count, encode_body, found = 0, Encoder(), iter(stream)
    proofs: dict[str, tuple[type[Message], Decoder[Any]]] = {}
    with LogWriter(Path(log)) as writer:
        for message in found:
            own = _topic_of(message)
            name = topic or getattr(stream, "topic", "") or own
            kind, proof = proofs.setdefault(name, (type(message), Decoder(type(message), from_log)))
            if type(message) is not kind:
                what = f"{name} has messages of type {kind.__name__}, and now a {type(message).__name__}"
                raise MessageError(f"{log}: {what}; give each its own topic")
            now = getattr(stream, "now", 0) or message.stamp
            seq, sent = getattr(stream, "seq", count), getattr(stream, "sent", 0) or now
            cause = getattr(stream, "cause", ())[:-1]
            data = encode_body(message, seq=seq, sent=sent, cause=cause)
            try:
                proof(data)
            except WireError as error:
                raise MessageError(f"a {kind.__name__} is not what its type says: {error}") from None
            writer.write(channel_of(writer, name, kind), data, seq=seq, sent=sent, received=now)
            count += 1
    return count


def _topic_of(message: object) -> str:
    if not isinstance(message, Message):
        raise MessageError(f"a log holds messages, and not a {type(message).__name__}")
    return topic_suffix(type(message))


def channel_of(writer: LogWriter, topic: str, kind: type[Message]) -> int:
    if topic in writer.channels:
        return writer.channels[topic]
    return writer.topic(topic, tag(kind), encode(schema(kind)))


def known_types() -> dict[str, type[Message]]:
    """The message types that this program has, by their wire names."""
    found: dict[str, type[Message]] = {}
    waiting: list[type[Message]] = [Message]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(f"{messages.__name__}.") or tag(kind) not in found:
                found[tag(kind)] = kind
    return found


def _known(reader: LogReader, topic: str) -> type[Message]:
    wanted = reader.type_of(topic)
    known = fitting(known_types(), wanted)
    if known is None:
        what = f"{reader.path}: {topic} has messages of type {wanted}, which this program does not know"
        raise LogError(f"{what}; import the module that defines it, or give the type: kind=...")
    return known


def _check_topic(reader: LogReader, topic: str) -> None:
    if topic not in reader.topics:
        known = nearest(topic, reader.topics) or f"; it has: {', '.join(reader.topics) or 'nothing'}"
        raise LogError(f"{reader.path} has no topic `{topic}`{known}")


def from_log(form: dict[str, Any]) -> np.ndarray[Any, Any]:
    """An array as a log holds it: its bytes, or a JPEG of them."""
    if "jpeg" not in form:
        return from_inline(form)
    import cv2

    shape, data = plain_shape(form.get("shape")), form["jpeg"]
    bad = WireError("malformed", "a JPEG that cannot be read")
    if not isinstance(data, bytes) or plain_dtype(form.get("dtype")) != np.uint8 or not 2 <= len(shape) <= 3:
        raise bad
    if not 0 < np.prod(shape, dtype=object) <= LARGEST_PICTURE or jpeg.size(data) != shape[:2]:
        raise bad
    flag = cv2.IMREAD_COLOR if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
    flag |= cv2.IMREAD_IGNORE_ORIENTATION  # the shape is that of the pixels as they are packed
    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None or picture.shape != shape:
        raise bad
    picture.setflags(write=False)
    return np.asarray(picture)
