"""``zuluko up``, once its command line has been read: in a fresh interpreter, so that what read the command
line does not lie in the memory of the launcher and of every node that it forks.
"""

import errno
import json
import os
import signal
import sys

import msgspec

from zuluko.cli.say import fail

ORDER = "ZULUKO_UP"  # in the environment of the fresh interpreter: what it is to start


class Order(msgspec.Struct):
    """What the command line said."""

    graph: str
    sets: dict[str, str] = {}
    name: str = ""
    as_json: bool = False
    spawn: bool = False
    threads: bool = False
    record: str = ""


def begin_anew(order: Order) -> None:
    """Puts a fresh interpreter, called as this one was, in the place of this process; it finds the order.

    Ctrl-C waits until ``zuluko.cli.main`` is there again: Python's own start would answer with a traceback.
    """
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ[ORDER] = json.dumps(msgspec.structs.asdict(order))  # of any bytes that a path may have
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def obey(text: str) -> int:
    """Starts the graph of an order, and runs it to its end; the exit status."""
    order = msgspec.convert(json.loads(text), Order)
    from zuluko.bus.topics import TopicError, run_dir
    from zuluko.document import DocumentError
    from zuluko.launch import launchfile
    from zuluko.launch.graphlock import AlreadyRunningError

    try:
        graph = launchfile.load(
            launchfile.locate(order.graph), sets=order.sets, name=order.name or None, record=order.record
        )
        if order.threads:
            from zuluko.launch import threads

            return threads.run(graph)
        from zuluko.launch import spawned, view
        from zuluko.launch.supervisor import Supervisor

        style: view.Style = "json" if order.as_json else "auto"
        body = spawned.Spawn(order.sets, order.record) if order.spawn else None
        return Supervisor(graph, lambda events: view.watch(graph, events, style=style), body).run()
    except (DocumentError, AlreadyRunningError, TopicError) as error:
        fail(error)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"; make room under {run_dir()}, or set ZULUKO_RUN to a directory elsewhere" if full else ""
        fail(f"the graph cannot start: {error.strerror or error}{remedy}")
