"""A source of recorded messages, whatever its form."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from zuluko.bus.message import Message
from zuluko.bus.wire import inline


class SourceError(ValueError):
    """A source that cannot be read, or not any further; a whole sentence with the file's name."""


class UnfitError(ValueError):
    """One message that cannot become a standard one; why, as a clause."""


@dataclass(frozen=True)
class Channel:
    """A topic of a source: its name and its type there, the type that it becomes, or why it becomes none.

    ``count``  how many messages it has; None where only reading them tells
    """

    topic: str
    kind: str
    becomes: type[Message] | None = None
    why_not: str = ""
    count: int | None = None


class Heard(NamedTuple):
    """A message of a source and when it was received there (ns), or why it is none."""

    channel: Channel
    received: int
    message: Message | UnfitError


class Source(Protocol):
    """``what`` it is, in words; ``told`` what the log is to say of it, as names and texts by title."""

    what: str
    channels: list[Channel]

    @property
    def told(self) -> Mapping[str, Mapping[str, str]]: ...

    def messages(self, channels: Collection[Channel]) -> Iterator[Heard]:
        """The messages of some channels; raises SourceError where it cannot be read any further."""

    def close(self) -> None: ...


class Jpeg:
    """A picture that stays the JPEG that it is; ``shape`` is that of the picture, height x width x 3. It is
    no dataclass and no tuple, since msgspec would write those in its own way and not ask ``form``."""

    def __init__(self, shape: tuple[int, int, int], data: bytes) -> None:
        self.shape, self.data = shape, data


def form(value: Any) -> dict[str, Any]:
    """How a log holds an array, or a picture that is a JPEG."""
    if isinstance(value, Jpeg):
        return {"dtype": "|u1", "shape": value.shape, "jpeg": value.data}
    return inline(value)
