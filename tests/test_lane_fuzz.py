"""Peers that lie, at random: whatever they send or write into shared memory is refused and counted, and
nothing else happens: no other error, no endless loop, no other process's memory."""

import fcntl
import itertools
import os
import select
import socket
import struct
from contextlib import closing, contextmanager, suppress
from typing import Any

import msgpack
import msgspec
import numpy as np
import pynng
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import zuluko.messages
from tests.waiting import until
from zuluko.bus import clock, lane, membarrier, topics
from zuluko.bus.bell import Bell
from zuluko.bus.commands import CommandReceiver, CommandSender
from zuluko.bus.lane_reader import Reader
from zuluko.bus.lane_writer import Writer
from zuluko.bus.message import Message
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.wire import BLOB, Decoder, Encoder, Envelope, WireError
from zuluko.messages import Clause, Decision, Face, Faces, Frame, LockCommand, LockState

needs_lane = pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
KINDS = [one for one in vars(zuluko.messages).values() if isinstance(one, type) and issubclass(one, Message)]
KINDS = [kind for kind in KINDS if kind.__module__.startswith("zuluko.messages.")]
GOOD = [
    Frame(stamp=3, image=np.arange(60, dtype="u1").reshape(4, 5, 3), scene="owner"),
    Faces(items=(Face(box=(1, 2, 3, 4), landmarks=((0, 1),) * 5, score=0.9, name="ana"),), size=(640, 480)),
    LockCommand(id="a", to="lock", open_for=3.0, reason="rule"),
    LockState(state="locked", until=5),
    Decision(rule="r", outcome="held", clauses=(Clause(text="a", verdict="true", values={"x": [1, None]}),)),
]
WORD = st.one_of(
    st.integers(0, 20),
    st.integers(0, 1 << 24),
    st.sampled_from([1 << 31, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1, (1 << 64) - 8]),
    st.integers(0, (1 << 64) - 1),
)
NUMBER = st.one_of(
    st.integers(-3, 9), st.integers(-(1 << 63), (1 << 64) - 1), st.integers(-(1 << 90), 1 << 90)
)
DTYPE = st.one_of(
    st.sampled_from(
        ["|u1", "<f4", ">f8", "|b1", "a5", "O", "V8", "<M8[ns]", "f4,f4", "(9,)u1", "", "(" * 500]
    ),
    st.text(max_size=8),
)
SHAPE = st.lists(st.one_of(st.sampled_from([0, 1, 3, 4, 5, 1 << 31, (1 << 32) - 1]), NUMBER), max_size=10)
ARRAY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": DTYPE,
        "shape": SHAPE,
        "data": st.binary(max_size=60),
        "slot": NUMBER,
        "generation": NUMBER,
    },
)
IN_MSGPACK = st.integers(-(1 << 63), (1 << 64) - 1)
LEAF = st.one_of(
    st.none(), st.booleans(), IN_MSGPACK, st.floats(), st.text(max_size=8), st.binary(max_size=8), DTYPE
)
ANY = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(st.text(max_size=5), LEAF), inner, max_size=5)
    ),
    max_leaves=20,
)
fuzzed = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def packed(thing):
    """MessagePack of it, with what does not fit cut to size."""

    def fit(one):
        if isinstance(one, int) and not isinstance(one, bool):
            return max(-(1 << 63), min(one, (1 << 64) - 1))
        if isinstance(one, dict):
            return {key: fit(value) for key, value in one.items()}
        return [fit(inner) for inner in one] if isinstance(one, list | tuple) else one

    return msgpack.packb(fit(thing), unicode_errors="surrogatepass")


@st.composite
def nearly_right(draw):
    """A message whose envelope, or some of whose fields, are not what they should be."""
    version, seq, sent, cause, body = msgpack.unpackb(Encoder()(draw(st.sampled_from(GOOD)), seq=1, sent=2))
    for key in draw(st.lists(st.sampled_from(sorted(body)), max_size=2)):
        body[key] = draw(ARRAY if key == "image" else ANY)
    whole = [version, seq, sent, cause, body]
    for place in draw(st.lists(st.integers(0, 4), max_size=1)):
        whole[place] = draw(ANY)
    return packed(whole)


@st.composite
def damaged(draw):
    data = bytearray(Encoder()(draw(st.sampled_from(GOOD)), seq=1, sent=2))
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


