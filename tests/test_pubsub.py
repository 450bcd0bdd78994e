"""Publishers and subscribers over the real bus: order, loss, restarts, foreign and hostile peers."""

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgpack
import numpy as np
import pynng
import pytest

from tests.waiting import until
from zuluko.bus import clock, membarrier, poller, topics
from zuluko.bus.lane import INDEX_LENGTH, PAGE, RING
from zuluko.bus.lane_writer import Writer
from zuluko.bus.message import Array, Message, MessageError
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.wire import LARGEST, Hop, WireError
from zuluko.messages import Decision, Faces, Frame


@pytest.fixture(autouse=True)
def graph():
    topics.graph_dir("door")


@pytest.fixture(params=["lane", "nng"])
def way(request, monkeypatch):
    """Each promise holds on the express lane and, where there is none, over nng."""
    if request.param == "lane" and not membarrier.available():
        pytest.skip("this kernel has no membarrier(2)")
    if request.param == "nng":
        monkeypatch.setattr(membarrier, "available", lambda: False)
    return request.param


@pytest.fixture
def edge(way):
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


def test_what_a_full_queue_drops_is_counted(edge, way):
    publisher, subscriber = edge(Faces, keep=4)
    for stamp in range(50):
        publisher.send(Faces(stamp=stamp))
    seen = []
    until(lambda: seen.extend(iter(subscriber.receive, None)) or (seen and seen[-1].seq == 49))
    # nng cannot tell what was lost before the first message that it gives.
    assert subscriber.received + subscriber.lost["overrun"] == 50 - (0 if way == "lane" else seen[0].seq)
    assert [e.seq for e in seen] == sorted({e.seq for e in seen})


def test_of_a_latest_edge_the_newest_stays(edge):
    publisher, subscriber = edge(Faces, keep=1)
    for stamp in range(50):
        publisher.send(Faces(stamp=stamp))
    assert until(lambda: (e := subscriber.receive()) and e.seq == 49)


def test_a_slow_reader_of_pictures_counts_what_it_missed(edge, way):
    publisher, subscriber = edge(Frame, keep=64)
    for number in range(20):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1")))
    seen = []
    until(lambda: seen.extend(iter(subscriber.receive, None)) or (seen and seen[-1].seq == 19))
    assert all((e.body.image == e.seq).all() for e in seen)
    assert sum(subscriber.lost.values()) + len(seen) == 20
    assert subscriber.lost["overtaken"] == (16 if way == "lane" else 0)


def test_pictures_that_a_reader_keeps_stay_as_they_are(edge):
    publisher, subscriber = edge(Frame)
    kept = []
    for number in range(6):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1")))
        kept.append(subscriber.wait(5).body.image)
    for number in range(50):
        publisher.send(Frame(image=np.full((100, 100, 3), 100 + number, "u1")))
    assert [int(image[0, 0, 0]) for image in kept] == list(range(6))
    assert all((image == number).all() for number, image in enumerate(kept))


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
@pytest.mark.parametrize(
    "part", [lambda a: a, lambda a: a[:], lambda a: a.reshape(10, 10, 300).reshape(100, 100, 3)]
)
def test_the_array_that_a_published_one_is_a_view_of_cannot_be_written_either(part):
    publisher, subscriber = Publisher("door", "topic", Frame), Subscriber("door", "topic", Frame)
    memory = publisher.empty((100, 100, 3), np.dtype("u1"))
    memory[:] = 1
    publisher.send(Frame(image=part(memory)))
    view = subscriber.wait(5).body.image
    with pytest.raises(ValueError, match="read-only"):
        memory[:] = 2
    assert (view == 1).all()
    subscriber.close()
    publisher.close()


def test_a_picture_lasts_as_long_with_its_jpeg_as_alone(edge, way):
    publisher, subscriber = edge(Frame, keep=64)
    jpeg = np.zeros(20_000, "u1")
    for number in range(20):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1"), jpeg=jpeg))
    seen = []
    until(lambda: seen.extend(iter(subscriber.receive, None)) or (seen and seen[-1].seq == 19))
    assert all((e.body.image == e.seq).all() for e in seen)
    assert subscriber.lost["overtaken"] == (16 if way == "lane" else 0)


