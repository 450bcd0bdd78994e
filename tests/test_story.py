"""The story of a graph, from messages to events, figures and verdict."""

import numpy as np

from zuluko.bus.wire import Envelope
from zuluko.launch.story import Story
from zuluko.launch.view import summary_rows
from zuluko.messages import Decision, Face, Faces, Frame, LockCommand, LockState

SECOND = 1_000_000_000
MS = 1_000_000
FACE = Face(box=(0, 0, 9, 9), landmarks=((0, 0),) * 5, score=0.9, similarity=0.1)
OWNER = Face(box=(0, 0, 9, 9), landmarks=((0, 0),) * 5, score=0.9, name="ana", similarity=0.7)
IMAGE = np.zeros((2, 2, 3), "u1")


class Teller:
    """Tells a story message by message, in graph time."""

    def __init__(self):
        self.story = Story({"unlock": 0.2}, start=0)
        self.seq = 0

    def hear(self, topic, message, at):
        self.seq += 1
        self.story.hear(topic, Envelope(1, self.seq, at, (), message), at)
        return self

    def unlock(self, at, scene):
        """A picture of the scene, and an unlock for it 250 ms later, 200 of which are the rule's own."""
        self.hear("camera", Frame(stamp=at, image=IMAGE, scene=scene), at)
        name = f"c{at}"
        fired = Decision(rule="unlock", outcome="fired", stamp=at, since=at, age=0.04, command=name)
        self.hear("rules.decision", fired, at + 250 * MS)
        self.hear("rules.lock_command", LockCommand(id=name, stamp=at, open_for=3.0), at + 250 * MS)
        self.hear("lock", LockState(stamp=at, state="unlocked", reason="unlock", command=name), at + 260 * MS)
        return self.hear("lock", LockState(stamp=at, state="locked", reason="time is up"), at + 3 * SECOND)

    @property
    def texts(self):
        return [event.text for event in self.story.events]


def test_an_unlock_for_the_owner_is_good():
    teller = Teller().unlock(SECOND, "owner")
    summary = teller.story.summary()
    assert (summary["good"], summary["unlocks"], summary["fired"]) == (True, 1, 1)
    assert summary["evidence_to_unlock_ms"] == {"median": 50.0, "worst": 50.0}
    assert summary["oldest_evidence_ms"] == 40.0
    assert "unlocked (unlock)" in teller.texts
    assert "locked (time is up)" in teller.texts


def test_an_unlock_for_a_stranger_is_bad_even_if_the_owner_got_in():
    good, why = Teller().unlock(SECOND, "owner").unlock(9 * SECOND, "stranger").story.verdict()
    assert not good
    assert why == "the lock opened for: stranger"


def test_an_unlock_without_a_known_picture_is_bad():
    teller = Teller().unlock(SECOND, "owner")
    teller.hear("lock", LockState(stamp=5, state="unlocked", command="x"), 9 * SECOND)
    assert teller.story.verdict() == (False, "the lock opened for: an unknown scene")


def test_no_unlock_for_the_owner_is_bad():
    teller = Teller().hear("camera", Frame(stamp=1, image=IMAGE, scene="empty"), 1)
    assert teller.story.verdict() == (False, "stopped before the owner came")
    teller.hear("camera", Frame(stamp=2, image=IMAGE, scene="owner"), 2)
    assert teller.story.verdict() == (False, "the lock did not open for the owner")
    assert ("verdict", "BAD: the lock did not open for the owner") in summary_rows(teller.story.summary())


def test_a_demo_without_a_single_picture_is_no_success():
    assert Story({}, 0, has_truth=True).verdict() == (False, "stopped before the owner came")


