"""Topics from outside: what programs besides this graph's nodes publish in its runtime directory."""

from zuluko.bus.message import Message, MessageError, arrays
from zuluko.launch import functions
from zuluko.launch.functions import RunError
from zuluko.launch.graph import Topic
from zuluko.launch.include import Part
from zuluko.launch.options import MISSING


def read(part: Part) -> list[Topic]:
    """The topics that a file declares, `name: module:Class`; what is wrong is told."""
    declared = part.top("topics")
    found = []
    for name, home in {} if declared is MISSING else declared.items():
        try:
            found.append(Topic(part.named(name), "", _type(part, home)))
        except RunError as error:
            part.say(("topics", name), str(error))
    return found


def _type(part: Part, home: str) -> type[Message]:
    kind = functions.attribute(home, part.folder)
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise RunError(f"`{home}` is no message type; expected a class that derives from zuluko.Message")
    try:
        arrays(kind)
    except MessageError as error:
        raise RunError(str(error)) from None
    return kind
