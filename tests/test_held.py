"""A replay acts on nothing: whoever would move the world is simulated or held back, unless it is named."""

import json
from pathlib import Path

import pytest

from tests.running import zuluko
from zuluko import read, record
from zuluko.bus.log_reader import LogReader
from zuluko.launch import held, launchfile, record_entry
from zuluko.launch.lockstep import Lockstep
from zuluko.launch.replayed import stand_in
from zuluko.messages import Face, Faces, Frame, NotifyState, RunState, SnapshotState
from zuluko.nodes import demo
from zuluko.nodes.player import Timeline
from zuluko.testing import lockstep

SECOND = 10**9
BASE = 1_700_000_000 * SECOND
OWNER = Face(
    box=(100.0, 80.0, 120.0, 140.0), landmarks=((100.0, 100.0),) * 5, score=0.95, name="owner", similarity=0.8, margin=0.5, quality=0.9
)  # fmt: skip

GATE = """
from collections.abc import Iterator
from pathlib import Path

from zuluko import Stream
from zuluko.messages import LockCommand, LockState


def gate(commands: Stream[LockCommand], *, moved: Path) -> Iterator[LockState]:
    for command in commands:
        moved.touch()
        yield LockState(stamp=command.stamp, state="locked", reason=command.reason, until=0)
"""
RULES = """
unlock:
  when: faces
  if: size(faces.items) > 0
  max_age: 5s
  cooldown: 1min
  do:
    lock: {open_for: 300ms}
    gate: {open_for: 300ms}
    siren: {name: siren}
    told: {text: somebody came}
    album: {label: visit}
    mode: {text: away}
"""
GRAPH = """
nodes:
  camera: {run: zuluko.nodes.camera, source: demo}
  faces: {run: zuluko.perception.faces, in: {frames: camera}, source: demo}
  rules: {run: house.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}, driver: "simulated:bolt", max_evidence_age: 5s}
  gate: {run: ./gate.py, in: {commands: rules}, moved: moved}
  siren: {run: zuluko.actions.run, in: {commands: rules}, driver: installed, programs: {siren: [/usr/bin/touch, SIREN]}}
  told: {run: zuluko.actions.notify, in: {commands: rules}, driver: webhook, to: "http://localhost:9/", tries: 1}
  album: {run: zuluko.actions.snapshot, in: {commands: rules, frames: camera, decisions: rules}, folder: album}
  mode: {run: zuluko.actions.publish, in: {commands: rules}}
"""
LINE = (
    "not for real: lock (simulated, not simulated:{bolt}), gate (held back), siren (simulated, not installed), "
    "told (simulated, not webhook), album (simulated, not folder); to have a node act: --act lock"
)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A launch file whose nodes act, and two seconds of pictures and faces; all files lie in one folder."""
    pictures = [Frame(image=demo.compose(6.0)[1], stamp=BASE + n * SECOND // 10) for n in range(20)]
    seen = [
        Faces(items=(OWNER,) if 8 <= n < 16 else (), size=(640, 480), stamp=one.stamp)
        for n, one in enumerate(pictures)
    ]
    record(pictures, tmp_path / "camera.mcap", "camera")
    record(seen, tmp_path / "faces.mcap", "faces")
    both = [str(tmp_path / name) for name in ("camera.mcap", "faces.mcap")]
    assert zuluko("log", "merge", *both, "--out", str(tmp_path / "night.mcap")).returncode == 0
    (tmp_path / "gate.py").write_text(GATE)
    (tmp_path / "house.rules.yaml").write_text(RULES)
    graph = GRAPH.replace("SIREN", str(tmp_path / "siren")).replace(
        "simulated:bolt", f"simulated:{tmp_path}/bolt"
    )
    (tmp_path / "house.yaml").write_text(graph)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def replayed(house: Path, *arguments: str):
    return zuluko("replay", str(house / "night.mcap"), str(house / "house.yaml"), "--json", *arguments)


def moved(house: Path) -> set[str]:
    """What the nodes have done to the world."""
    return {name for name in ("bolt", "moved", "siren", "album") if (house / name).exists()}


def line(house: Path) -> str:
    return LINE.format(bolt=house / "bolt")


def test_a_replay_acts_on_nothing_and_says_so_in_a_line(house):
    done = replayed(house)
    assert done.returncode == 0, done.stderr
    assert moved(house) == set()
    assert done.stderr.splitlines() == [line(house)]
    told = [json.loads(one) for one in done.stdout.splitlines()]
    said = {(one["who"], one["text"]) for one in told if "who" in one}
    assert ("lock", "unlocked (unlock)") in said
    assert ("gate", "held back: open_for 0.3, reason unlock") in said
    assert ("siren", "done: siren (unlock)") in said
    assert ("told", "done: somebody came (unlock)") in said
    assert ("mode", "away (unlock)") in said
    assert any(who == "album" and text.startswith("done: ") for who, text in said)


def test_a_lockstep_acts_on_nothing_and_says_so_in_a_line(house):
    done = replayed(house, "--lockstep", "--out", str(house / "out.mcap"))
    assert done.returncode == 0, done.stderr
    assert moved(house) == set()
    assert done.stderr.splitlines() == [line(house), "held back: open_for 0.3, reason unlock"]
    runs: list[RunState] = list(read(house / "out.mcap", "siren"))
    assert [(one.outcome, one.output) for one in runs][1:] == [("done", f"/usr/bin/touch {house / 'siren'}")]
    (notice,) = read(house / "out.mcap", "told")
    assert isinstance(notice, NotifyState)
    assert (notice.outcome, notice.text) == ("done", "somebody came")
    (kept,) = read(house / "out.mcap", "album")
    assert isinstance(kept, SnapshotState)
    assert (kept.outcome, Path(kept.picture).parent) == ("done", Path("simulated"))


@pytest.mark.parametrize("how", [(), ("--lockstep",)], ids=["real time", "lockstep"])
def test_a_node_that_is_named_acts(house, how):
    done = replayed(house, "--act", "siren", "--act", "gate", *how)
    assert done.returncode == 0, done.stderr
    assert moved(house) == {"moved", "siren"}
    first = done.stderr.splitlines()[0]
    assert first.startswith("not for real: lock (")
    assert "siren" not in first
    assert "gate" not in first


def test_where_nobody_would_act_nothing_is_said(house):
    graph = house / "quiet.yaml"
    lines = (house / "house.yaml").read_text().splitlines()
    quiet = "\n".join(one for one in lines if not one.lstrip().startswith(("gate", "siren", "told", "album")))
    graph.write_text(quiet.replace(f"simulated:{house}/bolt", "simulated"))
    rules = (house / "house.rules.yaml").read_text().splitlines()
    left = [one for one in rules if not one.lstrip().startswith(("gate", "siren", "told", "album"))]
    (house / "house.rules.yaml").write_text("\n".join(left))
    done = zuluko("replay", str(house / "night.mcap"), str(graph), "--lockstep")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_simulated_changes_no_decision_and_leaks_nothing(house):
    held_back = replayed(house, "--lockstep", "--twice")
    acting = replayed(house, "--lockstep", *(f"--act={name}" for name in ("lock", "gate", "siren", "album")))
    ours, theirs = (json.loads(one.stdout) for one in (held_back, acting))
    assert (ours["leaks"], ours["parts"]) == ([], "")
    assert ours["digests"]["rules.decision"] == theirs["digests"]["rules.decision"]
    assert ours["digests"]["lock"] == theirs["digests"]["lock"]
    assert moved(house) == {"bolt", "moved", "siren", "album"}


def test_a_test_acts_on_nothing(house):
    said = lockstep(house / "house.yaml", house / "night.mcap")
    assert [one.outcome for one in said["siren"]] == ["running", "done"]
    assert moved(house) == set()
    lockstep(house / "house.yaml", house / "night.mcap", act=["siren"])
    assert moved(house) == {"siren"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("house.yaml", "--act", "siern"), "house has no node `siern`; did you mean `siren`?"),
        (("--act", "siren"), "--act is for the nodes of a graph; name it: zuluko replay LOG GRAPH --act ..."),
    ],
)
def test_who_cannot_act_is_told(house, arguments, said):
    named = [str(house / one) if one.endswith(".yaml") else one for one in arguments]
    done = zuluko("replay", str(house / "night.mcap"), *named)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


OWN = """
from collections.abc import Iterator
from typing import ClassVar, Literal

