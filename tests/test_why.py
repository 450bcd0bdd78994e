"""Why a rule fired, or why not: explanations as tables, trails from any messages, and zuluko why on real graphs."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from datetime import datetime

import pexpect
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import ROOT, unharmed, up, up_for_all, write, zuluko
from tests.test_docs import blocks, commands, files, pattern, run
from tests.waiting import until
from zuluko.actions.clauses import CompiledClause
from zuluko.actions.comparison import shortfalls
from zuluko.actions.explanation import duration, explain
from zuluko.actions.trails import Trails, nearest_miss, runs
from zuluko.bus.wire import Envelope, Hop
from zuluko.cli.moment import clock_time, moment
from zuluko.launch import firings, status
from zuluko.messages import Clause, Decision, Delivery, LockState

MS = 1_000_000
START = 1_700_000_000_000 * MS


# -- comparisons


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        (
            "item.similarity >= 0.45",
            {"item.similarity": 0.41},
            "similarity 0.41 is below 0.45 (short by 0.04)",
        ),
        (
            "0.45 <= item.similarity",
            {"item.similarity": 0.41},
            "similarity 0.41 is below 0.45 (short by 0.04)",
        ),
        (
            "item.score > least",
            {"item.score": 0.4137, "least": 0.45},
            "score 0.414 is below least 0.45 (short by 0.036)",
        ),
        ("near.distance < 0.3", {"near.distance": 12.25}, "near.distance 12.2 is above 0.3 (over by 12)"),
        ("near.distance > 1.5", {"near.distance": 0.004}, "near.distance 0.004 is below 1.5 (short by 1.5)"),
        (
            "near.distance > 0.3",
            {"near.distance": 0.29999999},
            "near.distance 0.29999999 is below 0.3 (short by 0.00000001)",
        ),
        ("a.n > 5", {"a.n": 5}, "a.n 5 is not above 5"),
        ("a.n == 3", {"a.n": 4}, "a.n is 4, not 3"),
        ('item.name != ""', {"item.name": ""}, "name is empty"),
        ('lock.state == "locked"', {"lock.state": "unlocked"}, 'lock.state is "unlocked", not "locked"'),
        (
            "item.name in owners",
            {"item.name": "eve", "owners": ["ana"]},
            'name "eve" is not in owners ["ana"]',
        ),
        ('item.name in ["ana", "ben"]', {"item.name": "eve"}, 'name "eve" is not in ["ana", "ben"]'),
        ("size(faces.items) >= 2", {"faces.items": "1 items"}, "size(faces.items) 1 is below 2 (short by 1)"),
        ("size(faces.items) > 0", {"faces.items": []}, "size(faces.items) 0 is not above 0"),
        ("item.box[2] > 80.0", {"item.box": [1.0, 2.0, 79.5]}, "box[2] 79.5 is below 80 (short by 0.5)"),
        ("a.x - b.x > 3.0", {"a.x": 4.5, "b.x": 2.0}, "a.x - b.x 2.5 is below 3 (short by 0.5)"),
        ('mean(a.x, "2s") > 3.0', {'mean(a.x, "2s")': 2.5}, 'mean(a.x, "2s") 2.5 is below 3 (short by 0.5)'),
        ('mean(a.x, "2s") > 3.0', {"a.x": 2.5}, None),
        ("a.n % 40 < 10", {"a.n": -25}, None),
        ("a.n % 40 < 10", {"a.n": 65}, "a.n % 40 25 is above 10 (over by 15)"),
        ("(a.n > 3) && (a.n < 5 && b.n < 5)", {"a.n": 4, "b.n": 9}, "b.n 9 is above 5 (over by 4)"),
        (
            "a.n > 3 || b.n > 3",
            {"a.n": 1, "b.n": 2},
            "a.n 1 is below 3 (short by 2) / b.n 2 is below 3 (short by 1)",
        ),
        ("a.n > 3 || b.list.exists(x, x > 3)", {"a.n": 1, "b.list": [1]}, None),
        ("a.n > 3", {"a.n": 4}, None),
        ("a.n > 3", {}, None),
        ("a.n > 3", {"a.n": float("nan")}, None),
        ("a.n > 3 ? true : false", {"a.n": 1}, None),
        ("!(a.n > 3)", {"a.n": 4}, None),
        ("a.x * 2 > 3.0", {"a.x": 0.5}, None),
        ("a.x / b.x > 3.0", {"a.x": 0.5, "b.x": 0.0}, None),
        ('a.text == "x\\n"', {"a.text": "y"}, None),
        ('a.text == "long"', {"a.text": "l" * 79 + "…"}, None),
        ("faces.items.exists(f, f.score > 0.9)", {"faces.items": "1 items"}, None),
    ],
)
def test_a_false_clause_says_by_how_much(text, values, said):
    assert (" / ".join(one.sentence for one in shortfalls(text, values)) or None) == said


numbers = st.one_of(st.integers(-9, 9), st.sampled_from([-2.5, 0.0, 0.5, 2.0, 7.25]))
leaves = st.one_of(
    st.sampled_from(
        ["a.n", "a.m", "a.x", "a.text", "a.list", "size(a.list)", "a.list[1]", '"t"', "[1, 2]", "true"]
    ),
    numbers.map(str),
)
sides = st.one_of(leaves, st.builds("{} {} {}".format, leaves, st.sampled_from("+-*/%"), leaves))
comparisons = st.builds(
    "{} {} {}".format, sides, st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "in"]), sides
)
clauses = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(
            "{}{} {} {}{}".format,
            st.sampled_from(["(", "!("]),
            inner,
            st.sampled_from(["&&", "||"]),
            inner,
            st.just(")"),
        )
        | st.builds("{} {} {}".format, inner, st.sampled_from(["&&", "||"]), inner)
    ),
    max_leaves=4,
)


@settings(max_examples=500, deadline=None)
@given(
    clauses,
    numbers,
    st.integers(-9, 9),
    numbers,
    st.sampled_from(["", "t", "eve"]),
    st.lists(st.integers(0, 3), max_size=3),
)
def test_what_is_said_of_a_false_clause_is_so(text, n, m, x, word, items):
    """Against CEL itself: whatever is called a failed comparison is one, in a clause that is false."""
    fields = {"n": n, "m": m, "x": x, "text": word, "list": items}
    found = shortfalls(text, {f"a.{name}": value for name, value in fields.items()})
    for part in [text, *(one.text for one in found)] if found else []:
        assert CompiledClause(part).program.execute({"a": fields}) is False, (text, part)


# -- explanations


def decision(outcome="false", clauses=(), **fields):
    made = [Clause(text=text, verdict=verdict, values=values) for text, verdict, values in clauses]
    return Decision(
        rule="unlock",
        outcome=outcome,
        topic="faces",
        seq=7,
        stamp=START,
        age=0.031,
        clauses=tuple(made),
        **fields,
    )


SIMILAR = ("item.similarity >= 0.45", "false", {"item.similarity": 0.41})
NAMED = ('item.name == "ana"', "true", {"item.name": "ana"})
LOCKED = ('lock.state == "locked"', "true", {"lock.state": "locked"})
FRESH = ("item.score > 0.5", "true", {"item.score": 0.9})
CAUSE = (Hop("camera", 5, START, START + 4 * MS), Hop("faces", 7, START, START + 26 * MS))


def test_the_sentence_of_a_near_miss():
    reason = "clause `item.similarity >= 0.45` is false (item.similarity = 0.41)"
    told = explain(
        decision("false", [SIMILAR, NAMED, LOCKED, FRESH], reason=reason, seen=2, of=5), cause=CAUSE
    )
    assert f"{told.verb}: {told.short}; {told.evidence}" == (
        "did not fire: similarity 0.41 is below 0.45 (short by 0.04); the other 3 clauses were true; seen 2 of 5; "
        "evidence 31 ms old: camera 4.0 ms, faces 22 ms, rules 5.0 ms"
    )
    assert told.at == START + 31 * MS
    assert sum(leg.took for leg in told.legs) == pytest.approx(told.age)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            decision("fired", [NAMED, LOCKED], reason="seen 3 of 5, true for 0.2 s", seen=3, of=5),
            "seen 3 of 5, true for 0.2 s; both clauses were true",
        ),
        (decision("fired", [NAMED], reason="all clauses are true"), "all clauses are true"),
        (
            decision("held", [NAMED, LOCKED], reason="seen 2 of 5, needs 3", seen=2, of=5),
            "seen 2 of 5, needs 3; both clauses were true",
        ),
        (decision("false", reason="faces.items is empty", of=5), "faces.items is empty; seen 0 of 5"),
        (
            decision("cooldown", [NAMED], reason="cooldown: 3.2 s left"),
            "cooldown: 3.2 s left; the clause was true",
        ),
        (decision("blocked", [NAMED], reason="blocked by `halt`"), "blocked by `halt`; the clause was true"),
        (
            decision("unknown", [NAMED], reason="evidence is 0.61 s old, at most 0.5"),
            "evidence is 0.61 s old, at most 0.5; the clause was true",
        ),
        (
            decision(
                "unknown",
                [NAMED, ('lock.state == "locked"', "unknown", {})],
                reason='clause `lock.state == "locked"` is unknown (lock has not been heard)',
            ),
            '`lock.state == "locked"` is unknown (lock has not been heard); the other clause was true',
        ),
        (
            decision(
                "unknown",
                [("a.x > 1", "unknown", {}), ("b.x > 1", "unknown", {})],
                reason="clause `a.x > 1` is unknown",
            ),
            "`a.x > 1` is unknown (a.x is not known), and `b.x > 1` is unknown (b.x is not known); no other clause was true either",
        ),
        (
            decision(
                "false",
                [SIMILAR, ("a.list.exists(x, x > 3)", "false", {"a.list": [1]}), NAMED],
                reason="clause `item.similarity >= 0.45` is false",
            ),
            "similarity 0.41 is below 0.45 (short by 0.04), and `a.list.exists(x, x > 3)` is false (a.list = [1]); 1 of the 3 clauses was true",
        ),
        (
            decision(
                "ended",
                [SIMILAR, NAMED],
                reason="it had fired, and now clause `item.similarity >= 0.45` is false",
            ),
            "it had fired, and now similarity 0.41 is below 0.45 (short by 0.04); the other clause was true",
        ),
    ],
)
def test_each_outcome_in_words(made, said):
    assert explain(made).short == said
    assert explain(made).evidence == "evidence 31 ms old"


@pytest.mark.parametrize(
    ("hop", "told"),
    [
        (Hop("camera", 5, START, START + 4 * MS), ["camera", "rules"]),
        (Hop("every 0.1s", 5, START, START), ["rules"]),
        (Hop("camera", 5, START + 2 * MS, START + 4 * MS), []),  # other evidence than the decision's
        (Hop("camera", 5, START, START + 40 * MS), []),  # sent after the evaluation
    ],
)
def test_only_hops_of_the_decisions_own_evidence_count(hop, told):
    assert [leg.topic for leg in explain(decision(), cause=[hop]).legs] == told


def test_what_came_of_a_command_is_told_with_the_evidences_age():
    fired = decision("fired", [LOCKED], reason="all clauses are true", command="rules.unlock-1-7-1")
    taken = Envelope(1, 0, START + 33 * MS, (), Delivery(command=fired.command, to="lock", outcome="taken"))
    opened = Envelope(
        1, 9, START + 41 * MS, (), LockState(state="unlocked", reason="unlock", command=fired.command)
    )
    told = explain(fired, deliveries=[taken], states=[("lock", opened)])
    assert told.short == (
        "all clauses are true; lock: acknowledged the command after 2.0 ms, unlocked (unlock) after 10 ms"
    )
    assert [round(one.age, 3) for one in told.consequences] == [0.033, 0.041]
    lost = Delivery(command=fired.command, to="lock", outcome="failed", reason="no answer within 2 s")
    told = explain(fired, deliveries=[Envelope(1, 0, START + 2031 * MS, (), lost)])
    assert told.consequences[0].what == "did not get the command: no answer within 2 s after 2.0 s"


def test_nothing_that_a_message_says_can_write_to_the_terminal_by_itself():
    evil = "\x1b[2J\nunlock fired"
    clause = ("item.name ==\n  lock.reason", "false", {"item.name": evil, "lock.reason": ""})
    state = LockState(state="locked", reason=evil)
    opened = ("lock", Envelope(1, 0, START + 40 * MS, (), state))
    told = explain(decision("false", [clause], reason=evil), states=[opened])
    assert told.reasons[0].shortfalls
    assert told.reasons[0].text == "item.name == lock.reason"
    for said in (told.short, told.reasons[0].why):
        assert said.isprintable()
        assert "unlock fired" in said


def test_a_parameter_that_is_null_is_named():
    asked = "owners == null || item.name in owners"
    told = explain(decision("held", [(asked, "true", {"item.name": "eve"})], reason="seen 1 of 5, needs 3"))
    assert told.reasons[0].why == 'owners = null, item.name = "eve"'
    told = explain(decision("held", [(asked, "true", {"owners": ["eve"], "item.name": "eve"})]))
    assert told.reasons[0].why == 'owners = ["eve"], item.name = "eve"'


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0004, "0.4 ms"),
        (0.0312, "31 ms"),
        (0.25, "250 ms"),
        (2.04, "2.0 s"),
        (73, "73 s"),
        (400, "7 min"),
        (9000, "2.5 h"),
    ],
)
def test_lengths_of_time_are_short(seconds, shown):
    assert duration(seconds) == shown


# -- trails


def told(
    seq, outcome="false", *, reason="faces.items is empty", similarity=None, sent=None, cause=CAUSE, **fields
):
    clauses = [] if similarity is None else [(SIMILAR[0], "false", {"item.similarity": similarity})]
    made = decision(outcome, clauses, reason=reason, **fields)
    stamp = START + 66 * seq * MS
    made = Decision(
        **{name: getattr(made, name) for name in made.__struct_fields__} | {"stamp": stamp, "seq": seq}
    )
    return "rules.decision", Envelope(1, seq, sent or stamp + 31 * MS, cause, made)


def test_what_ends_alike_is_folded_and_a_firing_is_not():
    line = [told(n) for n in range(3)] + [told(n, "fired", reason="seen 3 of 5") for n in (3, 4)]
    line += [told(n, "held", reason=f"seen {n} of 9, needs 9") for n in (5, 6)] + [told(7)]
    trails = Trails(line)
    found = runs(trails.of("rules", "unlock"))
    assert [(run.last.decision.outcome, len(run.trails)) for run in found] == [
        ("false", 3),
        ("fired", 1),
        ("fired", 1),
        ("held", 2),
        ("false", 1),
    ]


def test_of_a_run_the_nearest_miss_is_found():
    line = [
        told(n, similarity=one, reason=f"clause `x` is false ({one})")
        for n, one in enumerate((0.3, 0.44, 0.2))
    ]
    trails = Trails(line)
    (run,) = runs(trails.of("rules", "unlock"))
    trail, short = nearest_miss(run, trails.explain(run.last))
    assert (trail.seq, short.sentence) == (1, "similarity 0.44 is below 0.45 (short by 0.01)")


def test_messages_count_once_and_in_the_order_of_their_time():
    line = [told(n) for n in range(4)]
    trails = Trails([*line[2:], *line[:2], *line])
    assert [trail.seq for trail in trails.of("rules", "unlock")] == [0, 1, 2, 3]
    assert trails.nearest("rules", "unlock", START + 100 * MS).seq == 1
    assert trails.nearest("rules", "unlock", 0).seq == 0
    assert trails.nearest("rules", "none", 0) is None


def test_an_evaluation_at_a_deadline_has_the_cause_of_the_one_before():
    again = told(2)[1]
    again = Envelope(1, 3, again.sent + 20 * MS, (), again.body)
    trails = Trails([told(2), ("rules.decision", again), told(4, cause=())])
    assert [len(trail.cause) for trail in trails.of("rules", "unlock")] == [2, 2, 0]


def test_a_trail_ends_with_what_came_of_its_commands():
    fired = told(3, "fired", reason="seen 3 of 5", command="rules.unlock-1-3-1")
    other = Delivery(command="rules.unlock-1-9-1", to="lock", outcome="taken")
    second = Delivery(command="rules.unlock-1-3-2", to="bell", outcome="taken")
    stamp = fired[1].body.stamp
    states = [
        LockState(stamp=stamp, state="unlocked", reason="unlock", command="rules.unlock-1-3-1"),
        LockState(stamp=stamp + 900 * MS, state="unlocked", reason="unlock", command="rules.unlock-1-3-1"),
        LockState(stamp=stamp + 3000 * MS, state="locked", reason="time is up", command="rules.unlock-1-3-1"),
    ]
    told_states = [("lock", Envelope(1, n, one.stamp + 40 * MS, (), one)) for n, one in enumerate(states)]
    trails = Trails(
        [
            ("rules.delivery", Envelope(1, 0, stamp + 33 * MS, (), second)),
            ("rules.delivery", Envelope(1, 1, stamp + 34 * MS, (), other)),
            *told_states,
            fired,
        ]
    )
    (trail,) = trails.of("rules", "unlock")
    assert [one.who for one in trails.explain(trail).consequences] == ["bell", "lock", "lock"]
    late = Trails([fired, *told_states[1:]])  # what a lock says much later is no answer to the command
    assert late.explain(trail).consequences == ()


# -- moments


def at(text, now="2026-03-05T14:00:00.000"):
    found = moment(text, round(datetime.fromisoformat(now).timestamp() * 1e9))
    begin = datetime.fromtimestamp(found.start / 1e9).isoformat(timespec="milliseconds")
    return begin, (found.end - found.start) / 1e9


@pytest.mark.parametrize(
    ("text", "begin", "span"),
    [
        ("12:03", "2026-03-05T12:03:00.000", 60),
        ("12:03:05", "2026-03-05T12:03:05.000", 1),
        ("12:03:05.2", "2026-03-05T12:03:05.200", 0.1),
        ("15:00", "2026-03-04T15:00:00.000", 60),
        ("-20s", "2026-03-05T13:59:40.000", 0),
        ("-1.5min", "2026-03-05T13:58:30.000", 0),
        ("2026-03-01T12:03:05.2", "2026-03-01T12:03:05.200", 0),
    ],
)
def test_moments_as_a_person_writes_them(text, begin, span):
    assert at(text) == (begin, span)


@pytest.mark.parametrize(
    "text", ["noon", "", "25:00", "12:60", "12:03:61", "-20", "-", "--", "12:3", "-10:30"]
)
def test_what_is_no_time_is_a_sentence(text):
    with pytest.raises(ValueError) as caught:
        at(text)
    assert re.search("write|written", str(caught.value))


def test_a_time_is_shown_with_its_day_only_where_that_is_another():
    noon = round(datetime(2026, 3, 5, 12, 0, 0).timestamp()) * 1_000_000_000
    assert clock_time(noon + 250 * MS, noon) == "12:00:00.2"
    assert clock_time(noon - 13 * 3600 * 1000 * MS, noon) == "2026-03-04 23:00:00.0"


# -- firings


def test_firings_are_kept_within_bounds_and_only_for_the_user(run_dir, monkeypatch):
    monkeypatch.setattr(firings, "LARGEST", 4000)
    kept = firings.Firings("graph")
    for n in range(100):
        kept.note("rules.decision", told(n)[1])
        kept.note("rules.decision", told(n, "fired", reason="seen 3 of 5")[1])
    assert stat.S_IMODE((run_dir / ".graph.firings").stat().st_mode) == 0o600
    assert sum(file.stat().st_size for file in run_dir.iterdir()) < 10_000
    read = list(firings.read("graph"))
    assert [envelope.seq for _, envelope in read] == list(range(100 - len(read), 100))
    assert len(read) >= 6
    assert read[-1] == told(99, "fired", reason="seen 3 of 5")
    kept.close()
    assert os.listdir(run_dir) == []


def test_of_a_lock_its_changes_are_kept_and_a_firing_at_a_deadline_gets_its_cause(run_dir):
    kept = firings.Firings("graph")
    for seq, state in enumerate(["locked", "locked", "unlocked", "unlocked", "locked"]):
        kept.note("lock", Envelope(1, seq, seq, (), LockState(state=state)))
    kept.note(*told(7))
    kept.note(*told(7, "fired", cause=()))
    read = list(firings.read("graph"))
    assert [envelope.seq for _, envelope in read] == [0, 2, 4, 7]
    assert read[-1][1].cause == CAUSE
    kept.close()


def test_lines_that_cannot_be_read_are_passed_over(run_dir):
    kept = firings.Firings("graph")
    kept.note(*told(1, "fired"))
    with (run_dir / ".graph.firings").open("ab") as file:
        file.write(b'\xff\n{"topic": 3}\n[]\n{"topic":"t","told":[1,2')
    assert [envelope.seq for _, envelope in firings.read("graph")] == [1]
    kept.close()
    assert list(firings.read("graph")) == []


# -- the command, on graphs that run

GRAPH = """
nodes:
  count: {run: "./ticking.py:count", in: {ticks: every 20ms}}
  double: {run: "NODES:double", in: {counts: count}}
  rules: {run: graph.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}}
