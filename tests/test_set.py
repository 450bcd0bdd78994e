"""The set node, what a launch file and a rule may not have it do, and what becomes of the nodes that it sets."""

import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.asking import ask, node
from tests.running import unharmed, up, up_for_all, write, zuluko
from tests.test_docs import blocks
from tests.test_docs import files as files_of_page
from tests.waiting import until
from zuluko.actions.host import Answer
from zuluko.actions.set import change, check_set, set
from zuluko.actions.setter import GraphSetter, SimulatedSetter
from zuluko.bus.streams import Stream
from zuluko.bus.subscriber import Subscriber
from zuluko.document import DocumentError
from zuluko.launch import launchfile
from zuluko.messages import LockState, SetCommand

SECOND = 1_000_000_000
ALLOW = {"light": ["lux", "hz"], "lock": ["max_evidence_age"]}


class Waiting(Stream[SetCommand]):
    """Commands, each given when as many are answered as its place says, and an end when all are."""

    def __init__(self, *commands: tuple[int, SetCommand], step: int = 0) -> None:
        super().__init__()
        self._left = list(commands)
        self.answered, self._all, self._step = 0, len(commands), step

    def next(self, timeout: float | None = None) -> SetCommand | None:
        self.now += self._step
        if self._left and self.answered >= self._left[0][0]:
            return self._left.pop(0)[1]
        self.ended = self.answered == self._all
        if not self.ended:
            self.now += round((timeout or 0) * 1e9)
            time.sleep(0.001)
        return None


def command(number: int, value: Any, name: str = "lux", target: str = "light", stamp: int = 5) -> SetCommand:
    return SetCommand(stamp=stamp, id=f"c{number}", node=target, name=name, value=value, reason="rule")


def told(stream: Waiting, setter: Any, **options: Any) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for state in change(stream, setter, **{"allow": ALLOW, "pause": 0.0, **options}):
        found.append((state.command, state.outcome, state.reason))
        stream.answered += 1
    return found


# -- the node


def test_what_is_allowed_is_set_and_told():
    setter = SimulatedSetter()
    assert told(Waiting((0, command(1, 10)), (1, command(2, "5s", "hz"))), setter) == [
        ("c1", "done", "rule"),
        ("c2", "done", "rule"),
    ]
    assert setter.given == {("light", "lux"): 10, ("light", "hz"): "5s"}


@pytest.mark.parametrize(("name", "target"), [("gain", "light"), ("lux", "lamp"), ("driver", "lock")])
def test_what_is_not_allowed_is_refused(name, target):
    setter = SimulatedSetter()
    why = f"the launch file does not allow to set {name} of {target}"
    assert told(Waiting((0, command(1, 10, name, target))), setter) == [("c1", "refused", why)]
    assert setter.given == {}


def test_older_evidence_sets_nothing():
    setter = SimulatedSetter()
    stream = Waiting((0, command(1, 10, stamp=9)), (1, command(2, 20, stamp=8)), (2, command(3, 30, stamp=9)))
    assert [one[:2] for one in told(stream, setter)] == [("c1", "done"), ("c2", "refused"), ("c3", "done")]
    assert setter.given == {("light", "lux"): 30}


def test_a_node_that_does_not_take_it_has_failed():
    setter = SimulatedSetter({"light": "light died (exit status 1)"})
    assert told(Waiting((0, command(1, 10))), setter) == [("c1", "failed", "light died (exit status 1)")]


