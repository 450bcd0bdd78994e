"""Launch files: what they mean, and what is said of wrong ones."""

from pathlib import Path

import pytest

from zuluko.document import DocumentError
from zuluko.launch import launchfile
from zuluko.messages import Decision, Delivery, LockCommand

NODES = "tests.nodes_of_tests"


def graph(tmp_path: Path, text: str, **sets: str):
    file = tmp_path / "graph.yaml"
    file.write_text(text.replace("NODES", NODES))
    return launchfile.load(file, sets=sets)


def test_an_entry_is_a_function_call(tmp_path):
    loaded = graph(
        tmp_path,
        """
params:
  rate: {default: 5, help: counts a second}
nodes:
  count: {run: "NODES:count", hz: $rate, limit: 3}
  double: {run: "NODES:double", in: {counts: count}}
  show: {run: "NODES:show", in: {counts: double, last: double}, restart: false}
""",
    )
    count, double, show = loaded.entries.values()
    assert count.options == {"hz": 5.0, "limit": 3}
    assert [topic.name for topic in double.outputs] == ["double.count", "double.status"]
    assert [topic.name for wire in show.wires for topic in wire.topics] == ["double.count", "double.status"]
    assert (count.restart.on, show.restart.on) == (True, False)
    assert (count.is_source, double.is_source) == (True, False)
    assert loaded.driven_by("count") == {"double"}


def test_parameters_come_from_the_command_line_as_what_is_asked_for(tmp_path):
    text = 'params: {rate: 5, limit: null}\nnodes: {count: {run: "NODES:count", hz: $rate, limit: $limit}}'
    assert graph(tmp_path, text, rate="200ms", limit="7").entries["count"].options == {"hz": 0.2, "limit": 7}


def test_the_environment_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNT_LIMIT", "9")
    text = 'nodes: {count: {run: "NODES:count", limit: $env:COUNT_LIMIT}}'
    assert graph(tmp_path, text).entries["count"].options == {"limit": 9}


def test_a_users_file_and_its_messages(tmp_path):
    (tmp_path / "my_types.py").write_text(
        "from zuluko import Message\nclass Mine(Message, tag='Mine/1'):\n    x: int = 0\n"
    )
    (tmp_path / "my_node.py").write_text(
        "from collections.abc import Iterator\nfrom my_types import Mine\n"
        "def my_node() -> Iterator[Mine]:\n    yield Mine()\n"
    )
    loaded = graph(tmp_path, "nodes: {mine: {run: ./my_node.py}}")
    assert [topic.kind.__name__ for topic in loaded.topics] == ["Mine"]


def test_the_stock_door_is_good(tmp_path):
    loaded = launchfile.load(launchfile.locate("door"), sets={"owners": "ana,ben", "source": "0"})
    assert list(loaded.entries) == ["camera", "faces", "rules", "lock"]
    assert loaded.entries["camera"].options["source"] == "0"
    assert [topic.kind for topic in loaded.entries["rules"].outputs] == [Decision, LockCommand, Delivery]
    ((reader, wire),) = loaded.command_wires()
    assert (reader.name, wire.topics[0].name) == ("lock", "rules.lock_command")
    assert loaded.entries["rules"].options["ruleset"].params["owners"].value == ["ana", "ben"]


def test_a_path_is_relative_to_its_launch_file(tmp_path):
    text = "nodes:\n  camera: {run: zuluko.nodes.camera}\n  faces: {run: zuluko.perception.faces, in: {frames: camera}, gallery: people}"
    assert graph(tmp_path, text).entries["faces"].options["gallery"] == tmp_path / "people"


