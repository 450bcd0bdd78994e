"""A log whose message types have changed: fields added read, an `upgrade` is applied, and the rest is told."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from mcap.reader import make_reader

from tests.running import ROOT, write, zuluko
from zuluko import Array, Message, read, record
from zuluko.bus.log_tap import with_jpeg
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.bus.versions import difference, fitting, split
from zuluko.bus.wire import Encoder
from zuluko.testing import decisions

Pixels = Annotated[np.ndarray, Array("u1", (None, None, 3))]


class First(Message, tag="VersionsLight/1"):
    kilolux: float
    image: Pixels


class Second(Message, tag="VersionsLight/2"):
    lux: float
    image: Pixels

    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "lux": 1000 * fields["kilolux"]}


class Third(Message, tag="VersionsLight/3"):
    lux: float
    grey: Annotated[np.ndarray, Array("u1", (None, None))]
    version: int = 0

    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        if version == 1:
            fields = {**fields, "lux": 1000 * fields["kilolux"]}
            del fields["kilolux"]
            return fields
        return {
            "stamp": fields["stamp"],
            "lux": fields["lux"],
            "grey": fields["image"][:, :, 0].copy(),
            "version": version,
        }


def light(number: int) -> First:
    image = np.full((16, 16, 3), 10 * number, "u1")
    return First(kilolux=number / 2, image=image, stamp=number * 10**8)


@pytest.fixture
def old(tmp_path) -> Path:
    record([light(number) for number in range(5)], tmp_path / "old.mcap", "light")
    return tmp_path / "old.mcap"


def test_an_older_version_is_upgraded_step_by_step(old):
    assert [one.lux for one in read(old, "light", kind=Second)] == [0, 500, 1000, 1500, 2000]
    stream = read(old, "light", kind=Third)
    seen = [(one.stamp, one.lux, one.grey.mean(), one.version, stream.seq) for one in stream]
    assert seen[3] == (3 * 10**8, 1500, 30, 2, 3)
    assert {type(one) for one in read(old, "light", kind=First)} == {First}


def test_a_jpeg_is_upgraded_as_the_picture_that_it_is(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("light", "VersionsLight/1", b"{}")
        data = with_jpeg(Encoder()(light(5), seq=0, sent=1), 95)
        assert b"jpeg" in data
        writer.write(channel, data, seq=0, sent=1, received=1)
    (one,) = read(tmp_path / "a.mcap", "light", kind=Third)
    assert one.grey.shape == (16, 16)
    assert abs(int(one.grey[8, 8]) - 50) < 3


def test_the_newest_version_that_a_program_knows_reads_a_log():
    kinds = {"Light/1": First, "Light/2": Second, "Light/10": Third, "Other/99": Message}
    assert fitting(kinds, "Light/1") is First
    assert fitting(kinds, "Light/3") is Third
    assert fitting(kinds, "Lights/3") is None
    assert split("Light/12") == ("Light", 12)
    assert split("Light") == ("Light", 0)


@dataclass
class Case:
    kind: type[Message]
    told: str


class Lacks(Message, tag="VersionsLight/2"):
    lux: float


class Gone(Message, tag="VersionsLight/2"):
    image: Pixels


class Other(Message, tag="VersionsLight/2"):
    kilolux: str
    image: Pixels


class Stale(Message, tag="VersionsLight/0"):
    kilolux: float


class Forgets(Message, tag="VersionsLight/2"):
    lux: float

    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {"lux": fields["luxes"]}


class Misfits(Message, tag="VersionsLight/2"):
    lux: float

    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {"lux": "bright"}


class Nothing(Message, tag="VersionsLight/2"):
    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> None:
        fields.clear()


class Crooked(Message, tag="VersionsLight/2"):
    image: Pixels

    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {"image": fields["image"][:, :, 0]}


CASES = [
    Case(Lacks, "light cannot be read: VersionsLight/1 is older than VersionsLight/2, which this program knows (`lux` of VersionsLight/2 is not in VersionsLight/1); give VersionsLight/2 an `upgrade`"),
    Case(Gone, "(`kilolux` of VersionsLight/1 is not in VersionsLight/2)"),
    Case(Other, "(`kilolux` is a number in VersionsLight/1 and a text in VersionsLight/2)"),
    Case(Stale, "VersionsLight/1 is newer than VersionsLight/0, which this program knows (`image` of VersionsLight/1 is not in VersionsLight/0); update the program"),
    Case(Forgets, "message 0 on light (VersionsLight/1) cannot be read: VersionsLight/1 cannot become VersionsLight/2: `upgrade` from 1: there is no field `luxes`"),
    Case(Misfits, "`upgrade` gave no such message: Expected `float`, got `str` - at `lux`"),
    Case(Nothing, "`upgrade` from 1 gave no map of fields"),
    Case(Crooked, "Crooked.image must be a uint8 array of any x any x 3, not uint8 (16, 16)"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.__name__)
def test_what_cannot_be_upgraded_names_type_versions_and_field(old, case):
    with pytest.raises(LogError, match=re.escape(case.told)) as caught:
        list(read(old, "light", kind=case.kind))
    assert str(caught.value).startswith(f"{old}: ")
    assert "\n" not in str(caught.value)


def test_a_type_that_changed_under_its_version_is_told_with_the_field(old):
    class Changed(Message, tag="VersionsLight/1"):
        kilolux: int
        image: Pixels

    told = "`kilolux` is a number in VersionsLight/1 and a whole number in VersionsLight/1 here: such a change is VersionsLight/2, with an `upgrade`"
    with pytest.raises(LogError, match=re.escape(told)):
        list(read(old, "light", kind=Changed))


@pytest.mark.parametrize(
    "schema",
    [b"{}", b"[]", b"[" * 5000, b'{"$ref":1,"$defs":3}', b'{"properties":{"kilolux":7}}', b'{"properties":[]}'],
)  # fmt: skip
def test_a_log_whose_schema_says_nothing_is_told_without_the_field(tmp_path, schema):
    with LogWriter(tmp_path / "a.mcap") as writer:
        writer.topic("light", "VersionsLight/1", schema)
    with pytest.raises(LogError, match="VersionsLight/1 is older than VersionsLight/2"):
        read(tmp_path / "a.mcap", "light", kind=Lacks)


def test_a_message_that_says_to_be_of_another_type_is_not_upgraded(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("light", "VersionsLight/1", b"{}")
        data = msgspec.msgpack.encode([1, 0, 0, [], {"type": "Foreign/1", "kilolux": 1.0}])
        writer.write(channel, data, seq=0, sent=1, received=1)
    with pytest.raises(LogError, match="wrong type: 'Foreign/1', expected VersionsLight/1"):
        list(read(tmp_path / "a.mcap", "light", kind=Second))


def test_schemas_are_compared_through_what_they_refer_to():
    class Inner(msgspec.Struct):
        n: int

    class A(Message, tag="VersionsA/1"):
        items: tuple[Inner, ...] = ()
        names: tuple[str, ...] = ()

    class B(Message, tag="VersionsA/2"):
        items: tuple[Inner, ...] = ()
        names: tuple[int, ...] = ()

    from zuluko.bus.topics import schema

    assert difference(schema(A), A, "VersionsA/1") == ""
    assert (
        difference(schema(A), B, "VersionsA/1")
        == "`names` is a list of texts in VersionsA/1 and a list of whole numbers in VersionsA/2"
    )


TYPES = """
from collections.abc import Iterator
from typing import Any

