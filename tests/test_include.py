"""Included launch files: their names, their parameters, and what runs of them."""

from pathlib import Path

import pytest

from tests.running import up, write
from zuluko.document import DocumentError
from zuluko.launch import launchfile
from zuluko.messages import Decision

CART = """
params: {limit: 0, factor: 2}
nodes:
  count: {run: "NODES:count", limit: $limit, group: cart}
  double: {run: "NODES:double", in: {counts: count}, factor: $factor}
  clock: {run: "NODES:clock", in: {ticks: every 50ms}}
  beat: {run: "NODES:clock", in: {ticks: every 50ms}}
  rules: {run: cart.rules.yaml}
  wheels: {run: "NODES:wheels", in: {moves: rules}}
"""
RULES = """
go:
  when: clock
  if: ['clock.text != ""', 'beat.text != ""']
  max_age: 5s
  do: {wheels: {speed: 1.0}}
"""
TWO = """
include:
  - {file: cart.yaml, namespace: left, params: {limit: 5}}
  - {file: cart.yaml, namespace: right, params: {factor: 3}}
nodes:
  show: {run: "NODES:show", in: {counts: left_double, last: right_wheels}}
"""


@pytest.fixture
def cart(tmp_path: Path) -> Path:
    write(tmp_path, CART, "cart.yaml")
    write(tmp_path, RULES, "cart.rules.yaml")
    return tmp_path


def load(folder: Path, text: str, **sets: str):
    return launchfile.load(Path(write(folder, text)), sets=sets)


def heard(graph, name: str) -> list[str]:
    return [topic.name for wire in graph.entries[name].wires for topic in wire.topics]


def test_names_have_the_namespace_before_them(cart):
    graph = load(cart, TWO)
    parts = ("count", "double", "clock", "beat", "rules", "wheels")
    assert list(graph.entries) == [
        "show",
        *(f"{side}_{part}" for side in ("left", "right") for part in parts),
    ]
    assert heard(graph, "left_double") == ["left_count"]
    assert heard(graph, "right_wheels") == ["right_rules.move"]
    assert heard(graph, "right_rules") == ["right_clock", "right_beat"]
    assert heard(graph, "show") == ["left_double.count", "right_wheels"]
    assert (graph.entries["left_count"].group, graph.entries["right_count"].group) == (
        "left_cart",
        "right_cart",
    )


def test_parameters_are_each_files_own(cart):
    graph = load(cart, TWO)
    assert [graph.entries[name].options["limit"] for name in ("left_count", "right_count")] == [5, 0]
    assert [graph.entries[name].options["factor"] for name in ("left_double", "right_double")] == [2, 3]
    assert graph.params == {}


def test_what_was_typed_is_handed_on_and_keeps_its_place(cart):
    text = "params: {many: 1}\ninclude: {file: cart.yaml, params: {limit: $many}}"
    assert load(cart, text, many="7").entries["count"].options["limit"] == 7
    with pytest.raises(
        DocumentError, match=r"^--set many: `many` is `x`; expected a number; try `--set many=1`$"
    ):
        load(cart, text, many="x")
    with pytest.raises(DocumentError, match=r"^--set many: `limit` is `1\.5`; expected a whole number; try"):
        load(cart, text, many="1.5")


def test_a_file_alone_is_merged_as_it_is(cart):
    graph = load(
        cart, "include: cart.yaml\nnodes: {show: {run: 'NODES:show', in: {counts: double, last: wheels}}}"
    )
    assert list(graph.entries) == ["show", "count", "double", "clock", "beat", "rules", "wheels"]
    assert graph.entries["rules"].options["ruleset"].names == {}


def test_names_are_looked_for_inside_and_then_outside(cart):
    write(cart, "nodes: {double: {run: 'NODES:double', in: {counts: count}}}", "inner.yaml")
    middle = "include: [{file: inner.yaml, namespace: eye}]\nnodes: {count: {run: 'NODES:count'}}"
    write(cart, middle, "middle.yaml")
    outer = "include: [{file: middle.yaml, namespace: left}]\nnodes: {count: {run: 'NODES:count'}}"
    assert heard(load(cart, outer), "left_eye_double") == ["left_count"]
    outside = "include: [{file: inner.yaml, namespace: left}]\nnodes: {count: {run: 'NODES:count'}}"
    assert heard(load(cart, outside), "left_double") == ["count"]