def test_when_readers_hold_every_slot_the_loss_is_told_at_both_ends(run_dir, monkeypatch):
    monkeypatch.setenv("ZULUKO_SLOTS", "8")
    publisher = Publisher("door", "topic", Frame)
    readers = [Subscriber("door", "topic", Frame) for _ in range(2)]
    until(lambda: all(reader.connected for reader in readers))
    kept = []
    for number in range(8):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1")))
        kept.append(readers[number % 2].wait(5).body.image)
        readers[1 - number % 2].receive()
        if number % 2:
            kept[-2:] = kept[-2:]
    publisher.send(Frame(image=np.full((100, 100, 3), 99, "u1")))
    if not publisher.lost:
        pytest.skip("the views did not hold every slot")
    assert publisher.lost["ring full"] == 1
    assert readers[0].receive() is None
    assert readers[0].lost["ring full"] == 1
    for end in (*readers, publisher):
        end.close()


def test_a_frame_that_is_being_made_has_its_readers_rehearse(monkeypatch, edge, way):
    """They go through the last message again; nothing is received, lost or held by it."""
    publisher, subscriber = edge(Frame)
    rehearsed = []
    decode = subscriber._decode
    monkeypatch.setattr(subscriber, "_decode", lambda data: rehearsed.append(data) or decode(data))
    for number in range(20):
        if (image := publisher.empty((480, 640, 3), np.dtype("u1"))) is None:
            image = np.empty((480, 640, 3), "u1")
        image[:] = number
        until(lambda: subscriber.wait(0) is None and (way == "nng" or len(rehearsed) >= 2 * number))
        publisher.send(Frame(stamp=number, image=image))
        del image
        got = subscriber.wait(5)
        assert (got.seq, int(got.body.image[0, 0, 0])) == (number, number)
        del got
    assert len(rehearsed) >= (39 if way == "lane" else 20)
    assert subscriber.received == 20
    assert not subscriber.lost
    if subscriber._reader:
        assert not any(subscriber._reader._leases)


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_rehearsal_with_a_frame_that_has_gone_is_no_loss(monkeypatch):
    monkeypatch.setenv("ZULUKO_SLOTS", "2")
    publisher, subscriber = Publisher("door", "few", Frame), Subscriber("door", "few", Frame)
    publisher.send(Frame(image=np.zeros((480, 640, 3), "u1")))
    assert subscriber.wait(5)
    taken = [publisher.empty((480, 640, 3), np.dtype("u1")) for _ in range(2)]
    assert all(array is not None for array in taken)
    subscriber._rehearse(subscriber._reader)
    assert not subscriber.lost
    subscriber.close()
    publisher.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_reader_with_one_lease_left_does_not_rehearse(monkeypatch):
    """It would copy a whole frame."""
    publisher, subscriber = Publisher("door", "topic", Frame), Subscriber("door", "topic", Frame)
    rehearsed = []
    monkeypatch.setattr(subscriber, "_rehearse", lambda reader: rehearsed.append(reader.spare))
    kept = []
    for number in range(7):
        publisher.send(Frame(image=np.full((100, 100, 3), number, "u1")))
        kept.append(subscriber.wait(5).body.image)
        filled = publisher.empty((100, 100, 3), np.dtype("u1"))
        subscriber.wait(0)
        assert filled is not None
        del filled
    assert rehearsed == [6, 5, 4, 3, 2, 1]
    del kept
    for end in (subscriber, publisher):
        end.close()


