"""A rule file that may be edited while its rules run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zuluko.actions.rulefile import RuleSet
from zuluko.document import DocumentError

LOOK = 1.0  # s between two looks at the file

log = logging.getLogger("zuluko.actions")


@dataclass
class RuleSource:
    """The file, and how it is read; raises DocumentError then where it is wrong.

    ``wired``  the rules for which the node's inputs and outputs were made
    """

    file: Path
    read: Callable[[], RuleSet]
    wired: RuleSet
    _seen: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self._state()

    def edited(self) -> RuleSet | None:
        """The new rules, if the file has changed since the last time and they can take the old ones' place;
        what is wrong with them is told, and the old ones stay."""
        state = self._state()
        if state in ((), self._seen):  # an editor may be about to put it back
            return None
        self._seen = state
        try:
            found = self.read()
        except DocumentError as error:
            for problem in error.problems:
                log.error("%s", problem)
            log.error("%s was edited and is wrong: the old rules stay", self.file.name)
            return None
        if news := self._unwired(found):
            log.error(
                "%s was edited and names %s, which this graph did not connect: the old rules stay; "
                "stop the graph and start it again",
                self.file.name,
                ", ".join(f"`{one}`" for one in news),
            )
            return None
        log.info("%s was edited: its new rules decide from now on", self.file.name)
        return found

    def _unwired(self, found: RuleSet) -> list[str]:
        """What the new rules hear or command that the node is not connected with in that way."""
        news = {
            *(set(found.hears) - set(self.wired.hears)),
            *(set(found.levels) - set(self.wired.levels)),
            *(found.commands.keys() - self.wired.commands.keys()),
        }
        return sorted(news)

    def _state(self) -> tuple[int, ...]:
        """What tells one version of the file from another; nothing where there is no file."""
        try:
            stat = self.file.stat()
        except OSError:
            return ()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
