"""Who is woken goes first, unless that costs the waker its turn."""

import os

import pytest

from zuluko.bus import handoff
from zuluko.bus.handoff import LONG, REST, Handoff


@pytest.fixture
def yields(monkeypatch):
    """A clock that only yields move on; the moments of the yields, and how long the next ones take."""
    now, moments, lasting = [0], [], [0]

    def sched_yield():
        moments.append(now[0])
        now[0] += lasting[0]

    monkeypatch.setattr(handoff.time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(os, "sched_yield", sched_yield)
    return now, moments, lasting


def test_a_quick_yield_is_made_each_time(yields):
    _, moments, lasting = yields
    lasting[0], hand_off = LONG, Handoff()
    for _ in range(5):
        hand_off()
    assert moments == [LONG * number for number in range(5)]


def test_after_one_that_took_long_there_is_none_for_a_while(yields):
    now, moments, lasting = yields
    lasting[0], hand_off = LONG + 1, Handoff()
    for _ in range(5):
        hand_off()
    assert moments == [0]
    now[0] = REST
    hand_off()
    hand_off()
    assert moments == [0, REST]