HANDLE = st.builds(
    lambda form: packed([1, 0, 0, [], {"type": "Frame/1", "stamp": 0, "image": form}]),
    st.fixed_dictionaries({"dtype": DTYPE, "shape": SHAPE, "slot": NUMBER, "generation": NUMBER}),
)
BLOBS = st.builds(lambda thing: BLOB + packed(thing), st.one_of(st.lists(NUMBER, max_size=4), ANY))
DATA = st.one_of(st.binary(max_size=200), nearly_right(), damaged(), ANY.map(packed), HANDLE, BLOBS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@fuzzed
@given(data=DATA)
def test_a_decoder_reads_or_refuses(kind, data):
    with suppress(WireError):
        assert isinstance(Decoder(kind)(data).body, kind)


@fuzzed
@given(data=DATA)
def test_a_decoder_of_anything_reads_or_refuses(data):
    with suppress(WireError):
        assert isinstance(Decoder(Any)(data), Envelope)


@pytest.mark.parametrize("good", GOOD, ids=lambda good: type(good).__name__)
def test_what_is_whole_is_read(good):
    """Otherwise the refusals above would say nothing."""
    assert type(Decoder(type(good))(Encoder()(good, seq=1, sent=2)).body) is type(good)


@contextmanager
def lying():
    """A small lane that a peer has made: its writer, whose words may be set to anything."""
    writer = Writer("lies", slots=4, slot=1 << 16)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def announced(kind):
    """One that is announced under door/topic."""
    topics.graph_dir("door")
    with lying() as writer, closing(Bell(writer)) as bell:
        topics.announce("door", "topic", kind, topics.Lane(writer.fd, writer.id, bell.fd))
        yield writer


PLACES = st.one_of(
    st.sampled_from([lane.HEAD, lane.RESERVED, lane.CLOSED, lane.WARNED]),
    st.integers(lane.READERS, lane.READERS + lane.CELLS - 1),
    st.integers(lane.LEASE_WORDS, lane.LEASE_WORDS + 16),
    st.integers(lane.GENERATIONS, lane.GENERATIONS + 4),
    st.integers(lane.INDEX, lane.INDEX + 16),
)
LIES = st.lists(st.tuples(PLACES, WORD), max_size=8)


def scribble(writer, lies, ring):
    for place, word in lies:
        writer._words[place] = word
    for place, data in ring:
        writer._ring[place : place + len(data)] = data


@needs_lane
@fuzzed
@given(header=st.lists(st.tuples(st.integers(0, 7), WORD), min_size=1, max_size=3))
def test_a_header_that_lies_is_refused(header):
    with lying() as writer:
        for place, word in header:
            writer._words[place] = word
        changed = writer._words[:8].tolist()
        with suppress(lane.LaneError):
            Reader(os.getpid(), writer.fd, writer.id).close()
            assert changed[0] == lane.MAGIC
            _, _, _, slot, slots, ring, length, _ = changed
            assert lane.file_size(length, ring, slots, slot) == os.fstat(writer.fd).st_size


@needs_lane
@settings(fuzzed, max_examples=100)
@given(
    messages=st.lists(DATA, max_size=6),
    lies=LIES,
    ring=st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=24)), max_size=4),
    keep=st.sampled_from([1, 3, 64]),
    kind=st.sampled_from([Frame, Faces]),
)
def test_a_subscriber_of_a_lane_that_lies_counts_and_goes_on(messages, lies, ring, keep, kind):
    with announced(kind) as writer:
        subscriber = Subscriber("door", "topic", kind, keep=keep)
        assert subscriber.connected
        for data in messages:
            writer.put(data)
        scribble(writer, lies, ring)
        for _ in range(2 * keep + 2):
            envelope = subscriber.receive()
            assert envelope is None or isinstance(envelope.body, kind)
        subscriber.close()


@needs_lane
def test_a_publisher_that_only_drops_does_not_keep_its_reader_for_ever(monkeypatch):
    with announced(Faces) as writer:
        subscriber = Subscriber("door", "topic", Faces)
        read = Reader.read
        puts = iter(range(10_000))

        def slow_read(reader, number):
            next(puts)  # runs out where the reader never returns
            writer.put(b"")
            return read(reader, number)

        monkeypatch.setattr(Reader, "read", slow_read)
        writer.put(b"")
        assert subscriber.receive() is None
        assert subscriber.lost["ring full"] >= 1
        subscriber.close()


WHO = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.one_of(st.just("topic"), ANY),
        "type": st.one_of(st.just("Faces/1"), ANY),
        "pid": st.one_of(st.just(os.getpid()), NUMBER, ANY),
        "schema": ANY,
        "lane": st.one_of(
            st.fixed_dictionaries({"fd": st.one_of(st.integers(0, 40), NUMBER), "id": NUMBER}), ANY
        ),
        "offset": st.one_of(NUMBER, ANY),
    },
)


def as_json(thing):
    return msgspec.json.encode(thing, enc_hook=str)


ANNOUNCED = st.one_of(
    st.binary(max_size=100),
    WHO.map(lambda who: repr_json({"topic": "topic", "type": "Faces/1", "pid": os.getpid()} | who)),
    st.sampled_from(
        [b'{"topic":"t","type":"F","pid":1,"schema":' + b'{"a":' * 5000, b'{"topic":"\xff"}', b"[" * 9000]
    ),
)


