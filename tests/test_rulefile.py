"""Rule files: what a right one gives, and what is said of each wrong one."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zuluko.actions import params as rule_params
from zuluko.actions.rulefile import KEYS, RuleSet, check, load
from zuluko.bus.message import Command, Message
from zuluko.document import Document, DocumentError, parse
from zuluko.messages import Decision, Face, Faces, Frame, LockCommand, LockState

DOOR = Path(__file__).parents[1] / "zuluko" / "launch" / "door.rules.yaml"


class Drive(Command, tag="RulefileDrive/1"):
    speed: float
    gear: Literal["low", "high"] = "low"
    steps: int = 0
    limit: float | None = None


class Path2(Message, tag="RulefilePath/1"):
    length: float = 0.0


TOPICS: dict[str, Any] = {
    "camera": Frame,
    "faces": Faces,
    "lock": LockState,
    "rules": Decision,
    "planner.path": Path2,
    "planner.state": LockState,
    "mixed": (Path2, LockState),
}
ACTUATORS: dict[str, type[Command]] = {"lock": LockCommand, "wheels": Drive}


def read(text: str, params: dict[str, Any] | None = None) -> RuleSet:
    return check(parse(text, file="a.yaml"), topics=TOPICS, actuators=ACTUATORS, params=params)


def wrong(text: str, params: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(text, params)
    return str(caught.value).splitlines()


def test_the_stock_doors_rules():
    ruleset = load(DOOR, topics=TOPICS, actuators=ACTUATORS)
    (rule,) = ruleset.rules
    assert ruleset.triggers == ("faces",)
    assert ruleset.levels == ("lock",)
    assert ruleset.commands == {"lock": LockCommand}
    assert ruleset.params["owners"].value is None
    assert (rule.name, rule.when, rule.any, rule.seen, rule.of) == ("unlock", "faces", "items", 3, 5)
    assert (rule.hold, rule.max_age, rule.cooldown, rule.again) == (0.2, 0.5, 1.0, 1.0)
    assert rule.do[0].command(id="1", stamp=7) == LockCommand(
        id="1", to="lock", stamp=7, open_for=3.0, reason="unlock"
    )


@pytest.mark.parametrize(
    ("owners", "ana", "nobody"),
    [
        (None, "true", "true"),
        ([], "false", "false"),
        (["ana"], "true", "false"),
        (["123"], "false", "false"),
    ],
)
def test_who_is_an_owner_of_the_stock_door(owners, ana, nobody):
    """Without a word about owners it is everybody with a name; of an empty list it is nobody."""
    (rule,) = load(DOOR, topics=TOPICS, actuators=ACTUATORS, params={"owners": owners}).rules
    points = ((0.0, 0.0),) * 5
    for name, expected in (("ana", ana), ("", nobody)):
        face = Face(box=(0.0, 0.0, 9.0, 9.0), landmarks=points, score=0.9, name=name, similarity=0.41)
        named, owner, _ = rule.condition.evaluate({}, face)
        assert (named, owner) == ("true" if name else "false", expected)


@pytest.mark.parametrize("owners", ["", "ana", 123, [123], ["ana", 123], [True], [None], True, {"ana": 1}])
def test_owners_that_are_no_list_of_text_are_refused(owners):
    with pytest.raises(
        DocumentError, match=r":3:3: the value given for `owners` must be a list of text, not `"
    ):
        load(DOOR, topics=TOPICS, actuators=ACTUATORS, params={"owners": owners})


def test_the_stock_door_leaves_it_to_the_faces_node_how_similar_is_enough():
    assert "0.45" not in DOOR.read_text()


def test_the_stock_door_acts_within_half_a_second_at_fifteen_pictures_a_second():
    (rule,) = load(DOOR, topics=TOPICS, actuators=ACTUATORS).rules
    assert (rule.seen - 1) / 15 + rule.hold <= 0.35


def test_every_key():
    ruleset = read("""
params:
  fast: 0.5
  names: {default: [ana], help: who}
go-on:
  when: planner.path
  if: [planner.path.length > fast, "mixed.length > 1.0", size(names) > 0]
  seen: 2 of 3
  for: 1.5s
  max_age: 1min
  cooldown: 1h
  again: 2min
  stale: {mixed: 10s, planner.path: 5s}
  do:
    wheels: {speed: 200ms, gear: high, steps: 3, limit: 5s}
    lock: {open_for: 3, reason: because}
