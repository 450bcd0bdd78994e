"""Groups: nodes that share a process and hand each other messages by reference."""

import json
import os
import signal

import numpy as np
import pytest

from tests.running import alive, up, write, zuluko
from tests.waiting import until
from zuluko.bus import topics
from zuluko.bus.local import LocalEdge, edges, hand_over
from zuluko.bus.poller import Poller
from zuluko.bus.wire import Envelope
from zuluko.messages import Faces, Frame

PAIR = """
nodes:
  pictures: {run: "NODES:picturing", limit: LIMIT, group: eye}
  looking: {run: "NODES:looking", in: {pictures: pictures}, group: eye}
"""


def test_a_group_is_one_process_and_loses_nothing(tmp_path, run_dir):
    with up(write(tmp_path, PAIR.replace("LIMIT", "30"))) as graph:
        processes = until(lambda: len(graph.children()) == 2 and graph.children())
        assert set(processes) == {"view", "eye"}
        assert graph.end() == 0
    assert graph.summary["messages"] == {"pictures": 30, "looking": 30}
    assert graph.told("looking", "ready")
    assert graph.told("eye", "looking ended")
    assert os.listdir(run_dir) == []


def test_pictures_are_handed_over_where_they_lie(tmp_path):
    with up(write(tmp_path, PAIR.replace("LIMIT", "100000"))) as graph:
        graph.wait_for("looking", "ready")
        lines = zuluko("echo", "looking", "-n", "5", "--json").stdout.splitlines()
        assert graph.stop() == 0
    told = [json.loads(line)["body"]["text"].split() for line in lines]
    assert {whole for _, _, whole in told} == {"True"}
    assert len({pid for pid, _, _ in told}) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_every_node_of_a_group(tmp_path, number):
    with up(write(tmp_path, PAIR.replace("LIMIT", "100000"))) as graph:
        graph.wait_for("looking", "ready")
        pids = graph.children()
        assert graph.stop(number) == 0
    assert graph.told("eye", "looking ended")
    assert not graph.told("eye", "does not stop")
    assert not any(map(alive, pids.values()))


def test_a_killed_group_comes_back(tmp_path):
    with up(write(tmp_path, PAIR.replace("LIMIT", "100000"))) as graph:
        graph.wait_for("looking", "ready")
        os.kill(graph.children()["eye"], signal.SIGKILL)
        died = graph.wait_for("eye", "died (killed by SIGKILL); it starts again in 0.1 s")
        graph.wait_for("looking", "ready", died)


def test_when_one_node_of_a_group_fails_the_group_starts_again(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", group: both}
  crashing: {run: "NODES:crashing", in: {counts: count}, group: both}
"""
    with up(write(tmp_path, text)) as graph:
        graph.wait_for("both", "RuntimeError: it broke")
        died = graph.wait_for("both", "died (exit status 1)")
        graph.wait_for("crashing", "ready", died)


def test_a_source_in_a_group_that_ends_ends_the_graph_when_all_have_heard(tmp_path):
    text = """
nodes:
  count: {run: "NODES:count", limit: 10, group: both}
  double: {run: "NODES:double", in: {counts: count}, group: both}
  show: {run: "NODES:show", in: {counts: double, last: double}}
"""
    with up(write(tmp_path, text)) as graph:
        assert graph.end() == 0
    shown = [
        event["text"] for event in graph.events if event.get("who") == "show" and "shown" in event["text"]
    ]
    assert shown == [f"shown {2 * n}" for n in range(1, 11)]


def test_a_full_edge_drops_the_oldest_and_counts_it():
    topics.graph_dir("g")
    poller = Poller("g")
    queue, latest = LocalEdge("g", "t", keep=4, poller=poller), LocalEdge("g", "t", keep=1, poller=poller)
    asked = LocalEdge("g", "t", keep=1, poller=poller, latched=True)
    for seq in range(10):
        hand_over(edges("g", "t"), Envelope(1, seq, 0, (), Faces(stamp=seq)))
    assert [envelope.seq for envelope in iter(queue.receive, None)] == [6, 7, 8, 9]
    assert [envelope.seq for envelope in iter(latest.receive, None)] == [9]
    assert [envelope.seq for envelope in iter(asked.receive, None)] == [9]
    assert (queue.lost, latest.lost, asked.lost) == ({"overrun": 6}, {"skipped": 9}, {})
    for edge in (queue, latest, asked):
        edge.close()
    hand_over(edges("g", "t"), Envelope(1, 0, 0, (), Faces()))
    assert queue.receive() is None
    poller.close()


def test_what_is_handed_over_cannot_be_written_any_more_and_what_lies_beside_it_can():
    poller = Poller("door")
    edge = LocalEdge("door", "topic", keep=4, poller=poller)
    memory, store = np.ones((4, 4, 3), "u1"), np.ones((8, 4, 4, 3), "u1")
    for image in (memory[:], store[0]):
        hand_over(edges("door", "topic"), Envelope(1, 0, 0, (), Frame(image=image)))
    with pytest.raises(ValueError, match="read-only"):
        memory[:] = 2
    store[1] = 2
    assert all((edge.receive().body.image == 1).all() for _ in range(2))
    edge.close()
    poller.close()


def test_an_edge_that_ends_while_a_message_is_handed_over_is_passed_over():
    topics.graph_dir("g")
    pollers = [Poller("g"), Poller("g")]
    first, second = (LocalEdge("g", "ending", keep=4, poller=poller) for poller in pollers)

    def end():
        second.close()
        pollers[1].close()

    pollers[0].ring = end
    hand_over(edges("g", "ending"), Envelope(1, 0, 0, (), Faces()))
    assert first.receive() is not None
    first.close()
    pollers[0].close()
