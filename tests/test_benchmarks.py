"""The benchmarks run, with next to no load; no time is asserted."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import board, bus, cgroup, launch, log, processes, rules
from benchmarks.bus_peers import PEERS, PYPI, Peer
from benchmarks.bus_peers.installed import missing
from benchmarks.bus_peers.work import CASES
from benchmarks.launch_peers import ours
from tests.running import ROOT, alive
from tests.waiting import until

BRIEF = {name: replace(case, seconds=min(case.seconds, 0.2)) for name, case in CASES.items()}


@pytest.mark.parametrize("name", ["zuluko", "zuluko loaned", "zuluko, no lane", "zuluko to pynng"])
def test_frames_arrive_as_they_were_sent(name: str):
    found = bus.measure(name, "vga", BRIEF["vga"])
    assert 0 < found["p50"] <= found["p99"]
    assert found["cores"] > 0


@pytest.mark.parametrize("name", ["rospy", "roscpp"])
@pytest.mark.parametrize("case_name", ["vga", "small", "pair", "sustained"])
def test_a_peer_with_a_master_of_its_own_does_the_same_work(name: str, case_name: str):
    if lack := missing(PEERS[name]):
        pytest.skip(f"{lack} is not installed")
    found = bus.measure(name, case_name, BRIEF[case_name])
    assert {"vga": "p50", "small": "p99", "pair": "pss", "sustained": "rate"}[case_name] in found
    assert found["cores"] > 0


@pytest.mark.parametrize("name", ["zuluko", "rosbag"])
def test_what_a_recorder_takes_is_measured(name: str):
    if lack := log.lacking(name):
        pytest.skip(f"{lack} is not installed")
    found = log.measure(name, "raw", 0.4)
    assert found.sent == 6
    assert found.cores > 0
    assert found.size > 0
    assert 0 <= found.lost < 6


def test_small_messages_are_counted_one_by_one():
    found = bus.measure("zuluko", "sustained", BRIEF["sustained"])
    assert found["lost"] == 0
    assert found["rate"] > 0


def test_a_publisher_that_is_killed_is_followed_by_another():
    found = bus.measure("zuluko", "start", BRIEF["start"])
    assert found["first"] > 0
    assert found["restarted"] > 0


def test_the_table_names_every_case_and_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(CASES, "pair", BRIEF["pair"])
    monkeypatch.setitem(PEERS, "absent", replace(PEERS["pynng"], needs="no_such_module_"))
    monkeypatch.setitem(PEERS, "broken", replace(PEERS["pynng"], module="no_such_file"))
    bus.main(["--quick", "--only", "pair", "--peers", "zuluko,absent,broken"])
    said = capsys.readouterr().out
    assert re.search(r"^\| zuluko \| [\d.]+ \|$", said, re.M)
    assert f"absent: not installed (no_such_module_); bring it with: {PYPI}" in said
    assert re.search(r"^broken, pair, MB: failed: .*\S", said, re.M)


@pytest.mark.parametrize(
    ("peer", "lack"),
    [
        (Peer("", "json"), ""),
        (Peer("", "no_such_module_"), "no_such_module_"),
        (Peer("", "json, zlib", python="/usr/bin/python3"), ""),
        (Peer("", "json, no_such_module_", python="/usr/bin/python3"), "json, no_such_module_"),
        (Peer("", "json", python="/no/python"), "json"),
        (Peer("", "json", programs=("sh", "no_such_program_")), "no_such_program_"),
        (Peer("", "json", headers=("no_such_package_",)), "no_such_package_"),
    ],
)
def test_what_a_peer_lacks_is_told(peer: Peer, lack: str):
    assert missing(peer) == lack


def test_an_unknown_peer_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        bus.main(["--peers", "ros9"])
    assert "there is no 'ros9'; choose from: zuluko, " in capsys.readouterr().err


def test_a_launched_pair_is_weighed_whole():
    found = launch.measure("zuluko", launch.PAIR, settle=0)
    assert len(found.forks) == 2
    assert found.ready > 0
    with processes.folder() as path, launch.launched("zuluko", path, launch.PAIR) as one:
        one.await_(2)
        members = processes.family(one.process.pid)
        assert len(members) == 4  # the launcher, its view, and the pair
        assert found.memory > sum(map(processes.pss, members[:1]))
        whole, part = processes.alone(members), processes.alone(members[:1])
        if whole and part:  # as root
            assert whole > part >= processes.pss(members[0])
            assert whole < sum(processes.alone([pid]) for pid in members)
    until(lambda: not any(map(alive, members)))


@pytest.mark.parametrize("name", ["rospy", "dora"])
def test_a_peers_launcher_does_the_same_work(name: str):
    if lack := missing(PEERS[name]):
        pytest.skip(f"{lack} is not installed")
    found = launch.measure(name, ["idle"] * 2, settle=0)
    assert len(found.forks) == 2
    assert found.memory > 0


def test_a_graph_that_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ours.INPUTS, "idle", {"ticks": "every now and then"})
    with pytest.raises(bus.FailedError, match="`now and then` is no duration"):
        launch.measure("zuluko", ["idle"])


def test_starting_and_stopping_leaves_nothing(capsys: pytest.CaptureFixture[str]):
    launch.main(["-n", "1", "--cycles", "2", "--peers", "zuluko"])
    said = capsys.readouterr().out
    assert re.search(
        r"^\| zuluko( \| [\d.]+ \([\d.]+\)){3} \| [\d.]+( \| [\d.]+ \([\d.]+\)){2} \|$", said, re.M
    )
    rows = dict(re.findall(r"^\| ([a-z][^|]*) \| (.*) \|$", said, re.M))
    assert rows["ours, after"] == "0 | 0 | 0 | 0 | 0"
    assert rows["one launcher, after its first run"] == rows["one launcher, after its last"]


def test_the_door_on_a_board_is_told_in_rows():
    story = board.run(1.0)
    assert story.seconds >= 1.0
    assert story.events
    said = board.report(story, cgroup.mine())
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", said, re.M))
    assert rows["heartbeats missed"] == rows["nodes that died"] == "0"
    assert float(rows["pictures a second"]) > 0
    assert rows["verdict"].startswith("BAD")  # the owner has not come yet


@pytest.mark.parametrize("trouble", ["gave no sign of life for 5 s and is killed", "died (exit status 1)"])
def test_a_door_that_stumbled_on_its_board_is_not_good(trouble: str):
    story = board.Story(summary={"good": True})
    assert story.good
    story.events.append({"who": "faces", "text": trouble})
    assert not story.good


FIRST = {
    "1:cpu:/board": {
        "cpu.cfs_quota_us": "60000",
        "cpu.cfs_period_us": "100000",
        "cpu.stat": "throttled_time 2500000000",
    },
    "2:memory,hugetlb:/board": {
        "memory.limit_in_bytes": "536870912",
        "memory.max_usage_in_bytes": "104857600",
        "memory.oom_control": "under_oom 0\noom_kill 3",
    },
    "0::/": {},
}
SECOND = {
    "0::/board": {
        "cpu.max": "60000 100000",
        "cpu.stat": "nr_throttled 9\nthrottled_usec 2500000",
        "memory.max": "536870912",
        "memory.peak": "104857600",
        "memory.events": "oom 4\noom_kill 3",
    }
}


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_a_groups_limits_are_read(version: dict[str, dict[str, str]], tmp_path: Path):
    for line, files in version.items():
        _, controllers, path = line.split(":")
        folder = tmp_path / controllers.partition(",")[0] / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text + "\n")
    (tmp_path / "membership").write_text("\n".join(version) + "\n")
    group = cgroup.mine(tmp_path, tmp_path / "membership")
    assert (group.memory_limit, group.memory_peak, group.oom_kills) == (512, 100, 3)
    assert (group.cores, group.throttled) == (0.6, 2.5)


def test_a_group_without_limits_has_none(tmp_path: Path):
    for name, text in {"memory.max": "max", "cpu.max": "max 100000", "cgroup": "0::/"}.items():
        (tmp_path / name).write_text(text)
    group = cgroup.mine(tmp_path, tmp_path / "cgroup")
    assert (group.memory_limit, group.memory_peak, group.oom_kills, group.cores) == (None, None, None, None)


def test_the_page_of_what_was_measured_names_what_there_is():
    page = (ROOT / "docs/measured.md").read_text()
    named = set(re.findall(r"(?:benchmarks|scripts|tests)/[\w./]*\w", page))
    assert {f"benchmarks/{name}.py" for name in ("board", "bus", "door", "launch", "watched")} < named
    for name in named:
        assert (ROOT / name).exists(), name
    for case in re.findall(r"they are (.*) here", page)[0].replace(" and ", " ").replace(",", "").split():
        assert case.strip("`") in CASES


@pytest.mark.parametrize("play", [rules.engine, rules.functions, rules.plain])
def test_each_way_of_rules_evaluates_all_of_them(play):
    assert play()(30) == rules.RULES * 30


def test_a_decision_costs_something():
    assert rules.decision() > 0
