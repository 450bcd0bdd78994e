"""What a person writes in YAML, what it is read as, and what is said where it is wrong."""

from pathlib import Path

import pytest

from zuluko.document import Document, DocumentError, Problem, load, nearest, parse, seconds

DOOR = """\
# the door
nodes:
  camera:
    source: demo
    size: [640, 480]
  rules: {run: door.rules.yaml}
"""


def read(text: str) -> Document:
    return parse(text, file="door.yaml")


def wrong(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("on", "off", "yes", "no", "On", "TRUE", "False", "Null", "NULL", "y"),
        *("10:30", "1:30:45", "2024-01-01", "5s", "3 of 5", "1.2.3", "1,5"),
        *("1_000", "007", "0o17", "0b1", "0x", "1e", "+", ".inf", ".nan", "-", "<<", "="),
    ],
)
def test_what_yaml_would_twist_stays_text(text):
    assert read(f"key: '{text}'").value == {"key": text}
    if text != "-":
        assert read(f"key: {text}").value == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("0x1F", 31),
        ("18446744073709551615", 2**64 - 1),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5e-3", -0.0015),
        ('"5"', "5"),
        ("'true'", "true"),
        ("[a, 1, {b: 2}]", ["a", 1, {"b": 2}]),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_scalars(text, value):
    found = read(f"key: {text}").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_always_text():
    assert read("on: 1\n5: 2\ntrue: 3\nnull: 4").value == {"on": 1, "5": 2, "true": 3, "null": 4}


def test_every_value_and_key_has_its_place():
    document = read(DOOR)
    assert document.place("nodes", "camera", "source") == "door.yaml:4:13"
    assert document.key_place("nodes", "camera", "source") == "door.yaml:4:5"
    assert document.place("nodes", "camera", "size", 1) == "door.yaml:5:17"
    assert document.key_place("nodes", "camera", "size", 1) == "door.yaml:5:17"
    assert document.place("nodes", "rules", "run") == "door.yaml:6:16"
    assert document.place() == "door.yaml:2:1"


def test_what_is_not_there_has_the_place_of_the_nearest_parent():
    document = read(DOOR)
    assert document.place("nodes", "rules", "in", "frames") == "door.yaml:6:10"
    assert document.key_place("nodes", "camera", "hz") == document.place("nodes", "camera") == "door.yaml:4:5"
    assert document.place("budget") == "door.yaml:2:1"