class Pair(Message, tag="Pair/1"):
    left: Annotated[np.ndarray, Array("u1", (None, None))]
    right: Annotated[np.ndarray, Array("u1", (None, None))]


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_message_of_two_arrays_is_lost_at_both_ends_when_one_slot_is_left(monkeypatch):
    monkeypatch.setenv("ZULUKO_SLOTS", "4")
    publisher, subscriber = Publisher("door", "pair", Pair), Subscriber("door", "pair", Pair)
    until(lambda: subscriber.connected)
    pair = Pair(left=np.full((200, 200), 1, "u1"), right=np.full((200, 200), 2, "u1"))
    publisher.send(pair)
    both = subscriber.wait(5).body
    publisher.send(pair)
    one = subscriber.wait(5).body.right
    publisher.send(pair)
    assert subscriber.receive() is None
    assert subscriber.lost == publisher.lost == {"ring full": 1}
    assert (both.left[0, 0], both.right[0, 0], one[0, 0]) == (1, 2, 2)
    del both, one
    for end in (subscriber, publisher):
        end.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_of_several_arrays_that_a_node_fills_only_the_first_wakes_its_readers():
    publisher, subscriber = Publisher("door", "topic", Frame), Subscriber("door", "topic", Frame)
    until(lambda: subscriber.connected and publisher.subscribers)
    for number in range(1, 4):
        filled = [publisher.empty((480, 640, 3), np.dtype("u1")) for _ in range(3)]
        assert subscriber._reader.warned == number
        publisher.send(Frame(image=filled[0]))
        del filled
    for end in (subscriber, publisher):
        end.close()


@pytest.mark.parametrize("act", ["send", "empty", "close"])
def test_a_closed_publisher_leaves_the_descriptors_of_others_alone(tmp_path, act):
    publisher, subscriber = Publisher("door", "topic", Frame), Subscriber("door", "topic", Frame)
    image = np.zeros((2, 2, 3), "u1")
    publisher.send(Frame(image=image))
    publisher.close()
    paths = [tmp_path / str(number) for number in range(12)]  # they get the numbers that the publisher had
    for path in paths:
        path.write_bytes(b"precious" * 20)
    fds = [os.open(path, os.O_RDWR) for path in paths]
    acts = {
        "send": lambda: publisher.send(Frame(image=image)),
        "empty": lambda: publisher.empty((480, 640, 3), np.dtype("u1")),
        "close": publisher.close,
    }
    with suppress(ValueError, OSError, pynng.Closed):
        acts[act]()
    assert {path.read_bytes() for path in paths} == {b"precious" * 20}
    assert [os.lseek(fd, 0, os.SEEK_CUR) for fd in fds] == [0] * 12
    for fd in fds:
        os.close(fd)
    subscriber.close()


def test_a_socket_whose_rights_change_is_not_dialled_anew(run_dir):
    """A foreign publisher has bound it, and goes on: to break off a dial that is under way may leave both deaf."""
    path = topics.graph_dir("door") / "topic"
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        subscriber = Subscriber("door", "topic", Faces)
        assert subscriber.receive() is None
        dialled, before = subscriber._socket, path.stat().st_ctime_ns
        until(lambda: path.chmod(0o600) or path.stat().st_ctime_ns != before)
        path.with_name("news").touch()
        assert subscriber.receive() is None
        assert subscriber._socket is dialled is not None
        subscriber.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_publisher_that_closes_late_leaves_what_its_successor_announces():
    first, second = Publisher("door", "topic", Faces), Publisher("door", "topic", Faces)
    first.close()
    subscriber = Subscriber("door", "topic", Faces)
    until(lambda: subscriber.connected and second.subscribers)
    second.send(Faces(stamp=5))
    assert subscriber.wait(5).body.stamp == 5
    for end in (subscriber, second):
        end.close()


