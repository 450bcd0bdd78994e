"""Nodes that run while their condition holds, in a graph that runs."""

import pytest

from tests.running import up, write

pytest.importorskip("zuluko.launch.watcher")

GRAPH = """
params: {most: 1000}
nodes:
  count: {run: "NODES:count", hz: 20}
  low: {run: "NODES:clock", in: {ticks: every 50ms}, when: count.n > 5 && count.n < 20}
  few: {run: "NODES:clock", in: {ticks: every 50ms}, when: board.cores < most}
  many: {run: "NODES:clock", in: {ticks: every 50ms}, when: board.cores > most}
"""


def test_a_node_starts_and_stops_with_its_condition(tmp_path):
    with up(write(tmp_path, GRAPH, "when.yaml")) as graph:
        graph.wait_for("low", "ready")
        graph.wait_for("low", "clock cleaned up")
        assert graph.told("few", "ready")
        assert not graph.told("many", "ready")
        assert not graph.told("few", "clock cleaned up")
        graph.stop()
