"""A rule file that is edited while its rules run."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tests.running import up
from tests.test_engine import ACTUATORS, MS, START, TOPICS, Light
from zuluko.actions.rulefile import load
from zuluko.actions.rules import rules
from zuluko.actions.rulesource import RuleSource
from zuluko.bus.message import Message
from zuluko.bus.streams import Stream

LIT = "a: {when: light, if: [light.on]}\n"
DARK = "a: {when: light, if: ['!light.on']}\n"


class Edited(Stream[Message]):
    """Messages 2 s apart, before each of which the file may be edited."""

    def __init__(self, file: Path, *texts: str | None) -> None:
        super().__init__(topic="light")
        self.file, self.texts = file, list(texts)
        self.now = START * MS
        self.rest = 0

    def next(self, timeout: float | None = None) -> Message | None:
        if not self.texts:
            self.ended = True
            return None
        if self.rest > 0:
            self.rest -= 1
            self.now += 1000 * MS
            return None
        self.rest = 2
        if (text := self.texts.pop(0)) is not None:
            edit(self.file, text)
        self.now += 1
        self.seq += 1
        return Light(stamp=self.now, on=True)


def edit(file: Path, text: str) -> None:
    """Replaces a file as an editor does, so that it is another one even within a tick of the file system."""
    new = file.with_name("new")
    new.write_text(text)
    os.replace(new, file)


def outcomes(tmp_path: Path, text: str, *texts: str | None) -> list[str]:
    file = tmp_path / "a.rules.yaml"
    file.write_text(text)

    def read() -> Any:
        return load(file, topics=TOPICS, actuators=ACTUATORS)

    source = RuleSource(file, read, read())
    return [one.outcome for one in rules(Edited(file, *texts), {}, ruleset=read(), source=source)]


def test_new_rules_take_the_place_of_the_old(tmp_path):
    assert outcomes(tmp_path, DARK, None, LIT, None, None) == ["false", "false", "fired", "held"]


def test_a_rule_that_stays_the_same_keeps_its_state(tmp_path):
    other = LIT + "b: {when: light, if: ['true']}\n"
    assert outcomes(tmp_path, LIT, None, other, None) == ["fired", "held", "held", "fired"]


def test_a_wrong_file_is_told_and_the_old_rules_stay(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    told = outcomes(tmp_path, LIT, None, "a: {when: light, if: [light.onn]}", None, None, DARK, None)
    assert told == ["fired", "held", "held", "held", "held", "false"]
    assert "`light` has no field `onn`; did you mean `on`?" in caplog.text
    assert "a.rules.yaml was edited and is wrong: the old rules stay" in caplog.text
    assert "a.rules.yaml was edited: its new rules decide from now on" in caplog.text


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("a: {when: faces, if: ['true']}", "`faces`"),
        ("a: {when: light, if: [lock.state == 'locked']}", "`lock`"),
        ("a: {when: light, if: [light.on], max_age: 1s, do: {horn: {}}}", "`horn`"),
    ],
)
def test_rules_that_need_other_wires_are_not_taken(tmp_path, caplog, text, new):
    assert outcomes(tmp_path, LIT, None, text, None) == ["fired", "held", "held"]
    assert f"names {new}, which this graph did not connect: the old rules stay" in caplog.text


def test_a_file_that_is_gone_for_a_while_changes_nothing(tmp_path):
    file = tmp_path / "a.rules.yaml"
    file.write_text(LIT)
    ruleset = load(file, topics=TOPICS, actuators=ACTUATORS)
    source = RuleSource(file, lambda: ruleset, ruleset)
    file.unlink()
    assert source.edited() is None
    edit(file, DARK)
    assert source.edited() is ruleset
    assert source.edited() is None


def test_a_running_graph_takes_the_edited_file_and_ticks_without_any_topic(tmp_path, run_dir):
    edit(tmp_path / "clock.rules.yaml", "tick: {when: every 100ms, if: [now < 0.0]}\n")
    (tmp_path / "clock.yaml").write_text("nodes: {rules: {run: clock.rules.yaml}}\n")
    with up(str(tmp_path / "clock.yaml")) as graph:
        graph.wait_for("rules", "ready")
        edit(tmp_path / "clock.rules.yaml", "tick: {when: every 100ms, if: [now < zero]}\n")
        graph.wait_for("rules", "the old rules stay")
        edit(tmp_path / "clock.rules.yaml", "tick: {when: every 100ms, if: [now > 0.0]}\n")
        graph.wait_for("rules", "tick fired")


def test_a_running_graph_takes_a_rule_in_python(tmp_path, run_dir):
    (tmp_path / "own.py").write_text(
        "from zuluko import Tick, rule\n\n"
        "@rule()\n"
        "def third(ticks: Tick, *, count: int = 3) -> bool:\n"
        "    return ticks.count >= count\n"
    )
    (tmp_path / "own.yaml").write_text(
        "nodes: {third: {run: './own.py:third', in: {ticks: every 50ms}, count: 4}}\n"
    )
    with up(str(tmp_path / "own.yaml")) as graph:
        graph.wait_for("third", "third fired")
