"""docs/rules-on-logs.md: its commands are run one after the other, in one folder, and print what it shows."""

import re

import cv2

from tests.test_docs import commands, files, pattern, run

PAGE = "docs/rules-on-logs.md"


def test_the_pages_commands_print_what_it_shows(tmp_path):
    files(PAGE, tmp_path)
    found = commands(PAGE)
    assert len(found) == 9
    for command, shown in found:
        printed = run(command, tmp_path)
        assert re.fullmatch(pattern(shown), printed), (command, printed)
    assert cv2.imread(str(tmp_path / "welcome.png")) is not None
    assert "</html>" in (tmp_path / "welcome.html").read_text()
