"""What fires a rule, when, and what is said when it does not. Times in the tests are in milliseconds."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zuluko.actions.engine import Engine, Step
from zuluko.actions.evaluation import Event
from zuluko.actions.rulefile import check, load
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Stream
from zuluko.document import parse
from zuluko.messages import Decision, Face, Faces, LockCommand, LockState

DOOR = Path(__file__).parents[1] / "zuluko" / "launch" / "door.rules.yaml"
MS = 1_000_000
START = 1_700_000_000_000  # ms; graph time counts from the epoch


class Light(Message, tag="EngineLight/1"):
    on: bool | None = None


class Beep(Command, tag="EngineBeep/1"):
    times: int = 1


TOPICS: dict[str, Any] = {"light": Light, "faces": Faces, "lock": LockState}
ACTUATORS = {"horn": Beep, "lock": LockCommand}


def engine(text: str) -> Engine:
    return Engine(check(parse(text, file="test.yaml"), topics=TOPICS, actuators=ACTUATORS).rules)


def light_rule(**keys: str) -> Engine:
    given = "".join(f"  {key.strip('_')}: {value}\n" for key, value in {"max_age": "500ms", **keys}.items())
    return engine(f"beep:\n  when: light\n  if: [light.on]\n{given}  do: {{horn: {{times: 2}}}}\n")


class Run:
    """Feeds an engine, at times in ms after START, and keeps the deadline that it asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.deadline: int | None = None
        self.seq: dict[str, int] = {}
        self.levels: dict[str, Latest[Any]] = {}
        self.said: list[Decision | Command] = []

    def message(self, topic: str, message: Message, *, at: int) -> Decision:
        self.seq[topic] = self.seq.get(topic, -1) + 1
        return self._step(at, Event(topic, self.seq[topic], message))

    def light(self, on: bool | None, *, at: int, age: int = 0) -> Decision:
        return self.message("light", Light(stamp=(START + at - age) * MS, on=on), at=at)

    def faces(self, *names: str, at: int, age: int = 0) -> Decision:
        return self.message(
            "faces", Faces(stamp=(START + at - age) * MS, items=tuple(map(face, names))), at=at
        )

    def wake(self, *, at: int) -> Decision | None:
        if self.deadline is not None and self.deadline <= at:
            return self._step(at, None)
        assert self.engine.step((START + at) * MS, None, self.levels).said == []
        return None

    def lock(self, state: Any, *, age: float = 0.0) -> None:
        self.levels["lock"] = Aged(LockState(state=state), age)

    def _step(self, at: int, event: Event | None) -> Decision:
        step: Step = self.engine.step((START + at) * MS, event, self.levels)
        self.deadline = None if step.deadline is None else step.deadline // MS - START
        self.said += step.said
        self.commands = [said for said in step.said if isinstance(said, Command)]
        (decision,) = [said for said in step.said if isinstance(said, Decision)]
        return decision


class Aged(Latest[Any]):
    """A level of a given age."""

    def __init__(self, value: Message | None, age: float) -> None:
        super().__init__(value)
        self._age = age

    @property
    def age(self) -> float:
        return self._age


def face(name: str) -> Face:
    points = ((0.0, 0.0),) * 5
    return Face(
        box=(0.0, 0.0, 9.0, 9.0), landmarks=points, score=0.9, name=name, similarity=0.6 if name else 0.2
    )


# -- edges


def test_it_fires_once_for_each_time_that_the_condition_becomes_true():
    run = Run(light_rule())
    lights = [False, True, True, False, True, None, True]
    outcomes = [run.light(on, at=100 * n).outcome for n, on in enumerate(lights)]
    assert outcomes == ["false", "fired", "held", "false", "fired", "unknown", "fired"]


