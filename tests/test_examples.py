"""The worked examples, each run as its README says."""

import json
from pathlib import Path

import cv2
import pytest

from tests.running import ROOT, up
from tests.waiting import until
from zuluko.bus.subscriber import Subscriber
from zuluko.messages import Decision, DriveState, NotifyState

EXAMPLES = ROOT / "examples"


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
        state = until(lambda: last_state(base), what="where it stands")
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
