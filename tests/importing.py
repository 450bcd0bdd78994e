"""`zuluko log import` within the test's own process: of a hundred imports the interpreter's start would be most."""

from dataclasses import dataclass

from typer.testing import CliRunner

from zuluko.cli.app import app


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Done:
    """Runs the command to its end; an exception of it is the test's failure."""
    done = CliRunner().invoke(app, ["log", "import", *arguments], catch_exceptions=False)
    return Done(done.exit_code, done.stdout, done.stderr)
