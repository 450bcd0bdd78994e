"""When a process that died starts again: a rule, deaths and times in, the wait out."""

from zuluko.launch.graph import Restart
from zuluko.launch.restarts import JITTER, Restarts, together


def waits(rule, deaths, lived=1.0, chance=0.5):
    restarts = Restarts(rule, chance=lambda: chance)
    return [restarts.died(at, lived) for at in deaths]


def test_the_wait_doubles_up_to_a_limit():
    assert waits(Restart(most=20), range(8)) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_long_life_makes_the_wait_small_again():
    restarts = Restarts(Restart(), chance=lambda: 0.5)
    assert [restarts.died(at, lived=1.0) for at in range(3)] == [0.1, 0.2, 0.4]
    assert restarts.died(100, lived=60.0) == 0.1


def test_more_deaths_within_the_window_than_allowed_are_for_good():
    assert waits(Restart(most=3, within=10), [0, 1, 2, 3])[3] is None


def test_deaths_that_left_the_window_do_not_count():
    assert None not in waits(Restart(most=3, within=10), [0, 5, 10, 15, 20, 25])


def test_without_restart_the_first_death_is_for_good():
    assert waits(Restart(on=False), [0]) == [None]


def test_none_allowed_is_the_same():
    assert waits(Restart(most=0), [0]) == [None]


def test_the_wait_is_never_the_same_for_all():
    (least,), (most,) = (waits(Restart(), [0], chance=chance) for chance in (0.0, 1.0))
    assert (round(least, 6), round(most, 6)) == (round(0.1 * (1 - JITTER), 6), round(0.1 * (1 + JITTER), 6))


def test_a_person_who_starts_it_begins_anew():
    restarts = Restarts(Restart(most=1), chance=lambda: 0.5)
    assert restarts.died(0, 1) == 0.1
    restarts.forget()
    assert restarts.died(1, 1) == 0.1


def test_of_several_nodes_the_strictest_rule_counts():
    both = together([Restart(most=3, within=60, silence=9), Restart(on=False, most=9, within=30)])
    assert both == Restart(on=False, most=3, within=60, silence=9)
