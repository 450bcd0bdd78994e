"""Topic names: what ``/camera/image_raw`` is called here."""

import re
from collections.abc import Iterable, Mapping

from zuluko.bus.topics import TopicError, check_name
from zuluko.document import nearest
from zuluko.log_import.source import Channel, SourceError


def name_of(topic: str) -> str:
    """A topic's name with what our names cannot hold replaced: ``/camera/image_raw`` is
    ``camera.image_raw``."""
    parts = [re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in topic.split("/") if part]
    name = ".".join(parts) or "topic"
    return name if name[0].isalpha() else f"t{name}"


def chosen(channels: list[Channel], topics: Iterable[str], renamed: Mapping[str, str]) -> dict[Channel, str]:
    """The channels to import, of those that become something, each with the name that it gets.

    ``topics`` names some of them, or none for all, and ``renamed`` gives some another name; both know a topic
    by its name there or by ours. Raises SourceError for a name that is unknown, and for two topics that would
    bear the same one.
    """
    for name in (*topics, *renamed):
        if not any(name in (one.topic, name_of(one.topic)) for one in channels):
            known = [one.topic for one in channels]
            raise SourceError(
                f"there is no topic `{name}`{nearest(name, known) or '; there are: ' + ', '.join(known)}"
            )
    found: dict[Channel, str] = {}
    for one in channels:
        ours = name_of(one.topic)
        if one.becomes is not None and (not (wanted := set(topics)) or wanted & {one.topic, ours}):
            found[one] = _checked(renamed.get(one.topic) or renamed.get(ours) or ours)
    for name in found.values():
        sharing = [one for one, other in found.items() if other == name]
        if len(sharing) > 1:
            raise SourceError(_clash(name, *sharing[:2]))
    return found


def _clash(name: str, one: Channel, other: Channel) -> str:
    if one.topic == other.topic:
        what = f"{one.topic} has messages of {one.kind} and of {other.kind}, and a topic here has one type"
        return f"{what}; leave it out: name the others with --topic"
    who = f"{one.topic} ({one.kind}) and {other.topic} ({other.kind})"
    return f"{who} would both be `{name}`; leave one out, or give --rename {other.topic}=another"


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except TopicError as error:
        raise SourceError(str(error)) from None
