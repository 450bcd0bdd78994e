"""``zuluko why``: why a rule fired, or why it did not."""

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli import which
from zuluko.cli.top import ends_quietly
from zuluko.cli.which import Json, refuse

if TYPE_CHECKING:
    from zuluko.launch.recall import Recall

Rule = Annotated[
    str, typer.Argument(help="a rule, such as unlock, or node.rule; all unless given", metavar="[RULE]")
]
At = Annotated[
    str, typer.Option("--at", help="when: 12:03, 12:03:05.2, an ISO time, or -20s", metavar="TIME")
]
Last = Annotated[int, typer.Option("--last", "-n", help="tell the last so many outcomes, a line each", min=0)]
Graph = Annotated[str, typer.Option(help="a running graph; not needed where one runs", metavar="NAME")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="tell each new outcome, until Ctrl-C")]


def why(
    rule: Rule = "",
    *,
    at: At = "",
    last: Last = 0,
    graph: Graph = "",
    as_json: Json = False,
    follow: Follow = False,
) -> None:
    """Tell why a rule fired, or why it did not: clause by clause, and how old its evidence was."""
    from zuluko.bus.topics import TopicError

    if sum((bool(at), bool(last), follow)) > 1:
        refuse("--at, --last and --follow exclude each other; write one of them", as_json, 2)
    if (at or last) and not rule:
        refuse("--at and --last need a rule: zuluko why RULE --at 12:03", as_json, 2)
    try:
        with ends_quietly(), closing(_recall(which.graph(graph, as_json), follow, as_json)) as recall:
            from zuluko.cli.why_answers import Answers

            answers = Answers(recall, as_json=as_json)
            if follow:
                answers.follow(rule, recall)
                print(f"the graph {recall.graph} has ended", file=sys.stderr)
            elif not rule:
                answers.all()
            elif at:
                answers.at(rule, at)
            else:
                answers.last(rule, last)
    except TopicError as error:
        refuse(error, as_json)


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
