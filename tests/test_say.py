"""The say and publish nodes."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.running import up, write
from zuluko.actions.publish import publish
from zuluko.actions.say import LONGEST_TEXT, check_say, say, speak
from zuluko.actions.speakers import SimulatedSpeaker, missing
from zuluko.bus.streams import Stream
from zuluko.messages import Note, PublishCommand, SayCommand, SayState

SECOND = 1_000_000_000
START = 1_700_000_000


class Waiting(Stream[SayCommand]):
    """Commands that come at once, and an end that comes when all of them are answered."""

    def __init__(self, commands: list[SayCommand]) -> None:
        super().__init__()
        self._left = list(commands)
        self.open = len(commands)

    def next(self, timeout: float | None = None) -> SayCommand | None:
        if self._left:
            return self._left.pop(0)
        self.ended = self.open == 0
        if not self.ended:
            time.sleep(timeout or 0)
        return None


def words(number: int = 0, **fields: str) -> SayCommand:
    return SayCommand(stamp=5, id=f"s{number}", reason="rule", **fields)


def said(*commands: SayCommand, speaker: Any = None, **options: Any) -> list[SayState]:
    stream = Waiting(list(commands))
    node = speak(stream, speaker, sounds={"bell": Path("bell.wav")}) if speaker else say(stream, **options)
    states = []
    for state in node:
        states.append(state)
        stream.open -= 1
    return states


def test_a_sound_comes_before_its_text():
    speaker = SimulatedSpeaker()
    (state,) = said(words(text="hello", sound="bell"), speaker=speaker)
    assert speaker.heard == [Path("bell.wav"), "hello"]
    assert (state.outcome, state.reason, state.text, state.sound) == ("done", "rule", "hello", "bell")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"sound": "bel"}, "there is no sound `bel`; did you mean `bell`?"),
        ({"text": "x" * (LONGEST_TEXT + 1)}, "the text has 501 characters, at most 500"),
        ({}, "it has neither a text nor a sound"),
    ],
)
def test_what_cannot_be_heard_is_refused(fields, why):
    (state,) = said(words(**fields), speaker=SimulatedSpeaker())
    assert (state.outcome, state.reason) == ("refused", why)


def test_a_failure_is_told_and_the_next_is_heard():
    states = said(words(text="a"), words(1, text="b"), speaker=SimulatedSpeaker(fail=1))
    assert [one.outcome for one in states] == ["failed", "done"]
    assert states[0].reason == "the simulated speaker was told to fail"


def a_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!{sys.executable}\n{script}")
    (folder / name).chmod(0o755)


def test_the_installed_programs_get_text_and_sound(tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.actions.program.PATH", str(tmp_path))
    keep = f"import sys; open('{tmp_path}/heard', 'a').write(f'{{sys.argv[1:]}} {{sys.stdin.read()}}\\n')"
    a_program(tmp_path, "espeak-ng", keep)
    a_program(tmp_path, "aplay", keep)
    (tmp_path / "bell.wav").touch()
    options: dict[str, Any] = {
        "driver": "installed",
        "sounds": {"bell": tmp_path / "bell.wav"},
        "timeout": 20.0,
    }
    assert [*check_say(**options)] == []
    (state,) = said(words(text="--help; $(id)", sound="bell"), **options)
    assert (state.outcome, state.reason) == ("done", "rule")
    assert (tmp_path / "heard").read_text() == f"['-q', '{tmp_path}/bell.wav'] \n['--stdin'] --help; $(id)\n"


def test_a_program_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.actions.program.PATH", str(tmp_path))
    a_program(tmp_path, "espeak-ng", "raise SystemExit('no sound card')")
    (state,) = said(words(text="a"), driver="installed")
    assert (state.outcome, state.reason) == ("failed", "espeak-ng: status 1: no sound card")


def test_a_program_that_is_missing_is_told(monkeypatch):
    monkeypatch.setattr("zuluko.actions.program.PATH", "/nowhere")
    assert missing(sounds=False) == "no program to speak is installed; run: apt-get install espeak-ng"
    (state,) = said(words(text="a"), driver="installed")
    assert (state.outcome, state.reason) == ("failed", missing(sounds=True))
    faults = [*check_say(driver="installed", sounds={"a": Path("/nowhere/a.wav")}, timeout=0.0)]
    assert [(fault.key, fault.passing) for fault in faults] == [
        ("timeout", False),
        ("sounds", False),
        ("driver", True),
    ]


def test_an_unknown_speaker_is_an_error():
    with pytest.raises(ValueError, match="there is no speaker `loud`"):
        next(say(Stream([]), driver="loud"))


# -- publish


def order(
    at: float, text: str = "", *, value: float = 0.0, stamp: float | None = None, id: str = "a"
) -> PublishCommand:
    moment = START + (at if stamp is None else stamp)
    return PublishCommand(stamp=round(moment * SECOND), id=id, text=text, value=value, reason="rule")


def notes(*commands: PublishCommand, **options: Any) -> list[Note]:
    return list(publish(Stream(commands), **options))


def changes(found: list[Note]) -> list[tuple[str, str]]:
    told = [(one.text, one.reason) for one in found]
    return [one for one, before in zip(told, [None, *told], strict=False) if one != before]


def test_it_tells_what_was_said_once_a_second():
    found = notes(order(0, "away"), order(3.5, "home"), text="home")
    assert changes(found) == [("home", "start"), ("away", "rule"), ("home", "rule")]
    away = [one for one in found if one.text == "away"]
    assert [one.stamp / SECOND - START for one in away] == [0.0, 1.0, 2.0, 3.0]
    assert {one.since for one in away} == {START * SECOND}


def test_what_lasts_for_a_while_is_taken_back():
    found = notes(order(0, "open", value=1.0), order(10, "end"), lasts=2.5, text="shut")
    assert changes(found)[:3] == [("shut", "start"), ("open", "rule"), ("shut", "time is up")]
    back = next(one for one in found if one.reason == "time is up")
    assert (back.stamp / SECOND - START, back.value) == (2.5, 0.0)


def test_late_evidence_and_nonsense_change_nothing():
    late = order(2, "old", stamp=0.5, id="late")
    found = notes(order(1, "new"), late, order(3, value=math.nan, id="odd"), order(4, "x" * 2000, id="long"))
    assert {one.text for one in found} == {"", "new"}
    refused = [one.reason for one in found if one.reason.startswith("refused")]
    assert len(refused) == 3
    assert refused[0] == "refused: the evidence is from before what is said now"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lasts": 0.0}, "`lasts` must be a time longer than 0 s"),
        ({"lasts": math.nan}, "`lasts` must be a time longer than 0 s"),
        ({"every": 0.0}, "`every` must be from 0.01 s to 1 h"),
        ({"value": math.inf}, "`value` must be a finite number"),
        ({"text": "x" * 2000}, "`text` must have at most 1000 characters"),
    ],
)
def test_what_makes_no_sense_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        notes(**options)


GRAPH = """nodes:
  rangefinder: {run: "tests.driving:rangefinder"}
  rules: {run: near.rules.yaml}
  mode: {run: zuluko.actions.publish, in: {commands: rules}, text: free}
  voice: {run: zuluko.actions.say, in: {commands: rules}}
"""
RULES = """
near:
  when: rangefinder
  if: [rangefinder.metres > 0.5]
  max_age: 300ms
  do: {mode: {text: taken}}

tell:
  when: mode
  if: ['mode.text == "taken"']
  max_age: 300ms
  do: {voice: {text: it is taken}}
"""


def test_one_rule_relies_on_what_another_said(tmp_path):
    write(tmp_path, RULES, "near.rules.yaml")
    with up(write(tmp_path, GRAPH)) as graph:
        graph.wait_for("mode", "taken (near)")
        graph.wait_for("voice", "done: it is taken (tell)")
        assert graph.stop() == 0
        assert graph.summary["unlocks"] is None  # there is no lock
