"""What a clause reads, what is said of a wrong one before it runs, and its three values when it does."""

import math
import subprocess
import sys
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest

from zuluko.actions import kinds
from zuluko.actions.celtext import dotted, operands, read
from zuluko.actions.clausecheck import compile_clause
from zuluko.actions.clauses import Clauses, CompiledClause
from zuluko.bus.message import Array, Message
from zuluko.messages import Face, Faces, LockState


class Part(msgspec.Struct, kw_only=True, frozen=True):
    label: str = ""
    weight: float = 0.0


class Robot(Message, tag="TestRobot/1"):
    mode: Literal["idle", "driving"] = "idle"
    speed: float = 0.0
    steps: int = 0
    charging: bool = False
    range: float | None = None
    loose: int | str = 0
    parts: tuple[Part, ...] = ()
    labels: list[str] = []  # noqa: RUF012
    ranges: list[float] = []  # noqa: RUF012
    notes: dict[str, float] = {}  # noqa: RUF012
    picture: Annotated[np.ndarray, Array("u1", (None,))] = msgspec.field(
        default_factory=lambda: np.zeros(3, np.uint8)
    )


class Map(Message, tag="TestMap/1"):
    width: int = 0


class Halt(Message, tag="TestHalt/1"):
    near: bool = False


TOPICS = {"robot": Robot, "faces": Faces, "lock": LockState, "planner.halt": Halt, "planner.robot": Robot}
OWNERS = {"owners": ["ana"], "least": 0.45}
NAMED = ("map", "list", "string")  # topics that are called as a type of CEL is
SCOPE = kinds.scope_of(
    {topic: kinds.of_topic(kind) for topic, kind in {**TOPICS, **dict.fromkeys(NAMED, Map)}.items()},
    {
        "item": kinds.resolve(("faces", "items", "[]"), {"faces": kinds.of_topic(Faces)}),
        **{k: kinds.of_value(v) for k, v in OWNERS.items()},
    },
)


def face(**fields) -> Face:
    points = ((0.0, 0.0),) * 5
    return Face(**{"box": (0.0, 0.0, 9.0, 9.0), "landmarks": points, "score": 0.9, **fields})


def clauses(*texts: str, topics=("robot", "faces", "lock", "planner.halt", "planner.robot")) -> Clauses:
    return Clauses([CompiledClause(text) for text in texts], frozenset(topics), OWNERS)


def verdict(text: str, item: object = None, **inputs: Message) -> str:
    named = {name.replace("planner_", "planner."): message for name, message in inputs.items()}
    (found,) = clauses(text).evaluate(named, item)
    return found


# -- what a text reads


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("robot.speed > 0.5", ["robot.speed"]),
        ("size(owners) == 0 || item.name in owners", ["owners", "item.name"]),
        ('"robot.steps" == robot.mode', ["robot.mode"]),
        ("r'\\' == robot.mode // robot.steps", ["robot.mode"]),
        ('"""a "quoted" robot.steps""" != robot.mode', ["robot.mode"]),
        ("faces.items.exists(f, f.score > least)", ["faces.items", "faces.items[].score", "least"]),
        ("faces.items.map(f, f.name).all(n, n in owners)", ["faces.items", "faces.items[].name", "owners"]),
        ("faces.items.exists(robot, robot.name == '')", ["faces.items", "faces.items[].name"]),
        ("faces.items[0].box[2] > 40.0", ["faces.items[].box[]"]),
        ('item["name"] == "ana"', ["item.name"]),
        ('robot.notes[item.name] > 1.0', ["item.name", "robot.notes[]"]),
        ('item.name.startsWith("a") ? robot.steps > 3 : !robot.charging', ["item.name", "robot.steps", "robot.charging"]),
        ("[robot.speed, 1.0].exists(v, v > 0.5)", ["robot.speed"]),
        ("{'a': robot.speed}.a > 0.5", ["robot.speed"]),
        ("(faces.items).exists(f, f.score > 0.5)", ["faces.items"]),
        ("type(robot.speed) == double", ["robot.speed"]),
        ("planner.halt.near", ["planner.halt.near"]),
        ("robot.steps in [1, 2, 0x1F]", ["robot.steps"]),
        ("map.width > 3 && list['width'] > 3", ["map.width", "list.width"]),
        ("robot.labels.all(string, string != '')", ["robot.labels", "robot.labels[]"]),
        ("type(robot.labels) == list", ["robot.labels"]),
        ("has(robot.mode)", ["robot.mode"]),
    ],
)  # fmt: skip
def test_paths_are_found_in_the_text(text, paths):
    assert [dotted(path) for path in read(text).paths] == paths


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a && b || c", ["a", "b", "c"]),
        ("(a || b) && !(c && d)", ["a", "b", "c", "d"]),
        ("x == '||' && y", ["x == '||'", "y"]),
        ("(a + b) * (c) > 1", ["(a + b) * (c) > 1"]),
        ("l.exists(v, v || w)", ["l.exists(v, v || w)"]),
        ("a ? b : c", ["a", "b", "c"]),
    ],
)
def test_the_parts_of_a_clause_are_looked_at_one_by_one(text, parts):
    assert list(operands(text)) == parts


