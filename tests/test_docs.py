"""The README and the pages in docs/: what they show is run, in an empty folder, as they show it.

A block that begins with a file's name in a comment is that file; a Python block without one is run; a console
block's commands are run, and print what is shown: numbers may differ, and ``...`` stands for any lines.
"""

import fcntl
import json
import math
import mmap
import os
import re
import select
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from tests.running import ROOT, up
from tests.waiting import until
from zuluko.bus import lane, membarrier, wire
from zuluko.bus.commands import DEADLINE, REMEMBERED, RESEND
from zuluko.bus.publisher import Publisher
from zuluko.bus.streams import QUEUE
from zuluko.bus.topics import LONGEST_PATH
from zuluko.messages import Decision, Frame

PAGES = [
    "README.md",
    "docs/nodes.md",
    "docs/launch.md",
    "docs/actions.md",
    "docs/supervisor.md",
    "docs/door.md",
    "docs/measured.md",
]
TESTED_ELSEWHERE = [
    "docs/bus.md",
    "docs/camera.md",
    "docs/export.md",
    "docs/faces.md",
    "docs/logs.md",
    "docs/rules-on-logs.md",
    "docs/rules.md",
    "docs/run.md",
    "docs/tools.md",
    "docs/why.md",
]
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
                command, _, shown = re.sub(r"\\\n *", "", part).partition("\n")
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


def test_the_launch_pages_foreign_publisher_is_heard(tmp_path, run_dir):
    files("docs/launch.md", tmp_path)
    with up(str(tmp_path / "night.yaml")) as graph:
        graph.wait_for("gauge", "ready")  # the directory is emptied before
        publisher = subprocess.Popen([sys.executable, "battery.py", str(run_dir)], cwd=tmp_path)
        try:
            graph.wait_for("gauge", "90%")
        finally:
            publisher.kill()
            publisher.wait()
        graph.stop()


def test_the_bus_pages_dump_is_a_real_message(tmp_path):
    files("docs/bus.md", tmp_path)
    printed = run([sys.executable, "-W", "error", "envelope.py"], tmp_path)
    hop = "['camera', 1234, 1700000000250000000, 1700000000260000000]"
    assert printed == f"1 42 1700000000300000000 [{hop}] LockState/1 unlocked\n"


def test_the_bus_pages_numbers_are_the_codes():
    page = (ROOT / "docs/bus.md").read_text()
    rows = re.findall(r"^\| (\d+)(?:, up to P)? \| (\d*) ?\| .* \| (.*) \|$", page, re.MULTILINE)
    table = {int(offset): (int(words or 0), text) for offset, words, text in rows if int(offset) > 4}
    places = (
        lane.HEAD,
        lane.RESERVED,
        lane.CLOSED,
        lane.WARNED,
        lane.READERS,
        lane.LEASE_WORDS,
        lane.GENERATIONS,
        lane.INDEX,
    )
    lengths = (1, 1, 1, 1, lane.CELLS, lane.CELLS * lane.LEASES, lane.MOST_SLOTS, lane.INDEX_LENGTH)
    assert {8 * place: length for place, length in zip(places, lengths, strict=True)} == {
        offset: words for offset, (words, _) in table.items() if words
    }
    if lane.PAGE == 4096:
        assert f"the ring, {lane.RING} bytes" in table[lane.ring_start(lane.INDEX_LENGTH)][1]
    for number in (
        f"magic `{lane.MAGIC:#x}`, version {lane.VERSION},",
        f"{lane.SLOTS} slots of {lane.SLOT} bytes",
        f"over {lane.RING // 4} bytes",
        f"over {wire.INLINE} bytes",
        f"{wire.LARGEST} bytes",
        f"with arrays {wire.LARGEST_ARRAYS >> 20} MiB ({wire.LARGEST_ARRAYS})",
        f"the byte `{wire.BLOB.hex()}`",
        f"at most {wire.LONGEST_CAUSE} |",
        f"{LONGEST_PATH} bytes",
        f"last {REMEMBERED} ids",
        f"`resend-time` to {RESEND} ms and gives up without an answer {DEADLINE:g} s",
        f"edge keeps, {QUEUE} messages",
        f"| {QUEUE} | {QUEUE} |",
    ):
        assert number in " ".join(page.split()), number


