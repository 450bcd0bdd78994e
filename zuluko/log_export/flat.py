"""A message as plain values with names: ``angular_velocity.z``, ``items.0.similarity``, ``image.shape``."""

from collections.abc import Iterator
from typing import Any

from zuluko.bus.wire import WireError, from_inline

LONGEST = 64  # items of a list that have names; of a longer one the first of them
DEEPEST = 12  # maps and lists within each other

Path = tuple[str | int, ...]
Value = bool | int | float | str | None


def flat(body: dict[str, Any]) -> Iterator[tuple[Path, Value]]:
    """The values of a message's body, each with the path that leads to it.

    Of a list that is empty, or of anything but numbers and lists of them, ``length`` is told as well. An
    array tells its ``shape`` (480x640x3), one of up to 64 numbers in a row the numbers.
    """
    for name, value in body.items():
        if name != "type":
            yield from _flat((str(name),), value)


def within(body: dict[str, Any], steps: list[str]) -> Iterator[tuple[Path, Value]]:
    """The values of ``flat`` whose names begin with some steps; of any list the ``length``, too."""
    yield from _within((), body, steps)


def _within(path: Path, value: Any, steps: list[str]) -> Iterator[tuple[Path, Value]]:
    if not steps:
        yield from _flat(path, value)
    elif isinstance(value, dict) and {"dtype", "shape"} <= value.keys():
        for inner, one in _array(path, value):
            if [*map(str, inner[len(path) :])][: len(steps)] == steps:
                yield inner, one
    elif isinstance(value, dict):
        for count in range(len(steps), 0, -1):  # a name may have dots in it
            if (key := ".".join(steps[:count])) in value:
                yield from _within((*path, key), value[key], steps[count:])
                return
    elif isinstance(value, list) and steps == ["length"]:
        yield (*path, "length"), len(value)
    elif isinstance(value, list) and steps[0].isdecimal() and int(steps[0][:9]) < len(value):
        index = int(steps[0][:9])
        yield from _within((*path, index), value[index], steps[1:])


def _flat(path: Path, value: Any) -> Iterator[tuple[Path, Value]]:
    if isinstance(value, dict):
        if {"dtype", "shape"} <= value.keys():
            yield from _array(path, value)
        elif len(path) < DEEPEST:
            for name, inner in value.items():
                yield from _flat((*path, str(name)), inner)
    elif isinstance(value, list | tuple):
        yield from _list(path, value)
    else:
        yield path, value if isinstance(value, bool | int | float | str | None) else _told(value)


def _list(path: Path, items: Any) -> Iterator[tuple[Path, Value]]:
    if not items or not all(isinstance(one, int | float | list | tuple) for one in items):
        yield (*path, "length"), len(items)
    if len(path) < DEEPEST:
        for index, one in enumerate(items[:LONGEST]):
            yield from _flat((*path, index), one)


def _array(path: Path, form: dict[str, Any]) -> Iterator[tuple[Path, Value]]:
    shape = form["shape"]
    if isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int) and shape[0] <= LONGEST:
        try:
            numbers = from_inline(form).tolist()
        except WireError:
            numbers = None
        if numbers and not isinstance(numbers[0], complex):
            yield from _list(path, numbers)
            return
    yield (*path, "shape"), "x".join(map(str, shape)) if isinstance(shape, list) else None


def _told(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)[:1000]


def name(path: Path) -> str:
    """A path as it is written: ``items.0.similarity``."""
    return ".".join(map(str, path))
