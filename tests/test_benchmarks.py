"""The benchmarks run, with next to no load; no time is asserted."""

import re
from dataclasses import replace

import pytest

from benchmarks import bus
from benchmarks.bus_peers import PEERS, PYPI, Peer
from benchmarks.bus_peers.installed import missing
from benchmarks.bus_peers.work import CASES

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
