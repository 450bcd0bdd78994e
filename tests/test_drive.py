"""The drive node: what moves it, how fast, and that it stands whatever happens."""

import math
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.running import up, write, zuluko
from tests.waiting import until
from zuluko.actions.drive import GIVE_UP, TRIES, Limits, WheelsError, drive, steer
from zuluko.actions.wheels import STILL, Pose, SimulatedWheels, Speed, advanced, reading
from zuluko.bus.streams import Stream
from zuluko.messages import DriveCommand, DriveState

SECOND = 1_000_000_000
START = 1_700_000_000
QUICK = Limits(acceleration=(1000.0, 1000.0), braking=(1000.0, 1000.0))


def ns(at: float) -> int:
    return round((START + at) * SECOND)


def go(at: float, linear: float = 0.4, angular: float = 0.0, *, id: str = "a") -> DriveCommand:
    return DriveCommand(stamp=ns(at), id=id, linear=linear, angular=angular, reason="go")


def stop(at: float, *, id: str = "stop") -> DriveCommand:
    return DriveCommand(stamp=ns(at), id=id)


class Timed(Stream[DriveCommand]):
    """Commands that come at moments of their own, whatever their stamps say."""

    def __init__(self, commands: list[tuple[float, DriveCommand]]) -> None:
        super().__init__()
        self._left = list(commands)
        self.now = ns(0)

    def next(self, timeout: float | None = None) -> DriveCommand | None:
        due = self.now + round((timeout or 0) * 1e9)
        if not self._left or ns(self._left[0][0]) > due:
            self.now = due
            self.ended = not self._left
            return None
        at, command = self._left.pop(0)
        self.now = max(self.now, ns(at))
        return command


def run(*commands: DriveCommand, limits: Limits = QUICK, wheels: Any = None) -> list[DriveState]:
    timed = [((one.stamp - ns(0)) / 1e9, one) for one in commands]
    return list(steer(Timed(timed), wheels or SimulatedWheels(), limits))


def reasons(states: list[DriveState]) -> list[str]:
    return [
        one.reason
        for one, before in zip(states, [None, *states])
        if not before or one.reason != before.reason
    ]


def test_it_starts_still():
    state = run(stop(0))[0]
    assert (state.state, state.reason, state.linear, state.angular) == ("stopped", "start", 0.0, 0.0)


def test_it_drives_while_commands_come_and_stops_when_they_cease():
    states = run(*(go(n / 10) for n in range(11)), stop(5))
    assert reasons(states) == ["start", "go", "no command for 0.3 s", "stopped by command"]
    ceased = next(one for one in states if one.reason.startswith("no command"))
    assert ceased.stamp == ns(1.3)
    still = next(one for one in states if one.reason.startswith("no command") and one.state == "stopped")
    assert still.x == pytest.approx(0.4 * 1.3, abs=0.4 * 0.03)
    assert states[-1].x == still.x


def test_it_tells_the_change_by_the_stamp_and_id_of_its_command():
    states = run(go(0.5, id="b"), stop(1))
    told = next(one for one in states if one.reason == "go")
    assert (told.stamp, told.command) == (ns(0.5), "b")


def test_a_command_to_stop_brakes_as_hard_as_it_may():
    limits = Limits(acceleration=(1000.0, 1000.0), braking=(2.0, 12.0))
    states = run(go(0), stop(0.1), stop(2), limits=limits)
    braked = [one for one in states if one.reason == "stopped by command"]
    assert [one.state for one in braked][:2] == ["moving", "moving"]
    still = next(one for one in braked if one.state == "stopped")
    assert still.stamp / 1e9 - START == pytest.approx(0.1 + 0.4 / 2, abs=0.045)


def test_no_command_is_faster_than_the_limits():
    states = run(go(0, 99.0, -99.0), stop(0.2))
    assert min(one.angular for one in states) == -1.5
    assert max(one.linear for one in states) == 0.5
    assert "go, cut to the limits" in reasons(states)


