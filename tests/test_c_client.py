"""The C programs of examples/c against the real thing: what they read, what is read of them, and what is not."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack
import pynng
import pytest

from tests.nodes_of_tests import Count
from tests.running import ROOT, up, write, zuluko
from tests.waiting import until
from zuluko.bus import membarrier, topics
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.messages import Faces

SANITIZED = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
HEADERS = "#include <nng/nng.h>\n#include <msgpack.h>\n"

# A publisher that says anything: bytes, half a message, a list that claims to be huge, lists in lists, another
# version, another type; then, over and over, a message of which one field is text and should be a number.
HOSTILE = r"""
#include "bus.h"
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <string.h>

#define SEND(text) need(nng_send(socket, (void *)(text), sizeof(text) - 1, 0), "send")

int main(int argc, char **argv) {
    char path[LONGEST_PATH + 1], url[LONGEST_PATH + sizeof "ipc://"], deep[50000];
    nng_socket socket;
    find_path(path, argv[1], argv[argc - 1]);
    (void)snprintf(url, sizeof url, "ipc://%s", path);
    memset(deep, 0x91, sizeof deep);
    need(nng_pub0_open(&socket), "a socket");
    need(nng_listen(socket, url, NULL, 0), url);
    for (;;) {
        SEND("\xff\xff\xff");
        SEND("\x95\x01\x00");
        SEND("\xdd\xff\xff\xff\xff");
        need(nng_send(socket, deep, sizeof deep, 0), "send");
        SEND("\x95\x09\x00\x00\x90\x80");
        SEND("\x95\x01\x00\x00\x90\x81\xa4type\xa7Other/1");
        SEND("\x95\x01\x00\x00\x90\x82\xa4type\xa7" "Count/1\xa1n\xa3one");
        nng_msleep(20);
    }
}
"""


@pytest.fixture(scope="module")
def c(tmp_path_factory) -> Path:
    """The folder of the programs, built with a check of every access."""
    if not (shutil.which("gcc") and shutil.which("make")):
        pytest.skip("no gcc or no make; install them with: apt-get install gcc make")
    probe = subprocess.run(["gcc", "-E", "-"], input=HEADERS, capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip("no nng.h or no msgpack.h; install: apt-get install libnng-dev libmsgpack-dev pkg-config")
    folder: Path = tmp_path_factory.mktemp("c") / "c"
    shutil.copytree(ROOT / "examples" / "c", folder)
    (folder / "hostile.c").write_text(HOSTILE)
    made = subprocess.run(
        ["make", "-B", "CC=gcc", f"CFLAGS={SANITIZED}", "PROGRAMS=subscribe publish command hostile"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def graph():
    topics.graph_dir("door")


@contextmanager
def running(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until it is told to stop; the sanitizers must have nothing to say."""
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        _, said = process.communicate(timeout=20)
        assert "Sanitizer" not in said, said
        assert "runtime error" not in said, said