# -- what is said of a wrong one


@pytest.mark.parametrize(
    "text",
    [
        'item.name != ""',
        "size(owners) == 0 || item.name in owners",
        "item.similarity >= least && item.margin > 0",
        'lock.state == "locked"',
        '"unlocked" != lock.state',
        'lock.state in ["locked"]',
        "faces.items.exists(f, f.name in owners && f.score > 0.5)",
        "faces.items.filter(f, f.score > 0.5).size() > 1",
        "faces.items[3].score > 0.5",
        "faces.size[0] > 320",
        "robot.range > 0.5",
        "robot.notes.cups > 1.0",
        "robot.loose == 'a' || robot.loose > 3",
        "robot.speed / robot.speed > 1.0",
        "10 / robot.steps > 1",
        "planner.halt.near || planner.robot.charging",
        "robot.charging ? robot.speed > 0.0 : true",
        "item.name.matches('^a') || item.name.size() > 3",
        "robot.parts.all(p, p.weight < 1.0)",
        "'tail' in robot.labels",
        "faces.stamp > robot.stamp",
        "double(robot.steps) * 1.5 > robot.speed",
        "map.width > 3 && list.width > 3 || string.width == 3",
        "item.box[3] > 1.0 && item.landmarks[4][1] > 1.0",
        'lock.state in ["locked", "unlocked"]',
        "robot.steps == robot.speed",
        "item.name in owners && !('' in owners)",
        "'cups' in robot.notes && item.name in robot.notes",
        "robot.loose == item.name",
        "robot.speed in [1, 2.5]",
        "faces.items.map(f, f.name) == owners",
    ],
)
def test_right_clauses_pass(text):
    clause, problems = compile_clause(text, SCOPE, OWNERS)
    assert problems == []
    assert clause is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item.similarty >= 0.45", "`item` has no field `similarty`; did you mean `similarity`?"),
        ("item.zzz == 1", "`item` has no field `zzz`; it has box, landmarks, score, name, similarity"),
        ("lok.state == 'locked'", "`lok` is nothing known here; did you mean `lock`?"),
        ("camera.x > 1", "`camera` is nothing known here; there is faces, item, least, list, lock, map, owners"),
        ("planner.hal.near", "`planner` has no field `hal`; did you mean `halt`?"),
        ("planner.halt.neer", "`planner.halt` has no field `neer`; did you mean `near`?"),
        ("faces.items.exists(f, f.nam == '')", "`faces.items[]` has no field `nam`; did you mean `name`?"),
        ("faces.items.name == ''", "`faces.items` is a list and has no field `name`; `faces.items.exists(x, x.name"),
        ("item.name.first == ''", "`item.name` is text and has no field `first`"),
        ("robot.picture == robot.picture", "`robot.picture` is an array; clauses read numbers, text and lists"),
        ("faces.items.filter(f, true)[0].nam == ''", "reads `nam`, which is not there (faces.items is a list)"),
        ('item.score >= "high"', '`item.score >= "high"` puts together what does not fit (item.score is a number)'),
        ('size(owners) == 0 || item.score >= "high"', '`item.score >= "high"` puts together what does not fit'),
        ('true || (robot.charging && item.score > "x")', '`item.score > "x"` puts together what does not fit'),
        ("faces.items.exists(f, f.name == '' || f.score > 'x')", "puts together what does not fit"),
        ("robot.speed + robot.steps > 1", "puts together what does not fit (robot.speed is a number, robot.steps is"),
        ('item.score.startsWith("a")', "puts together what does not fit (item.score is a number)"),
        ("item.name == 5", "`item.name` is text, and can never equal a whole number"),
        ("true == robot.speed", "`robot.speed` is a number, and can never equal true or false"),
        ('lock.state == "lockd"', "`lock.state` is one of locked, unlocked, never `lockd`; did you mean `locked`?"),
        ('"open" == lock.state', "`lock.state` is one of locked, unlocked, never `open`"),
        ("faces.items.exists(f, 5 == f.name)", "`faces.items[].name` is text, and can never equal a whole number"),
        ("item.score", "`item.score` gives a number; a clause must give true or false, so compare it"),
        ("item.name", "`item.name` gives text; a clause must give true or false"),
        ("item.score > 0.5 || item.name", "`item.name` gives text; a clause must give true or false"),
        ("robot.charging ? 1 : 2", "`1` gives a whole number; a clause must give true or false"),
        ("nosize(owners) == 0", "`nosize` is no function of a clause; did you mean `size`?"),
        ("item.name.upper() == 'A'", "`upper` is no function of a clause; there are bytes, contains, distance"),
        ("item.name = 'ana'", "`item.name = 'ana'` has a single `=`; a comparison is written `==`"),
        ("item.name ==", "`item.name ==` is no CEL expression: at character 13, mismatched input its end"),
        ("", "`` is no CEL expression: at character 1, mismatched input its end"),
        ("item.name.matches('(')", "cannot be evaluated: Function 'matches' error: '(' not a valid regex"),
        ("1 == 1 && " * 300 + "true", "the clause is longer than 2000 characters; make several of it"),
        ("(" * 900 + "true" + ")" * 900, "is no CEL expression"),
        ("map.height > 3", "`map` has no field `height`; it has stamp, width"),
        ("item.box[7] > 1.0", "`item.box` has no item 7; they count from 0 to 3"),
        ("item.landmarks[0][2] > 1.0", "`item.landmarks[]` has no item 2; they count from 0 to 1"),
        ("faces.items[-1].score > 0.5", "`faces.items` has no item -1; they count from 0 on"),
        ('lock.state in ["open"]', "`lock.state` is one of locked, unlocked, never `open`"),
        ('!(lock.state in ["locked", "open"])', "`lock.state` is one of locked, unlocked, never `open`"),
        ('lock.state == "open"', "`lock.state` is one of locked, unlocked, never `open`"),
        ("item.name in [1, 2]", "`item.name` is text, and can never equal a whole number"),
        ("5 in owners", "`owners[]` is text, and can never equal a whole number"),
        ("owners == 'ana'", "`owners` is a list, and can never equal text"),
        ("item.name == owners", "`item.name` is text and `owners` is a list, and they can never be equal; `item.name in owners` asks whether it is one of them"),
        ("item.name != item.score", "`item.name` is text and `item.score` is a number, and they can never be equal"),
        ("item.score in owners", "`item.score` is a number and `owners[]` is text, and they can never be equal"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_it_runs(text, said):
    _, problems = compile_clause(text, SCOPE, OWNERS)
    assert len(problems) == 1
    assert said in problems[0]
    assert "\n" not in problems[0]


def test_item_needs_any():
    _, problems = compile_clause("item.name == ''", {"faces": kinds.of_topic(Faces)})
    assert problems == ["`item` needs `any:`, the list field whose items it stands for, as in `any: items`"]


def test_samples_are_the_same_each_time_and_cover_each_choice():
    kind = kinds.of_topic(LockState)
    first = [kinds.sample(kind, number) for number in range(kinds.SAMPLES)]
    assert first == [kinds.sample(kind, number) for number in range(kinds.SAMPLES)]
    assert {sample["state"] for sample in first} == {"locked", "unlocked"}


# -- true, false and unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robot.speed > 0.25", "true"),
        ("robot.speed > 0.75", "false"),
        ("robot.speed > 0", "true"),  # CEL compares numbers of both kinds
        ("robot.range > 0.5", "unknown"),  # null
        ("robot.parts[0].weight > 1.0", "true"),
        ("robot.parts[5].weight > 1.0", "unknown"),
        ("10 / robot.steps > 1", "unknown"),  # by zero
        ("robot.notes.cups > 1.0", "true"),
        ("robot.notes.spoons > 1.0", "unknown"),
        ("lock.state == 'locked'", "unknown"),  # never heard
        ("lock.state == 'locked' || robot.speed > 0.0", "true"),
        ("lock.state == 'locked' && robot.speed > 1.0", "false"),
        ("lock.state == 'locked' && robot.speed > 0.0", "unknown"),
        ("!(lock.state == 'locked')", "unknown"),
        ("!has(lock.state)", "unknown"),
        ("robot.parts.exists(p, p.weight > 1.0)", "true"),
        ("robot.loose > 3", "unknown"),
        ("robot.mode == 'driving'", "true"),
        ("'tail' in robot.labels", "true"),
        ("planner.robot.speed == 0.5", "true"),
        ("planner.halt.near", "unknown"),
        ("least < 0.5 && 'ana' in owners", "true"),
    ],
)
def test_verdicts(text, expected):
    robot = Robot(
        mode="driving",
        speed=0.5,
        loose="a",
        parts=(Part(weight=2.0),),
        labels=["tail"],
        notes={"cups": 2.0},
    )
    assert verdict(text, robot=robot, planner_robot=robot) == expected