from zuluko import Command, Message, Stream, Tick
from zuluko.document import Fault
from zuluko.messages import Faces


class Turn(Command, tag="HeldTurn/1"):
    angle: float = 0.0


class Think(Command, tag="HeldThink/1"):
    within_graph: ClassVar[bool] = True


class Told(Message, tag="HeldTold/1"):
    pass


def commander(faces: Stream[Faces]) -> Iterator[Turn | Think]:
    yield from ()


def plain(turns: Stream[Turn]) -> Iterator[Told]:
    yield from ()


def thinker(thoughts: Stream[Think]) -> Iterator[Told]:
    yield from ()


def by_default(turns: Stream[Turn], *, driver: str = "simulated") -> Iterator[Told]:
    yield from ()


def by_type(turns: Stream[Turn], *, driver: Literal["servo", "simulated"] = "servo") -> Iterator[Told]:
    yield from ()


def real_only(turns: Stream[Turn], *, driver: Literal["servo", "stepper"] = "servo") -> Iterator[Told]:
    yield from ()


def by_check(turns: Stream[Turn], *, driver: str = "servo") -> Iterator[Told]:
    yield from ()


def check_by_check(*, driver: str) -> Iterator[Fault]:
    if driver not in ("servo", "simulated"):
        yield Fault("driver", "there is none")


