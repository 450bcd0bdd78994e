"""Whatever stands in a launch file, it is read, or told in sentences with places; never a traceback."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import NODES
from zuluko import document
from zuluko.document import DocumentError
from zuluko.launch import expanded, launchfile, schema

WHOLE = f"""
params: {{hz: 15, source: {{default: demo, type: text, help: x}}, wait: 150ms}}
include: [inner.yaml, {{file: inner.yaml, namespace: left, params: {{hz: $hz}}}}]
board: pi-5
topics: {{wheel: "{NODES}:Count"}}
budget: {{count: 300ms}}
nodes:
  count: {{run: "{NODES}:count", hz: $hz, group: g, nice: 3, when: wheel.n > 3 && hz > 1}}
  double:
    run: "{NODES}:double"
    in: {{counts: [count, wheel]}}
    restart: {{most: 5, within: 1min}}
    cpu: {{cores: [2, 3], priority: 50, most: 0.8, restart: true}}
    memory: {{most: 100MB, restart: true}}
    env: {{A: 1, B: $source}}
  clock: {{run: "{NODES}:clock", in: {{ticks: every 500ms}}, must: false}}
  paired: {{run: "{NODES}:paired", in: {{pairs: {{sync: [count, wheel], within: 20ms}}}}}}
  camera: {{run: zuluko.nodes.camera, source: $source, size: [640, 480], stall: $wait}}
"""
INNER = f'params: {{hz: 5.0}}\nnodes: {{inner: {{run: "{NODES}:count", hz: $hz}}}}'

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "$",
            "$hz",
            "$$",
            "$env:HOME",
            "$no",
            "x y",
            "every",
            "every 1s",
            "5s",
            "-5MB",
            "count",
            ".",
            "./",
        ]
    ),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12),
    st.lists(st.sampled_from(["count", 1, None, [], {}]), max_size=3),
    st.dictionaries(
        st.sampled_from(["run", "default", "file", "most", "x"]),
        st.sampled_from([1, "a", None, []]),
        max_size=2,
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in places(one, (*path, key)))]


START = document.parse(WHOLE, file="graph.yaml").value
PLACES = [place for place in places(START) if place]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def removed(value: Any, path: tuple[Any, ...]) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = removed(copy[path[0]], path[1:])
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES),
    new=ODD,
    remove=st.booleans(),
    sets=st.dictionaries(st.sampled_from(["hz", "source", "wait", "x"]), st.text(max_size=6), max_size=1),
)
def test_any_value_anywhere_is_read_or_told(tmp_path, place, new, remove, sets):
    value = removed(START, place) if remove else changed(START, place, new)
    (tmp_path / "inner.yaml").write_text(INNER)
    file = Path(tmp_path / "graph.yaml")
    file.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    graph, problems = None, ()
    try:
        graph = launchfile.load(file, sets=sets)
    except DocumentError as error:
        problems = error.problems
    assert all(problem.what and "\n" not in problem.what for problem in problems)
    if graph is None:
        assert problems
        return
    again = tmp_path / "again.yaml"
    again.write_text(expanded.text(graph, sets), encoding="utf-8")
    assert list(launchfile.load(again).entries) == list(graph.entries)


def test_the_whole_file_is_good_and_fits_its_schema(tmp_path):
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "graph.yaml").write_text(WHOLE)
    assert len(launchfile.load(tmp_path / "graph.yaml").entries) == 7
    assert schema.of(tmp_path / "graph.yaml")["$defs"]
