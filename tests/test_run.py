"""The run node: what it may run, how it ends, and what is left of it."""

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.running import alive, up, write, zuluko
from tests.waiting import until
from zuluko.actions import program
from zuluko.actions.allowlist import AllowList
from zuluko.actions.run import SimulatedRunner, carry_out, check_run, run
from zuluko.bus.streams import Stream
from zuluko.messages import RunCommand, RunState

ECHO = {"echo": ["/bin/echo", "-n", "{word}"], "true": ["/bin/true"]}
WORD = {"word": "[a-z]+"}


class Waiting(Stream[RunCommand]):
    """Commands that come at once, and an end that comes when all of them have ended."""

    def __init__(self, commands: list[RunCommand]) -> None:
        super().__init__()
        self._left = list(commands)
        self.open = len(commands)

    def next(self, timeout: float | None = None) -> RunCommand | None:
        if self._left:
            return self._left.pop(0)
        self.ended = self.open == 0
        if not self.ended:
            time.sleep(timeout or 0)
        return None


def command(name: str, number: int = 0, **values: str) -> RunCommand:
    return RunCommand(stamp=7 + number, id=f"c{number}", name=name, values=values, reason="rule")


def ran(*commands: RunCommand, **options: Any) -> list[RunState]:
    stream = Waiting(list(commands))
    states = []
    for state in run(stream, **{"driver": "installed", "programs": ECHO, "patterns": WORD, **options}):
        states.append(state)
        stream.open -= state.outcome != "running"
    return states


def test_a_program_runs_and_its_end_is_told():
    begun, ended = ran(command("echo", word="hello"))
    assert (begun.outcome, begun.reason) == ("running", "rule")
    assert (ended.outcome, ended.status, ended.output, ended.command, ended.stamp) == (
        "done",
        0,
        "hello",
        "c0",
        7,
    )
    assert ended.took > 0


@pytest.mark.parametrize(
    ("script", "status", "reason", "output"),
    [
        ("exit 3", 3, "status 3", ""),
        ("kill -SEGV $$", -signal.SIGSEGV, "ended by SIGSEGV", ""),
        ("echo out; echo err >&2; exit 1", 1, "status 1", "out\nerr\n"),
        ("cat; echo no input", 0, "rule", "no input\n"),
        ("echo $PATH $LANG $SECRET", 0, "rule", f"{program.PATH} C.UTF-8\n"),
        ("pwd", 0, "rule", "/\n"),
    ],
)
def test_how_it_ended_is_told(script, status, reason, output, monkeypatch):
    monkeypatch.setenv("SECRET", "s3cr3t")
    _, ended = ran(command("script"), programs={"script": ["/bin/sh", "-c", script]})
    assert (ended.status, ended.reason, ended.output) == (status, reason, output)
    assert ended.outcome == ("failed" if status else "done")


def test_it_may_have_of_the_environment_what_is_named(monkeypatch):
    monkeypatch.setenv("SOUND", "loud")
    options = {"programs": {"env": ["/usr/bin/env"]}, "inherit": ("SOUND", "NOT_THERE")}
    _, ended = ran(command("env"), **options)
    *found, mark = sorted(ended.output.split())
    assert found == ["LANG=C.UTF-8", f"PATH={program.PATH}", "SOUND=loud"]
    assert mark.startswith(program.MARK)


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    script = f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; wait; sleep 1000"
    _, ended = ran(command("slow"), programs={"slow": ["/bin/sh", "-c", script]}, timeout=0.5)
    assert (ended.outcome, ended.reason) == ("failed", "it took longer than 0.5 s")
    until(lambda: not alive(int((tmp_path / "child").read_text())), what="its child is gone")


def test_what_it_leaves_behind_is_ended(tmp_path):
    script = f"sleep 1000 & echo $! > {tmp_path}/child"
    _, ended = ran(command("fork"), programs={"fork": ["/bin/sh", "-c", script]})
    assert ended.outcome == "done"
    until(lambda: not alive(int((tmp_path / "child").read_text())), what="its child is gone")


def test_much_output_is_cut_and_holds_nobody_up():
    code = "import sys; sys.stdout.write('é' * 3_000_000)"
    _, ended = ran(command("loud"), programs={"loud": [sys.executable, "-c", code]}, timeout=30.0)
    assert ended.outcome == "done"
    assert ended.output == "é" * program.MOST_OUTPUT + "…"


def test_output_closed_early_is_waited_for():
    _, ended = ran(
        command("quiet"), programs={"quiet": ["/bin/sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"]}
    )
    assert ended.status == 4


def test_what_cannot_be_started_is_told(tmp_path):
    file = tmp_path / "program"
    file.write_text("no program")
    file.chmod(0o700)
    states = ran(command("gone"), command("odd", 1), programs={"gone": ["/nowhere/x"], "odd": [str(file)]})
    told = {one.command: one.reason for one in states if one.outcome == "failed"}
    assert told == {
        "c0": "it cannot be started: No such file or directory",
        "c1": "it cannot be started: Exec format error",
    }


def test_the_next_one_waits_and_too_many_are_refused():
    programs = {"nap": ["/bin/sleep", "0.05"]}
    states = ran(*(command("nap", n) for n in range(12)), programs=programs)
    ended = [one for one in states if one.outcome != "running"]
    assert sorted(one.command for one in ended) == sorted(f"c{n}" for n in range(12))
    refused = [one.reason for one in ended if one.outcome == "refused"]
    assert set(refused) == {"8 programs wait already"}
    assert len(refused) in (3, 4)


def test_it_is_ended_when_the_node_ends():
    states = list(run(Stream([command("nap")]), driver="installed", programs={"nap": ["/bin/sleep", "1000"]}))
    assert [(one.outcome, one.reason) for one in states] == [
        ("running", "rule"),
        ("failed", "the node was told to stop"),
    ]


