"""Tables of numbers in text: their lines, and the times in them, exact to the nanosecond."""

import csv
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from zuluko.log_import.source import SourceError

LONGEST_LINE = 1 << 16  # bytes
UNITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # of time: how many digits a nanosecond is below one
LATEST = 1 << 63  # ns


class Row(NamedTuple):
    """A line of a table: its file and number, and what stands in it."""

    path: Path
    line: int
    cells: list[str]

    def number(self, column: int) -> float:
        try:
            return float(self.cells[column])
        except (ValueError, IndexError):
            raise self.fault(f"`{self.text(column)}` is no number") from None

    def numbers(self, first: int, count: int) -> list[float]:
        return [self.number(column) for column in range(first, first + count)]

    def time(self, column: int, unit: str) -> int:
        """A time in ns, none of its digits lost."""
        try:
            read = Decimal(self.cells[column])
            at = int(read.scaleb(UNITS[unit])) if read.is_finite() and read.adjusted() < 20 else -1
        except (InvalidOperation, IndexError):
            at = -1
        if not 0 <= at < LATEST:
            raise self.fault(f"`{self.text(column)}` is no time in {unit}")
        return at

    def text(self, column: int) -> str:
        return self.cells[column].strip()[:60] if column < len(self.cells) else ""

    def fault(self, what: str) -> SourceError:
        return SourceError(f"{self.path}:{self.line}: {what}")


def rows(path: Path, *, comments: bool = False) -> Iterator[Row]:
    """The lines of a table, in cells between commas, semicolons, tabs or spaces, whichever its first line
    has; empty lines are left out and, unless asked for, those that begin with ``#``."""
    separator = ""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise SourceError(
                        f"{path}:{number}: a line of more than {LONGEST_LINE >> 10} KB; is it text?"
                    )
                text = line.decode("utf-8-sig").strip()
                if not text or (text.startswith("#") and not comments):
                    continue
                if text.startswith("#"):
                    yield Row(path, number, _cells(text, _separator(text)))
                    continue
                separator = separator or _separator(text)
                yield Row(path, number, _cells(text, separator))
    except UnicodeDecodeError:
        raise SourceError(f"{path}:{number}: this is no text in UTF-8") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None


def _separator(text: str) -> str:
    return next((one for one in ",;\t" if one in text), " ")


def _cells(text: str, separator: str) -> list[str]:
    if separator == " ":
        return text.split()
    return [cell.strip() for cell in next(csv.reader([text], delimiter=separator), [])]
