"""Zuluko: sensors, perception and rules as light processes on small boards.

Everything that a user's own node needs is importable from here; each name is loaded when first used,
so that ``import zuluko`` alone costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zuluko.actions.decorator import rule
    from zuluko.bus.frames import empty
    from zuluko.bus.message import Array, Command, Message
    from zuluko.bus.streams import Latest, Stream, Tick
    from zuluko.bus.synced import Synced
    from zuluko.log import read, record

__version__ = "0.1.0"
__all__ = [
    "Array",
    "Command",
    "Latest",
    "Message",
    "Stream",
    "Synced",
    "Tick",
    "empty",
    "read",
    "record",
    "rule",
]

_HOMES = {
    "Array": "zuluko.bus.message",
    "Command": "zuluko.bus.message",
    "Message": "zuluko.bus.message",
    "Latest": "zuluko.bus.streams",
    "Stream": "zuluko.bus.streams",
    "Synced": "zuluko.bus.synced",
    "Tick": "zuluko.bus.streams",
    "empty": "zuluko.bus.frames",
    "read": "zuluko.log",
    "record": "zuluko.log",
    "rule": "zuluko.actions.decorator",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zuluko' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