class Slow:
    """A setter that takes its time for each, until it is let go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.tried: list[Any] = []

    def set(self, node: str, name: str, value: Any) -> Answer:
        self.tried.append(value)
        self.begun.set()
        self.go_on.wait(10)
        return "done", ""


def test_of_those_that_wait_for_one_parameter_the_newest_counts():
    setter = Slow()
    commands = Waiting((0, command(1, 1)), (0, command(2, 2)), (0, command(3, 3)), (0, command(4, 4, "hz")))
    found = []
    for state in change(commands, setter, allow=ALLOW, pause=0.0):
        found.append((state.command, state.outcome))
        commands.answered += 1
        setter.go_on.set()
    assert found == [("c2", "refused"), ("c1", "done"), ("c3", "done"), ("c4", "done")]
    assert setter.tried == [1, 3, 4]


def test_between_two_changes_of_a_node_there_is_a_pause():
    moments = []

    class Noting(SimulatedSetter):
        def set(self, node: str, name: str, value: Any) -> Answer:
            moments.append((value, commands.now))
            return "done", ""

    commands = Waiting(
        (0, command(1, 1)), (1, command(2, 2)), (1, command(3, 3, "max_evidence_age", "lock")), step=1_000_000
    )
    assert len(told(commands, Noting(), pause=5.0)) == 3
    (_, first), (other, early), (last, late) = moments
    assert (other, last) == (3, 2)
    assert early - first < 5 * SECOND <= late - first


def test_who_waits_when_the_node_stops_is_told():
    setter = Slow()

    class Stopping(Waiting):
        def next(self, timeout: float | None = None) -> SetCommand | None:
            if self._left:
                return super().next(timeout)
            setter.begun.wait(10)
            self.ended = True
            return None

    stream = Stopping((0, command(1, 1)), (0, command(2, 2, "hz")))
    assert [one[:2] for one in told(stream, setter)] == [("c1", "failed"), ("c2", "refused")]
    setter.go_on.set()


def test_a_graph_without_a_supervisor_is_not_changed():
    assert GraphSetter().set("light", "lux", 1) == ("refused", "no supervisor runs this graph")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"driver": "grph"}, "driver there is no driver `grph`; did you mean `graph`?"),
        ({"allow": {}}, "allow must name a node's parameter: `allow: {faces: [threshold]}`"),
        ({"allow": {"light": []}}, "allow must name a node's parameter: `allow: {faces: [threshold]}`"),
        ({"pause": -1.0}, "pause must be a time of 0 s or more, not -1; write 1s"),
        ({"pause": float("nan")}, "pause must be a time of 0 s or more, not nan; write 1s"),
    ],
)
def test_a_wrong_configuration_is_a_sentence(options, what):
    given = {"driver": "simulated", "allow": ALLOW, "pause": 1.0, **options}
    (fault,) = check_set(**given)
    assert f"{fault.key} {fault.what}" == what
    with pytest.raises(ValueError, match=fault.key):
        list(set([], **given))


# -- what is proved before anything starts

LIGHT = """
from collections.abc import Iterator
from pathlib import Path

from zuluko import Message, Stream, Tick
from zuluko.document import Fault


class Light(Message, tag="SetLight/1"):
    lux: float


def light(
    ticks: Stream[Tick], *, lux: float = 41.0, gain: float = 1.0, names: list[str] | None = None, log: Path | None = None
) -> Iterator[Light]:
    if lux == 99:
        raise RuntimeError("too bright")
    print("the light is", lux, names or "")
    for tick in ticks:
        yield Light(stamp=tick.stamp, lux=lux)


def check_light(*, lux: float, gain: float, names: list[str] | None, log: Path | None) -> Iterator[Fault]:
    if lux < 0:
        yield Fault("lux", f"must be 0 or more, not {lux:g}")
"""
GRAPH = """
nodes:
  light: {run: "./light.py:light", in: {ticks: every 50ms}, MORE}
  rules: {run: graph.rules.yaml}
  settings: {run: zuluko.actions.set, in: {commands: rules}, driver: graph, allow: ALLOW}
"""
RULES = """
dim:
  when: light
  if: light.lux > 40
  max_age: 500ms
  do:
    settings: SET
