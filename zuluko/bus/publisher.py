"""Publishing: a message goes into the express lane, and over nng to whoever is connected there."""

from __future__ import annotations

import logging
import os
from collections import Counter
from functools import cache
from typing import Any

import msgspec

from zuluko.bus import clock, local, membarrier
from zuluko.bus.bell import Bell
from zuluko.bus.handoff import Handoff
from zuluko.bus.lane import KEPT, MOST_SLOTS, SLOT, SLOTS
from zuluko.bus.lane_writer import Writer
from zuluko.bus.message import Message, MessageError, arrays, check_arrays
from zuluko.bus.nng import leave, listen, pynng
from zuluko.bus.np import freeze, np
from zuluko.bus.streams import QUEUE
from zuluko.bus.topics import (
    Lane,
    announce,
    announcement,
    announcement_file,
    graph_dir,
    socket_path,
)
from zuluko.bus.wire import (
    INLINE,
    LONGEST_CAUSE,
    VERSION,
    Blob,
    Encoder,
    Envelope,
    Hop,
    WireError,
    inline,
    largest,
)

PROOF = 64  # every so many messages one is read back

log = logging.getLogger("zuluko.bus")


@cache
def _tell_of_copies() -> None:
    log.warning("this kernel has no membarrier(2): what this node publishes is copied through sockets")


def _sizes() -> dict[str, int]:
    """How many slots a topic has for its frames, and of what size in bytes, as the environment says:
    ``ZULUKO_SLOTS`` and ``ZULUKO_SLOT_MB``. A slot's memory is taken when it is first written."""
    sizes = {}
    for name, key, unit, most in (
        ("slots", "ZULUKO_SLOTS", 1, MOST_SLOTS),
        ("slot", "ZULUKO_SLOT_MB", 1 << 20, 1024),
    ):
        if text := os.environ.get(key):
            if not (text.isascii() and text.isdigit() and 2 <= int(text) <= most):
                raise ValueError(f"{key}={text}: write a whole number from 2 to {most}")
            sizes[name] = int(text) * unit
    return sizes


def _lane_of(topic: str, arrays: int) -> Writer | None:
    """A lane for a topic with so many arrays in a message; None where there can be none, which is told."""
    sizes = {"slots": min(MOST_SLOTS, SLOTS * max(1, arrays)), **_sizes()}
    if not membarrier.available():
        return None
    try:
        return Writer(topic, **sizes)
    except OSError as error:
        why = f"{topic} has no express lane, and is copied through sockets: {error.strerror}"
        log.warning(
            "%s; it takes %d MB of address space", why, sizes["slots"] * sizes.get("slot", SLOT) >> 20
        )
        return None


class NoSlotError(Exception):
    """All slots of a lane are leased."""