def test_a_firing_says_what_it_stands_on():
    run = Run(light_rule())
    decision = run.light(True, at=100, age=30)
    (command,) = run.commands
    assert decision.outcome == "fired"
    assert decision.reason == "all clauses are true"
    assert decision.stamp == command.stamp == decision.since == (START + 70) * MS
    assert decision.age == pytest.approx(0.03)
    assert (decision.rule, decision.topic, decision.seq) == ("beep", "light", 0)
    assert (decision.seen, decision.of, decision.held) == (1, 1, 0.0)
    assert [(clause.text, clause.verdict) for clause in decision.clauses] == [("light.on", "true")]
    assert decision.command == command.id
    assert isinstance(command, Beep)
    assert (command.to, command.times) == ("horn", 2)


def test_still_true_is_said():
    run = Run(light_rule())
    run.light(True, at=0)
    decision = run.light(True, at=100)
    assert decision.outcome == "held"
    assert decision.reason == "still true since it fired; it fires again once it has been false"
    assert decision.held == pytest.approx(0.1)
    assert decision.since == START * MS
    assert decision.command == ""


def test_ids_differ_for_each_firing_and_stay_the_same_for_the_same_evidence_after_a_restart():
    run, restarted = Run(light_rule()), Run(light_rule())
    for n, on in enumerate([True, False, True]):
        run.light(on, at=100 * n)
    first, second = [said.id for said in run.said if isinstance(said, Command)]
    assert first != second
    restarted.seq["light"] = 1  # the publisher counts on
    restarted.light(True, at=200)
    assert restarted.commands[0].id == second
    restarted.light(False, at=300)
    restarted.light(True, at=400)
    assert restarted.commands[0].id not in (first, second)


def test_several_commands_have_an_id_each():
    run = Run(
        engine("a: {when: light, if: [light.on], max_age: 1s, do: {horn: {times: 2}, lock: {open_for: 3s}}}")
    )
    decision = run.light(True, at=0)
    assert [command.to for command in run.commands] == ["horn", "lock"]
    assert len({command.id for command in run.commands}) == 2
    assert decision.command == run.commands[0].id


def test_a_rule_without_do_only_decides():
    run = Run(engine("a: {when: light, if: [light.on]}"))
    assert run.light(True, at=0).outcome == "fired"
    assert run.commands == []


def test_other_topics_evaluate_nothing():
    step = light_rule().step(START * MS, Event("faces", 0, Faces(stamp=START * MS)))
    assert step.said == []
    assert step.deadline is None


def test_rules_of_one_file_do_not_touch_each_other():
    both = engine(
        "a: {when: light, if: [light.on]}\nb: {when: light, if: ['!light.on']}\nc: {when: faces, if: ['true']}"
    )
    step = both.step(START * MS, Event("light", 0, Light(stamp=START * MS, on=True)))
    assert [(said.rule, said.outcome) for said in step.said if isinstance(said, Decision)] == [
        ("a", "fired"),
        ("b", "false"),
    ]


# -- seen


def test_seen_counts_the_last_evaluations():
    run = Run(light_rule(seen="3 of 5"))
    lights = [True, True, False, False, False, True, True, False, True]
    decisions = [run.light(on, at=66 * n) for n, on in enumerate(lights)]
    assert [decision.seen for decision in decisions] == [1, 2, 2, 2, 2, 2, 2, 2, 3]
    assert decisions[1].reason == "seen 2 of 5, needs 3"
    assert decisions[1].outcome == "held"
    assert decisions[-1].outcome == "fired"
    assert decisions[-1].reason == "seen 3 of 5"
    assert all(decision.of == 5 for decision in decisions)


def test_unknown_counts_as_not_true():
    run = Run(light_rule(seen="2 of 3"))
    outcomes = [run.light(on, at=66 * n).outcome for n, on in enumerate([True, None, None, True, True])]
    assert outcomes == ["held", "unknown", "unknown", "held", "fired"]


def test_it_never_fires_at_an_evaluation_that_is_false_though_enough_others_were_true():
    run = Run(light_rule(seen="2 of 4", for_="100ms"))
    outcomes = [run.light(on, at=at).outcome for at, on in [(0, True), (50, True), (150, False), (200, True)]]
    assert outcomes == ["held", "held", "false", "fired"]