def test_a_lock_that_stays_open_is_told_and_bad():
    teller = Teller().hear("camera", Frame(stamp=1, image=IMAGE, scene="owner"), 1)
    teller.hear("lock", LockState(stamp=1, state="unlocked", until=3 * SECOND, command="c"), SECOND)
    teller.story.look(3 * SECOND + 500 * MS)
    assert teller.story.verdict()[0]
    teller.story.look(5 * SECOND)
    assert teller.texts[-1] == "should have locked again, and has not said so"
    assert teller.story.verdict() == (False, "the lock stayed open longer than it was told")


def test_evidence_that_is_looked_at_again_is_as_old_as_when_it_came_or_made_a_rule_fire():
    teller = Teller()
    for number, age, outcome in (
        (1, 0.03, "held"),
        (1, 0.09, "fired"),
        (1, 4.0, "unknown"),
        (2, 0.05, "false"),
    ):
        seen = Decision(rule="unlock", outcome=outcome, topic="faces", seq=number, age=age)
        teller.hear("rules.decision", seen, SECOND)
    assert teller.story.summary()["oldest_evidence_ms"] == 90.0
    late = Decision(rule="unlock", outcome="unknown", topic="faces", seq=3, age=0.7)
    assert teller.hear("rules.decision", late, SECOND).story.summary()["oldest_evidence_ms"] == 700.0


def test_a_stranger_who_prolongs_an_open_lock_is_seen():
    teller = Teller()
    for at, scene in ((1, "owner"), (2, "stranger")):
        teller.hear("camera", Frame(stamp=at, image=IMAGE, scene=scene), at)
        teller.hear("lock", LockState(stamp=at, state="unlocked", until=9, command=scene), at)
    assert teller.story.verdict() == (False, "the lock opened for: stranger")


def test_a_refused_command_is_no_unlock():
    teller = Teller()
    fired = Decision(rule="unlock", outcome="fired", stamp=1, since=1, command="c")
    teller.hear("rules.decision", fired, 1)
    teller.hear("rules.lock_command", LockCommand(id="c", stamp=1, open_for=3.0), 2)
    teller.hear("lock", LockState(state="locked", reason="refused: too old", command="c"), 3)
    assert teller.story.summary()["evidence_to_unlock_ms"]["median"] is None


def test_losses_of_a_node_that_died_are_kept():
    story = Teller().story
    for lost in (4, 9, 0, 2):
        story.note({"node": "faces", "stats": {"lost": {"camera": {"overrun": lost}}}}, 1)
    assert story.lost_total()["overrun"] == 11


def test_without_truth_there_is_no_verdict():
    teller = Teller().unlock(SECOND, "")
    assert teller.story.verdict() == (True, "")
    assert not any(name == "verdict" for name, _ in summary_rows(teller.story.summary()))


def test_who_is_there_is_told_once_and_not_for_a_flicker():
    teller = Teller()
    for number, items in enumerate(
        [()] * 3 + [(FACE,)] * 5 + [()] + [(FACE,)] * 5 + [(OWNER, FACE)] * 5 + [()] * 5
    ):
        teller.hear("faces", Faces(stamp=number, items=items), number)
    assert teller.texts == [
        "a stranger (at most 0.10 like anybody known)",
        "ana (similarity 0.70); a stranger (at most 0.10 like anybody known)",
        "nobody is there",
    ]
    assert teller.story.summary()["faces"] == 20
    assert teller.story.summary()["messages"] == {"faces": 24}


def test_a_refusal_is_told_once():
    teller = Teller()
    for at in range(3):
        teller.hear("lock", LockState(state="locked", reason="refused: too old", command="c"), at)
    assert teller.texts == ["refused: too old", "locked (refused: too old)"]
    assert teller.story.summary()["refused"] == 1


