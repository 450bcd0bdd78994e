"""A log for Foxglove: an MCAP file of its own schemas, with pictures, boxes and lines, and JSON to plot."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zuluko.bus.log_writer import LogError, LogFullError, LogWriter
from zuluko.bus.wire import WireError
from zuluko.log_export import plain_json
from zuluko.log_export.lines import SAYS, Line
from zuluko.log_export.part import Item, Part
from zuluko.log_export.pictures import FRAME, shown, topic_of
from zuluko.log_export.whole import whole

if TYPE_CHECKING:
    from types import ModuleType


SECOND = 10**9  # ns


def to_foxglove(part: Part, target: Path) -> Iterator[str]:
    """Writes an MCAP file; yields what is to be said. Raises LogError where foxglove-sdk is not installed."""
    made = _library()
    with whole(target) as place:
        try:
            with LogWriter(place, profile="") as writer:
                export = _Export(part, writer, made)
                for item in part:
                    export.put(item)
                for name, told in part.reader.told.items():
                    writer.tell(name, told)
        except LogFullError as error:
            raise OSError(str(error).rpartition(": ")[2]) from None
    yield f"{target}: {export.counts.total()} messages on {len(export.counts)} topics"
    width = max(map(len, export.counts), default=0)
    for topic, schema in sorted(export.schemas.items()):
        yield f"  {topic:<{width}}  {schema}"


def _library() -> "ModuleType":
    try:
        from zuluko.log_export import foxglove_messages
    except ImportError:
        what = "Foxglove's schemas need foxglove-sdk; run: pip install 'zuluko[foxglove]'"
        raise LogError(what) from None
    return foxglove_messages


class _Export:
    """Puts each message on its topic, as Foxglove's or as JSON, and beside it what can be drawn of it."""

    def __init__(self, part: Part, writer: LogWriter, made: "ModuleType") -> None:
        self._part, self._writer, self._made = part, writer, made
        self._said: dict[tuple[str, str], Line] = {}
        self._flush_at = 0
        self.counts: Counter[str] = Counter()
        self.schemas: dict[str, str] = {}

    def put(self, item: Item) -> None:
        if item.received >= self._flush_at:  # or a chunk of small messages would reach over many of pictures
            self._writer.flush()
            self._flush_at = item.received + SECOND
        stamp = item.body.get("stamp")
        stamp = stamp if isinstance(stamp, int) else item.received
        drawn = self._made.DRAWN.get(item.kind)
        if item.kind != FRAME and not (drawn and not drawn.beside):
            self._json(item)
        if drawn and (message := self._part.typed(item, drawn.kind)):
            self._message(item, f"{item.topic}/{drawn.beside}".rstrip("/"), drawn.make(message))
        try:
            for one in shown(self._part, item):
                topic = topic_of(item.topic, item.kind, one)
                self._message(item, topic, self._made.picture(one, topic, stamp))
        except WireError as error:
            self._part.leave_out(item.topic, error)
        if says := SAYS.get(item.kind):
            self._line(item, stamp, *says)

    def _line(self, item: Item, stamp: int, kind: Any, say: Any) -> None:
        """A line, unless it was the last of its name already: states are told once a second."""
        message = self._part.typed(item, kind)
        if message and (line := say(item.topic, message)) != self._said.get((item.topic, line.name)):
            self._said[item.topic, line.name] = line
            self._message(item, f"{item.topic}/log", self._made.line(line, stamp, item.topic))

    def _message(self, item: Item, topic: str, message: Any) -> None:
        schema = message.get_schema()
        self._write(item, topic, schema.name, schema.data, message.encode(), ("protobuf", "protobuf"))

    def _json(self, item: Item) -> None:
        schema = b""
        if item.topic not in self.schemas:
            schema = plain_json.schema(self._part.schema(item.topic))
        try:
            data = plain_json.encode(item.body)
        except (ValueError, TypeError, RecursionError) as error:
            self._part.leave_out(item.topic, error)
            return
        self._write(item, item.topic, item.kind, schema, data, ("json", "jsonschema"))

    def _write(  # noqa: PLR0917
        self, item: Item, topic: str, kind: str, schema: bytes, data: bytes, encodings: tuple[str, str]
    ) -> None:
        if self.schemas.setdefault(topic, kind) != kind:  # such as pictures that were raw before
            topic = f"{topic}/{kind.rpartition('.')[2].lower()}"
            self.schemas.setdefault(topic, kind)
        channel = self._writer.channels.get(topic) or self._writer.topic(
            topic, kind, schema, encoding=encodings[0], schema_encoding=encodings[1]
        )
        self._writer.write(channel, data, seq=item.seq, sent=item.sent, received=item.received)
        self.counts[topic] += 1
