"""``zuluko why``: why a rule fired, or why it did not."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli import which
from zuluko.cli.top import ends_quietly
from zuluko.cli.which import Json, refuse

if TYPE_CHECKING:
    from zuluko.launch.recall import Memory, Recall

Rule = Annotated[
    str, typer.Argument(help="a rule, such as unlock, or node.rule; all unless given", metavar="[RULE]")
]
At = Annotated[
    str, typer.Option("--at", help="when: 12:03, 12:03:05.2, an ISO time, or -20s", metavar="TIME")
]
Last = Annotated[int, typer.Option("--last", "-n", help="tell the last so many outcomes, a line each", min=0)]
Graph = Annotated[str, typer.Option(help="a running graph; not needed where one runs", metavar="NAME")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="tell each new outcome, until Ctrl-C")]
Log = Annotated[Path | None, typer.Option("--log", help="ask a log instead", metavar="LOG")]


def why(
    rule: Rule = "",
    *,
    at: At = "",
    last: Last = 0,
    graph: Graph = "",
    as_json: Json = False,
    follow: Follow = False,
    log: Log = None,
) -> None:
    """Tell why a rule fired, or why it did not: clause by clause, and how old its evidence was."""
    from zuluko.bus.log_writer import LogError
    from zuluko.bus.topics import TopicError

    if sum((bool(at), bool(last), follow)) > 1:
        refuse("--at, --last and --follow exclude each other; write one of them", as_json, 2)
    if (at or last) and not rule:
        refuse("--at and --last need a rule: zuluko why RULE --at 12:03", as_json, 2)
    if log and (graph or follow):
        refuse("--log asks a log, --graph and --follow a running graph; write one of them", as_json, 2)
    try:
        if log:
            _answer(_logged(log, at, as_json), rule, at, last, as_json)
        else:
            with ends_quietly(), closing(_recall(which.graph(graph, as_json), follow, as_json)) as recall:
                if follow:
                    _follow(recall, rule, as_json)
                else:
                    _answer(recall, rule, at, last, as_json)
    except (TopicError, LogError, ValueError) as error:
        refuse(error, as_json)


def _answer(memory: "Memory", rule: str, at: str, last: int, as_json: bool) -> None:
    from zuluko.cli.why_answers import Answers

    answers = Answers(memory, as_json=as_json)
    if not rule:
        answers.all()
    elif at:
        answers.at(rule, at)
    else:
        answers.last(rule, last)


def _follow(recall: "Recall", rule: str, as_json: bool) -> None:
    from zuluko.cli.why_answers import Answers

    Answers(recall, as_json=as_json).follow(rule, recall)
    print(f"the graph {recall.graph} has ended", file=sys.stderr)


def _logged(log: Path, at: str, as_json: bool) -> "Memory":
    """What a log remembers; of a moment, what is around it."""
    from zuluko.cli.moment import clock_time, moment
    from zuluko.launch.log_memory import LogMemory

    memory = LogMemory(log)
    if not memory.nodes:
        refuse(f"{log} has no decisions; record the rules node, too", as_json)
    if at:
        asked = moment(at, memory.end)
        if asked.end < memory.start or asked.start > memory.end:
            begin, end = clock_time(memory.start, memory.end), clock_time(memory.end, memory.end)
            refuse(f"{log} is from {begin} to {end}; {at} is not in it", as_json)
        memory.look_at(asked.start)
    return memory


def _recall(graph: str, follow: bool, as_json: bool) -> "Recall":
    """What a running graph remembers; exits with a sentence where it has no rules."""
    from zuluko.launch import status
    from zuluko.launch.recall import Recall

    status.share_clock(graph)
    told = status.read(graph)
    if told is None:
        refuse(
            f"the graph {graph} has not said what it runs; it may be about to start or to end, try again",
            as_json,
        )
    recall = Recall(told, follow=follow)
    if not recall.nodes:
        recall.close()
        refuse(
            f"the graph {graph} has no rules; docs/rules.md tells how to write the first, for {told.file}",
            as_json,
        )
    return recall
