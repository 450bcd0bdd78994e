"""Pairs nearest in stamp: over lists, against a slow and obvious search, and in a running graph."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.running import up, write
from zuluko import Message, Synced
from zuluko.bus.synced import MOST_BYTES, MOST_WAITING, Pairing
from zuluko.messages import Frame

MS = 1_000_000


class Left(Message, tag="Left/1"):
    pass


class Right(Message, tag="Right/1"):
    pass


def pairs(lefts, rights, tolerance=0.01):
    synced = Synced(
        [Left(stamp=s * MS) for s in lefts], [Right(stamp=s * MS) for s in rights], tolerance=tolerance
    )
    return [(left.stamp // MS, right.stamp // MS) for left, right in synced]


def obvious(lefts, rights, tolerance):
    """Each the other's nearest, the earlier of two that are as near, and near enough."""

    def nearest(stamp, others):
        return min(others, key=lambda other: (abs(other - stamp), other))

    return [
        (a, b)
        for a in lefts
        for b in rights
        if abs(a - b) <= tolerance and nearest(a, rights) == b and nearest(b, lefts) == a
    ]


@pytest.mark.parametrize(
    ("lefts", "rights", "expected"),
    [
        ([0, 10, 20], [1, 11, 21], [(0, 1), (10, 11), (20, 21)]),
        ([0, 10, 20], [9], [(10, 9)]),
        ([0], [8, 9], [(0, 8)]),
        ([0, 100], [50], []),
        ([], [1, 2], []),
        ([0, 10], [0, 10], [(0, 0), (10, 10)]),
    ],
)
def test_pairs_are_each_others_nearest(lefts, rights, expected):
    assert pairs(lefts, rights) == expected


stamps = st.lists(st.integers(0, 300), unique=True, max_size=25).map(sorted)


@given(stamps, stamps, st.integers(0, 60))
def test_no_pair_is_wrong_and_whoever_is_each_others_nearest_is_found(lefts, rights, tolerance):
    found = pairs(lefts, rights, tolerance / 1000)
    assert set(obvious(lefts, rights, tolerance)) <= set(found)
    assert all(abs(a - b) <= tolerance for a, b in found)
    assert len({a for a, _ in found}) == len({b for _, b in found}) == len(found)


@given(stamps, stamps, st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(lefts, rights, tolerance, chance):
    sides = [[Left(stamp=s * MS) for s in lefts], [Right(stamp=s * MS) for s in rights]]
    pairing: Pairing = Pairing(tolerance / 1000)
    found = []
    while sides[0] or sides[1]:
        side = chance.choice([side for side in (0, 1) if sides[side]])
        pairing.add(side, sides[side].pop(0))
        while pair := pairing.pop():
            found.append(pair)
    pairing.end()
    while pair := pairing.pop():
        found.append(pair)
    assert [(a.stamp // MS, b.stamp // MS) for a, b in found] == pairs(lefts, rights, tolerance / 1000)
    assert len(found) + pairing.unpaired[0] + len(pairing._waiting[0]) == len(lefts)


def test_what_waits_is_bounded_and_what_is_late_is_counted():
    pairing: Pairing = Pairing()
    for stamp in range(1000):
        pairing.add(0, Left(stamp=stamp * 1000 * MS))
    assert pairing.unpaired == [1000 - MOST_WAITING, 0]
    assert pairing.lost == ({"overrun": 1000 - MOST_WAITING}, {})
    pairing.add(0, Left(stamp=0))
    assert pairing.unpaired == [1001 - MOST_WAITING, 0]


def test_pictures_that_wait_are_bounded_by_their_bytes():
    """With one camera of two dead, 256 pictures of the other would be more than a small board has."""
    pairing: Pairing = Pairing()
    image = np.zeros((1080, 1920, 3), "u1")
    room = MOST_BYTES // image.nbytes
    for number in range(20):
        pairing.add(0, Frame(stamp=number * 33 * MS, image=image))
    assert pairing.unpaired == [20 - room, 0]
    pairing.add(1, Frame(stamp=(20 - room) * 33 * MS, image=image))
    left, right = pairing.pop()
    assert left.stamp == right.stamp
    pairing.add(0, Frame(stamp=20 * 33 * MS, image=image))
    pairing.add(1, Frame(stamp=20 * 33 * MS, image=image))
    assert pairing.pop()[0].stamp == 20 * 33 * MS
    assert pairing.unpaired == [19, 0]
    pairing.add(0, Frame(stamp=21 * 33 * MS, image=np.zeros((1, MOST_BYTES, 3), "u1")))  # alone it may
    pairing.add(1, Frame(stamp=21 * 33 * MS, image=image))
    assert pairing.pop()[0].stamp == 21 * 33 * MS
    assert pairing._held == [0, 0]


def test_in_a_running_graph(tmp_path):
    text = """
nodes:
  left: {run: "NODES:numbered", limit: 20}
  right: {run: "NODES:numbered", start: 2, limit: 20}
  paired: {run: "NODES:paired", in: {pairs: {sync: [left, right], within: 3ms}}}
"""
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 0
    assert graph.summary["messages"]["paired"] == 20
    assert graph.told("paired", "unpaired (0, 0)")


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("left", "takes pairs; write {sync: [first, second], within: 20ms}"),
        ("[left]", "takes pairs"),
        ("[left, left]", "cannot be paired with itself"),
        ("{sync: [left, right], within: 5}", "a duration needs its unit"),
        ("[left, nobody]", "no node publishes `nobody`"),
    ],
)
def test_what_is_said_of_wrong_pairs(tmp_path, heard, said):
    from zuluko.document import DocumentError
    from zuluko.launch import launchfile

    text = f"""
nodes:
  left: {{run: "NODES:numbered"}}
  right: {{run: "NODES:numbered"}}
  paired: {{run: "NODES:paired", in: {{pairs: {heard}}}}}
"""
    file = write(tmp_path, text)
    with pytest.raises(DocumentError, match="4:|5:") as wrong:
        launchfile.load(Path(file))
    assert said in str(wrong.value)
