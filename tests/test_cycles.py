"""Loops of nodes: those that never begin are told, the others are legal."""

from pathlib import Path

import pytest

from tests.running import write
from zuluko.document import DocumentError
from zuluko.launch import launchfile

BACK = '{run: "NODES:double", in: {counts: IN}}'


def load(folder: Path, *entries: str, top: str = ""):
    return launchfile.load(Path(write(folder, "\n".join([top, "nodes:", *(f"  {one}" for one in entries)]))))


@pytest.mark.parametrize(
    "entries",
    [
        [
            "a: {run: 'NODES:double', in: {counts: [b, c]}}",
            "b: {run: 'NODES:double', in: {counts: a}}",
            "c: {run: 'NODES:count'}",
        ],
        [
            "a: {run: 'NODES:backwards', in: {last: b, ticks: every 1s}}",
            "b: {run: 'NODES:stamper', in: {things: a}}",
        ],
        ["a: {run: 'NODES:asking', in: {last: b}}", "b: {run: 'NODES:stamper', in: {things: a}}"],
        ["a: {run: 'NODES:double', in: {counts: [a, outside]}}"],
        ["w: {run: 'NODES:wheels', in: {moves: p}}", "p: {run: 'NODES:ordering', in: {states: w}}"],
        ["a: {run: 'NODES:count', when: b.n > 1}", "b: {run: 'NODES:double', in: {counts: [a, outside]}}"],
        [
            "a: {run: 'NODES:count', when: b.count.n > 1 || board.cores > 0}",
            "b: {run: 'NODES:double', in: {counts: a}}",
        ],
    ],
    ids=[
        "a source",
        "a timer",
        "a latest",
        "outside",
        "commands",
        "a condition from outside",
        "a condition that holds",
    ],
)
def test_a_loop_that_something_starts_is_good(tmp_path, entries):
    entries = [one.replace("when: b.n", "when: b.count.n") for one in entries]
    load(tmp_path, *entries, top="topics: {outside: 'NODES:Count'}")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["a: " + BACK.replace("IN", "a")], "`a` waits for itself, and never begins"),
        (
            ["a: " + BACK.replace("IN", "b"), "b: " + BACK.replace("IN", "a")],
            "`a` waits for `b`, `b` that for `a`, and none of them ever begins",
        ),
        (
            [
                "c: " + BACK.replace("IN", "a"),
                "a: " + BACK.replace("IN", "b"),
                "b: " + BACK.replace("IN", "a"),
            ],
            "`a` waits for `b`, `b` that for `a`, and none of them ever begins",
        ),
        (
            [
                "p: {run: 'NODES:paired', in: {pairs: [c, a]}}",
                "a: {run: 'NODES:stamper', in: {things: p}}",
                "c: {run: 'NODES:count'}",
            ],
            "`p` waits for `a`, `a` that for `p`, and none of them ever begins",
        ),
        (
            ["a: {run: 'NODES:count', when: b.count.n > 1}", "b: " + BACK.replace("IN", "a")],
            "`a` waits for `b`, `b` that for `a`, and none of them ever begins",
        ),
        (
            ["a: {run: 'NODES:count', when: a.n > 1}"],
            "`a` runs only when it has said something itself, and never begins",
        ),
    ],
)
def test_a_loop_that_nothing_starts_is_told_once(tmp_path, entries, said):
    with pytest.raises(DocumentError) as wrong:
        load(tmp_path, *entries)
    (problem,) = wrong.value.problems
    assert said in problem.what
    assert "; expected " in problem.what