def test_flicker_that_leaves_enough_true_does_not_arm_it_again():
    run = Run(light_rule(seen="2 of 4"))
    lights = [True, True, False, True, True, False, False, False, True, True]
    outcomes = [run.light(on, at=66 * n).outcome for n, on in enumerate(lights)]
    assert outcomes.count("fired") == 2
    assert outcomes[-1] == "fired"


def test_sightings_from_long_ago_do_not_add_up():
    run = Run(light_rule(seen="3 of 5"))  # which at 500 ms may lie 2.5 s apart
    assert [run.light(True, at=2900 * n).seen for n in range(4)] == [1] * 4
    run = Run(light_rule(seen="3 of 5"))
    assert [run.light(True, at=1250 * n).outcome for n in range(3)] == ["held", "held", "fired"]
    run = Run(light_rule(seen="3 of 5"))
    assert [run.light(True, at=1251 * n).outcome for n in range(9)] == ["held"] * 9


def test_messages_of_one_stamp_are_one_piece_of_evidence():
    run = Run(light_rule(seen="3 of 5"))
    for n in range(6):
        assert run.light(True, at=n, age=n).seen == 1
    assert run.light(False, at=6, age=6).seen == 0


# -- names


PEOPLE = "a: {when: faces, any: items, if: [item.name != '', item.similarity >= 0.45], seen: 3 of 5, max_age: 1s, do: {horn: {}}}"


def test_two_people_in_turn_do_not_add_up_to_one():
    run = Run(engine(PEOPLE))
    outcomes = [run.faces("ana" if n % 2 else "ben", at=66 * n).outcome for n in range(4)]
    assert outcomes == ["held"] * 4
    assert run.faces("ben", at=66 * 4).outcome == "fired"


def test_an_owner_who_is_taken_for_nobody_now_and_then_still_passes():
    run = Run(engine(PEOPLE))
    assert [run.faces(name, at=66 * n).outcome for n, name in enumerate(["ana", "", "ana", "", "ana"])] == [
        *("held", "false", "held", "false"),
        "fired",
    ]


def test_two_people_at_once_each_have_their_edge():
    run = Run(engine(PEOPLE))
    for n in range(2):
        run.faces("ana", at=66 * n)
    assert run.faces("ana", "ben", at=132).outcome == "fired"
    run.faces("ana", "ben", at=198)
    assert run.faces("ana", "ben", at=264).outcome == "fired"
    assert run.faces("ana", "ben", at=330).outcome == "held"


def test_two_who_become_true_at_once_fire_twice_without_a_cooldown_and_once_with():
    for cooldown, fired in (("0s", 2), ("1s", 1)):
        rule = engine(PEOPLE.replace("seen: 3 of 5", f"cooldown: {cooldown}"))
        step = rule.step(
            START * MS, Event("faces", 0, Faces(stamp=START * MS, items=(face("ana"), face("ben"))))
        )
        commands = [said.id for said in step.said if isinstance(said, Command)]
        assert len(set(commands)) == len(commands) == fired


def test_two_faces_of_one_name_in_one_picture_count_once():
    run = Run(engine(PEOPLE))
    assert run.faces("ana", "ana", at=0).seen == 1


def test_items_without_a_name_count_together():
    run = Run(engine("a: {when: faces, any: size, if: [item > 5], seen: 2 of 2}"))
    wide = [Faces(stamp=(START + n) * MS, size=size) for n, size in enumerate([(9, 1), (1, 9)])]
    assert [run.message("faces", message, at=n).outcome for n, message in enumerate(wide)] == [
        "held",
        "fired",
    ]


def test_of_a_list_the_decision_is_about_the_item_that_came_nearest():
    run = Run(
        engine(
            "a: {when: faces, any: items, if: [item.name == 'ana', item.similarity >= 0.7, item.score > 0.5]}"
        )
    )
    decision = run.faces("", "ana", "ben", at=0)
    assert decision.outcome == "false"
    assert decision.reason == "clause `item.similarity >= 0.7` is false (item.similarity = 0.6)"
    assert [clause.verdict for clause in decision.clauses] == ["true", "false", "true"]


