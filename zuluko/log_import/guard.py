"""What a foreign reader runs into in a damaged file, as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zuluko.log_import.source import SourceError


@contextmanager
def guarded(path: Path, what: str, hint: str = "") -> Iterator[None]:
    """Turns whatever another package's reader raises into a SourceError: such readers check little before
    they believe it, and damage shows as almost any exception."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        words = str(error).splitlines() or [type(error).__name__]
        why = words[0].removesuffix(".")[:200]
        raise SourceError(f"{path} cannot be read as {what}: {why}{f'; {hint}' if hint else ''}") from None
