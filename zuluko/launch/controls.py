"""The other end of a running graph's control socket: asking, and reading the answer."""

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import msgspec

from zuluko.launch import control
from zuluko.launch.graphlock import running
from zuluko.launch.status import Status
from zuluko.messages import Result

LARGEST = 4 << 20  # bytes of a line that a supervisor may answer
PATIENCE = 5.0  # s for what a supervisor knows at once
LONGEST_CHANGE = 180.0  # s: a trial, a stop, a start that fails and the one after it, of starved nodes
LONGEST = 0.25  # s that lines are gathered before they are put into their order, of a node that never pauses
QUIET = 0.05  # s without a line, after which they are so at once

Answer = dict[str, Any]


class ControlError(RuntimeError):
    """A supervisor that cannot be asked, or that gives no answer; says what to do."""


class SilentError(ControlError):
    """A supervisor that has not answered in time."""


class Question:
    """One request and what is answered, line by line as it comes."""

    def __init__(self, graph: str, request: Answer) -> None:
        self.graph = graph
        self.ended = False
        self._unfinished = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(str(control.path(graph)))
            with suppress(BrokenPipeError):  # it has answered unasked that it is too busy
                self._socket.sendall(msgspec.json.encode(request) + b"\n")
        except TimeoutError:
            self._socket.close()
            raise SilentError(_silent(graph)) from None
        except OSError as error:
            self._socket.close()
            raise ControlError(
                f"the graph {graph} cannot be asked ({error.strerror}); see whether it runs with: zuluko list"
            ) from None

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self, patience: float | None) -> list[Answer]:
        """The lines that have come; waits for more, but no longer than ``patience`` s, else SilentError."""
        self._socket.settimeout(patience)
        try:
            data = self._socket.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            raise SilentError(_silent(self.graph)) from None
        except ConnectionError:
            data = b""
        self.ended = not data
        *whole, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(self._unfinished) > LARGEST:
            raise ControlError(f"the supervisor of {self.graph} answers with a line without end")
        return [self._decoded(line) for line in whole]

    def rest(self) -> Iterator[Answer]:
        """All that is answered."""
        while not self.ended:
            yield from self.read(PATIENCE)

    def _decoded(self, line: bytes) -> Answer:
        try:
            return msgspec.json.decode(line, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise ControlError(f"the supervisor of {self.graph} answers with what is no JSON") from None

    def __enter__(self) -> "Question":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _silent(graph: str) -> str:
    what = f"the supervisor of {graph} does not answer"
    pid = running(graph)
    return f"{what}; if it goes on like that, end it with all its nodes: kill -9 {pid}" if pid else what


def ask(graph: str, patience: float = PATIENCE, **request: Any) -> Answer:
    """The one line that is answered within ``patience`` s, else SilentError. Raises ControlError."""
    deadline = time.monotonic() + patience
    with Question(graph, request) as question:
        while not question.ended:
            if lines := question.read(max(0.001, deadline - time.monotonic())):
                return lines[0]
    raise ControlError(f"the supervisor of {graph} has ended without an answer")


def status(graph: str) -> Status:
    """How a graph fares now. Raises ControlError."""
    told = ask(graph, do="status")
    try:
        return msgspec.convert(told, Status)
    except msgspec.ValidationError:
        other = f"the supervisor of {graph} is of another version of Zuluko; restart the graph"
        raise ControlError(told.get("what", other)) from None


def change(graph: str, node: str, name: str, value: Any) -> tuple[Result, str]:
    """What has become of another value for a node's parameter, and why where it is not done. It returns when
    the node runs with it, or does not."""
    try:
        told = ask(graph, LONGEST_CHANGE, do="set", node=node, name=name, value=value)
    except ControlError as error:
        return "failed", str(error)
    return told.get("outcome", "refused"), told.get("what", "")


def logs(graph: str, nodes: Sequence[str], last: int, follow: bool) -> Iterator[Answer]:
    """The ``last`` log lines of each of the nodes (of all together where none is named), by time; with
    ``follow`` those that come, until the graph ends."""
    with ExitStack() as stack:
        wanted = [{"do": "logs", "node": node, "last": last, "follow": follow} for node in nodes or [""]]
        questions = [stack.enter_context(Question(graph, request)) for request in wanted]
        if not follow:
            yield from _by_time(line for question in questions for line in question.rest())
            return
        while questions:
            select.select(questions, [], [])
            yield from _by_time(_together(questions))


def _by_time(lines: Iterable[Answer]) -> list[Answer]:
    """Each line once, though it may have been asked of two nodes of one group."""
    once = {(line.get("time", 0), line.get("node"), line.get("line")): line for line in lines}
    return sorted(once.values(), key=lambda line: line.get("time", 0))


def _together(questions: list[Question]) -> Iterator[Answer]:
    """The lines that come without a pause between them; drops who has ended."""
    end = time.monotonic() + LONGEST
    while questions and time.monotonic() < end:
        heard, _, _ = select.select(questions, [], [], QUIET)
        if not heard:
            return
        for question in heard:
            yield from question.read(0)
            if question.ended:
                questions.remove(question)
