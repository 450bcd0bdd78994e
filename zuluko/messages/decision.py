"""What a rule decided, and why."""

from typing import Any, Literal

import msgspec

from zuluko.bus.message import Message

Verdict = Literal["true", "false", "unknown"]
Outcome = Literal["fired", "held", "false", "unknown", "cooldown", "blocked", "ended", "failed"]


class Clause(msgspec.Struct, kw_only=True, frozen=True):
    """One condition of a rule as it stood: its text, its verdict, and the values that it read by name."""

    text: str
    verdict: Verdict
    values: dict[str, Any] = {}


class Decision(Message, tag="Decision/1"):
    """One evaluation of one rule, fired or not; ``stamp`` is that of the evidence it stands on.

    ``outcome``  fired; held (true, but not yet often or long enough, or still true since it fired); false;
                 unknown (evidence missing, too old or out of order); cooldown; blocked (by another rule,
                 or by its own commands that are still to come); ended (false again after it had fired);
                 failed (a command that it had given was not taken, refused or not carried out)
    ``reason``   the same as a sentence
    ``topic``, ``seq``  the message that was evaluated
    ``clauses``  each condition; of a list rule, those of the item that fired or came nearest (``any``), or
                 that is the furthest from it (``all``)
    ``seen``     how many of the last ``of`` evaluations were true, for that item's name
    ``held``     for how long, in seconds, that has been enough
    ``age``      the evidence's age, in seconds, when it was evaluated
    ``since``    the stamp (ns) of the evidence with which it became enough; 0 while it is not
    ``command``  the id of the command that it gave (of several, the first), or empty
    """

    rule: str
    outcome: Outcome
    reason: str = ""
    topic: str = ""
    seq: int = -1
    clauses: tuple[Clause, ...] = ()
    seen: int = 0
    of: int = 1
    held: float = 0.0
    age: float = 0.0
    since: int = 0
    command: str = ""
