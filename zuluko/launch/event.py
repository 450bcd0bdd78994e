"""An event: what has the recorder keep a snapshot.

It is a message of a topic, or a condition over what topics said last, at the moment at which it becomes true.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zuluko.bus.message import Message, arrays
from zuluko.bus.wire import Decoder, WireError
from zuluko.launch.graph import Topic

if TYPE_CHECKING:  # CEL is loaded by those who ask it something
    from zuluko.launch.condition import Condition


class Event:
    """Asked about each message of its ``topics``. A condition that is unknown is not true yet."""

    def __init__(self, text: str, topics: Iterable[Topic], condition: "Condition | None" = None) -> None:
        self.text = text
        self._condition = condition
        self._decoders = {topic.name: Decoder(_read_as(topic.kind)) for topic in topics}
        self._latest: dict[str, Message] = {}
        self._holds = False

    def __repr__(self) -> str:
        return f"Event({self.text!r})"

    @property
    def topics(self) -> frozenset[str]:
        return frozenset(self._decoders)

    def fires(self, topic: str, data: bytes) -> bool:
        if self._condition is None:
            return True
        try:
            self._latest[topic] = self._decoders[topic](data).body
        except WireError:
            return False
        before, self._holds = self._holds, self._condition.holds(self._latest) is True
        return self._holds and not before


def _read_as(kind: type[Message]) -> Any:
    """A condition reads no array, and need not decode it."""
    return Any if kind is Any or arrays(kind) else kind  # type: ignore[comparison-overlap]