@pytest.mark.parametrize("without", ["killed", "closed"])
def test_a_publisher_that_starts_again_over_nng_is_dialled_at_once(monkeypatch, run_dir, without):
    """And not when nng would dial again: for a publisher that is gone for good it does so ever more seldom."""
    monkeypatch.setattr(membarrier, "available", lambda: False)
    never = {"reconnect_time_min": 3_600_000, "reconnect_time_max": 3_600_000}  # ms
    monkeypatch.setattr("zuluko.bus.subscriber.REDIAL", never)
    path = run_dir / "door" / "topic"
    first = Publisher("door", "topic", Faces)
    subscriber = Subscriber("door", "topic", Faces)
    until(lambda: subscriber.connected and first.subscribers)
    kept = path.with_name("kept")
    os.link(path, kept)
    first.close()
    if without == "killed":
        kept.rename(path)
    until(lambda: not subscriber.connected)
    second = Publisher("door", "topic", Faces)
    until(lambda: subscriber.connected and second.subscribers)
    second.send(Faces(stamp=5))
    assert subscriber.wait(5).body.stamp == 5
    for end in (subscriber, second):
        end.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_what_came_over_nng_does_not_come_once_more_from_the_lane(monkeypatch):
    """As where the kernel tells nobody that a publisher has come, and nng's dialling finds it first."""
    monkeypatch.setattr(Poller, "_attend", lambda poller: setattr(poller, "_attends", False))
    monkeypatch.setattr(poller, "LOOK", 3600.0)
    process = subprocess.Popen([sys.executable, "-c", KILLED, "1"], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.communicate()
    ears = Poller("door")
    subscriber = Subscriber("door", "topic", Faces, poller=ears)
    publisher = Publisher("door", "topic", Faces)
    until(lambda: subscriber.connected and publisher.subscribers)
    for stamp in range(3):
        publisher.send(Faces(stamp=stamp))
    assert [until(subscriber.receive).seq for _ in range(3)] == [0, 1, 2]
    ears._next_look = 0
    subscriber.receive()
    assert subscriber._reader
    publisher.send(Faces(stamp=3))
    assert [envelope.seq for envelope in iter(subscriber.receive, None)] == [3]
    assert not subscriber.lost
    for end in (subscriber, publisher, ears):
        end.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_what_waits_from_a_foreign_publisher_is_read_before_the_lane_of_the_next_one(run_dir):
    subscriber = Subscriber("door", "topic", Faces)
    foreign = pynng.Pub0(listen=f"ipc://{run_dir}/door/topic")
    until(lambda: subscriber.connected and foreign.pipes)
    for stamp in range(2):
        foreign.send(msgpack.packb([1, stamp, 0, [], {"type": "Faces/1", "stamp": stamp}]))
    assert until(subscriber.receive).body.stamp == 0
    until(lambda: select.select([subscriber._socket.recv_fd], [], [], 0)[0])
    foreign.close()
    publisher = Publisher("door", "topic", Faces)
    publisher.send(Faces(stamp=100))
    assert [until(subscriber.receive).body.stamp for _ in range(2)] == [1, 100]
    assert not subscriber.lost
    for end in (subscriber, publisher):
        end.close()


def test_a_publisher_that_closes_late_leaves_its_successors_socket(way, run_dir):
    first, second = Publisher("door", "topic", Faces), Publisher("door", "topic", Faces)
    first.close()
    with pynng.Sub0(dial=f"ipc://{run_dir}/door/topic", recv_timeout=5000) as foreign:
        foreign.subscribe(b"")
        until(lambda: second.subscribers)
        second.send(Faces(stamp=3))
        assert msgpack.unpackb(foreign.recv())[4]["stamp"] == 3
    second.close()
    assert os.listdir(run_dir / "door") == []


@pytest.mark.parametrize("size", [100_000, 200_000, 900_000])
def test_a_message_too_long_for_the_ring_arrives(edge, size):
    publisher, subscriber = edge(Decision)
    publisher.send(Decision(rule="r" * size, outcome="fired"))
    assert subscriber.wait(5).body.rule == "r" * size


def test_a_subscriber_may_come_first_and_misses_nothing(way):
    subscriber = Subscriber("door", "topic", Faces)
    publisher = Publisher("door", "topic", Faces)
    if way == "nng":
        until(lambda: subscriber.connected and publisher.subscribers)
    for stamp in range(3):
        publisher.send(Faces(stamp=stamp))
    assert [subscriber.wait(5).seq for _ in range(3)] == [0, 1, 2]
    subscriber.close()
    publisher.close()


def test_a_subscriber_that_comes_later_does_not_hear_what_was(way):
    publisher = Publisher("door", "topic", Faces)
    publisher.send(Faces(stamp=1))
    subscriber = Subscriber("door", "topic", Faces)
    until(lambda: subscriber.connected and publisher.subscribers)
    publisher.send(Faces(stamp=2))
    assert subscriber.wait(5).body.stamp == 2
    assert not subscriber.lost
    subscriber.close()
    publisher.close()


def test_with_its_history_a_subscriber_begins_with_the_oldest_that_is_there(way):
    publisher = Publisher("door", "topic", Faces)
    for stamp in range(5):
        publisher.send(Faces(stamp=stamp))
    subscriber = Subscriber("door", "topic", Faces, history=True)
    until(lambda: subscriber.connected and publisher.subscribers)
    publisher.send(Faces(stamp=5))
    heard = [subscriber.wait(5).body.stamp]
    heard += [envelope.body.stamp for envelope in iter(subscriber.receive, None)]
    assert heard == ([0, 1, 2, 3, 4, 5] if way == "lane" else [5])
    assert not subscriber.lost
    subscriber.close()
    publisher.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
@pytest.mark.parametrize("size", [0, 400])
def test_of_a_history_that_was_overtaken_the_rest_is_there_and_nobody_is_rung_for(size):
    publisher = Publisher("door", "topic", Decision)
    count = 2 * INDEX_LENGTH + 7
    for _ in range(count):
        publisher.send(Decision(rule="r" * size, outcome="false"))
    looking = Subscriber("door", "topic", Decision, latched=True, history=True)
    assert publisher.subscribers == 0
    heard = [envelope.seq for envelope in iter(looking.receive, None)]
    assert heard == list(range(count - len(heard), count))
    assert RING / (size + 250) < len(heard) < RING / (size + 100)
    assert not looking.lost
    looking.close()
    publisher.close()


def test_a_subscriber_outlives_its_publisher(way):
    subscriber = Subscriber("door", "topic", Faces)
    for _ in range(3):
        publisher = Publisher("door", "topic", Faces)
        until(lambda: subscriber.connected and publisher.subscribers)
        publisher.send(Faces(stamp=9))
        assert (subscriber.wait(5).seq, subscriber.lost) == (0, {})
        publisher.close()
    subscriber.close()


KILLED = """
import sys, time
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.messages import Faces
publisher = Publisher("door", "topic", Faces)
publisher.send(Faces(stamp=int(sys.argv[1])))
print("up", flush=True)
while True:
    time.sleep(0.01)
    publisher.send(Faces(stamp=int(sys.argv[1])))
"""


def test_a_publisher_that_is_killed_and_starts_again_is_found():
    subscriber = Subscriber("door", "topic", Faces)
    for life in (1, 2, 3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(life)], stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            until(lambda: (e := subscriber.wait(5)) and e.body.stamp == life)
        finally:
            process.kill()
            process.communicate()
    assert not subscriber.lost["malformed"]
    subscriber.close()


def test_a_publisher_that_is_closed_in_a_child_goes_on_in_its_parent(run_dir):
    code = (
        "import os, sys\nfrom zuluko.bus.publisher import Publisher\nfrom zuluko.messages import Faces\n"
        "publisher = Publisher('door', 'topic', Faces)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    publisher.close()\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\nprint('up', flush=True)\nsys.stdin.read(1)\n"
        "publisher.send(Faces(stamp=5))\nprint('sent', flush=True)\nsys.stdin.read(1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    subscriber = Subscriber("door", "topic", Faces)
    assert sorted(entry.name for entry in (run_dir / "door").iterdir()) == ["topic", "topic.json"]
    until(lambda: subscriber.connected)
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert subscriber.wait(5).body.stamp == 5
    process.kill()
    process.communicate()
    subscriber.close()


def test_a_subscriber_that_is_killed_leaves_nothing(run_dir):
    code = (
        "import signal\nfrom zuluko.bus.subscriber import Subscriber\nfrom zuluko.messages import Faces\n"
        "subscriber = Subscriber('door', 'topic', Faces)\n"
        "print(subscriber.connected, flush=True)\nsignal.pause()"
    )
    publisher = Publisher("door", "topic", Faces)
    if not publisher._bell:
        pytest.skip("this kernel has no membarrier(2)")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"True\n"
    until(lambda: publisher.subscribers == 1)
    process.kill()
    process.communicate()
    until(lambda: publisher.send(Faces()) and publisher.subscribers == 0)
    assert sorted(entry.name for entry in (run_dir / "door").iterdir()) == ["topic", "topic.json"]
    publisher.close()


def test_a_stopped_subscriber_slows_nobody_and_wakes_to_the_newest():
    code = (
        "import sys\nfrom zuluko.bus.subscriber import Subscriber\nfrom zuluko.messages import Faces\n"
        "subscriber = Subscriber('door', 'topic', Faces, keep=1)\n"
        "print(subscriber.connected, flush=True)\n"
        "while (e := subscriber.wait()): print(e.body.stamp, flush=True)"
    )
    publisher = Publisher("door", "topic", Faces)
    neighbour = Subscriber("door", "topic", Faces, keep=100_000)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"True\n"
    until(lambda: publisher.subscribers == 2 and neighbour.connected)
    os.kill(process.pid, signal.SIGSTOP)
    for stamp in range(1000, 2000):
        publisher.send(Faces(stamp=stamp))
    got = [e.body.stamp for e in iter(neighbour.receive, None)]
    assert got == list(range(1000, 2000))
    os.kill(process.pid, signal.SIGCONT)
    assert int(process.stdout.readline()) == 1999
    process.kill()
    process.communicate()
    neighbour.close()
    publisher.close()


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
            msgpack.packb([1, 1, 0, [], {"type": "Faces/1", "stamp": 4}]),
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


PICTURE = Annotated[np.ndarray, Array("u1", (None,))] | None
NAMES = [f"picture{number}" for number in range(70)]
FIELDS = {"__annotations__": dict.fromkeys(NAMES, PICTURE), **dict.fromkeys(NAMES)}
Many = types.new_class("Many", (Message,), {"tag": "Many/1"}, lambda body: body.update(FIELDS))


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
@pytest.mark.parametrize(
    ("kind", "slots", "size"), [(Frame, "512", "1024"), (Frame, None, "1024"), (Many, None, None)]
)
def test_the_most_that_may_be_asked_for_is_a_lane(monkeypatch, kind, slots, size):
    for key, value in (("ZULUKO_SLOTS", slots), ("ZULUKO_SLOT_MB", size)):
        if value:
            monkeypatch.setenv(key, value)
    publisher, subscriber = Publisher("door", "topic", kind), Subscriber("door", "topic", kind)
    if not publisher._lane:
        pytest.skip("this machine has not the address space")
    assert subscriber._reader
    subscriber.close()
    publisher.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_pictures_too_large_for_nng_reach_the_lane_and_are_told(monkeypatch, run_dir):
    """Who connects there must not bring down a node that fares well without."""
    publisher, subscriber = Publisher("door", "topic", Frame), Subscriber("door", "topic", Frame)
    monkeypatch.setattr(publisher, "_largest", 100_000)
    with pynng.Sub0(dial=f"ipc://{run_dir}/door/topic", recv_timeout=5000) as foreign:
        foreign.subscribe(b"")
        until(lambda: publisher.subscribers == 2)
        for side in (300, 100, 300, 100):
            publisher.send(Frame(image=np.zeros((side, side, 3), "u1")))
        assert [subscriber.wait(5).seq for _ in range(4)] == [0, 1, 2, 3]
        assert [msgpack.unpackb(foreign.recv())[1] for _ in range(2)] == [1, 3]
    assert publisher.lost == {"too large": 2}
    assert not subscriber.lost
    subscriber.close()
    publisher.close()


def test_the_ring_is_as_large_as_the_environment_says(monkeypatch):
    monkeypatch.setenv("ZULUKO_SLOTS", "3")
    monkeypatch.setenv("ZULUKO_SLOT_MB", "2")
    publisher = Publisher("door", "topic", Frame)
    if not publisher._lane:
        pytest.skip("this kernel has no membarrier(2)")
    assert os.fstat(publisher._lane.fd).st_size < 12 << 20
    assert os.fstat(publisher._lane.fd).st_blocks * 512 < 100_000  # taken when it is first written
    with pytest.raises(WireError, match="a slot holds 2097152"):
        publisher.send(Frame(image=np.zeros((1000, 1000, 3), "u1")))
    publisher.close()
    monkeypatch.setenv("ZULUKO_SLOTS", "many")
    with pytest.raises(ValueError, match="ZULUKO_SLOTS=many: write a whole number from 2 to 512"):
        Publisher("door", "topic", Frame)


def test_without_a_lane_it_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(membarrier, "available", lambda: False)
    from zuluko.bus import publisher

    publisher._tell_of_copies.cache_clear()
    for topic in ("one", "two"):
        Publisher("door", topic, Faces).close()
    assert caplog.text.count("copied through sockets") == 1


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_publisher_without_room_for_a_lane_publishes_over_nng(caplog):
    """As under a limit on its address space: a lane has 256 MB of it, used or not."""
    before = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), limits[1]))
    try:
        with suppress(OSError):
            Writer("topic").close()
            pytest.skip("an emulator does not heed the limit")
        assert len(os.listdir("/proc/self/fd")) == before
        publisher, subscriber = Publisher("door", "topic", Faces), Subscriber("door", "topic", Faces)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert "topic has no express lane, and is copied through sockets: Cannot allocate memory" in caplog.text
    until(lambda: subscriber.connected and publisher.subscribers)
    publisher.send(Faces(stamp=5))
    assert subscriber.wait(5).body.stamp == 5
    subscriber.close()
    publisher.close()