# -- what may be run


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (command("ehco"), "there is no program `ehco`; did you mean `echo`?"),
        (command("/bin/sh"), "there is no program `/bin/sh`; there is echo, true"),
        (command("echo"), "`word` is not given"),
        (command("echo", word="a", other="b"), "`echo` has no placeholder `other`"),
        (command("echo", word="a b"), "`word` must match `[a-z]+`, in at most 256 characters"),
        (command("echo", word="a\n"), "`word` must match `[a-z]+`, in at most 256 characters"),
        (command("echo", word="a" * 257), "`word` must match `[a-z]+`, in at most 256 characters"),
        (command("true", word="a"), "`true` has no placeholder `word`"),
    ],
)
def test_nothing_else_runs(given, reason):
    (state,) = ran(given)
    assert (state.outcome, state.reason) == ("refused", reason)


@given(st.text(), st.sampled_from(["[a-z]+", ".*", "(?s).*", "-?[0-9]+"]))
def test_a_value_is_one_item_and_no_option(value, pattern):
    allowed = AllowList({"p": ["/bin/p", "--to", "{x}", "{{x}"]}, {"x": pattern})
    try:
        items = allowed.filled("p", {"x": value})
    except ValueError:
        return
    assert items == ["/bin/p", "--to", value, "{{x}"]
    assert not value.startswith("-")
    assert "\0" not in value


def test_a_value_that_could_be_an_option_is_refused_though_it_matches():
    with pytest.raises(ValueError, match="`x` must not begin with `-`"):
        AllowList({"p": ["/bin/p", "{x}"]}, {"x": "-?[0-9]+"}).filled("p", {"x": "-5"})


@pytest.mark.parametrize(
    ("options", "key", "what"),
    [
        ({"programs": {}}, "programs", "must name a program"),
        ({"programs": {"a": []}}, "programs", "must begin with a program's whole path"),
        ({"programs": {"a": ["aplay"]}}, "programs", "must begin with a program's whole path"),
        ({"programs": {"a": ["/bin/true", "{x}"]}}, "programs", "placeholder `{x}` without a pattern"),
        ({"programs": {"a": ["/bin/true", "--x={word}"]}}, "programs", "must be a placeholder as a whole"),
        ({"patterns": {"word": "["}}, "patterns", "`word` is no pattern"),
        ({"driver": "shell"}, "driver", "there is no driver `shell`; there is simulated, installed"),
        ({"timeout": float("inf")}, "timeout", "longer than 0 s"),
    ],
)
def test_a_list_that_allows_too_much_is_refused(options, key, what):
    given = {"driver": "simulated", "programs": ECHO, "patterns": WORD, "timeout": 1.0, **options}
    faults = [*check_run(folder=Path("/"), inherit=(), **given)]
    assert any(fault.key == key and what in fault.what for fault in faults), faults
    with pytest.raises(ValueError, match=key):
        next(run(Stream([]), **given))


def test_what_may_yet_come_is_told_as_passing(tmp_path):
    everybodys = tmp_path / "p"
    everybodys.touch(0o777)
    everybodys.chmod(stat.S_IRWXU | stat.S_IRWXO)
    programs = {"gone": ["/nowhere/x"], "folder": ["/bin"], "open": [str(everybodys)]}
    options = {"driver": "installed", "programs": programs, "patterns": {}, "timeout": 1.0}
    faults = [*check_run(folder=Path("/nowhere"), inherit=("NOT_THERE",), **options)]
    assert all(fault.passing for fault in faults)
    told = " ".join(fault.what for fault in faults)
    for what in (
        "No such file",
        "cannot be executed",
        "can be changed by everybody; run: chmod o-w",
        "NOT_THERE",
    ):
        assert what in told
    assert "there is no folder /nowhere" in told


def test_the_simulated_runner_runs_nothing():
    runner = SimulatedRunner({"/bin/true": 3})
    stream = Stream([command("echo", word="a"), command("true", 1)])
    states = list(carry_out(stream, AllowList(ECHO, WORD), runner))
    assert runner.ran == [["/bin/echo", "-n", "a"], ["/bin/true"]][: len(runner.ran)]
    assert {one.command for one in states if one.outcome != "running"} == {"c0", "c1"}


def test_an_errand_is_hurried():
    hurry = threading.Event()
    hurry.set()
    ended = program.run(["/bin/sleep", "1000"], timeout=1000, hurry=hurry)
    assert ended.reason == "the node was told to stop"


# -- in a graph

GRAPH = """nodes:
  rangefinder: {run: "tests.driving:rangefinder"}
  rules: {run: near.rules.yaml}
  siren: {run: zuluko.actions.run, in: {commands: rules}, driver: installed, timeout: 1000s, programs: {nap: [/bin/sh, -c, SCRIPT]}}
"""
RULES = """
near:
  when: rangefinder
  if: [rangefinder.metres > 0.5]
  max_age: 300ms
  do: {siren: {name: nap}}
"""


def test_no_program_outlives_its_node(tmp_path):
    write(tmp_path, RULES, "near.rules.yaml")
    pid = tmp_path / "pid"
    file = write(tmp_path, GRAPH.replace("SCRIPT", f"'sleep 1000 & echo $! > {pid}; wait'"))
    assert zuluko("check", file).returncode == 0
    with up(file) as graph:
        until(lambda: pid.exists() and pid.read_text().endswith("\n"), what="the program runs")
        number = int(pid.read_text())
        assert alive(number)
        os.kill(graph.children()["siren"], signal.SIGKILL)
        until(lambda: not alive(number), 5, "the program is gone")
        graph.stop()
