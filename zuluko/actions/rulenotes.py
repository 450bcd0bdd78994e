"""What is read of a rule file, key by key, while all that is wrong with it is gathered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zuluko.document import Document, Problem, Step


@dataclass
class Notes:
    """A document and what is wrong with it."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: tuple[Step, ...], what: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, what, key=key))

    def given(self, name: str) -> dict[str, Any]:
        """What stands under a rule's name."""
        return self.document.value[name]  # type: ignore[no-any-return]

    def value(self, name: str, key: str, read: Callable[[Any], Any], default: Any) -> Any:
        """One value of a rule, as ``read`` takes it; ``default`` where it is absent or wrong."""
        given = self.given(name)
        if key not in given:
            return default
        try:
            return read(given[key])
        except ValueError as error:
            self.wrong((name, key), f"`{key}`: {error}")
            return default
