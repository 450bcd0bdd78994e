"""The ledger: what a rules node has still to give, on the disk, so that a node that is started anew goes on.

It lies in the graph's runtime directory, for as long as the graph runs.
"""

import hashlib
import logging
import os
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec.structs import replace

from zuluko.actions import host
from zuluko.actions.plan import Plan
from zuluko.actions.rule import Rule
from zuluko.bus.message import Command

LARGEST = 1 << 20  # bytes

Dated = tuple[int, msgspec.Raw]  # when a command is due (graph time, ns), and its bytes

log = logging.getLogger("zuluko.actions")


class Saved(msgspec.Struct, frozen=True):
    """One firing of a rule that has still something to give; ``shape`` is the rule's as it was then."""

    rule: str
    shape: str
    ends: bool
    waiting: list[Dated]
    whole: list[Dated]


class Ledger:
    """``read`` gives what was kept; ``write`` keeps what has changed since, whole or not at all."""

    def __init__(self) -> None:
        self._path = host.here().kept
        self._kept: list[Saved] = []
        self._failed = False

    def read(self) -> list[Saved]:
        if self._path is None:
            return []
        try:
            with self._path.open("rb") as file:
                self._kept = msgspec.msgpack.decode(file.read(LARGEST), type=list[Saved])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            log.error("what was still to come cannot be read (%s): it is not given", error)
        return self._kept

    def write(self, saved: list[Saved]) -> None:
        if self._path is None or saved == self._kept:
            return
        self._kept, new = saved, self._path.with_suffix(".new")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.msgpack.encode(saved))
            new.replace(self._path)
            self._failed = False
        except OSError as error:
            if not self._failed:
                what = "what is still to come is forgotten if this node is started anew (%s)"
                log.error(what, error.strerror)
            self._failed = True


def save(rule: Rule, plan: Plan) -> Saved:
    """A firing as it is kept."""
    waiting, whole = ([(due, _raw(one)) for due, one in dated] for dated in (plan.commands, plan.whole))
    return Saved(rule.name, shape(rule), plan.ends, waiting, whole)


def restored(rule: Rule, saved: Saved, now: int) -> Plan | None:
    """The firing as it goes on at ``now``: where it was, or, if the rule wants that, from its beginning, with
    ids of its own. None where the rule is another by now."""
    if saved.rule != rule.name or saved.shape != shape(rule) or not saved.whole:
        return None
    kinds: Any = reduce(or_, {one.kind for one in (*rule.do, *rule.else_do, *rule.on_failure)})
    decode = msgspec.msgpack.Decoder(kinds).decode
    whole: list[tuple[int, Command]] = [(due, decode(raw)) for due, raw in saved.whole]
    if rule.on_restart == "restart":
        begun = whole[0][0]
        again = [(now + due - begun, replace(one, id=f"{one.id}-again")) for due, one in whole]
        return Plan(again, saved.ends, tuple(again))
    return Plan([(due, decode(raw)) for due, raw in saved.waiting], saved.ends, tuple(whole))


def shape(rule: Rule) -> str:
    """What tells whether a rule is still the same: all that it commands, and how."""
    parts = (rule.do, rule.else_do, rule.on_failure, rule.mode, rule.most, rule.on_restart)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _raw(command: Command) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(command))
