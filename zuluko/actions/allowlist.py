"""What a run node may run: commands whose every item the launch file gives, or limits by a pattern."""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zuluko.document import Fault, nearest

LONGEST_VALUE = 256  # characters
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class AllowList:
    """``programs`` gives by name the items of each command; an item ``{word}`` is a placeholder, for a value
    that matches the pattern of that name as a whole."""

    programs: Mapping[str, Sequence[str]]
    patterns: Mapping[str, str]

    def filled(self, name: str, values: Mapping[str, str]) -> list[str]:
        """The command of a name with values for its placeholders; raises ValueError with why not."""
        if name not in self.programs:
            near = nearest(name, self.programs) or f"; there is {', '.join(self.programs) or 'none'}"
            raise ValueError(f"there is no program `{name}`{near}")
        wanted = placeholders(self.programs[name])
        for given in values:
            if given not in wanted:
                raise ValueError(f"`{name}` has no placeholder `{given}`{nearest(given, wanted)}")
        return [self._item(item, values) for item in self.programs[name]]

    def _item(self, item: str, values: Mapping[str, str]) -> str:
        found = _PLACEHOLDER.fullmatch(item)
        if not found:
            return item
        word = found[1]
        if word not in values:
            raise ValueError(f"`{word}` is not given")
        value, pattern = values[word], self.patterns[word]
        if len(value) > LONGEST_VALUE or not re.fullmatch(pattern, value):
            raise ValueError(f"`{word}` must match `{pattern}`, in at most {LONGEST_VALUE} characters")
        if value.startswith("-") or "\0" in value:
            raise ValueError(f"`{word}` must not begin with `-`: it could be an option")
        return value

    def faults(self) -> Iterator[Fault]:
        """What is wrong with it, without anything being run."""
        for name, pattern in self.patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                yield Fault("patterns", f"`{name}` is no pattern: {error}")
        for name, items in self.programs.items():
            yield from self._faults(name, items)

    def _faults(self, name: str, items: Sequence[str]) -> Iterator[Fault]:
        if not items or not items[0].startswith("/"):
            yield Fault(
                "programs", f"`{name}` must begin with a program's whole path, such as /usr/bin/aplay"
            )
            return
        for word in placeholders(items):
            if word not in self.patterns:
                what = f"`{name}` has a placeholder `{{{word}}}` without a pattern"
                yield Fault("programs", f"{what}; try `patterns: {{{word}: '[a-z]+'}}`")
        for item in items:
            for found in _PLACEHOLDER.finditer(item):
                if found[1] in self.patterns and found[0] != item:
                    yield Fault("programs", f"`{name}`: `{item}` must be a placeholder as a whole, or none")
        if wrong := _wrong(Path(items[0])):
            yield Fault("programs", f"`{name}`: {wrong}", passing=True)


def placeholders(items: Sequence[str]) -> list[str]:
    return [found[1] for item in items[1:] if (found := _PLACEHOLDER.fullmatch(item))]


def _wrong(program: Path) -> str:
    """Why a program cannot be run, or should not be."""
    try:
        about = program.stat()
    except OSError as error:
        return f"{program}: {error.strerror}"
    if not stat.S_ISREG(about.st_mode) or not os.access(program, os.X_OK):
        return f"{program} cannot be executed"
    return f"{program} can be changed by everybody; run: chmod o-w {program}" if about.st_mode & 0o002 else ""