def test_an_empty_list_is_false():
    decision = Run(engine(PEOPLE)).faces(at=0)
    assert (decision.outcome, decision.reason, decision.clauses) == ("false", "faces.items is empty", ())


# -- for


def test_for_fires_at_its_end_between_messages():
    run = Run(light_rule(for_="200ms"))
    assert run.light(True, at=0).reason == "true for 0 s, needs 0.2"
    assert run.deadline == 200
    decision = run.light(True, at=120)
    assert (decision.outcome, decision.reason) == ("held", "true for 0.12 s, needs 0.2")
    assert decision.held == pytest.approx(0.12)
    assert run.deadline == 200
    assert run.wake(at=199) is None
    fired = run.wake(at=200)
    assert fired is not None
    assert (fired.outcome, fired.reason) == ("fired", "true for 0.2 s")
    assert fired.stamp == run.commands[0].stamp == (START + 120) * MS
    assert fired.since == START * MS
    assert fired.age == pytest.approx(0.08)
    assert run.deadline is None
    assert run.light(True, at=260).outcome == "held"


def test_for_starts_again_when_the_condition_was_false():
    run = Run(light_rule(for_="200ms"))
    run.light(True, at=0)
    run.light(False, at=100)
    assert run.deadline is None
    assert run.wake(at=250) is None
    run.light(True, at=300)
    assert run.deadline == 500


def test_for_runs_from_the_evaluation_that_made_it_enough():
    run = Run(light_rule(seen="3 of 5", for_="200ms"))
    for n in range(4):
        run.light(True, at=66 * n)
    assert run.deadline == 132 + 200


def test_at_the_end_of_for_the_levels_are_looked_at_again():
    rule = "a: {when: light, if: [light.on, lock.state == 'locked'], for: 200ms, max_age: 1s, do: {horn: {}}}"
    run = Run(engine(rule))
    run.lock("locked")
    run.light(True, at=0)
    run.lock("unlocked")
    decision = run.wake(at=200)
    assert decision is not None
    assert decision.outcome == "false"
    assert run.deadline is None
    run.lock("locked")
    assert run.light(True, at=250).reason == "true for 0 s, needs 0.2"


def test_evidence_too_old_at_the_end_of_for_does_not_act():
    run = Run(light_rule(for_="600ms"))
    run.light(True, at=0, age=100)
    decision = run.wake(at=600)
    assert decision is not None
    assert (decision.outcome, decision.reason) == ("unknown", "evidence is 0.7 s old, at most 0.5")
    assert run.commands == []
    assert run.deadline is None


def test_for_starts_again_when_no_message_came_for_longer_than_max_age():
    run = Run(light_rule(for_="600ms"))
    run.light(True, at=0, age=100)
    run.light(True, at=500, age=100)
    assert run.deadline == 600
    run.light(True, at=1001, age=100)
    assert run.deadline == 1601


def test_evidence_that_grew_old_before_the_end_of_for_still_counts_for_the_next():
    run = Run(light_rule(seen="2 of 3", for_="400ms"))
    run.light(True, at=0, age=200)
    run.light(True, at=300, age=200)
    late = run.wake(at=700)
    assert late is not None
    assert (late.outcome, late.reason) == ("unknown", "evidence is 0.6 s old, at most 0.5")
    assert (late.seen, run.deadline) == (2, None)
    fired = run.light(True, at=750, age=200)
    assert (fired.outcome, fired.reason) == ("fired", "seen 3 of 3, true for 0.45 s")


def test_evidence_that_grew_old_counts_no_more_where_its_clauses_are_false_by_then():
    rule = (
        "a: {when: light, if: [light.on, lock.state == 'locked'], for: 600ms, max_age: 500ms, do: {horn: {}}}"
    )
    run = Run(engine(rule))
    run.lock("locked")
    run.light(True, at=0)
    run.lock("unlocked")
    assert run.wake(at=600) is not None
    run.lock("locked")
    assert run.light(True, at=450 + 150 + 50).reason == "true for 0 s, needs 0.6"


