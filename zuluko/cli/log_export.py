"""``zuluko log export``: a log for Foxglove, for ROS, as tables, as a film."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from zuluko.cli.log import From, Log, To, Topics, Types, _known, _span, import_types, opened
from zuluko.cli.progress import shown
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.log_export.part import Part

Out = Annotated[Path, typer.Argument(help="the file or folder to write", metavar="OUT")]
As = Annotated[
    str, typer.Option("--as", help="what to write, where OUT's ending does not say", metavar="KIND")
]
Boxes = Annotated[bool, typer.Option("--boxes", help="into a film: the faces and their names")]

Write = Callable[["Part", Path], Iterator[str]]


class Kind(NamedTuple):
    """A form to export to: what OUT may end in, how often the log is gone through, and who writes it."""

    endings: tuple[str, ...]
    passes: int
    writer: Callable[[bool], Write]


def export(  # noqa: PLR0917
    log: Log,
    out: Out,
    kind: As = "",
    topics: Topics = None,
    start: From = "",
    end: To = "",
    boxes: Boxes = False,
    types: Types = None,
) -> None:
    """Write a log for other programs: for Foxglove, ROS 1 or 2, as CSV, Parquet or a film."""
    from zuluko.bus.log_writer import LogError
    from zuluko.log_export.part import Part

    name = _kind(kind, out)
    if boxes and name != "video":
        fail(f"--boxes draws into a film; this writes {name}", 2)
    import_types(types or [])
    with opened(log) as reader, _stops():
        begin, last = _span(reader, start, end)
        part = Part(reader, _known(reader, topics), begin, last)
        if not reader.contents.places or part.start > part.end:
            fail(f"{log} has nothing between --from {start or '0s'} and --to {end or 'its end'}", 2)
        try:
            with shown(part.start, part.end, passes=KINDS[name].passes) as part.on_progress:
                said = list(KINDS[name].writer(boxes)(part, out))
        except LogError as error:
            fail(error)
        for what in part.told():
            print(what, file=sys.stderr)
        print("\n".join(said))


def _kind(named: str, out: Path) -> str:
    """What is to be written; exits with a sentence where that is not clear."""
    from zuluko.document import nearest

    if named in KINDS:
        return named
    if named:
        known = nearest(named, KINDS) or f"; there are: {', '.join(KINDS)}"
        fail(f"--as {named}: no such kind{known}", 2)
    by_ending = next((name for name, kind in KINDS.items() if out.suffix in kind.endings), None)
    if by_ending is None:
        endings = ", ".join(ending for kind in KINDS.values() for ending in kind.endings)
        fail(f"{out}: say what to write with --as {'|'.join(KINDS)}, or by an ending: {endings}", 2)
    return by_ending


@contextmanager
def _stops() -> Iterator[None]:
    """Ctrl-C and a kill leave nothing half-written behind."""

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


def _csv(_: bool) -> Write:
    from zuluko.log_export.tables import to_csv

    return to_csv


def _parquet(_: bool) -> Write:
    from zuluko.log_export.tables import to_parquet

    return to_parquet


def _foxglove(_: bool) -> Write:
    from zuluko.log_export.foxglove import to_foxglove

    return to_foxglove


def _ros1(_: bool) -> Write:
    from zuluko.log_export.ros_bags import to_ros1

    return to_ros1


def _ros2(_: bool) -> Write:
    from zuluko.log_export.ros_bags import to_ros2

    return to_ros2


def _film(boxes: bool) -> Write:
    from functools import partial

    from zuluko.log_export.film import to_film

    return partial(to_film, boxes=boxes)


KINDS = {
    "foxglove": Kind((".mcap",), 1, _foxglove),
    "ros1": Kind((".bag",), 1, _ros1),
    "ros2": Kind((), 1, _ros2),
    "video": Kind((".mp4",), 1, _film),
    "csv": Kind((".csv",), 2, _csv),
    "parquet": Kind((".parquet",), 2, _parquet),
}
