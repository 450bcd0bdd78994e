"""The README and the pages in docs/: what they show is run, in an empty folder, as they show it.

A block that begins with a file's name in a comment is that file; a Python block without one is run; a console
block's commands are run, and print what is shown: numbers may differ, and ``...`` stands for any lines.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT, up
from tests.waiting import until

PAGES = ["README.md", "docs/nodes.md", "docs/launch.md", "docs/door.md"]
TESTED_ELSEWHERE = ["docs/bus.md", "docs/camera.md", "docs/faces.md", "docs/rules.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.]+\.(?:py|yaml))\n")


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text())


def files(page: str, folder: Path) -> None:
    for _, text in blocks(page):
        if named := NAMED.match(text):
            (folder / named[1]).write_text(text)


def run(command: list[str] | str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    return done.stdout


def pattern(shown: str) -> str:
    """What the shown lines match: any numbers, any width of space, and ``...`` any lines."""
    lines = []
    for line in shown.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            text = re.sub(r"\d+(?:\.\d+)?", "0", line)
            lines.append(re.sub(r"(?:\\ )+", r"\\s+", re.escape(text)).replace("0", r"\d+(?:\.\d+)?") + r"\n")
    return "".join(lines)


def commands(page: str) -> list[tuple[str, str]]:
    found = []
    for kind, text in blocks(page):
        if kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                found.append((command, shown))
    return found


def test_every_page_is_run():
    pages = {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} | {"README.md"}
    assert pages == {*PAGES, *TESTED_ELSEWHERE}


@pytest.mark.parametrize("page", PAGES)
def test_a_pages_programs_run(page, tmp_path):
    files(page, tmp_path)
    for kind, text in blocks(page):
        if kind == "python" and not NAMED.match(text):
            assert run([sys.executable, "-W", "error", "-c", text], tmp_path) == ""


@pytest.mark.parametrize(("page", "command", "shown"), [(p, c, s) for p in PAGES for c, s in commands(p)])
def test_a_pages_commands_print_what_it_shows(page, command, shown, tmp_path):
    files(page, tmp_path)
    printed = run(command, tmp_path)
    assert re.fullmatch(pattern(shown), printed), printed


def test_the_bus_pages_foreign_reader_reads(tmp_path, run_dir):
    files("docs/bus.md", tmp_path)
    with up("door", "--set", "loop=true") as door:
        door.wait_for("camera", "ready")
        until((run_dir / "door" / "faces").is_socket)
        printed = run([sys.executable, "foreign.py", str(run_dir / "door" / "faces")], tmp_path)
    assert printed == "1 Faces/1 ['camera']\n"


def test_the_links_lead_somewhere():
    for page in [*PAGES, *TESTED_ELSEWHERE]:
        folder = (ROOT / page).parent
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
            assert (folder / link).exists(), f"{page}: {link}"
