"""docs/logs.md: its programs and commands are run one after the other, in one folder, as it shows them."""

import platform
import re
import sys

from tests.test_docs import NAMED, blocks, commands, files, pattern, run

PAGE = "docs/logs.md"
DIGEST = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{16})\b")


def test_the_logs_pages_programs_run(tmp_path):
    files(PAGE, tmp_path)
    programs = [text for kind, text in blocks(PAGE) if kind == "python" and not NAMED.match(text)]
    assert programs
    for program in programs:
        assert run([sys.executable, "-W", "error", "-c", program], tmp_path) == ""


def test_the_logs_pages_commands_print_what_it_shows(tmp_path):
    files(PAGE, tmp_path)
    for command, shown in commands(PAGE):
        printed = run(command, tmp_path).replace(f"{platform.node()} {platform.machine()}", "vm x86_64")
        assert re.fullmatch(pattern(DIGEST.sub("1", shown)), DIGEST.sub("1", printed)), (command, printed)