def test_a_stock_graph_is_included_by_its_name(cart):
    graph = load(cart, "include: [{file: door, namespace: front, params: {owners: [ana], hz: 5}}]")
    assert list(graph.entries) == ["front_camera", "front_faces", "front_rules", "front_lock"]
    ((reader, wire),) = graph.command_wires()
    assert (reader.name, wire.topics[0].name) == ("front_lock", "front_rules.lock_command")
    rules = graph.entries["front_rules"].options["ruleset"]
    assert rules.names == {"front_faces": "faces", "front_lock": "lock"}
    assert [action.actuator for rule in rules.rules for action in rule.do] == ["front_lock"]
    assert rules.params["owners"].value == ["ana"]


def test_a_budget_and_conditions_are_in_the_names_of_their_file(cart):
    write(
        cart,
        "budget: {a: 2s}\nnodes: {a: {run: 'NODES:count', when: b.n > 1}, b: {run: 'NODES:count'}}",
        "in.yaml",
    )
    graph = load(cart, "include: {file: in.yaml, namespace: left}\nnodes: {b: {run: 'NODES:count'}}")
    assert (graph.entries["left_a"].budget, graph.entries["b"].budget) == (2.0, None)
    condition = graph.entries["left_a"].when
    assert [topic.name for topic in condition.topics] == ["left_b"]
    kind = graph.topics[0].kind
    assert condition.holds({"left_b": kind(n=2), "b": kind(n=0)}) is True


def test_errors_have_the_place_in_the_included_file(cart):
    write(cart, "nodes:\n  double: {run: 'NODES:double', in: {counts: cuont}}\n", "inner.yaml")
    with pytest.raises(DocumentError) as wrong:
        load(
            cart,
            "include: [inner.yaml, {file: cart.yaml, namespace: left}]\nnodes: {a: {run: 'NODES:count', x: 1}}",
        )
    places = [str(problem).replace(f"{cart}/", "").partition(": ")[0] for problem in wrong.value.problems]
    assert places == ["graph.yaml:2:48", "inner.yaml:2:61"]


def test_files_that_include_each_other_without_end_are_refused(cart):
    for number in range(12):
        write(cart, f"include: [f{number + 1}.yaml, f{number + 1}.yaml]", f"f{number}.yaml")
    write(cart, "nodes: {a: {run: 'NODES:count'}}", "f12.yaml")
    with pytest.raises(DocumentError, match="this graph has more than 100 files; include fewer"):
        load(cart, "include: f0.yaml")


def test_two_carts_run_side_by_side_by_one_rules_file(cart):
    with up(write(cart, TWO.replace("limit: 5", "limit: 0"), "two.yaml")) as graph:
        graph.wait_for("left_rules", "go")
        graph.wait_for("right_rules", "go")
        assert graph.stop() == 0
    messages = graph.summary["messages"]
    assert min(messages["left_wheels"], messages["right_wheels"]) > 0
    assert messages["left_rules.move"] == 1
    assert messages["right_rules.move"] == 1


def test_a_decision_says_the_graphs_topic_and_the_files_words(cart):
    from zuluko import Latest, Stream

    graph = load(cart, TWO)
    entry = graph.entries["right_rules"]
    status = graph.entries["right_clock"].outputs[0].kind
    events = Stream([status(stamp=1, text="tick")], topic="right_clock")
    said = list(entry.function(events, {"right_beat": Latest(status(text="tick"))}, **entry.options))
    decision, command = said
    assert isinstance(decision, Decision)
    assert (decision.outcome, decision.topic) == ("fired", "right_clock")
    assert [clause.text for clause in decision.clauses] == ['clock.text != ""', 'beat.text != ""']
    assert (command.to, command.id.split(".")[0]) == ("right_wheels", "right_rules")