def test_a_whole_number_in_a_float_field_counts_as_a_float():
    assert verdict("robot.speed + 0.5 > 1.0", robot=Robot(speed=1)) == "true"


def test_a_value_that_is_not_a_number_passes_no_threshold():
    robot = Robot(speed=math.nan)
    assert (
        verdict("robot.speed >= 0.5", robot=robot) == verdict("robot.speed < 0.5", robot=robot) == "unknown"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robot.speed != 0.3", "unknown"),
        ("!(robot.speed == 0.3)", "unknown"),
        ("!(robot.speed in [0.3])", "unknown"),
        ("robot.speed != 0.3 || robot.steps == 0", "true"),
        ("robot.parts.exists(p, p.weight != 1.0)", "unknown"),
        ("robot.parts.exists(p, p.label == 'x')", "true"),
        ("robot.notes.cups != 1.0", "unknown"),
        ("robot.notes.bowls != 1.0", "true"),
        ("robot.ranges.exists(r, r != 0.3)", "unknown"),
        ("robot.ranges[0] == 0.3", "unknown"),
        ("0.3 in robot.ranges", "unknown"),
        ("robot.ranges.exists(r, r < 0.5)", "unknown"),
        ("robot.ranges.exists(r, r > 0.5)", "unknown"),
        ("size(robot.ranges) == 2 && robot.steps == 0", "true"),
    ],
)
def test_a_comparison_with_nan_is_unknown_wherever_it_stands(text, expected):
    robot = Robot(
        speed=math.nan,
        parts=(Part(label="x", weight=math.nan),),
        notes={"cups": math.nan, "bowls": 2.0},
        ranges=[math.nan, 0.3],
    )
    assert verdict(text, robot=robot) == expected