def test_who_leaves_a_topic_is_woken_for_the_others_all_the_same():
    publishers = [Publisher("door", topic, Faces) for topic in ("one", "two")]
    poller = Poller("door")
    one, two = (Subscriber("door", topic, Faces, poller=poller) for topic in ("one", "two"))
    until(lambda: all(publisher.subscribers for publisher in publishers))
    one.close()
    publishers[0].send(Faces())
    publishers[1].send(Faces(stamp=1))
    assert two.wait(5).body.stamp == 1
    publishers[1].close()
    publishers[1] = Publisher("door", "two", Faces)
    until(lambda: two.connected and publishers[1].subscribers)
    publishers[1].send(Faces(stamp=2))
    assert two.wait(5).body.stamp == 2
    for end in (two, *publishers, poller):
        end.close()


def test_a_process_with_another_idea_of_the_time_hears_all_the_same(monkeypatch):
    publisher = Publisher("door", "topic", Faces)
    monkeypatch.setattr(clock, "_offset", clock._offset + 3600 * 10**9)  # the wall clock was set meanwhile
    subscriber = Subscriber("door", "topic", Faces)
    monkeypatch.setattr(clock, "_offset", clock._offset - 3600 * 10**9)
    until(lambda: subscriber.connected and publisher.subscribers)
    publisher.send(Faces(stamp=5))
    assert subscriber.wait(5).body.stamp == 5
    subscriber.close()
    publisher.close()