def test_the_supervisors_events_are_told():
    story = Teller().story
    story.note({"node": "camera", "state": "ready", "after": 0.5}, SECOND)
    story.note({"node": "camera", "log": "a line"}, SECOND)
    story.note({"node": "faces", "stats": {"lost": {"camera": {"overrun": 2}}, "commands": {}}}, SECOND)
    story.note({"node": "view", "stats": {"lost": {"camera": {"overrun": 1, "overtaken": 1}}}}, SECOND)
    assert [event.text for event in story.events] == ["ready after 0.50 s", "a line"]
    assert dict(story.lost_total()) == {"overrun": 3, "overtaken": 1}
    assert story.states == {"camera": "ready"}


def test_the_summary_of_a_graph_without_a_door_names_its_topics():
    teller = Teller().hear("count", Faces(), 1)
    rows = dict(summary_rows(teller.story.summary()))
    assert rows == {"messages": "count 1", "lost on the way": "nothing"}


def test_a_graph_without_a_lock_is_not_told_of_one():
    story = Story({}, start=0, has_truth=True, has_lock=False)
    story.hear("camera", Envelope(1, 1, SECOND, (), Frame(stamp=SECOND, image=IMAGE, scene="owner")), SECOND)
    story.hear("rules.decision", Envelope(1, 1, SECOND, (), Decision(rule="a", outcome="fired", stamp=1)), 1)
    summary = story.summary()
    assert (summary["good"], summary["verdict"], summary["unlocks"]) == (True, "", None)
    rows = dict(summary_rows(summary))
    assert rows["decisions"] == "1, of which 1 fired"
    assert not {"unlocks", "verdict"} & rows.keys()
    locked = Story({}, start=0)
    locked.hear("rules.decision", Envelope(1, 1, SECOND, (), Decision(rule="a", outcome="false", stamp=1)), 1)
    assert dict(summary_rows(locked.summary()))["unlocks"] == "0"


CAMERAS = {"eye": ("eye", "head")}  # a node of a group
GONE = {"node": "head", "log": "0: there is no /dev/video0"}


def watching(state="ready"):
    teller = Teller()
    teller.story = Story({}, 0, cameras=CAMERAS, without="take the demo")
    teller.story.note({"node": "eye", "state": state}, 0)
    return teller


def test_a_camera_that_gives_no_picture_is_told_once_with_what_it_said():
    teller = watching()
    teller.story.note(GONE, 0)
    teller.story.look(SECOND // 2)
    assert teller.texts == ["0: there is no /dev/video0"]
    why = "no picture yet: 0: there is no /dev/video0; take the demo"
    for at in range(1, 9):
        teller.story.look(at * SECOND)
    assert teller.texts[1:] == [why]
    assert teller.story.blind("eye", 9 * SECOND) == why


def test_a_camera_that_gives_no_picture_any_more_is_told_until_one_comes():
    teller = watching()
    for at in (1, 2):
        teller.hear("eye", Frame(image=IMAGE), at * SECOND)
        teller.story.note(GONE, at * SECOND)
    teller.story.look(4 * SECOND)
    assert teller.texts == [GONE["log"]] * 2  # it gives one a second, and may be late
    teller.story.look(6 * SECOND)
    assert teller.texts[2:] == ["no picture for 4 s: 0: there is no /dev/video0; take the demo"]
    teller.hear("eye", Frame(image=IMAGE), 7 * SECOND)
    teller.story.look(60 * SECOND)  # nothing was said since
    assert len(teller.texts) == 3


def test_a_camera_that_does_not_run_is_told_as_a_node_and_not_for_its_pictures():
    teller = watching("waiting")
    teller.story.note(GONE, 0)
    teller.story.look(9 * SECOND)
    assert teller.texts == [GONE["log"]]
    teller.story.note({"node": "eye", "state": "starting"}, 9 * SECOND)
    teller.story.look(11 * SECOND)
    assert teller.texts == [GONE["log"]]  # said by the one that died


def test_another_nodes_word_explains_no_missing_picture():
    teller = watching()
    teller.story.note({"node": "faces", "log": "hello"}, 0)
    teller.story.look(9 * SECOND)
    assert teller.texts == ["hello"]
