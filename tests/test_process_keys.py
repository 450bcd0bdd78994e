"""How a node's process is to run: what an entry says of it, and what the supervisor is handed."""

from pathlib import Path

import pytest

from tests.running import write
from zuluko.document import DocumentError
from zuluko.launch import launchfile
from zuluko.launch.graph import Limit, Restart

MB = 1 << 20


def entries(folder: Path, text: str, **sets: str):
    return launchfile.load(Path(write(folder, text)), sets=sets).entries


def entry(folder: Path, rest: str, **sets: str):
    text = f"params: {{p: 1}}\nboard: jetson-orin-nano\nnodes: {{a: {{run: 'NODES:count', {rest}}}}}"
    return entries(folder, text, **sets)["a"]


@pytest.mark.parametrize(
    ("rest", "name", "value"),
    [
        ("hz: 1", "must", True),
        ("must: false", "must", False),
        ("hz: 1", "restart", Restart()),
        ("restart: false", "restart", Restart(on=False)),
        ("restart: {most: 5, within: 1min}", "restart", Restart(most=5, within=60.0)),
        ("restart: {most: 3}", "restart", Restart(most=3)),
        ("restart: {silence: 30s}", "restart", Restart(silence=30.0)),
        ("env: {A: 1, B: x, C: 1.5}", "env", {"A": "1", "B": "x", "C": "1.5"}),
        ("nice: -20", "nice", -20),
        ("nice: $p", "nice", 1),
        ("cpu: 0", "cores", (0,)),
        ("cpu: [2, 3, 2]", "cores", (2, 3)),
        ("cpu: {cores: 1}", "cores", (1,)),
        ("cpu: {cores: [2, 3], priority: 50, most: 0.8, restart: true}", "priority", 50),
        ("cpu: {cores: [2, 3], priority: 50, most: 0.8, restart: true}", "cpu", Limit(0.8, restart=True)),
        ("cpu: [1]", "cpu", None),
        ("memory: 100MB", "memory", Limit(100 * MB)),
        ("memory: 1.5 GB", "memory", Limit(1536 * MB)),
        ("memory: {most: 800KB, restart: true}", "memory", Limit(800 * 1024, restart=True)),
    ],
)
def test_what_an_entry_says(tmp_path, rest, name, value):
    assert getattr(entry(tmp_path, rest), name) == value


def test_what_is_typed_serves_as_well(tmp_path):
    assert entry(tmp_path, "nice: $p", p="7").nice == 7
    text = "params: {much: 100MB, on: true}\nnodes: {a: {run: 'NODES:count', memory: $much, must: $on}}"
    a = entries(tmp_path, text, much="2GB", on="false")["a"]
    assert (a.memory, a.must) == (Limit(2048 * MB), False)


def test_a_group_has_what_any_of_its_nodes_says_of_the_process(tmp_path):
    text = """
nodes:
  a: {run: "NODES:count", group: g, nice: 3, env: {A: 1}, must: false}
  b: {run: "NODES:count", group: g, memory: 50MB, cpu: {most: 0.5}}
  c: {run: "NODES:count"}
"""
    found = entries(tmp_path, text)
    for name in ("a", "b"):
        one = found[name]
        assert (one.nice, one.env, one.memory, one.cpu) == (3, {"A": "1"}, Limit(50 * MB), Limit(0.5))
    assert [found[name].must for name in "abc"] == [False, True, True]
    assert found["c"].nice == 0


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("nice", "1", "2"),
        ("env", "{A: 1}", "{A: 2}"),
        ("cpu", "0", "[0, 1]"),
        ("memory", "50MB", "{most: 50MB, restart: true}"),
        ("restart", "false", "true"),
        ("when", "board.cores > 1", "board.cores > 2"),
    ],
)
def test_nodes_of_a_group_cannot_differ_in_it(tmp_path, key, one, other):
    text = f"""board: pi-4
nodes:
  a: {{run: "NODES:count", group: g, {key}: {one}}}
  b: {{run: "NODES:count", group: g, {key}: {other}}}
  c: {{run: "NODES:count", group: g, {key}: {one}}}
"""
    with pytest.raises(DocumentError) as wrong:
        entries(tmp_path, text)
    (problem,) = wrong.value.problems
    assert problem.line == 4
    assert f"`b` and `a` share the process of the group `g`, and differ in `{key}` (" in problem.what


def test_a_budget_is_that_of_all_who_command_or_act(tmp_path):
    text = """
budget: 300ms
nodes:
  count: {run: "NODES:count"}
  pilot: {run: "NODES:pilot", in: {counts: count}}
  wheels: {run: "NODES:wheels", in: {moves: pilot}}
"""
    found = entries(tmp_path, text)
    assert [found[name].budget for name in ("count", "pilot", "wheels")] == [None, 0.3, 0.3]
    found = entries(tmp_path, text.replace("300ms", "{wheels: 1s, count: 2s}"))
    assert [found[name].budget for name in ("count", "pilot", "wheels")] == [2.0, None, 1.0]