watch:
  when: faces
  if: size(faces.items) > 2
""")
    go, watch = ruleset.rules
    assert (go.name, go.when, go.any, go.seen, go.of) == ("go-on", "planner.path", "", 2, 3)
    assert (go.hold, go.max_age, go.cooldown, go.again) == (1.5, 60.0, 3600.0, 120.0)
    assert go.stale == {"mixed": 10.0, "planner.path": 5.0}
    assert (go.stale_after("mixed"), go.stale_after("faces")) == (10.0, 3.0)
    assert go.condition.topics == {"planner.path", "mixed"}
    drive, lock = [action.command(id="1", stamp=2) for action in go.do]
    assert drive == Drive(id="1", to="wheels", stamp=2, speed=0.2, gear="high", steps=3, limit=5.0)
    assert lock == LockCommand(id="1", to="lock", stamp=2, open_for=3.0, reason="because")
    assert (watch.seen, watch.of, watch.hold, watch.cooldown, watch.do) == (1, 1, 0.0, 0.0, ())
    assert watch.max_age == watch.again == float("inf")
    assert ruleset.triggers == ("planner.path", "faces")
    assert ruleset.levels == ("mixed",)
    assert ruleset.commands == {"wheels": Drive, "lock": LockCommand}
    found = {name: (param.value, param.help, param.kind) for name, param in ruleset.params.items()}
    assert found == {"fast": (0.5, "", float), "names": (["ana"], "who", list[str])}


def test_params_are_overridden_and_seen_by_the_clauses():
    text = "params: {least: 0.5, who: {default: []}}\na: {when: faces, any: items, if: [item.score > least, item.name in who]}"
    ruleset = read(text, {"least": 1, "who": ["ben"]})
    assert ruleset.params["least"].value == 1.0
    assert isinstance(ruleset.params["least"].value, float)
    verdicts = ruleset.rules[0].condition.evaluate({}, Decision(rule="", outcome="held"))
    assert verdicts == ("unknown", "unknown")
    assert read(text).params["who"].value == []


def test_a_ruleset_is_named_after_its_node_or_else_its_file(tmp_path):
    file = tmp_path / "x.rules.yaml"
    file.write_text("a: {when: faces, if: ['true']}")
    assert load(file, topics=TOPICS, actuators=ACTUATORS, name="front").name == "front"
    assert load(file, topics=TOPICS, actuators=ACTUATORS).name == str(file)


def test_the_types_of_parameters_for_what_is_typed():
    declared = parse(
        "params: {who: {default: null, type: list of text}, n: 1, x: 0.5, l: [ana], m: [], bad: null}",
        file="",
    )
    assert rule_params.types(declared.value["params"]) == {
        **{"who": list[str], "n": int, "x": float, "l": list[str], "m": list},
    }
    assert rule_params.types(None) == {}


def test_what_a_parameter_that_may_be_null_is_compared_with_is_checked():
    text = "params: {who: {default: null, type: list of text}}\na: {when: faces, any: items, if: [%s]}"
    assert read(text % "who == null || item.name in who").params["who"].value is None
    assert wrong(text % "who == null || item.name == who")[0].startswith(
        "a.yaml:2:35: `item.name` is text and `who` is a list"
    )
    assert "puts together what does not fit" in wrong(text % "who == null || size(who) > 'x'")[0]


RULE = "a:\n  when: faces\n  if: [size(faces.items) > 0]\n  max_age: 1s\n"
ITEM = "a:\n  when: faces\n  any: items\n  if:\n    - item.name != ''\n    - "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params: {}", "1:1: there is no rule here; a rule is a name with `when:`, `if:` and `do:` under it"),
        ("a: 5", "1:1: the rule `a` must have `when:`, `if:` and `do:` under it"),
        ("5 a: {when: faces, if: ['true']}", "1:1: `5 a` is no name for a rule; use letters, digits, `_` and `-`"),
        (RULE + "  cooldwon: 5s", "5:3: a rule has no key `cooldwon`; did you mean `cooldown`?"),
        (RULE + "  then: x", "5:3: a rule has no key `then`; did you mean `when`?"),
        (RULE + "  zz: x", "5:3: a rule has no key `zz`; there are when, any, if, seen, for, max_age, cooldown"),
        ("a: {if: ['true']}", "1:1: `a` needs `when:`, the topic that triggers it: camera, faces, lock, mixed, pl"),
        ("a: {when: face, if: ['true']}", "1:11: there is no topic `face`; did you mean `faces`?"),
        ("a: {when: {x: 1}, if: ['true']}", "1:11: `when` must be one topic or a list of topics: camera, faces, lock, mixed"),
        ("a: {when: planner, if: ['true']}", "1:11: there is no topic `planner`; did you mean `planner.path`?"),
        ("a: {when: faces}", "1:1: `a` needs `if:`, a list of clauses that must all be true"),
        ("a: {when: faces, if: []}", "1:1: `a` needs `if:`, a list of clauses that must all be true"),
        ("a: {when: faces, if: [true]}", "1:23: a clause must be text, one CEL expression"),
        ("a:\n  when: faces\n  if:\n    - x ? 1 : 2", "4:7: a clause must be text, one CEL expression; put quotes"),
        # fields, variables and types in clauses
        (ITEM + "item.similarty > 0.4", "6:7: `item` has no field `similarty`; did you mean `similarity`?"),
        (ITEM + "item.score >= 'high'", "6:7: `item.score >= 'high'` puts together what does not fit (item.score"),
        (ITEM + "item.score", "6:7: `item.score` gives a number; a clause must give true or false"),
        (ITEM + "lok.state == 'locked'", "6:7: `lok` is nothing known here; did you mean `lock`?"),
        (ITEM + "lock.state == 'close'", "6:7: `lock.state` is one of locked, unlocked, never `close`"),
        (ITEM + "item.name = 'ana'", "6:7: `item.name = 'ana'` has a single `=`; a comparison is written `==`"),
        (ITEM + "planner.paht.length > 1.0", "6:7: `planner` has no field `paht`; did you mean `path`?"),
        ("a: {when: faces, if: [item.name != '']}", "1:23: `item` needs `any:`, the list field whose items it"),
        # any
        ("a: {when: faces, any: item, if: ['true']}", "1:23: messages of `faces` have no field `item`; did you mean"),
        ("a: {when: faces, any: zz, if: ['true']}", "1:23: messages of `faces` have no field `zz`; it has stamp, item"),
        ("a: {when: faces, any: stamp, if: ['true']}", "1:23: `any` needs a list, and `faces.stamp` is a whole number"),
        ("a: {when: faces, any: 5, if: ['true']}", "1:23: `any` must be the name of a list field, as in `any: items`"),
        ("a: {when: camera, any: image, if: ['true']}", "1:24: messages of `camera` have no field `image`"),
        # seen and durations
        (RULE + "  seen: 5 of 3", "5:9: `seen`: `5 of 3`: 3 evaluations can never hold 5 true ones"),
        (RULE + "  seen: 0 of 3", "5:9: `seen`: `0 of 3`: from 1 to 1000"),
        (RULE + "  seen: 3", "5:9: `seen`: `3` must read `3 of 5`: that many of the last so many evaluations"),
        (RULE + "  seen: 3/5", "5:9: `seen`: `3/5` must read `3 of 5`"),
        (RULE + "  seen: 3 of 5000", "5:9: `seen`: `3 of 5000`: from 1 to 1000"),
        (RULE + "  for: 5", "5:8: `for`: a duration needs its unit: write 5s or 5ms, not 5"),
        (RULE + "  cooldown: 10:30", "5:13: `cooldown`: `10:30` reads as a clock time; a duration is written 200ms"),
        (RULE + "  for: soon", "5:8: `for`: `soon` is no duration; write 200ms, 5s, 2min or 1h"),
        (RULE + "  again: 0s", "5:10: `again`: `0s` would fire without end; write how long to wait, such as 1s"),
        (RULE + "  again: 1", "5:10: `again`: a duration needs its unit: write 1s or 1ms, not 1"),
        (RULE + "  for:", "5:7: `for`: `None` is no duration; write 200ms, 5s, 2min or 1h"),
        (RULE + "  stale: 3s", "5:10: `stale` must say for which topic: `stale: {lock: 3s}`"),
        (RULE + "  stale: {lock: 3s}", "5:11: the rule does not read `lock`; it reads faces"),
        (RULE + "  stale: {face: 3s}", "5:11: the rule does not read `face`; did you mean `faces`?"),
        (RULE + "  stale: {faces: 3}", "5:18: a duration needs its unit: write 3s or 3ms, not 3"),
        # do
        (RULE + "  do: lock", "5:7: `do` must name an actuator and its command: `do: {lock: {open_for: 5s}}`"),
        (RULE + "  do: {lok: {}}", "5:8: there is no actuator `lok`; did you mean `lock`?"),
        (RULE + "  do: {siren: {}}", "5:8: there is no actuator `siren`; there is lock, wheels"),
        (RULE + "  do: {lock: 5s}", "5:14: a command to `lock` is its fields: open_for, reason, as in `lock: {field:"),
        (RULE + "  do: {lock: {open: 5s}}", "5:15: LockCommand has no field `open`; did you mean `open_for`?"),
        (RULE + "  do: {lock: {zz: 5s}}", "5:15: LockCommand has no field `zz`; it has open_for, reason"),
        (RULE + "  do: {lock: {to: x}}", "5:15: `to` is filled in when the rule fires; leave it out"),
        (RULE + "  do: {lock: {open_for: wide}}", "5:15: `wide` is no duration; write 200ms, 5s, 2min or 1h"),
        (RULE + "  do: {lock: {open_for: [1]}}", "5:15: `open_for`: Expected `float`, got `array`, got `[1]`"),
        (RULE + "  do: {lock: {open_for: -5}}", "5:15: `open_for` must be 0 or more, not `-5`"),
        (RULE + "  do: {lock: {open_for: -5s}}", "5:15: `-5s` is no duration; write 200ms, 5s, 2min or 1h"),
        (RULE + "  do: {wheels: {gear: low}}", "5:8: Drive needs `speed`"),
        (RULE + "  do: {wheels: {speed: 1, gear: mid}}", "5:27: `gear`: Invalid enum value 'mid', got `mid`"),
        (RULE + "  do: {wheels: {speed: 1, steps: 5s}}", "5:27: `steps`: Expected `int`, got `str`, got `5s`"),
        ("a: {when: faces, if: ['true'], do: {lock: {}}}", "1:1: `a` commands something and needs `max_age`, the age"),
        # params
        ("params: 5\n" + RULE, "1:9: `params` must be a mapping: `name: default`, or `name: {default: ...}`"),
        ("params: {a: {help: x}}\n" + RULE, "1:13: `a` needs a `default:`, which also says of what type it is"),
        ("params: {a: {default: 1, hepl: x}}\n" + RULE, "1:26: a parameter has no `hepl`; did you mean `help`?"),
        ("params: {a: null}\n" + RULE, "1:13: `a` is null unless given, and needs a `type:`, such as `type: list of"),
        ("params: {a: {default: null, type: lst}}\n" + RULE, "1:13: `a`: there is no type `lst`; there are text, number"),
        ("params: {a: {default: null, type: [text]}}\n" + RULE, "1:13: `a`: there is no type `['text']`; there are text"),
        ("params: {a: {default: 5, type: text}}\n" + RULE, "1:13: the default of `a` must be text, not `5`"),
        ("params: {list: []}\n" + RULE, "1:10: `list` already means something in a clause; take another name"),
        ("params: {item: 1}\n" + RULE, "1:10: `item` already means something in a clause; take another name"),
        ("params: {planner: 1}\n" + RULE, "1:10: `planner` already means something in a clause"),
        ("params: {a-b: 1}\n" + RULE, "1:10: `a-b` cannot stand in a clause; use letters, digits and `_`"),
    ],
)  # fmt: skip
def test_each_wrong_file_gets_one_sentence_with_its_place(text, said):
    (message,) = wrong(text)
    assert message.startswith(f"a.yaml:{said}")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"who": "ana"}, "a.yaml:1:10: the value given for `who` must be a list, not `ana`"),
        ({"who": 5}, "a.yaml:1:10: the value given for `who` must be a list, not `5`"),
        ({"least": float("nan")}, "a.yaml:1:19: the value given for `least` must be a number, not `nan`"),
        ({"least": True}, "a.yaml:1:19: the value given for `least` must be a number, not `True`"),
        (
            {"known": ["ben", 1]},
            "a.yaml:1:31: the value given for `known` must be a list of text, not `['ben', 1]`",
        ),
        ({"whom": []}, "a.yaml:1:1: there is no parameter `whom`; did you mean `who`?"),
    ],
)
def test_wrong_values_for_params(params, said):
    assert wrong("params: {who: [], least: 0.5, known: [ana]}\n" + RULE, params) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {when: lock, if: ['lock.until > 5', 'lock.until < 3']}", "1:40: `lock.until` can never be above 5 and below 3 at the same time"),
        ("a: {when: lock, if: ['5 < lock.until && lock.until <= 5']}", "1:22: `lock.until` can never be above 5 and at most 5"),
        ("a: {when: faces, any: items, if: ['item.box[0] < -1.0', 'item.box[0] > 0.0']}", "1:57: `item.box[0]` can never be below -1.0 and above 0.0"),
        ("params: {least: 5}\na: {when: lock, if: [lock.until >= least, lock.until == 3]}", "2:43: `lock.until` can never be at least 5 and equal to 3"),
        ("a: {when: lock, if: [age(lock) < 4.0, age(lock) > 5.0]}", "1:39: `age(lock)` can never be below 4.0 and above 5.0"),
        ("a: {when: lock, if: [lock.reason == 'a', lock.reason == 'b']}", '1:42: `lock.reason` can never be equal to "a" and equal to "b"'),
        ("a: {when: lock, if: ['true'], mode: queed}", "1:37: `mode`: `queed` is none; did you mean `queued`?"),
        ("a: {when: lock, if: ['true'], max: 3}", "1:31: `max` is for `mode: queued` and `mode: parallel`, not for `single`"),
        ("a: {when: lock, if: ['true'], mode: parallel, max: 1}", "1:52: `max`: `1` must be a whole number from 2 to 100"),
        ("a: {when: lock, if: ['true'], blocks: a}", "1:39: `a` blocks itself"),
        ("a: {when: lock, if: ['true'], blocks: [b]}", "1:40: there is no other rule `b`; there is none"),
        ("a: {when: lock, if: ['true'], blocks: b, priority: 1}\nb: {when: lock, if: ['true'], priority: 1}", "1:31: `a` blocks `b` and must have a higher `priority` than that"),
        ("a: {when: lock, if: ['true'], priority: high}", "1:41: `priority`: `high` must be a whole number"),
        ("a: {when: [lock, every 5], if: ['true']}", "1:18: a duration needs its unit: write 5s or 5ms, not 5"),
        ("a: {when: every 1ms, if: ['true']}", "1:11: `every 1ms` is too often; a timer takes 10ms or more"),
        ("a: {when: everyday, if: ['true']}", "1:11: there is no topic `everyday`; a timer is written every 10s"),
        ("a: {when: [lock, lock], if: ['true']}", "1:18: `lock` is named twice"),
        ("a: {when: [lock, lokc], if: ['true']}", "1:18: there is no topic `lokc`; did you mean `lock`?"),
        ("a: {if_silent: {lokc: 1s}}", "1:17: there is no topic `lokc`; did you mean `lock`?"),
        ("a: {if_silent: lock}", "1:16: `if_silent` must name one topic and for how long"),
        ("a: {if_silent: {lock: '10:30'}}", "1:23: `10:30` reads as a clock time"),
        ("a: {if_silent: {lock: 1s}, seen: 2 of 3}", "1:28: `seen` and `if_silent` exclude each other: a silence brings no messages"),
        ("a: {if_silent: {lock: 1s}, when: lock}", "1:28: `when` and `if_silent` exclude each other"),
        ("a: {when: [faces, lock], any: items, if: ['true']}", "1:26: `any` is about the messages of one topic, and `when` names 2"),
        ("a: {when: every 5s, all: items, if: ['true']}", "1:21: `all` is about a list in a message, and `every 5s` brings none"),
        ("a: {when: faces, all: size, any: items, if: ['true']}", "1:18: `all` and `any` exclude each other: either some item must pass, or each"),
        ("a: {when: lock, sequence: [lock.until < 3], within: 1s}", "1:27: `sequence` must be a list of 2 to 8 clauses"),
        ("a: {when: lock, sequence: [lock.until < 3, lock.until > 3]}", "1:1: `a` has a `sequence` and needs `within:`, such as `within: 2s`"),
        ("a: {when: lock, sequence: [lock.until < 3, lok.until > 3], within: 2s}", "1:44: `lok` is nothing known here"),
        ("a: {when: lock, if: ['true'], within: 2s}", "1:31: `within` is for a `sequence`"),
        ("params: {zone: Europe/Berln}\na: {when: lock, if: ['true']}", "1:16: there is no time zone `Europe/Berln`"),
        ("a: {when: lock, if: ['true'], max_age: 1s, do: [{lock: {}, delay: 1}]}", "1:67: `delay`: a duration needs its unit"),
        ("a: {when: lock, if: ['true'], max_age: 1s, do: [{lock: {}}, {delay: 1s}]}", "1:61: a step of `do` must name an actuator"),
        ("a: {when: lock, if: ['true'], else_do: {lock: {}}}", "1:1: `a` commands something and needs `max_age`"),
        ("a: {when: lock, if: ['true'], max_age: 1s, else_do: {lokc: {}}}", "1:54: there is no actuator `lokc`; did you mean `lock`?"),
    ],
)  # fmt: skip
def test_each_wrong_use_of_the_rest_gets_one_sentence_with_its_place(text, said):
    (message,) = wrong(text)
    assert message.startswith(f"a.yaml:{said}")


def test_two_rules_cannot_block_each_other():
    text = "a: {when: lock, if: ['true'], blocks: b}\nb: {when: lock, if: ['true'], blocks: a}"
    assert all("two rules cannot block each other" in message for message in wrong(text))


@pytest.mark.parametrize(
    "clauses",
    [
        "[lock.until > 3, lock.until < 5]",
        "[lock.until >= 3, lock.until <= 3]",
        "['lock.until > 5 || lock.until < 3']",
        "['!(lock.until > 5)', lock.until > 6]",
        "[lock.until * 2 > 5, lock.until < 3]",
        "['faces.size[0] < 3', 'faces.size[1] > 3']",
    ],
)
def test_what_can_be_true_is_taken(clauses):
    assert read(f"a: {{when: lock, if: {clauses}}}").rules


def test_rules_that_block_go_before_those_that_they_block():
    text = "a: {when: lock, if: ['true']}\nb: {when: lock, if: ['true'], blocks: a}\nc: {when: lock, if: ['true'], blocks: [a, b]}"
    assert [(rule.name, rule.priority) for rule in read(text).rules] == [("a", 0), ("b", 1), ("c", 2)]


def test_all_problems_are_told_at_once_in_order():
    text = """
