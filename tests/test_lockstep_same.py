"""Whether two runs of a lockstep say the same: chains, where runs part, what leaks into nodes, and chance."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.running import ROOT, write, zuluko
from tests.test_lockstep import BASE, SECOND, lockstep
from zuluko import record
from zuluko.bus.log_reader import LogReader
from zuluko.launch import launchfile
from zuluko.launch.chain import Chain, ChainError, Link, is_chain, links
from zuluko.launch.lockstep import Lockstep
from zuluko.launch.parting import difference, parting
from zuluko.launch.replayed import stand_in
from zuluko.messages import Faces
from zuluko.nodes.player import Timeline

NODES = """
import logging
import os
import random
import secrets
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from time import monotonic as moment

import numpy as np

from zuluko import Message, Stream
from zuluko.bus import clock
from zuluko.messages import Faces


class Text(Message, tag="LockstepText/1"):
    text: str = ""


def free() -> Iterator[Faces]:
    yield Faces()


def tight(faces: Stream[Faces]) -> Iterator[Text]:
    fixed = random.Random(7)
    for message in faces:
        logging.warning("the library's own look at a clock")
        tempfile.mktemp()
        once = time.localtime(1e9), time.gmtime(1e9), time.ctime(1e9), time.strftime("%H", time.gmtime(0))
        assert time.asctime(once[1])
        drawn = random.random(), random.gauss(0, 1), np.random.rand(), fixed.random()
        yield Text(stamp=message.stamp, text=f"{drawn} {np.random.default_rng(3).random()}")


def drawing(faces: Stream[Faces], *, most: int = 1) -> Iterator[Text]:
    for message in faces:
        yield Text(stamp=message.stamp, text=str([random.random() for _ in range(most)]))


def seeding(faces: Stream[Faces]) -> Iterator[Text]:
    random.seed(42)
    np.random.seed(42)
    for message in faces:
        yield Text(stamp=message.stamp, text=f"{random.random()} {np.random.rand()}")


def sets(faces: Stream[Faces]) -> Iterator[Text]:
    for message in faces:
        yield Text(stamp=message.stamp, text=" ".join({"a", "b", "c", "d", "e", "f"}))


def counting(faces: Stream[Faces], *, odd: int = -1, step: int = 1) -> Iterator[Text]:
    for number, message in enumerate(faces):
        yield Text(stamp=message.stamp, text="odd" if number == odd else str(number * step))


def leaky(faces: Stream[Faces]) -> Iterator[Text]:
    for message in faces:
        {}
        yield Text(stamp=message.stamp)
