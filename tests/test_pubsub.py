"""Publishers and subscribers over the real bus: order, loss, restarts, foreign and hostile peers."""

import os

import msgpack
import numpy as np
import pynng
import pytest

from tests.waiting import until
from zuluko.bus import topics
from zuluko.bus.message import MessageError
from zuluko.bus.pubsub import Publisher, Subscriber
from zuluko.bus.wire import LARGEST, Hop, WireError
from zuluko.messages import Decision, Faces, Frame


@pytest.fixture(autouse=True)
def graph():
    topics.graph_dir("door")


@pytest.fixture
def edge():
    """Makes connected pairs, and closes them."""
    made = []

    def make(kind, keep=64):
        publisher, subscriber = Publisher("door", "topic", kind), Subscriber("door", "topic", kind, keep=keep)
        made.extend((subscriber, publisher))
        until(lambda: publisher.subscribers and subscriber.connected)
        return publisher, subscriber

    yield make
    for end in made:
        end.close()


def test_messages_arrive_in_order_with_their_cause(edge):
    publisher, subscriber = edge(Faces)
    for stamp in range(5):
        publisher.send(Faces(stamp=stamp), (Hop("camera", stamp, stamp, 0),))
    got = [subscriber.wait(5) for _ in range(5)]
    assert [(e.seq, e.body.stamp, e.cause[0].seq) for e in got] == [(n, n, n) for n in range(5)]
    assert subscriber.receive() is None
    assert not subscriber.lost


def test_pictures_arrive_whole(edge):
    publisher, subscriber = edge(Frame)
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), "u1")
    publisher.send(Frame(image=image, scene="owner"))
    got = subscriber.wait(5).body
    assert np.array_equal(got.image, image)
    assert got.scene == "owner"


def test_what_a_full_queue_drops_is_counted(edge):
    publisher, subscriber = edge(Faces, keep=4)
    for stamp in range(50):
        publisher.send(Faces(stamp=stamp))
    seen = []
    until(lambda: seen.extend(iter(subscriber.receive, None)) or (seen and seen[-1].seq == 49))
    assert subscriber.received + subscriber.lost["overrun"] == 50 - seen[0].seq
    assert [e.seq for e in seen] == sorted({e.seq for e in seen})


def test_of_a_latest_edge_the_newest_stays(edge):
    publisher, subscriber = edge(Faces, keep=1)
    for stamp in range(50):
        publisher.send(Faces(stamp=stamp))
    assert until(lambda: (e := subscriber.receive()) and e.seq == 49)


def test_a_slow_reader_of_pictures_counts_the_overtaken(edge):
    publisher, subscriber = edge(Frame, keep=64)
    for number in range(20):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1")))
    seen = []
    until(lambda: seen.extend(iter(subscriber.receive, None)) or (seen and seen[-1].seq == 19))
    assert all((e.body.image == e.seq).all() for e in seen)
    assert subscriber.lost["overtaken"] + subscriber.lost["overrun"] + len(seen) >= 19
    assert subscriber.lost["overtaken"]


def test_a_subscriber_may_come_first_and_outlives_its_publisher():
    subscriber = Subscriber("door", "topic", Faces)
    first = Publisher("door", "topic", Faces)
    until(lambda: first.subscribers)
    for stamp in range(3):
        first.send(Faces(stamp=stamp))
    assert [subscriber.wait(5).seq for _ in range(3)] == [0, 1, 2]
    first.close()
    second = Publisher("door", "topic", Faces)
    until(lambda: second.subscribers)
    second.send(Faces(stamp=9))
    assert (subscriber.wait(5).seq, subscriber.lost) == (0, {})
    subscriber.close()
    second.close()


def test_a_killed_publishers_socket_is_no_obstacle(run_dir):
    (run_dir / "door" / "topic").write_text("left behind")
    publisher = Publisher("door", "topic", Faces)
    assert (run_dir / "door" / "topic").is_socket()
    publisher.close()
    assert os.listdir(run_dir / "door") == []


def test_only_the_owner_may_connect(edge, run_dir):
    edge(Faces)
    assert (run_dir / "door" / "topic").stat().st_mode & 0o077 == 0
    assert run_dir.stat().st_mode & 0o077 == 0


def test_a_plain_nng_subscriber_with_plain_msgpack_reads_it(edge, run_dir):
    publisher, _ = edge(Faces)
    with pynng.Sub0(dial=f"ipc://{run_dir}/door/topic", recv_timeout=5000) as foreign:
        foreign.subscribe(b"")
        until(lambda: publisher.subscribers == 2)
        publisher.send(Faces(stamp=3, size=(4, 5)))
        assert msgpack.unpackb(foreign.recv())[4] == {
            "type": "Faces/1",
            "stamp": 3,
            "items": [],
            "size": [4, 5],
        }


def test_hostile_messages_are_counted_and_dropped(run_dir):
    subscriber = Subscriber("door", "topic", Faces)
    with pynng.Pub0(listen=f"ipc://{run_dir}/door/topic") as foreign:
        until(lambda: subscriber.connected)
        for data in (
            b"\xff" * 50,
            b"\x95\x01",
            msgpack.packb([1, 0, 0, [], {"type": "Frame/1"}]),
            msgpack.packb([3, 0, 0, [], {}]),
            msgpack.packb([1, 8, 0, [], {"type": "Faces/1", "stamp": 4}]),
        ):
            foreign.send(data)
        assert subscriber.wait(5).body.stamp == 4
    assert dict(subscriber.lost) == {"malformed": 2, "wrong type": 1, "version": 1}
    subscriber.close()


def test_a_message_that_is_not_its_type_does_not_leave(edge):
    publisher, _ = edge(Frame)
    with pytest.raises(MessageError, match=r"Frame\.image"):
        publisher.send(Frame(image=np.zeros((4, 4), "u1")))


def test_a_message_too_large_does_not_leave(edge):
    publisher, _ = edge(Decision)
    with pytest.raises(WireError, match=f"at most {LARGEST}"):
        publisher.send(Decision(rule="r" * LARGEST, outcome="fired"))