def test_what_was_said_before_the_first_look_is_counted_too(way):
    if way == "nng":
        pytest.skip("nng cannot tell what was lost before the first message")
    subscriber = Subscriber("door", "topic", Faces, keep=4)
    publisher = Publisher("door", "topic", Faces)
    for stamp in range(100):
        publisher.send(Faces(stamp=stamp))
    assert [subscriber.wait(5).body.stamp for _ in range(4)] == [96, 97, 98, 99]
    assert subscriber.lost == {"overrun": 96}
    subscriber.close()
    publisher.close()


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_what_was_said_before_the_first_look_is_counted_when_the_lane_holds_it_no_longer():
    subscriber = Subscriber("door", "topic", Faces)
    publisher = Publisher("door", "topic", Faces)
    count = 2 * INDEX_LENGTH + 7
    for stamp in range(count):
        publisher.send(Faces(stamp=stamp))
    heard = [envelope.seq for envelope in iter(subscriber.receive, None)]
    assert heard == list(range(count - 64, count))
    assert subscriber.lost == {"overrun": count - 64}
    subscriber.close()
    publisher.close()


@pytest.fixture
def starving(monkeypatch):
    """A publisher whose slots are held after its second message: all that follow are dropped."""
    if not membarrier.available():
        pytest.skip("this kernel has no membarrier(2)")
    monkeypatch.setenv("ZULUKO_SLOTS", "2")
    early, holder = (Subscriber("door", "topic", Frame) for _ in range(2))
    publisher = Publisher("door", "topic", Frame)
    envelopes = [publisher.send(Frame(image=np.zeros((100, 100, 3), "u1"))) for _ in range(2)]
    held = [holder.wait(5).body.image for _ in range(2)]
    envelopes += [publisher.send(Frame(image=np.zeros((100, 100, 3), "u1"))) for _ in range(7)]
    assert publisher.lost == {"ring full": 7}
    yield publisher, early, envelopes, held
    for end in (early, holder, publisher):
        end.close()


