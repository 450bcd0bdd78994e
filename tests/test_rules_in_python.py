"""``@rule``: what a function makes of a stream, and that it is the same as what a rule file does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_engine import MS, START, TICK, TOPICS, Beep, Light, Reference, face, messages, stamps_in_order
from tests.test_engine import ticks as times
from zuluko import Latest, Message, Stream, rule
from zuluko.actions.decorator import RuleError
from zuluko.actions.rulefile import check
from zuluko.actions.rules import rules
from zuluko.bus.message import Command
from zuluko.document import parse
from zuluko.launch import signature
from zuluko.messages import Decision, Face, Faces, LockCommand, LockState


class Note(Command, tag="PythonNote/1"):
    needs_fresh_evidence = False


@rule(any="items", seen=(2, 3), max_age=0.5, cooldown=1.0)
def unlock(item: Face, faces: Faces, lock: LockState, *, least: float = 0.5) -> LockCommand | None:
    """Opens for whoever is known."""
    if item.name and item.similarity >= least and lock.state == "locked":
        return LockCommand(id="", to="door", open_for=3.0, reason=item.name)
    return None


def seen(*names: str, at: int) -> Faces:
    return Faces(stamp=(START + at) * MS, items=tuple(map(face, names)))


LOCKED = Latest(LockState(state="locked"))


# -- what it is


def test_it_is_a_node_like_any_other():
    read = signature.read(unlock)
    assert [(one.name, one.kind, one.types) for one in read.inputs] == [
        ("faces", "stream", (Faces,)),
        ("lock", "latest", (LockState,)),
    ]
    assert read.outputs == (Decision, LockCommand)
    assert (read.options, read.required) == ({"least": float}, ())
    assert (unlock.__name__, unlock.__doc__) == ("unlock", "Opens for whoever is known.")
    assert unlock.function(face("ana"), Faces(), LockState(state="unlocked")) is None


def test_it_runs_over_a_list_and_gives_the_functions_command():
    said = list(unlock([seen("ana", at=66 * n) for n in range(4)], LOCKED))
    (command,) = [one for one in said if isinstance(one, LockCommand)]
    (fired,) = [one for one in said if isinstance(one, Decision) and one.outcome == "fired"]
    assert (command.to, command.reason, command.stamp) == ("door", "ana", fired.stamp)
    assert command.id == fired.command == f"unlock-{fired.stamp}-1-1"
    assert said.index(command) == said.index(fired) + 1
    assert (fired.reason, fired.topic) == ("seen 2 of 3", "faces")
    assert [(clause.text, clause.verdict) for clause in fired.clauses] == [("unlock", "true")]


def test_its_configuration_is_handed_on():
    said = unlock([seen("ana", at=66 * n) for n in range(4)], LOCKED, least=0.9)
    assert {one.outcome for one in said} == {"false"}


def test_without_an_input_it_is_unknown_and_is_not_asked():
    said = list(unlock(Stream([seen("ana", at=0)], topic="camera.faces"), Latest()))
    assert [(one.outcome, one.topic) for one in said] == [("unknown", "camera.faces")]
    assert said[0].reason == "clause `unlock` is unknown (lock has not been heard)"


def test_an_input_that_may_be_none_is_none() -> None:
    @rule()
    def dark(light: Light, faces: Faces | None) -> bool | None:
        return None if faces is None else not light.on

    light = [Light(stamp=START * MS, on=False)]
    assert [one.outcome for one in dark(light, Latest())] == ["unknown"]
    assert [one.outcome for one in dark(light, Latest(Faces()))] == ["fired"]


def test_a_command_that_only_tells_needs_no_max_age() -> None:
    @rule()
    def note(light: Light) -> Note | None:
        return Note(id="") if light.on else None

    said = list(note([Light(stamp=START * MS, on=True)]))
    assert [type(one) for one in said] == [Decision, Note]


def wrong(function: Any, **keys: Any) -> str:
    with pytest.raises(RuleError) as caught:
        rule(**keys)(function)
    return str(caught.value)


def test_what_cannot_be_a_rule_is_said():
    def commands(light: Light) -> Beep | None:
        raise NotImplementedError

    def plain(light: Light) -> bool:
        raise NotImplementedError

    def nothing() -> bool:
        raise NotImplementedError

    def loose(light) -> bool:
        raise NotImplementedError

    def vague(light: Light | Faces) -> bool:
        raise NotImplementedError

    def silent(light: Light):
        raise NotImplementedError

    def text(light: Light) -> str:
        raise NotImplementedError

    def items(item: Face, faces: Faces) -> bool:
        raise NotImplementedError

    assert "needs max_age" in wrong(commands)
    assert "seen=(3, 2)" in wrong(plain, seen=(3, 2))
    assert "hold=-1 must be 0 or more" in wrong(plain, hold=-1)
    assert "again=0 would fire without end" in wrong(plain, again=0)
    assert "goes with any=" in wrong(plain, any="items")
    assert "goes with any=" in wrong(items)
    assert "Faces has no field `itms`; did you mean `items`?" in wrong(items, any="itms")
    assert "stale names `lock`, and it takes light" in wrong(plain, stale={"lock": 3})
    assert "needs a message to look at" in wrong(nothing)
    assert "annotated with one message type" in wrong(loose)
    assert "annotated with one message type" in wrong(vague)
    assert "annotated to return bool" in wrong(silent)
    assert "annotated to return bool" in wrong(text)


def test_a_function_that_returns_something_else_is_told_at_once() -> None:
    @rule()
    def odd(light: Light) -> bool:
        return 3  # type: ignore[return-value]

    with pytest.raises(RuleError, match="`odd` returned 3; it is annotated to return bool"):
        list(odd([Light(stamp=START * MS)]))


# -- both forms and a slow, obvious reference


class Clock(Stream[Message]):
    """A stream that goes on by steps of TICK after its last message, as a graph does."""

    def __init__(self, came: dict[int, Message], until: int) -> None:
        super().__init__([])
        self.came, self.end = came, until
        self.topic = "light"
        self.now = START * MS - TICK * MS

    def next(self, timeout: float | None = None) -> Message | None:
        due = None if timeout is None else self.now + round(timeout * 1e9)
        while self.now < (START + self.end * TICK) * MS:
            self.now += TICK * MS
            if (message := self.came.get(self.now)) is not None:
                self.seq += 1
                return message
            if due is not None and self.now >= due:
                return None
        self.ended = True
        return None


def both(left: bool | None, right: bool | None) -> bool | None:
    return False if left is False or right is False else None if left is None or right is None else True


LEVELS = st.sampled_from(["open", "open", "open", "shut", "unheard"])


@settings(max_examples=400, deadline=None)
@given(
    spaced=messages,
    window=st.tuples(st.integers(1, 4), st.integers(0, 3)),
    hold=times,
    cooldown=times,
    max_age=times,
    again=st.sampled_from([None, 1, 4, 20]),
    level=LEVELS,
)
def test_a_file_a_function_and_the_reference_agree(
    spaced, window, hold, cooldown, max_age, again, level
) -> None:
    k, n = window[0], window[0] + window[1]
    seconds = {name: value * TICK / 1000 for name, value in [("h", hold), ("c", cooldown), ("m", max_age)]}
    again_s = {"again": again * TICK / 1000} if again else {}

    @rule(seen=(k, n), hold=seconds["h"], cooldown=seconds["c"], max_age=seconds["m"], **again_s)
    def beep(light: Light, lock: LockState | None) -> bool | None:
        return both(light.on, lock and lock.state == "unlocked")

    text = (
        f"beep: {{when: light, if: [light.on, lock.state == 'unlocked'], seen: {k} of {n}, "
        f"for: {hold * TICK}ms, cooldown: {cooldown * TICK}ms, max_age: {max_age * TICK}ms"
        + (f", again: {again * TICK}ms}}" if again else "}")
    )
    ruleset = check(parse(text, file="t"), topics=TOPICS, actuators={})
    lock = Latest({"open": LockState(state="unlocked"), "shut": LockState(state="locked")}.get(level))
    came = stamps_in_order(spaced)
    end = max(came, default=0) + 80

    def stream() -> Clock:
        heard = {
            (START + tick * TICK) * MS: Light(stamp=(START + stamp * TICK) * MS, on=on)
            for tick, (stamp, on) in came.items()
        }
        return Clock(heard, end)

    of_file = list(rules(stream(), {"lock": lock}, ruleset=ruleset))
    of_function = list(beep(stream(), lock))
    reference = Reference(k, n, hold * TICK, cooldown * TICK, max_age * TICK, again and again * TICK)
    for tick in range(end + 1):
        message = came.get(tick)
        reference.tick(tick * TICK, message and (message[0] * TICK, message[1] is True and level == "open"))
    fired = [
        round((one.stamp / 1e9 + one.age) * 1000) - START for one in of_function if one.outcome == "fired"
    ]
    assert fired == reference.fired
    assert [told(one) for one in of_file] == [told(one) for one in of_function]


def told(one: Decision) -> tuple[Any, ...]:
    """A Decision without what the two forms say in words of their own."""
    fields = ("rule", "stamp", "outcome", "topic", "seq", "seen", "of", "held", "age", "since")
    return tuple(getattr(one, name) for name in fields)
