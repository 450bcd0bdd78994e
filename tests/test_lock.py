"""The lock node: what opens it, for how long, and that it is locked whatever happens."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from zuluko.actions import bolts
from zuluko.actions.bolts import SimulatedBolt, reading
from zuluko.actions.lock import TRIES, BoltError, drive, lock
from zuluko.bus.streams import Stream
from zuluko.messages import LockCommand, LockState

SECOND = 1_000_000_000
START = 1_700_000_000


def unlock(at: float, *, open_for: float = 3.0, id: str = "a") -> LockCommand:
    return LockCommand(stamp=ns(at), id=id, open_for=open_for, reason="unlock")


def ns(at: float) -> int:
    return round((START + at) * SECOND)


def end(at: float) -> LockCommand:
    """A command that does nothing but let time pass until then."""
    return LockCommand(stamp=ns(at), id="end", open_for=0.0)


class Late(Stream[LockCommand]):
    """Commands that come some seconds after their stamps."""

    def __init__(self, commands: list[tuple[float, LockCommand]]) -> None:
        super().__init__()
        self._late = iter(commands)

    def next(self, timeout: float | None = None) -> LockCommand | None:
        at, command = next(self._late, (0.0, None))
        self.now = ns(at) if command else self.now
        self.ended = command is None
        return command


def told(states: list[LockState]) -> list[tuple[float, str, str]]:
    """When, what and why, without heartbeats."""
    found: list[tuple[float, str, str]] = []
    for state in states:
        if not found or found[-1][1:] != (state.state, state.reason):
            found.append((round(state.stamp / SECOND - START, 3), state.state, state.reason))
    return found


def run(*commands: LockCommand, **options: Any) -> list[LockState]:
    return list(lock(Stream(commands), **options))


def test_it_starts_locked():
    state, heartbeat = run()
    assert heartbeat.stamp == SECOND  # a list that has ended lets one timeout pass
    assert (state.state, state.reason, state.until) == ("locked", "start", 0)


def test_it_opens_and_locks_again_by_itself():
    states = run(unlock(0), end(10))
    assert told(states)[1:] == [
        (0.0, "unlocked", "unlock"),
        (3.0, "locked", "time is up"),
        (10.0, "locked", "locked by command"),
    ]
    opened = states[1]
    assert (opened.stamp, opened.until, opened.command) == (ns(0), ns(3), "a")
    assert all((state.until == 0) == (state.state == "locked") for state in states)


def test_it_tells_how_it_is_once_a_second():
    states = run(unlock(0), end(5.5))
    stamps = [round(state.stamp / SECOND - START, 3) for state in states[1:]]
    assert stamps == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.5, 6.5]
    assert [state.state for state in states[1:]] == ["unlocked"] * 3 + ["locked"] * 5
    assert {state.command for state in states[1:-2]} == {"a"}


def test_a_second_command_prolongs_but_never_beyond_the_longest():
    states = run(unlock(0), unlock(2, id="b"), unlock(4, id="c"), end(20), max_open=6.0)
    assert told(states)[1:3] == [(0.0, "unlocked", "unlock"), (6.0, "locked", "time is up")]
    assert [round(state.until / SECOND - START) for state in states if state.command in "bc" and state.until][
        :2
    ] == [5, 5]


def test_a_shorter_second_command_takes_nothing_away():
    states = run(unlock(0, open_for=5.0), unlock(1, open_for=1.0), end(20))
    assert told(states)[2] == (5.0, "locked", "time is up")


def test_no_command_opens_for_longer_than_the_longest():
    assert told(run(unlock(0, open_for=math.inf), end(100), max_open=4.0))[2] == (4.0, "locked", "time is up")


def test_after_it_has_locked_it_opens_anew():
    states = run(unlock(0), unlock(5), end(20), max_open=3.0)
    assert [state[:2] for state in told(states)[1:5]] == [
        *((0.0, "unlocked"), (3.0, "locked"), (5.0, "unlocked"), (8.0, "locked"))
    ]


def test_zero_locks_at_once():
    states = run(unlock(0), LockCommand(stamp=ns(1), id="z", open_for=0.0, reason="guard"), end(9))
    assert told(states)[1:3] == [(0.0, "unlocked", "unlock"), (1.0, "locked", "guard")]


def test_old_evidence_is_refused():
    states = list(lock(Late([(0.73, unlock(0))]), max_evidence_age=0.5))
    assert (states[1].state, states[1].command) == ("locked", "a")
    assert states[1].reason == "refused: the evidence is 0.73 s old, at most 0.5 s"
    assert states[1].stamp == ns(0.73)
    assert [state.state for state in lock(Late([(0.5, unlock(0))]))] == ["locked", "unlocked", "locked"]


def test_evidence_from_the_future_is_refused():
    states = list(lock(Late([(0.0, unlock(0.2))])))
    assert [state.state for state in states] == ["locked", "locked"]
    assert states[1].reason == "refused: the evidence is 0.2 s from the future"


@pytest.mark.parametrize("open_for", [-1.0, math.nan, -math.inf])
def test_nonsense_is_refused(open_for):
    states = run(unlock(0, open_for=open_for), end(1))
    assert {state.state for state in states} == {"locked"}
    assert states[1].reason.startswith("refused: open_for must be 0 s or more, not ")


def test_to_lock_needs_no_fresh_evidence():
    states = list(lock(Late([(0.0, unlock(0)), (2.0, end(0))])))
    assert [state.state for state in states] == ["locked", "unlocked", "locked"]


def test_a_refusal_does_not_prolong_what_is_open():
    states = list(lock(Late([(0.0, unlock(0)), (2.0, unlock(0, id="b")), (3.0, unlock(0, id="c"))])))
    assert [(state.state, state.reason[:7]) for state in states] == [
        ("locked", "start"),
        ("unlocked", "unlock"),
        ("unlocked", "refused"),
        ("unlocked", "refused"),
        ("locked", "time is"),
    ]


# -- the end


def test_it_locks_when_it_is_told_to_stop(tmp_path):
    path = tmp_path / "bolt"
    states = list(lock(Late([(0.0, unlock(0))]), driver=f"simulated:{path}"))
    assert [state.state for state in states] == ["locked", "unlocked", "locked"]
    assert states[-1].reason == "the lock was told to stop"
    assert reading(path) == "locked"


def test_it_locks_when_it_is_closed_or_whoever_reads_it_fails(tmp_path):
    path = tmp_path / "bolt"
    for leave in (lambda node: node.close(), throw):
        node = lock(Stream([unlock(0), end(9)]), driver=f"simulated:{path}")
        assert [next(node).state, next(node).state] == ["locked", "unlocked"]
        assert reading(path) == "unlocked"
        leave(node)
        assert reading(path) == "locked"


def throw(node: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        node.throw(ZeroDivisionError())


def test_it_locks_when_its_commands_fail(tmp_path):
    path = tmp_path / "bolt"

    def commands() -> Iterator[LockCommand]:
        yield unlock(0)
        raise ConnectionError

    node = lock(Stream(commands()), driver=f"simulated:{path}")
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    with pytest.raises(ConnectionError):
        next(node)
    assert reading(path) == "locked"


@pytest.mark.parametrize("limit", ["max_open", "max_evidence_age"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_limits_that_limit_nothing_are_refused_before_anything_moves(limit, value, monkeypatch):
    made: list[str] = []
    monkeypatch.setitem(bolts.DRIVERS, "simulated", made.append)
    with pytest.raises(ValueError, match=f"`{limit}` must be a time longer than 0 s, not "):
        run(unlock(0), **{limit: value})
    assert made == []
    with pytest.raises(ValueError, match=f"`{limit}` must be"):
        next(drive(Stream([unlock(0)]), SimulatedBolt(fail_on={"lock": 9}), **{limit: value}))


def test_an_unknown_driver_is_an_error():
    with pytest.raises(ValueError, match="there is no lock driver `gpio`"):
        run(driver="gpio")


# -- a bad bolt


def with_bolt(bolt: SimulatedBolt, *commands: LockCommand) -> list[LockState]:
    return list(drive(Stream(commands), bolt))


def test_a_bolt_that_does_not_lock_is_told_and_driven_again():
    bolt = SimulatedBolt()
    node = drive(Stream([unlock(0), end(9)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    bolt.jam_on["lock"] = 2
    states = [state for state in node if state.reason.startswith("time is up")]
    assert told(states) == [
        (3.0, "unlocked", "time is up, but it did not lock: the bolt did not move"),
        (3.4, "locked", "time is up"),
    ]


def test_a_bolt_that_never_locks_ends_the_node():
    bolt = SimulatedBolt()
    node = drive(Stream([unlock(0), end(9)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    bolt.fail_on["lock"] = 100
    states: list[LockState] = []
    with pytest.raises(BoltError, match="did not lock"):
        states.extend(node)
    assert [state.state for state in states] == ["unlocked"] * (2 + TRIES)
    assert bolt.fail_on["lock"] == 100 - 2 * TRIES  # and as often again on the way out
    assert bolt.is_locked  # nobody holds it any more


def test_locked_is_never_claimed_of_a_bolt_that_cannot_be_read():
    states = with_bolt(SimulatedBolt(fail_on={"read": 2}), end(3))
    assert (states[0].state, states[0].reason) == (
        "unlocked",
        "start, but it did not lock: the simulated bolt was told to fail on read",
    )
    assert states[-1].state == "locked"


class Level(SimulatedBolt):
    """A pin that keeps its level when it is given back, driven by a library with errors of its own."""

    broken = 0

    def lock(self) -> None:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("Failed to add edge detection")
        super().lock()

    def unlock(self) -> None:
        super().unlock()
        if self.broken:
            self.broken -= 1
            raise RuntimeError

    def close(self) -> None:
        pass


def test_whatever_error_a_driver_raises_the_bolt_is_driven_again():
    bolt = Level()
    node = drive(Stream([unlock(0), end(9)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    bolt.broken = 2
    states = [state for state in node if state.reason.startswith("time is up")]
    assert told(states) == [
        (3.0, "unlocked", "time is up, but it did not lock: Failed to add edge detection"),
        (3.4, "locked", "time is up"),
    ]


def test_whatever_error_a_driver_raises_the_bolt_is_locked_at_the_end():
    bolt = Level()
    node: Any = drive(Stream([unlock(0), end(9)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    bolt.broken = TRIES - 1
    node.close()
    assert bolt.is_locked


def test_an_error_without_words_is_told_by_its_name():
    bolt = Level()
    node: Any = drive(Stream([unlock(0), end(9)]), bolt)
    assert next(node).state == "locked"
    bolt.broken = 1
    state = next(node)
    assert (state.state, state.reason) == ("locked", "did not unlock: RuntimeError")
    node.close()


def test_a_bolt_that_does_not_open_is_told():
    states = with_bolt(SimulatedBolt(jam_on={"unlock": 1}), unlock(0), unlock(1, id="b"), end(9))
    assert told(states)[1:3] == [
        (0.0, "locked", "did not unlock: the bolt did not move"),
        (1.0, "unlocked", "unlock"),
    ]


def test_a_bolt_that_never_opens_ends_the_node():
    commands = [unlock(n) for n in range(TRIES + 3)]
    with pytest.raises(
        BoltError, match=f"did not unlock, {TRIES} times in a row: the simulated bolt was told"
    ):
        with_bolt(SimulatedBolt(fail_on={"unlock": 100}), *commands)


def test_a_bolt_that_somebody_opened_is_locked_again():
    bolt = SimulatedBolt()
    node: Any = drive(Stream([end(0), end(5)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "locked"]
    bolt.unlock()
    assert next(node).state == "locked"
    assert bolt.is_locked
    node.close()


def test_a_bolt_that_fell_shut_is_told():
    bolt = SimulatedBolt()
    node: Any = drive(Stream([unlock(0, open_for=20), end(50)]), bolt)
    assert [next(node).state, next(node).state] == ["locked", "unlocked"]
    bolt.lock()
    state = next(node)
    assert (state.state, state.reason, state.until) == ("locked", "the bolt fell shut", 0)
    node.close()
