"""``on_failure``: what a rule does when a command of its own was not taken, refused or not carried out."""

from pathlib import Path
from typing import Any

import pytest

from tests.running import up, write
from tests.test_engine import MS, START, Light
from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.explanation import explain
from zuluko.actions.failures import failure
from zuluko.actions.rulefile import check
from zuluko.bus.message import Message
from zuluko.document import DocumentError, parse
from zuluko.launch import launchfile
from zuluko.messages import (
    Decision,
    Delivery,
    DriveState,
    LockCommand,
    LockState,
    SayCommand,
    SayState,
)

TOPICS: dict[str, Any] = {"light": Light, "lock": LockState, "voice": SayState}
ACTUATORS: dict[str, Any] = {"lock": LockCommand, "voice": SayCommand}
RULE = """
open:
  when: light
  if: light.on
  max_age: 500ms
  do:
    - lock: {open_for: 3s}
    - voice: {text: come in}
      delay: 1s
  on_failure:
    - voice: {text: sorry}
    - voice: {text: ring}
      delay: 100ms
"""


class Door:
    """The rule, and what it says to what it hears, each at a moment in ms."""

    def __init__(self, text: str = RULE) -> None:
        self.ruleset = check(parse(text, file="door"), topics=TOPICS, actuators=ACTUATORS, name="rules")
        self.engine, self.seq = Engine(self.ruleset.rules, name="rules"), 0
        self.ids: list[str] = []

    def hear(self, at: int, topic: str = "", message: Message | None = None) -> list[str]:
        self.seq += 1
        event = Event(topic, self.seq, message) if message else None
        told: list[str] = []
        for one in self.engine.step((START + at) * MS, event).said:
            if isinstance(one, Decision):
                told.append(one.outcome)
                self.decision = one
            else:
                self.ids.append(one.id)
                told.append(getattr(one, "text", one.to))
                self.command = one
        return told

    def light(self, at: int, on: bool = True) -> list[str]:
        return self.hear(at, "light", Light(stamp=(START + at) * MS, on=on))


def undelivered(command: str, outcome: Any = "failed") -> Delivery:
    return Delivery(
        command=command, to="lock", outcome=outcome, reason="no answer within 2 s" * (outcome == "failed")
    )


def test_a_command_that_nobody_takes_has_another_and_drops_the_rest():
    door = Door()
    assert door.light(0) == ["fired", "lock"]
    first = door.ids[0]
    assert door.hear(200, "rules.delivery", undelivered(first)) == ["failed", "sorry"]
    assert door.decision.reason == "its command to lock failed: no answer within 2 s"
    assert (door.decision.stamp, door.decision.age, door.decision.topic) == (
        START * MS,
        0.2,
        "rules.delivery",
    )
    assert door.decision.command == door.command.id == f"{first}-failure-1"
    assert door.command.stamp == START * MS
    assert door.hear(300) == ["ring"]
    assert door.hear(1100) == []  # nobody is asked to come in
    assert len(set(door.ids)) == len(door.ids)


def test_what_is_taken_or_another_rules_or_told_again_fails_nothing():
    door = Door()
    door.light(0)
    for command, outcome in ((door.ids[0], "taken"), ("rules.other-1-1-1", "failed"), ("", "failed")):
        assert door.hear(100, "rules.delivery", undelivered(command, outcome)) == []
    assert door.hear(150, "lock", LockState(state="unlocked", reason="open", command=door.ids[0])) == []
    assert door.hear(200, "rules.delivery", undelivered(door.ids[0])) == ["failed", "sorry"]
    assert door.hear(210, "rules.delivery", undelivered(door.ids[0])) == []
    assert door.hear(220, "lock", LockState(state="locked", reason="refused: it", command=door.ids[0])) == []


def test_a_command_that_its_actuator_refuses_has_failed():
    door = Door()
    door.light(0)
    state = LockState(state="locked", reason="refused: the evidence is 2 s old", command=door.ids[0])
    assert door.hear(100, "lock", state) == ["failed", "sorry"]
    assert explain(door.decision).why == "its command to lock was refused: the evidence is 2 s old"