def test_the_stock_door_opens_for_pictures_of_every_pace_and_age_that_it_takes():
    """Whenever the evidence is fresh as it comes, and comes often enough, the owner gets in."""
    waits = {}
    for period, age in itertools.product(range(50, 451, 50), range(0, 451, 50)):
        run = Run(door())
        run.lock("locked")
        for n in range(60):
            if run.deadline is not None and run.deadline < n * period:
                run.wake(at=run.deadline)
            if not any(isinstance(said, Command) for said in run.said):
                run.faces("ana", at=n * period, age=age)
            else:
                waits[period, age] = (run.said[-1].stamp // MS - START + age) / 1000
                break
    assert len(waits) == 9 * 10
    assert max(waits.values()) < 2.0


def test_a_late_message_is_looked_at_before_for_is_called_over():
    run = Run(light_rule(for_="200ms"))
    run.light(True, at=0)
    assert run.light(False, at=210).outcome == "false"
    assert run.wake(at=220) is None


# -- ages, silence, and time that does not run forward


def test_old_evidence_is_unknown():
    run = Run(light_rule())
    decision = run.light(True, at=0, age=610)
    assert (decision.outcome, decision.reason) == ("unknown", "evidence is 0.61 s old, at most 0.5")
    assert decision.age == pytest.approx(0.61)
    assert run.light(True, at=10, age=500).outcome == "fired"


def test_levels_that_are_missing_or_stale_are_unknown():
    run = Run(engine("a: {when: light, if: [light.on, lock.state == 'locked'], stale: {lock: 2s}}"))
    clause = "clause `lock.state == 'locked'` is unknown"
    assert run.light(True, at=0).reason == f"{clause} (lock has not been heard)"
    run.levels["lock"] = Latest()
    assert run.light(True, at=100).reason == f"{clause} (lock has not been heard)"
    run.lock("locked", age=2.5)
    decision = run.light(True, at=200)
    assert (decision.outcome, decision.reason) == ("unknown", f"{clause} (lock is 2.5 s old, at most 2)")
    run.lock("locked", age=2.0)
    assert run.light(True, at=300).outcome == "fired"


def test_a_level_is_stale_after_three_seconds_where_nothing_is_said():
    run = Run(engine("a: {when: light, if: [lock.state == 'locked']}"))
    run.lock("locked", age=3.1)
    assert run.light(True, at=0).outcome == "unknown"
    run.lock("locked", age=-3.1)
    assert run.light(True, at=100).outcome == "unknown"
    run.lock("locked", age=2.9)
    assert run.light(True, at=200).outcome == "fired"


def test_a_false_clause_outweighs_an_unknown_one():
    run = Run(engine("a: {when: light, if: [lock.state == 'locked', light.on]}"))
    assert run.light(False, at=0).reason == "clause `light.on` is false (light.on = False)"


def test_a_level_that_is_read_at_once_but_was_told_long_ago_becomes_unknown():
    """A rules node that starts is handed the last state of a lock, which may be dead."""
    driver = Stream[Message]()
    dead = Latest(LockState(state="locked", stamp=(START - 1000) * MS), driver=driver)
    run = Run(engine("a: {when: light, if: [light.on, lock.state == 'locked'], seen: 2 of 2}"))
    run.levels["lock"] = dead
    outcomes = []
    for at in (0, 1000, 1900, 2000, 2100):
        driver.now = (START + at) * MS
        outcomes.append(run.light(True, at=at).outcome)
    assert outcomes == ["held", "fired", "held", "held", "unknown"]
    assert run.said[-1].reason.endswith("(lock is 3.1 s old, at most 3)")


@pytest.mark.parametrize(
    ("keys", "silence"), [({}, 3000), ({"stale": "{light: 1s}"}, 1000), ({"max_age": "5s"}, 5000)]
)
def test_after_a_silence_everything_starts_anew(keys, silence):
    run = Run(light_rule(seen="2 of 3", **keys))
    run.light(True, at=0)
    assert run.light(True, at=100).outcome == "fired"
    assert run.light(True, at=100 + silence).outcome == "held"
    assert run.light(True, at=200 + 2 * silence).reason == "seen 1 of 3, needs 2"


def test_evidence_out_of_order_changes_nothing():
    run = Run(light_rule(for_="200ms"))
    run.light(True, at=0)
    decision = run.light(False, at=100, age=150)
    assert (decision.outcome, decision.reason) == (
        "unknown",
        "evidence is out of order, 0.05 s before the last",
    )
    fired = run.wake(at=200)
    assert fired is not None
    assert fired.outcome == "fired"


def test_evidence_from_the_future_changes_nothing():
    run = Run(light_rule())
    decision = run.light(True, at=0, age=-20)
    assert (decision.outcome, decision.reason) == ("unknown", "evidence is 0.02 s ahead of the clock")
    assert run.light(True, at=10).outcome == "fired"


def test_a_clock_that_goes_back_never_acts():
    run = Run(light_rule(for_="200ms"))
    run.light(True, at=1000)
    decision = run.light(True, at=500)
    assert decision.outcome == "unknown"
    assert decision.reason == "the clock went back by 0.5 s; nothing is decided until it has caught up"
    assert run.engine.step((START + 900) * MS).said == []
    assert run.light(True, at=1250, age=300).reason.startswith("evidence is out of order")
    assert run.engine.step((START + 1220) * MS).said == []  # due, but in the past
    fired = run.wake(at=1250)
    assert fired is not None
    assert fired.outcome == "fired"


# -- cooldown


def test_no_second_firing_within_the_cooldown():
    run = Run(light_rule(cooldown="1s"))
    assert run.light(True, at=0).outcome == "fired"
    run.light(False, at=100)
    decision = run.light(True, at=250)
    assert (decision.outcome, decision.reason) == ("cooldown", "cooldown: 0.75 s left")
    assert run.deadline == 1000
    run.light(False, at=300)
    assert run.deadline is None
    assert run.light(True, at=1200).outcome == "fired"


def test_an_edge_within_the_cooldown_fires_at_its_end_if_it_is_still_true():
    run = Run(light_rule(cooldown="1s"))
    run.light(True, at=0)
    run.light(False, at=500)
    run.light(True, at=800)
    fired = run.wake(at=1000)
    assert fired is not None
    assert fired.outcome == "fired"
    assert fired.stamp == (START + 800) * MS


def test_the_cooldown_is_the_rules_not_the_persons():
    run = Run(engine(PEOPLE.replace("seen: 3 of 5", "cooldown: 1s")))
    assert run.faces("ana", at=0).outcome == "fired"
    assert run.faces("ben", at=100).outcome == "cooldown"


def test_the_owner_who_stays_opens_the_door_again_once_it_has_locked():
    run = Run(
        engine(
            PEOPLE.replace("seen", "cooldown: 1s, stale: {lock: 3s}, seen").replace(
                "'',", "'', lock.state == 'locked',"
            )
        )
    )
    outcomes = []
    for n in range(30):
        run.lock("unlocked" if 3 <= n < 13 else "locked")
        outcomes.append(run.faces("ana", at=100 * n).outcome)
    assert [n for n, outcome in enumerate(outcomes) if outcome == "fired"] == [2, 15]


# -- again


def test_with_again_it_fires_once_more_while_it_stays_true():
    run = Run(light_rule(again="1s"))
    outcomes = [run.light(True, at=400 * n).outcome for n in range(3)]
    assert outcomes == ["fired", "held", "held"]
    assert run.said[-1].reason == "still true since it fired; it fires again in 0.2 s if it stays so"
    assert run.deadline == 1000
    fired = run.wake(at=1000)
    assert fired is not None
    assert (fired.outcome, fired.stamp) == ("fired", (START + 800) * MS)
    assert run.deadline is None or run.deadline == 2000
    assert len({said.id for said in run.said if isinstance(said, Command)}) == 2


def test_again_waits_for_the_cooldown_and_starts_anew_with_the_condition():
    run = Run(light_rule(again="1s", cooldown="2s"))
    assert run.light(True, at=0).outcome == "fired"
    assert run.light(True, at=400).reason.endswith("fires again in 1.6 s if it stays so")
    assert run.deadline == 2000
    run = Run(light_rule(again="1s"))
    lights = [True, True, False, True, True]
    outcomes = [run.light(on, at=200 * n).outcome for n, on in enumerate(lights)]
    assert outcomes == ["fired", "held", "false", "fired", "held"]


def test_again_needs_fresh_evidence():
    run = Run(light_rule(again="1s"))
    run.light(True, at=0)
    late = run.wake(at=1000)
    assert late is not None
    assert (late.outcome, run.deadline, run.commands) == ("unknown", None, [])
    assert run.light(True, at=1100).outcome == "fired"


def door() -> Engine:
    return Engine(load(DOOR, topics=TOPICS, actuators=ACTUATORS).rules)


def test_the_stock_door_commands_about_once_a_second_until_the_lock_says_that_it_is_open():
    run = Run(door())
    given = []
    for n in range(15 * 20):
        at = n * 1000 // 15
        run.lock("unlocked" if 5000 <= at < 8000 else "locked")
        run.faces("ana", at=at, age=40)
        given += [at] * len(run.commands)
    gaps = [after - before for before, after in itertools.pairwise(given)]
    assert [at for at in given if 5000 <= at < 8000] == []
    assert len([at for at in given if at < 5000]) == 5
    assert all(1000 <= gap <= 1100 for gap in gaps if gap < 3000)
    assert 8200 <= min(at for at in given if at >= 8000) <= 8500


def test_the_stock_door_does_not_fire_twice_while_the_lock_takes_its_time_to_tell():
    run = Run(door())
    given = []
    for n in range(15 * 3):
        at = n * 1000 // 15
        run.lock("unlocked" if given and at >= given[0] + 900 else "locked")
        run.faces("ana", "ben", at=at, age=40)
        given += [at] * len(run.commands)
    assert len(given) == 1


def test_two_engines_with_names_of_their_own_give_different_ids():
    rules = check(parse(ONE, file="a.yaml"), topics=TOPICS, actuators=ACTUATORS).rules
    event = Event("light", 0, Light(stamp=START * MS, on=True))
    front, back = [Engine(rules, name=name).step(START * MS, event).said[1] for name in ("front", "back")]
    assert isinstance(front, Command)
    assert isinstance(back, Command)
    assert front.id != back.id
    assert front.id.startswith("front.beep-")


ONE = "beep: {when: light, if: [light.on], max_age: 1s, do: {horn: {}}}"


# -- against a slow, obvious reference

TICK = 50  # ms
SILENCE = 3000


class Reference:
    """The meaning of seen, for, max_age, cooldown and again, told tick by tick over whole histories."""

    def __init__(self, seen: int, of: int, hold: int, cooldown: int, max_age: int, again: int | None) -> None:
        self.seen, self.of, self.hold, self.cooldown, self.max_age = seen, of, hold, cooldown, max_age
        self.again = again
        self.verdicts: list[tuple[int, bool]] = []  # by stamp
        self.begun: int | None = None  # since when enough of them have been true
        self.fired: list[int] = []
        self.used: int | None = None  # when it last fired for this becoming true
        self.came: tuple[int, int, bool] | None = None  # the last message: when, stamp, verdict

    def tick(self, now: int, message: tuple[int, bool] | None) -> None:
        if message is not None:
            self.silence(now, message[0])
            self.came = (now, *message)
            self.verdicts.append((message[0], self.fresh(now)))
        elif not self.fresh(now):
            return  # the light is as it was; to look at it again can only find that it has grown old
        since = self.verdicts[-1][0] - self.of * self.max_age
        if sum(true for stamp, true in self.verdicts[-self.of :] if stamp >= since) < self.seen:
            self.begun, self.used = None, None
        elif self.begun is None:
            self.begun = now
        if self.waits() and now >= self.begun_for(now) and now >= self.cool() and now >= self.repeat():
            self.fired.append(now)
            self.used = now

    def silence(self, now: int, stamp: int) -> None:
        if self.came is not None and now - self.came[0] > max(SILENCE, self.max_age):
            self.verdicts, self.begun, self.used = [], None, None
        elif self.came is not None and now - self.came[0] > self.max_age and self.begun is not None:
            self.begun = now

    def fresh(self, now: int) -> bool:
        if self.came is None:
            return False
        return self.came[2] and now - self.came[1] <= self.max_age

    def waits(self) -> bool:
        may = self.used is None or self.again is not None
        return self.begun is not None and may and self.verdicts[-1][1]

    def repeat(self) -> int:
        return 0 if self.used is None else self.used + (self.again or 0)

    def begun_for(self, now: int) -> int:
        assert self.begun is not None
        return self.begun + self.hold

    def cool(self) -> int:
        return self.fired[-1] + self.cooldown if self.fired else 0


messages = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2, 3, 11, 70]),
        st.integers(0, 3),
        st.sampled_from([True, True, False, None]),
    ),
    max_size=40,
)
ticks = st.sampled_from([0, 0, 1, 2, 4, 12, 30])


