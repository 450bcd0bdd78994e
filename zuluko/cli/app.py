"""The commands, gathered from their groups."""

from typing import Annotated

import typer

from zuluko import __version__
from zuluko.cli import echo, face, graph, graphs, hz, pub, top
from zuluko.cli.graph_command import GraphCommand

app = typer.Typer(
    name="zuluko",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


app.command(cls=GraphCommand)(graphs.up)
app.command(cls=GraphCommand)(graphs.check)
app.command()(graphs.schema)
app.command("list")(graphs.list_)
app.command()(echo.echo)
app.command()(top.top)
app.command()(hz.hz)
app.command()(pub.pub)
app.command()(graph.graph)
app.add_typer(face.app, name="face")
