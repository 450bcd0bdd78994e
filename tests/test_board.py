"""Boards, and whether a graph fits: the measured memory of its nodes, added up."""

import json
from pathlib import Path

import pytest

from tests.running import write, zuluko
from zuluko import document
from zuluko.document import DocumentError
from zuluko.launch import board, launchfile, memory

MB = 1 << 20
TINY = "title: a tiny board\nmemory: 200MB\nsystem: 20MB\ncores: 2\narch: armv7l\n"


def test_every_board_that_comes_with_the_package_is_sound():
    assert board.names() == ["jetson-orin-nano", "pi-4", "pi-5", "pi-zero-2w", "zuluko-512"]
    for name in board.names():
        found = board.find(name)
        assert (found.name, found.arch) == (name, "aarch64")
        assert 0 < found.free < found.memory
        assert {"fp", "asimd"} <= set(found.features)
        assert (board.FOLDER / f"{name}.yaml").read_text().startswith("# "), "where its facts are from"
    assert (board.find("pi-zero-2w").memory, board.find("zuluko-512").cores) == (512 * MB, 1)


def test_this_machine_is_a_board_as_well():
    found = board.machine()
    assert found.memory > 100 * MB
    assert found.cores >= 1
    assert found.features


def test_the_stock_nodes_have_been_measured():
    table = memory.measured()
    graph = launchfile.load(launchfile.locate("door"))
    keys = {memory.key(entry) for entry in graph.entries.values()}
    assert keys <= table.nodes.keys()
    assert "Python" in table.how
    assert all(1 < size < 500 for size in (table.launcher, table.plain, *table.nodes.values()))
    assert table.nodes["zuluko.perception.faces:faces"] > 5 * table.plain


def test_the_door_fits_the_least_board(tmp_path):
    text = "board: zuluko-512\ninclude: door"
    graph = launchfile.load(Path(write(tmp_path, text)))
    shares = memory.shares(graph)
    assert [share.name for share in shares] == ["launcher", "camera", "faces", "rules", "lock"]
    assert not any(share.how for share in shares)
    table = memory.measured()
    assert memory.total(shares) == pytest.approx((table.launcher + sum(table.nodes.values())) * MB)


def test_check_shows_the_sum(tmp_path):
    file = write(
        tmp_path, "board: pi-zero-2w\ninclude: door\nnodes: {mine: {run: 'NODES:count', memory: 30MB}}"
    )
    shown = zuluko("check", file).stdout
    total = memory.total(memory.shares(launchfile.load(Path(file)))) / MB
    assert f"memory: {total:.0f} MB of the 332 MB that Raspberry Pi Zero 2 W has for it" in shown
    assert "mine 30 MB (not measured; its `memory`)" in shown


def test_what_does_not_fit_is_told_with_the_sum(tmp_path):
    write(tmp_path, TINY, "tiny.yaml")
    text = """
board: {file: tiny.yaml}
nodes:
  a: {run: "NODES:count"}
  b: {run: "NODES:count", memory: 100MB}
  c: {run: "NODES:count", memory: 50MB, when: board.cores > 2}
"""
    graph = launchfile.load(Path(write(tmp_path, text)))
    names = [share.name for share in memory.shares(graph)]
    assert names == ["launcher", "a", "b"], "what never runs there takes nothing"
    with pytest.raises(DocumentError) as wrong:
        launchfile.load(Path(write(tmp_path, text.replace("100MB", "190MB"))))
    table = memory.measured()
    total = table.launcher + table.plain + 190
    assert str(wrong.value) == (
        f"{tmp_path}/graph.yaml:2:8: the graph needs {total:.0f} MB, and a tiny board has 180 MB for it: "
        f"launcher {table.launcher:.0f} MB, a {table.plain:.0f} MB (not measured; a plain node), "
        "b 190 MB (not measured; its `memory`); expected a sum that fits; "
        "try a larger board, or leave out or lighten `b`"
    )


def test_nodes_of_a_group_need_one_process(tmp_path):
    text = "nodes: {a: {run: 'NODES:count'GROUP, memory: 40MB}, b: {run: 'NODES:count'GROUP, memory: 40MB}}"
    alone, together = (
        memory.total(memory.shares(launchfile.load(Path(write(tmp_path, text.replace("GROUP", group))))))
        for group in ("", ", group: g")
    )
    assert alone - together == pytest.approx((memory.measured().plain - 1) * MB)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "title: x\nmemory: 1GB\n",
            "b.yaml:1:1: `b` needs `system`; try `b: {title: My board, memory: 512MB, ",
        ),
        (
            TINY + "colour: red\n",
            "b.yaml:6:1: `b` has no key `colour`; expected: title, memory, system, cores",
        ),
        (
            TINY.replace("20MB", "300MB"),
            "b.yaml:3:9: `system` takes all the memory; expected less than `memory`",
        ),
        (
            TINY.replace("cores: 2", "cores: 0"),
            "b.yaml:4:8: `cores` is `0`; expected a whole number from 1 to",
        ),
    ],
)
def test_a_board_that_is_wrong_is_told_in_its_own_file(tmp_path, text, said):
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(DocumentError) as wrong:
        board.load(tmp_path / "b.yaml")
    assert str(wrong.value).replace(f"{tmp_path}/", "").startswith(said)


def test_the_table_is_plain_json():
    assert set(json.loads(memory.FILE.read_text())) == {"how", "launcher", "plain", "nodes"}
    assert document.load(board.FOLDER / "pi-4.yaml").value["memory"] == "1GB"
