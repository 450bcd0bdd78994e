"""Timers, silences, sequences, ends, blocks and delays: what each makes of a stream. Times are in milliseconds."""

from datetime import UTC, datetime

import pytest

from tests.test_engine import ACTUATORS, MS, START, TOPICS, Aged, Beep, Light, Run, face
from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.rulefile import check
from zuluko.bus.message import Command
from zuluko.bus.streams import Latest
from zuluko.document import parse
from zuluko.messages import Decision, Faces, LockCommand


def engine(text: str, **keys: str) -> Engine:
    ruleset = check(parse(text, file="test.yaml"), topics=TOPICS, actuators=ACTUATORS, **keys)
    return Engine(ruleset.rules, zone=ruleset.zone)


class Tape(Run):
    """A run that goes on by itself: whatever is due between two messages happens at its time."""

    def until(self, at: int) -> list[tuple[int, str]]:
        """What happens up to ``at``: the time and the outcome or the command's receiver."""
        told = []
        while self.deadline is not None and self.deadline <= at:
            told += self.step(self.deadline)
        return told

    def step(self, at: int, event: Event | None = None) -> list[tuple[int, str]]:
        step = self.engine.step((START + at) * MS, event, self.levels)
        self.deadline = None if step.deadline is None else -(-step.deadline // MS) - START
        self.said += step.said
        return [(at, one.outcome if isinstance(one, Decision) else one.to) for one in step.said]

    def tell(self, topic: str, message, *, at: int) -> list[tuple[int, str]]:
        before = self.until(at - 1)
        self.seq[topic] = self.seq.get(topic, -1) + 1
        return before + self.step(at, Event(topic, self.seq[topic], message))

    def lit(self, *ons: bool | None, at: int, every: int = 100) -> list[tuple[int, str]]:
        return [
            one
            for number, on in enumerate(ons)
            for one in self.tell(
                "light", Light(stamp=(START + at + number * every) * MS, on=on), at=at + number * every
            )
        ]

    @property
    def last(self) -> Decision:
        return [one for one in self.said if isinstance(one, Decision)][-1]

    @property
    def commands_given(self) -> list[Command]:
        return [one for one in self.said if isinstance(one, Command)]


def outcomes(told: list[tuple[int, str]]) -> list[str]:
    return [what for _, what in told]


# -- what triggers


def test_each_of_several_topics_triggers():
    tape = Tape(engine("a: {when: [light, faces], if: [light.on, size(faces.items) == 0]}"))
    assert outcomes(tape.lit(True, at=0)) == ["unknown"]
    assert outcomes(tape.tell("faces", Faces(stamp=(START + 10) * MS), at=10)) == ["fired"]
    assert tape.last.topic == "faces"
    assert outcomes(tape.lit(False, at=20)) == ["false"]


def test_the_other_topics_that_trigger_are_evidence_too_and_must_be_fresh():
    tape = Tape(engine("a: {when: [light, faces], if: [light.on], max_age: 500ms, do: {horn: {}}}"))
    tape.lit(False, at=0)
    tape.lit(True, at=100)
    assert len(tape.commands_given) == 1
    tape.lit(False, at=200)
    tape.said.clear()
    assert outcomes(tape.tell("faces", Faces(stamp=(START + 701) * MS), at=701)) == ["unknown"]
    assert "light is 0.501 s old, at most 0.5" in tape.last.reason


def test_order_is_asked_of_each_topic_by_itself_and_ids_tell_topics_apart():
    tape = Tape(engine("a: {when: [light, faces], if: ['true'], max_age: 5s, again: 10ms, do: {horn: {}}}"))
    tape.tell("faces", Faces(stamp=(START + 50) * MS), at=50)
    assert outcomes(tape.tell("light", Light(stamp=(START + 50) * MS), at=60)) == ["fired", "horn"]
    assert outcomes(tape.tell("light", Light(stamp=(START + 40) * MS), at=70))[:1] != ["fired"]
    assert "out of order" in tape.last.reason
    assert len({one.id for one in tape.commands_given}) == len(tape.commands_given) >= 2


def test_a_timer_ticks_at_the_multiples_of_its_period_and_fires_once_until_it_was_false():
    tape = Tape(engine("a: {when: every 10s, if: [light.on]}"))
    tape.levels["light"] = Latest(Light(on=True))
    assert tape.step(3) == []
    assert tape.until(30_000) == [(10_000, "fired"), (20_000, "held"), (30_000, "held")]
    assert tape.last.stamp == (START + 30_000) * MS
    tape.levels["light"] = Latest(Light(on=False))
    assert outcomes(tape.until(40_000)) == ["false"]
    tape.levels["light"] = Latest(Light(on=True))
    assert outcomes(tape.until(50_000)) == ["fired"]


def test_of_ticks_that_a_late_step_finds_due_only_the_last_is_looked_at():
    tape = Tape(engine("a: {when: every 10s, if: [light.on]}"))
    tape.step(0)
    assert outcomes(tape.step(35_000)) == ["unknown"]
    assert tape.last.stamp == (START + 30_000) * MS
    assert tape.deadline == 40_000


def test_a_message_comes_before_the_tick_of_its_moment():
    tape = Tape(engine("a: {when: [light, every 10s], if: [light.on]}"))
    tape.step(0)
    assert tape.lit(True, at=10_000) == [(10_000, "fired"), (10_000, "held")]


def test_start_triggers_once():
    tape = Tape(engine("a: {when: [start, light], if: ['true']}"))
    assert tape.step(5) == [(5, "fired")]
    assert (tape.last.topic, tape.last.age) == ("start", 0.0)
    assert tape.step(6) == []
    assert tape.deadline is None


# -- all


def test_all_needs_each_item_and_at_least_one():
    tape = Tape(engine("a: {when: faces, all: items, if: [item.name != '', item.score > 0.5]}"))
    told = [
        outcomes(tape.tell("faces", Faces(stamp=(START + at) * MS, items=tuple(map(face, names))), at=at))[0]
        for at, names in enumerate([(), ("ana", ""), ("ana", "ben"), ("", "")])
    ]
    assert told == ["false", "false", "fired", "false"]
    assert [clause.verdict for clause in tape.last.clauses] == ["false", "true"]


# -- silence

HALT = "a: {if_silent: {light: 500ms}, max_age: 100ms, again: 2s, do: {horn: {}}}"


def test_silence_acts_when_it_has_lasted_long_enough_and_ends_at_a_message():
    tape = Tape(engine(HALT))
    tape.step(0)
    assert tape.lit(True, True, at=400, every=400) == []
    assert tape.until(1400) == [(1300, "fired"), (1300, "horn")]
    assert (tape.last.age, tape.last.reason) == (0.0, "all clauses are true")
    assert tape.commands_given[0].stamp == (START + 1300) * MS
    assert outcomes(tape.lit(True, at=1500)) == ["false"]
    assert (
        tape.last.reason == "clause `light is silent for 0.5 s` is false (light is silent for 0.5 s = False)"
    )
    assert outcomes(tape.until(2000)) == ["fired", "horn"]


def test_a_topic_that_was_never_heard_is_silent_from_the_start_and_again_repeats():
    tape = Tape(engine(HALT))
    tape.step(0)
    told = [(at, what) for at, what in tape.until(4600) if what == "horn"]
    assert told == [(500, "horn"), (2500, "horn"), (4500, "horn")]


def test_a_message_ends_a_silence_however_old_it_is():
    tape = Tape(engine(HALT.replace("do:", "else_do: {lock: {}}, do:")))
    tape.step(0)
    tape.until(600)
    late = Light(
        stamp=(START + 350) * MS, on=True
    )  # older than max_age, and from before the silence was told
    assert outcomes(tape.tell("light", late, at=650)) == ["ended", "lock"]
    assert (tape.last.topic, tape.last.seq, tape.last.age) == ("light", 0, 0.0)
    assert (1150, "fired") in tape.until(1200)
    assert tape.deadline is not None


def test_of_a_rule_that_only_the_clock_triggers_levels_are_the_evidence():
    text = "a: {when: every 100ms, if: [light.on], max_age: 500ms, do: {horn: {}}}"
    tape = Tape(engine(text))
    tape.levels["light"] = Aged(Light(on=True), 0.6)
    tape.step(0)
    assert outcomes(tape.until(100)) == ["unknown"]
    assert "light is 0.6 s old, at most 0.5" in tape.last.reason
    tape = Tape(engine(text.replace("max_age", "stale: {light: 1s}, max_age")))
    tape.levels["light"] = Aged(Light(on=True), 0.6)
    tape.step(0)
    assert outcomes(tape.until(100)) == ["fired", "horn"]


def test_clauses_beside_a_silence_are_levels():
    tape = Tape(engine("a: {if_silent: {light: 500ms}, if: [size(faces.items) == 0]}"))
    tape.step(0)
    assert tape.until(600) == [(500, "unknown")]
    tape.levels["faces"] = Latest(Faces())
    assert tape.until(1000) == [(1000, "fired")]


# -- sequences

SHAKE = "a: {when: light, sequence: [light.on, '!light.on', light.on], within: 300ms}"


@pytest.mark.parametrize(
    ("ons", "fired"),
    [
        ([True, False, True], [200]),
        ([True, True, False, True], [300]),
        ([True, False, False, True], [300]),
        ([True, False, False, False, True], []),
        ([False, True, True], []),
        ([True, False, True, False, True], [200]),
        ([True, False, True, True, False, True], [200, 500]),
        ([True, None, False, True], [300]),
    ],
)
def test_a_sequence_is_true_at_its_last_step_if_all_came_in_order_and_in_time(ons, fired):
    tape = Tape(engine(SHAKE))
    assert [at for at, what in tape.lit(*ons, at=0) if what == "fired"] == fired


def test_a_remark_in_a_step_is_no_part_of_it():
    tape = Tape(engine(SHAKE.replace("[light.on,", "['light.on // bright',")))
    assert outcomes(tape.lit(True, False, True, at=0)) == ["false", "false", "fired"]


def test_messages_of_one_stamp_are_one_step():
    tape = Tape(engine("a: {when: light, sequence: [light.on, '!light.on'], within: 300ms}"))
    for at, on in enumerate([True, False]):
        tape.tell("light", Light(stamp=START * MS, on=on), at=at)
    assert tape.last.outcome == "false"


# -- ends

ON_OFF = "a: {when: light, if: [light.on], max_age: 1s, do: {horn: {}}, else_do: {lock: {}}}"


def test_else_do_is_given_once_when_what_had_fired_is_false_and_never_for_unknown():
    tape = Tape(engine(ON_OFF))
    assert outcomes(tape.lit(False, True, None, None, False, False, at=0)) == [
        *("false", "fired", "horn", "unknown", "unknown", "ended", "lock", "false"),
    ]
    ended = [one for one in tape.said if isinstance(one, Decision)][4]
    assert ended.reason == "it had fired, and now clause `light.on` is false (light.on = False)"
    assert ended.command == tape.commands_given[1].id
    assert isinstance(tape.commands_given[1], LockCommand)


def test_what_never_fired_does_not_end():
    tape = Tape(engine(ON_OFF.replace("max_age: 1s", "max_age: 1s, for: 150ms")))
    assert outcomes(tape.lit(True, False, at=0)) == ["held", "false"]


def test_else_do_waits_until_it_holds_for_nobody():
    tape = Tape(
        engine(
            "a: {when: faces, any: items, if: [item.name != ''], max_age: 1s, do: {horn: {}}, else_do: {lock: {}}}"
        )
    )
    told = [
        outcomes(tape.tell("faces", Faces(stamp=(START + at) * MS, items=tuple(map(face, names))), at=at))
        for at, names in enumerate([("ana",), ("ana", "ben"), ("ben",), ("",)])
    ]
    assert told == [["fired", "horn"], ["fired", "horn"], ["held"], ["ended", "lock"]]


# -- blocks

STOP = """
go: {when: light, if: [light.on], max_age: 1s, do: [{horn: {}}, {horn: {}, delay: 1s}]}
stop: {when: faces, if: [size(faces.items) > 0], blocks: go}
"""


def faces(*names: str, at: int) -> Faces:
    return Faces(stamp=(START + at) * MS, items=tuple(map(face, names)))


def test_a_rule_that_stands_blocks_others_until_it_is_false():
    tape = Tape(engine(STOP))
    tape.tell("faces", faces("x", at=0), at=0)
    assert outcomes(tape.lit(True, True, at=100)) == ["blocked", "blocked"]
    assert tape.last.reason == "blocked by `stop`, which stands since it fired"
    assert tape.deadline is None
    tape.tell("faces", faces(at=300), at=300)
    assert outcomes(tape.lit(True, at=400)) == ["fired", "horn"]


def test_what_was_still_to_come_of_a_blocked_rule_is_not_given():
    tape = Tape(engine(STOP))
    tape.lit(True, at=0)
    assert outcomes(tape.tell("faces", faces("x", at=100), at=100)) == ["fired", "blocked"]
    assert tape.last.reason.endswith("its commands that were still to come are not given")
    assert tape.until(5000) == []
    assert len(tape.commands_given) == 1


def test_a_block_holds_in_the_step_in_which_it_begins_and_through_unknown_and_silence():
    tape = Tape(
        engine(STOP.replace("when: faces, if: [size(faces.items) > 0]", "when: light, if: [light.on]"))
    )
    assert outcomes(tape.lit(True, at=0)) == ["fired", "blocked"]
    assert outcomes(tape.lit(None, at=9000)) == ["unknown", "unknown"]
    assert tape.engine._runs[0].fired is not None
    assert outcomes(tape.lit(False, at=9100)) == ["false", "false"]
    assert tape.engine._runs[0].fired is None


def test_a_block_is_not_lifted_by_what_is_not_known():
    tape = Tape(engine(STOP.replace("blocks: go", "blocks: go, max_age: 500ms")))
    tape.tell("faces", faces("x", at=0), at=0)
    assert outcomes(tape.tell("faces", faces(at=100), at=4000)) == ["unknown"]
    assert outcomes(tape.lit(True, at=4100)) == ["blocked"]
    assert outcomes(tape.tell("faces", faces(at=4200), at=4200)) == ["false"]
    assert outcomes(tape.lit(True, at=4300)) == ["fired", "horn"]


# -- delays and modes

SLOW = "a: {when: light, if: [light.on], max_age: 1s, mode: MODE, do: [{horn: {}}, {lock: {}, delay: 1s}, {horn: {}, delay: 500ms}]}"


def play(mode: str, *fire_at: int) -> list[tuple[int, str]]:
    tape, told = Tape(engine(SLOW.replace("MODE", mode))), []
    for at in fire_at:
        told += tape.lit(False, True, at=at, every=10)
    told += tape.until(20_000)
    assert len({one.id for one in tape.commands_given}) == len(tape.commands_given)
    return [(at, what) for at, what in told if what in ("horn", "lock")]


def test_commands_in_order_with_delays_stand_on_the_evidence_of_the_firing():
    assert play("single", 0) == [(10, "horn"), (1010, "lock"), (1510, "horn")]
    tape = Tape(engine(SLOW.replace("MODE", "single")))
    tape.lit(True, at=0)
    tape.until(5000)
    assert {one.stamp for one in tape.commands_given} == {START * MS}


def test_single_lets_no_other_firing_in_between():
    tape = Tape(engine(SLOW.replace("MODE", "single")))
    tape.lit(True, False, True, at=0)
    assert tape.last.outcome == "blocked"
    assert tape.last.reason == "its commands of the last firing are still to come, for 1.3 s"
    tape.lit(True, at=1200)
    assert (1500, "fired") in tape.until(1600)


def test_restart_drops_the_rest_of_the_last():
    assert play("restart", 0, 500) == [(10, "horn"), (510, "horn"), (1510, "lock"), (2010, "horn")]


def test_queued_waits_for_the_end_of_the_last():
    assert play("queued", 0, 500) == [
        *((10, "horn"), (1010, "lock"), (1510, "horn")),
        *((1510, "horn"), (2510, "lock"), (3010, "horn")),
    ]


def test_parallel_lets_them_run_side_by_side_up_to_so_many():
    both = [(10, "horn"), (510, "horn"), (1010, "lock"), (1510, "lock"), (1510, "horn"), (2010, "horn")]
    assert sorted(play("parallel", 0, 500)) == sorted(both)
    assert len(play("parallel, max: 2", 0, 200, 400)) == 6


def test_else_do_ends_what_was_still_to_come():
    tape = Tape(
        engine(
            "a: {when: light, if: [light.on], max_age: 1s, do: [{horn: {}}, {horn: {}, delay: 1s}], else_do: {lock: {}}}"
        )
    )
    told = tape.lit(True, False, at=0) + tape.until(5000)
    assert [what for _, what in told if what in ("horn", "lock")] == ["horn", "lock"]


# -- what clauses ask beyond messages


def test_now_and_age():
    tape = Tape(engine("a: {when: light, if: [now > 1.0, age(faces) < 5.0]}"))
    assert outcomes(tape.lit(True, at=0)) == ["unknown"]
    tape.levels["faces"] = Latest(Faces())
    assert outcomes(tape.lit(True, at=10)) == ["fired"]
    assert [clause.values for clause in tape.last.clauses] == [
        {"now": (START + 10) / 1e3},
        {"age(faces)": 0.0},
    ]


@pytest.mark.parametrize(
    ("zone", "hour", "said"),
    [("UTC", 21, "false"), ("Europe/Berlin", 21, "fired"), ("Asia/Tokyo", 21, "false")],
)
def test_the_time_of_day_is_that_of_the_zone(zone, hour, said):
    when = int(datetime(2026, 7, 4, hour, 30, tzinfo=UTC).timestamp() * 1e9)
    clause = 'between("22:00", "06:00") && weekday() == "sat"'
    rule = engine(f"a: {{when: light, if: ['{clause}']}}", zone=zone)
    (decision,) = rule.step(when, Event("light", 0, Light(stamp=when))).said
    assert decision.outcome == said


def test_a_parameter_names_the_zone():
    text = 'params: {zone: Asia/Tokyo}\na: {when: light, if: [\'between("06:00", "07:00")\']}'
    when = int(datetime(2026, 7, 4, 21, 30, tzinfo=UTC).timestamp() * 1e9)
    (decision,) = engine(text).step(when, Event("light", 0, Light(stamp=when))).said
    assert decision.outcome == "fired"


def widths(text: str, *values: int, every: int = 1000) -> tuple[Tape, list[str]]:
    tape, told = Tape(engine(f"a: {{when: faces, if: ['{text}'], stale: {{faces: 1h}}}}")), []
    for number, value in enumerate(values):
        stamp = (START + number * every) * MS
        told += tape.tell("faces", Faces(stamp=stamp, size=(value, 0)), at=number * every)
    return tape, outcomes(told)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        ("mean", [10.0, 15.0, 20.0, 40.0]),
        ("min", [10, 10, 10, 20]),
        ("max", [10, 20, 30, 70]),
        ("change", [0, 10, 20, 50]),
    ],
)
def test_windows_reach_back_so_long(function, values):
    tape, _ = widths(f'{function}(faces.size[0], "2s") >= 0.0', 10, 20, 30, 70)
    told = [one.clauses[0].values for one in tape.said]
    assert told == [{f'{function}(faces.size[0], "2s")': value} for value in values]


