"""Failures: whether what a node tells of a command says that it was not carried out."""

import re

from zuluko.bus.message import Message

_FAILED = re.compile(r".*, but it did not ", re.DOTALL)  # of states without an outcome


def failure(message: Message) -> str:
    """What has become of the command that a message names, as what a sentence about it ends with, where it
    has failed; else nothing. A Delivery and the states of most actuators have an ``outcome``; a lock's and a
    drive's say it in their ``reason``."""
    outcome, reason = getattr(message, "outcome", None), getattr(message, "reason", "")
    if outcome in ("failed", "refused"):
        return f"{'was ' * (outcome == 'refused')}{outcome}: {reason}"
    if outcome is not None:
        return ""
    return (
        f"was {reason}"
        if reason.startswith("refused: ")
        else f"failed: {reason}" * bool(_FAILED.match(reason))
    )