"""
SET = "{node: light, name: lux, value: 10}"


def files(
    folder: Path, *, allow: str = "{light: [lux, names]}", what: str = SET, more: str = "gain: 2"
) -> str:
    (folder / "light.py").write_text(LIGHT)
    (folder / "graph.rules.yaml").write_text(RULES.replace("SET", what))
    return write(folder, GRAPH.replace("ALLOW", allow).replace("MORE", more))


def wrong(file: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        launchfile.load(Path(file))
    return [f"{Path(one.file).name}:{one}".replace(f":{one.file}:", ":") for one in caught.value.problems]


@pytest.mark.parametrize(
    ("allow", "what"),
    [
        ("{lihgt: [lux]}", "there is no node `lihgt`; did you mean `light`?"),
        ("{light: [lux, luxx]}", "`light` has no configuration `luxx`; did you mean `lux`?"),
        ("{light: [lux, log]}", "`log` of `light` is a path, and paths cannot be set"),
        (
            "{light: [lux], settings: [pause]}",
            "`settings` cannot be set: it starts anew with a new value, and its process is that of `settings`, which sets it",
        ),
        (
            "{light: [lux], rules: [x]}",
            "`rules` runs a rules file, whose parameters cannot be set; let its rules read what a publish node says",
        ),
    ],
)
def test_what_cannot_be_allowed_is_told(allow, what, tmp_path):
    told = [one for one in wrong(files(tmp_path, allow=allow)) if one.startswith("graph.yaml:5:")]
    assert [one.partition(": ")[2] for one in told] == [what]


def test_a_node_that_shares_its_process_with_who_asks_cannot_be_set(tmp_path):
    file = Path(files(tmp_path, more="group: one"))
    file.write_text(file.read_text().replace("rules.yaml}", "rules.yaml, group: one}"))
    assert "its process is that of `rules`, which sets it" in wrong(str(file))[0]


@pytest.mark.parametrize(
    ("what", "place", "sentence"),
    [
        ("{node: lihgt, name: lux, value: 1}", "7:16", "there is no node `lihgt`; did you mean `light`?"),
        (
            "{node: light, name: gain, value: 1}",
            "7:29",
            "`settings` may not set `gain` of `light`; allow it there: `allow: {light: [gain]}`",
        ),
        (
            "{node: light, name: lux, value: high}",
            "7:40",
            "`lux` is `high`; expected a number or a duration such as 200ms; try `lux: 41.0`",
        ),
        (
            "{node: light, name: names, value: [1]}",
            "7:42",
            "`names[0]` is `1`; expected a list, each item text or null",
        ),
        ("{node: light, name: lux}", "7:5", "SetCommand needs `value`"),
        ("{node: light, name: lux, valeu: 1}", "7:5", "SetCommand needs `value`"),
    ],
)
def test_what_a_rule_sets_is_proved(what, place, sentence, tmp_path):
    assert f"graph.rules.yaml:{place}: {sentence}" in wrong(files(tmp_path, what=what))


def test_a_rule_that_sets_must_say_how_old_its_evidence_may_be(tmp_path):
    file = files(tmp_path)
    rules = tmp_path / "graph.rules.yaml"
    rules.write_text(rules.read_text().replace("  max_age: 500ms\n", ""))
    assert "commands something and needs `max_age`" in wrong(file)[0]


def test_the_names_of_an_included_file_are_its_own(tmp_path):
    files(tmp_path)
    outer = write(
        tmp_path,
        "include: [{file: graph.yaml, namespace: left}]\nnodes: {clock: {run: 'NODES:count'}}",
        "outer.yaml",
    )
    graph = launchfile.load(Path(outer))
    assert graph.entries["left_settings"].options["allow"] == {"left_light": ["lux", "names"]}
    (rule,) = graph.entries["left_rules"].options["ruleset"].rules
    assert (rule.do[0].actuator, rule.do[0].fields["node"]) == ("left_settings", "left_light")


# -- in a graph that runs


def starts(graph: Any) -> list[str]:
    return [event["text"] for event in graph.look() if "the light is" in event.get("text", "")]


@pytest.mark.parametrize("way", [(), ("--spawn",)])
def test_a_rule_sets_a_parameter_and_it_holds_when_the_node_starts_anew(way, tmp_path):
    with up(files(tmp_path), *way) as graph:
        graph.wait_for("settings", "done: light.lux = 10 (dim)", seconds=60)
        graph.wait_for("light", "the light is 10")
        assert ask(do="restart", node="light")[0]["ok"]
        os.kill(node("light")["pid"], signal.SIGKILL)
        until(lambda: len(starts(graph)) == 4, what="the start after the kill")
        assert starts(graph) == ["the light is 41.0", *["the light is 10.0"] * 3]
        graph.stop()


@pytest.fixture
def light(tmp_path):
    quiet = "{node: light, name: lux, value: 41}"
    with up(files(tmp_path, what=quiet, more="restart: false")) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        yield graph


@pytest.fixture(scope="module")
def light_of_all(tmp_path_factory):
    quiet = "{node: light, name: lux, value: 41}"
    with up_for_all(files(tmp_path_factory.mktemp("light"), what=quiet, more="restart: false")) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        yield graph


@pytest.fixture
def asked(light_of_all, monkeypatch):
    """The light for a test that changes nothing of it."""
    with unharmed(light_of_all, monkeypatch) as graph:
        yield graph


def set_light(name: str, value: Any, target: str = "light") -> dict[str, Any]:
    (answer,) = ask(do="set", node=target, name=name, value=value)
    return answer


def test_a_value_that_is_so_already_restarts_nothing(light):
    light.wait_for("settings", "done: light.lux = 41 (dim)")  # its default
    assert node("light")["restarts"] == 0
    assert set_light("gain", 3) == {"ok": True, "outcome": "done", "what": ""}
    assert node("light")["restarts"] == 1
    assert set_light("gain", 3.0)["ok"]
    assert node("light")["restarts"] == 1


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("lux", "high", "`lux` is `high`; expected a number or a duration such as 200ms; try `lux: 41.0`"),
        ("lux", True, "`lux` is `true`; expected a number or a duration such as 200ms; try `lux: 41.0`"),
        ("lux", None, "`lux` is `null`; expected a number or a duration such as 200ms; try `lux: 41.0`"),
        ("lux", -1, "`lux`: must be 0 or more, not -1"),
        ("log", "/tmp/x", "`log` of `light` is a path, and paths cannot be set"),
        ("luxx", 1, "`light` has no configuration `luxx`; did you mean `lux`?"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_the_node_goes_on(asked, name, value, what):
    pid = node("light")["pid"]
    assert set_light(name, value) == {"ok": False, "outcome": "refused", "what": what}
    assert node("light")["pid"] == pid


def test_a_node_that_dies_of_its_value_has_its_old_one_again(light):
    """Even one that is not started again when it dies, whose end would be the graph's."""
    answer = set_light("lux", 99)
    assert answer["outcome"] == "failed"
    assert answer["what"] == "light died (exit status 1); it has its old value again"
    until(lambda: node("light")["state"] == "ready")
    assert starts(light)[-1] == starts(light)[0]
    assert light.process.poll() is None