def repr_json(thing):
    """JSON with integers of any size."""
    if isinstance(thing, dict):
        inner = (
            f'"{number}":' if not isinstance(key, str) else f"{as_json(key).decode()}:"
            for number, key in enumerate(thing)
        )
        pairs = (key.encode() + repr_json(value) for key, value in zip(inner, thing.values(), strict=True))
        return b"{" + b",".join(pairs) + b"}"
    if isinstance(thing, list | tuple):
        return b"[" + b",".join(map(repr_json, thing)) + b"]"
    if isinstance(thing, int) and not isinstance(thing, bool):
        return str(thing).encode()
    return as_json(thing)


@fuzzed
@given(data=ANNOUNCED)
def test_an_announcement_that_lies_is_passed_over(data):
    topics.graph_dir("door")
    topics.announcement_file(topics.socket_path("door", "topic")).write_bytes(data)
    subscriber = Subscriber("door", "topic", Faces)
    assert not subscriber.connected
    assert subscriber.receive() is None
    topics.announcements("door")
    subscriber.close()


@needs_lane
@settings(fuzzed, max_examples=100)
@given(lies=st.lists(LIES, max_size=4), size=st.sampled_from([10, 20_000, 40_000]))
def test_a_publisher_among_readers_that_lie_goes_on(lies, size):
    topics.graph_dir("door")
    publisher = Publisher("door", "topic", Frame)
    reader = Reader(os.getpid(), publisher._lane.fd, publisher._lane.id)
    for scribbles in lies:
        for place, word in scribbles:
            reader.words[place] = word
        publisher.send(Frame(image=np.zeros((size // 3, 1, 3), "u1")))
        publisher.empty((size // 3, 1, 3), np.dtype("u1"))
    assert publisher.subscribers >= 0
    assert publisher.seq == len(lies)
    publisher.close()
    with suppress(ValueError):
        reader.close()


def a_file(path):
    return os.open(path / "file", os.O_RDWR | os.O_CREAT)


def a_memory(_):
    return os.memfd_create("zuluko-lies")


def a_socket(_):
    return socket.socket(socket.AF_UNIX).detach()


def a_named_pipe(path):
    os.mkfifo(path / "pipe")
    return os.open(path / "pipe", os.O_RDWR)


def none_there(_):
    return 1 << 20


@needs_lane
@pytest.mark.parametrize("make", [a_file, a_memory, a_socket, a_named_pipe, none_there])
def test_a_bell_that_is_no_bell_is_not_opened(make, tmp_path):
    publisher = Publisher("door", "topic", Faces)
    bell = make(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(lane.LaneError, match="bell is no pipe|No such file"):
        Reader(os.getpid(), publisher._lane.fd, publisher._lane.id, bell)
    assert len(os.listdir("/proc/self/fd")) == before
    assert publisher.subscribers == 0
    if make is not none_there:
        os.close(bell)
    publisher.close()


@needs_lane
def test_a_bell_that_nobody_answers_holds_up_nobody():
    publisher = Publisher("door", "topic", Faces)
    reader = Reader(os.getpid(), publisher._lane.fd, publisher._lane.id, publisher._bell.fd)
    for number in range(70_000):  # more than a pipe holds
        publisher._bell.ring(number)
    publisher.send(Faces(stamp=1))
    assert publisher.subscribers == 1
    for end in (reader, publisher):
        end.close()


@needs_lane
def test_a_reader_that_empties_the_bell_takes_nobodys_wake_along():
    publisher, subscriber = Publisher("door", "topic", Faces), Subscriber("door", "topic", Faces)
    thief = Reader(os.getpid(), publisher._lane.fd, publisher._lane.id, publisher._bell.fd)
    for number in range(50):
        with suppress(BlockingIOError):
            os.read(thief.bell, 4096)
        publisher.send(Faces(stamp=number))
        assert subscriber.wait(5).body.stamp == number
    for end in (thief, subscriber, publisher):
        end.close()


@needs_lane
def test_a_bell_that_somebody_fills_stops_nobody():
    publisher = Publisher("door", "topic", Faces)
    reader = Reader(os.getpid(), publisher._lane.fd, publisher._lane.id, publisher._bell.fd)
    wakes = select.epoll()
    wakes.register(reader.bell, select.EPOLLIN | select.EPOLLET)
    fill = os.open(f"/proc/self/fd/{publisher._bell._rope}", os.O_WRONLY | os.O_NONBLOCK)
    for number in range(3):
        with suppress(BlockingIOError):
            while os.write(fill, bytes(4096)):
                pass
        with suppress(BlockingIOError):
            while os.write(fill, b"?"):
                pass
        assert wakes.poll(0)
        publisher.send(Faces(stamp=number))
        assert wakes.poll(5)
    os.close(fill)
    for end in (wakes, reader, publisher):
        end.close()


@needs_lane
def test_a_reader_whose_barrier_fails_takes_no_cell_along(monkeypatch):
    def refused():
        raise OSError(38, "membarrier failed")

    with lying() as writer:
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(membarrier, "barrier", refused)
            for _ in range(lane.CELLS + 1):
                with pytest.raises(lane.LaneError, match="membarrier failed") as told:
                    Reader(os.getpid(), writer.fd, writer.id)
                kept.append(told)  # and with it the reader, in the frames of the traceback
        assert writer.readers() is None
        Reader(os.getpid(), writer.fd, writer.id).close()


@pytest.fixture(scope="module")
def command_socket(tmp_path_factory):
    """A receiver of commands and a foreign socket that is connected to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZULUKO_RUN", str(tmp_path_factory.mktemp("zk", numbered=True)))
        topics.run_dir().chmod(0o700)
        topics.graph_dir("door")
        receiver = CommandReceiver("door", "lock", "commands", LockCommand)
        address = topics.address("door", receiver.topic)
        with pynng.Req0(dial=address, recv_timeout=10_000, resend_time=60_000) as foreign:
            yield receiver, foreign
        receiver.close()


NUMBERS = itertools.count()


@settings(fuzzed, max_examples=60)
@example(data=b"")
@given(data=DATA)
def test_a_receiver_of_commands_refuses_and_answers(command_socket, data):
    receiver, foreign = command_socket
    foreign.send(data)
    taken = []
    until(lambda: taken.extend(iter(receiver.receive, None)) or not foreign_waits(foreign, taken))
    name = f"good-{next(NUMBERS)}"
    foreign.send(Encoder()(LockCommand(id=name), seq=0, sent=clock.now()))
    assert until(receiver.receive).body.id == name
    assert msgpack.unpackb(foreign.recv()) == [1, "taken"]


def foreign_waits(foreign, answers):
    """Whether the answer is still to come."""
    try:
        version, text = msgpack.unpackb(foreign.recv(block=False))
    except pynng.TryAgain:
        return True
    assert version == 1
    assert text.startswith("refused: ") or (answers and text in ("taken", "again"))
    return False


@settings(fuzzed, max_examples=30)
@example(answers=[b"", b"\xc1"])
@given(answers=st.lists(st.one_of(st.binary(max_size=40), ANY.map(packed)), min_size=1, max_size=4))
def test_a_sender_of_commands_survives_any_answer(answers):
    topics.graph_dir("door")
    address = topics.address("door", "lock.commands.commands")
    with pynng.Rep0(recv_timeout=10_000) as foreign:
        foreign.listen(address)
        sender = CommandSender("door", "lock", "commands", deadline=10)
        for number, answer in enumerate(answers):
            sender.send(Envelope(1, number, clock.now(), (), LockCommand(id=str(number))))
            foreign.recv()
            foreign.send(answer)
        until(lambda: sender.failed + sender.taken == len(answers))
        assert sender._thread.is_alive()
        sender.close()


NOTHING = [b"", Encoder()(Faces(stamp=4), seq=8, sent=0)]


@settings(fuzzed, max_examples=30)
@example(messages=NOTHING)
@given(messages=st.lists(DATA, max_size=5))
def test_a_foreign_publisher_that_sends_anything_is_counted(messages):
    topics.graph_dir("door")
    topics.announcement_file(topics.socket_path("door", "topic")).unlink(missing_ok=True)
    subscriber = Subscriber("door", "topic", Faces)
    with pynng.Pub0(listen=topics.address("door", "topic")) as foreign:
        until(lambda: subscriber.connected and len(foreign.pipes))
        for data in [*messages, Encoder()(Faces(stamp=77), seq=8, sent=0)]:
            foreign.send(data)
        got = []
        until(lambda: got.extend(iter(subscriber.receive, None)) or (got and got[-1].body.stamp == 77))
        wrong = sum(count for why, count in subscriber.lost.items() if why not in ("overrun", "skipped"))
        assert len(got) + wrong == len(messages) + 1
    subscriber.close()


@needs_lane
@settings(fuzzed, max_examples=60)
@given(
    size=st.integers(0, 1 << 20),
    header=st.lists(WORD, min_size=8, max_size=8),
    real=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_descriptor_that_lies_is_refused(size, header, real):
    fd = os.memfd_create("zuluko-lies", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    right = (lane.MAGIC, lane.VERSION, 1, 4096, 2, 8192, 16, lane.CELLS)
    words = [good if keep else lie for good, lie, keep in zip(right, header, real, strict=True)]
    os.pwrite(fd, struct.pack("<8Q", *words)[:size], 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, lane.SEALS)
    with suppress(lane.LaneError):
        Reader(os.getpid(), fd, 1).close()
    os.close(fd)