"""
LEAKS = {
    "time.time()": "reads a clock, time.time()",
    "moment()": "reads a clock, time.monotonic()",
    "time.perf_counter_ns()": "reads a clock, time.perf_counter_ns()",
    "datetime.now()": "reads a clock, datetime.now()",
    "datetime.utcnow()": "reads a clock, datetime.utcnow()",
    "date.today()": "reads a clock, date.today()",
    "clock.now()": "reads a clock, time.monotonic_ns()",
    "time.localtime()": "reads a clock, time.localtime() without a time",
    "time.gmtime()": "reads a clock, time.gmtime() without a time",
    "time.ctime()": "reads a clock, time.ctime() without a time",
    "time.asctime()": "reads a clock, time.asctime() without a time",
    "time.strftime('%H:%M')": "reads a clock, time.strftime() without a time",
    "datetime.today()": "reads a clock, datetime.today()",
    "time.clock_gettime(time.CLOCK_REALTIME)": "reads a clock, time.clock_gettime()",
    "os.times()": "reads a clock, os.times()",
    "os.urandom(4)": "draws from the system's randomness",
    "os.getrandom(4)": "draws from the system's randomness",
    "secrets.randbelow(9)": "draws from the system's randomness",
    "secrets.choice('abc')": "draws from the system's randomness",
    "random.SystemRandom().random()": "draws from the system's randomness",
    "random.SystemRandom().choice('abc')": "draws from the system's randomness",
    "np.random.RandomState()": "draws from the system's randomness",
    "np.random.seed()": "draws from the system's randomness",
    "uuid.uuid4()": "draws from the system's randomness",
    "uuid.uuid1()": "makes an id of the time",
    "secrets.token_hex()": "draws from the system's randomness",
    "random.Random()": "draws from the system's randomness",
    "random.seed()": "draws from the system's randomness",
    "np.random.default_rng()": "draws from the system's randomness",
    "threading.Thread(target=int).start()": "starts a thread",
    "ThreadPoolExecutor(1).submit(int).result()": "starts a thread",
    "socket.socket().close()": "opens a socket",
    "subprocess.run(['true'])": "starts a program",
}


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "faces.mcap"
    record([Faces(stamp=BASE + n * SECOND // 10) for n in range(10)], path, "faces")
    return path


def graph(folder: Path, *nodes: str, leak: str = "pass") -> str:
    """A graph in which each node, a name with its options, hears the faces of the log."""
    (folder / "lockstep_nodes.py").write_text(NODES.replace("{}", leak))
    lines = ["nodes:", '  faces: {run: "./lockstep_nodes.py:free"}']
    for node in nodes:
        name, _, options = node.partition(", ")
        more = f", {options}" if options else ""
        lines.append(f'  {name}: {{run: "./lockstep_nodes.py:{name}", in: {{faces: faces}}{more}}}')
    return write(folder, "\n".join(lines))


def run(log: Path, file: str, follow=None) -> Lockstep:
    with LogReader(log) as reader:
        checked = launchfile.load(Path(file))
        stand_in(checked, reader, Timeline(*reader.span), only=["faces"])
        lockstep = Lockstep(checked, follow=follow)
        lockstep.run()
    return lockstep


def test_a_node_that_keeps_to_its_stream_leaks_nothing(log, tmp_path):
    done = run(log, graph(tmp_path, "tight"))
    assert done.said == {"tight": 10}
    assert done.leaks == []


def test_what_leaks_into_a_node_is_told_with_its_line_and_a_way_out(log, tmp_path):
    file = graph(tmp_path, "leaky", leak="\n        ".join(LEAKS))
    lines = (tmp_path / "lockstep_nodes.py").read_text().splitlines()
    found = {}
    for leak in run(log, file).leaks:
        path, _, number = leak.place.rpartition(":")
        assert path == str(tmp_path / "lockstep_nodes.py")
        found[lines[int(number) - 1].strip()] = leak
    assert found.keys() == LEAKS.keys()
    assert {code: leak.what for code, leak in found.items() if not leak.what.startswith(LEAKS[code])} == {}
    assert str(found["moment()"]).endswith(
        ": leaky reads a clock, time.monotonic(), and may differ on the next run; "
        "take the time from its stream: `stream.now`"
    )


def test_leaks_are_told_once_and_the_hook_is_taken_off(log, tmp_path):
    done = lockstep(log, graph(tmp_path, "leaky", leak="time.time()"), "--only", "faces")
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"{tmp_path / 'lockstep_nodes.py'}:")
    assert done.returncode == 0


def said(log: Path, file: str, topic: str) -> str:
    return run(log, file).chain.topics[topic]


def test_chance_is_the_same_on_every_run_and_each_nodes_own(log, tmp_path):
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    alone = said(log, graph(tmp_path, "tight", "drawing"), "tight")
    beside = said(log, graph(tmp_path, "tight", "drawing, most: 5"), "tight")
    assert alone == beside
    assert (random.random(), np.random.rand()) == expected
    assert said(log, graph(tmp_path, "drawing, most: 5"), "drawing") != said(
        log, graph(tmp_path, "drawing"), "drawing"
    )


def test_a_nodes_own_seed_is_kept(log, tmp_path):
    heard = []
    run(
        log,
        graph(tmp_path, "drawing", "seeding"),
        lambda link, data: heard.append((link, data)),
    )
    own, legacy = random.Random(42), np.random.RandomState(42)
    wanted = [f"{own.random()} {legacy.rand()}".encode() for _ in range(10)]
    have = [data for link, data in heard if link.topic == "seeding"]
    assert all(want in data for want, data in zip(wanted, have, strict=True))


def test_the_log_stands_in_for_programs_outside_the_graph(log, tmp_path):
    file = Path(graph(tmp_path, "counting"))
    text = file.read_text().replace('  faces: {run: "./lockstep_nodes.py:free"}\n', "")
    file.write_text('topics: {faces: "zuluko.messages:Faces"}\n' + text)
    assert run(log, str(file)).said == {"counting": 10}
    live = zuluko("replay", str(log), str(file), "--json")
    told = json.loads(live.stdout.splitlines()[-1])["summary"]
    assert told["messages"] == {"faces": 10, "counting": 10}


def test_a_chain_tells_the_first_message_that_differs(log, tmp_path):
    first, second = [], []
    run(log, graph(tmp_path, "counting"), lambda link, _: first.append(link))
    run(log, graph(tmp_path, "counting, odd: 4"), lambda link, _: second.append(link))
    assert [link.number for link in first] == list(range(10))
    assert first[:4] == second[:4]
    assert not {link.digest for link in first[4:]} & {link.digest for link in second[4:]}
    assert [link[:4] for link in first] == [link[:4] for link in second]


@pytest.mark.parametrize("kind", ["--chain", "--out"])
def test_a_run_is_held_against_an_earlier_one(log, tmp_path, kind):
    before = tmp_path / "before"
    plain, other = graph(tmp_path, "counting"), write(tmp_path, "", "other.yaml")
    assert lockstep(log, plain, kind, str(before)).returncode == 0
    assert before.stat().st_mode & 0o777 == 0o600
    done = lockstep(log, plain, "--against", str(before))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == f"the same as {before}"
    Path(other).write_text(Path(plain).read_text().replace("faces: faces}}", "faces: faces}, step: 3}"))
    done = lockstep(log, other, "--against", str(before))
    assert done.returncode == 1
    more = {
        "--chain": "is not the message that it was",
        "--out": "is not what it was: text was 1, and is 3",
    }[kind]
    assert f"two runs part: counting 1 at 0.100 s {more}" in done.stdout
    assert f"{before} exists already" in lockstep(log, plain, kind, str(before)).stderr


def held(before: Path, said: list[Link], data: bytes = b"") -> str:
    found = parting(before, BASE)
    for link in said:
        found.see(link, data)
    found.end()
    found.close()
    return found.told


def chained(path: Path, *said: tuple[str, int, int]) -> list[Link]:
    """A chain file of messages: topic, number, and tenths of a second."""
    chain = Chain()
    made = [
        chain.add(topic, seq, BASE + tenth * SECOND // 10, f"{topic}{seq}".encode())
        for topic, seq, tenth in said
    ]
    lines = ["zuluko chain 1", *map(str, made), f"end {chain.count} {chain.digest}", ""]
    path.write_text("\n".join(lines))
    return made


def test_where_two_chains_part(tmp_path):
    file, other = tmp_path / "a", tmp_path / "b"
    three = chained(file, ("a", 0, 0), ("b", 0, 1), ("a", 1, 2))
    assert held(file, three) == ""
    assert list(links(file)) == three
    assert held(file, three[:2]) == "this run ends, where the earlier run went on with a 1 at 0.200 s"
    four = chained(other, ("a", 0, 0), ("b", 0, 1), ("a", 1, 2), ("b", 1, 3))
    assert held(file, four) == "this run goes on with b 1 at 0.300 s, where the earlier run has ended"
    swapped = chained(other, ("a", 0, 0), ("a", 1, 2))
    assert held(file, swapped) == "this run says a 1 at 0.200 s, where the earlier run said b 0 at 0.100 s"
    assert held(file, [three[0], three[1]._replace(digest="0" * 16)]).startswith(
        "b 0 at 0.100 s is not the message"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zuluko chain 1\na 0 1 00\n", "has no end: the run that wrote it was stopped"),
        (
            "zuluko chain 1\na 0 1\nend 1 00\n",
            ":2: `a 0 1` is no link; expected a topic, two numbers and a digest",
        ),
        ("zuluko chain 1\na x 1 00\nend 1 00\n", ":2: `a x 1 00` is no link"),
        ("zuluko chain 1\n" + "a" * 5000, ":2: `" + "a" * 40 + "` is no link"),
    ],
)
def test_a_chain_that_cannot_be_read_is_told(tmp_path, text, said):
    file = tmp_path / "a"
    file.write_text(text)
    assert is_chain(file)
    with pytest.raises(ChainError, match=".") as error:
        list(links(file))
    assert said in str(error.value)


def test_a_log_of_a_graph_that_ran_is_not_compared_with(log, tmp_path):
    file = graph(tmp_path, "counting")
    done = lockstep(log, file, "--against", str(log))
    assert done.returncode == 1
    assert done.stderr.startswith(f"{log} was not written by --lockstep --out")
    assert "No such file" in lockstep(log, file, "--against", "none").stderr


def test_the_first_field_that_differs_is_shown():
    import msgspec

    def envelope(body, sent=1):
        return msgspec.msgpack.encode([1, 0, sent, [], body])

    before = envelope({"items": [{"name": "a"}, {"name": "b", "nan": float("nan")}], "stamp": 3})
    after = envelope({"items": [{"name": "a"}, {"name": "c", "nan": float("nan")}], "stamp": 4})
    assert difference(before, after) == "items[1].name was b, and is c"
    assert difference(envelope({}), envelope({}, 2)) == "sent was 1, and is 2"
    assert difference(envelope({"a": b"xy"}), envelope({"a": b"xyz"})) == "a was 2 bytes, and is 3 bytes"
    assert difference(envelope({"a": [1]}), envelope({"a": [1, 2]})) == "a was [1], and is [1,2]"
    assert difference(b"\xc1", b"") == "its bytes differ"


def test_ctrl_c_leaves_a_whole_log(log, tmp_path):
    file = graph(tmp_path, "leaky", leak="print('turns', flush=True), time.sleep(60)")
    out, chain = tmp_path / "out.mcap", tmp_path / "chain"
    command = [sys.executable, "-m", "zuluko", "replay", str(log), file, "--lockstep"]
    process = subprocess.Popen(
        [*command, f"--out={out}", f"--chain={chain}"], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"turns\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.stdout.close()
    with LogReader(out) as reader:
        assert reader.whole
    with pytest.raises(ChainError, match="has no end"):
        list(links(chain))


def test_twice_tells_what_follows_the_order_of_a_set(log, tmp_path):
    file = graph(tmp_path, "counting", "sets")
    done = lockstep(log, file, "--twice", seed="random")
    assert done.returncode == 1
    assert "two runs part: sets 0 at 0.000 s is not what it was: text was " in done.stdout
    done = lockstep(log, graph(tmp_path, "counting"), "--twice")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == "two runs say the same"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--loop",), "--loop does not go with --lockstep, which runs once"),
        (("--rate", "4"), "--rate does not go with --lockstep"),
        (("--topic", "faces"), "--topic is for a log without a graph"),
    ],
)
def test_options_that_do_not_go_with_lockstep_are_told(log, arguments, said):
    done = lockstep(log, "door", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
