"""The JSON Schema of launch files, by an implementation of JSON Schema that is not ours."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running import write, zuluko
from zuluko import document
from zuluko.launch import board, keys, schema, stock
from zuluko.launch.signature import read

jsonschema = pytest.importorskip("jsonschema")


def faults(found: dict[str, Any], text: str) -> list[str]:
    value = document.parse(text, file="x").value
    return [error.message for error in jsonschema.Draft202012Validator(found).iter_errors(value)]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return schema.of()


def test_it_is_a_schema(known):
    jsonschema.Draft202012Validator.check_schema(known)


@pytest.mark.parametrize("name", stock.names())
def test_the_stock_files_fit(known, name):
    assert faults(known, (stock.FOLDER / f"{name}.yaml").read_text()) == []


FITS = """
params: {hz: 15, source: {default: demo, type: text, help: x}, must: {type: int}}
include: [eye.yaml, {file: door, namespace: left, params: {source: 1}}]
board: {file: mine.yaml}
topics: {imu: "my_types:Imu"}
budget: {lock: 300ms}
nodes:
  camera: {run: zuluko.nodes.camera, source: 0, size: $size, hz: 100ms, must: false, nice: -5, group: eye}
  faces:
    run: zuluko.perception.faces
    in: {frames: [camera]}
    restart: {most: 5, within: 1min}
    cpu: {cores: [2, 3], priority: 50, most: 0.8, restart: true}
    memory: {most: 100MB, restart: true}
    env: {OMP_NUM_THREADS: 1}
    when: board.cores > 1
  mine: {run: ./mine.py, in: {ticks: every 500ms, pairs: {sync: [a, b], within: 20ms}}, anything: [1, 2]}
"""


def test_all_that_the_reader_takes_fits(known):
    assert faults(known, FITS) == []


@pytest.mark.parametrize(
    "text",
    [
        "node: {}",
        "{}",
        "nodes: {}",
        "nodes: {a/b: {run: x}}",
        "nodes: {a: {in: {}}}",
        "nodes: {camera: {run: zuluko.nodes.camera, sorce: demo}}",
        "nodes: {camera: {run: zuluko.nodes.camera, loop: yes}}",
        "nodes: {camera: {run: zuluko.nodes.camera, size: [640]}}",
        "nodes: {faces: {run: zuluko.perception.faces}}",
        "nodes: {faces: {run: zuluko.perception.faces, in: {frame: camera}}}",
        "nodes: {a: {run: x, nice: 30}}",
        "nodes: {a: {run: x, memory: 100}}",
        "nodes: {a: {run: x, memory: 100mb}}",
        "nodes: {a: {run: x, restart: {mots: 3}}}",
        "nodes: {a: {run: x, cpu: {most: 0}}}",
        "nodes: {a: {run: x}}\nbudget: 300",
        "nodes: {a: {run: x}}\nparams: {hz: {type: number}}",
        "nodes: {a: {run: x}}\ninclude: [{namespace: x}]",
    ],
)
def test_what_is_wrong_does_not(known, text):
    assert faults(known, text)


def test_every_key_of_the_readers_is_described(known):
    assert set(known["properties"]) == set(keys.TOP)
    assert set(known["$defs"]["entry"]["properties"]) == set(keys.ENTRY)
    for described in (*known["properties"].values(), *known["$defs"]["entry"]["properties"].values()):
        assert described["description"]


def test_a_nodes_configuration_is_described_from_its_function(known):
    from zuluko.nodes.camera import camera

    (case,) = (
        case
        for case in known["$defs"]["entry"]["allOf"]
        if case["if"]["properties"]["run"]["const"] == "zuluko.nodes.camera"
    )
    properties = case["then"]["properties"]
    assert set(read(camera).options) <= set(properties)
    assert properties["hz"]["default"] == 30.0
    assert properties["loop"]["description"].startswith("starts a file, a folder or the demo again")


def test_a_files_own_nodes_are_described_as_well(tmp_path):
    (tmp_path / "mine.py").write_text("def mine(*, speed: float = 1.0) -> None: ...\n")
    file = write(tmp_path, "nodes: {a: {run: ./mine.py, speed: 2}, b: {run: ./broken.py}}")
    printed = json.loads(zuluko("schema", file).stdout)
    assert faults(printed, Path(file).read_text()) == []
    assert faults(printed, "nodes: {a: {run: ./mine.py, sped: 2}}")


def test_the_schema_takes_no_board_for_a_launch_file(known):
    assert faults(known, (board.FOLDER / "pi-4.yaml").read_text())
    assert "jsonschema" in sys.modules