@pytest.mark.parametrize("speed", [(math.nan, 0.0), (0.1, math.inf), (-math.inf, math.nan)])
def test_nonsense_is_refused(speed):
    states = run(go(0, *speed), stop(1))
    assert {one.state for one in states} == {"stopped"}
    assert any(one.reason.startswith("refused: a speed must be a finite number") for one in states)


@pytest.mark.parametrize(
    ("at", "command", "refusal"),
    [
        (0.6, go(0), "the evidence is 0.6 s old, at most 0.5 s"),
        (0.0, go(0.2), "the evidence is 0.2 s from the future"),
    ],
)
def test_only_fresh_evidence_drives(at, command, refusal):
    states = list(steer(Timed([(at, command), (1.0, stop(1))]), SimulatedWheels(), QUICK))
    assert f"refused: {refusal}" in reasons(states)
    assert {one.state for one in states} == {"stopped"}


def test_what_was_seen_before_a_stop_drives_no_more():
    late = [(0.3, stop(0.25)), (0.4, go(0.2)), (0.5, go(0.26, id="new")), (1.5, stop(1.5))]
    states = list(steer(Timed(late), SimulatedWheels(), QUICK))
    assert reasons(states)[1:4] == [
        "stopped by command",
        "refused: the evidence is from before the last command to stop",
        "go",
    ]
    assert {one.command for one in states if one.state == "moving"} == {"new"}


def test_to_stop_needs_no_evidence():
    states = list(steer(Timed([(0.0, go(0)), (0.1, stop(-100)), (2.0, stop(2))]), SimulatedWheels(), QUICK))
    assert next(one for one in states if one.command == "stop").reason == "stopped by command"
    assert "no command for 0.3 s" not in reasons(states)


def test_a_stop_from_the_future_does_not_hold_for_ever():
    states = list(steer(Timed([(0.0, stop(1000)), (1.0, go(1)), (2.0, stop(2))]), SimulatedWheels(), QUICK))
    assert "go" in reasons(states)


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 0.5),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(-3, 3),
            st.floats(-1.0, 0.1),
        ),
        max_size=12,
    )
)
def test_whatever_comes_it_keeps_its_limits(steps):
    """No step is larger than the limits allow, and nothing moves without a command that was fresh."""
    told: list[tuple[int, Speed]] = []

    class Watched(SimulatedWheels):
        def drive(self, speed: Speed, *, now: int, valid: float) -> None:
            told.append((now, speed))
            super().drive(speed, now=now, valid=valid)

        def stop(self) -> None:
            told.append((told[-1][0] if told else 0, STILL))
            super().stop()

    at, commands = 0.0, []
    for wait, linear, angular, age in steps:
        at += wait
        commands.append((at, go(at + age, linear, angular)))
    limits = Limits()
    wheels = Watched()
    list(steer(Timed(commands), wheels, limits))
    for (_, one), (_, other) in pairwise(told):
        for axis in (0, 1):
            most = (limits.braking if abs(other[axis]) < abs(one[axis]) else limits.acceleration)[axis]
            assert abs(other[axis] - one[axis]) <= most * 0.04 + 1e-9 or other == STILL
            assert abs(other[axis]) <= limits.speed[axis]
    fresh = [ns(when) for when, one in commands if 0 <= ns(when) - one.stamp <= 0.5 * SECOND]
    brakes = limits.timeout + 0.5 / 2.0 + 0.1
    for now, speed in told:
        assert speed == STILL or any(now - brakes * 1e9 <= one <= now for one in fresh)


def speeds(*commands: DriveCommand, hang: float = 0.0) -> list[tuple[float, float]]:
    """When the wheels were told what speed; after its first step the node hangs for a while."""
    told: list[tuple[float, float]] = []
    timed = Timed([((one.stamp - ns(0)) / 1e9, one) for one in commands])

    class Watched(SimulatedWheels):
        def drive(self, speed: Speed, *, now: int, valid: float) -> None:
            if not told:
                timed.now += round(hang * 1e9)
            told.append(((now - ns(0)) / 1e9, speed.linear))
            super().drive(speed, now=now, valid=valid)

    list(steer(timed, Watched(), Limits()))
    return told


