"""What a recorder hears: a topic's messages as bytes, with the arrays' own in place of their handles."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any, NamedTuple

import msgspec

from zuluko.bus import clock, jpeg
from zuluko.bus.lane import INDEX_LENGTH
from zuluko.bus.live import Waker
from zuluko.bus.log_schema import encode
from zuluko.bus.np import np
from zuluko.bus.poller import Poller
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.topics import Announcement
from zuluko.bus.wire import VERSION, Envelope, WireError, inline, plain_shape

KEEP = INDEX_LENGTH  # messages that a busy recorder may be behind: all that the lane's index holds
REST = 0.002  # s between two looks: what comes in that time is taken in one turn
TURN = 0.25  # s that a turn waits at most
BATCH = 512  # messages of one topic in a turn
_HANDLE = b"\xaageneration"  # as MessagePack writes the word
_JPEG = b"\xa4jpeg\x83"  # a picture's JPEG, a map of three
_DATA = b"\xa4data"


class Heard(NamedTuple):
    """A message for the log: its envelope's bytes, and times in ns."""

    topic: str
    seq: int
    sent: int
    received: int
    data: bytes


class _Loose(msgspec.Struct, array_like=True, frozen=True):
    """An envelope of which only the head is looked at."""

    version: int
    seq: int
    sent: int
    cause: msgspec.Raw
    body: msgspec.Raw


_loosely = msgspec.msgpack.Decoder(_Loose).decode
_encode = msgspec.msgpack.Encoder(enc_hook=inline).encode


