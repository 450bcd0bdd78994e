"""``zuluko check --expand``: the graph with all put in, which is a launch file again."""

from pathlib import Path

import pytest

from tests.running import write, zuluko
from zuluko import document
from zuluko.launch import expanded, launchfile

EYE = """
params: {hz: 5.0, people: people, low: 0.2, names: [ana]}
budget: 200ms
topics: {battery: "./my_types.py:Battery"}
nodes:
  count: {run: "NODES:count", hz: $hz, limit: 3, group: see, restart: {most: 3, within: 1min}}
  double: {run: "NODES:double", in: {counts: [count, battery_count]}, when: "battery.charge > low && 'ana' in names"}
  battery_count: {run: ./eyes.py, folder: $people}
  pilot: {run: "NODES:pilot", in: {counts: count}}
"""
TYPES = "from zuluko import Message\nclass Battery(Message, tag='Battery/1'):\n    charge: float = 1.0\n"
EYES = """
from pathlib import Path
from collections.abc import Iterator
from tests.nodes_of_tests import Count
def eyes(*, folder: Path) -> Iterator[Count]:
    yield Count(n=1)
"""
OUTER = """
params: {hz: 7, where: x}
board: pi-4
include: [{file: sub/eye.yaml, namespace: left, params: {hz: $hz}}]
nodes:
  show: {run: "NODES:show", in: {counts: left_double, last: left_double}}
  wheels: {run: "NODES:wheels", in: {moves: left_pilot}, env: {KEY: $env:SECRET_KEY, URL: "h://$env:SECRET_KEY@x", D: $$5, W: $where}}
"""


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SECRET_KEY", "sesame")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", EYE, "eye.yaml")
    (tmp_path / "sub" / "my_types.py").write_text(TYPES)
    (tmp_path / "sub" / "eyes.py").write_text(EYES)
    write(tmp_path, OUTER, "outer.yaml")
    return tmp_path


def plain(graph) -> dict:
    """What runs, for comparing."""
    return {
        name: (
            entry.options,
            entry.wires,
            entry.restart,
            entry.process,
            entry.env,
            entry.budget,
            [topic.name for topic in entry.when.topics] if entry.when else None,
        )
        for name, entry in graph.entries.items()
    }


def test_what_is_printed_is_the_same_graph(files):
    sets = {"hz": "9", "where": "a b"}
    graph = launchfile.load(files / "outer.yaml", sets=sets)
    text = expanded.text(graph, sets)
    (files / "again.yaml").write_text(text)
    again = launchfile.load(files / "again.yaml")
    first, second = plain(graph), plain(again)
    assert list(first) == list(second)
    for name in first:
        assert str(first[name]).replace("sub/../", "") == str(second[name]).replace("sub/../", "")
    assert again.board == graph.board
    assert {topic.name for topic in again.external} == {"left_battery"}
    assert again.params == {}


def test_parameters_are_put_in_and_the_environment_is_not(files):
    graph = launchfile.load(files / "outer.yaml", sets={"hz": "9"})
    text = expanded.text(graph, {"hz": "9"})
    assert "sesame" not in text
    nodes = document.parse(text, file="x").value["nodes"]
    assert nodes["wheels"]["env"] == {
        "KEY": "$env:SECRET_KEY",
        "URL": "h://$env:SECRET_KEY@x",
        "D": "$$5",
        "W": "x",
    }
    assert nodes["left_count"]["hz"] == 9
    assert nodes["left_double"]["when"] == "left_battery.charge > 0.2 && 'ana' in [\"ana\"]"
    assert nodes["left_double"]["in"] == {"counts": ["left_count", "left_battery_count"]}
    assert nodes["left_battery_count"] == {"run": "./sub/eyes.py", "folder": "sub/people"}


def test_the_command_prints_it(files):
    done = zuluko("check", str(files / "outer.yaml"), "--expand")
    assert done.returncode == 0, done.stderr
    assert document.parse(done.stdout, file="x").value["board"] == "pi-4"
    wrong = zuluko("check", str(files / "outer.yaml"), "--expand", "--set", "hz=x")
    assert (wrong.returncode, wrong.stdout) == (1, "")
