"""A replay acts on nothing: whoever would move the world is simulated or held back, unless it is named."""

import json
from pathlib import Path

import pytest

from tests.running import zuluko
from zuluko import Message, read, record
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


BOARD = """
params:
  token: {default: $env:HELD_TOKEN}
  port: {default: $env:HELD_PORT, type: int}
include: {file: board_door.yaml, namespace: front, params: {token: $token}}
nodes:
  camera: {run: zuluko.nodes.camera, source: ./front.mp4}
  faces: {run: zuluko.perception.faces, in: {frames: camera}, source: demo}
  sonar: {run: "./board.py:sonar", device: sonar.serial, rate: $port, env: {KEY: "$env:HELD_KEY"}}
  rules: {run: board.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}, driver: "gpio:17"}
  told: {run: zuluko.actions.notify, in: {commands: rules}, driver: webhook, to: "http://localhost:9/", secret: $token, tries: 1}
  mail: {run: zuluko.actions.notify, in: {commands: rules}, driver: email, to: "a@b", via: "smtps://x@y", sender: "c@d", secret_file: mail.password}
  voice: {run: zuluko.actions.say, in: {commands: rules}, driver: desktop, sounds: {gong: gong.wav}}
  servo: {run: "./board.py:servo", in: {commands: rules}, channel: $port, driver: pwm}
record: {topics: all, to: "$env:HELD_DISK"}
"""
INCLUDED = """
params: {token: ""}
nodes:
  bell: {run: zuluko.actions.notify, in: {commands: rules}, driver: webhook, to: "http://localhost:9/", secret: "Bearer $token"}
"""
BOARDS = """
from collections.abc import Iterator
from pathlib import Path

from zuluko import Command, Message, Stream
from zuluko.document import Fault


class Range(Message, tag="HeldRange/1"):
    metres: float = 0.0


class Turn(Command, tag="HeldBoardTurn/1"):
    angle: float = 0.0


class Turned(Message, tag="HeldBoardTurned/1"):
    angle: float = 0.0


def sonar(*, device: Path, rate: int) -> Iterator[Range]:
    yield Range(stamp=0)


def check_sonar(*, device: Path, rate: int) -> Iterator[Fault]:
    if not device.exists():
        yield Fault("device", f"there is no {device.name}")


def servo(commands: Stream[Turn], *, channel: int, driver: str = "simulated") -> Iterator[Turned]:
    for command in commands:
        yield Turned(stamp=command.stamp, angle=command.angle)
"""
BOARD_RULES = """
visit:
  when: faces
  if: size(faces.items) > 0
  max_age: 5s
  cooldown: 1min
  do:
    lock: {open_for: 300ms}
    told: {text: somebody came}
    mail: {text: somebody wrote}
    voice: {sound: gong}
    servo: {angle: 0.5}
    front_bell: {text: ring}
"""


class Range(Message, tag="HeldRange/1"):
    metres: float = 0.0


@pytest.fixture
def board(house):
    """The launch file of a board whose drivers need what this machine does not have."""
    (house / "night.mcap").rename(house / "seen.mcap")
    record([Range(stamp=BASE)], house / "sonar.mcap", "sonar")
    both = [str(house / name) for name in ("seen.mcap", "sonar.mcap")]
    assert zuluko("log", "merge", *both, "--out", str(house / "night.mcap")).returncode == 0
    (house / "board.py").write_text(BOARDS)
    (house / "board.rules.yaml").write_text(BOARD_RULES)
    (house / "board.yaml").write_text(BOARD)
    (house / "board_door.yaml").write_text(INCLUDED)
    return house / "board.yaml"


@pytest.mark.parametrize("how", [(), ("--lockstep",)], ids=["real time", "lockstep"])
def test_what_only_held_back_nodes_need_is_not_asked_for(house, board, how):
    checked = zuluko("check", str(board))
    assert checked.returncode == 1
    assert {name for name in ("HELD_TOKEN", "HELD_PORT", "HELD_KEY") if name in checked.stderr} == {
        *("HELD_TOKEN", "HELD_PORT", "HELD_KEY")
    }
    done = zuluko("replay", str(house / "night.mcap"), str(board), "--json", *how)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == (
        "not for real: lock (simulated, not gpio:17), told (simulated, not webhook), "
        "mail (simulated, not email), voice (simulated, not desktop), servo (held back), "
        "front_bell (simulated, not webhook); to have a node act: --act lock"
    )
    last = json.loads(done.stdout.splitlines()[-1])
    said = last["messages"] if how else last["summary"]["messages"]
    assert {said[node] for node in ("told", "mail", "front_bell")} == {1}
    assert said["lock"] >= 2


def test_what_a_node_needs_that_runs_is_asked_for(house, board, monkeypatch):
    def lacking(*arguments: str) -> list[str]:
        done = zuluko("replay", str(house / "night.mcap"), str(board), *arguments)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr.removeprefix(str(house) + "/").replace(str(house), "").splitlines()

    token = "the environment has no HELD_TOKEN; set it before the start: export HELD_TOKEN=..."
    assert lacking("--act", "told") == [f"board.yaml:3:20: {token}"]
    assert lacking("--act", "front_bell") == [f"board.yaml:3:20: {token}"]
    (about,) = lacking("--act", "lock", "--lockstep")
    assert about.endswith("`driver`: there is no lock driver `gpio`; there is simulated")
    (about,) = lacking("--without", "camera")
    assert "front.mp4" in about
    port, key = lacking("--without", "sonar")
    assert ("HELD_PORT" in port, "HELD_KEY" in key) == (True, True)
    for name, value in (("HELD_PORT", "9"), ("HELD_KEY", "k")):
        monkeypatch.setenv(name, value)
    (about,) = lacking("--without", "sonar")
    assert about.endswith(": `device`: there is no sonar.serial")


def test_what_rules_need_is_asked_for(house, board):
    board.write_text(BOARD.replace("board.rules.yaml}", 'board.rules.yaml, least: "$env:HELD_LEAST"}'))
    (house / "board.rules.yaml").write_text("params: {least: 1}\n" + BOARD_RULES)
    done = zuluko("replay", str(house / "night.mcap"), str(board), "--lockstep")
    assert done.returncode == 1
    assert "the environment has no HELD_LEAST" in done.stderr


def test_rules_of_a_board_are_tried_anywhere(house, board):
    done = zuluko("rules", "run", str(board), str(house / "night.mcap"))
    assert done.returncode == 0, done.stderr
    assert "visit fired once" in done.stdout


@pytest.mark.parametrize(
    ("graph", "sets"),
    [
        ("door", ("driver=gpio:17", "source=front.mp4", "gallery=/root/nobody/people")),
        ("examples/door/door.yaml", ("driver=gpio:17", "voice=desktop", "source=front.mp4")),
        ("examples/guard/guard.yaml", ("channel=email", "to=a@b", "source=front.mp4")),
    ],
)
def test_stock_graphs_with_a_boards_drivers_are_replayed(house, graph, sets):
    arguments = [graph, *(f"--set={one}" for one in sets)]
    assert zuluko("check", *arguments).returncode == 1
    done = zuluko("replay", str(house / "night.mcap"), *arguments, "--lockstep", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["messages"]["rules.decision"] > 0
