"""Moments as a person writes and reads them: 12:03, 12:03:05.2, an ISO time, -20s."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from zuluko.document import seconds

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?")
_DAY = 86_400_000_000_000


@dataclass(frozen=True)
class Moment:
    """From ``start`` to ``end`` in ns since the epoch: 12:03 is a minute, 12:03:05.2 a tenth of a second."""

    start: int
    end: int


def moment(text: str, now: int) -> Moment:
    """The moment that is meant, seen from ``now`` (ns); a clock time is the last one, today's or yesterday's.

    Raises ValueError with a sentence for what is no time.
    """
    if text.startswith("-"):
        at = now - round(seconds(text[1:]) * 1e9)
        return Moment(at, at)
    if found := _CLOCK.fullmatch(text):
        return _last(found, text, now)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        what = "write 12:03, 12:03:05.2, 2026-01-31T12:03:05 or -20s"
        raise ValueError(f"`{text}` is no time; {what}") from None
    at = round(read.timestamp() * 1e6) * 1000
    return Moment(at, at)


def _last(found: re.Match[str], text: str, now: int) -> Moment:
    hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        raise ValueError(f"`{text}` is no time of a day; write 12:03 or 12:03:05.2")
    today = datetime.fromtimestamp(now / 1e9).astimezone()
    read = today.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=0)
    if read > today:
        read -= timedelta(days=1)
    at = int(read.timestamp()) * 1_000_000_000 + round(float(fraction or 0) * 1e9)
    span = 10 ** (10 - len(fraction)) if fraction else 1_000_000_000 if second else 60_000_000_000
    return Moment(at, at + span)


def clock_time(at: int, now: int) -> str:
    """The local time with tenths of a second, and the date where it is another than today's."""
    tenths = at // 100_000_000  # not rounded, so that it may be asked for as it is shown
    read = datetime.fromtimestamp(tenths // 10)
    day = (
        ""
        if abs(now - at) < _DAY and read.day == datetime.fromtimestamp(now / 1e9).day
        else f"{read:%Y-%m-%d} "
    )
    return f"{day}{read:%H:%M:%S}.{tenths % 10}"