WRONG = {
    "node: {}": "graph.yaml:1:1: unknown key `node`; did you mean `nodes`?",
    "nodes: [1]": "graph.yaml:1:8: a launch file needs `nodes:`, a mapping of names to entries",
    "nodes: {a: {ran: x}}": "graph.yaml:1:12: the node `a` needs `run:`",
    "nodes: {a/b: {run: x}}": "graph.yaml:1:9: `a/b` cannot name a node",
    "nodes: {a.b: {run: x}}": "graph.yaml:1:9: `a.b` cannot name a node",
    "nodes: {}": "a launch file needs `nodes:`",
    "params: [a]\nnodes: {a: {run: 'NODES:count'}}": "`params:` must be a mapping of names to defaults",
    "nodes: {a: {run: $b}}": "`$b` is no parameter of this file; declare it under `params:`",
    "nodes: {a: {run: 'NODES:double', in: {counts: [[count]]}}, count: {run: 'NODES:count'}}": "is no topic; write a topic's name",
    "nodes: {a: {run: 'NODES:double', in: {counts: {x: y}}}, count: {run: 'NODES:count'}}": "is no topic; write a topic's name",
    "nodes: {a: {run: 'NODES:double', in: {counts: []}}, count: {run: 'NODES:count'}}": "the input `counts` hears nothing; name a topic",
    "nodes: {a: {run: 'NODES:double', in: {counts: [count, count]}}, count: {run: 'NODES:count'}}": "a topic is named twice",
    "nodes: {a: {run: 'NODES:show', in: {counts: c, last: [d, e]}}, c: {run: 'NODES:count'}, d: {run: 'NODES:clock', in: {ticks: every 1s}}, e: {run: 'NODES:clock', in: {ticks: every 1s}}}": "the input `last` is the latest of one topic; choose one of: d, e",
    "nodes: {a: {run: 'NODES:mixed', in: {things: [c, p]}}, c: {run: 'NODES:count'}, p: {run: 'NODES:pilot', in: {counts: c}}}": "the input `things` mixes commands and others",
    "nodes: {a: {run: ./leaving.py}}": "failed: SystemExit: 0",
    "nodes: {a: {run: ./strange.py}}": "cannot be a node: its annotations cannot be read",
    "nodes: {a: {run: ./deep.py}}": "cannot be a node: Deep.parts: an array is a field of its own",
    "nodes: {a: {run: zuluko.nodes.kamera}}": "1:18: there is no module `zuluko.nodes.kamera`; did you mean `camera`?",
    "nodes: {a: {run: 'NODES:cuont'}}": "1:18: `NODES` has no function `cuont`; did you mean `count`?",
    "nodes: {a: {run: ./missing.py}}": "1:18: there is no file ",
    "nodes: {a: {run: missing.rules.yaml}}": "1:18: there is no file ",
    "nodes: {a: {run: not a module}}": "1:18: `not a module` is no module; write package.module",
    "nodes: {a: {run: 'NODES:count', hzz: 3}}": "has no configuration `hzz`; did you mean `hz`?",
    "nodes: {a: {run: 'NODES:count', hz: fast}}": "`hz`: expected `float`, got `str` (given: `fast`)",
    "nodes: {a: {run: 'NODES:count', hz: 5 minutes}}": "`hz`: `5 minutes` is no duration; write 200ms",
    "nodes: {a: {run: 'NODES:count', limit: 1.5}}": "`limit`: expected `int`, got `float` (given: `1.5`)",
    "nodes: {a: {run: 'NODES:count', restart: maybe}}": "`restart` is true or false, not `maybe`",
    "nodes: {a: {run: 'NODES:count', in: {x: b}}}": "`a` has no input `x`",
    "nodes: {a: {run: 'NODES:count', in: b}}": "`in:` must be a mapping of inputs to topics",
    "nodes: {a: {run: 'NODES:double'}}": "1:9: the input `counts` of `a` is not connected; add `in: {counts: ...}`",
    "nodes: {a: {run: 'NODES:double', in: {counts: cuont}}, count: {run: 'NODES:count'}}": (
        "no node publishes `cuont`; did you mean `count`?"
    ),
    "nodes: {a: {run: 'NODES:wheels', in: {moves: count}}, count: {run: 'NODES:count'}}": (
        "the input `moves` takes Move, but `count` publishes Count"
    ),
    "nodes: {a: {run: 'NODES:clock', in: {ticks: every 5}}}": "a duration needs its unit: write 5s or 5ms, not 5",
    "nodes: {a: {run: 'NODES:clock', in: {ticks: every 0s}}}": "a timer's period must be longer than 0",
    "nodes: {a: {run: 'NODES:double', in: {counts: every 1s}}}": (
        "the input `counts` takes Count, not the ticks of a timer"
    ),
    "nodes: {a: {run: 'NODES:count', hz: $rat}}\nparams: {rate: 3}": "`$rat` is no parameter of this file; did you mean `rate`?",
    "nodes: {a: {run: 'NODES:count', hz: $env:NO_SUCH}}": "the environment has no NO_SUCH; set it before the start",
    "nodes: {a: {run: 'NODES:positional', in: {counts: a}}}": (
        "cannot be a node: the input `counts` must be annotated Stream[...], Latest[...] or Synced[...]"
    ),
    "nodes: {a: {run: 'NODES:Count'}}": "has no function `Count`; did you mean `count`?",
    "nodes: {a: {run: 'NODES:unannotated', in: {counts: a}}}": "; that node publishes nothing",
    "nodes: {a: {run: ./broken.py}}": "is not Python: ",
    "nodes: {a: {run: ./failing.py}}": "failed: ZeroDivisionError: division by zero",
    "nodes: {a: {run: ./needy.py}}": "needs the module `no_such_module_here`, which is not installed",
    "nodes: {a: {run: ./json.py}}": "json.py bears the name of another module",
    "nodes:\n  a: {run: x\n": "this is not YAML",
    "nodes: {a: {run: x}, a: {run: y}}": "`a` is given twice",
}


