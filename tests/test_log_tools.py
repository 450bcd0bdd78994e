"""`zuluko log`: what a person or a script is told of a log, and the logs that are made of it."""

import json

import pytest

from tests.running import zuluko
from tests.test_log import SECOND, a_log, attempt, boundaries, faces, picture, strictly
from zuluko import record
from zuluko.bus.log_edit import faults, paces
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.wire import Encoder


@pytest.fixture
def log(tmp_path):
    return a_log(tmp_path / "a.mcap")


def test_info_tells_what_a_log_holds(log):
    lines = zuluko("log", "info", str(log)).stdout.splitlines()
    assert lines[1].startswith("4.9 s, 100 messages, 0.0")
    assert lines[3].split() == ["topic", "type", "messages", "Hz", "silent", "s", "at", "s", "lost"]
    assert lines[4].split() == ["faces", "Faces/1", "50", "10.0", "0.10", "0.0", "-"]
    told = json.loads(zuluko("log", "info", str(log), "--json").stdout)
    assert (told["whole"], told["messages"], told["seconds"]) == (True, 100, 4.9)
    assert [topic["topic"] for topic in told["topics"]] == ["faces", "lock"]


def test_info_tells_of_losses_and_silences(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("imu", "Imu/1", b"{}")
        for time in (1, 2, 3, 8, 9):
            writer.write(channel, b"", seq=time, sent=time, received=time * SECOND)
        writer.tell("lost", {"imu": '{"overrun":4}'})
    (told,) = json.loads(zuluko("log", "info", str(tmp_path / "a.mcap"), "--json").stdout)["topics"]
    assert (told["longest_silence_s"], told["silent_at_s"], told["lost"]) == (5.0, 2.0, {"overrun": 4})
    assert "4 overrun" in zuluko("log", "info", str(tmp_path / "a.mcap")).stdout


def test_info_of_a_torn_log_says_so(log):
    log.write_bytes(log.read_bytes()[: boundaries(log)[-6]])
    done = zuluko("log", "info", str(log))
    assert f"it has no index: zuluko log repair {log}" in done.stdout
    with LogReader(log) as reader:
        assert sum(pace.count for pace in paces(reader).values()) == len(list(reader.messages())) > 0


def test_cat_prints_what_was_asked_for(log):
    done = zuluko("log", "cat", str(log), "--topic", "faces", "--from", "1s", "--to", "1.2s", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["topic"], one["seq"], one["seconds"]) for one in told] == [
        ("faces", 10, 1.0),
        ("faces", 11, 1.1),
    ]
    where = "items.exists(i, i.name == 'person 7') || (topic == 'lock' && seq == 49)"
    done = zuluko("log", "cat", str(log), "--where", where)
    assert [line.split()[2:5] for line in done.stdout.splitlines()] == [
        ["faces", "7", "Faces/1"],
        ["lock", "49", "LockState/1"],
    ]
    assert len(zuluko("log", "cat", str(log), "-n", "3").stdout.splitlines()) == 3


def test_cat_shows_a_pictures_shape(tmp_path):
    record([picture(1)], tmp_path / "a.mcap")
    assert 'image="array 700x700x3 |u1"' in zuluko("log", "cat", str(tmp_path / "a.mcap")).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cat", "LOG", "--topic", "face"), "has no topic `face`; did you mean `faces`?"),
        (("cat", "LOG", "--from", "3"), "--from: a duration needs its unit: write 3s"),
        (("cat", "LOG", "--where", "stamp >"), "write a CEL expression such as: score > 0.8"),
        (("cat", "LOG", "--where", "stmp > 1"), "--where: no message has `stmp`; did you mean `stamp`?"),
        (("cut", "LOG", "LOG"), "exists already"),
        (("info", "nothing.mcap"), "nothing.mcap cannot be read: No such file or directory"),
        (("info", "README.md"), "README.md is no log: it does not begin as an MCAP file does"),
        (("repair", "pyproject.toml"), "pyproject.toml is no log"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(log, arguments, said):
    done = zuluko("log", *(str(log) if word == "LOG" else word for word in arguments))
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_part_is_cut_and_parts_are_merged(log, tmp_path):
    one, two, both = (tmp_path / f"{name}.mcap" for name in ("one", "two", "both"))
    assert zuluko("log", "cut", str(log), str(one), "--to", "2s").stdout == f"{one}: 40 messages\n"
    assert (
        zuluko("log", "cut", str(log), str(two), "--from", "2s", "-t", "faces").stdout
        == f"{two}: 30 messages\n"
    )
    done = zuluko("log", "merge", str(two), str(one), "--out", str(both))
    assert done.stdout == f"{both}: 70 messages of 2 logs\n", done.stderr
    seen = strictly(both)
    assert [time for _, _, time in seen] == sorted(time for _, _, time in seen)
    assert seen == [entry for entry in strictly(log) if entry[0] == "faces" or entry[2] < 2.1 * SECOND]
    with LogReader(both) as reader:
        assert reader.told["zuluko"] == {"graph": "door"}


def test_verify_finds_what_is_wrong(log):
    assert zuluko("log", "verify", str(log)).stdout == f"{log}: good; 5 chunks\n"
    with LogReader(log) as reader:
        place = reader.contents.places[1]
    data = bytearray(log.read_bytes())
    data[place.offset + place.length - 3] ^= 1
    log.write_bytes(data)
    done = zuluko("log", "verify", str(log))
    assert done.returncode == 1
    assert f"the chunk at byte {place.offset} " in done.stderr
    assert f"zuluko log repair {log}" in done.stderr


def test_repair_tells_what_was_lost(log, tmp_path):
    whole = log.read_bytes()
    with LogReader(log) as reader:
        log.write_bytes(whole[: reader.contents.places[-1].offset + 4])
    done = zuluko("log", "repair", str(log))
    mended = tmp_path / "a.repaired.mcap"
    lost, told = done.stdout.splitlines()
    assert lost == "lost: the last 4 bytes: what was being written when it ended"
    assert told == f"{mended}: {attempt(mended)} messages on 2 topics"
    with LogReader(mended) as reader:
        assert faults(reader) == []
    log.write_bytes(whole)
    assert zuluko("log", "repair", str(log), str(tmp_path / "b.mcap")).stdout.endswith(
        "100 messages on 2 topics, nothing lost\n"
    )


def test_messages_that_are_no_envelopes_are_told(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("odd", "Odd/1", b"{}")
        writer.write(channel, b"\xc1", seq=0, sent=0, received=1)
        writer.write(channel, Encoder()(faces(1), seq=1, sent=1), seq=1, sent=1, received=2)
    done = zuluko("log", "cat", str(tmp_path / "a.mcap"))
    assert "message 0 on odd: malformed" in done.stderr
    assert len(done.stdout.splitlines()) == 1
