"""What a rule commands: the keys ``do``, ``else_do``, ``mode`` and ``max`` of a rule file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

from zuluko.actions import command
from zuluko.actions.rule import Action, Condition, Gate, Mode, OnRestart
from zuluko.actions.rulenotes import Notes
from zuluko.bus.message import Command
from zuluko.document import Step, nearest, seconds

Actuators = Mapping[str, type[Command]]
Judges = Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, str]]]
"""By actuator, what tells by field what is wrong with a command that its type allows."""

DELAY, UNTIL, WITHIN = "delay", "until", "within"
STEP_KEYS = {DELAY, UNTIL, WITHIN}  # what is no actuator in a step
MODES: tuple[Mode, ...] = get_args(Mode)
RESTARTS: tuple[OnRestart, ...] = get_args(OnRestart)
MOST = 100  # firings whose commands may still be to come
USUAL = 10


def read(notes: Notes, name: str, key: str, actuators: Actuators, judges: Judges) -> tuple[Action, ...]:
    """The commands under a key, in their order; of a list, ``delay`` counts from the command before, or from
    the gate."""
    given = notes.given(name).get(key, {})
    if isinstance(given, dict):
        return tuple(_together(notes, (name, key), given, actuators, judges))
    if not isinstance(given, list):
        what = f"`{key}` must name an actuator and its command: `{key}: {{lock: {{open_for: 5s}}}}`"
        notes.wrong((name, key), what)
        return ()
    found: list[Action] = []
    after, stage = 0.0, 0
    for number, step in enumerate(given):
        path = (name, key, number)
        if not isinstance(step, dict) or not step.keys() - STEP_KEYS:
            notes.wrong(path, f"a step of `{key}` must name an actuator: `- {{lock: {{open_for: 5s}}}}`")
            continue
        try:
            after += seconds(step.get(DELAY, "0s"))
        except ValueError as error:
            notes.wrong((*path, DELAY), f"`{DELAY}`: {error}")
        named = {actuator: fields for actuator, fields in step.items() if actuator not in STEP_KEYS}
        found += [
            replace(one, delay=after, stage=stage) for one in _together(notes, path, named, actuators, judges)
        ]
        if UNTIL in step:
            after, stage = 0.0, stage + 1
    return tuple(found)


def gates(
    notes: Notes, name: str, clause: Callable[[tuple[Step, ...], Any], Condition | None]
) -> tuple[Gate, ...]:
    """What must become true before the next step of ``do``; ``clause`` reads that."""
    given = notes.given(name)
    found: list[Gate] = []
    for key in ("do", "else_do", "on_failure"):
        listed = given.get(key)
        steps = listed if isinstance(listed, list) else []
        for number, step in enumerate(steps):
            if not isinstance(step, dict):
                continue
            path = (name, key, number)
            if key != "do" and (misplaced := step.keys() & {UNTIL, WITHIN}):
                notes.wrong((*path, min(misplaced)), f"`{min(misplaced)}` is for steps of `do`", key=True)
            elif UNTIL in step:
                found += _gate(notes, path, step, clause, last=number == len(steps) - 1)
            elif WITHIN in step:
                notes.wrong((*path, WITHIN), f"`{WITHIN}` in a step needs `{UNTIL}`", key=True)
    if found and "on_restart" in given:
        what = "`on_restart` and `until` exclude each other: what a gate waits for is not kept"
        notes.wrong((name, "on_restart"), what, key=True)
    return tuple(found)


def _gate(
    notes: Notes,
    path: tuple[Step, ...],
    step: Mapping[str, Any],
    clause: Callable[[tuple[Step, ...], Any], Condition | None],
    *,
    last: bool,
) -> Iterator[Gate]:
    if last:
        what = f"nothing comes after the last step, for which `{UNTIL}` could wait"
        notes.wrong((*path, UNTIL), what, key=True)
    condition = clause((*path, UNTIL), step[UNTIL])
    if WITHIN not in step:
        what = f"a step with `{UNTIL}` needs `{WITHIN}`, the longest that it may take: `{WITHIN}: 5s`"
        notes.wrong((*path, UNTIL), what, key=True)
        return
    try:
        within = seconds(step[WITHIN])
    except ValueError as error:
        notes.wrong((*path, WITHIN), f"`{WITHIN}`: {error}")
        return
    if condition:
        yield Gate(condition, within)


def mode(notes: Notes, name: str) -> tuple[Mode, int]:
    """What a firing does while commands of the last one are still to come, and how many there may be."""
    chosen: Mode = notes.value(name, "mode", _mode, "single")
    several = chosen in ("queued", "parallel")
    if "max" in notes.given(name) and not several:
        what = f"`max` is for `mode: queued` and `mode: parallel`, not for `{chosen}`"
        notes.wrong((name, "max"), what, key=True)
    return chosen, notes.value(name, "max", _most, USUAL) if several else 1


def on_restart(notes: Notes, name: str) -> OnRestart:
    """What becomes of the commands that are still to come when the node is started anew."""
    given = notes.given(name)
    steps = [given.get(key) for key in ("do", "else_do", "on_failure")]
    listed = [step for one in steps if isinstance(one, list) for step in one if isinstance(step, dict)]
    delays = any(DELAY in step for step in listed)
    if "on_restart" in given and not delays:
        what = f"`on_restart` is for commands that are still to come, and none has a `{DELAY}`"
        notes.wrong((name, "on_restart"), what, key=True)
    chosen: OnRestart = notes.value(name, "on_restart", _on_restart, "cancel")
    return chosen


def _on_restart(value: Any) -> OnRestart:
    if value not in RESTARTS:
        raise ValueError(f"`{value}` is none{nearest(str(value), RESTARTS)}; there are {', '.join(RESTARTS)}")
    return value  # type: ignore[no-any-return]


def _mode(value: Any) -> Mode:
    if value not in MODES:
        raise ValueError(f"`{value}` is none{nearest(str(value), MODES)}; there are {', '.join(MODES)}")
    return value  # type: ignore[no-any-return]


def _most(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= MOST:
        raise ValueError(f"`{value}` must be a whole number from 2 to {MOST}")
    return value


def _together(
    notes: Notes, path: tuple[Step, ...], given: Mapping[str, Any], actuators: Actuators, judges: Judges
) -> Iterator[Action]:
    for actuator, fields in given.items():
        yield from _action(notes, (*path, actuator), fields, actuators, judges)


def _action(
    notes: Notes, path: tuple[Step, ...], given: Any, actuators: Actuators, judges: Judges
) -> Iterator[Action]:
    actuator = str(path[-1])
    kind = actuators.get(actuator)
    if kind is None:
        known = ", ".join(sorted(actuators)) or "none"
        near = nearest(actuator, actuators) or f"; there is {known}"
        notes.wrong(path, f"there is no actuator `{actuator}`{near}", key=True)
    elif not isinstance(given, dict):
        what = f"a command to `{actuator}` is its fields: {', '.join(command.fields_of(kind))}"
        notes.wrong(path, f"{what}, as in `{actuator}: {{field: value}}`")
    else:
        fields, wrong = command.read(kind, given, rule=str(path[0]))
        if not wrong and actuator in judges:
            wrong = dict(judges[actuator](fields))
        for key, what in wrong.items():
            notes.wrong((*path, key) if key else path, what, key=True)
        yield Action(actuator, kind, fields)
