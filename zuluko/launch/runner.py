"""A process of nodes, from its fork to its exit status.

The supervisor forks, and the child calls ``main``. They talk over a socket of their own, one JSON object a
packet, with the node's name under ``node``: ``ready`` once, ``turned`` when its loop has turned, ``stats``
about once a second and at the end, and ``ended``; and ``runs``, which is told beside the loop, by the thread
with that number, and says no more than that Python runs.
"""

import faulthandler
import io
import logging
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

from zuluko.launch import fork
from zuluko.launch.fork import SIGNALS
from zuluko.launch.graph import Entry, Graph
from zuluko.launch.imported import Imported, renewed
from zuluko.launch.node import BEAT, TERMINATED, USER_MISTAKE, Node
from zuluko.launch.starvation import SOONEST, Starvation, Taken

GRACE = 3.0  # s from SIGTERM to SIGKILL
ORPHANED = 0.8  # s from the supervisor's death to that of its children; they got SIGTERM with it


def outlive_by(seconds: float, beat: Callable[[], None] | None = None) -> None:
    """Kills this process so long after its parent's death, if it is still there, with the group it leads; the
    time in which it had no core to end on does not count. ``beat`` is called about once a second while the
    parent lives."""
    parent = fork.parent or os.getppid()
    end = os.pidfd_open(os.getppid())

    def watch() -> None:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        while os.getppid() == parent and not poll.poll(round(BEAT * 1000) if beat else None):
            if beat:
                beat()
        _let_run(seconds)
        group = os.getpgrp() == os.getpid()
        os.killpg(0, signal.SIGKILL) if group else os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def _let_run(seconds: float) -> None:
    """Returns when this process has lived on for so long, and longer where it had no core."""
    begin, seen = time.monotonic(), Starvation()
    seen.begin(os.getpid(), begin)
    taken = Taken(0.0, 0.0, seconds)
    while not taken.too_long:
        time.sleep(SOONEST)
        now = time.monotonic()
        seen.look(os.getpid(), now, usual=SOONEST)
        taken = Taken(now - begin, seen.since(begin, loops=False), seconds)


def log_to_standard_error() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def forked(imported: Imported, graph: Graph, entries: Sequence[Entry], control: socket.socket) -> int:
    """Runs the nodes of a process as they are on the disk now, in the forked child; its exit status."""
    now, wrong = renewed(imported, entries)
    if wrong:
        print(wrong, file=sys.stderr)
        return USER_MISTAKE
    graph.entries.update((entry.name, entry) for entry in now)
    return main(graph, now, control)


def main(graph: Graph, entries: Sequence[Entry], control: socket.socket) -> int:
    """Runs the nodes of a process to their end; its exit status."""
    os.setpgid(0, 0)  # the terminal's Ctrl-C and hang-up are the supervisor's to act on
    faulthandler.enable()  # whoever crashes, or is aborted because it hangs, writes down where
    log_to_standard_error()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is printed is in the log at once, and in order
    for entry in entries:
        os.environ.update(entry.env)
    nodes = [Node(graph, entry, control) for entry in entries]

    def stop(*_: object) -> None:
        for node in nodes:
            node.stop()

    def beat() -> None:
        for node in nodes:
            node.beat_beside()

    signal.signal(signal.SIGTERM, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    outlive_by(ORPHANED, beat)
    return nodes[0].run() if len(nodes) == 1 else run_group(nodes)


def run_group(nodes: Sequence[Node]) -> int:
    """Runs nodes side by side, a thread each. When one fails, the others are stopped, and the group has
    failed."""
    results: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()

    def run(node: Node) -> None:
        try:
            results.put(node.run())
        except BaseException as error:
            results.put(error)

    for node in nodes:
        node.prepare()
    threads = [threading.Thread(target=run, args=(node,), name=node.name, daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    status, failure = 0, None
    for _ in threads:
        result = results.get()
        if isinstance(result, BaseException):
            failure = failure or result
        elif result:
            status = status or result
        if failure or status not in (0, TERMINATED):
            for node in nodes:
                node.stop()
    if failure:
        raise failure
    return status