def test_whoever_asks_for_a_node_that_there_is_not_is_told(asked):
    assert set_light("lux", 1, "lihgt")["what"] == "no node is called `lihgt`; did you mean `light`?"


def test_a_request_may_not_be_long(asked):
    answer = set_light("names", ["a" * 5000])
    assert answer == {"ok": False, "what": "the request cannot be read: a request has at most 4096 bytes"}


def test_the_actions_pages_lamp_is_set_as_it_shows(tmp_path):
    page = "docs/actions.md"
    files_of_page(page, tmp_path)
    (shown,) = [text for kind, text in blocks(page) if kind == "text"]
    with up(str(tmp_path / "lamp.yaml")) as graph:
        for line in shown.splitlines():
            who, said = re.fullmatch(r" +[\d.]+ s  (\w+) +(.*)", line).groups()
            graph.wait_for(who, re.sub(r"\d\.\d+.*", "", said))
        graph.stop()


LOCK = """
nodes:
  lock: {run: zuluko.actions.lock, in: {commands: pressed}}
  settings: {run: zuluko.actions.set, in: {commands: wanted}, driver: graph, allow: {lock: [max_evidence_age]}}
topics: {pressed: "zuluko.messages:LockCommand", wanted: "zuluko.messages:SetCommand"}
"""


def test_a_lock_that_is_set_while_it_is_open_locks(tmp_path):
    from zuluko.bus.commands import CommandSender
    from zuluko.bus.wire import VERSION, Envelope
    from zuluko.messages import LockCommand

    with up(write(tmp_path, LOCK)) as graph:
        graph.wait_for("zuluko", "the graph is ready")
        heard = Subscriber("graph", "lock", LockState)
        senders = [CommandSender("graph", name, "commands") for name in ("lock", "settings")]
        now = time.time_ns()
        commands = (
            LockCommand(stamp=now, id="open", open_for=60.0),
            SetCommand(stamp=now, id="set", node="lock", name="max_evidence_age", value="2s"),
        )
        for number, (sender, one) in enumerate(zip(senders, commands, strict=True)):
            sender.send(Envelope(VERSION, number, time.time_ns(), (), one))
            graph.wait_for(*(("lock", "unlocked"), ("settings", "done: lock.max_evidence_age = 2s"))[number])
        state = until(lambda: last(heard), what="what the lock says")
        assert (state.state, state.reason) == ("locked", "start")
        for end in (*senders, heard):
            end.close()
        graph.stop()


def last(subscriber: Subscriber[Any]) -> Any:
    found = None
    while (envelope := subscriber.receive()) is not None:
        found = envelope.body
    return found


def test_in_lockstep_nothing_is_set(tmp_path):
    from zuluko import read, record
    from zuluko.bus import clock

    file = files(tmp_path)
    light = launchfile.load(Path(file)).entries["light"].signature.outputs[0]
    record(
        [light(stamp=clock.now() + n * SECOND // 10, lux=50.0) for n in range(9)],
        tmp_path / "a.mcap",
        "light",
    )
    done = zuluko("replay", str(tmp_path / "a.mcap"), file, "--lockstep", "--out", str(tmp_path / "b.mcap"))
    assert done.returncode == 0, done.stderr
    (state,) = read(tmp_path / "b.mcap", "settings")
    assert (state.outcome, state.reason) == ("refused", "no supervisor runs this graph")
