"""``zuluko log plot``: fields of a log over time, in the terminal or as a picture."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli.log import From, Log, To, Types, _span, import_types, opened
from zuluko.cli.logs import has_colours
from zuluko.cli.progress import shown
from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.log_export.part import Part
    from zuluko.log_plot.panels import Panel

Fields = Annotated[
    list[str],
    typer.Argument(
        help="such as imu.angular_velocity.z, imu.angular_velocity, lock.state", metavar="FIELD..."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="a picture to write: .png, .svg, .pdf")]

COLUMNS = 1200  # of a picture; about as many pixels


def plot(  # noqa: PLR0917
    log: Log, fields: Fields, start: From = "", end: To = "", out: Out = None, types: Types = None
) -> None:
    """Show fields over time: numbers as lines, all of a group in one panel, states as steps."""
    from zuluko.bus.log_writer import LogError
    from zuluko.log_export.part import Part
    from zuluko.log_plot import panels, picture

    if out and out.suffix not in picture.ENDINGS:
        fail(f"--out {out}: write a name that ends in {', '.join(picture.ENDINGS)}", 2)
    size = shutil.get_terminal_size()
    import_types(types or [])
    with opened(log) as reader:
        part = Part(reader, None, *_span(reader, start, end))
        if not reader.contents.places or part.start > part.end:
            fail(f"{log} has nothing between --from {start or '0s'} and --to {end or 'its end'}", 2)
        try:
            with shown(part.start, part.end) as part.on_progress:
                found = panels.panels(part, fields, COLUMNS if out else 2 * size.columns)
            if out:
                begin = reader.span[0]
                graph = reader.told.get("zuluko", {}).get("graph", "")
                title = f"{log.name}: the graph {graph}, " if graph else f"{log.name}: "
                picture.save(found, out, (part.start, part.end), begin, title)
                print(out)
            else:
                _print(found, part, size)
        except LogError as error:
            fail(error)
        for what in (*part.told(), *_left_out(found)):
            print(what, file=sys.stderr)


def _print(found: "list[Panel]", part: "Part", size: os.terminal_size) -> None:
    from zuluko.log_plot.terminal import draw

    span, begin = (part.start, part.end), part.reader.span[0]
    for line in draw(found, span, begin, (size.columns, size.lines), coloured=has_colours()):
        print(line)


def _left_out(found: "list[Panel]") -> list[str]:
    return [
        f"{panel.title}: {len(panel.left_out)} more lines left out; name what you want to see"
        for panel in found
        if panel.left_out
    ]
