"""What ships for a user's own tests: rules asked and graphs run over a log, in a few lines."""

import os
import subprocess
import sys

import pytest

from tests.running import ROOT, write, zuluko
from zuluko import read, record
from zuluko.document import DocumentError
from zuluko.launch.lockstep import LockstepError
from zuluko.messages import Face, Faces, LockState
from zuluko.testing import decisions, lockstep, log_of

SECOND = 10**9
BASE = 1_700_000_000 * SECOND
DOOR = ROOT / "zuluko/launch/door.rules.yaml"
FACE = Face(box=(100.0, 80.0, 120.0, 140.0), landmarks=((100.0, 100.0),) * 5, score=0.95, name="owner", similarity=0.8, margin=0.5, quality=0.9)  # fmt: skip


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """Ten seconds in which nobody, then the owner, then nobody stands before the door; it stays locked."""
    stamps = [BASE + n * SECOND // 15 for n in range(150)]
    seen = [
        Faces(items=(FACE,) if 30 <= n < 60 else (), size=(640, 480), stamp=at) for n, at in enumerate(stamps)
    ]
    locks = [LockState(state="locked", stamp=at) for at in stamps[::15]]
    return log_of(tmp_path_factory.mktemp("testing") / "evening.mcap", {"faces": seen, "lock": locks})


def test_the_door_opens_for_its_owner(evening):
    fired = [one for one in decisions(DOOR, evening) if one.outcome == "fired"]
    assert fired[0].rule == "unlock"
    assert 2.0 <= (fired[0].stamp - BASE) / SECOND < 2.7


def test_the_door_stays_locked_for_others(evening):
    assert {one.outcome for one in decisions(DOOR, evening, owners=["ana", "ben"])} == {"false"}
    assert {one.outcome for one in decisions(str(DOOR), str(evening), rule="unlock", owners=[])} == {"false"}


def test_every_decision_is_given_with_its_clauses(evening):
    told = decisions(DOOR, evening)
    assert {one.topic for one in told} == {"faces"}
    assert list(dict.fromkeys(one.seq for one in told)) == list(range(150))  # some again, as `for` has passed
    fired = next(one for one in told if one.outcome == "fired")
    assert {clause.verdict for clause in fired.clauses} == {"true"}
    assert {clause.verdict for one in decisions(DOOR, evening, owners=[]) for clause in one.clauses} == {"true", "false"}  # fmt: skip


def test_a_graph_says_in_a_test_what_it_says_on_the_command_line(evening, tmp_path):
    out = tmp_path / "out.mcap"
    done = zuluko("replay", str(evening), "door", "--lockstep", "--without", "lock", "--out", str(out))
    said = lockstep("door", evening, without=["lock"])
    assert done.stdout.splitlines()[-1].endswith(said.digest)
    assert said["lock"] == list(read(out, "lock"))
    assert [one.state for one in said["lock"]].count("unlocked") > 0
    assert said["nothing"] == []
    assert said.leaks == []
    assert said.digest != lockstep("door", evening, without=["lock"], owners=["ana"]).digest


def test_what_does_not_go_together_is_a_sentence(evening, tmp_path):
    with pytest.raises(ValueError, match="`climate` is nothing known here"):
        decisions(
            write(tmp_path, "warm:\n  when: climate\n  if: climate.celsius > 1.0\n", "a.rules.yaml"), evening
        )
    with pytest.raises(ValueError, match="no rule `unlok`; did you mean `unlock`"):
        decisions(DOOR, evening, rule="unlok")
    with pytest.raises(ValueError, match="has no node `camra`; did you mean `camera`"):
        lockstep("door", evening, only=["camra"])
    with pytest.raises(DocumentError, match="there is no such launch file; did you mean `door`"):
        lockstep("dor", evening)


FAILS = """
from collections.abc import Iterator

from zuluko import Stream
from zuluko.messages import Faces

def free() -> Iterator[Faces]:
    yield Faces()

def odd(faces: Stream[Faces]) -> Iterator[Faces]:
    for number, message in enumerate(faces):
        yield Faces(stamp=1 // (5 - number))
"""


def test_a_node_that_fails_fails_the_test_with_its_own_error(evening, tmp_path):
    (tmp_path / "testing_odd.py").write_text(FAILS)
    graph = 'nodes:\n  faces: {run: "./testing_odd.py:free"}\n  odd: {run: "./testing_odd.py:odd", in: {faces: faces}}\n'
    with pytest.raises(LockstepError, match="odd failed: integer division or modulo by zero") as caught:
        lockstep(write(tmp_path, graph), evening)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


LEAKS = """
import time
from collections.abc import Iterator

from zuluko import Stream
from zuluko.messages import Faces

def free() -> Iterator[Faces]:
    yield Faces()

def late(faces: Stream[Faces]) -> Iterator[Faces]:
    for message in faces:
        yield Faces(stamp=time.time_ns())
"""


def test_a_node_that_reads_the_clock_is_told(evening, tmp_path):
    (tmp_path / "testing_late.py").write_text(LEAKS)
    graph = 'nodes:\n  faces: {run: "./testing_late.py:free"}\n  late: {run: "./testing_late.py:late", in: {faces: faces}}\n'
    said = lockstep(write(tmp_path, graph), evening)
    assert len(said["late"]) == 150
    assert [leak for leak in said.leaks if "testing_late.py" in leak and "late" in leak]


def test_a_log_that_nobody_recorded_is_in_the_order_of_the_stamps(tmp_path):
    log = log_of(
        tmp_path / "a.mcap",
        {"lock": [LockState(state="locked", stamp=5)], "faces": [Faces(stamp=n) for n in (9, 3)]},
    )
    stream = read(log, "lock", "faces")
    assert [(stream.topic, one.stamp, stream.seq, stream.now) for one in stream] == [("faces", 3, 1, 3), ("lock", 5, 0, 5), ("faces", 9, 0, 9)]  # fmt: skip


def test_it_needs_no_pytest(evening):
    program = f"import sys; sys.modules['pytest'] = None; from zuluko.testing import decisions; print(decisions({str(DOOR)!r}, {str(evening)!r})[0].rule)"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "unlock\n"), done.stderr


TWO_TESTS = """
import os
from zuluko.bus.topics import run_dir as runtime

def test_one():
    (runtime() / "trace").write_text(os.environ["ZULUKO_RUN"])

def test_two():
    assert not (runtime() / "trace").exists()
"""


def test_the_fixture_gives_each_test_a_runtime_directory(tmp_path):
    (tmp_path / "conftest.py").write_text("from zuluko.testing.fixtures import run_dir\n")
    (tmp_path / "test_two.py").write_text(TWO_TESTS)
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env={**os.environ, "ZULUKO_RUN": str(run), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert not run.exists()


def test_a_stream_is_recorded_and_asked(tmp_path):
    """The other way to a log: what a node said in a test."""
    record(
        [Faces(stamp=BASE + n * SECOND // 10, items=(FACE,)) for n in range(10)], tmp_path / "a.mcap", "faces"
    )
    rules = write(
        tmp_path, "somebody:\n  when: faces\n  if: size(faces.items) > 0\n  for: 200ms\n", "a.rules.yaml"
    )
    told = decisions(rules, tmp_path / "a.mcap")
    assert [one.since - BASE for one in told if one.outcome == "fired"] == [0]
    assert {one.outcome for one in told} == {"held", "fired"}