from zuluko import Message, Stream


class Light(Message, tag="VersionsLamp/{version}"):
    {field}: float
{upgrade}

class Seen(Message, tag="VersionsSeen/1"):
    total: float


def lamp() -> Iterator[Light]:
    for number in range(4):
        yield Light(stamp=1_700_000_000_000_000_000 + number, {field}=float(number))


def eye(lights: Stream[Light]) -> Iterator[Seen]:
    total = 0.0
    for light in lights:
        total += light.{field}
        yield Seen(stamp=light.stamp, total=total)
"""
UPGRADE = """
    @staticmethod
    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        return {"stamp": fields["stamp"], "lux": 1000 * fields["kilolux"]}
"""
GRAPH = 'nodes:\n  lamp: {run: "./lamps.py:lamp"}\n  eye: {run: "./lamps.py:eye", in: {lights: lamp}}\n'


@pytest.fixture
def lamps(tmp_path) -> tuple[str, str, Path]:
    """A log of yesterday's lamps, and a graph whose lamps have changed since."""
    file, log = tmp_path / "lamps.py", tmp_path / "old.mcap"
    file.write_text(TYPES.format(version=1, field="kilolux", upgrade=""))
    records = "from lamps import *; from zuluko import record; record(lamp(), 'old.mcap', 'lamp')"
    subprocess.run([sys.executable, "-c", records], cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}, check=True)  # fmt: skip
    file.write_text(TYPES.format(version=2, field="lux", upgrade=UPGRADE))
    return str(log), write(tmp_path, GRAPH), file


