"""The worked examples, each run as its README says, live and on its log."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.running import ROOT, up
from tests.test_docs import commands, pattern, run
from tests.waiting import until
from zuluko import read
from zuluko.bus.log_reader import LogReader
from zuluko.bus.subscriber import Subscriber
from zuluko.log import entries, known_types
from zuluko.messages import Decision, DriveState, NotifyState

EXAMPLES = ROOT / "examples"
LOGS = ("door", "guard", "too_close", "thermostat", "gesture")
LARGEST_LOG = 100_000  # bytes


def last_state(base: Subscriber[DriveState]) -> DriveState | None:
    found = None
    while (envelope := base.receive()) is not None:
        found = envelope.body
    return found


@pytest.mark.parametrize(
    ("settings", "reason", "least", "most"),
    [
        ((), "halt", 0.8, 1.3),
        (("--set", "dies_at=1.0"), "silent", 0.4, 0.8),
    ],
)
def test_too_close_stops_before_the_wall(settings, reason, least, most, run_dir):
    with up(str(EXAMPLES / "too_close/too_close.yaml"), *settings) as graph:
        graph.wait_for("drive", "ready")
        base = Subscriber("too_close", "drive", DriveState)
        graph.wait_for("drive", "moving (go)")
        graph.wait_for("drive", f"stopped ({reason})")
        state = until(lambda: (found := last_state(base)) and found.state == "stopped" and found)
        assert (state.state, state.reason) == ("stopped", reason)
        assert least < state.x < most
        base.close()
        assert graph.stop() == 0


def test_the_drives_page_shows_the_examples_rule():
    rules = (EXAMPLES / "too_close/too_close.rules.yaml").read_text()
    shown = (ROOT / "docs/actions.md").read_text().split("```yaml\ngo:")[1].split("```")[0]
    assert f"go:{shown}" in rules


def test_the_guard_tells_of_the_stranger_with_a_snapshot(tmp_path: Path, run_dir):
    album = tmp_path / "album"
    with up(str(EXAMPLES / "guard/guard.yaml"), "--set", f"album={album}") as graph:
        graph.wait_for("rules", "ready")
        told = Subscriber("guard", "alarm", NotifyState)
        decided = Subscriber("guard", "rules.decision", Decision)
        graph.wait_for("snapshot", "done: ")
        graph.wait_for("alarm", "done: a stranger is in the room")
        alert = until(told.receive, what="the alert")
        fired = until(lambda: next_fired(decided), what="the decision")
        told.close()
        decided.close()
        graph.end(60)
    assert alert.body.command == fired.command
    print(f"from the evidence to the alert: {(alert.sent - fired.since) / 1e6:.0f} ms")
    (kept,) = album.glob("*.json")
    content = json.loads(kept.read_text())
    assert content["picture_off"] == 0
    assert content["decision"]["command"] == alert.body.command
    assert cv2.imread(str(kept.with_suffix(".jpg"))) is not None


def next_fired(decided: Subscriber[Decision]) -> Decision | None:
    while (envelope := decided.receive()) is not None:
        if envelope.body.outcome == "fired":
            return envelope.body
    return None


# -- the logs


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> Callable[[str], Path]:
    """Runs an example over its log as its README shows, once; gives the folder, with what was said in
    ``again.mcap``."""
    folders: dict[str, Path] = {}

    def replay(example: str) -> Path:
        if example not in folders:
            folders[example] = folder = tmp_path_factory.mktemp(example)
            shutil.copytree(EXAMPLES, folder / "examples")
            for command, shown in commands(f"examples/{example}/README.md"):
                printed = undigested(run(command, folder))
                assert re.fullmatch(pattern(undigested(shown)), printed), (command, printed)
        return folders[example]

    return replay


def undigested(text: str) -> str:
    """Without the digests, which another version's Decisions change."""
    return re.sub(r"\b[0-9a-f]{16,64}\b", "0", text)


def fired(log: Path) -> list[tuple[str, float]]:
    """Which rules fired or ended, and how many seconds after the log's first message."""
    stream = read(log, "rules.decision")
    told = [(one, stream.now) for one in stream]
    return [
        (one.rule if one.outcome == "fired" else f"{one.rule} ended", round((now - told[0][1]) / 1e9, 2))
        for one, now in told
        if one.outcome in ("fired", "ended")
    ]


@pytest.mark.parametrize("example", LOGS)
def test_a_readmes_commands_print_what_it_shows(example, replayed):
    assert (replayed(example) / "again.mcap").is_file()
    assert f"python examples/make_logs.py {example}" in (EXAMPLES / example / "README.md").read_text()


@pytest.mark.parametrize("example", LOGS)
def test_a_log_is_small_and_names_no_machine(example):
    log = EXAMPLES / example / f"{example}.mcap"
    assert log.stat().st_size < LARGEST_LOG
    with LogReader(log) as reader:
        assert reader.whole
        assert reader.told.keys() <= {"lost"}


@pytest.mark.parametrize("example", LOGS)
def test_a_log_is_made_again(example, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("*.mcap"))
    assert "kB" in run([sys.executable, "-W", "error", "examples/make_logs.py", example], tmp_path)
    old, new = (said(folder / f"{example}/{example}.mcap") for folder in (EXAMPLES, tmp_path / "examples"))
    assert old == new


