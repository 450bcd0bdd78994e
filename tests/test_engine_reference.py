"""What clauses remember, ends and blocks, against slow and obvious references over whole histories."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_engine import ACTUATORS, MS, START
from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.rulefile import check
from zuluko.bus.message import Message
from zuluko.document import parse
from zuluko.messages import Decision

STEP = 100  # ms


class Gauge(Message, tag="ReferenceGauge/1"):
    x: float | None = None


History = list[tuple[int, float | None]]  # when (ms), and the value


def dated(spaced: list[tuple[int, float | None]]) -> History:
    found, at = [], 0
    for gap, value in spaced:
        at += gap * STEP
        found.append((at, value))
    return found


histories = st.lists(
    st.tuples(st.sampled_from([1, 1, 2, 3, 9]), st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, None])),
    max_size=30,
).map(dated)


def play(text: str, history: History) -> list[list[tuple[str, str, Any]]]:
    """For each message, of each Decision the rule, the outcome and the values, and the commands' receivers."""
    rules = check(parse(text, file="r"), topics={"gauge": Gauge}, actuators=ACTUATORS).rules
    engine, told = Engine(rules), []
    for seq, (at, value) in enumerate(history):
        now = (START + at) * MS
        step = engine.step(now, Event("gauge", seq, Gauge(stamp=now, x=value)))
        told.append(
            [
                (one.rule, one.outcome, one.clauses[0].values)
                if isinstance(one, Decision)
                else ("", "commands", one.to)
                for one in step.said
            ]
        )
    return told


@settings(max_examples=200, deadline=None)
@given(history=histories, window=st.sampled_from([1, 3, 10]))
def test_windows(history, window):
    functions = {
        "mean": lambda values: sum(values) / len(values),
        "min": min,
        "max": max,
        "change": lambda values: values[-1] - values[0],
    }
    for name, function in functions.items():
        call = f'{name}(gauge.x, "{window * STEP}ms")'
        told = play(f"r: {{when: gauge, if: ['{call} < 100.0'], stale: {{gauge: 1h}}}}", history)
        for number, (at, value) in enumerate(history):
            seen = [x for when, x in history[: number + 1] if x is not None and at - when <= window * STEP]
            ((_, outcome, values),) = told[number]
            assert values == ({call: function(seen)} if value is not None else {})
            assert (outcome == "unknown") == (value is None)


@settings(max_examples=200, deadline=None)
@given(history=histories)
def test_hysteresis(history):
    told = play("r: {when: gauge, if: ['hysteresis(gauge.x, 1.0, 4.0)'], stale: {gauge: 1h}}", history)
    for number, (_, value) in enumerate(history):
        beyond = [x for _, x in history[: number + 1] if x is not None and not 1.0 < x < 4.0]
        side = beyond[-1] >= 4.0 if beyond and value is not None else None
        ((_, outcome, _),) = told[number]
        assert (outcome in ("fired", "held"), outcome == "false") == (side is True, side is False)


@settings(max_examples=300, deadline=None)
@given(history=histories, within=st.sampled_from([1, 2, 4, 10]))
def test_sequence(history, within):
    text = (
        "r: {when: gauge, sequence: [gauge.x < 2.0, gauge.x > 2.0, gauge.x < 3.0], "
        f"within: {within * STEP}ms, stale: {{gauge: 1h}}}}"
    )
    told = play(text, history)
    steps = [lambda x: x < 2.0, lambda x: x > 2.0, lambda x: x < 3.0]
    begin = 0  # the first message that is not yet part of a whole sequence
    for number, (at, value) in enumerate(history):
        known = [
            (n, when, x) for n, (when, x) in enumerate(history) if begin <= n <= number and x is not None
        ]
        whole = value is not None and any(
            at - a <= within * STEP and steps[0](x) and steps[1](y) and steps[2](value)
            for i, a, x in known
            for j, _, y in known
            if i < j < number
        )
        begin = number + 1 if whole else begin
        ((_, outcome, _),) = told[number]
        expected = "unknown" if value is None else "fired" if whole else "false"
        assert outcome == expected


