"""What a test of rules and nodes needs, and no more: logs in, decisions and messages out.

    from zuluko.testing import decisions

    def test_the_door_opens_once_that_evening():
        fired = [one for one in decisions("door.rules.yaml", "evening.mcap") if one.outcome == "fired"]
        assert [one.rule for one in fired] == ["unlock"]

Nothing here needs pytest but ``zuluko.testing.fixtures``. All of it runs by the log's time, in the test's own
process, and gives the same on every run. What does not go together is an error whose text is a sentence.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zuluko.bus.log_writer import LogWriter
from zuluko.bus.message import Message
from zuluko.bus.wire import Decoder, Encoder
from zuluko.log import channel_of
from zuluko.messages import Decision

__all__ = ["Said", "decisions", "lockstep", "log_of"]


def decisions(
    rules: str | Path, log: str | Path, *, rule: str = "", types: Iterable[str] = (), **params: Any
) -> list[Decision]:
    """All that rules decide over a log, fired or not, in order: those of a rule file, of
    ``opener.py:unlock``, or of a launch file. They are asked and not obeyed, as by ``zuluko rules run``.

    ``rule``    only this one
    ``types``   modules or files that define message types of your own
    ``params``  the rules' parameters
    """
    from zuluko.launch.trial import Trial

    trial = Trial(str(rules), Path(log), sets=_typed(params), types=types, rule=rule)
    found: list[Decision] = []
    trial.follow(trial.labels(rule), lambda trail: found.append(trail.decision))
    return found


@dataclass(frozen=True)
class Said:
    """What the nodes of a graph said over a log: ``said["lock"]`` are the messages of one topic, in order.

    ``digest``  the SHA-256 of all of them, as ``zuluko replay --lockstep`` prints it
    ``leaks``   what got into the nodes from outside of the log, a sentence each
    """

    topics: Mapping[str, list[Any]]
    digest: str
    leaks: list[str]

    def __getitem__(self, topic: str) -> list[Any]:
        return self.topics.get(topic, [])


def lockstep(
    graph: str | Path,
    log: str | Path,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    act: Collection[str] = (),
    **params: Any,
) -> Said:
    """Runs a launch file or a stock graph over a log, which stands in for the nodes whose topics it holds,
    as ``zuluko replay LOG GRAPH --lockstep`` does.

    ``only``, ``without``  of those nodes, which the log stands in for, and which run all the same
    ``act``                those that act for real; the others that would are held back
    ``params``             the graph's parameters

    Raises LockstepError, with the node's own error as its cause, where a node fails.
    """
    from zuluko.bus.log_reader import LogReader
    from zuluko.launch import launchfile, record_entry, replayed
    from zuluko.launch.chain import Link
    from zuluko.launch.lockstep import Lockstep
    from zuluko.nodes.player import Timeline

    checked = launchfile.load(launchfile.locate(str(graph)), sets=_typed(params), sparing=True)
    record_entry.leave_out(checked)
    said: dict[str, list[Any]] = {}
    with LogReader(Path(log)) as reader:
        replayed.stand_in(checked, reader, Timeline(*reader.span), only=only, without=without, act=act)
        outputs = (topic for entry in checked.entries.values() for topic in entry.outputs)
        decoders = {topic.name: Decoder(topic.kind) for topic in outputs}

        def follow(link: Link, data: bytes) -> None:
            said.setdefault(link.topic, []).append(decoders[link.topic](data).body)

        run = Lockstep(checked, follow=follow)
        run.run()
    return Said(said, run.digest, [str(leak) for leak in run.leaks])


def log_of(path: Path, messages: Mapping[str, Iterable[Message]]) -> Path:
    """A new log of messages by topic, each sent and received at its stamp (ns): what sensors would have
    said. Gives its path. Raises LogError for a file that exists."""
    encode = Encoder()
    said = [
        (one.stamp, topic, seq, one) for topic, these in messages.items() for seq, one in enumerate(these)
    ]
    with LogWriter(path) as writer:
        for stamp, topic, seq, message in sorted(said, key=lambda one: one[0]):
            channel = channel_of(writer, topic, type(message))
            data = encode(message, seq=seq, sent=stamp)
            writer.write(channel, data, seq=seq, sent=stamp, received=stamp)
    return path


def _typed(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as they are typed after ``--set``: a text as it is, anything else as JSON, which YAML
    reads."""
    return {
        name: one if isinstance(one, str) else json.dumps(one, default=str) for name, one in params.items()
    }
