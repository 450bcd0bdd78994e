"""When a node runs: conditions over parameters, the board and what topics said last."""

from pathlib import Path

import pytest

from tests.nodes_of_tests import Count, Status
from tests.running import write
from zuluko.launch import board, launchfile

GRAPH = """
params: {night: false, least: 0.5, who: ana, wait: 200ms, nobody: null}
nodes:
  count: {run: "NODES:count"}
  double: {run: "NODES:double", in: {counts: count}}
  a: {run: "NODES:count", when: WHEN}
"""


def condition(folder: Path, when: str, **sets: str):
    text = GRAPH.replace("WHEN", f"'{when}'" if when not in ("true", "$night") else when)
    return launchfile.load(Path(write(folder, text)), sets=sets).entries["a"].when


def test_a_topic_that_has_said_nothing_makes_it_unknown(tmp_path):
    found = condition(tmp_path, "count.n > 3")
    assert [topic.name for topic in found.topics] == ["count"]
    assert found.holds({}) is None
    assert found.holds({"count": Count(n=3)}) is False
    assert found.holds({"count": Count(n=4), "double.count": Count(n=0)}) is True


def test_what_is_known_may_decide_alone(tmp_path):
    found = condition(tmp_path, 'count.n > 3 || double.status.text == "go"')
    assert [topic.name for topic in found.topics] == ["count", "double.status"]
    assert found.holds({"count": Count(n=4)}) is True
    assert found.holds({"count": Count(n=1)}) is None
    assert found.holds({"count": Count(n=1), "double.status": Status(text="go")}) is True
    assert found.holds({"count": Count(n=1), "double.status": Status(text="no")}) is False


@pytest.mark.parametrize(
    ("when", "sets", "holds"),
    [
        ("night", {}, False),
        ("night", {"night": "true"}, True),
        ("$night", {}, False),
        ("$night", {"night": "true"}, True),
        ("true", {}, True),
        ("least > 0.4", {}, True),
        ("least > 0.4", {"least": "0.25"}, False),
        ("wait < 0.3", {}, True),
        ("wait < 0.3", {"wait": "1s"}, False),
        ('who == "ana" || who == "7"', {"who": "7"}, True),
        ("nobody == null", {}, True),
        ("nobody == null", {"nobody": "x"}, False),
        ("board.cores >= 1 && board.memory > 100", {}, True),
        ('board.arch in ["x86_64", "aarch64", "armv7l"]', {}, True),
        ('board.hostname != ""', {}, True),
    ],
)
def test_without_topics_it_is_decided_once(tmp_path, when, sets, holds):
    found = condition(tmp_path, when, **sets)
    assert found.topics == ()
    assert found.holds({}) is holds


def test_the_board_is_the_one_that_is_named(tmp_path):
    text = "board: pi-zero-2w\nnodes: {a: {run: 'NODES:count', when: 'board.memory == 512 && \"crc32\" in board.features'}}"
    loaded = launchfile.load(Path(write(tmp_path, text)))
    assert loaded.entries["a"].when.holds({}) is True
    assert board.facts(None).memory == round(board.machine().memory / (1 << 20))


def test_a_group_starts_and_stops_as_one(tmp_path):
    text = "nodes: {a: {run: 'NODES:count', group: g, when: 'board.cores > 1'}, b: {run: 'NODES:count', group: g}}"
    entries = launchfile.load(Path(write(tmp_path, text))).entries
    assert entries["b"].when is entries["a"].when is not None
