"""docs/export.md: its commands are run one after the other, in one folder, and print what it shows."""

import re

from tests.running import ROOT
from tests.test_docs import commands, files, pattern, run
from zuluko.cli.log_export import KINDS
from zuluko.log_export.columns import MOST
from zuluko.log_export.flat import LONGEST
from zuluko.log_plot.series import SILENCE, UNUSUAL

PAGE = "docs/export.md"


def test_the_export_pages_commands_print_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "16")
    files(PAGE, tmp_path)
    for command, shown in commands(PAGE):
        printed = run(command, tmp_path)
        assert re.fullmatch(pattern(shown), printed), (command, printed)


def test_the_export_pages_numbers_and_kinds_are_the_codes():
    page = " ".join((ROOT / PAGE).read_text().split())
    for name, kind in KINDS.items():
        assert f"| `{name}` | " + ", ".join(f"`{ending}`" for ending in kind.endings) in page
    assert f"at most {LONGEST}, and" in page
    assert f"at most {MOST} columns" in page
    assert (SILENCE, UNUSUAL) == (10**9, 5)
    assert "over a second and five times longer" in page
