"""What systemd hears of a graph, with a socket of our own in its place."""

import os
import signal
import socket
import time
from contextlib import contextmanager, suppress

import pytest

from tests.running import up, write
from tests.test_supervisor import CHAIN
from tests.test_supervisor_faults import graph_of
from tests.waiting import until
from zuluko.launch.child import Child
from zuluko.launch.graph import Entry
from zuluko.launch.health import AWAY, Health
from zuluko.launch.notify import Notify
from zuluko.launch.signature import Signature

WATCHDOG = 400_000  # us


class Ear:
    """Hears what is told at an address; called, it gives all of it. ``last`` is when the watchdog was fed."""

    def __init__(self, end):
        self.last = 0.0
        self._end, self._heard = end, []

    def __call__(self):
        with suppress(BlockingIOError):
            while True:
                self._heard.append(self._end.recv(4096).decode())
                if self._heard[-1] == "WATCHDOG=1":
                    self.last = time.monotonic()
        return self._heard


@contextmanager
def systemd(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as end:
        end.bind("\0" + address[1:] if address.startswith("@") else address)
        yield Ear(end)


def environment(address, **more):
    return {**os.environ, "NOTIFY_SOCKET": address, **more}


@pytest.mark.parametrize("abstract", [False, True])
def test_a_graph_says_when_it_is_ready_lives_and_stops(tmp_path, run_dir, abstract):
    address = f"@zuluko-test-{os.getpid()}" if abstract else str(run_dir / "notify")
    with (
        systemd(address) as listen,
        up(write(tmp_path, CHAIN), env=environment(address, WATCHDOG_USEC=str(WATCHDOG))) as graph,
    ):
        until(lambda: "READY=1" in listen())
        assert next(line for line in listen() if line.startswith("STATUS=")).startswith("STATUS=starting")
        until(lambda: "STATUS=ready" in listen())
        until(lambda: listen().count("WATCHDOG=1") > 3)
        assert graph.stop() == 0
        assert "STOPPING=1" in listen()
        assert listen().index("READY=1") < listen().index("STOPPING=1")


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(tmp_path, run_dir):
    address = str(run_dir / "notify")
    wanted = environment(address, WATCHDOG_USEC=str(WATCHDOG), WATCHDOG_PID="1")
    with systemd(address) as listen, up(write(tmp_path, CHAIN), env=wanted) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        assert graph.stop() == 0
        assert "READY=1" in listen()
        assert "WATCHDOG=1" not in listen()


def test_a_graph_is_not_ready_before_what_must_run_is_and_says_what_it_waits_for(tmp_path, run_dir):
    address = str(run_dir / "notify")
    file = graph_of(tmp_path, never='run: "FAULTY:never", in: {ticks: every 50ms}, mark: /')
    wanted = environment(address, WATCHDOG_USEC=str(WATCHDOG))
    with systemd(address) as listen, up(file, env=wanted) as graph:
        graph.wait_for("never", "is not ready after 10 s; the others go on without it")
        until(lambda: "STATUS=starting; never is not ready after 10 s" in listen())
        assert "READY=1" not in listen()
        told = time.monotonic()
        until(
            lambda: listen() and listen.last > told, what="the watchdog, which a slow start does not starve"
        )


def test_the_watchdog_is_not_fed_while_what_must_run_is_away_for_long(tmp_path, run_dir):
    address, mark = str(run_dir / "notify"), tmp_path / "mark"
    file = graph_of(tmp_path, never='run: "FAULTY:never", in: {ticks: every 50ms}, mark: mark')
    wanted = environment(address, WATCHDOG_USEC=str(WATCHDOG))
    with systemd(address) as listen, up(file, env=wanted) as graph:
        until(lambda: "READY=1" in listen())
        mark.touch()
        os.kill(graph.children()["never"], signal.SIGKILL)
        graph.wait_for("never", "is not ready after 10 s")
        until(lambda: listen() and time.monotonic() - listen.last > 5 * WATCHDOG / 1e6)
        mark.unlink()
        os.kill(graph.children()["never"], signal.SIGKILL)
        until(lambda: listen() and time.monotonic() - listen.last < WATCHDOG / 1e6)


def test_what_systemd_gave_is_not_for_the_nodes(tmp_path, monkeypatch):
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", str(WATCHDOG))
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with systemd(address) as listen:
        notify = Notify()
        notify.beat(1.0, healthy=False)
        assert listen() == []
        notify.beat(1.3, healthy=True)
        notify.beat(1.4, healthy=True)
        notify.status("ready")
        notify.status("ready")
        notify.close()
        assert listen() == ["WATCHDOG=1", "STATUS=ready"]
    assert not os.environ.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


def test_without_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify = Notify()
    notify.ready()
    notify.beat(1.0, healthy=True)
    assert notify.due is None
    notify.close()


def test_a_systemd_that_has_gone_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify = Notify()
    notify.ready()
    notify.close()


def test_what_systemd_is_too_slow_for_is_told_later(tmp_path, monkeypatch):
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with systemd(address) as listen:
        notify = Notify()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            other.connect(address)
            with suppress(BlockingIOError):
                while True:
                    other.send(b"X=1")
        notify.status("starting")
        notify.ready()
        notify.status("ready")
        assert set(listen()) == {"X=1"}
        notify.beat(1.0, healthy=True)
        assert [line for line in listen() if line != "X=1"] == ["READY=1", "STATUS=ready"]
        notify.close()


def test_a_graph_is_healthy_while_a_node_has_time_to_start_and_while_it_stops():
    node = Child("node", (Entry("node", "a", print, Signature()),))
    health = Health({"node": node}, None)
    health._was_ready = True
    node.turn("starting")
    node.since -= round(2 * AWAY * 1e9)
    assert health.is_good
    node.late = True
    assert not health.is_good
    health.stop()
    assert health.is_good
