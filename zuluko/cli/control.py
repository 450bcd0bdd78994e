"""``zuluko restart`` and ``stop``: what another terminal can do to a graph that runs."""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from zuluko.cli import which
from zuluko.cli.which import Graph, Json, refuse

Node = Annotated[str, typer.Argument(help="a node, such as faces, or graph/node", metavar="NODE")]
Timeout = Annotated[float, typer.Option("--timeout", "-t", help="seconds to wait for it", min=0.1)]

NO_REASON = "the supervisor refuses, and does not say why"


def restart(node: Node, timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """Start one node of a running graph anew, and wait until it is ready again. The others go on."""
    from zuluko.bus.topics import TopicError
    from zuluko.launch import controls

    try:
        graph, names = which.nodes([node], as_json)
        if not names:
            refuse(f"name a node of {graph}, such as: zuluko restart {node}NODE", as_json, 2)
        with _interruptible(f"{names[0]} starts anew all the same; see how with: zuluko status {graph}"):
            answer = controls.ask(graph, timeout, do="restart", node=names[0])
    except controls.SilentError:
        what = f"{node} is not ready again within {timeout:g} s; see why with: zuluko logs {node}"
        refuse(what, as_json)
    except (TopicError, controls.ControlError) as error:
        refuse(error, as_json)
    if not answer.get("ok"):
        refuse(answer.get("what", NO_REASON), as_json)
    if as_json:
        print(json.dumps(answer))
    else:
        print(f"{names[0]} is {answer.get('state', 'ready')} after {answer.get('after', 0):.2f} s")


def stop(graph: Graph = "", timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """Stop a running graph, and wait until all of its processes have ended."""
    from zuluko.bus.topics import TopicError
    from zuluko.launch import controls
    from zuluko.launch.graphlock import running

    end, pid = time.monotonic() + timeout, 0
    try:
        name = which.graph(graph, as_json)
        pid = running(name) or 0
        with _interruptible(f"{name} goes on stopping; wait for it with: zuluko stop {name}"):
            answer = controls.ask(name, timeout, do="stop")
            ended = answer.get("ok") and _has_ended(pid, end - time.monotonic())
    except controls.SilentError:
        ended, answer = False, {"ok": True}
    except (TopicError, controls.ControlError) as error:
        if not _has_ended(pid, 1.0):  # else it ended by itself while it was asked
            refuse(error, as_json)
        ended, answer = True, {"ok": True}
    if not answer.get("ok"):
        refuse(answer.get("what", NO_REASON), as_json)
    if not ended:
        refuse(f"{name} has not stopped within {timeout:g} s; kill it with: kill -9 {pid}", as_json)
    print(json.dumps({"ok": True, "graph": name}) if as_json else f"{name} has stopped")


def _has_ended(pid: int, patience: float) -> bool:
    """Whether a process has ended within so many seconds; its name is free then for a new start."""
    with suppress(ProcessLookupError, ValueError):
        end = os.pidfd_open(pid)
        try:
            return bool(select.select([end], [], [], max(0.0, patience))[0])
        finally:
            os.close(end)
    return True


@contextmanager
def _interruptible(said: str) -> Iterator[None]:
    """Ctrl-C ends the waiting, not what was asked for; says so."""

    def interrupt(*_: object) -> None:
        print(said, file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
