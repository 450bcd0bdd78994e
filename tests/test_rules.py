"""The rules node over plain lists: messages and time in, decisions and commands out."""

from typing import Any

from zuluko.actions.rulefile import check
from zuluko.actions.rules import rules
from zuluko.bus.message import Message
from zuluko.bus.streams import Latest, Stream
from zuluko.document import parse
from zuluko.messages import Decision, Face, Faces, LockCommand, LockState

MS = 1_000_000
START = 1_700_000_000_000
TOPICS: dict[str, Any] = {"faces": Faces, "lock": LockState}
DOOR = """
unlock:
  when: faces
  any: items
  if: [item.name != "", lock.state == "locked"]
  seen: 3 of 5
  for: 200ms
  max_age: 500ms
  do: {lock: {open_for: 3s}}
"""


def faces(*names: str, at: int) -> Faces:
    points = ((0.0, 0.0),) * 5
    items = [Face(box=(0.0, 0.0, 9.0, 9.0), landmarks=points, score=0.9, name=name) for name in names]
    return Faces(stamp=(START + at) * MS, items=tuple(items))


def run(text: str, events: list[Message] | Stream[Any], **levels: Latest[Any]) -> list[Any]:
    ruleset = check(parse(text, file="door.yaml"), topics=TOPICS, actuators={"lock": LockCommand})
    stream = events if isinstance(events, Stream) else Stream(events, topic="faces")
    return list(rules(stream, levels, ruleset=ruleset))


def fired(said: list[Any]) -> list[Decision]:
    return [one for one in said if isinstance(one, Decision) and one.outcome == "fired"]


def test_the_owner_opens_the_door_and_a_stranger_does_not():
    said = run(DOOR, [faces("", at=66 * n) for n in range(10)], lock=Latest(LockState(state="locked")))
    assert [one.outcome for one in said] == ["false"] * 10
    said = run(DOOR, [faces("ana", at=66 * n) for n in range(10)], lock=Latest(LockState(state="locked")))
    (command,) = [one for one in said if isinstance(one, LockCommand)]
    (decision,) = fired(said)
    assert said.index(command) == said.index(decision) + 1
    assert (command.to, command.open_for, command.reason) == ("lock", 3.0, "unlock")
    assert decision.command == command.id
    assert [one.seq for one in said if isinstance(one, Decision)] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]


def test_for_ends_between_two_messages_and_after_the_last():
    locked = Latest(LockState(state="locked"))
    for events in ([*range(0, 200, 66), 900], range(0, 200, 66)):
        said = run(DOOR, [faces("ana", at=at) for at in events], lock=locked)
        (decision,) = fired(said)
        assert decision.stamp == (START + 198) * MS
        assert decision.age == (132 + 200 - 198) / 1000


def test_evidence_that_stops_coming_opens_nothing():
    said = run(DOOR.replace("200ms", "700ms"), [faces("ana", at=at) for at in (0, 66, 132)], lock=Latest())
    assert not fired(said)
    said = run(
        DOOR.replace("200ms", "700ms"),
        [faces("ana", at=at) for at in (0, 66, 132)],
        lock=Latest(LockState(state="locked")),
    )
    assert (said[-1].outcome, said[-1].reason) == ("unknown", "evidence is 0.7 s old, at most 0.5")


def test_without_the_lock_nothing_opens():
    said = run(DOOR, [faces("ana", at=66 * n) for n in range(10)])
    assert {one.outcome for one in said} == {"unknown"}
    assert said[0].reason == 'clause `lock.state == "locked"` is unknown (lock has not been heard)'


def test_a_level_ages_against_the_stream_that_drives():
    events = Stream([faces("ana", at=1000 * n) for n in range(6)], topic="faces")
    lock = Latest(LockState(stamp=START * MS, state="locked"), driver=events)
    said = run("a: {when: faces, if: [lock.state == 'locked']}", events, lock=lock)
    assert [one.outcome for one in said] == ["fired", "held", "held", "held", "unknown", "unknown"]


def test_a_list_that_names_no_topic_is_the_one_that_triggers():
    said = run("a: {when: faces, if: [size(faces.items) == 1]}", Stream([faces("ana", at=0)]))
    assert [(one.outcome, one.topic) for one in said] == [("fired", "faces")]


def test_two_rules_nodes_with_one_file_never_give_the_same_id():
    ids = []
    for name in ("front", "back"):
        ruleset = check(parse(DOOR, file="d"), topics=TOPICS, actuators={"lock": LockCommand}, name=name)
        events = Stream([faces("ana", at=66 * n) for n in range(10)], topic="faces")
        said = rules(events, {"lock": Latest(LockState(state="locked"))}, ruleset=ruleset)
        ids += [one.id for one in said if isinstance(one, LockCommand)]
    assert len(ids) == len(set(ids)) == 2
    assert ids[0].startswith("front.unlock-")


def test_nothing_is_said_of_nothing():
    assert run(DOOR, []) == []