a:
  when: face
  any: items
  if: [item.name != ""]
  seen: 9 of 3
b:
  when: faces
  if: [faces.itms == 3]
  for: 5
  do: {lok: {}}
"""
    messages = wrong(text)
    assert [message.split(": ")[0] for message in messages] == [
        *("a.yaml:3:9", "a.yaml:6:9", "a.yaml:7:1", "a.yaml:9:8", "a.yaml:10:8", "a.yaml:11:8"),
    ]


def test_load_names_the_file_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "x.rules.yaml").write_text("a: {when: faces, if: [lok.state == '']}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentError, match=r"^x\.rules\.yaml:1:23: `lok`"):
        load(Path("x.rules.yaml"), topics=TOPICS, actuators=ACTUATORS)


anything = st.recursive(
    st.sampled_from(
        [None, True, 0, -3, 1.5, "", "faces", "lock", "items", "1s", "10:30", "every 5s", "start"]
    )
    | st.sampled_from(
        ["2 of 3", "a", "zone", "single", "mean(faces.size[0], '2s') > 3.0", "item.score > 0.5"]
    )
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["lock", "wheels", "delay", "a", "faces", "open_for"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(
    rules=st.dictionaries(
        st.sampled_from(["a", "b", "params"]),
        st.dictionaries(st.sampled_from([*KEYS, "zone"]), anything),
        min_size=1,
    )
)
def test_whatever_stands_in_a_rule_file_is_read_or_told(rules):
    document = Document("a.yaml", {name: {"when": "faces", **rule} for name, rule in rules.items()})
    with suppress(DocumentError):
        assert check(document, topics=TOPICS, actuators=ACTUATORS).rules