def said(log: Path) -> list[tuple[Any, ...]]:
    """What a log holds, but for what a network computes and a JPEG rounds: of faces, who is seen where."""
    with LogReader(log) as reader:
        kinds = {topic: known_types().get(reader.type_of(topic)) for topic in reader.topics}
        if unknown := [topic for topic, kind in kinds.items() if kind is None]:
            return [(one.sequence, one.received, one.data) for _, one in reader.messages(unknown, None, None)]
        return [
            (one.topic, one.received, one.envelope.body.stamp, seen(one.envelope.body))
            for one in entries(reader, kinds)
        ]


def seen(message: Any) -> Any:
    if type(message).__name__ == "Faces":
        return [(face.name, *(round(side / 20) for side in face.box[:2])) for face in message.items]
    return message.image.shape if type(message).__name__ == "Frame" else message


def test_the_door_opens_for_the_owner_alone(replayed):
    again = replayed("door") / "again.mcap"
    assert [name for name, _ in fired(again)] == ["ring", "unlock"]
    assert 2.6 < dict(fired(again))["unlock"] < 3.1  # the stranger is gone after 2.8 s
    assert [(one.state, one.reason) for one in read(again, "lock") if one.command][:1] == [
        ("unlocked", "unlock")
    ]


def test_the_door_shuts_when_a_stranger_comes():
    from zuluko import Latest, Stream
    from zuluko.actions.rules import rules
    from zuluko.launch import launchfile
    from zuluko.messages import LockCommand, LockState

    ruleset = launchfile.load(EXAMPLES / "door/door.yaml").entries["rules"].options["ruleset"]
    stream = read(EXAMPLES / "door/door.mcap", "faces", end=1.0)
    open_ = Latest(LockState(state="unlocked", stamp=stream.now))
    looked = Stream(list(stream), topic="faces")
    open_.value = LockState(state="unlocked")
    given = [one for one in rules(looked, {"lock": open_}, ruleset=ruleset) if isinstance(one, LockCommand)]
    assert [(one.reason, one.open_for) for one in given] == [("shut", 0.0)]


def test_the_guard_alerts_within_half_a_second_of_the_log(replayed):
    folder = replayed("guard")
    first = next(one for one in read(folder / "examples/guard/guard.mcap", "faces") if one.items)
    decisions = read(folder / "again.mcap", "rules.decision")
    alert = next(one for one in decisions if one.outcome == "fired")
    assert alert.rule == "stranger"
    assert (decisions.now - first.stamp) / 1e9 < 0.5
    (kept,) = read(folder / "again.mcap", "snapshot")
    assert (kept.outcome, kept.off, kept.stamp) == ("done", 0.0, alert.stamp)
    assert cv2.imread(str(folder / kept.picture)).shape == (240, 320, 3)
    assert [one.outcome for one in read(folder / "day.mcap", "rules.decision")].count("fired") == 0


def test_too_close_stops_on_silence_and_at_the_wall(replayed):
    again = replayed("too_close") / "again.mcap"
    states = [(one.state, one.reason) for one in read(again, "drive")]
    changes = [one for number, one in enumerate(states) if number == 0 or one != states[number - 1]]
    wanted = [("moving", "go"), ("stopped", "silent"), ("moving", "go"), ("stopped", "halt")]
    assert [one for one in changes if one in wanted and one != ("stopped", "go")] == wanted
    assert next(at for name, at in fired(again) if name == "silent") == 1.18  # 200 ms after its last word


def test_the_thermostat_keeps_to_the_hour_and_to_its_hysteresis(replayed):
    folder = replayed("thermostat")
    climate = said_values(folder / "examples/thermostat/thermostat.mcap")
    hours = {hour: [value for at, value in climate if hour <= at / 3600 < hour + 1] for hour in range(12)}
    assert all(20.3 <= value <= 21.6 for hour in (0, 11) for value in hours[hour])
    assert all(16.4 <= value <= 17.6 for hour in (4, 5, 6) for value in hours[hour])
    told = fired(folder / "again.mcap")
    unheard = [at for name, at in told if name == "unheard"]
    assert unheard[0] == 7.6 * 3600 - 30 + 60  # its last word was 30 s before the silence began
    assert min(value for at, value in climate if at > 10 * 3600) > 17.5  # it is day from 9.5 h on


def said_values(log: Path) -> list[tuple[float, float]]:
    import msgspec

    with LogReader(log) as reader:
        found = [
            (one.received, msgspec.msgpack.decode(one.data)[4])
            for _, one in reader.messages(["climate"], None, None)
        ]
    return [((received - found[0][0]) / 1e9, body["celsius"]) for received, body in found]


def test_a_gesture_is_heard_and_then_not(replayed):
    told = fired(replayed("gesture") / "again.mcap")
    assert [name for name, _ in told] == ["shake", "face_down", "face_down ended"]
    assert dict(told)["shake"] == pytest.approx(1.5 + 1.75 / 4, abs=0.06)  # the fourth push of four a second
