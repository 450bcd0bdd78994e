"""Reliable edges over the real bus, with the receiver absent, late, dying and lying."""

import os
import signal
import subprocess
import sys

import msgpack
import pynng
import pytest

from tests.waiting import until
from zuluko.bus import clock, commands, nng, topics
from zuluko.bus.commands import CommandReceiver, CommandSender
from zuluko.bus.nng import MOST_REFUSED
from zuluko.bus.wire import Encoder, Envelope
from zuluko.messages import Faces, LockCommand


@pytest.fixture(autouse=True)
def graph():
    topics.graph_dir("door")


@pytest.fixture
def ends():
    made = []

    def keep(end):
        made.append(end)
        return end

    yield keep
    for end in made:
        end.close()


def command(name):
    return Envelope(1, 0, clock.now(), (), LockCommand(id=name, open_for=3.0, stamp=5))


def receiver():
    return CommandReceiver("door", "lock", "commands", LockCommand)


def sender(**options):
    return CommandSender("door", "lock", "commands", **options)


def test_a_command_is_taken_and_acknowledged(ends):
    taking, sending = ends(receiver()), ends(sender())
    sending.send(command("a"))
    assert until(taking.receive).body == command("a").body
    until(lambda: sending.taken == 1)
    assert sending.failed == 0


def test_it_is_not_acknowledged_before_it_is_taken(ends):
    taking, sending = ends(receiver()), ends(sender(deadline=0.3))
    sending.send(command("a"))
    until(lambda: sending.failed == 1)
    assert sending.taken == 0
    assert taking.received == 0


def test_a_receiver_that_comes_late_gets_it_once(ends):
    sending = ends(sender())
    sending.send(command("a"))
    taking = ends(receiver())
    assert until(taking.receive).body.id == "a"
    until(lambda: sending.taken == 1)
    assert taking.receive() is None


def test_a_repetition_is_acknowledged_and_not_executed_twice(ends, run_dir):
    taking = ends(receiver())
    data = Encoder()(LockCommand(id="a"), seq=0, sent=clock.now())
    with pynng.Req0(dial=f"ipc://{run_dir}/door/lock.commands.commands", recv_timeout=5000) as foreign:
        foreign.send(data)
        assert until(taking.receive).body.id == "a"
        assert msgpack.unpackb(foreign.recv()) == [1, "taken"]
        foreign.send(data)
        until(lambda: taking.receive() is None and taking.repeated)
        assert msgpack.unpackb(foreign.recv()) == [1, "again"]
    assert taking.received == 1


def test_what_is_no_command_is_refused_and_told(ends, run_dir):
    taking = ends(receiver())
    with pynng.Req0(dial=f"ipc://{run_dir}/door/lock.commands.commands", recv_timeout=5000) as foreign:
        foreign.send(Encoder()(Faces(), seq=0, sent=0))
        until(lambda: taking.receive() is None and taking.lost)
        assert msgpack.unpackb(foreign.recv())[1].startswith("refused: wrong type: 'Faces/1'")
    assert dict(taking.lost) == {"wrong type": 1}


def test_a_flood_of_what_is_no_command_does_not_hold_the_node(ends, monkeypatch):
    taking = ends(receiver())
    monkeypatch.setattr(nng, "take", lambda _: b"\xff")
    assert taking.receive() is None
    assert taking.lost["malformed"] == MOST_REFUSED


def test_commands_keep_their_order(ends):
    taking, sending = ends(receiver()), ends(sender())
    for number in range(20):
        sending.send(command(f"c{number}"))
    got = []
    until(lambda: got.extend(iter(taking.receive, None)) or len(got) == 20)
    assert [e.body.id for e in got] == [f"c{number}" for number in range(20)]


def test_a_command_is_never_executed_after_its_time(ends, caplog):
    sending = ends(sender(deadline=0.2))
    for name in "abc":
        sending.send(command(name))
    until(lambda: sending.failed == 3)
    taking = ends(receiver())
    sending.send(command("d"))
    assert until(taking.receive).body.id == "d"
    old = Envelope(1, 0, clock.now() - 3_000_000_000, (), LockCommand(id="old"))
    sending.send(old)
    until(lambda: taking.receive() is None and taking.lost["too late"])
    until(lambda: "old did not reach lock: refused: it was sent 3.0 s ago, at most 2 s" in caplog.text)