def test_an_item_that_is_nan_is_unknown_and_the_next_is_not():
    rule = clauses("item != 0.3", topics=())
    assert [rule.evaluate({}, item) for item in (math.nan, 0.5, 0.3)] == [
        *(("unknown",), ("true",), ("false",)),
    ]


def test_a_topic_called_as_a_type_of_cel_is_read():
    inputs = {"map": Map(width=4)}
    rule = clauses("map.width > 3", topics=("map",))
    found = rule.explain(rule.evaluate(inputs), inputs)
    assert (found[0].verdict, found[0].values) == ("true", {"map.width": 4})
    assert rule.topics_of(0) == {"map"}


def test_what_cel_has_no_type_for_is_unknown():
    weird: Any = {"cups": object()}
    assert verdict("robot.notes.cups > 1.0", robot=Robot(notes=weird)) == "unknown"
    assert verdict("robot.speed > 1.0", robot=Robot(speed=weird)) == "unknown"


def test_a_topic_that_falls_silent_becomes_unknown_and_comes_back():
    rule = clauses("lock.state == 'locked'", "robot.speed > 0.5")
    robot, locked, opened = Robot(speed=1.0), LockState(state="locked"), LockState(state="unlocked")
    assert rule.evaluate({"robot": robot, "lock": locked}) == ("true", "true")
    assert rule.evaluate({"robot": robot}) == ("unknown", "true")
    assert rule.evaluate({"robot": Robot(), "lock": opened}) == ("false", "false")
    assert rule.evaluate({"lock": locked}) == ("true", "unknown")