def test_a_step_that_comes_late_makes_up_for_nothing():
    (_, first), (late, second), *_ = speeds(go(0), go(0.26), stop(0.4), hang=0.25)
    assert late >= 0.25
    assert second - first <= 0.5 * 0.04 + 1e-9


def test_it_turns_back_by_braking_first():
    commands = [go(n / 10) for n in range(10)] + [go(1 + n / 10, -0.4, id="back") for n in range(12)]
    told = speeds(*commands, stop(2.3))
    turned = next(at for at, speed in told if at >= 1.0 and speed <= 0.0)
    assert turned == pytest.approx(1.0 + 0.4 / 2.0, abs=0.05)
    assert min(speed for _, speed in told) == pytest.approx(-0.4)


def test_what_moves_though_nobody_wants_it_to_is_stopped():
    wheels = SimulatedWheels()
    node: Any = steer(Timed([(5.0, stop(5))]), wheels)
    assert next(node).state == "stopped"
    wheels.drive(Speed(1.0), now=ns(0.5), valid=100.0)  # somebody else
    assert next(node).state == "stopped"
    assert wheels.speed(ns(1)) == STILL
    node.close()


# -- wheels


def test_a_turn_comes_back_to_where_it_began():
    pose = Pose()
    for _ in range(100):
        pose = advanced(pose, Speed(1.0, math.pi / 5), 0.1)
    assert pose == pytest.approx(Pose(), abs=1e-9)
    quarter = advanced(Pose(), Speed(1.0, 1.0), math.pi / 2)
    assert quarter == pytest.approx(Pose(1.0, 1.0, math.pi / 2))
    assert advanced(Pose(yaw=math.pi / 2), Speed(2.0), 0.5) == pytest.approx(Pose(0.0, 1.0, math.pi / 2))


@given(st.floats(-2, 2), st.floats(-2e-5, 2e-5), st.floats(0, 1))
def test_short_arcs_join_long_ones(linear, angular, seconds):
    whole = advanced(Pose(), Speed(linear, angular), seconds)
    half = advanced(Pose(), Speed(linear, angular), seconds / 2)
    assert advanced(half, Speed(linear, angular), seconds / 2) == pytest.approx(whole, abs=1e-9)


def test_simulated_wheels_stop_by_themselves():
    wheels = SimulatedWheels()
    wheels.drive(Speed(1.0), now=ns(0), valid=0.3)
    assert wheels.speed(ns(0.29)) == Speed(1.0)
    assert wheels.speed(ns(0.3)) == STILL
    assert wheels.pose(ns(9)).x == pytest.approx(0.3)


def test_wheels_that_fail_once_are_stopped_and_driven_again():
    wheels = SimulatedWheels(fail_on={"drive": 1})
    states = run(go(0), go(0.1), stop(1), wheels=wheels)
    assert reasons(states)[1:4] == [
        "go",
        "go, but it did not drive: the simulated wheels were told to fail on drive",
        "go",
    ]
    assert any(one.state == "moving" for one in states)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"fail_on": {"stop": 10_000}}, "it did not stop: the simulated wheels were told to fail on stop"),
        ({"jam_on": {"stop": 10_000}}, "the wheels still turn"),
    ],
)
def test_wheels_that_never_stop_end_the_node(bad, problem):
    wheels = SimulatedWheels()
    node: Any = steer(Timed([(0.0, go(0)), (0.1, stop(0.1)), (9.0, stop(9))]), wheels, QUICK)
    states = [next(node) for _ in range(3)]
    assert states[-1].state == "moving"
    wheels.fail_on.update(bad.get("fail_on", {}))
    wheels.jam_on.update(bad.get("jam_on", {}))
    wheels._until = ns(1000)  # and its watchdog is broken, too
    with pytest.raises(WheelsError, match="for 1 s|at the end"):
        states.extend(node)
    assert states[-1].reason.endswith(problem)
    first = next(one for one in states if one.reason.endswith(problem))
    assert 0 < states[-1].stamp - first.stamp <= GIVE_UP * SECOND


