"""``zuluko rules``: rules over recorded logs: what they would do, what would change, what was never tried,
and a picture of one."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli.which import Json, refuse

if TYPE_CHECKING:
    from zuluko.actions.coverage import RuleCoverage
    from zuluko.actions.timeline import Timeline
    from zuluko.actions.trails import Trail
    from zuluko.launch.trial import Labels, Recorded, Trial, Tried
    from zuluko.launch.trial_rules import Named

app = typer.Typer(help="Try rules over recorded logs.", no_args_is_help=True)

Rules = Annotated[
    str, typer.Argument(help="a rule file, ./FILE.py[:RULE], a launch file or a stock graph", metavar="RULES")
]
Old = Annotated[
    str, typer.Argument(help="rules likewise, or `recorded`: what the log says was decided", metavar="OLD")
]
New = Annotated[str, typer.Argument(help="the rules that are to be compared with them", metavar="NEW")]
Rule = Annotated[str, typer.Argument(help="a rule, such as unlock, or node.rule", metavar="RULE")]
Log = Annotated[Path, typer.Argument(help="a log, such as night.mcap", metavar="LOG")]
Logs = Annotated[list[Path], typer.Argument(help="one or several logs", metavar="LOG...")]
Set = Annotated[list[str], typer.Option("--set", help="a parameter of the rules", metavar="NAME=VALUE")]
SetNew = Annotated[list[str], typer.Option("--set", help="a parameter of NEW", metavar="NAME=VALUE")]
SetOld = Annotated[list[str], typer.Option("--set-old", help="a parameter of OLD", metavar="NAME=VALUE")]
Types = Annotated[
    list[str], typer.Option("--types", help="a module or file with your own types", metavar="./FILE.py")
]
Only = Annotated[str, typer.Option("--rule", help="only this rule", metavar="RULE")]
All = Annotated[bool, typer.Option("--all", "-a", help="tell each other outcome, too, as it begins")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="a log to write what they say", metavar="OUT.mcap")
]
Within = Annotated[
    str, typer.Option(help="what moved by no more is not one less and another more", metavar="TIME")
]
Of = Annotated[
    str, typer.Option("--rules", help="rules to run; else what the log says was decided", metavar="RULES")
]
Picture = Annotated[
    Path | None, typer.Option("--out", "-o", help="the file: .html or .png; RULE.html", metavar="FILE")
]
Force = Annotated[bool, typer.Option("--force", help="take the place of a file that exists")]
From = Annotated[str, typer.Option("--from", help="from so long after the beginning: 12s", metavar="TIME")]
To = Annotated[str, typer.Option("--to", help="to so long after the beginning: 15s", metavar="TIME")]

FOUND, WRONG = 1, 2  # exit status: there is a difference or a gap; the input cannot be used
RECORDED = "recorded"
AS_LIVE = 0.1  # s that one firing may be apart in a graph that ran and over the log of it


@app.command()
def run(  # noqa: PLR0917
    rules: Rules,
    log: Log,
    rule: Only = "",
    set_: Set = [],  # noqa: B006
    types: Types = [],  # noqa: B006
    all_: All = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Print what rules would have done over a log: a line a firing, and how often what came of each rule.

    They read what was recorded: a lock that they would have opened stays as it was.
    """
    from zuluko.cli.rules_told import Told

    with _sentences(as_json):
        trial = _trial(rules, log, set_, types, rule)
        labels = trial.labels(rule)
        told = Told(trial, labels, as_json=as_json)
        acts = trial.follow(labels, lambda trail: told.hear(trail, others=all_), out=out)
    told.print(acts)
    for leak in trial.leaks:
        print(leak, file=sys.stderr)


@app.command()
def diff(  # noqa: PLR0917
    old: Old,
    new: New,
    log: Log,
    rule: Only = "",
    set_: SetNew = [],  # noqa: B006
    set_old: SetOld = [],  # noqa: B006
    types: Types = [],  # noqa: B006
    within: Within = "2s",
    as_json: Json = False,
) -> None:
    """Print what other rules would change over a log: firings more, fewer, moved, with other commands.

    The exit status is 0 where both do the same, 1 where they do not, 2 where the input cannot be used.
    """
    from zuluko.cli.log import seconds
    from zuluko.cli.rules_diff import Comparison

    with _sentences(as_json):
        trial = _trial(new, log, set_, types, rule)
        before: Tried = _recorded(log, types) if old == RECORDED else _trial(old, log, set_old, types, rule)
        compared = Comparison(
            before, trial, rule, within=seconds("--within", within) or 0.0, same=AS_LIVE * (old == RECORDED)
        )
    compared.print(old, new, as_json=as_json)
    sys.exit(FOUND if compared.found else 0)


