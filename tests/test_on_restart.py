"""``on_restart``: what becomes of commands that are still to come when a rules node is started anew."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.asking import node
from tests.running import up, write
from tests.test_engine import MS, START, Light
from tests.waiting import until
from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.host import Host, serve
from zuluko.actions.ledger import Ledger
from zuluko.actions.rulefile import check
from zuluko.bus.topics import graph_dir
from zuluko.document import DocumentError, parse
from zuluko.messages import Decision, LockCommand, SayCommand

RULE = """
greet:
  when: light
  if: light.on
  max_age: 500ms
  mode: parallel
  max: 5
  again: 100ms
  on_restart: HOW
  do:
    - lock: {open_for: 1s}
    - voice: {text: one}
      delay: 1s
    - voice: {text: two}
      delay: 1s
"""


def engine(how: str = "resume", text: str = RULE) -> Engine:
    actuators: Any = {"lock": LockCommand, "voice": SayCommand}
    read = check(parse(text.replace("HOW", how), file="r"), topics={"light": Light}, actuators=actuators)
    return Engine(read.rules, name="rules")


def step(one: Engine, at: int, on: bool | None = None) -> list[tuple[str, str]]:
    """What is commanded: to whom or what text, and the id."""
    event = None if on is None else Event("light", at, Light(stamp=(START + at) * MS, on=on))
    said = one.step((START + at) * MS, event).said
    return [(getattr(c, "text", c.to), c.id) for c in said if not isinstance(c, Decision)]


@pytest.fixture
def kept(tmp_path):
    """A place to keep things, as a node of a graph has it."""
    serve(Host(kept=tmp_path / ".rules.plans"))
    yield tmp_path / ".rules.plans"
    serve(Host())


def renewed(old: Engine, new: Engine, at: int) -> list[Any]:
    """Ends one engine's life and begins another's, by way of the disk; what is said of it."""
    Ledger().write(old.pending())
    return new.resume(Ledger().read(), (START + at) * MS)


def test_it_goes_on_where_it_was_with_the_same_commands(kept):
    first, other, second = engine(), engine(), engine()
    for one in (first, other):
        step(one, 0, True)
    (decision,) = renewed(first, second, 500)
    assert decision.outcome == "held"
    assert decision.reason == "the node was started anew; its commands go on where they were, 2 still to come"
    assert step(second, 999) == []
    assert step(second, 1000) == step(other, 1000) == [("one", f"rules.greet-{START * MS}-0-2")]
    assert step(second, 2000) == step(other, 2000) == [("two", f"rules.greet-{START * MS}-0-3")]
    assert second.pending() == []


def test_what_came_due_while_it_was_away_is_given_at_once(kept):
    first, second = engine(), engine()
    step(first, 0, True)
    renewed(first, second, 5000)
    assert [text for text, _ in step(second, 5000)] == ["one", "two"]


def test_it_begins_anew_with_ids_of_its_own(kept):
    first, second, third = (engine("restart") for _ in range(3))
    given = step(first, 0, True) + step(first, 1000)
    (decision,) = renewed(first, second, 1500)
    assert decision.reason == "the node was started anew; its commands begin anew, 3 still to come"
    again = step(second, 1500) + step(second, 2500)
    assert [text for text, _ in again] == [text for text, _ in given] == ["lock", "one"]
    assert [id_ for _, id_ in again] == [f"{id_}-again" for _, id_ in given]
    renewed(second, third, 3000)
    assert step(third, 3000)[0][0] == "lock"


def test_each_firing_goes_on(kept):
    first, second = engine(), engine()
    step(first, 0, True)
    step(first, 100, True)
    assert len(renewed(first, second, 200)) == 2
    assert [text for text, _ in step(second, 1100)] == ["one", "one"]


def test_what_is_cancelled_is_not_kept(kept):
    first = engine("cancel")
    step(first, 0, True)
    assert (first.keeps, first.pending()) == (False, [])


@pytest.mark.parametrize("change", [("text: two", "text: three"), ("1s\n    - voice: {text: two}", "2s\n    - voice: {text: two}"), ("max: 5", "max: 6"), ("greet:", "greets:")])  # fmt: skip
def test_of_a_rule_that_was_edited_nothing_goes_on(kept, change):
    first, second = engine(), engine(text=RULE.replace(*change))
    step(first, 0, True)
    assert renewed(first, second, 500) == []
    assert step(second, 2000) == []


def test_what_has_been_given_or_dropped_is_forgotten(kept):
    first = engine()
    step(first, 0, True)
    assert len(first.pending()) == 1
    step(first, 2000)
    assert first.pending() == []


def test_what_is_kept_is_ours_alone_and_bounded(kept):
    first = engine()
    step(first, 0, True)
    Ledger().write(first.pending())
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in kept.parent.iterdir()] == [kept.name]
    for damage in (b"\x00", kept.read_bytes()[:-3], b"a" * (2 << 20)):
        kept.write_bytes(damage)
        assert Ledger().read() == []


def test_without_a_place_nothing_is_kept(tmp_path):
    first = engine()
    step(first, 0, True)
    Ledger().write(first.pending())
    assert Ledger().read() == []


def test_a_disk_that_is_full_is_told_once(kept, caplog):
    serve(Host(kept=Path("/dev/full/none")))
    first, ledger = engine(), Ledger()
    for at in (0, 100):
        step(first, at, True)
        ledger.write(first.pending())
    assert len(caplog.messages) == 1
    assert "what is still to come is forgotten if this node is started anew" in caplog.messages[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE.replace("HOW", "resum"), "`on_restart`: `resum` is none; did you mean `resume`?; there are cancel, resume, restart"),
        (RULE.replace("HOW", "resume").replace("delay: 1s", "delay: 0s").replace("      delay: 0s\n", ""), "`on_restart` is for commands that are still to come, and none has a `delay`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(DocumentError) as caught:
        engine(text=text)
    assert said in str(caught.value)


GRAPH = """
nodes:
  clock: {run: "NODES:clock", in: {ticks: every 100ms}}
  rules: {run: graph.rules.yaml}
  voice: {run: zuluko.actions.say, in: {commands: rules}}
"""
RULES = """
greet:
  when: clock
  if: size(clock.text) == 6  # the first nine ticks, and never again
  max_age: 10s
  on_restart: resume
  do:
    - voice: {text: one}
    - voice: {text: two}
      delay: 4s
"""


def test_a_rules_node_that_is_killed_goes_on(tmp_path):
    (tmp_path / "graph.rules.yaml").write_text(RULES)
    with up(write(tmp_path, GRAPH)) as graph:
        graph.wait_for("voice", "done: one")
        kept = graph_dir("graph") / ".rules.plans"
        until(kept.exists)
        before = node("rules")["pid"]
        os.kill(before, signal.SIGKILL)
        graph.wait_for("voice", "done: two")
        assert node("rules")["pid"] != before
        graph.stop()
    assert not kept.exists()