def test_it_is_stopped_at_the_end_however_often_that_fails():
    wheels = SimulatedWheels()
    node: Any = steer(Timed([(0.0, go(0)), (9.0, stop(9))]), wheels, QUICK)
    assert [next(node).state for _ in range(3)][-1] == "moving"
    wheels.fail_on["stop"] = TRIES - 1
    node.close()
    assert wheels.speed(0) == STILL


def test_wheels_that_cannot_be_read_count_as_moving():
    state = run(stop(0), wheels=SimulatedWheels(fail_on={"read": 2}))[0]
    assert state.state == "moving"
    assert "cannot be read" in state.reason


# -- its configuration


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("max_speed", (0.0, 1.0), "`max_speed` must be two numbers above 0"),
        ("braking", (1.0, math.nan), "`braking` must be two numbers above 0"),
        ("timeout", 0.0, "`timeout` must be a time longer than 0 s"),
        ("max_evidence_age", math.inf, "`max_evidence_age` must be a time longer than 0 s"),
        ("driver", "gpio", "there is no drive driver `gpio`"),
    ],
)
def test_limits_that_limit_nothing_are_refused(option, value, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        next(drive(Stream([]), **{option: value}))


def test_check_tells_them_at_their_places(tmp_path):
    file = write(
        tmp_path,
        """nodes:
  pilot: {run: "tests.nodes_of_tests:pilot", in: {counts: count}}
  count: {run: "tests.nodes_of_tests:count"}
  drive: {run: zuluko.actions.drive, in: {commands: steering}, timeout: 0s, driver: gpio}
topics: {steering: "zuluko.messages:DriveCommand"}
""",
    )
    told = zuluko("check", file).stderr
    assert "graph.yaml:4:73: `timeout` must be a time longer than 0 s" in told
    assert "`driver`: there is no drive driver `gpio`; there is simulated" in told


# -- in a graph


GRAPH = """nodes:
  rangefinder: {run: "tests.driving:rangefinder"}
  rules: {run: go.rules.yaml}
  drive: {run: zuluko.actions.drive, in: {commands: rules}, driver: "simulated:WHEELS"}
"""
RULES = """
go:
  when: rangefinder
  if: [rangefinder.metres > 0.5]
  max_age: 300ms
  again: 50ms
  do: {drive: {linear: 0.4}}
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV])
def test_it_stops_whatever_becomes_of_its_process(number, tmp_path, run_dir):
    wheels = tmp_path / "wheels"
    write(tmp_path, RULES, "go.rules.yaml")
    with up(write(tmp_path, GRAPH.replace("WHEELS", str(wheels)))) as graph:
        until(lambda: reading(wheels) != STILL, what="it drives")
        drive = graph.children()["drive"]
        os.kill(drive, number)
        until(lambda: reading(wheels) == STILL, 5, "it stands")
        if number == signal.SIGSTOP:
            os.kill(drive, signal.SIGKILL)
        if number != signal.SIGTERM:
            until(lambda: reading(wheels) != STILL, what="it was started again and drives")
        graph.stop()
        assert reading(wheels) == STILL


def test_it_stops_when_its_rules_fall_silent(tmp_path, run_dir):
    wheels = tmp_path / "wheels"
    write(tmp_path, RULES, "go.rules.yaml")
    with up(write(tmp_path, GRAPH.replace("WHEELS", str(wheels)))) as graph:
        until(lambda: reading(wheels) != STILL, what="it drives")
        rules = graph.children()["rules"]
        os.kill(rules, signal.SIGSTOP)
        graph.wait_for("drive", "no command for 0.3 s")
        until(lambda: reading(wheels) == STILL, 5, "it stands")
        os.kill(rules, signal.SIGCONT)


def test_the_files_reader_knows_no_wheels(tmp_path):
    assert reading(tmp_path / "none") == STILL
    (tmp_path / "short").write_bytes(b"1")
    assert reading(Path(tmp_path / "short")) == STILL