def test_what_on_failure_commands_may_fail_without_end_of_it():
    door = Door()
    door.light(0)
    door.hear(100, "rules.delivery", undelivered(door.ids[0]))
    assert door.hear(150, "rules.delivery", undelivered(door.ids[1])) == []


def test_without_on_failure_nothing_is_heard_and_the_rest_is_given():
    door = Door(RULE.partition("  on_failure")[0])
    assert door.ruleset.reports == ()
    door.light(0)
    assert door.hear(100, "rules.delivery", undelivered(door.ids[0])) == []
    assert door.hear(1000) == ["come in"]


def test_only_the_firing_that_failed_loses_its_rest():
    door = Door(RULE.replace("  do:", "  mode: parallel\n  max: 2\n  again: 100ms\n  do:"))
    door.light(0)
    assert door.light(100) == ["fired", "lock"]
    door.hear(200, "rules.delivery", undelivered(door.ids[0]))
    assert "come in" not in door.hear(1050)
    assert "come in" in door.hear(1100)


@pytest.mark.parametrize("mode", ["restart", "queued\n  max: 3"])
def test_it_waits_for_no_other_firing_and_drops_none(mode):
    door = Door(RULE.replace("  do:", f"  mode: {mode}\n  do:"))
    door.light(0)
    first = door.ids[0]
    door.light(50, on=False)
    assert "fired" in door.light(100)
    assert door.hear(200, "rules.delivery", undelivered(first)) == ["failed", "sorry"]
    assert "ring" in door.hear(300)
    heard = [text for at in range(400, 4000, 100) for text in door.hear(at)]
    assert heard.count("come in") == 1  # of the second


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (undelivered("c"), "failed: no answer within 2 s"),
        (undelivered("c", "taken"), ""),
        (SayState(command="c", outcome="refused", reason="8 wait"), "was refused: 8 wait"),
        (SayState(command="c", outcome="done", reason="refused: no"), ""),
        (LockState(state="locked", reason="refused: old"), "was refused: old"),
        (LockState(state="locked", reason="refusal"), ""),
        (LockState(state="unlocked", reason="time is up, but it did not lock: jam"), "failed: time is up, but it did not lock: jam"),
        (DriveState(state="stopped", reason="go, but it did not drive: x"), "failed: go, but it did not drive: x"),
        (Light(on=True), ""),
    ],
)  # fmt: skip
def test_what_counts_as_a_failure(message, said):
    assert failure(message) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE.partition("  do:")[0] + "  on_failure: {voice: {text: sorry}}", "6:3: `on_failure` is for commands of `do` that fail, and there are none"),
        (RULE.replace("{text: sorry}", "{txt: sorry}"), "11:15: SayCommand has no field `txt`; did you mean `text`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(DocumentError) as caught:
        Door(text)
    assert f"door:{said}" in str(caught.value)


GRAPH = """
nodes:
  clock: {run: "NODES:clock", in: {ticks: every 100ms}}
  rules: {run: graph.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}, max_evidence_age: 1us}
  voice: {run: zuluko.actions.say, in: {commands: rules}}
"""


def test_in_a_graph_a_lock_that_refuses_is_told_of(tmp_path):
    rule = RULE.replace("when: light", "when: clock").replace("if: light.on", 'if: clock.text != ""')
    (tmp_path / "graph.rules.yaml").write_text(rule)
    file = write(tmp_path, GRAPH)
    wires = launchfile.load(Path(file)).entries["rules"].wires
    assert [topic.name for topic in wires[0].topics] == ["clock", "rules.delivery", "lock", "voice"]
    with up(file) as graph:
        graph.wait_for("rules", "open failed: its command to lock was refused: the evidence is ")
        graph.wait_for("voice", "done: sorry")
        graph.stop()
    assert not graph.told("voice", "come in")