DEEP = """
from collections.abc import Iterator
import numpy as np
from zuluko import Message
class Deep(Message, tag="Deep/1"):
    parts: tuple[np.ndarray, ...] = ()
def deep() -> Iterator[Deep]:
    yield Deep()
"""


@pytest.mark.parametrize(("text", "said"), WRONG.items())
def test_a_wrong_file_is_told_with_its_place(tmp_path, text, said):
    (tmp_path / "broken.py").write_text("def broken(:\n")
    (tmp_path / "failing.py").write_text("1 / 0\n")
    (tmp_path / "needy.py").write_text("import no_such_module_here\n")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "strange.py").write_text("def strange(x: 'Stream[') -> None: ...\n")
    (tmp_path / "deep.py").write_text(DEEP)
    with pytest.raises(DocumentError) as wrong:
        graph(tmp_path, text)
    assert said.replace("NODES", NODES) in str(wrong.value)
    assert str(wrong.value).startswith(f"{tmp_path}/graph.yaml:")


def test_all_errors_come_at_once_in_the_order_of_their_places(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", hzz: 1}
  double: {run: "NODES:double", in: {count: count}}
  other: {run: zuluko.nodes.nothing}
"""
    with pytest.raises(DocumentError) as wrong:
        graph(tmp_path, text)
    lines = [problem.line for problem in wrong.value.problems]
    assert lines == sorted(lines)
    assert set(lines) == {3, 4, 5}


def test_a_typed_value_that_does_not_fit_is_the_command_lines_mistake(tmp_path):
    text = 'params: {rate: 5}\nnodes: {count: {run: "NODES:count", hz: $rate}}'
    with pytest.raises(DocumentError) as wrong:
        graph(tmp_path, text, rate="high")
    assert str(wrong.value) == "--set rate: `hz`: expected `float`, got `str` (given: `high`)"


def test_what_people_write_for_a_type(tmp_path):
    text = (
        "params: {on: true, limit: 3, x: null}\n"
        'nodes: {count: {run: "NODES:count", restart: $on, limit: $limit}, '
        "camera: {run: zuluko.nodes.camera, source: 0}, other: {run: zuluko.nodes.camera, source: a$$b}}"
    )
    loaded = graph(tmp_path, text, on="false")
    assert not loaded.entries["count"].restart.on
    assert loaded.entries["camera"].options["source"] == "0"
    assert loaded.entries["other"].options["source"] == "a$b"


def test_a_gallery_of_null_is_the_users_own(tmp_path):
    assert (
        launchfile.load(launchfile.locate("door"), sets={"gallery": "null"})
        .entries["faces"]
        .options["gallery"]
        is None
    )


def test_an_unknown_parameter_is_told(tmp_path):
    with pytest.raises(
        DocumentError, match="--set sorce: .*door.yaml has no such parameter; did you mean `source`?"
    ):
        launchfile.load(launchfile.locate("door"), sets={"sorce": "0"})


def test_an_unknown_graph_is_told_with_the_stock_ones():
    with pytest.raises(DocumentError, match="there is no such launch file; did you mean `door`?"):
        launchfile.locate("dor")


def test_a_runtime_path_that_is_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path / ("x" * 90)))
    with pytest.raises(DocumentError, match="bytes long, and the kernel takes 107; set ZULUKO_RUN"):
        graph(tmp_path, 'nodes: {count: {run: "NODES:count"}}')


def test_the_rules_errors_are_told_with_the_graphs(tmp_path):
    (tmp_path / "my.rules.yaml").write_text(
        "r:\n  when: nothing\n  if: ['true']\n  max_age: 1s\n  do: {lock: {open_for: 5s}}\n"
    )
    with pytest.raises(DocumentError) as wrong:
        graph(
            tmp_path,
            "nodes:\n  rules: {run: my.rules.yaml, in: {x: y}}\n  count: {run: 'NODES:count', hzz: 1}\n",
        )
    files = [Path(problem.file).name for problem in wrong.value.problems]
    assert set(files) == {"graph.yaml", "my.rules.yaml"}
