"""Commands: reliable edges, over REQ/REP. A command is acknowledged when the receiving node's stream has
taken it, sent again until a deadline, not executed twice (its id tells a repetition, as long as the receiver
lives), never executed after the deadline, and a failure is told.

The sender's envelope is answered by one MessagePack array ``[version, answer]``; the answer is ``taken``,
``again`` (a repetition, not executed twice) or ``refused: why``.
"""

import logging
import queue
import threading
import time
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from zuluko.bus import clock
from zuluko.bus.message import Command
from zuluko.bus.nng import leave, listen, pynng, waiting
from zuluko.bus.poller import Poller
from zuluko.bus.topics import address, socket_path
from zuluko.bus.wire import LARGEST, VERSION, Decoder, Encoder, Envelope, WireError

C = TypeVar("C", bound=Command)
DEADLINE = 2.0  # s after which a command that nobody took has failed
RESEND = 100  # ms
MOST_WAITING = 256  # commands behind one that is not answered yet
REMEMBERED = 1024  # ids

log = logging.getLogger("zuluko.commands")


def command_topic(node: str, name: str) -> str:
    """What the socket of a node's command input is called."""
    return f"{node}.{name}.commands"


class CommandSender:
    """One reliable edge, at its sending end. ``send`` does not wait: a thread sees to the delivery, one
    command after the other; ``failed`` and ``taken`` count how it went. ``results`` holds, for whoever takes
    them from there, each command with the reason of its failure, or nothing; ``poller`` is woken for them."""

    def __init__(
        self, graph: str, node: str, name: str, *, deadline: float = DEADLINE, poller: Poller | None = None
    ) -> None:
        self.node = node
        self.results: deque[tuple[Command, str]] = deque(maxlen=MOST_WAITING)
        self._poller = poller
        self.taken = 0
        self.failed = 0
        self._deadline = deadline
        self._encode = Encoder()
        self._waiting: queue.Queue[tuple[float, Command, bytes] | None] = queue.Queue(MOST_WAITING)
        self._socket = pynng.Req0(
            resend_time=RESEND,
            recv_max_size=LARGEST,
            reconnect_time_min=20,
            reconnect_time_max=200,
        )
        self._socket.dial(address(graph, command_topic(node, name)), block=False)
        self._thread = threading.Thread(target=self._deliver, name=f"commands to {node}", daemon=True)
        self._thread.start()

    def send(self, envelope: Envelope[C]) -> None:
        data = self._encode(envelope.body, seq=envelope.seq, sent=envelope.sent, cause=envelope.cause)
        try:
            self._waiting.put_nowait((time.monotonic() + self._deadline, envelope.body, data))
        except queue.Full:
            self._note(envelope.body, f"{MOST_WAITING} commands wait already")

    def _deliver(self) -> None:
        while (item := self._waiting.get()) is not None:
            until, command, data = item
            self._note(command, self._ask(data, until))

    def _ask(self, data: bytes, until: float) -> str:
        """Sends a command, again and again, until it is answered or its time is up; the answer."""
        left = round((until - time.monotonic()) * 1000)
        if left <= 0:
            return f"no answer within {self._deadline:g} s"
        try:
            self._socket.send_timeout = self._socket.recv_timeout = left
            self._socket.send(data)
            return msgspec.msgpack.decode(self._socket.recv(), type=tuple[int, str])[1]
        except pynng.Closed:
            return "the sender stopped"
        except pynng.Timeout:
            return f"no answer within {self._deadline:g} s"
        except (ValueError, RuntimeError, pynng.NNGException) as error:
            return f"the answer cannot be read: {error}"

    def _note(self, command: Command, answer: str) -> None:
        reached = answer in ("taken", "again")
        if not reached:
            log.error("command %s did not reach %s: %s", command.id, self.node, answer)
        self.results.append((command, "" if reached else answer))
        self.taken += reached
        self.failed += not reached
        if self._poller:
            self._poller.ring()

    def close(self, *, patience: float = 0.5) -> None:
        """Gives what waits a last chance of ``patience`` seconds."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(patience)
        self._socket.close()
        self._thread.join(1.0)


class CommandReceiver(Generic[C]):
    """One reliable edge, at its receiving end; ``receive`` takes a command and acknowledges it."""

    def __init__(
        self, graph: str, node: str, name: str, kind: type[C], *, poller: Poller | None = None
    ) -> None:
        self.topic = command_topic(node, name)
        self.received = 0
        self.repeated = 0
        self.lost: Counter[str] = Counter()
        self._decode = Decoder(kind)
        self._done: OrderedDict[str, None] = OrderedDict()
        self._path = socket_path(graph, self.topic)
        self._socket = pynng.Rep0(recv_max_size=LARGEST, send_timeout=100)
        self._file = listen(self._socket, self._path)
        self._poller = poller
        if poller:
            poller.watch(self._socket.recv_fd)

    def receive(self) -> Envelope[C] | None:
        for data in waiting(self._socket):
            if (envelope := self._judge(data)) is not None:
                return envelope
        return None

    def _judge(self, data: bytes) -> Envelope[C] | None:
        try:
            envelope = self._decode(data)
        except WireError as error:
            self.lost[error.reason] += 1
            self._answer(f"refused: {error}")
            return None
        if abs(late := (clock.now() - envelope.sent) / 1e9) > DEADLINE:
            self.lost["too late"] += 1
            when = f"{late:.1f} s ago" if late > 0 else f"{-late:.1f} s from now: the clocks differ"
            self._answer(f"refused: it was sent {when}, at most {DEADLINE:g} s")
            return None
        if envelope.body.id in self._done:
            self.repeated += 1
            self._answer("again")
            return None
        self._done[envelope.body.id] = None
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        self.received += 1
        self._answer("taken")
        return envelope

    def _answer(self, text: str) -> None:
        try:
            self._socket.send(msgspec.msgpack.encode((VERSION, text)))
        except (pynng.Timeout, pynng.BadState):
            log.warning("the sender of a command on %s was gone before its answer", self.topic)

    def close(self) -> None:
        if self._poller:
            self._poller.forget(self._socket.recv_fd)
        leave(self._socket, self._path, self._file)
