"""The commands, gathered from their groups."""

import typer

from zuluko.cli import echo, face, graph, graphs, hz, pub, top

app = typer.Typer(
    name="zuluko",
    help="Sensors, perception and rules as light processes on small boards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(graphs.up)
app.command()(graphs.check)
app.command("list")(graphs.list_)
app.command()(echo.echo)
app.command()(top.top)
app.command()(hz.hz)
app.command()(pub.pub)
app.command()(graph.graph)
app.add_typer(face.app, name="face")