def test_more_commands_than_may_wait_are_told(ends, caplog):
    sending = ends(sender(deadline=30))
    for number in range(commands.MOST_WAITING + 2):
        sending.send(command(f"c{number}"))
    assert "256 commands wait already" in caplog.text


def test_an_answer_that_cannot_be_read_is_a_failure_and_the_next_command_goes_out(ends, run_dir, caplog):
    with pynng.Rep0(listen=f"ipc://{run_dir}/door/lock.commands.commands", recv_timeout=5000) as foreign:
        sending = ends(sender())
        for name in "ab":
            sending.send(command(name))
        foreign.recv()
        foreign.send(b"\x92\x01\xa1\xff")
        foreign.recv()
        foreign.send(msgpack.packb([1, "taken"]))
        until(lambda: (sending.failed, sending.taken) == (1, 1))
    assert "command a did not reach lock: the answer cannot be read" in caplog.text


def test_nobody_there_is_told(ends, caplog):
    sending = ends(sender(deadline=0.2))
    sending.send(command("a"))
    until(lambda: sending.failed == 1)
    assert "command a did not reach lock: no answer within 0.2 s" in caplog.text


def test_a_receiver_that_closes_late_leaves_its_successor_where_it_is(ends):
    first, second = receiver(), ends(receiver())
    first.close()
    sending = ends(sender())
    sending.send(command("a"))
    assert until(second.receive).body.id == "a"
    until(lambda: sending.taken == 1)


def test_a_receiver_killed_before_it_takes_gets_it_when_it_is_back(ends):
    code = (
        "import signal, sys; from zuluko.bus.commands import CommandReceiver\n"
        "from zuluko.messages import LockCommand\n"
        "r = CommandReceiver('door', 'lock', 'commands', LockCommand)\n"
        "print('up', flush=True); signal.pause()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    sending = ends(sender(deadline=20))
    sending.send(command("a"))
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    taking = ends(receiver())
    assert until(taking.receive).body.id == "a"
    until(lambda: sending.taken == 1)


TAKES = """
import time
from zuluko.bus.commands import CommandReceiver
from zuluko.messages import LockCommand
receiver = CommandReceiver("door", "lock", "commands", LockCommand)
print("up", flush=True)
while True:
    if (envelope := receiver.receive()) is not None:
        print(envelope.body.id, flush=True)
    time.sleep(0.001)
"""


def test_a_receiver_killed_after_it_took_does_not_get_it_again(ends):
    child = subprocess.Popen([sys.executable, "-c", TAKES], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    sending = ends(sender())
    sending.send(command("a"))
    assert child.stdout.readline() == "a\n"
    until(lambda: sending.taken == 1)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    taking = ends(receiver())
    sending.send(command("b"))
    assert until(taking.receive).body.id == "b"
    assert taking.received == 1


def test_a_receiver_killed_among_many_gets_each_once_or_tells(ends):
    """Of the one that it was answering when it died, nobody can know; all others are taken once."""
    child = subprocess.Popen([sys.executable, "-c", TAKES], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    sending = ends(sender())
    for number in range(50):
        sending.send(command(f"c{number}"))
    first = [child.stdout.readline().strip() for _ in range(10)]
    os.kill(child.pid, signal.SIGKILL)
    first += child.communicate()[0].split()
    taking = ends(receiver())
    second = []
    until(lambda: second.extend(iter(taking.receive, None)) or sending.taken == 50)
    second = [envelope.body.id for envelope in second]
    assert sorted({*first, *second}) == sorted(f"c{number}" for number in range(50))
    assert len(first) + len(second) <= 51


def test_closing_does_not_wait_for_a_receiver_that_is_not_there():
    sending = sender(deadline=60)
    sending.send(command("a"))
    sending.close(patience=0.05)
    assert not sending._thread.is_alive()
    assert sending.taken == 0
