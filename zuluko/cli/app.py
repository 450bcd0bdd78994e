"""The commands, gathered from their groups."""

from typing import Annotated

import typer

from zuluko import __version__
from zuluko.cli import (
    control,
    doctor,
    echo,
    face,
    graph,
    graphs,
    hz,
    log,
    log_export,
    log_import,
    log_plot,
    logs,
    pub,
    record,
    replay,
    rules,
    service,
    status,
    top,
    why,
)
from zuluko.cli.graph_command import GraphCommand

app = typer.Typer(
    name="zuluko",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUN = "Run a graph"
WATCH = "Look into a running graph"
RECORD = "Record and replay"
SETTLE = "Set up"


def _version(asked: bool) -> None:
    if asked:
        print(f"zuluko {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sensors, perception and rules as light processes on small boards."""


app.command(cls=GraphCommand, rich_help_panel=RUN)(graphs.up)
app.command(cls=GraphCommand, rich_help_panel=RUN)(graphs.check)
app.command(rich_help_panel=RUN)(graphs.schema)
app.command("list", rich_help_panel=RUN)(graphs.list_)
app.command(rich_help_panel=RUN)(status.status)
app.command(rich_help_panel=RUN)(logs.logs)
app.command(rich_help_panel=RUN)(control.restart)
app.command(rich_help_panel=RUN)(control.stop)
app.command(rich_help_panel=WATCH)(top.top)
app.command(rich_help_panel=WATCH)(why.why)
app.command(rich_help_panel=WATCH)(echo.echo)
app.command(rich_help_panel=WATCH)(hz.hz)
app.command(rich_help_panel=WATCH)(graph.graph)
app.command(rich_help_panel=WATCH)(pub.pub)
app.command(rich_help_panel=RECORD)(record.record)
app.command(rich_help_panel=RECORD)(replay.replay)
log.app.command()(log_export.export)
log.app.command()(log_plot.plot)
log.app.command("import")(log_import.import_)
app.add_typer(log.app, name="log", rich_help_panel=RECORD)
app.add_typer(rules.app, name="rules", rich_help_panel=RECORD)
app.command(rich_help_panel=SETTLE)(doctor.doctor)
app.add_typer(face.app, name="face", rich_help_panel=SETTLE)
app.add_typer(service.app, name="service", rich_help_panel=SETTLE)
