"""zuluko why over a log: the same answers, of what was recorded."""

import json
import re

import pytest

from tests.running import zuluko
from zuluko.bus.log_schema import encode
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.message import tag
from zuluko.bus.topics import schema
from zuluko.bus.wire import Encoder, Hop
from zuluko.messages import Clause, Decision, Delivery, Face, Faces, LockState

MS = 1_000_000
START = 1_700_000_000_000 * MS
POINTS = ((0.0, 0.0),) * 5
BOX = (0.0, 0.0, 90.0, 90.0)
ID = "rules.unlock-1-7-1"


def face(similarity):
    return Face(box=BOX, landmarks=POINTS, score=0.95, similarity=similarity)


def decided(seq, stamp, similarity):
    text = "item.similarity >= 0.45"
    fired = similarity >= 0.45
    clause = Clause(text=text, verdict="true" if fired else "false", values={"item.similarity": similarity})
    return Decision(
        rule="unlock",
        stamp=stamp,
        topic="faces",
        seq=seq,
        age=0.03,
        clauses=(clause,),
        outcome="fired" if fired else "false",
        reason="all clauses are true" if fired else f"clause `{text}` is false",
        command=ID if fired else "",
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Ten pictures, 100 ms apart, of somebody who comes nearer; the eighth opens the door."""
    path = tmp_path_factory.mktemp("logs") / "night.mcap"
    with LogWriter(path) as writer:

        def write(topic, message, seq, sent, cause=()):
            kind = type(message)
            if topic not in writer.channels:
                writer.topic(topic, tag(kind), encode(schema(kind)))
            data = Encoder()(message, seq=seq, sent=sent, cause=cause)
            writer.write(writer.channels[topic], data, seq=seq, sent=sent, received=sent)

        for n in range(10):
            stamp, similarity = START + 100 * n * MS, 0.1 + 0.05 * n
            hop = Hop("faces", n, stamp, stamp + 20 * MS)
            write("faces", Faces(stamp=stamp, items=(face(similarity),)), n, stamp + 20 * MS)
            write("rules.decision", decided(n, stamp, similarity), n, stamp + 30 * MS, (hop,))
            if n == 7:
                taken = Delivery(command=ID, to="lock", outcome="taken")
                opened = LockState(stamp=stamp, state="unlocked", reason="unlock", command=ID)
                write("rules.delivery", taken, 0, stamp + 32 * MS)
                write("lock", opened, 5, stamp + 33 * MS)
    return path


def test_a_log_is_asked_as_a_running_graph_is(log):
    shown = zuluko("why", "--log", str(log))
    assert re.fullmatch(r"unlock fired at \S+: all clauses are true; it fired 100 ms ago\n", shown.stdout)
    lines = zuluko("why", "unlock", "--log", str(log), "--last", "9").stdout.splitlines()
    assert len(lines) == 4  # those that fired are a line each
    assert "similarity 0.4 is below 0.45 (short by 0.05)" in lines[0]
    assert "(7 times since" in lines[0]
    assert "lock: acknowledged the command after 2.0 ms, unlocked (unlock) after 3.0 ms" in lines[1]
    assert all("evidence 30 ms old: faces 20 ms, rules 10 ms" in line for line in lines)


def test_of_a_moment_the_decision_and_its_evidence_are_told(log):
    shown = zuluko("why", "unlock", "--log", str(log), "--at", "-480ms").stdout
    assert "unlock did not fire" in shown
    assert " ago" not in shown.splitlines()[0]
    assert "it came nearest at" in shown
    assert "similarity 0.4 is below 0.45" in shown
    assert re.search(r"faces 4 said: score 0.95, name \"\", similarity 0.3\b", shown), shown
    told = json.loads(zuluko("why", "unlock", "--log", str(log), "--at", "-230ms", "--json").stdout)
    assert (told["outcome"], told["seq"], len(told["consequences"])) == ("fired", 7, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("unlok",), "no rule `unlok`; did you mean `unlock`?"),
        (("unlock", "--at", "2001-01-01T12:00"), "is not in it"),
        (("unlock", "--at", "noon"), "`noon` is no time"),
        (("unlock", "--follow"), "--log asks a log"),
    ],
)
def test_what_a_log_cannot_answer_is_a_sentence(log, arguments, said):
    shown = zuluko("why", *arguments, "--log", str(log))
    assert (shown.stdout, len(shown.stderr.splitlines())) == ("", 1)
    assert said in shown.stderr


def test_what_is_no_log_or_has_no_decisions_is_a_sentence(tmp_path):
    (tmp_path / "note.mcap").write_text("hello")
    shown = zuluko("why", "--log", str(tmp_path / "note.mcap"))
    assert (shown.returncode, len(shown.stderr.splitlines())) == (1, 1)
    with LogWriter(tmp_path / "empty.mcap"):
        pass
    shown = zuluko("why", "--log", str(tmp_path / "empty.mcap"))
    assert shown.stderr == f"{tmp_path}/empty.mcap has no decisions; record the rules node, too\n"
