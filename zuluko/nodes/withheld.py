"""The withheld node: in a replay it takes the commands of a node that would act on the world, and only says
what they were."""

import sys
from typing import Any

import msgspec

from zuluko.bus.message import Command
from zuluko.bus.streams import Stream

ENVELOPE = ("stamp", "id", "to")  # what every command has


def withheld(commands: Stream[Command]) -> None:
    """Tells each command that is not the same as the one before."""
    before: dict[str, Any] | None = None
    for command in commands:
        told = {
            name: value for name, value in msgspec.structs.asdict(command).items() if name not in ENVELOPE
        }
        if told != before:
            said = ", ".join(f"{name} {value}" for name, value in told.items() if value != "")
            print(f"held back: {said or 'a command'}", file=sys.stderr, flush=True)
        before = told