"""
RULES = """
params:
  least: 20
unlock:
  when: double.count
  if:
    - double.count.n % 60 >= least
    - lock.state == "locked"
  seen: 2 of 3
  max_age: 500ms
  do: {lock: {open_for: 300ms}}
never:
  when: count
  if: count.n < 0
idle:
  when: lock
  if: lock.until < 0
"""
TICKING = """
from collections.abc import Iterator
from tests.nodes_of_tests import Count
from zuluko import Stream, Tick


def count(ticks: Stream[Tick]) -> Iterator[Count]:
    for tick in ticks:
        yield Count(stamp=tick.stamp, n=tick.count)


def calm(ticks: Stream[Tick]) -> Iterator[Count]:
    for tick in ticks:
        yield from ()
"""
COUNT = 'nodes: {count: {run: "NODES:count"}}'


def graph_in(folder):
    write(folder, RULES, "graph.rules.yaml")
    write(folder, TICKING, "ticking.py")
    return write(folder, GRAPH)


@pytest.fixture(scope="module")
def graph_of_all(tmp_path_factory):
    with up_for_all(graph_in(tmp_path_factory.mktemp("graph"))) as running:
        running.wait_for("rules", "unlock fired")
        yield running


@pytest.fixture
def asked(graph_of_all, monkeypatch):
    """The graph for a test that changes nothing of it."""
    with unharmed(graph_of_all, monkeypatch) as running:
        until(lambda: status.read("graph"))
        yield running


@pytest.fixture
def graph(tmp_path):
    with up(graph_in(tmp_path)) as running:
        running.wait_for("rules", "unlock fired")
        until(lambda: status.read("graph"))
        yield running


def why(*arguments):
    shown = zuluko("why", *arguments)
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stderr
    return shown.stdout


def last_outcomes():
    return [json.loads(line) for line in why("unlock", "-n", "99", "--json").splitlines()]


def test_without_a_rule_each_has_a_line(asked):
    lines = why().splitlines()
    assert [line.split()[0] for line in lines] == ["unlock", "never", "idle"]
    assert "never did not fire at" in lines[1]
    assert "is above 0 (over by" in lines[1]


def test_a_rule_is_explained_as_a_tree_without_colours(asked):
    asked.wait_for("lock", "time is up")
    shown = why("unlock")
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert lines[0].startswith("unlock ")
    assert lines[-1].startswith("└─ ")
    assert all(line.startswith("├─ ") for line in lines[1:-1])
    for part in (
        "double.count.n % 60 >= least",
        "lock.state",
        "seen ",
        "evidence ",
        "count ",
        "double.count ",
        "rules ",
    ):
        assert part in shown, part


def test_a_firing_is_explained_from_the_sensor_to_the_lock(asked):
    asked.wait_for("lock", "time is up")
    found = until(
        lambda: [
            one
            for one in map(json.loads, why("unlock", "-n", "9", "--json").splitlines())
            if one["outcome"] == "fired" and len(one["consequences"]) == 3
        ]
    )
    assert [leg["topic"] for leg in found[0]["legs"]] == ["count", "double.count", "rules"]
    assert sum(leg["took"] for leg in found[0]["legs"]) == pytest.approx(found[0]["age"])
    assert {one["who"] for one in found[0]["consequences"]} == {"lock"}
    whats = " ".join(one["what"] for one in found[0]["consequences"])
    for part in ("acknowledged the command", "unlocked (unlock)", "locked (time is up)"):
        assert part in whats
    when = clock_time(found[0]["at"], found[0]["at"])
    assert f"unlock fired at {when}" in why("unlock", "--at", when)


def test_the_last_outcomes_are_a_line_each_the_newest_last(asked):
    told = [json.loads(line) for line in why("unlock", "--last", "3", "--json").splitlines()]
    assert [one["run"]["to"] for one in told] == sorted(one["run"]["to"] for one in told)
    assert 1 <= len(told) <= 3
    assert why("unlock", "--last", "2").count("\n") == 2


def test_a_moment_before_all_and_a_wrong_word_are_a_sentence_each(asked):
    shown = zuluko("why", "unlock", "--at", "-1h")
    assert (shown.returncode, len(shown.stderr.splitlines())) == (0, 1)
    assert "unlock was not evaluated at" in shown.stderr
    for arguments, said in [
        (("unlok",), "no rule `unlok`; did you mean `unlock`?"),
        (("xyz",), "no rule `xyz`; there are: idle, never, unlock"),
        (("unlock", "--at", "noon"), "`noon` is no time; write 12:03"),
        (("unlock", "--at", "-1s", "--last", "2"), "exclude each other"),
        (("--at", "-1s"), "--at and --last need a rule"),
        (("unlock", "--graph", "grap"), "no graph `grap` runs; did you mean `graph`?"),
    ]:
        shown = zuluko("why", *arguments)
        assert (shown.stdout, len(shown.stderr.splitlines())) == ("", 1)
        assert shown.returncode in (1, 2, 3)
        assert said in shown.stderr


def test_what_has_fallen_silent_is_named(graph):
    os.kill(graph.children()["count"], signal.SIGSTOP)
    try:
        shown = until(lambda: told if "has not been evaluated since" in (told := why("unlock")) else "")
    finally:
        os.kill(graph.children()["count"], signal.SIGCONT)
    assert "it has not been evaluated since, for nothing has come on count for" in shown


def test_firings_outlive_the_rules_node_and_leave_with_the_graph(graph, run_dir):
    graph.wait_for("lock", "time is up")
    before = next(one for one in last_outcomes() if one["outcome"] == "fired")
    os.kill(graph.children()["rules"], signal.SIGKILL)
    graph.wait_for("rules", "ready", after=graph.told("rules", "died"))
    told = until(last_outcomes)
    same = [one for one in told if one["at"] == before["at"]]
    assert [(one["outcome"], one["command"]) for one in same] == [("fired", before["command"])]
    assert same[0]["legs"] == before["legs"]
    graph.stop()
    assert os.listdir(run_dir) == []


def test_no_heavy_library_is_loaded_to_explain(asked):
    code = "import sys\nfrom zuluko.cli import why\nwhy.why('unlock')\nprint('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"cv2", "onnxruntime", "cel", "cel.cel", "onnx"} & set(
        done.stdout.rpartition("modules")[2].split()
    )


@pytest.mark.parametrize(
    ("plain", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours_unless_it_wants_none(asked, plain, coloured):
    environment = (
        {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | plain
    )
    terminal = pexpect.spawn(sys.executable, ["-m", "zuluko", "why", "never"], cwd=str(ROOT), env=environment)
    shown = terminal.read().decode()
    terminal.close()
    assert ("\x1b[31mfalse" in shown) == coloured
    assert "count.n < 0" in shown


def test_of_a_view_that_was_killed_nothing_is_left(graph, run_dir):
    assert (run_dir / ".graph.firings").exists()
    os.kill(graph.children()["view"], signal.SIGKILL)
    until(lambda: "view" not in graph.children())
    assert "unlock" in why("unlock")
    graph.process.send_signal(signal.SIGINT)
    graph.process.wait(20)
    assert os.listdir(run_dir) == []


def test_follow_tells_outcomes_as_they_change_and_ends_with_the_graph(graph):
    process = subprocess.Popen(
        [sys.executable, "-m", "zuluko", "why", "unlock", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    lines = []
    while not (lines and "locked (time is up) after" in lines[-1]):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    outcomes = [line.split(" at ")[0] for line in lines if line.startswith("unlock")]
    assert {"unlock fired", "unlock did not fire"} <= set(outcomes)
    graph.stop()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "the graph graph has ended\n")


def test_a_graph_without_rules_says_so(tmp_path):
    with up(write(tmp_path, COUNT)) as running:
        running.wait_for("count", "ready")
        until(lambda: status.read("graph"))
        shown = zuluko("why", "unlock")
        assert (shown.returncode, len(shown.stderr.splitlines())) == (1, 1)
        assert "the graph graph has no rules; docs/rules.md tells how" in shown.stderr


def test_a_rule_that_was_never_evaluated_says_what_it_waits_for(tmp_path):
    write(tmp_path, "quiet:\n  when: calm\n  if: calm.n > 0\n", "graph.rules.yaml")
    write(tmp_path, TICKING, "ticking.py")
    calm = 'calm: {run: "./ticking.py:calm", in: {ticks: every 1s}}'
    with up(write(tmp_path, f"nodes:\n  {calm}\n  rules: {{run: graph.rules.yaml}}")) as running:
        running.wait_for("rules", "ready")
        until(lambda: (told := status.read("graph")) and all(node.state == "ready" for node in told.nodes))
        assert why() == "quiet has not been evaluated: nothing has come on calm\n"
        assert zuluko("why", "quiet").stderr == "quiet has not been evaluated: nothing has come on calm\n"


def test_the_pages_commands_print_what_it_shows(tmp_path):
    files("docs/why.md", tmp_path)
    with up(str(tmp_path / "porch.yaml")) as porch:
        porch.wait_for("lock", "time is up")
        until(lambda: "the same for" in why("night"))
        for command, shown in commands("docs/why.md"):
            printed = run(command, tmp_path)
            assert re.fullmatch(pattern(shown), printed), printed


def test_the_pages_programs_run(tmp_path):
    for kind, text in blocks("docs/why.md"):
        if kind == "python" and not text.startswith("# porch"):
            assert run([sys.executable, "-W", "error", "-c", text], tmp_path) == ""