class Publisher:
    """The one that may publish a topic. ``send`` never waits: a slow subscriber loses, and knows it.

    ``lost`` counts what did not leave: "ring full" when readers hold all slots, "too large" what nng, and not
    the lane, found so.
    """

    def __init__(self, graph: str, topic: str, kind: type[Message], *, queue: int = QUEUE) -> None:
        self.topic = topic
        self._graph, self._pid = graph, os.getpid()
        self.seq = 0
        self.lost: Counter[str] = Counter()
        graph_dir(graph)
        self._path = socket_path(graph, topic)
        self._largest = largest(kind)
        self._arrays = arrays(kind)
        self._lane = _lane_of(topic, len(self._arrays))
        self._bell = Bell(self._lane) if self._lane else None
        self._encode = Encoder(self._handle if self._lane else inline).envelope
        self._encode_inline = Encoder(inline).envelope
        self._bare = msgspec.msgpack.Encoder(enc_hook=lambda _: 0).encode
        self._proof = msgspec.msgpack.Decoder(kind, dec_hook=lambda *_: np.empty(0)).decode
        self._placed = 0  # arrays of the message that is sent which lie in slots
        self._copies: list[int] = []  # the slots of those that did not lie there before
        self._closed = False
        self._hand_off = Handoff()
        self._warned = False  # the readers, of the frame that is being filled
        self._edges = local.edges(graph, topic)
        self._dtype: Any = None
        self._typestr = ""
        self._told = Lane(self._lane.fd, self._lane.id, self._bell.fd) if self._lane and self._bell else None
        announce(graph, topic, kind, self._told)
        self._socket = pynng.Pub0(send_buffer_size=queue)
        self._pipes: set[int] = set()  # of who is connected there
        self._socket.add_post_pipe_connect_cb(lambda pipe: self._pipes.add(pipe.id))
        self._socket.add_post_pipe_remove_cb(lambda pipe: self._pipes.discard(pipe.id))
        self._file = listen(self._socket, self._path)
        if not membarrier.available():
            _tell_of_copies()

    @property
    def subscribers(self) -> int:
        """How many are connected now and wait for messages."""
        return len(self._pipes) + (self._bell.count if self._bell else 0)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | None:
        """An array in a free slot, to be filled and published without a copy; None when there is none."""
        array = self._lane.empty(shape, dtype) if self._lane else None
        if array is not None and self._bell and not self._warned:
            self._warned = True
            self._bell.forewarn()
        return array

    def send(self, message: Message, cause: tuple[Hop, ...] = ()) -> Envelope[Message]:
        """Publishes; raises MessageError for an array that is not what its type says."""
        if self._arrays:
            check_arrays(message, self._arrays)
        envelope = Envelope(VERSION, self.seq, clock.now(), cause[-LONGEST_CAUSE:], message)
        if self.seq % PROOF == 0:
            self._prove(message)
        self._warned = False
        try:
            data = self._encoded(envelope)
            if self._pipes:
                self._send_to_all(envelope, data)
            else:
                self._send_lane(envelope, data)
        finally:
            # Not before: another array of this message would have had the slot.
            while self._copies and self._lane:
                self._lane.let_go(self._copies.pop())
        if self._edges:
            local.hand_over(self._edges, envelope)
        self.seq += 1
        return envelope

    def _prove(self, message: Message) -> None:
        """Reads a message back as a subscriber would: Python lets a field hold what its type does not."""
        try:
            self._proof(self._bare(message))
        except msgspec.MsgspecError as error:
            raise MessageError(f"a {type(message).__name__} is not what its type says: {error}") from None

    def _encoded(self, envelope: Envelope[Message]) -> bytes:
        """A message as the lane has it; nothing when there is no room for its arrays."""
        self._placed = 0
        try:
            data = self._encode(envelope)
        except NoSlotError:
            return b""
        if len(data) > self._largest:
            what = f"a message on {self.topic} has {len(data)} bytes"
            raise WireError("too large", f"{what}, at most {self._largest}")
        return data

    def _send_to_all(self, envelope: Envelope[Message], data: bytes) -> None:
        """Through the lane and over nng; who waits at the lane, where it takes less, comes first."""
        lane_first = self._bell is not None and self._bell.heard
        if lane_first:
            self._send_lane(envelope, data)
        inline = self._encode_inline(envelope) if self._placed or not data else data
        if len(inline) > self._largest:
            self.lost["too large"] += 1
        else:
            self._socket.send(inline)
        self._hand_off()
        if not lane_first:
            self._send_lane(envelope, data)

    def _send_lane(self, envelope: Envelope[Message], data: bytes) -> None:
        if not (self._lane and self._bell):
            return
        try:
            self._lane.put(data if len(data) <= self._lane.largest else self._blob(data))
        except NoSlotError:
            self._lane.put(data := b"")
        if not data:
            self.lost["ring full"] += 1
        self._bell.ring(envelope.sent)
        if self._bell.heard:
            self._hand_off()
        if self._placed > 1:  # a picture lasts as long as one alone
            self._lane.kept = max(self._lane.kept, KEPT * self._placed)

    def _handle(self, array: Any) -> Any:
        """How an array stands in the lane: small ones inline, large ones by their slot."""
        if getattr(array, "nbytes", 0) <= INLINE:
            return inline(array)
        self._placed += 1
        slot, generation = self._place(array)
        if (dtype := array.dtype) is not self._dtype:
            self._dtype, self._typestr = dtype, dtype.str  # which numpy spells anew each time
        return {"dtype": self._typestr, "shape": array.shape, "slot": slot, "generation": generation}

    def _place(self, array: np.ndarray[Any, Any]) -> tuple[int, int]:
        """The array's slot and generation: its own, where it was made with ``empty``, else that of a copy."""
        assert self._lane
        if (own := self._lane.slot_of(array)) is not None:
            freeze(array)
            return own, self._lane.open(own)
        slot = self._lane.take(array.nbytes)
        if slot is None:
            raise NoSlotError
        np.copyto(self._lane.room(slot, array.shape, array.dtype), array)
        self._copies.append(slot)
        return slot, self._lane.open(slot)

    def _blob(self, data: bytes) -> bytes:
        """A message too long for the ring lies in a slot as well."""
        slot, generation = self._place(np.frombuffer(data, np.uint8))
        return Blob(slot, generation, len(data)).encode()

    def close(self) -> None:
        if self._closed or os.getpid() != self._pid:  # in a forked child it is still its parent's
            return
        self._closed = True
        told = announcement(self._graph, self.topic)
        if told and (told.pid, told.lane) == (self._pid, self._told):  # else another has come
            announcement_file(self._path).unlink(missing_ok=True)
        if self._lane and self._bell:
            self._lane.finish()
            self._bell.ring(clock.now())
            self._bell.close()
            self._lane.close()
        leave(self._socket, self._path, self._file)