def test_each_item_is_judged_by_itself():
    rule = clauses('item.name != ""', "item.similarity >= least", topics=())
    assert rule.evaluate({}, face(name="ana", similarity=0.6)) == ("true", "true")
    assert rule.evaluate({}, face(name="", similarity=0.6)) == ("false", "true")
    assert rule.evaluate({}, face(name="ben", similarity=0.3)) == ("true", "false")


def test_the_outputs_of_one_node_are_known_one_by_one():
    rule = clauses("planner.halt.near", "planner.robot.charging", topics=("planner.halt", "planner.robot"))
    halt = Halt(near=True)
    assert rule.evaluate({"planner.halt": halt}) == ("true", "unknown")
    assert rule.evaluate({"planner.halt": halt, "planner.robot": Robot(charging=True)}) == ("true", "true")
    assert rule.evaluate({"planner.halt": halt, "planner.robot": Robot()}) == ("true", "false")


def test_an_item_read_whole_is_given_whole():
    assert verdict('item["name"] == "ana" && size(item) > 3', face(name="ana")) == "true"


# -- what a Decision tells


def test_the_values_that_were_read_are_told():
    rule = clauses("item.similarity >= least", "lock.state == 'locked'", topics=("lock",))
    inputs = {"lock": LockState(state="locked")}
    item = face(name="ana", similarity=0.41)
    found = rule.explain(rule.evaluate(inputs, item), inputs, item)
    assert [clause.verdict for clause in found] == ["false", "true"]
    assert found[0].text == "item.similarity >= least"
    assert found[0].values == {"item.similarity": 0.41, "least": 0.45}
    assert found[1].values == {"lock.state": "locked"}


def test_values_stay_short_enough_for_every_line_of_a_log():
    rule = clauses(
        "size(faces.items) > 0 && faces.size[0] > 1", "faces.items[0].box[1] > 1.0", "robot.mode != ''", "lock.state == ''"
    )  # fmt: skip
    inputs = {"faces": Faces(items=(face(), face()), size=(640, 480)), "robot": Robot(mode="x" * 500)}
    first, second, third, fourth = rule.explain(rule.evaluate(inputs), inputs)
    assert first.values == {"faces.items": "2 items", "faces.size": [640, 480]}
    assert second.values == {"faces.items": "2 items"}
    assert len(third.values["robot.mode"]) == 80
    assert fourth.values == {}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(first))["values"] == first.values


def test_cel_is_loaded_without_its_command_line():
    program = (
        "import sys, zuluko.actions.clauses as c; print(c.cel().compile('1 == 1').execute({}));"
        "assert 'prompt_toolkit' not in sys.modules and 'cel.cli' not in sys.modules;"
        "import cel; assert cel.compile is c.cel().compile"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("True\n", "")