def test_messages_that_were_dropped_hide_none_that_came_before_them(starving):
    _, early, _, _ = starving
    assert [envelope.seq for envelope in iter(early.receive, None)] == [0, 1]
    assert early.lost == {"ring full": 7}


@pytest.mark.parametrize("since", range(4))
def test_who_begins_among_dropped_messages_begins_with_its_own(starving, since):
    publisher, _, envelopes, held = starving
    late = Subscriber("door", "topic", Frame)
    late._since = envelopes[since].sent
    assert late._first(late._reader) == (
        since if since < 2 else 9
    )  # what was dropped at the end tells no time
    held.clear()
    publisher.send(Frame(image=np.zeros((100, 100, 3), "u1")))
    assert late._first(late._reader) == min(since, 2)
    late._since = publisher.send(Frame(image=np.zeros((100, 100, 3), "u1"))).sent
    assert late._first(late._reader) == 10
    late.close()


def test_a_stray_without_a_number_hides_no_loss(run_dir):
    subscriber = Subscriber("door", "topic", Faces)
    with pynng.Pub0(listen=f"ipc://{run_dir}/door/topic") as foreign:
        until(lambda: subscriber.connected and foreign.pipes)
        for data in (0, b"stray", b"stray", 3, "bad", 5):
            if data == "bad":
                foreign.send(msgpack.packb([1, 4, 0, [], {"type": "Frame/1"}]))
            else:
                foreign.send(
                    data if isinstance(data, bytes) else msgpack.packb([1, data, 0, [], {"type": "Faces/1"}])
                )
        assert [subscriber.wait(5).seq for _ in range(3)] == [0, 3, 5]
    assert dict(subscriber.lost) == {"malformed": 2, "overrun": 2, "wrong type": 1}
    subscriber.close()


def test_a_foreign_publisher_is_found_after_one_of_ours_was_killed(run_dir):
    subscriber = Subscriber("door", "topic", Faces)
    process = subprocess.Popen([sys.executable, "-c", KILLED, "1"], stdout=subprocess.PIPE)
    process.stdout.readline()
    assert subscriber.wait(5)
    process.kill()
    process.communicate()
    (run_dir / "door" / "topic").unlink()
    with pynng.Pub0(listen=f"ipc://{run_dir}/door/topic") as foreign:
        until(lambda: subscriber.receive() is None and subscriber.connected and foreign.pipes)
        foreign.send(msgpack.packb([1, 0, 0, [], {"type": "Faces/1", "stamp": 77}]))
        until(lambda: (e := subscriber.wait(1)) and e.body.stamp == 77)
    subscriber.close()
