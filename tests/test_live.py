"""Live streams over the real bus: merging, timers, timeouts, the latest value, and the end."""

import threading
from itertools import pairwise

import pytest

from tests.waiting import until
from zuluko import Message
from zuluko.bus import clock, topics
from zuluko.bus.live import LiveLatest, LiveStream, LiveSynced, Timer, Waker
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.bus.synced import MOST_WAITING


class A(Message, tag="A/1"):
    n: int = 0


class B(Message, tag="B/1"):
    n: int = 0


@pytest.fixture
def poller():
    topics.graph_dir("g")
    poller = Poller("g")
    yield poller
    poller.close()


@pytest.fixture
def bus(poller):
    """Publishers of A and B, and subscribers to them that are connected."""
    publishers = [Publisher("g", "a", A), Publisher("g", "b", B)]
    subscribers = [Subscriber("g", "a", A, poller=poller), Subscriber("g", "b", B, poller=poller)]
    until(lambda: all(p.subscribers for p in publishers) and all(s.connected for s in subscribers))
    yield (*publishers, *subscribers)
    for end in (*subscribers, *publishers):
        end.close()


def waiting(stream, count):
    """Waits until so many messages have arrived and none was taken."""
    until(lambda: stream._look() or len(stream._pending) == count)


def test_topics_merge_in_the_order_of_their_stamps(bus, poller):
    a, b, sub_a, sub_b = bus
    stream = LiveStream([sub_a, sub_b], Waker(), poller)
    b.send(B(stamp=20))
    a.send(A(stamp=10))
    a.send(A(stamp=30))
    waiting(stream, 2)
    taken = [(stream.next().stamp, stream.topic, stream.seq) for _ in range(3)]
    assert taken == [(10, "a", 0), (20, "b", 0), (30, "a", 1)]


def test_the_cause_grows_by_the_message_taken(bus, poller):
    a, _, sub_a, _ = bus
    stream = LiveStream([sub_a], Waker(), poller)
    a.send(A(stamp=10))
    stream.next()
    (hop,) = stream.cause
    assert (hop.topic, hop.seq, hop.stamp) == ("a", 0, 10)
    assert stream.next(timeout=0) is None
    assert stream.cause == ()


def test_a_timeout_returns_none_and_time_goes_on(bus, poller):
    _, _, sub_a, _ = bus
    stream = LiveStream([sub_a], Waker(), poller)
    before = clock.now()
    assert stream.next(timeout=0.02) is None
    assert stream.now >= before + 20_000_000
    assert not stream.ended


def test_stop_ends_a_stream_that_waits(bus, poller):
    _, _, sub_a, _ = bus
    waker = Waker()
    stream = LiveStream([sub_a], waker, poller)
    threading.Timer(0.05, waker.stop).start()
    assert list(stream) == []
    assert stream.ended


def test_what_waits_in_vain_for_its_pair_is_counted_at_its_edge(bus, poller):
    a, _, sub_a, sub_b = bus
    waker = Waker()
    pairs = LiveSynced(LiveStream([sub_a, sub_b], waker, poller), [sub_a, sub_b], tolerance=0.01)
    thread = threading.Thread(target=list, args=(pairs,))
    thread.start()
    for number in range(MOST_WAITING + 44):
        a.send(A(stamp=number))
        if number % 50 == 49:  # of the 64 that the edge keeps
            until(lambda: sub_a.received == a.seq)
    until(lambda: sub_a.lost == {"overrun": 44})
    assert not sub_b.lost
    waker.stop()
    thread.join()


def test_latest_gives_the_newest_and_its_age(bus, poller):
    a, b, sub_a, _ = bus
    stream = LiveStream([sub_a], Waker(), poller)
    now = clock.now()
    b.send(B(stamp=now - 2_000_000_000, n=0))
    latest = LiveLatest(Subscriber("g", "b", B, keep=1, poller=poller, latched=True), stream)
    until(lambda: latest.value and latest.value.n == 0)  # it was said before anybody asked
    b.send(B(stamp=now - 1_000_000_000, n=1))
    b.send(B(stamp=now - 500_000_000, n=2))
    assert latest.value.n == 2
    a.send(A(stamp=now))
    stream.next()
    assert 0.5 <= latest.age < 30


def test_ticks_come_in_their_rhythm(poller):
    stream = LiveStream([Timer(0.01)], Waker(), poller)
    ticks = [stream.next() for _ in range(4)]
    assert all(one.count < another.count for one, another in pairwise(ticks))
    assert {(tick.stamp - ticks[0].stamp) - (tick.count - ticks[0].count) * 10_000_000 for tick in ticks} == {
        0
    }


def test_ticks_do_not_pile_up(monkeypatch):
    now = [1_000_000_000]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    timer = Timer(0.01)
    assert timer.receive() is None
    counts = []
    for later in (10, 56, 1, 3, 10):  # ms
        now[0] += later * 1_000_000
        tick = timer.receive()
        counts.append(tick and tick.body.count)
        assert timer.receive() is None
    assert counts == [1, 6, None, 7, 8]


def test_a_stream_without_messages_does_not_spin(bus, poller):
    _, _, sub_a, _ = bus
    turns = []
    stream = LiveStream([sub_a], Waker(), poller)
    wait = stream._wait
    stream._wait = lambda until: (turns.append(1), wait(until))
    stream.next(timeout=0.1)
    assert len(turns) <= 5
