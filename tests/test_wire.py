"""The envelope, as another language's MessagePack reads it, and what of it is refused."""

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zuluko.bus.wire import LARGEST, LARGEST_ARRAYS, LONGEST_CAUSE, Decoder, Encoder, Handles, Hop, WireError
from zuluko.messages import Clause, Decision, Face, Faces, Frame, LockState

FACE = Face(box=(1, 2, 3, 4), landmarks=((0, 1),) * 5, score=0.9, name="ana")


def encoded(message, **envelope):
    return Encoder()(message, **{"seq": 7, "sent": 99, **envelope})


def test_plain_msgpack_reads_the_wire():
    data = encoded(Faces(stamp=5, items=(FACE,), size=(640, 480)), cause=(Hop("camera", 3, 5, 6),))
    version, seq, sent, cause, body = msgpack.unpackb(data)
    assert (version, seq, sent, cause) == (1, 7, 99, [["camera", 3, 5, 6]])
    assert body["type"] == "Faces/1"
    assert (body["stamp"], body["size"]) == (5, [640, 480])
    assert body["items"][0]["name"] == "ana"
    assert body["items"][0]["landmarks"] == [[0, 1]] * 5


def test_plain_msgpack_writes_the_wire():
    body = {"type": "LockState/1", "stamp": 4, "state": "locked", "added in a later version": [1]}
    envelope = Decoder(LockState)(msgpack.packb([1, 0, 8, [], body]))
    assert (envelope.sent, envelope.body.state, envelope.body.stamp) == (8, "locked", 4)


def test_a_small_array_travels_in_the_message():
    image = np.arange(24, dtype="u1").reshape(2, 4, 3)
    data = encoded(Frame(image=image))
    assert msgpack.unpackb(data)[4]["image"] == {"dtype": "|u1", "shape": [2, 4, 3], "data": image.tobytes()}
    again = Decoder(Frame)(data).body.image
    assert np.array_equal(again, image)
    assert not again.flags.writeable


def test_a_cause_does_not_grow_without_end():
    hops = tuple(Hop("t", seq, 0, 0) for seq in range(50))
    cause = Decoder(Faces)(encoded(Faces(), cause=hops)).cause
    assert [hop.seq for hop in cause] == list(range(50 - LONGEST_CAUSE, 50))


def frame(**changes):
    image = {"dtype": "|u1", "shape": [1, 1, 3], "data": b"abc"} | changes
    return msgpack.packb([1, 0, 0, [], {"type": "Frame/1", "stamp": 0, "image": image}])


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("malformed", b""),
        ("malformed", b"\xc1"),
        ("malformed", encoded(Faces())[:-3]),
        ("malformed", b"\x91" * 200_000),
        ("malformed", b"\xdd\xff\xff\xff\xff\x01"),
        ("malformed", msgpack.packb([1, 2])),
        ("malformed", msgpack.packb({"type": "Frame/1"})),
        ("malformed", msgpack.packb([1, 0, 0, [], {"type": "Frame/1", "image": 3}])),
        ("version", msgpack.packb([2, 0, 0, [], {"type": "Frame/1"}])),
        ("version", msgpack.packb([2, "a", {}, [], {"type": "Frame/1"}])),
        ("wrong type", encoded(Faces())),
        ("wrong type", msgpack.packb([1, 0, 0, [], {"no": "type"}])),
        ("malformed", frame(dtype="O")),
        ("malformed", frame(dtype="V8")),
        ("malformed", frame(dtype="u1,u1")),
        ("malformed", frame(dtype="(9999999,)u1")),
        ("malformed", frame(shape=[1 << 60, 1 << 60])),
        ("malformed", frame(shape=[-1, -1, -3])),
        ("malformed", frame(shape=[1] * 40)),
        ("malformed", frame(shape=[2, 2, 3])),
        ("malformed", frame(data="abc")),
        ("malformed", frame(shape=[1, 3, 1])),
        ("too large", bytes(LARGEST_ARRAYS + 1)),
    ],
)
def test_what_is_wrong_is_refused_under_its_name(reason, data):
    with pytest.raises(WireError) as refused:
        Decoder(Frame)(data)
    assert refused.value.reason == reason


def test_a_message_without_arrays_may_not_be_as_large():
    with pytest.raises(WireError, match="too large"):
        Decoder(Faces)(bytes(LARGEST + 1))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else_happens(data):
    with pytest.raises(WireError):
        Decoder(Frame)(data)


@settings(deadline=None)
@given(st.data())
def test_damaged_messages_are_read_or_refused(data):
    good = encoded(Decision(rule="r", outcome="held", clauses=(Clause(text="a", verdict="true"),)))
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with suppress(WireError):
        assert isinstance(Decoder(Decision)(bytes(damaged)).body, Decision)


def test_a_handle_is_judged_anew_when_it_changes():
    read = Handles()
    good = {"slot": 1, "generation": 2, "dtype": "|u1", "shape": [1, 2, 3]}
    for form in (good, good | {"slot": 2}):
        assert read(form) == (form["slot"], 2, np.dtype("u1"), (1, 2, 3))
    assert read(good | {"dtype": "<f4"})[2] == np.dtype("<f4")
    assert read(good | {"shape": [6]})[3] == (6,)
    for wrong in ({"dtype": "O"}, {"shape": [-1]}, {"shape": None}, {"slot": True}, {"generation": -1}):
        with pytest.raises(WireError):
            read(good | wrong)
    assert read(good) == (1, 2, np.dtype("u1"), (1, 2, 3))


def test_an_array_of_another_form_is_refused_after_a_good_one():
    decode = Decoder(Frame)
    assert decode(frame()).body.image.shape == (1, 1, 3)
    for wrong in ({"shape": [3, 1, 1]}, {"dtype": "|i1"}, {"shape": [1, 3]}):
        with pytest.raises(WireError, match="must be a uint8 array of any x any x 3"):
            decode(frame(**wrong))
    assert decode(frame()).body.image.shape == (1, 1, 3)
