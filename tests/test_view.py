"""How the view hears a graph."""

import socket
import threading
from types import SimpleNamespace

from tests.nodes_of_tests import Count
from tests.waiting import until
from zuluko.bus.publisher import Publisher
from zuluko.launch import view
from zuluko.launch.graphlock import GraphLock

BURST = view.MOST_AT_ONCE + 50


def test_a_burst_is_heard_to_its_end_without_another_message(run_dir, monkeypatch):
    monkeypatch.setattr(view, "REFRESH", 600_000)  # ms that what is left would wait
    lock, publisher = GraphLock("graph"), Publisher("graph", "count", Count)
    topics = (SimpleNamespace(name="count", kind=Count),)
    supervisor, events = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ears = view.Ears(SimpleNamespace(name="graph", topics=topics), events.detach())
    heard = []
    story = SimpleNamespace(hear=lambda topic, envelope, now: heard.append(envelope.body.n))
    for n in range(BURST):
        publisher.send(Count(n=n))
    thread = threading.Thread(target=ears.listen, args=(story,))
    thread.start()
    try:
        until(lambda: len(heard) == BURST)
    finally:
        supervisor.close()
        thread.join()
        ears.close()
    assert heard == list(range(BURST))
    publisher.close()
    lock.release()
