"""``zuluko log import``: a ROS bag, a EuRoC or TUM folder or an IMU's table, as a log."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from zuluko.cli.progress import over
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.log_import.importing import Imported
    from zuluko.log_import.source import Channel

In = Annotated[
    Path, typer.Argument(help="a ROS bag, a EuRoC or TUM folder, an IMU's table in CSV", metavar="IN")
]
Out = Annotated[Path, typer.Argument(help="the log to write", metavar="OUT.mcap")]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", "-t", help="a topic, as it is called there; again for another")
]
Renames = Annotated[
    list[str] | None,
    typer.Option("--rename", help="another name for a topic: /camera/image_raw=camera", metavar="A=B"),
]
Images = Annotated[str, typer.Option(help="pictures that are no JPEG yet: as they are (raw), or as jpeg")]
Quality = Annotated[int, typer.Option(help="of the JPEG", min=1, max=100)]
Time = Annotated[str, typer.Option("--time", help="of a table: the unit of its times", metavar="s|ms|us|ns")]
Gyro = Annotated[str, typer.Option(help="of a table: its unit of angular velocity", metavar="rad/s|deg/s")]
Accel = Annotated[str, typer.Option(help="of a table: its unit of acceleration", metavar="m/s2|g")]


def import_(  # noqa: PLR0917
    source: In,
    out: Out,
    topics: Topics = None,
    rename: Renames = None,
    images: Images = "raw",
    quality: Quality = 90,
    time_: Time = "",
    gyro: Gyro = "",
    accel: Accel = "",
) -> None:
    """Write a ROS bag, a EuRoC or TUM folder or an IMU's table as a log of standard messages."""
    from zuluko.bus.log_writer import LogError
    from zuluko.log_import import importing, names, recognised
    from zuluko.log_import.imu_table import Units
    from zuluko.log_import.source import SourceError

    if images not in ("raw", "jpeg"):
        fail(f"--images {images}: write raw or jpeg", 2)
    units = Units(*(_unit(*given) for given in (("time", time_), ("gyro", gyro), ("accel", accel))))
    if out.exists():
        fail(f"{out} exists already; choose another name, or remove it")
    try:
        with closing(recognised.source(source, units)) as opened, _stops():
            chosen = names.chosen(opened.channels, topics or [], _renames(rename or []))
            if not chosen:
                wanted = [one for one in opened.channels if not one.becomes]
                fail(f"{source} has nothing there that can be imported{_what_is_there(wanted)}")
            progress = _Progress()
            written = importing.write(
                opened, out, chosen, quality=quality if images == "jpeg" else 0, on_progress=progress.draw
            )
            progress.end()
            _tell(opened.channels, chosen, written)
    except SourceError as error:
        fail(f"{'' if str(error).startswith(str(source)) else f'{source}: '}{error}")
    except LogError as error:
        fail(error)
    for line in _summary(out, chosen, written):
        print(line)
    if written.failure or not written.total:
        fail(written.failure or f"{source} has no message that can be imported")


@contextmanager
def _stops() -> Iterator[None]:
    """Ctrl-C and a kill leave no half of a log behind."""

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Progress:
    """How far it is, drawn over itself in a terminal, ten times a second."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._next = 0.0

    def draw(self, written: "Imported") -> None:
        if not self._is_shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + 0.1
        seconds = (written.end - written.start) / 1e9
        text = f"{seconds:.1f} s of the recording, {_messages(written.total)}"
        over(text)

    def end(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _unit(option: str, given: str) -> str:
    from zuluko.log_import.imu_table import KNOWN_UNITS

    if given and given not in KNOWN_UNITS[option]:
        fail(f"--{option} {given}: write {' or '.join(KNOWN_UNITS[option])}", 2)
    return given


def _renames(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        old, is_told, new = text.rpartition("=")
        if not (is_told and old and new):
            fail(
                f"--rename {text}: write the topic's name there and the one here: /camera/image_raw=camera", 2
            )
        found[old] = new
    return found


def _what_is_there(channels: "list[Channel]") -> str:
    there = ", ".join(f"{one.topic} ({one.kind}, {one.why_not})" for one in channels[:3])
    return f"; it has: {there}{', ...' if len(channels) > 3 else ''}" if channels else ""


def _tell(channels: "list[Channel]", chosen: "dict[Channel, str]", written: "Imported") -> None:
    """What was left out, a line for each topic and reason, on standard error."""
    told = [(one, one.count, one.why_not) for one in channels if one.why_not and one not in chosen]
    told += [(one, count, why) for (one, why), count in written.left_out.items()]
    for one, count, why in told:
        many = "" if count is None else f", {_messages(count)}"
        print(f"left out: {one.topic} ({one.kind}){many}: {why}", file=sys.stderr)


def _summary(out: Path, chosen: "dict[Channel, str]", written: "Imported") -> Iterator[str]:
    from zuluko.bus.message import tag
    from zuluko.cli.top import aligned

    if not written.total:
        return
    rows = [
        [name, tag(one.becomes), str(written.counts[name]), one.topic, one.kind]
        for one, name in chosen.items()
        if one.becomes
    ]
    seconds = (written.end - written.start) / 1e9
    yield f"{out}: {seconds:.1f} s, {_messages(written.total)}, {out.stat().st_size / 1e6:.2f} MB"
    yield ""
    yield from aligned(["topic", "type", "messages", "from", "there"], rows)


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"
