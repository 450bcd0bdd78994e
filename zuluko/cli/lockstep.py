"""``zuluko replay LOG GRAPH --lockstep``: what the nodes say by the log's time, and whether it is what they
said before."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from zuluko.cli.say import fail

if TYPE_CHECKING:
    from zuluko.bus.log_reader import LogReader
    from zuluko.launch.chain import Link
    from zuluko.launch.lockstep import Lockstep
    from zuluko.launch.parting import Parting
    from zuluko.nodes.player import Timeline

INTERRUPTED = 130  # 128 + SIGINT
SEED = "PYTHONHASHSEED"  # in the environment: in what order a set gives its texts


@dataclass
class Wish:
    """What the command line said; ``span`` is its --from and --to."""

    graph: str
    sets: list[str]
    name: str
    only: list[str]
    without: list[str]
    act: list[str]
    span: list[str]
    out: Path | None
    chain: Path | None
    against: Path | None
    twice: bool
    as_json: bool


def begin_anew() -> None:
    """Has Python order sets alike on every run: what is random about that is settled when it starts."""
    if os.environ.get(SEED, "random") == "random":
        sys.stdout.flush()
        os.environ[SEED] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def run(reader: "LogReader", timeline: "Timeline", wish: Wish) -> NoReturn:
    """Runs the graph over the log, and exits: with 1 where two runs part. Ctrl-C leaves a whole log of what
    was said, and a chain that has no end."""
    from zuluko.cli.top import ends_quietly

    with ends_quietly(), tempfile.TemporaryDirectory(prefix="zuluko-") as folder:
        if wish.twice and not wish.out:
            wish.out = Path(folder) / "first.mcap"
        told = _once(reader, timeline, wish)
        if wish.twice:
            told["parts"] = _again(reader.path, wish)
        print(json.dumps(told) if wish.as_json else "\n".join(_lines(told, wish)))
        sys.exit(1 if told["parts"] else 0)
    sys.exit(INTERRUPTED)


def _once(reader: "LogReader", timeline: "Timeline", wish: Wish) -> dict[str, Any]:
    from zuluko.cli.graphs import _load
    from zuluko.document import DocumentError
    from zuluko.launch import held
    from zuluko.launch.chain import ChainError
    from zuluko.launch.fork import print_error
    from zuluko.launch.lockstep import Lockstep, LockstepError
    from zuluko.launch.record_entry import leave_out
    from zuluko.launch.replayed import ReplayError, stand_in

    begun = time.monotonic(), time.process_time()
    checked = _load(wish.graph, wish.sets, wish.name, sparing=True)
    leave_out(checked)
    try:
        found = stand_in(checked, reader, timeline, only=wish.only, without=wish.without, act=wish.act)
        if found:
            print(held.sentence(found), file=sys.stderr, flush=True)
        with ExitStack() as stack:
            follow, end = _followers(reader, wish, stack)
            done = Lockstep(checked, wish.out, follow=follow, tell=_tell)
            stack.callback(_tell_leaks, done)
            done.run()
            parts = end(done)
    except (ReplayError, ChainError, DocumentError) as error:
        fail(error)
    except LockstepError as error:
        print_error(error.__cause__ or error)
        fail(error)
    return {
        "messages": done.said,
        "digests": done.chain.topics,
        "sha256": done.digest,
        "seconds": round((timeline.end - timeline.start) / 1e9, 3),
        "took": round(time.monotonic() - begun[0], 3),
        "cpu": round(time.process_time() - begun[1], 3),
        "leaks": [leak._asdict() for leak in done.leaks],
        "parts": parts,
    }


def _followers(
    reader: "LogReader", wish: Wish, stack: ExitStack
) -> "tuple[Callable[[Link, bytes], None], Callable[[Lockstep], str]]":
    """What follows the messages, and what says at the end where the run parts from an earlier one."""
    from zuluko.launch.chain import ChainFile
    from zuluko.launch.parting import parting

    before: Parting | None = parting(wish.against, reader.span[0]) if wish.against else None
    if before:
        stack.callback(before.close)
    kept = stack.enter_context(ChainFile(wish.chain)) if wish.chain else None

    def follow(link: "Link", data: bytes) -> None:
        if kept:
            kept.add(link)
        if before:
            before.see(link, data)

    def end(done: "Lockstep") -> str:
        if kept:
            kept.end(done.chain)
        if before:
            before.end()
        return before.told if before else ""

    return follow, end


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _tell_leaks(done: "Lockstep") -> None:
    for leak in done.leaks:
        print(leak, file=sys.stderr)


def _again(log: Path, wish: Wish) -> str:
    """Runs it once more, in a process in which sets have another order; says where the two part."""
    given = [
        *(f"--set={one}" for one in wish.sets),
        *(f"--only={one}" for one in wish.only),
        *(f"--without={one}" for one in wish.without),
        *(f"--act={one}" for one in wish.act),
        *([f"--name={wish.name}"] if wish.name else []),
        *wish.span,
    ]
    command = [sys.executable, "-m", "zuluko", "replay", str(log), wish.graph, "--lockstep", "--json", *given]
    seed = "1" if os.environ.get(SEED) != "1" else "2"
    done = subprocess.run(
        [*command, f"--against={wish.out}"],
        env={**os.environ, SEED: seed},
        check=False,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    try:
        return str(json.loads(lines[-1])["parts"])
    except (IndexError, ValueError, KeyError, TypeError):
        fail(f"the second run failed:\n{done.stderr.strip()}")


def _lines(told: dict[str, Any], wish: Wish) -> Iterator[str]:
    from zuluko.launch.chain import SHOWN

    for topic, count in told["messages"].items():
        yield f"{topic}: {count} message{'' if count == 1 else 's'}, {told['digests'][topic][:SHOWN]}"
    if told["parts"]:
        yield f"two runs part: {told['parts']}"
    elif wish.twice:
        yield "two runs say the same"
    elif wish.against:
        yield f"the same as {wish.against}"
    factor = told["seconds"] / max(told["took"], 0.001)
    took = f"{told['seconds']:.1f} s in {told['took']:.1f} s, {factor:.1f} times as fast"
    yield f"{took}; sha256 {told['sha256']}"
