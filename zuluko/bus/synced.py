"""Pairs of messages that belong together in time, such as the two pictures of a stereo camera."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from zuluko.bus.message import Message, arrays

A = TypeVar("A", bound=Message)
B = TypeVar("B", bound=Message)
TOLERANCE = 0.05  # s
MOST_WAITING = 256  # messages of one side that wait for the other
MOST_BYTES = 64 << 20  # of their arrays, unless one alone has more


def _size(message: Message) -> int:
    """The bytes of a message's arrays."""
    return sum(getattr(getattr(message, name), "nbytes", 0) for name in arrays(type(message)))


class Pairing(Generic[A, B]):
    """Finds the pairs in two sequences with rising stamps, from the stamps alone and not from when they come.

    Two messages are a pair when each is the other's nearest in stamp, the earlier of two that are as near,
    and they are at most ``tolerance`` seconds apart. Of each side the newest 256 messages wait for the other,
    or as many as have 64 MB of arrays. A pair is known when the next message of the side that was earlier has
    come, for it might be nearer; a replay therefore finds the same pairs. ``unpaired`` counts the messages of
    each side that belong to no pair; those of them that could wait no longer are ``lost``, as overrun.
    """

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self.unpaired = [0, 0]
        self.lost: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._tolerance = round(tolerance * 1e9)
        self._waiting: tuple[deque[Any], deque[Any]] = (deque(), deque())
        self._held = [0, 0]  # bytes of what waits
        self._ended = False

    def add(self, side: int, message: Message) -> None:
        """A message of side 0 or 1; one that is not later than the side's last is left out."""
        waiting = self._waiting[side]
        if waiting and message.stamp <= waiting[-1].stamp:
            self.unpaired[side] += 1
            return
        size = _size(message)
        while waiting and (len(waiting) == MOST_WAITING or self._held[side] + size > MOST_BYTES):
            self._drop(side)
            self.lost[side]["overrun"] += 1
        waiting.append(message)
        self._held[side] += size

    def end(self) -> None:
        """No more will come: what waits is decided as it is."""
        self._ended = True

    def pop(self) -> tuple[A, B] | None:
        """The next pair that is known, or None."""
        while self._waiting[0] and self._waiting[1]:
            heads = self._waiting[0][0], self._waiting[1][0]
            early = 0 if heads[0].stamp <= heads[1].stamp else 1
            distance = heads[1 - early].stamp - heads[early].stamp
            if distance > self._tolerance:
                self._drop(early)
                continue
            rest = self._waiting[early]
            if distance and len(rest) == 1 and not self._ended:
                return None
            if distance and len(rest) > 1 and abs(rest[1].stamp - heads[1 - early].stamp) < distance:
                self._drop(early)
                continue
            return self._take(0), self._take(1)
        return None

    def _drop(self, side: int) -> None:
        self._take(side)
        self.unpaired[side] += 1

    def _take(self, side: int) -> Any:
        message = self._waiting[side].popleft()
        self._held[side] -= _size(message)
        return message


class Synced(Generic[A, B]):
    """An input that gives pairs: ``for left, right in pairs``; see ``Pairing`` for which.

    In a launch file ``in: {pairs: {sync: [left, right], within: 20ms}}``; in a test
    ``Synced(lefts, rights, tolerance=0.02)`` over two lists. ``unpaired`` counts what had no partner.
    """

    def __init__(
        self, first: Iterable[A] = (), second: Iterable[B] = (), *, tolerance: float = TOLERANCE
    ) -> None:
        self._sides = (first, second)
        self._pairing: Pairing[A, B] = Pairing(tolerance)

    @property
    def unpaired(self) -> tuple[int, int]:
        return self._pairing.unpaired[0], self._pairing.unpaired[1]

    def __iter__(self) -> Iterator[tuple[A, B]]:
        for side, message in self._messages():
            self._pairing.add(side, message)
            yield from self._known()
        self._pairing.end()
        yield from self._known()

    def _known(self) -> Iterator[tuple[A, B]]:
        while (pair := self._pairing.pop()) is not None:
            yield pair

    def _messages(self) -> Iterator[tuple[int, Message]]:
        """Both sides' messages in the order of their stamps."""
        marked = [(side, message) for side, messages in enumerate(self._sides) for message in messages]
        return iter(sorted(marked, key=lambda one: one[1].stamp))
