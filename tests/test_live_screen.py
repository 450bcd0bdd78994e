"""The live view in a terminal: what it draws of a story."""

from types import SimpleNamespace

from rich.console import Console

from zuluko.launch.live_screen import LiveScreen
from zuluko.launch.story import Story


def drawn(story, width, topics=()):
    screen = LiveScreen(SimpleNamespace(name="porch", topics=topics), story)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(screen._panel())
    return captured.get()


def test_nodes_that_want_looking_at_stand_first_and_the_others_together():
    story = Story({}, start=0)
    for name in ("light", "lock", "night", "dusk"):
        story.note({"node": name, "state": "ready"}, 0)
    story.note({"node": "night", "state": "off", "reason": "its `when` does not hold"}, 0)
    story.note({"node": "dusk", "state": "failing", "reason": "died (exit status 1)"}, 0)
    rows = [row.strip("│ \n") for row in drawn(story, 60).splitlines()[1:-1]]
    assert rows == [
        "nodes     dusk: failing (died (exit status 1))",
        "night: off (its `when` does not hold)",
        "light, lock: ready",
    ]


def test_a_narrow_terminal_parts_no_node_from_its_neighbours_state():
    story = Story({}, start=0)
    for number in range(40):
        story.note({"node": f"node{number}", "state": "ready"}, 0)
    text = drawn(story, 40)
    assert text.count("ready") == 1
    assert all(len(row) <= 40 for row in text.splitlines())


def test_a_camera_without_a_picture_stands_before_all_else():
    story = Story({}, start=0, cameras={"eye": ("eye", "eye")})
    story.note({"node": "eye", "state": "ready"}, 0)
    story.note({"node": "eye", "log": "0: there is no /dev/video0"}, 0)
    rows = drawn(story, 80, [SimpleNamespace(name="eye", node="eye")]).splitlines()
    assert "eye       no picture yet: 0: there is no /dev/video0" in rows[1]
    assert "nodes     eye: ready" in rows[2]
