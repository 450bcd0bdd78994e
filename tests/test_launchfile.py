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


def test_a_file_that_bears_the_name_of_pythons_own_module_is_told(tmp_path):
    (tmp_path / "json.py").write_text("")
    with pytest.raises(DocumentError, match=r"1:18: json\.py bears the name of another module"):
        graph(tmp_path, "nodes: {a: {run: ./json.py}}")


def test_annotations_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "strange.py").write_text("def strange(x: 'Stream[') -> None: ...\n")
    with pytest.raises(DocumentError, match="cannot be a node: its annotations cannot be read"):
        graph(tmp_path, "nodes: {a: {run: ./strange.py}}")


def test_a_core_that_this_machine_has_not_is_told(tmp_path):
    with pytest.raises(DocumentError, match="`cpu` names core 4999, but this machine has "):
        graph(tmp_path, "nodes: {a: {run: 'NODES:count', cpu: 4999}}")


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
    assert str(wrong.value) == "--set rate: `rate` is `high`; expected a number; try `--set rate=5`"


def test_what_people_write_for_a_type(tmp_path):
    text = (
        "params: {on: true, limit: 3, x: null}\n"
        'nodes: {count: {run: "NODES:count", restart: $on, limit: $limit}, '
        "camera: {run: zuluko.nodes.camera, source: 0}, other: {run: zuluko.nodes.camera, source: http://camera/a$$b}}"
    )
    loaded = graph(tmp_path, text, on="false")
    assert not loaded.entries["count"].restart.on
    assert loaded.entries["camera"].options["source"] == "0"
    assert loaded.entries["other"].options["source"] == "http://camera/a$b"


def test_a_gallery_of_null_is_the_users_own(tmp_path):
    assert (
        launchfile.load(launchfile.locate("door"), sets={"gallery": "null"})
        .entries["faces"]
        .options["gallery"]
        is None
    )


def test_an_unknown_parameter_is_told(tmp_path):
    with pytest.raises(
        DocumentError, match="--set sorce: `sorce` is no parameter of .*door.yaml; did you mean `source`?"
    ):
        launchfile.load(launchfile.locate("door"), sets={"sorce": "0"})


def test_an_unknown_graph_is_told_with_the_stock_ones():
    with pytest.raises(DocumentError, match="there is no such launch file; did you mean `door`?"):
        launchfile.locate("dor")


def test_a_launch_file_beside_an_unknown_one_is_named(tmp_path, monkeypatch):
    for name in ("porch.yaml", "garage.rules.yaml"):
        (tmp_path / name).write_text("nodes: {}")
    with pytest.raises(DocumentError, match=r"launch file; did you mean `.*/porch\.yaml`\?"):
        launchfile.locate(str(tmp_path / "proch.yaml"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DocumentError, match=r"^porch: there is no such launch file; did you mean `porch\.yaml`\?"
    ):
        launchfile.locate("porch")
    with pytest.raises(DocumentError, match="launch file; the stock graphs are: door"):
        launchfile.locate("garage.yaml")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "count.py",
            "count.py: this is Python, which a launch file runs: `nodes: {count: {run: ./count.py}}`",
        ),
        (
            "a.mcap",
            "a.mcap: this is a log and no launch file; look into it: zuluko log info a.mcap; or: zuluko replay a.mcap",
        ),
    ],
)
def test_what_is_no_launch_file_is_told_by_what_it_is(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\x89MCAP: [")
    with pytest.raises(DocumentError) as caught:
        launchfile.load(launchfile.locate(name))
    assert str(caught.value) == said


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
