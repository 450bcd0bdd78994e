"""Which rule goes before which: the keys ``priority`` and ``blocks`` of a rule file."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from zuluko.actions.rule import Rule
from zuluko.actions.rulenotes import Notes
from zuluko.document import Step, nearest


def priority(value: Any) -> int:
    """The value of ``priority``; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"`{value}` must be a whole number; rules of a higher one go first")
    return value


def read(notes: Notes, name: str) -> tuple[str, ...]:
    """The rules that the rule ``name`` blocks; those that are wrong are left out."""
    given = notes.given(name).get("blocks", [])
    places: dict[tuple[Step, ...], Any] = {(name, "blocks"): given}
    if isinstance(given, list):
        places = {(name, "blocks", number): one for number, one in enumerate(given)}
    known = [rule for rule in notes.document.value if rule not in ("params", name)]
    for place, one in places.items():
        if one == name:
            notes.wrong(place, f"`{name}` blocks itself")
        elif one not in known:
            near = nearest(str(one), known) or f"; there is {', '.join(known) or 'none'}"
            notes.wrong(place, f"there is no other rule `{one}`{near}")
    return tuple(str(one) for one in places.values() if one in known)


def needed(rule: str, blocks: Mapping[str, Iterable[str]]) -> set[str]:
    """The rules on which a rule hangs: itself, those that block it, and those that block them. ``blocks``
    says which others each rule blocks."""
    found, new = set[str](), {rule} & blocks.keys()
    while new:
        found |= new
        new = {name for name, blocked in blocks.items() if not found.isdisjoint(blocked)} - found
    return found


def ordered(notes: Notes, rules: Iterable[Rule]) -> list[Rule]:
    """The rules with their priorities: one that blocks others has a higher one than they."""
    found = {rule.name: rule for rule in rules}
    for _ in range(len(found)):
        for rule in list(found.values()):
            blocked = [found[one].priority for one in rule.blocks if one in found]
            if blocked and rule.priority <= max(blocked) and "priority" not in notes.given(rule.name):
                found[rule.name] = replace(rule, priority=max(blocked) + 1)
    for rule in found.values():
        for one in rule.blocks:
            if one in found and rule.priority <= found[one].priority:
                what = f"`{rule.name}` blocks `{one}` and must have a higher `priority` than that"
                hint = "; two rules cannot block each other" if rule.name in found[one].blocks else ""
                notes.wrong((rule.name, "blocks"), f"{what}{hint}", key=True)
    return list(found.values())