@app.command()
def coverage(  # noqa: PLR0917
    rules: Rules,
    logs: Logs,
    rule: Only = "",
    set_: Set = [],  # noqa: B006
    types: Types = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Tell which clauses were never true or never false over some logs, and which rules never fired.

    The exit status is 0 where there are none, 1 where there are, 2 where the input cannot be used.
    """
    from zuluko.cli import rules_told

    with _sentences(as_json):
        found = _covered([_trial(rules, log, set_, types, rule) for log in logs], rule)
    print("\n".join(rules_told.coverage(found, logs, as_json=as_json)))
    sys.exit(FOUND if any(one.gaps for one in found) else 0)


@app.command()
def plot(  # noqa: PLR0917
    rule: Rule,
    log: Log,
    rules: Of = "",
    set_: Set = [],  # noqa: B006
    types: Types = [],  # noqa: B006
    out: Picture = None,
    start: From = "",
    end: To = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw a rule over time: its clauses as bars, the values that they read with their limits, its firings.

    A page (.html) needs nothing but a browser and tells why; a picture (.png) needs zuluko[plot].
    """
    if set_ and not rules:
        refuse("--set is for rules that are run; name them: --rules FILE", as_json, WRONG)
    with _sentences(as_json):
        trial: Tried = _trial(rules, log, set_, types, rule) if rules else _recorded(log, types)
        labels = trial.labels(rule)
        line = _timeline(trial, labels, start, end)
        if not line.evaluations:
            refuse(f"{line.rule} was not evaluated in this part of {log}", as_json, WRONG)
        file = out or Path(f"{line.rule}.html")
        _draw(line, file, force, as_json)
    told = {"ok": True, "file": str(file), "rule": line.rule, "fired": len(line.fired)}
    print(json.dumps(told) if as_json else f"{file}: {line.title}")


@contextmanager
def _sentences(as_json: bool) -> Iterator[None]:
    """What is wrong with the input is said, and ends the command."""
    from zuluko.actions.timeline_png import DrawingError
    from zuluko.bus.log_writer import LogError
    from zuluko.document import DocumentError
    from zuluko.launch.fork import print_error
    from zuluko.launch.lockstep import LockstepError
    from zuluko.launch.replayed import ReplayError
    from zuluko.launch.trial_rules import TrialError

    try:
        yield
    except LockstepError as error:
        if not as_json:
            print_error(error.__cause__ or error)
        refuse(error, as_json, WRONG)
    except (TrialError, ReplayError, DocumentError, LogError, DrawingError) as error:
        refuse(error, as_json, WRONG)


def _trial(rules: str, log: Path, sets: list[str], types: list[str], rule: str) -> "Trial":
    from zuluko.cli.graphs import _values
    from zuluko.launch.trial import Trial

    trial = Trial(rules, log, sets=_values(sets), types=types, rule=rule)
    if trial.silent:
        print(f"{log} has nothing on {', '.join(trial.silent)}, which {rules} reads", file=sys.stderr)
    return trial


def _recorded(log: Path, types: list[str]) -> "Recorded":
    from zuluko.launch.trial import Recorded
    from zuluko.launch.trial_rules import load_types

    load_types(types)
    return Recorded(log)


def _covered(trials: "list[Trial]", wanted: str) -> "list[RuleCoverage]":
    """How often each clause was what, over all logs."""
    from zuluko.actions.coverage import RuleCoverage

    found: dict[str, RuleCoverage] = {}
    for trial in trials:
        labels = trial.labels(wanted)
        of = {pair: found.setdefault(label, RuleCoverage(label)) for pair, label in labels.items()}
        counted = trial.count({pair: one.wrap for pair, one in of.items()})
        trial.follow(labels, partial(_count, of, counted))
    return list(found.values())


def _count(of: "Mapping[Named, RuleCoverage]", counted: "set[Named]", trail: "Trail") -> None:
    of[trail.rule].hear(trail.decision, clauses=trail.rule not in counted)


def _timeline(trial: "Tried", labels: "Labels", start: str, end: str) -> "Timeline":
    from zuluko.actions.timeline import Timeline
    from zuluko.cli.log import seconds

    first, last = seconds("--from", start), seconds("--to", end)
    begin = trial.start + round((first or 0.0) * 1e9)
    until = trial.end if last is None else min(trial.end, trial.start + round(last * 1e9))
    (label,) = labels.values()
    line = Timeline(label, trial.log.name, trial.start, begin, until)
    line.close(trial.follow(labels, line.hear))
    return line


def _draw(line: "Timeline", file: Path, force: bool, as_json: bool) -> None:
    from zuluko.actions import album
    from zuluko.actions.timeline_html import html
    from zuluko.actions.timeline_png import png
    from zuluko.cli.moment import clock_time

    if file.suffix not in (".html", ".png"):
        refuse(f"{file} must end in .html, for a page, or in .png, for a picture", as_json, WRONG)
    if file.exists() and not force:
        refuse(f"{file} exists already; choose another name, or replace it with --force", as_json, WRONG)
    drawn = png(line) if file.suffix == ".png" else html(line, lambda at: clock_time(at, line.end)).encode()
    try:
        album.write(file, drawn)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror}", as_json, WRONG)
