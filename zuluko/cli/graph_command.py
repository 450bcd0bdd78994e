"""A command on a launch file: its ``--help`` lists the parameters of the file that stands beside it."""

from typing import Any

from typer.core import TyperCommand


class GraphCommand(TyperCommand):
    """``zuluko up door --help`` tells of the command, and then of the graph's parameters."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        self._typed = list(args)  # --help ends the reading before the graph is known
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        if name := self._graph():
            _print_params(name)

    def _graph(self) -> str:
        """The first word that was typed and is neither an option nor what an option takes, or nothing."""
        taking = {name for one in self.params if not getattr(one, "is_flag", True) for name in one.opts}
        words = iter(self._typed)
        for word in words:
            if word in taking:
                next(words, None)
            elif not word.startswith("-"):
                return word
        return ""


def _print_params(name: str) -> None:
    from zuluko import document
    from zuluko.document import DocumentError
    from zuluko.launch import include, params

    file = include.locate(name)
    if file is None:
        print(f"\nThere is no launch file {name}, so that its parameters cannot be listed.")
        return
    try:
        declared = document.load(file).value.get("params")
    except DocumentError as error:
        print(f"\n{error}")
        return
    rows = params.listing(params.read(declared, lambda *_, **__: None))
    if rows:
        _print_table(f"Parameters of {file.name}, as --set NAME=VALUE", rows)
    else:
        print(f"\n{file.name} has no parameters.")


def _print_table(title: str, rows: list[tuple[str, str, str]]) -> None:
    """In the manner of Typer's own help."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    table: Any = Table(box=None, show_header=False, padding=(0, 1))
    for style in ("bold cyan", "yellow", ""):
        table.add_column(style=style)
    for row in rows:
        table.add_row(*(text.replace("[", r"\[") for text in row))
    Console().print(Panel(table, title=title, title_align="left", border_style="dim"))
