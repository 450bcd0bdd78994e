"""``until``: commands that wait until something is true, and what becomes of them when it is not in time."""

from typing import Any

import pytest

from tests.running import up, write
from tests.test_engine import MS, START, Light
from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.explanation import explain
from zuluko.actions.rulefile import check
from zuluko.bus.message import Message
from zuluko.bus.streams import Latest
from zuluko.document import DocumentError, parse
from zuluko.messages import Decision, Delivery, LockCommand, LockState, SayCommand, SayState

RULE = """
enter:
  when: light
  if: light.on
  max_age: 500ms
  do:
    - lock: {open_for: 3s}
    - voice: {text: wait}
      delay: 100ms
      until: lock.state == "unlocked"
      within: 2s
    - voice: {text: come in}
    - voice: {text: welcome}
      delay: 1s
  on_failure:
    voice: {text: sorry}
"""


class Door:
    """A rule, and a lock whose state it reads; ``play`` runs it on through every deadline."""

    def __init__(self, text: str = RULE) -> None:
        topics: dict[str, Any] = {"light": Light, "lock": LockState, "voice": SayState}
        actuators: Any = {"lock": LockCommand, "voice": SayCommand}
        self.ruleset = check(parse(text, file="r"), topics=topics, actuators=actuators, name="rules")
        self.engine, self.lock = Engine(self.ruleset.rules, name="rules"), Latest[LockState]()
        self.at = 0
        self.deadline: int | None = None
        self.decisions: list[Decision] = []

    def state(self, state: Any) -> None:
        self.lock.value = LockState(stamp=(START + self.at) * MS, state=state)

    def step(self, at: int, topic: str = "", message: Message | None = None) -> list[tuple[int, str]]:
        self.at = at
        event = Event(topic, at, message) if message else None
        step = self.engine.step((START + at) * MS, event, {"lock": self.lock})
        self.deadline = None if step.deadline is None else -(-step.deadline // MS) - START
        self.decisions += [one for one in step.said if isinstance(one, Decision)]
        return [(at, getattr(one, "text", getattr(one, "to", ""))) for one in step.said if not isinstance(one, Decision)]  # fmt: skip

    def light(self, at: int) -> list[tuple[int, str]]:
        return self.step(at, "light", Light(stamp=(START + at) * MS, on=True))

    def play(self, end: int) -> list[tuple[int, str]]:
        told: list[tuple[int, str]] = []
        while self.deadline is not None and self.deadline <= end:
            assert self.deadline > self.at
            told += self.step(self.deadline)
        self.at = end
        return told


def test_what_is_behind_the_gate_is_given_when_it_opens():
    door = Door()
    door.state("locked")
    assert door.light(0) == [(0, "lock")]
    assert door.play(700) == [(100, "wait")]
    door.state("unlocked")
    assert door.play(3000) == [(750, "come in"), (1750, "welcome")]
    assert [one.outcome for one in door.decisions] == ["fired"]
    assert door.deadline is None


def test_a_gate_that_is_open_holds_nothing_up():
    door = Door()
    door.state("unlocked")
    door.light(0)
    assert door.play(3000) == [(100, "wait"), (100, "come in"), (1100, "welcome")]


def test_a_message_has_it_looked_at_at_once():
    door = Door()
    door.state("locked")
    door.light(0)
    door.play(310)
    door.state("unlocked")
    assert door.light(321) == [(321, "come in")]


def test_one_that_does_not_open_in_time_has_failed():
    door = Door()
    door.state("locked")
    door.light(0)
    told = []
    while (door.deadline or 9999) <= 2100:
        door.state("locked")
        told += door.step(door.deadline)
    assert told == [(100, "wait"), (2100, "sorry")]
    decision = door.decisions[-1]
    assert (decision.outcome, decision.stamp) == ("failed", START * MS)
    assert decision.reason == '`lock.state == "unlocked"` did not become true within 2 s'
    assert explain(decision).why == '`lock.state == "unlocked"` did not become true within 2 s'
    assert [(one.verdict, one.values) for one in decision.clauses] == [("false", {"lock.state": "locked"})]
    assert door.play(9000) == []


def test_what_is_not_known_opens_no_gate():
    door = Door()
    door.state("unlocked")
    door.light(0)
    door.lock.value = None
    assert door.play(5000) == [(100, "wait"), (2100, "sorry")]


def test_a_command_that_fails_drops_what_is_behind_the_gate():
    door = Door()
    door.state("locked")
    door.light(0)
    told = Delivery(command=f"rules.enter-{START * MS}-0-1", to="lock", outcome="failed", reason="no answer")
    door.play(150)
    assert door.step(200, "rules.delivery", told) == [(200, "sorry")]
    door.state("unlocked")
    assert door.play(9000) == []


def test_there_is_no_other_firing_while_it_waits():
    door = Door(RULE.replace("  do:", "  again: 100ms\n  do:"))
    door.state("locked")
    door.light(0)
    door.play(150)
    assert door.light(200) == []
    assert door.decisions[-1].reason.startswith(
        "its commands of the last firing are still to come, for at most 2.9"
    )


def test_several_gates_are_gone_through_one_after_the_other():
    text = RULE.replace(
        "    - voice: {text: come in}\n",
        "    - voice: {text: come in}\n      until: light.on\n      within: 1s\n",
    )
    door = Door(text)
    door.state("unlocked")
    door.light(0)
    assert door.play(3000) == [(100, "wait"), (100, "come in"), (1100, "welcome")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      within: 2s\n", "", "10:7: a step with `until` needs `within`, the longest that it may take: `within: 5s`"),
        ("within: 2s", "within: 2", "11:15: `within`: a duration needs its unit: write 2s or 2ms, not 2"),
        ('      until: lock.state == "unlocked"\n', "", "10:7: `within` in a step needs `until`"),
        ('"unlocked"', '"open"', '10:14: `lock.state` is one of locked, unlocked, never `open`'),
        ('lock.state == "unlocked"', "lck.state == 1", "10:14: `lck` is nothing known here; did you mean `lock`?"),
        ('lock.state == "unlocked"', 'mean(light.lux, "1s") > 1.0', "10:14: "),
        ("      delay: 1s\n", "      until: light.on\n      within: 1s\n", "14:7: nothing comes after the last step, for which `until` could wait"),
        ("  on_failure:\n    voice: {text: sorry}", "  else_do:\n    - voice: {text: a}\n      until: light.on\n      within: 1s\n    - voice: {text: b}", "17:7: `until` is for steps of `do`"),
        ("  do:", "  on_restart: resume\n  do:", "6:3: `on_restart` and `until` exclude each other: what a gate waits for is not kept"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(old, new, said):
    with pytest.raises(DocumentError) as caught:
        Door(RULE.replace(old, new, 1))
    assert f"r:{said}" in str(caught.value)


GRAPH = """
nodes:
  clock: {run: "NODES:clock", in: {ticks: every 100ms}}
  rules: {run: graph.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}}
  voice: {run: zuluko.actions.say, in: {commands: rules}}
"""


def test_in_a_graph_the_lock_opens_the_gate(tmp_path):
    rule = RULE.replace("when: light", "when: clock").replace("if: light.on", 'if: clock.text != ""')
    (tmp_path / "graph.rules.yaml").write_text(rule.replace("within: 2s", "within: 20s"))
    with up(write(tmp_path, GRAPH)) as graph:
        graph.wait_for("voice", "done: come in", graph.wait_for("voice", "done: wait"))
        graph.wait_for("voice", "done: welcome")
        graph.stop()