@settings(max_examples=300, deadline=None)
@given(history=histories)
def test_ends_and_blocks(history):
    text = (
        "go: {when: gauge, if: gauge.x >= 2.0, max_age: 1h, do: {horn: {}}, else_do: {lock: {}}}\n"
        "stop: {when: gauge, if: gauge.x >= 4.0, max_age: 1h, blocks: go}\n"
    )
    told = play(text, history)
    stopped = going = used = False
    for number, (_, value) in enumerate(history):
        expected = []
        if value is None:
            used = False  # what is not true is armed again
        else:
            stopped = value >= 4.0
            if value < 2.0:
                expected, going, used = (["lock"] if going else []), False, False
            elif not used and not stopped:
                expected, going, used = ["horn"], True, True
        assert [to for _, what, to in told[number] if what == "commands"] == expected


KEYS = {
    "seen": ["", "seen: 2 of 3, "],
    "for": ["", "for: 150ms, ", "for: 1s, "],
    "max_age": ["max_age: 250ms, ", "max_age: 5s, "],
    "cooldown": ["", "cooldown: 400ms, "],
    "again": ["", "again: 300ms, "],
    "else_do": ["", "else_do: {lock: {}}, ", "else_do: [{lock: {}}, {horn: {}, delay: 200ms}], "],
    "mode": ["", "mode: restart, ", "mode: queued, ", "mode: parallel, max: 2, "],
    "if": ["gauge.x > 2.0", "'gauge.x > 2.0 || now < 1.0'", "'hysteresis(gauge.x, 1.0, 3.0)'"],
    "when": ["gauge", "[gauge, every 700ms]", "[start, gauge]"],
    "do": ["{horn: {}}", "[{horn: {}}, {lock: {}, delay: 450ms}]"],
}
rules = st.fixed_dictionaries({key: st.sampled_from(choices) for key, choices in KEYS.items()})


def written(name: str, keys: dict[str, str], more: str = "") -> str:
    plain = "".join(keys[key] for key in ("seen", "for", "max_age", "cooldown", "again", "else_do", "mode"))
    return f"{name}: {{when: {keys['when']}, if: {keys['if']}, {plain}{more}do: {keys['do']}}}\n"


@settings(max_examples=100, deadline=None)
@given(history=histories, one=rules, other=rules, blocks=st.booleans(), extra=st.integers(1, 90))
def test_steps_too_many_change_nothing_and_all_ends(history, one, other, blocks, extra):
    text = written("one", one, "blocks: other, " if blocks else "") + written("other", other)
    text += "quiet: {if_silent: {gauge: 450ms}, max_age: 1s, do: {horn: {}}}\n"
    assert steps(text, history, None) == steps(text, history, extra)


def steps(text: str, history: History, extra: int | None) -> list[Any]:
    """All that is said, and when, where a step is made at each message and each deadline, and every ``extra``
    ms besides; and that what is said keeps what the rules promise."""
    read = check(parse(text, file="r"), topics={"gauge": Gauge}, actuators=ACTUATORS).rules
    engine, oldest = Engine(read), {rule.name: rule.max_age for rule in read}
    coming = dict(history)
    end, now, seq = max(coming, default=0) + 3000, 0, 0
    said: list[Any] = []
    while now <= end:
        event = None
        if now in coming:
            event = Event("gauge", (seq := seq + 1), Gauge(stamp=(START + now) * MS, x=coming[now]))
        step = engine.step((START + now) * MS, event)
        said += [(now, one) for one in step.said]
        moments = [when for when in coming if when > now] + [end + 1]
        if step.deadline is not None:
            assert step.deadline > (START + now) * MS
            moments.append(-(-step.deadline // MS) - START)
        now = min(moments if extra is None else [*moments, now + extra])
    decisions = [one for _, one in said if isinstance(one, Decision)]
    assert all(one.outcome != "fired" or one.age <= oldest[one.rule] for one in decisions)
    ids = [one.id for _, one in said if not isinstance(one, Decision)]
    assert len(ids) == len(set(ids))
    return said
