"""Streams over lists: the same nodes run in a test, with time from the stamps."""

from collections.abc import Iterator

from zuluko import Latest, Message, Stream

SECOND = 1_000_000_000


class Step(Message, tag="Step/1"):
    n: int


def doubled(steps: Stream[Step]) -> Iterator[Step]:
    for step in steps:
        yield Step(stamp=step.stamp, n=step.n * 2)


def test_a_list_is_a_stream():
    assert [step.n for step in doubled([Step(n=1), Step(n=2)])] == [2, 4]
    assert [step.n for step in doubled(Stream([Step(n=1), Step(n=2)]))] == [2, 4]


def test_time_is_what_the_stamps_say():
    stream = Stream([Step(stamp=1 * SECOND, n=1), Step(stamp=4 * SECOND, n=2)], topic="steps")
    assert stream.next(timeout=0.5).n == 1
    assert (stream.now, stream.seq, stream.topic) == (1 * SECOND, 0, "steps")
    assert stream.next(timeout=2.0) is None
    assert stream.now == 3 * SECOND
    assert not stream.ended
    assert stream.next(timeout=2.0).n == 2
    assert stream.now == 4 * SECOND


def test_the_end_is_told_apart_from_a_timeout():
    stream = Stream([Step(stamp=SECOND, n=1)])
    assert stream.next().n == 1
    assert not stream.ended
    assert stream.next() is None
    assert stream.ended


def test_an_older_stamp_does_not_turn_time_back():
    stream = Stream([Step(stamp=5 * SECOND, n=1), Step(stamp=2 * SECOND, n=2)])
    list(stream)
    assert stream.now == 5 * SECOND


def test_latest_counts_its_age_from_the_driver():
    stream = Stream([Step(stamp=5 * SECOND, n=1)])
    latest = Latest(Step(stamp=3 * SECOND, n=0), driver=stream)
    stream.next()
    assert latest.age == 2.0
    latest.value = Step(stamp=4 * SECOND, n=1)
    assert (latest.value.n, latest.age) == (1, 1.0)
    assert Latest().age == float("inf")


def test_a_node_that_polls_a_list_goes_on():
    stream = Stream([Step(stamp=SECOND, n=1), Step(stamp=2 * SECOND, n=2)])
    assert stream.next().stamp == SECOND
    polled = [stream.next(timeout=timeout) for timeout in [0, -1, 1e-9] * 4]
    assert polled[:10] == [None] * 10
    assert polled[10].stamp == 2 * SECOND
    assert polled[11] is None
    assert stream.ended
    assert stream.now == 2 * SECOND + 1


def test_a_short_wait_between_polls_is_a_wait():
    stream = Stream([Step(stamp=SECOND, n=1), Step(stamp=2 * SECOND, n=2)])
    stream.next()
    for _ in range(30):
        assert stream.next(timeout=0) is None
        assert stream.next(timeout=0.01) is None
    assert stream.now == SECOND + 30 * SECOND // 100
