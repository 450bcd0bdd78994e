"""What triggers a rule: the keys ``when`` and ``if_silent`` of a rule file."""

from collections.abc import Iterable
from dataclasses import dataclass

from zuluko.actions.rule import EVERY, START
from zuluko.actions.rulenotes import Notes
from zuluko.document import Step, nearest, seconds

SHORTEST = 0.01  # s between two ticks, and of a silence


@dataclass(frozen=True)
class When:
    """The triggers of a rule as it names them, or the topic that must be silent and for how long (s)."""

    triggers: tuple[str, ...] = ()
    silence: float = 0.0


def read(notes: Notes, name: str, topics: Iterable[str]) -> When:
    """The triggers of the rule ``name``; those that are wrong are left out."""
    given, known = notes.given(name), sorted(topics)
    if "if_silent" in given:
        if "when" in given:
            what = "`when` and `if_silent` exclude each other; make two rules"
            notes.wrong((name, "when"), what, key=True)
        return _silence(notes, name, known)
    when = given.get("when")
    if when is None:
        what = f"`{name}` needs `when:`, the topic that triggers it: {_words(known)}"
        notes.wrong((name,), what, key=True)
        return When()
    if isinstance(when, list) and when and all(isinstance(one, str) for one in when):
        named: dict[tuple[Step, ...], str] = {(name, "when", at): one for at, one in enumerate(when)}
    elif isinstance(when, str):
        named = {(name, "when"): when}
    else:
        what = f"`when` must be one topic or a list of topics: {_words(known)}"
        notes.wrong((name, "when"), f"{what}; `every 10s` and `start` may stand there as well")
        return When()
    found: list[str] = []
    for place, one in named.items():
        if wrong := _wrong(one, known) or (f"`{one}` is named twice" if one in found else ""):
            notes.wrong(place, wrong)
        else:
            found.append(one)
    return When(tuple(found))


def _wrong(trigger: str, known: list[str]) -> str:
    """What is wrong with one trigger, or nothing."""
    if trigger == START and START in known:
        return "`start` is a topic here and the node's start as well; give the topic another name"
    if trigger in known or trigger == START:
        return ""
    if trigger.startswith(EVERY):
        try:
            period = seconds(trigger.removeprefix(EVERY).strip())
        except ValueError as error:
            return str(error)
        return (
            ""
            if period >= SHORTEST
            else f"`{trigger}` is too often; a timer takes {SHORTEST * 1e3:g}ms or more"
        )
    near = nearest(trigger, [*known, START]) or f"; there is {_words(known)}"
    if trigger.startswith("every"):
        near = "; a timer is written every 10s"
    return f"there is no topic `{trigger}`{near}"


def _silence(notes: Notes, name: str, known: list[str]) -> When:
    given, path = notes.given(name)["if_silent"], (name, "if_silent")
    if not isinstance(given, dict) or len(given) != 1:
        notes.wrong(path, "`if_silent` must name one topic and for how long: `if_silent: {front: 500ms}`")
        return When()
    ((topic, text),) = given.items()
    if topic not in known:
        near = nearest(topic, known) or f"; there is {_words(known)}"
        notes.wrong((*path, topic), f"there is no topic `{topic}`{near}", key=True)
        return When()
    try:
        silence = seconds(text)
    except ValueError as error:
        notes.wrong((*path, topic), str(error))
        return When((topic,), 1.0)
    if silence < SHORTEST:
        notes.wrong((*path, topic), f"a silence takes {SHORTEST * 1e3:g}ms or more")
    return When((topic,), max(silence, SHORTEST))


def _words(known: list[str]) -> str:
    return ", ".join(known) or "none"