def test_hysteresis_is_unknown_until_it_was_beyond_and_then_keeps_its_side():
    _, told = widths("hysteresis(faces.size[0], 19, 21)", 20, 21, 20, 19, 20, 22)
    assert told == ["unknown", "fired", "held", "false", "false", "fired"]


def test_a_value_looked_at_again_takes_the_place_of_the_last():
    tape = Tape(engine("a: {when: faces, if: ['max(faces.size[0], \"5s\") > 15.0']}"))
    for at, width in enumerate([20, 10]):
        tape.tell("faces", Faces(stamp=START * MS, size=(width, 0)), at=at)
    assert tape.last.outcome == "false"


def test_a_long_silence_forgets_what_was_before():
    tape = Tape(engine("a: {when: faces, if: ['hysteresis(faces.size[0], 19, 21)'], max_age: 1s}"))
    tape.tell("faces", Faces(stamp=START * MS, size=(30, 0)), at=0)
    assert outcomes(tape.tell("faces", Faces(stamp=(START + 3001) * MS, size=(20, 0)), at=3001)) == [
        "unknown"
    ]


def test_evidence_that_is_too_old_is_not_remembered():
    tape = Tape(engine("a: {when: faces, if: ['max(faces.size[0], \"5s\") > 15.0'], max_age: 100ms}"))
    tape.tell("faces", Faces(stamp=START * MS, size=(20, 0)), at=200)
    assert outcomes(tape.tell("faces", Faces(stamp=(START + 300) * MS, size=(10, 0)), at=300)) == ["false"]


def test_points():
    tape = Tape(
        engine(
            "a: {when: faces, any: items, if: ['distance([item.box[0], item.box[1]], [3.0, 4.0]) == 5.0', "
            "'inside([item.box[2], item.box[3]], [[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])']}"
        )
    )
    assert outcomes(tape.tell("faces", faces("ana", at=0), at=0)) == ["fired"]


def test_a_command_that_only_tells_needs_no_fresh_evidence():
    class Say(Command, tag="EngineSay/1"):
        needs_fresh_evidence = False

    text = "a: {when: light, if: [light.on], do: {horn: {}}}"
    (rule,) = check(parse(text, file="t"), topics=TOPICS, actuators={"horn": Say}).rules
    assert rule.do[0].kind is Say
    with pytest.raises(Exception, match="needs `max_age`"):
        check(parse(text, file="t"), topics=TOPICS, actuators={"horn": Beep})