def unknown(turns: Stream[Turn], *, driver: str = "servo") -> Iterator[Told]:
    yield from ()


def motors(faces: Stream[Faces], *, driver: str = "simulated") -> Iterator[Told]:
    yield from ()


def detector(faces: Stream[Faces], *, driver: Literal["cpu", "npu"] = "cpu") -> Iterator[Told]:
    yield from ()


def sensor(ticks: Stream[Tick], *, driver: str = "simulated") -> Iterator[Told]:
    yield from ()
"""


@pytest.mark.parametrize(
    ("node", "how"),
    [
        ("by_default: {run: './own.py:by_default', in: {turns: commander}, driver: servo}", "simulated, not servo"),
        ("by_default: {run: './own.py:by_default', in: {turns: commander}}", None),
        ("by_type: {run: './own.py:by_type', in: {turns: commander}}", "simulated, not servo"),
        ("by_type: {run: './own.py:by_type', in: {turns: commander}, driver: simulated}", None),
        ("by_check: {run: './own.py:by_check', in: {turns: commander}}", "simulated, not servo"),
        ("real_only: {run: './own.py:real_only', in: {turns: commander}}", "held back"),
        ("unknown: {run: './own.py:unknown', in: {turns: commander}}", "held back"),
        ("plain: {run: './own.py:plain', in: {turns: commander}}", "held back"),
        ("thinker: {run: './own.py:thinker', in: {thoughts: commander}}", None),
        ("motors: {run: './own.py:motors', in: {faces: faces}, driver: can0}", "simulated, not can0"),
        ("detector: {run: './own.py:detector', in: {faces: faces}, driver: npu}", None),
        ("sensor: {run: './own.py:sensor', in: {ticks: every 1s}, driver: i2c}", None),
        ("set: {run: zuluko.actions.set, in: {commands: setting}, driver: graph, allow: {faces: [hz]}}", None),
        ("lock: {run: zuluko.actions.lock, in: {commands: opener}}", None),
    ],
)  # fmt: skip
def test_who_acts_is_known_by_what_it_takes_and_by_its_driver(tmp_path, node, how):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "open.rules.yaml").write_text(
        'on: {when: faces, if: "size(faces.items) == 1", max_age: 1s, do: {lock: {open_for: 1s}}}'
    )
    (tmp_path / "set.rules.yaml").write_text(
        'on: {when: faces, if: "size(faces.items) == 1", max_age: 1s, do: {set: {node: faces, name: hz, value: 2}}}'
    )
    (tmp_path / "faces.py").write_text(
        "from collections.abc import Iterator\n\nfrom zuluko.messages import Faces\n\n\n"
        "def faces(*, hz: float = 1.0) -> Iterator[Faces]:\n    yield Faces(stamp=0)\n"
    )
    rules = {
        "opener": "  opener: {run: open.rules.yaml}\n",
        "setting": "  setting: {run: set.rules.yaml}\n",
        "commander": "  commander: {run: './own.py:commander', in: {faces: faces}}\n",
    }
    used = "".join(text for name, text in rules.items() if name in node)
    (tmp_path / "g.yaml").write_text(f"nodes:\n  faces: {{run: ./faces.py}}\n{used}  {node}\n")
    graph = launchfile.load(tmp_path / "g.yaml")
    name = node.partition(":")[0]
    assert held.hold_back(graph) == ({name: how} if how else {})


def test_a_node_that_takes_commands_on_two_inputs_is_held_back_on_both(house):
    (house / "two.py").write_text("""
from collections.abc import Iterator

from zuluko import Stream
from zuluko.messages import Faces, LockCommand, Note, RunCommand


def asks(faces: Stream[Faces]) -> Iterator[LockCommand | RunCommand]:
    for seen in faces:
        if seen.items:
            yield LockCommand(stamp=seen.stamp, id="lock", open_for=1.0)
            yield RunCommand(stamp=seen.stamp, id="run", name="siren")
            return


def two(locks: Stream[LockCommand], runs: Stream[RunCommand], faces: Stream[Faces]) -> Iterator[Note]:
    raise AssertionError
""")
    (house / "two.yaml").write_text("""
nodes:
  camera: {run: zuluko.nodes.camera, source: demo}
  faces: {run: zuluko.perception.faces, in: {frames: camera}, source: demo}
  asks: {run: "./two.py:asks", in: {faces: faces}}
  two: {run: "./two.py:two", in: {locks: asks, runs: asks, faces: faces}}
""")
    graph = launchfile.load(house / "two.yaml")
    record_entry.leave_out(graph)
    with LogReader(house / "night.mcap") as reader:
        assert stand_in(graph, reader, Timeline(*reader.span)) == {"two": "held back"}
        run = Lockstep(graph, house / "out.mcap")
        run.run()
    taken = [(one.outcome, one.to) for one in read(house / "out.mcap", "asks.delivery")]
    assert taken == [("taken", "two"), ("taken", "two")]