def test_load_shows_the_path_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "door.yaml").write_text("\ufeffnodes: {a: b}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    document = load(Path("door.yaml"))
    assert document.value == {"nodes": {"a": "b"}}
    assert document.place("nodes", "a") == "door.yaml:1:12"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "door.yaml:1:1: the file is empty; this file must be a mapping, lines of `key: value`"),
        ("- a\n- b", "door.yaml:1:1: this file must be a mapping, lines of `key: value`"),
        ("word", "door.yaml:1:1: this file must be a mapping, lines of `key: value`"),
        ("a: 1\nb: 2\na: 3", "door.yaml:3:1: `a` is given twice, first in line 1; keep one of them"),
        ("x: {a: 1, a: 2}", "door.yaml:1:11: `a` is given twice, first in line 1; keep one of them"),
        (
            "a: !!python/object:os.system {}",
            "door.yaml:1:4: the tag `tag:yaml.org,2002:python/object:os.system`",
        ),
        ("a: !secret x", "door.yaml:1:4: the tag `!secret` is not taken here; write a plain value"),
        ("a: &x 1\nb: *x", "door.yaml:2:4: `*x` repeats a value by alias, which is not taken here; write"),
        ("a:\n\tb: 1", "door.yaml:2:1: a tab cannot indent YAML; use spaces"),
        (
            "a: 1\n b: 2",
            "door.yaml:2:3: this is not YAML: a `:` cannot stand here; indent this line as its neighbours are, and put a value that holds a colon in quotes",
        ),
        (
            "a:\n  b: {}\n   c: {}",
            "door.yaml:3:4: this line is indented by 3 spaces, and the block that begins in line 2 by 2; indent alike what belongs together",
        ),
        (
            "a:\n  b: {}\n c: {}",
            "door.yaml:3:2: this line is indented by 1 space, and the block that begins in line 1 by 0; indent alike what belongs together",
        ),
        (
            "a: [1, 2",
            "door.yaml:1:9: this is not YAML: a comma is missing here, or before it the `]` that closes the `[` of line 1, column 4",
        ),
        (
            "a:\n  b: {c: 1\n  d: 2",
            "door.yaml:3:4: this is not YAML: a comma is missing here, or before it the `}` that closes the `{` of line 2, column 6",
        ),
        ("a: {b: 1}}", "door.yaml:1:10: this is not YAML: this `}` closes nothing; remove it"),
        ("a: 'x", "door.yaml:1:6: this is not YAML: the quote at line 1, column 4 is not closed"),
        ("a: 1\nb\nc: 2", "door.yaml:2:1: this is not YAML: this line has no `:`; write it as `key: value`"),
        ("a: @b", "door.yaml:1:4: this is not YAML: `@` cannot begin a value; put the value in quotes"),
        (
            "a: 1\n---\nb: 2",
            "door.yaml:2:1: this is not YAML: another document begins here; a file has one, without `---` in between",
        ),
        ("'a' 'b': 1", "door.yaml:1:5: this is not YAML: expected <block end>, but found '<scalar>'"),
        ("a: *", "door.yaml:1:5: this is not YAML: expected alphabetic or numeric character"),
        ("[a, b]: 1", "door.yaml:1:1: a key must be a word, not a list or a mapping"),
        ("a: 99999999999999999999", "door.yaml:1:4: `99999999999999999999` is too large a number"),
        ("a: 1e999", "door.yaml:1:4: `1e999` is too large a number; put it in quotes if it is text"),
        ("a: b\x00c", "door.yaml:1:5: the character '\\x00' cannot stand in YAML; remove it"),
        ("a: " + "[" * 20_000, "door.yaml: is nested too deeply"),
        ("a: " + "x" * 1_000_001, "door.yaml: is larger than 1 MB; no launch or rule file needs that"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(text, said):
    message = wrong(text)
    assert message.startswith(said)
    assert "\n" not in message


def test_an_alias_bomb_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert wrong("\n".join(lines)).startswith("door.yaml:2:10: `*a0` repeats a value by alias")


def test_all_problems_are_told_in_the_order_of_their_places():
    with pytest.raises(DocumentError) as caught:
        read("b: {x: 1, x: 2}\na: 1e999\nb: 3")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(1, 11), (2, 4), (3, 1)]
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DocumentError, match=r"none\.yaml: cannot be read: No such file or directory$"):
        load(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match=r"cannot be read: Is a directory$"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nname: Jürgen".encode("latin-1"))
    with pytest.raises(
        DocumentError, match=r"latin\.yaml:2:8: this is not UTF-8 text; save the file as UTF-8"
    ):
        load(latin)
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"a: \xff" + b"x" * 1_000_000)
    with pytest.raises(DocumentError, match="is larger than 1 MB"):
        load(huge)


def test_a_problem_is_rendered_with_its_place():
    assert str(Problem("a.yaml", 3, 5, "wrong")) == "a.yaml:3:5: wrong"
    assert str(Problem("a.yaml", 0, 0, "wrong")) == "a.yaml: wrong"
    assert str(read(DOOR).problem(("nodes", "rules"), "no", key=True)) == "door.yaml:6:3: no"


def test_nearest():
    assert nearest("cooldwon", ["cooldown", "seen"]) == "; did you mean `cooldown`?"
    assert nearest("zebra", ["cooldown", "seen"]) == ""


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("200ms", 0.2),
        ("5s", 5.0),
        ("2min", 120.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("50us", 5e-5),
        ("5 s", 5.0),
        ("0s", 0.0),
    ],
)
def test_durations(text, length):
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (5, "a duration needs its unit: write 5s or 5ms, not 5"),
        (0.2, "a duration needs its unit: write 0.2s or 0.2ms, not 0.2"),
        ("5", "a duration needs its unit: write 5s or 5ms, not 5"),
        ("10:30", "`10:30` reads as a clock time; a duration is written 200ms, 5s, 2min or 1h"),
        ("5m", "`5m` is no duration; write 200ms, 5s, 2min or 1h"),
        ("-5s", "`-5s` is no duration; write 200ms, 5s, 2min or 1h"),
        ("soon", "`soon` is no duration; write 200ms, 5s, 2min or 1h"),
        (None, "`None` is no duration; write 200ms, 5s, 2min or 1h"),
        (True, "`True` is no duration; write 200ms, 5s, 2min or 1h"),
        ([5], "`[5]` is no duration; write 200ms, 5s, 2min or 1h"),
        ("9" * 400 + "s", "is longer than a board lives"),
    ],
)
def test_what_is_no_duration_says_what_to_write(text, said):
    with pytest.raises(ValueError) as caught:
        seconds(text)
    assert said in str(caught.value)
