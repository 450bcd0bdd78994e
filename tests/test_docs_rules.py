"""Every example in docs/rules.md is run, and every sentence that it shows is said."""

import re
from pathlib import Path
from typing import Any

import pytest

from zuluko.actions.rulefile import KEYS, check
from zuluko.actions.rules import rules
from zuluko.bus.streams import Latest, Stream
from zuluko.document import DocumentError, parse
from zuluko.messages import Face, Faces, LockCommand, LockState

DOC = (Path(__file__).parents[1] / "docs" / "rules.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
MS = 1_000_000
START = 1_700_000_000_000


def read(text: str) -> Any:
    topics = {"faces": Faces, "lock": LockState}
    return check(parse(text, file="hello.rules.yaml"), topics=topics, actuators={"lock": LockCommand})


def run(text: str, name: str) -> list[Any]:
    points = ((0.0, 0.0),) * 5
    face = Face(box=(0.0, 0.0, 90.0, 90.0), landmarks=points, score=0.95, name=name, similarity=0.6)
    events = [Faces(stamp=(START + 66 * n) * MS, items=(face,) * 3, size=(640, 480)) for n in range(12)]
    levels = {"lock": Latest(LockState(state="locked"))}
    return list(rules(Stream(events, topic="faces"), levels, ruleset=read(text)))


def test_the_examples_are_found():
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_fires_as_it_says(text):
    outcomes = [
        one.outcome for name in ("ana", "") for one in run(text, name) if not isinstance(one, LockCommand)
    ]
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