def run(*command: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def values(line: str) -> dict[str, str]:
    return {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S*)', line)}


def message(seq, **body):
    return msgpack.packb([1, seq, 0, [], {"type": "Count/1", **body}])


def test_subscribe_prints_what_a_running_graph_says(c, tmp_path):
    text = "nodes:\n  count: {run: 'NODES:count'}\n  double: {run: 'NODES:double', in: {counts: count}}\n"
    with up(write(tmp_path, text), "--name", "g") as graph:
        graph.wait_for("double", "ready")
        status, printed, said = run(c / "subscribe", "g", "double.count", 5)
    assert (status, said) == (0, "5 received, 0 lost, 0 refused\n")
    lines = [values(line) for line in printed.splitlines()]
    assert [int(one["seq"]) for one in lines] == [int(lines[0]["seq"]) + n for n in range(5)]
    assert all((one["cause"], one["type"]) == ("count", "Count/1") for one in lines)
    assert all(int(one["n"]) == 2 * int(one["stamp"]) > 0 for one in lines)
    assert all(int(one["sent"]) > 1_700_000_000 * 10**9 for one in lines)


def test_subscribe_counts_what_is_lost_and_what_it_refuses(c, graph, run_dir):
    foreign = pynng.Pub0(listen=f"ipc://{run_dir}/door/count")
    with foreign as publisher, running(c / "subscribe", "door", "count", 4) as subscriber:
        until(lambda: publisher.pipes)
        publisher.send(message(0, n=-1, text='a"\x1b[2J', real=0.5, none=None, on=True, many=[1, 2], map={}))
        for data in (
            b"",
            b"\xff" * 50,
            b"\xdd\xff\xff\xff\xff",
            b"\x91" * 100_000,
            b"\x95\x01",
            b"\xc1",
            b"\xd9\xff",
            message(1) + b"\x00",
            msgpack.packb([9, 0, 0, [], {}]),
            msgpack.packb([1, -1, 0, [], {"type": "Count/1"}]),
            msgpack.packb([1, 1, 0, [], {"n": 1}]),
            msgpack.packb([1, 1, 0, {}, []]),
        ):
            publisher.send(data)
        publisher.send(message(13))
        publisher.send(message(17))
        publisher.send(message(2))  # a new publisher's
        printed, said = subscriber.communicate(timeout=20)
    assert [values(line)["seq"] for line in printed.splitlines()] == ["0", "13", "17", "2"]
    assert printed.splitlines()[0].endswith(
        r'type="Count/1" n=-1 text="a\x22\x1b[2J" real=0.5 none=null on=true many=[2] map={0}'
    )
    assert said.count("refused: malformed\n") == 11
    assert said.count("refused: version\n") == 1
    assert "lost: 3 before seq 17\n" in said
    assert said.endswith("4 received, 3 lost, 12 refused\n")


def test_subscribe_may_come_first_and_outlives_its_publisher(c, graph):
    with running(c / "subscribe", "door", "count", 2) as subscriber:
        for life in (1, 2):
            publisher = Publisher("door", "count", Count)
            until(lambda publisher=publisher: publisher.subscribers)
            publisher.send(Count(n=life))
            assert f" n={life}\n" in subscriber.stdout.readline()
            publisher.close()
        assert subscriber.wait(20) == 0
        assert subscriber.stderr.read() == "2 received, 0 lost, 0 refused\n"
        subscriber.stdout.close()


@pytest.mark.parametrize("announced", [[], ["announce"]], ids=["silent", "announced"])
@pytest.mark.parametrize("first", ["publisher", "subscriber"])
def test_a_c_publisher_is_found(c, graph, run_dir, announced, first):
    place = run_dir / "door" / "count"
    subscriber = Subscriber("door", "count", Count) if first == "subscriber" else None
    with running(c / "publish", "door", "count", 100, 0, *announced) as publisher:
        if subscriber is None:
            until(lambda: place.is_socket() and (not announced or topics.announcement("door", "count")))
            subscriber = Subscriber("door", "count", Count)
        got = [subscriber.wait(10) for _ in range(5)]
        told = topics.announcement("door", "count")
        assert (told and (told.topic, told.type, told.pid, told.lane)) == (
            ("count", "Count/1", publisher.pid, None) if announced else None
        )
        assert place.stat().st_mode & 0o077 == 0
    assert [e.seq for e in got] == [got[0].seq + n for n in range(5)]
    assert all(e.body.n == e.seq + 1 and e.body.stamp == e.sent and e.cause == () for e in got)
    assert not subscriber.lost
    subscriber.close()
    assert os.listdir(place.parent) == []


def test_a_c_publishers_type_is_checked(c, graph):
    subscriber = Subscriber("door", "count", Faces)
    with running(c / "publish", "door", "count", 100):
        until(lambda: subscriber.receive() is None and subscriber.lost["wrong type"] >= 3)
    assert (subscriber.received, set(subscriber.lost)) == (0, {"wrong type"})
    subscriber.close()


def test_what_is_lost_of_a_c_publisher_is_counted(c, graph):
    subscriber = Subscriber("door", "count", Count, keep=4)
    with running(c / "publish", "door", "count", 2000, 1000) as publisher:
        first = subscriber.wait(10)
        assert publisher.wait(20) == 0
    rest = list(iter(subscriber.receive, None))
    assert rest[-1].seq == 999
    assert subscriber.lost["overrun"] == 1000 - first.seq - 1 - len(rest) > 0
    assert set(subscriber.lost) == {"overrun"}
    subscriber.close()


def test_a_c_publisher_that_is_killed_and_starts_again_is_found(c, graph):
    subscriber = Subscriber("door", "count", Count)
    for _ in range(3):
        with running(c / "publish", "door", "count", 50) as publisher:
            assert until(subscriber.receive).seq < 60, "the number is not a new publisher's"
            until(lambda: (e := subscriber.receive()) and e.seq >= 60)
            publisher.kill()
            publisher.wait(10)
        list(iter(subscriber.receive, None))
    assert not subscriber.lost
    subscriber.close()


def test_a_second_c_publisher_does_not_take_the_place_of_the_first(c, graph, run_dir):
    with running(c / "publish", "door", "count", 100) as first:
        until((run_dir / "door" / "count").is_socket)
        assert run(c / "publish", "door", "count") == (
            1,
            "",
            f"ipc://{run_dir}/door/count: Address in use\n",
        )
        assert first.poll() is None


def test_a_publisher_of_our_own_takes_over_from_a_c_publisher(c, graph):
    subscriber = Subscriber("door", "count", Count)
    with running(c / "publish", "door", "count", 100, 0, "announce"):
        assert until(subscriber.receive).body.n
    list(iter(subscriber.receive, None))
    publisher = Publisher("door", "count", Count)
    until(lambda: subscriber.connected and publisher.subscribers)
    publisher.send(Count(n=-5))
    assert subscriber.wait(10).body.n == -5
    assert not subscriber.lost
    publisher.close()
    subscriber.close()


def test_a_hostile_c_publisher_is_counted_and_does_no_harm(c, graph):
    subscriber = Subscriber("door", "count", Count)
    with running(c / "hostile", "door", "count"):
        until(lambda: subscriber.receive() is None and subscriber.lost["version"] >= 3)
        until(lambda: subscriber.receive() is None and subscriber.lost["wrong type"] >= 3)
    list(iter(subscriber.receive, None))
    with running(c / "publish", "door", "count", 100):
        assert subscriber.wait(10).body.n
    # What it numbers as it likes also looks like gaps.
    assert set(subscriber.lost) - {"overrun"} == {"malformed", "version", "wrong type"}
    assert subscriber.lost["malformed"] >= 5 * 3 - 5
    subscriber.close()


def test_the_commands_show_what_a_c_publisher_announces(c, tmp_path):
    with up(write(tmp_path, "nodes: {count: {run: 'NODES:count'}}"), "--name", "g") as graph:
        graph.wait_for("count", "ready")
        with running(c / "publish", "g", "foreign", 50, 0, "announce") as publisher:
            until(lambda: topics.announcement("g", "foreign"))
            assert re.search(rf"foreign +Count/1 +pid {publisher.pid}\n", zuluko("list").stdout)
            echoed = zuluko("echo", "g/foreign", "-n", "2", "--wait", "10").stdout
    assert re.fullmatch(r"( +\d+ Count/1 stamp=\d+  n=\d+\n){2}", echoed)


LOCK = """\
nodes:
  count: {run: 'NODES:count'}
  rules: {run: never.rules.yaml}
  lock: {run: zuluko.actions.lock, in: {commands: rules}}
"""
UNLOCKED = {"type": "LockState/1", "state": "unlocked", "command": "first", "reason": "command.c"}
NEVER = "never: {when: count, if: [count.n < 0], max_age: 1s, do: {lock: {open_for: 1s}}}\n"


def test_command_opens_a_real_lock_once(c, tmp_path):
    (tmp_path / "never.rules.yaml").write_text(NEVER)
    with up(write(tmp_path, LOCK), "--name", "g") as graph:
        graph.wait_for("lock", "ready")
        with running(c / "subscribe", "g", "lock") as subscriber:
            subscriber.stdout.readline()  # a lock tells its state once a second: now it is heard
            assert run(c / "command", "g", "lock", "commands", 2, "first") == (0, "taken\n", "")
            until(lambda: values(subscriber.stdout.readline()).items() >= UNLOCKED.items())
            assert run(c / "command", "g", "lock", "commands", 2, "first") == (0, "again\n", "")
            assert run(c / "command", "g", "lock", "commands", 0) == (0, "taken\n", "")
            until(lambda: values(subscriber.stdout.readline())["state"] == "locked")
        assert graph.stop() == 0


def test_command_tells_a_refusal_and_when_nobody_answers(c, tmp_path):
    text = "nodes:\n  count: {run: 'NODES:count'}\n  pilot: {run: 'NODES:pilot', in: {counts: count}}\n"
    text += "  wheels: {run: 'NODES:wheels', in: {moves: pilot}}\n"
    with up(write(tmp_path, text), "--name", "g") as graph:
        graph.wait_for("wheels", "ready")
        refused = "refused: wrong type: 'LockCommand/1', expected Move/1\n"
        assert run(c / "command", "g", "wheels", "moves", 2) == (1, refused, "")
        assert run(c / "command", "g", "count", "moves", 2) == (1, "", "no answer: Timed out\n")


def test_the_programs_say_what_is_wrong(c, graph, run_dir):
    assert run(c / "subscribe", "door") == (1, "", "usage: subscribe GRAPH TOPIC [COUNT]\n")
    assert run(c / "subscribe", "attic", "x")[2] == f"{run_dir}/attic: no graph of this name runs\n"
    assert run(c / "subscribe", "door", "../x")[2].startswith("../x: no name of a graph or a topic")
    assert run(c / "subscribe", "door", "x" * 100)[2].endswith("longer than a socket's address\n")
    assert run(c / "publish", "door", "x", "0")[2] == "HZ: at least 1\n"
    assert run(c / "publish", "door", "x", "-1")[2] == "HZ: a whole number, and not so large\n"
    (run_dir / "door").chmod(0o755)
    assert run(c / "publish", "door", "x")[2].endswith("not a directory that only you can enter\n")


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_beside_the_lane_a_c_subscriber_gets_arrays_whole(c, graph):
    """Our own readers are told of a slot; over the socket the same picture goes with its bytes."""
    import numpy as np

    from zuluko.messages import Frame

    publisher = Publisher("door", "camera", Frame)
    ours = Subscriber("door", "camera", Frame)
    with running(c / "subscribe", "door", "camera", 1) as subscriber:
        until(lambda: publisher.subscribers == 2 and ours.connected)
        publisher.send(Frame(image=np.zeros((720, 1280, 3), "u1"), scene="owner"))
        assert ours.wait(10).body.image.shape == (720, 1280, 3)
        printed, said = subscriber.communicate(timeout=20)
    assert printed.endswith('type="Frame/1" stamp=0 image={3} scene="owner" jpeg=null\n')
    assert said == "1 received, 0 lost, 0 refused\n"
    ours.close()
    publisher.close()
