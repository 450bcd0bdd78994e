"""What is to be plotted: a panel for each field that was named."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zuluko.bus.log_writer import LogError
from zuluko.document import nearest
from zuluko.log_export import plain_json
from zuluko.log_export.flat import flat, name, within
from zuluko.log_export.part import Part
from zuluko.log_plot.series import Line, States, number

MOST_LINES = 12  # in a panel
LOOKED_AT = 50  # messages of a topic whose fields are known by name


@dataclass
class Panel:
    """One field, or the numbers of a group of fields.

    ``title``  as it was named, with its topic
    ``told``   what the type says of it, its unit first; often empty
    ``lines``  by the rest of the name: x, y and z of ``imu.angular_velocity``; empty of one field
    ``states`` of a field that is no number
    """

    title: str
    topic: str
    steps: list[str]
    told: str = ""
    lines: dict[str, Line] = field(default_factory=dict)
    states: States | None = None
    left_out: set[str] = field(default_factory=set)


def panels(part: Part, named: Iterable[str], columns: int) -> list[Panel]:
    """Reads the fields that were named, in so many columns; raises LogError for one that is nowhere."""
    found = [_panel(part, text) for text in named]
    by_topic: dict[str, list[Panel]] = {}
    for panel in found:
        by_topic.setdefault(panel.topic, []).append(panel)
    known: dict[str, set[str]] = {topic: set() for topic in by_topic}
    looked = dict.fromkeys(by_topic, 0)
    for item in part.of(by_topic):
        looked[item.topic] += 1
        if looked[item.topic] <= LOOKED_AT:
            known[item.topic] |= _names(item.body)
        for panel in by_topic[item.topic]:
            _add(panel, part, item.received, item.body, columns)
    for panel in found:
        if not panel.steps or not (panel.lines or panel.states):
            raise LogError(_nothing(part, panel, known[panel.topic]))
    return found


def _panel(part: Part, text: str) -> Panel:
    """The topic and the field that a name means: a topic's own name may have dots."""
    reader = part.reader
    fitting = [topic for topic in reader.topics if text == topic or text.startswith(f"{topic}.")]
    if not fitting:
        known = nearest(text.partition(".")[0], reader.topics)
        what = known or f"; it has: {', '.join(reader.topics) or 'nothing'}"
        raise LogError(f"{reader.path} has no topic that `{text}` begins with{what}")
    topic = max(fitting, key=len)
    steps = [step for step in text[len(topic) + 1 :].split(".") if step]
    return Panel(text, topic, steps, _told(part, topic, steps))


def _told(part: Part, topic: str, steps: list[str]) -> str:
    """What a type's schema says of a field, or of the group that it is in."""
    schema = plain_json.plain(part.schema(topic))
    said = ""
    for step in steps:
        schema = schema.get("items", {}) if step.isdecimal() else schema.get("properties", {}).get(step, {})
        said = schema.get("description") or said
    return (said.strip().splitlines() or [""])[0].replace("``", "")


def _add(panel: Panel, part: Part, time: int, body: dict[str, Any], columns: int) -> None:
    """Takes a message's values into a panel; a line without one has a gap there."""
    prefix = len(".".join(panel.steps))
    values = {name(path)[prefix:].lstrip("."): value for path, value in within(body, panel.steps)}
    if "" in values and (panel.states or isinstance(values[""], str | bool)):
        panel.states = panel.states or States()
        panel.states.add(time, values[""])
        return
    numbers = {rest: number(value) for rest, value in values.items()}
    for rest, value in numbers.items():
        if value is not None and rest not in panel.lines:
            if len(panel.lines) < MOST_LINES:
                panel.lines[rest] = Line(part.start, part.end, columns)
            else:
                panel.left_out.add(rest)
    for rest, line in panel.lines.items():
        line.add(time, numbers.get(rest))


def _names(body: dict[str, Any]) -> set[str]:
    """The fields of a message by name, and the groups that they are in."""
    return {name(path[:length]) for path, _ in flat(body) for length in range(1, len(path) + 1)}


def _nothing(part: Part, panel: Panel, known: set[str]) -> str:
    """Why a panel is empty, and what to name instead."""
    topic, path = panel.topic, part.reader.path
    if not known:
        return f"{path}: nothing was said on {topic} in this time"
    field = ".".join(panel.steps)
    inner = [one for one in known if one.startswith(f"{field}." if field else "")]
    there = ", ".join(f"{topic}.{one}" for one in sorted(inner) if one.count(".") == len(panel.steps))
    if not field:
        return f"{topic} is a topic; name a field of it: {there}"
    if inner:
        return f"{panel.title} holds no numbers; name a field of it: {there}"
    if field in known:
        return f"{panel.title} is never a number, nor a word, in this time"
    names = [f"{topic}.{one}" for one in known]
    suggestion = nearest(panel.title, names) or f"; there are: {', '.join(sorted(names))}"
    return f"{path}: no message has `{panel.title}`{suggestion}"