class Stranger:
    """Reads a lane by what docs/bus.md says, step by step, and with nothing of Zuluko's."""

    def __init__(self, announcement: Path, *, waits: bool) -> None:
        told = json.loads(announcement.read_text())
        path = f"/proc/{told['pid']}/fd/{told['lane']['fd']}"
        assert os.readlink(path).startswith("/memfd:zuluko-")
        self.fd = os.open(path, os.O_RDWR)
        self.size, page = os.fstat(self.fd).st_size, mmap.PAGESIZE
        magic, version, name, self.slot, slots, self.ring, self.length, cells = struct.unpack(
            "<8Q", os.pread(self.fd, 64, 0)
        )
        assert (magic, version, name, cells) == (0x31656E616C6B7A, 3, told["lane"]["id"], 32)
        self.start = -(-(12288 + 8 * self.length) // page) * page
        self.slots = -(-(self.start + self.ring) // 2**21) * 2**21
        assert self.size == self.slots + slots * self.slot + 2**21
        assert fcntl.fcntl(self.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
        self.memory = mmap.mmap(self.fd, self.slots)
        self.pictures = mmap.mmap(self.fd, slots * self.slot, prot=mmap.PROT_READ, offset=self.slots)
        self.words = memoryview(self.memory).cast("Q")
        self.cell = next(cell for cell in range(32) if self._lock(cell, fcntl.F_WRLCK))
        self.words[1024 // 8 + 8 * self.cell] = 0
        self.bell = select.epoll()
        if waits:
            path = f"/proc/{told['pid']}/fd/{told['lane']['bell']}"
            assert os.readlink(path).startswith("pipe:[")
            self.pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.bell.register(self.pipe, select.EPOLLIN | select.EPOLLET)
        self.words[256 // 8 + self.cell] = 1 if waits else 2
        membarrier.barrier()

    def _lock(self, cell: int, kind: int) -> bool:
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, 0, 2**40 + cell, 1, 0))
        except BlockingIOError:
            return False
        return True

    def read(self, number: int) -> bytes | None:
        if number >= self.words[128 // 8]:
            return None
        position = self.words[12288 // 8 + number % self.length]
        place = self.start + position % self.ring
        have, length = struct.unpack_from("<QQ", self.memory, place)
        data = self.memory[place + 16 : place + 16 + length]
        assert have == number
        assert self.words[136 // 8] - position <= self.ring
        return data

    def picture(self, form: dict[str, Any]) -> bytes:
        """An array's bytes, copied out under a lease."""
        lease = 1024 // 8 + 8 * self.cell
        self.words[lease] = form["slot"] + 1
        assert self.words[8192 // 8 + form["slot"]] == form["generation"]
        start = form["slot"] * self.slot
        data = self.pictures[start : start + math.prod(form["shape"])]
        self.words[lease] = 0
        return data

    def leave(self) -> None:
        self.words[256 // 8 + self.cell] = 2
        self.words[256 // 8 + self.cell] = 0
        self._lock(self.cell, fcntl.F_UNLCK)
        self.bell.close()
        os.close(self.fd)


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_a_reader_written_from_the_bus_page_reads_the_lane(run_dir):
    publisher = Publisher("door", "camera", Frame)
    other = Publisher("door", "rules", Decision)
    stranger = Stranger(run_dir / "door" / "camera.json", waits=True)
    second = Stranger(run_dir / "door" / "rules.json", waits=False)
    assert (publisher.subscribers, other.subscribers) == (1, 0)
    assert stranger.bell.poll(0)  # what rang before
    assert not stranger.bell.poll(0)
    for number in range(5):
        image = np.full((480, 640, 3), number, "u1")
        publisher.send(Frame(image=image, stamp=number))
        version, seq, _, _, body = msgpack.unpackb(stranger.read(number))
        assert (version, seq, body["stamp"]) == (1, number, number)
        assert body["image"].keys() == {"dtype", "shape", "slot", "generation"}
        assert stranger.picture(body["image"]) == image.tobytes()
        assert stranger.bell.poll(5)
        assert not stranger.bell.poll(0)
    assert stranger.read(5) is None
    warned = stranger.words[152 // 8]
    assert publisher.empty((480, 640, 3), np.dtype("u1")) is not None
    assert stranger.words[152 // 8] == warned + 1
    assert stranger.bell.poll(5)
    other.send(Decision(rule="r" * 200_000, outcome="fired"))
    data = second.read(0)
    assert data[:1] == b"\xc1"
    slot, generation, length = msgpack.unpackb(data[1:])
    whole = second.picture({"slot": slot, "generation": generation, "shape": [length]})
    assert msgpack.unpackb(whole)[4]["rule"] == "r" * 200_000
    publisher.close()
    assert stranger.words[144 // 8] == 1
    assert stranger.bell.poll(5)
    for one in (stranger, second):
        one.leave()
    assert other.subscribers == 0
    other.close()


def test_the_links_lead_somewhere():
    for page in [*PAGES, *TESTED_ELSEWHERE]:
        folder = (ROOT / page).parent
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
            assert (folder / link).exists(), f"{page}: {link}"
