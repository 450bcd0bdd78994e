"""A source written as a log."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zuluko.bus.log_tap import with_jpeg
from zuluko.bus.log_writer import LogFullError, LogWriter
from zuluko.bus.message import tag
from zuluko.bus.wire import Encoder, largest
from zuluko.log import channel_of
from zuluko.log_import.source import Channel, Heard, Source, SourceError, UnfitError, form

LATEST = 1 << 63  # ns
FLUSHED = 1_000_000_000  # ns of log time in a chunk, as a recorder has them
MOST_REASONS = 3  # that are told of a topic, so that ten thousand missing pictures are no ten thousand lines
OTHER = "for other reasons"


@dataclass
class Imported:
    """What was written: messages by topic, what was not and why, the first and the last time (ns); and,
    where it ended before its end, why."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[Channel, str]] = field(default_factory=Counter)
    start: int = 0
    end: int = 0
    failure: str = ""

    @property
    def total(self) -> int:
        return self.counts.total()


def write(
    source: Source,
    target: Path,
    names: Mapping[Channel, str],
    *,
    quality: int = 0,
    on_progress: Callable[[Imported], None] = lambda _: None,
) -> Imported:
    """Writes the channels in ``names`` into a new log, each under its name. What is wrong with the source
    ends it, and what came before is kept, unless there was nothing.

    ``quality``  1 to 100: of the JPEG that a picture becomes which is none yet; 0 leaves pictures as they are

    Raises LogError for a file that exists. Whatever else it raises, as when it is stopped, leaves no file.
    """
    done = Imported()
    with LogWriter(target) as writer:
        try:
            for name, told in source.told.items():
                writer.tell(name, told)
            pen = _Pen(writer, names, quality, done)
            for heard in source.messages(list(names)):
                pen.write(heard)
                on_progress(done)
        except (SourceError, LogFullError) as error:
            done.failure = str(error)
        except BaseException:
            target.unlink()
            raise
    if not done.total:
        target.unlink()
    return done


class _Pen:
    """Writes one message after the other, numbered by topic, and counts them."""

    def __init__(self, writer: LogWriter, names: Mapping[Channel, str], quality: int, done: Imported) -> None:
        self._writer, self._names, self._quality, self._done = writer, names, quality, done
        self._encode = Encoder(form)
        self._flushed: int | None = None

    def write(self, heard: Heard) -> None:
        try:
            self._write(heard)
        except UnfitError as error:
            self._leave_out(heard.channel, str(error))

    def _leave_out(self, channel: Channel, why: str) -> None:
        left_out = self._done.left_out
        if (channel, why) not in left_out and sum(one is channel for one, _ in left_out) >= MOST_REASONS:
            why = OTHER
        left_out[channel, why] += 1

    def _write(self, heard: Heard) -> None:
        channel, received, message = heard
        if isinstance(message, UnfitError):
            raise message
        if not 0 <= received < LATEST or not 0 <= message.stamp < LATEST:
            raise UnfitError("its time is none")
        topic = self._names[channel]
        seq = self._done.counts[topic]
        data = self._encode(message, seq=seq, sent=received)
        if self._quality:
            data = with_jpeg(data, self._quality)
        if len(data) > largest(type(message)):
            raise UnfitError(
                f"it has {len(data)} bytes, and a {tag(type(message))} at most {largest(type(message))}"
            )
        number = channel_of(self._writer, topic, type(message))
        self._writer.write(number, data, seq=seq, sent=received, received=received)
        self._done.counts[topic] += 1
        self._done.start = min(self._done.start or received, received)
        self._done.end = max(self._done.end, received)
        self._flushed = received if self._flushed is None else self._flushed
        if received - self._flushed >= FLUSHED:
            self._writer.flush()
            self._flushed = received