def test_lockstep_cat_and_replay_upgrade(lamps, tmp_path):
    log, graph, file = lamps
    out = tmp_path / "out.mcap"
    done = zuluko("replay", log, graph, "--only", "lamp", "--lockstep", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert '"total": 6000.0' in zuluko("log", "cat", str(out), "--json").stdout.splitlines()[-1]

    shown = zuluko("log", "cat", log, "--types", str(file), "--where", "lux > 2500.0").stdout
    assert shown.split()[3:] == ["3", "VersionsLamp/2", "stamp=1700000000000000003", "lux=3000.0"]
    assert zuluko("log", "cat", log, "--json").stdout.count('"kilolux"') == 4

    done = zuluko("replay", log, "--types", str(file), "--name", "versions")
    assert done.stdout.startswith("4 messages replayed"), done.stderr
    assert "left out" not in done.stderr
    done = zuluko("replay", log, graph, "--only", "lamp", "--json")
    assert '"messages": {"lamp": 4, "eye": 4}' in done.stdout, done.stdout + done.stderr


def test_exports_and_plots_upgrade(lamps, tmp_path):
    log, _, file = lamps
    done = zuluko("log", "export", log, str(tmp_path / "new.csv"), "--types", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = csv.reader((tmp_path / "new.csv").read_text().splitlines())
    assert "kilolux" not in header
    assert [row[header.index("lux")] for row in rows] == ["0.0", "1000.0", "2000.0", "3000.0"]
    assert zuluko("log", "export", log, str(tmp_path / "old.csv")).returncode == 0
    assert "kilolux" in (tmp_path / "old.csv").read_text()

    done = zuluko("log", "export", log, str(tmp_path / "fox.mcap"), "--types", str(file))
    assert done.stdout.splitlines()[1].split() == ["lamp", "VersionsLamp/2"], done.stderr
    with (tmp_path / "fox.mcap").open("rb") as stream:
        found = [
            (json.loads(schema.data), json.loads(message.data))
            for schema, _, message in make_reader(stream).iter_messages()
        ]
    assert [message["lux"] for _, message in found] == [0, 1000, 2000, 3000]
    assert {"lux"} == {name for schema, _ in found for name in schema["properties"]} - {"type", "stamp"}

    done = zuluko("log", "plot", log, "lamp.lux", "--types", str(file))
    assert "3000" in done.stdout, done.stderr
    assert zuluko("log", "plot", log, "lamp.kilolux").returncode == 0
    done = zuluko("log", "plot", log, "lamp.kilolux", "--types", str(file))
    assert (done.returncode, "no message has `lamp.kilolux`" in done.stderr) == (1, True)


def test_an_export_tells_what_cannot_be_upgraded(lamps, tmp_path):
    log, _, file = lamps
    file.write_text(file.read_text().replace('fields["kilolux"]', '{0.0: 0.0}[fields["kilolux"]]'))
    done = zuluko("log", "export", log, str(tmp_path / "a.csv"), "--types", str(file))
    assert done.returncode == 0
    told = "lamp: 3 messages left out: VersionsLamp/1 cannot become VersionsLamp/2: `upgrade` from 1: there is no field"
    assert done.stderr.startswith(told)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_rules_are_asked_over_an_older_log(lamps, tmp_path):
    log, _, file = lamps
    rules = write(tmp_path, "bright:\n  when: lamp\n  if: lamp.lux > 1500.0\n", "bright.rules.yaml")
    told = decisions(rules, log, types=[str(file)])
    assert [one.outcome for one in told] == ["false", "false", "fired", "held"]
    (tmp_path / "others.py").write_text(TYPES.format(version=3, field="lux", upgrade=""))
    what = "has lamp as VersionsLamp/1, and the rules read VersionsLamp/3 (`lux` of VersionsLamp/3 is not in VersionsLamp/1); try them over"
    with pytest.raises(ValueError, match=re.escape(what)):
        decisions(rules, log, types=[str(tmp_path / "others.py")])


def test_commands_tell_what_cannot_be_upgraded(lamps, tmp_path):
    log, graph, file = lamps
    file.write_text(TYPES.format(version=2, field="lux", upgrade=""))
    told = "VersionsLamp/1 is older than VersionsLamp/2, which this program knows (`lux` of VersionsLamp/2 is not in VersionsLamp/1); give VersionsLamp/2 an `upgrade`"
    done = zuluko("replay", log, graph, "--only", "lamp", "--lockstep")
    assert done.returncode == 1
    assert f"{log} has lamp as VersionsLamp/1, and the graph publishes VersionsLamp/2: {told}" in done.stderr
    done = zuluko("replay", log, "--types", str(file), "--name", "versions")
    assert done.returncode == 1
    assert f"lamp is left out: {told}\n" in done.stderr
    assert zuluko("log", "cat", log, "--types", str(file)).stdout.count("kilolux=") == 4


def test_a_decision_of_another_version_is_told_by_why(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("rules.decision", "Decision/99", b"{}")
        writer.write(channel, b"\xc0", seq=0, sent=1, received=1)
    done = zuluko("why", "unlock", "--log", str(tmp_path / "a.mcap"))
    assert done.returncode == 1
    assert done.stderr.endswith("Decision/99 is newer than Decision/1, which this program knows; update the program\n")  # fmt: skip
