"""Every example in docs/rules.md is run, and every sentence that it shows is said."""

import re
from pathlib import Path
from typing import Any

import pytest

from zuluko.actions.engine import Engine
from zuluko.actions.evaluation import Event
from zuluko.actions.rulefile import KEYS, check
from zuluko.actions.rules import rules
from zuluko.bus.message import Command, Message
from zuluko.bus.streams import Latest, Stream
from zuluko.document import DocumentError, parse
from zuluko.messages import Decision, Face, Faces, LockCommand, LockState, SayCommand

DOC = (Path(__file__).parents[1] / "docs" / "rules.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
FIRST = [text for text in EXAMPLES if "faces" in text]  # those of the door
MS = 1_000_000
START = 1_700_000_000_000


class Front(Message, tag="DocFront/1"):
    clear: float = 0.0


class Climate(Message, tag="DocClimate/1"):
    celsius: float = 0.0


class Shake(Message, tag="DocShake/1"):
    up: float = 0.0


class Wheels(Command, tag="DocWheels/1"):
    speed: float


class Switch(Command, tag="DocSwitch/1"):
    on: bool


class Horn(Command, tag="DocHorn/1"):
    times: int


TOPICS: dict[str, Any] = {"faces": Faces, "lock": LockState, "front": Front, "climate": Climate, "imu": Shake}
ACTUATORS: dict[str, Any] = {
    "lock": LockCommand,
    "voice": SayCommand,
    "wheels": Wheels,
    "heater": Switch,
    "horn": Horn,
}


def read(text: str) -> Any:
    return check(parse(text, file="hello.rules.yaml"), topics=TOPICS, actuators=ACTUATORS)


def run(text: str, name: str) -> list[Any]:
    points = ((0.0, 0.0),) * 5
    face = Face(box=(0.0, 0.0, 90.0, 90.0), landmarks=points, score=0.95, name=name, similarity=0.6)
    events = [Faces(stamp=(START + 66 * n) * MS, items=(face,) * 3, size=(640, 480)) for n in range(12)]
    levels = {"lock": Latest(LockState(state="locked"))}
    return list(rules(Stream(events, topic="faces"), levels, ruleset=read(text)))


def feed(text: str, topic: str, *values: float | None, every: int = 100) -> list[str]:
    """Outcomes and what was commanded; each value comes ``every`` ms after the last, and None is nothing."""
    ruleset = read(text)
    kind, told, engine = TOPICS[topic], list[str](), Engine(ruleset.rules)
    (name,) = [name for name in kind.__struct_fields__ if name != "stamp"]
    deadline = None
    for at in range(len(values) * every):
        now = (START + at) * MS
        value = values[at // every] if at % every == 0 else None
        if at and value is None and (deadline is None or now < deadline):
            continue
        event = Event(topic, at, kind(stamp=now, **{name: value})) if value is not None else None
        step = engine.step(now, event)
        deadline = step.deadline
        told += [
            f"{one.rule} {one.outcome}" if isinstance(one, Decision) else f"{at} {one.to}"
            for one in step.said
        ]
    return told


def test_the_examples_are_found():
    assert len(EXAMPLES) == len(FIRST) + 5


def test_halt_fires_when_the_front_is_silent():
    (text,) = (text for text in EXAMPLES if "if_silent" in text)
    assert feed(text, "front", 5.0, 5.0, None, None, None) == ["halt fired", "400 wheels"]


def test_dusk_looks_at_the_clock():
    (text,) = (text for text in EXAMPLES if "every 1min" in text)
    assert feed(text, "front", 5.0)[0] in ("dusk fired", "dusk false")
    assert read(text).triggers == ()


def test_heat_holds_its_hysteresis():
    (text,) = (text for text in EXAMPLES if "hysteresis" in text)
    told = feed(text, "climate", 20.0, 18.5, 20.0, 21.0, 20.0, 18.9)
    assert told == [
        *("heat unknown", "heat fired", "100 heater", "heat held", "heat ended", "300 heater"),
        *("heat false", "heat fired", "500 heater"),
    ]


def test_knock_is_heard():
    (text,) = (text for text in EXAMPLES if "sequence" in text)
    told = feed(text, "imu", 9.8, 13.0, 7.0, 14.0, 9.8, 9.8, 9.8, 9.8, 9.8, 9.8)
    assert [one for one in told if "horn" in one or "fired" in one] == ["knock fired", "300 horn", "800 horn"]


def test_stop_blocks_go():
    (text,) = (text for text in EXAMPLES if "blocks" in text)
    told = feed(text.replace("front.clear > 1.0", "front.clear > 0.0"), "front", 0.2, 0.2, 2.0, 2.0)
    assert told == [
        *("stop fired", "0 wheels", "go blocked", "stop held", "go blocked"),
        *("stop false", "go fired", "200 wheels", "stop false", "go held"),
    ]


def test_the_function_opens_as_the_file_does():
    (text,) = re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    made: dict[str, Any] = {"__name__": "opener"}
    exec(compile(text, "opener.py", "exec"), made)
    face = Face(box=(0.0,) * 4, landmarks=((0.0, 0.0),) * 5, score=0.95, name="ana", similarity=0.6)
    events = [Faces(stamp=(START + 66 * n) * MS, items=(face,)) for n in range(12)]
    said = made["unlock"](Stream(events), Latest(LockState(state="locked")))
    assert [one.open_for for one in said if isinstance(one, LockCommand)] == [3.0]


@pytest.mark.parametrize("text", FIRST)
def test_each_example_fires_as_it_says(text):
    outcomes = [one.outcome for name in ("ana", "") for one in run(text, name) if isinstance(one, Decision)]
    assert outcomes.count("fired") >= 1
    commands = [one for name in ("ana", "") for one in run(text, name) if isinstance(one, LockCommand)]
    assert all(command.open_for == 3.0 for command in commands)
    assert bool(commands) == ("do:" in text)


def test_the_mistake_that_it_shows_is_told_as_it_shows():
    with pytest.raises(DocumentError) as caught:
        read(EXAMPLES[0].replace("size(faces", "size(face"))
    assert str(caught.value) in DOC


def test_every_key_is_explained():
    assert re.findall(r"^\| `([a-z_]+)` \|", DOC.split("| key |")[1].split("\n\n")[0], re.MULTILINE) == list(
        KEYS
    )
