"""The benchmark of the bus runs, with next to no load; no time is asserted."""

import re
from dataclasses import replace

import pytest

from benchmarks import bus
from benchmarks.bus_peers import PEERS
from benchmarks.bus_peers.work import CASES

BRIEF = {name: replace(case, seconds=min(case.seconds, 0.2)) for name, case in CASES.items()}


@pytest.mark.parametrize("name", ["zuluko", "zuluko loaned", "zuluko, no lane", "zuluko to pynng"])
def test_frames_arrive_as_they_were_sent(name: str):
    found = bus.measure(name, "vga", BRIEF["vga"])
    assert 0 < found["p50"] <= found["p99"]
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
    assert "absent: not installed (no_such_module_)" in said
    assert re.search(r"^broken, pair, MB: failed: .*\S", said, re.M)


def test_an_unknown_peer_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        bus.main(["--peers", "ros9"])
    assert "there is no 'ros9'; choose from: zuluko, " in capsys.readouterr().err