class Tap(Subscriber[bytes]):
    """One topic; the body of its envelopes is the whole message as it belongs into a log. A picture stands in
    it once: ``as_is`` as the JPEG that it came as, if it did, else as its pixels."""

    def __init__(self, graph: str, topic: str, poller: Poller, *, as_is: bool = False) -> None:
        self.told: Announcement | None = None
        self.as_is = as_is
        super().__init__(graph, topic, Any, keep=KEEP, poller=poller)  # type: ignore[arg-type]
        self._decode = self._take

    def _join_lane(self, told: Announcement) -> bool:
        self.told = told  # who has gone by the time its message is written tells no more
        return super()._join_lane(told)

    def _take(self, data: bytes) -> Envelope[bytes]:
        try:
            loose = _loosely(data)
            if loose.version != VERSION:
                raise WireError("version", f"{loose.version}, this is version {VERSION}")
            if _HANDLE in (raw := bytes(loose.body)) or _JPEG in raw:
                body = self._filled(msgspec.msgpack.decode(loose.body))
                data = _encode((loose.version, loose.seq, loose.sent, loose.cause, body))
        except (msgspec.MsgspecError, RecursionError, OverflowError) as error:
            raise WireError("malformed", str(error)) from None
        return Envelope(loose.version, loose.seq, loose.sent, (), data)

    def _filled(self, body: Any) -> Any:
        """A body with arrays where it had handles."""
        if not isinstance(body, dict):
            return body
        filled = self._once(body)
        return {key: self._array(one) if _is_handle(one) else one for key, one in filled.items()}

    def _once(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body with either of a picture's forms, where it has both."""
        image: Any = body.get("image")
        coded: Any = body.get("jpeg")
        if not (_is_array(image) and _is_array(coded)):
            return body
        rest = {key: one for key, one in body.items() if key != "jpeg"}
        if self.as_is:
            data = self._array(coded).tobytes()
            if jpeg.size(data) == plain_shape(image["shape"])[:2]:
                rest["image"] = {"dtype": image["dtype"], "shape": image["shape"], "jpeg": data}
        return rest


class Taps:
    """All topics that a recorder hears. Iterating gives what has come, in the order of sending, about each
    quarter of a second if nothing has; it ends when the process is told to stop, but for at most ``linger``
    seconds not before the publishers have gone, whose last words count."""

    def __init__(
        self,
        graph: str,
        topics: Iterable[str],
        waker: Waker,
        poller: Poller,
        *,
        on_wait: Callable[[], None] = lambda: None,
        linger: float = 0.0,
    ) -> None:
        self.graph = graph
        self._linger = linger
        self.taps: dict[str, Tap] = {}
        self._as_is = False
        self._waker, self._poller, self._on_wait = waker, poller, on_wait
        poller.watch(waker.fd)
        for topic in topics:
            self.add(topic)

    def add(self, topic: str) -> None:
        if topic not in self.taps:
            self.taps[topic] = Tap(self.graph, topic, self._poller, as_is=self._as_is)

    def take_as_is(self) -> None:
        """From now on pictures are heard as the JPEG that they came as, where they did."""
        self._as_is = True
        for tap in self.taps.values():
            tap.as_is = True

    @property
    def lost(self) -> dict[str, Counter[str]]:
        return {topic: tap.lost.copy() for topic, tap in self.taps.items() if tap.lost}

    def type_of(self, heard: Heard) -> tuple[str, bytes]:
        """The wire name of a message's type and its schema for a log, as its publisher told them; of one
        that told nothing, the name that the message has."""
        told = self.taps[heard.topic].told
        return (told.type, encode(told.schema)) if told else (_type_in(heard.data), b"{}")

    def __iter__(self) -> Iterator[list[Heard]]:
        while not self._waker.stopped:
            self._on_wait()
            if found := self.take():
                yield found
                time.sleep(REST)
            else:
                yield []
                self._poller.wait(TURN)
        until = time.monotonic() + self._linger
        while (found := self.take()) or (time.monotonic() < until and self._anybody):
            yield found
            time.sleep(REST)

    @property
    def _anybody(self) -> bool:
        return any(tap.connected for tap in self.taps.values())

    def take(self) -> list[Heard]:
        """What waits now."""
        found = []
        for topic, tap in list(self.taps.items()):
            for _ in range(BATCH):
                if (envelope := tap.receive()) is None:
                    break
                found.append(Heard(topic, envelope.seq, envelope.sent, clock.now(), envelope.body))
        return sorted(found, key=lambda one: one.sent)

    def close(self) -> None:
        for tap in self.taps.values():
            tap.close()


def with_jpeg(data: bytes, quality: int) -> bytes:
    """A message whose pictures are JPEG; the same bytes where it has none. ``quality`` is 1 to 100."""
    if _DATA not in data:
        return data
    loose = _loosely(data)
    body = msgspec.msgpack.decode(loose.body)
    if not isinstance(body, dict) or not any(map(_is_picture, body.values())):
        return data
    body = {key: _jpeg(one, quality) if _is_picture(one) else one for key, one in body.items()}
    return _encode((loose.version, loose.seq, loose.sent, loose.cause, body))


def _type_in(data: bytes) -> str:
    body = msgspec.msgpack.decode(_loosely(data).body)
    return str(body.get("type", "")) if isinstance(body, dict) else ""


def _is_handle(value: Any) -> bool:
    return isinstance(value, dict) and {"dtype", "shape", "slot", "generation"} <= value.keys()


def _is_array(value: Any) -> bool:
    return isinstance(value, dict) and {"dtype", "shape"} < value.keys()


def _is_picture(value: Any) -> bool:
    """Whether an array can be a JPEG: bytes, height x width or those x 3, at least 8 pixels each way."""
    if not (isinstance(value, dict) and {"dtype", "shape", "data"} <= value.keys()):
        return False
    shape, data = value["shape"], value["data"]
    form = isinstance(shape, list) and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
    if not form or value["dtype"] != "|u1" or not isinstance(data, bytes):
        return False
    return all(type(side) is int and 8 <= side < 1 << 16 for side in shape[:2]) and len(data) == prod(shape)


def _jpeg(form: dict[str, Any], quality: int) -> dict[str, Any]:
    import cv2

    array = np.frombuffer(form["data"], np.uint8).reshape(form["shape"])
    good, packed = cv2.imencode(".jpg", array, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        return form
    return {"dtype": form["dtype"], "shape": form["shape"], "jpeg": packed.tobytes()}