def stamps_in_order(spaced: Sequence[tuple[int, int, bool | None]]) -> dict[int, tuple[int, bool | None]]:
    """By the tick at which it comes: a message's stamp, later than the one before, and what it says."""
    found: dict[int, tuple[int, bool | None]] = {}
    now, last = 0, -1
    for gap, late, on in spaced:
        now += gap
        last = max(last + 1, now - late)
        found[now] = (last, on)
    return found


@settings(max_examples=400, deadline=None)
@given(
    spaced=messages,
    window=st.tuples(st.integers(1, 4), st.integers(0, 3)),
    hold=ticks,
    cooldown=ticks,
    max_age=ticks,
    again=st.sampled_from([None, 1, 4, 20]),
)
def test_it_fires_when_the_reference_does(spaced, window, hold, cooldown, max_age, again):
    seen, of = window[0], window[0] + window[1]
    came = stamps_in_order(spaced)
    reference = Reference(seen, of, hold * TICK, cooldown * TICK, max_age * TICK, again and again * TICK)
    rule = light_rule(
        seen=f"{seen} of {of}",
        for_=f"{hold * TICK}ms",
        cooldown=f"{cooldown * TICK}ms",
        max_age=f"{max_age * TICK}ms",
        **({"again": f"{again * TICK}ms"} if again else {}),
    )
    fired, deadline = [], None
    for tick in range(max(came, default=0) + 80):
        message = came.get(tick)
        reference.tick(tick * TICK, message and (message[0] * TICK, message[1] is True))
        now = (START + tick * TICK) * MS
        event = (
            Event("light", tick, Light(stamp=(START + message[0] * TICK) * MS, on=message[1]))
            if message
            else None
        )
        if event or (deadline is not None and now >= deadline):
            step = rule.step(now, event)
            deadline = step.deadline
            fired += [tick * TICK for said in step.said if isinstance(said, Command)]
            assert len([said for said in step.said if isinstance(said, Decision)]) == 1
    assert fired == reference.fired


@settings(max_examples=50, deadline=None)
@given(spaced=messages)
def test_the_same_events_give_the_same_decisions_and_never_one_on_old_evidence(spaced):
    came = stamps_in_order(spaced)
    runs = []
    for _ in range(2):
        rule, said = light_rule(seen="2 of 3", for_="100ms", max_age="150ms"), []
        for tick in range(max(came, default=0) + 10):
            message = came.get(tick)
            stamp = (START + message[0] * TICK) * MS if message else 0
            event = Event("light", tick, Light(stamp=stamp, on=message[1])) if message else None
            said += rule.step((START + tick * TICK) * MS, event).said
        runs.append(said)
    assert runs[0] == runs[1]
    fired = [one for one in runs[0] if isinstance(one, Decision) and one.outcome == "fired"]
    assert all(decision.age <= 0.15 for decision in fired)
