"""Logs of any content, and damaged ones: an export, or one sentence; never another error, nor anything left."""

import random
import shutil
from typing import Any

import msgspec
import pytest

from tests.logs_of_kinds import every_kind
from zuluko.bus.log_reader import LogReader, schema_of
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.log_export.film import to_film
from zuluko.log_export.foxglove import to_foxglove
from zuluko.log_export.part import Part
from zuluko.log_export.ros_bags import to_ros1, to_ros2
from zuluko.log_export.tables import to_csv, to_parquet
from zuluko.log_plot.panels import panels
from zuluko.log_plot.terminal import draw

EXPORTS = {
    "o.mcap": to_foxglove,
    "o.bag": to_ros1,
    "o": to_ros2,
    "t": to_csv,
    "p": to_parquet,
    "o.mp4": to_film,
}
FIELDS = [
    "stamp",
    "items",
    "items.0.box",
    "angular_velocity",
    "yaw",
    "state",
    "ranges",
    "far.shape",
    "nearest.1",
]

WILD: list[Any] = [
    *(None, True, 0, -1, 2**63, 2**64 - 1, -(2**63), 1e308, float("nan"), float("-inf"), "", "é" * 50, b"\xff"),
    *([], {}, [[]], [1, "a", None], {"a.b": {"": []}}, msgspec.msgpack.Ext(5, b"a")),
    *({"dtype": "|u1", "shape": [10, 10, 3], "data": bytes(count)} for count in (1, 300)),
    {"dtype": "|u1", "shape": [100_000, 100_000, 3], "jpeg": b"\xff\xd8\xff\xe0"},
    {"dtype": "<c8", "shape": [1], "data": bytes(8)},
    {"dtype": {"O": 1}, "shape": [1], "data": b""},
    {"dtype": "<f4", "shape": [9, 9], "data": bytes(324)},
    {"dtype": "<f4", "shape": 3, "data": 3},
]  # fmt: skip


def wild(value, rng):
    """A value of which some parts are anything."""
    if rng.random() < 0.04:
        return rng.choice(WILD)
    if isinstance(value, dict):
        return {name: wild(one, rng) for name, one in value.items() if rng.random() > 0.01}
    return [wild(one, rng) for one in value] if isinstance(value, list) else value


def a_wild_log(source, target, rng):
    with LogReader(source) as reader, LogWriter(target) as writer:
        for topic, message in reader.messages():
            *head, body = msgspec.msgpack.decode(message.data)
            kind, told = (
                reader.type_of(topic),
                schema_of(reader.contents, reader.contents.channels[reader.topics[topic]]),
            )
            try:
                schema = msgspec.json.encode(wild(told, rng))
            except TypeError:
                schema = b"[]"
            channel = writer.topic(topic, kind, schema)
            body = {name: wild(one, rng) for name, one in body.items() if name != "type"}
            body = {**body, "type": kind} if rng.random() < 0.95 else rng.choice(WILD)
            data = msgspec.msgpack.encode([*head, body])
            received = message.received if rng.random() < 0.95 else rng.choice([0, 2**62])
            writer.write(channel, data, seq=1, sent=rng.choice([0, 2**63]), received=received)


def export_all(log, folder):
    """Exports in each way and plots some fields, and gives how often that came to something."""
    done = 0
    for name, write in EXPORTS.items():
        target = folder / name
        try:
            with LogReader(log) as reader:
                part = Part(reader)
                assert all(map(str.isprintable, [*write(part, target)]))
                assert all(len(said) < 1000 for said in part.told())
            assert target.exists()
            done += 1
        except LogError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert not target.exists()
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    return done


@pytest.mark.parametrize("seed", range(4))
def test_a_log_of_wild_values(tmp_path, seed):
    a_wild_log(every_kind(tmp_path / "a.mcap"), tmp_path / "b.mcap", random.Random(seed))
    assert export_all(tmp_path / "b.mcap", tmp_path) >= len(EXPORTS) - 1
    drawn = 0
    with LogReader(tmp_path / "b.mcap") as reader:
        part = Part(reader)
        for field in (f"{topic}.{one}" for topic in reader.topics for one in FIELDS):
            try:
                found = panels(part, [field], 100)
            except LogError:
                continue
            drawn += 1
            assert list(draw(found, (part.start, part.end), part.start, (80, 24), coloured=bool(drawn % 2)))
    assert drawn > 14
    assert {file.name for file in tmp_path.iterdir()} == {"a.mcap", "b.mcap"}


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_log(tmp_path, seed):
    rng, whole = random.Random(seed), every_kind(tmp_path / "a.mcap").read_bytes()
    for cut in (True, False):
        data = bytearray(whole[: rng.randrange(len(whole)) if cut else None])
        for _ in range(0 if cut else 3):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "b.mcap").write_bytes(data)
        export_all(tmp_path / "b.mcap", tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"a.mcap", "b.mcap"}


def test_a_schema_that_is_no_text_is_none(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        writer.topic("odd", "Odd/1", b'{"\xf7": 1}')
    with LogReader(tmp_path / "a.mcap") as reader:
        assert schema_of(reader.contents, reader.contents.channels[1]) == {}
