"""`zuluko log export`: what others' own readers find in what was exported is what was recorded."""

import csv
import math
import os
import resource
import signal
import subprocess
import sys
from collections import defaultdict
from typing import Annotated

import av
import foxglove
import foxglove.messages
import jsonschema  # type: ignore[import-untyped]
import msgspec
import numpy as np
import pyarrow.parquet
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore

from tests.logs_of_kinds import (
    BEGIN,
    COVARIANCE,
    MESSAGES,
    SECOND,
    SHORT,
    at,
    decoded,
    every_kind,
    face,
    image,
)
from tests.running import zuluko
from tests.test_log import boundaries, strictly
from zuluko import Array, Message, record
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.bus.wire import Encoder
from zuluko.log_export.film import to_film
from zuluko.log_export.foxglove import to_foxglove
from zuluko.log_export.part import Part
from zuluko.log_export.ros_bags import to_ros1, to_ros2
from zuluko.log_export.tables import to_csv, to_parquet
from zuluko.log_export.whole import whole
from zuluko.messages import Faces, Frame, Imu, LockState, Vector3


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return every_kind(tmp_path_factory.mktemp("log") / "all.mcap")


def export(write, log, target, topics=None, **options):
    with LogReader(log) as reader:
        part = Part(reader, topics)
        said = list(write(part, target, **options))
        assert list(part.told()) == []
    return said


# Foxglove


@pytest.fixture(scope="module")
def fox(log, tmp_path_factory):
    """The messages of the exported file by topic, decoded by Foxglove's own decoder, and each topic's schema."""
    file = tmp_path_factory.mktemp("fox") / "fox.mcap"
    export(to_foxglove, log, file)
    assert strictly(file)
    found, schemas = defaultdict(list), {}
    factory = DecoderFactory()
    with file.open("rb") as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            schemas[channel.topic] = schema
            decode = factory.decoder_for(channel.message_encoding, schema) or msgspec.json.decode
            found[channel.topic].append((message, decode(message.data)))
    return found, schemas


def test_foxglove_gets_every_topic_in_a_schema_of_its_own(fox):
    _, schemas = fox
    assert {topic: schema.name for topic, schema in schemas.items()} == {
        "camera": "foxglove.CompressedImage",
        "faces": "Faces/1",
        "faces/boxes": "foxglove.ImageAnnotations",
        "imu": "Imu/1",
        "odometry": "Odometry/1",
        "odometry/pose": "foxglove.PoseInFrame",
        "pose": "Pose/1",
        "pose/pose": "foxglove.PoseInFrame",
        "twist": "Twist/1",
        "tf": "foxglove.FrameTransforms",
        "scan": "foxglove.LaserScan",
        "map": "foxglove.Grid",
        "drive": "DriveState/1",
        "drive/pose": "foxglove.PoseInFrame",
        "drive/log": "foxglove.Log",
        "rules.drive_command": "DriveCommand/1",
        "lock": "LockState/1",
        "lock/log": "foxglove.Log",
        "rules.decision": "Decision/1",
        "rules.decision/log": "foxglove.Log",
        "depth": "Depth/1",
        "depth/far": "foxglove.RawImage",
    }
    for schema in schemas.values():
        if schema.encoding == "protobuf":
            kind = getattr(foxglove.messages, schema.name.removeprefix("foxglove."))
            assert schema.data == kind.get_schema().data


def test_foxglove_need_not_read_more_than_a_second_for_a_small_message(log, tmp_path):
    export(to_foxglove, log, tmp_path / "fox.mcap")
    with LogReader(tmp_path / "fox.mcap") as reader:
        places = reader.contents.places
    assert max(place.end - place.start for place in places) < SECOND < reader.span[1] - reader.span[0]


def test_foxglove_gets_a_jpeg_as_it_was_recorded(fox, log):
    (first, shown), *_ = fox[0]["camera"]
    with LogReader(log) as reader:
        body = next(iter(Part(reader, ["camera"]))).body
    assert shown.data == body["image"]["jpeg"]
    assert (shown.format, shown.frame_id) == ("jpeg", "camera")
    assert (shown.timestamp.seconds, shown.timestamp.nanos) == divmod(BEGIN - 10_000_000, SECOND)
    assert (first.log_time, first.publish_time, first.sequence) == (BEGIN, BEGIN - 1_000_000, 0)


def test_foxglove_gets_pixels_that_were_recorded_raw(log, tmp_path):
    raw = every_kind(tmp_path / "raw.mcap", jpeg=False)
    export(to_foxglove, raw, tmp_path / "fox.mcap", ["camera", "depth"])
    with (tmp_path / "fox.mcap").open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        shown = {
            channel.topic: one
            for _, channel, _, one in reader.iter_decoded_messages(["camera", "depth/far"], reverse=True)
        }
    camera, far = shown["camera"], shown["depth/far"]
    assert (camera.encoding, camera.width, camera.height, camera.step) == ("bgr8", 80, 60, 240)
    assert np.array_equal(np.frombuffer(camera.data, "u1").reshape(60, 80, 3), image(0))
    assert (far.encoding, far.step) == ("16UC1", 160)
    assert np.array_equal(np.frombuffer(far.data, "<u2"), np.arange(80 * 60))


def test_foxglove_gets_boxes_landmarks_and_names(fox):
    none, one, two = (shown for _, shown in fox[0]["faces/boxes"])
    assert (len(none.points), len(one.points), len(two.points)) == (0, 2, 4)
    assert one.timestamp == one.points[0].timestamp
    corners = [(point.x, point.y) for point in one.points[0].points]
    assert corners == [(10, 8), (22, 8), (22, 28), (10, 28)]
    assert [(point.x, point.y) for point in one.points[1].points] == list(face().landmarks)
    assert [text.text for text in two.texts] == ["ana 0.75", "stranger 0.20"]
    assert two.texts[0].text_color != two.texts[1].text_color


def test_foxglove_gets_poses_transforms_scans_and_grids(fox):
    messages, _ = fox
    _, odometry = messages["odometry/pose"][0]
    assert (odometry.frame_id, odometry.pose.position.y, odometry.pose.orientation.z) == ("odom", 2.0, 0.6)
    assert messages["drive/pose"][0][1].pose.orientation.z == pytest.approx(1.0)
    moving, fixed = messages["tf"][0][1].transforms
    assert (moving.parent_frame_id, moving.child_frame_id) == ("odom", "base_link")
    assert (moving.timestamp.nanos, moving.translation.x) == (7, 5.0)
    assert (fixed.timestamp.nanos, fixed.rotation.w) == (990_000_000, 0.8)
    _, scan = messages["scan"][1]
    assert (scan.start_angle, scan.end_angle, list(scan.intensities)) == (-1.5, 1.5, [1, 2, 3, 4])
    assert list(scan.ranges[:3]) == [1.0, math.inf, 0.5]
    assert math.isnan(scan.ranges[3])
    _, grid = messages["map"][0]
    assert (grid.column_count, grid.row_stride, grid.cell_stride, grid.cell_size.x) == (3, 3, 1, 0.05)
    assert list(np.frombuffer(grid.data, "i1")) == [0, 100, -1, 50, 0, 0]
    assert (grid.fields[0].name, grid.pose.position.x) == ("occupancy", -1.0)


def test_foxglove_gets_what_was_said_as_lines_each_once(fox):
    lines = [(one.level, one.name, one.message) for _, one in fox[0]["lock/log"]]
    assert lines == [
        (2, "lock", "locked (start)"),
        (2, "lock", "unlocked (unlock)"),
        (3, "lock", "locked (refused: too old)"),
    ]
    lines = [(one.level, one.name, one.message) for _, one in fox[0]["rules.decision/log"]]
    assert lines == [(1, "unlock", "false: nobody is there"), (2, "unlock", "fired: seen 5 of 5")]


def test_foxglove_gets_everything_else_as_json_to_plot(fox):
    messages, schemas = fox
    for topic, schema in schemas.items():
        if schema.encoding == "jsonschema":
            told = msgspec.json.decode(schema.data)
            as_foxglove_reads(told)
            for _, body in messages[topic]:
                jsonschema.validate(without_nulls(body), told)
    first, second = (body for _, body in messages["imu"])
    assert (first["angular_velocity"]["z"], first["orientation"]) == (-2.0, None)
    assert second["linear_acceleration"]["z"] is None
    told = msgspec.json.decode(schemas["imu"].data)["properties"]["angular_velocity"]
    assert (told["description"], list(told["properties"])) == ("rad/s about the sensor's own axes", [*"xyz"])
    assert "items" in msgspec.json.decode(schemas["faces"].data)["properties"]
    assert messages["depth"][0][1]["far"] == {"dtype": "<u2", "shape": [60, 80]}


def test_foxglove_sdk_takes_each_topic_as_a_channel_of_its_own(fox, tmp_path):
    messages, schemas = fox
    context = foxglove.Context()
    with foxglove.open_mcap(tmp_path / "again.mcap", context=context):
        for topic, schema in schemas.items():
            told = foxglove.Schema(name=schema.name, encoding=schema.encoding, data=schema.data)
            encoding = "json" if schema.encoding == "jsonschema" else "protobuf"
            channel = foxglove.Channel(topic, message_encoding=encoding, schema=told, context=context)
            for message, _ in messages[topic]:
                channel.log(message.data, log_time=message.log_time)
    again = defaultdict(list)
    with (tmp_path / "again.mcap").open("rb") as stream:
        for _, channel, message in make_reader(stream).iter_messages():
            again[channel.topic].append(message.data)
    assert again == {topic: [one.data for one, _ in told] for topic, told in messages.items()}


def without_nulls(body):
    inner = {name: without_nulls(one) if isinstance(one, dict) else one for name, one in body.items()}
    return {name: one for name, one in inner.items() if one is not None}


def as_foxglove_reads(schema):
    """The rules of Foxglove's parseJsonSchema.ts, which refuses a topic for any other word."""
    assert schema["type"] == "object"
    for field in schema["properties"].values():
        assert field["type"] in ("boolean", "string", "number", "integer", "object", "array")
        if field["type"] == "object":
            as_foxglove_reads(field)
        if field["type"] == "array":
            assert field["items"]["type"] in ("boolean", "string", "number", "integer", "object")
            if field["items"]["type"] == "object":
                as_foxglove_reads(field["items"])


def test_a_topic_whose_pictures_change_their_form_has_two(tmp_path):
    a, b, both = (tmp_path / f"{name}.mcap" for name in ("a", "b", "both"))
    every_kind(a), every_kind(b, jpeg=False)
    assert zuluko("log", "merge", str(a), str(b), "--out", str(both)).returncode == 0
    said = export(to_foxglove, both, tmp_path / "fox.mcap", ["camera"])
    assert said[0].endswith("12 messages on 2 topics")
    assert [line.split() for line in said[1:]] == [
        ["camera", "foxglove.RawImage"],
        ["camera/compressedimage", "foxglove.CompressedImage"],
    ]


# Tables


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_a_file_a_topic_and_a_column_a_value(log, tmp_path):
    said = export(to_csv, log, tmp_path / "tables")
    assert f"{tmp_path}/tables/camera.csv: 6 rows, 8 columns" in said
    assert {file.stem for file in (tmp_path / "tables").iterdir()} == set(MESSAGES)
    assert (tmp_path / "tables" / "imu.csv").stat().st_mode & 0o777 == 0o600
    first, second = rows_of(tmp_path / "tables" / "imu.csv")
    assert (first["log.seconds"], second["log.seconds"]) == ("0.0", "0.5")
    assert (second["log.received"], second["log.sent"]) == (str(at(1)), str(at(1) - 1_000_000))
    assert (first["angular_velocity.z"], first["frame"], first["orientation"]) == ("-2.0", "chip", "")
    assert first["angular_velocity_covariance.8"] == "8.0"
    assert (second["linear_acceleration.z"], second["orientation.w"]) == ("nan", "0.8")
    assert rows_of(tmp_path / "tables" / "camera.csv")[0]["image.shape"] == "60x80x3"


def test_csv_has_a_lists_items_side_by_side(log, tmp_path):
    export(to_csv, log, tmp_path / "faces.csv", ["faces"])
    none, one, two = rows_of(tmp_path / "faces.csv")
    assert [row["items.length"] for row in (none, one, two)] == ["0", "1", "2"]
    assert (none["items.0.name"], one["items.0.name"], one["items.1.name"]) == ("", "ana", "")
    assert (two["items.1.similarity"], two["items.1.landmarks.4.1"]) == ("0.2", "22.0")
    names = list(one)
    assert names.index("items.0.quality") + 1 == names.index("items.1.box.0")
    assert names[-2:] == ["size.0", "size.1"]
    export(to_csv, log, tmp_path / "depth.csv", ["depth"])
    (row,) = rows_of(tmp_path / "depth.csv")
    assert (row["far.shape"], tuple(float(row[f"nearest.{n}"]) for n in range(3))) == ("60x80", SHORT)


def test_parquet_holds_the_same_with_its_types(log, tmp_path):
    export(to_csv, log, tmp_path / "c")
    export(to_parquet, log, tmp_path / "p")
    for topic in MESSAGES:
        table = pyarrow.parquet.read_table(tmp_path / "p" / f"{topic}.parquet")
        rows = rows_of(tmp_path / "c" / f"{topic}.csv")
        assert table.column_names == list(rows[0])
        shown = [
            {name: "" if one is None else str(one) for name, one in row.items()} for row in table.to_pylist()
        ]
        assert shown == rows
    imu = pyarrow.parquet.read_table(tmp_path / "p" / "imu.parquet").schema
    kinds = [str(imu.field(name).type) for name in ("log.received", "angular_velocity.x", "frame")]
    assert kinds == ["int64", "double", "string"]


def test_parquet_writes_more_rows_than_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.log_export.tables.ROWS", 10)
    record(
        [LockState(state="locked", until=number) for number in range(25)], tmp_path / "a.mcap", topic="lock"
    )
    export(to_parquet, tmp_path / "a.mcap", tmp_path / "lock.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "lock.parquet")["until"].to_pylist() == [*range(25)]


def write_raw(path, *bodies, topic="odd"):
    encode = Encoder()
    with LogWriter(path) as writer:
        channel = writer.topic(topic, "Odd/1", b"{}")
        for number, body in enumerate(bodies):
            data = encode.envelope([1, number, 1, [], body])
            writer.write(channel, data, seq=number, sent=1, received=number + 1)
    return path


def test_values_of_several_kinds_share_a_column(tmp_path):
    bodies = [
        {"a": 1, "b": 1, "c": True},
        {"a": 0.5, "b": "x", "c": None},
        {"a": None, "b": 2**63, "d": b"12"},
    ]
    log = write_raw(tmp_path / "a.mcap", *bodies)
    export(to_parquet, log, tmp_path / "odd.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "odd.parquet").to_pydict()
    assert [table[name] for name in "abcd"] == [
        [1.0, 0.5, None],
        ["1", "x", str(2**63)],
        [True, None, None],
        [None, None, "2 bytes"],
    ]


def test_a_logs_names_lead_to_no_other_folder(tmp_path):
    log = write_raw(tmp_path / "a.mcap", {"a": 1}, topic="../../up")
    export(to_csv, log, tmp_path / "tables")
    assert [file.name for file in (tmp_path / "tables").iterdir()] == ["up.csv"]


def test_a_log_that_was_made_to_harm_costs_no_more_columns_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("zuluko.log_export.columns.MOST", 20)
    deep = "end"
    for _ in range(300):
        deep = {"in": [deep]}
    log = write_raw(
        tmp_path / "a.mcap", {str(n): n for n in range(50)}, {"0": 1, "deep": deep, "long": [1] * 999}
    )
    (said,) = export(to_csv, log, tmp_path / "odd.csv")
    assert said.startswith(f"{tmp_path}/odd.csv: 2 rows, 24 columns; only the first")


# Films


def packets(file):
    with av.open(str(file)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        shown = [(float(frame.time), frame.to_ndarray(format="bgr24")) for frame in film.decode(stream)]
        return shown, float(stream.duration * stream.time_base)


def test_a_film_shows_each_picture_at_its_time(tmp_path):
    times = [1.0, 1.1, 1.5, 4.0]
    with LogWriter(tmp_path / "a.mcap") as writer:
        frames, other = writer.topic("camera", "Frame/1", b"{}"), writer.topic("lock", "LockState/1", b"{}")
        encode, state = Encoder(), LockState(state="locked")
        for moment in (0.0, 6.0):
            writer.write(
                other, encode(state, seq=0, sent=1), seq=0, sent=1, received=round(moment * SECOND) + 1
            )
        for number, moment in enumerate(times):
            message = Frame(image=image(5 * number, 61, 81))
            writer.write(
                frames, encode(message, seq=0, sent=1), seq=0, sent=1, received=round(moment * SECOND) + 1
            )
    (said,) = export(to_film, tmp_path / "a.mcap", tmp_path / "a.mp4")
    assert said == f"{tmp_path}/a.mp4: 4 pictures of camera, 82x62, 6.0 s"
    shown, duration = packets(tmp_path / "a.mp4")
    assert [time for time, _ in shown] == pytest.approx([0.0, *times, 6.0 - 1 / 30], abs=1e-4)
    assert duration == pytest.approx(6.0, abs=1e-3)
    assert shown[0][1].max() < 20
    for number, (_, seen) in enumerate(shown[1:5]):
        assert np.abs(seen[:61, :81].astype(int) - image(5 * number, 61, 81)).mean() < 4
    assert np.abs(shown[5][1].astype(int) - shown[4][1]).mean() < 4


def test_a_films_faces_are_drawn_into_their_own_picture(tmp_path):
    """They are received some pictures later, and some pictures have none: those keep the last ones for 0.5 s."""
    with LogWriter(tmp_path / "a.mcap") as writer:
        frames, faces = writer.topic("camera", "Frame/1", b"{}"), writer.topic("faces", "Faces/1", b"{}")
        encode = Encoder()
        for number in range(12):
            stamp, now = number * SECOND // 10, (number + 1) * SECOND // 10
            black = Frame(image=np.zeros((96, 96, 3), "u1"), stamp=stamp)
            writer.write(frames, encode(black, seq=number, sent=now), seq=number, sent=now, received=now)
            if number in (0, 1, 2, 8, 9):
                found = Faces(items=(face(),) if number in (2, 8) else (), stamp=stamp)
                later = now + 350_000_000
                writer.write(faces, encode(found, seq=0, sent=now), seq=0, sent=now, received=later)
    export(to_film, tmp_path / "a.mcap", tmp_path / "a.mp4", ["camera"], boxes=True)
    shown, _ = packets(tmp_path / "a.mp4")
    drawn = [number for number, (_, seen) in enumerate(shown) if seen[28, 12:20, 1].mean() > 60]
    assert drawn == [2, 3, 4, 5, 6, 8]


def test_a_film_needs_one_topic_of_pictures(log, tmp_path):
    with pytest.raises(LogError, match="has no pictures for a film"):
        export(to_film, log, tmp_path / "a.mp4", ["imu", "depth"])
    with LogWriter(tmp_path / "two.mcap") as writer:
        for topic in ("left", "right"):
            data = Encoder()(Frame(image=image(1)), seq=0, sent=1)
            writer.write(writer.topic(topic, "Frame/1", b"{}"), data, seq=0, sent=1, received=1)
    with pytest.raises(LogError, match="choose it with --topic: left, right"):
        export(to_film, tmp_path / "two.mcap", tmp_path / "a.mp4")
    with pytest.raises(LogError, match="has no Faces to draw"):
        export(to_film, tmp_path / "two.mcap", tmp_path / "a.mp4", ["left"], boxes=True)
    assert not list(tmp_path.glob("*.mp4*"))


# ROS

TF = "/tf", "/tf_static"


@pytest.fixture(scope="module", params=["ros1", "ros2"])
def bag(request, log, tmp_path_factory):
    """The messages of a bag by topic, read by rosbags, each with its time; and the reader's connections."""
    folder = tmp_path_factory.mktemp("ros")
    path = folder / ("all.bag" if request.param == "ros1" else "all")
    export(to_ros1 if request.param == "ros1" else to_ros2, log, path)
    found = defaultdict(list)
    with AnyReader([path]) as reader:
        for connection, time, data in reader.messages():
            found[connection.topic].append((time, reader.deserialize(data, connection.msgtype)))
        return found, {one.topic: one for one in reader.connections}


def test_ros_gets_every_topic_in_a_type_of_its_own(bag):
    kinds = {topic: connection.msgtype.replace("/msg/", "/") for topic, connection in bag[1].items()}
    assert kinds == {
        "/camera/compressed": "sensor_msgs/CompressedImage",
        "/faces": "std_msgs/String",
        "/imu": "sensor_msgs/Imu",
        "/odometry": "nav_msgs/Odometry",
        "/pose": "geometry_msgs/PoseStamped",
        "/pose/posewithcovariancestamped": "geometry_msgs/PoseWithCovarianceStamped",
        "/twist": "geometry_msgs/TwistStamped",
        "/tf": "tf2_msgs/TFMessage",
        "/tf_static": "tf2_msgs/TFMessage",
        "/scan": "sensor_msgs/LaserScan",
        "/map": "nav_msgs/OccupancyGrid",
        "/drive": "nav_msgs/Odometry",
        "/rules/drive_command": "geometry_msgs/TwistStamped",
        "/lock": "std_msgs/String",
        "/rules/decision": "std_msgs/String",
        "/depth": "std_msgs/String",
        "/depth/far": "sensor_msgs/Image",
    }


def test_ros_gets_times_frames_and_pictures(bag, log):
    (time, shown), *_ = bag[0]["/camera/compressed"]
    assert time == BEGIN
    assert (shown.header.stamp.sec, shown.header.stamp.nanosec) == divmod(BEGIN - 10_000_000, SECOND)
    assert (shown.header.frame_id, shown.format) == ("camera", "bgr8; jpeg compressed bgr8")
    assert np.abs(decoded(shown.data.tobytes()).astype(int) - image(0)).mean() < 4
    _, far = bag[0]["/depth/far"][0]
    assert (far.encoding, far.height, far.width, far.step, far.is_bigendian) == ("16UC1", 60, 80, 160, 0)
    assert np.array_equal(far.data.view("<u2"), np.arange(80 * 60))


def test_ros_gets_motion(bag):
    found, _ = bag
    first, second = (one for _, one in found["/imu"])
    assert (first.header.frame_id, first.angular_velocity.z, first.linear_acceleration.z) == (
        "chip",
        -2.0,
        9.81,
    )
    assert (first.orientation_covariance[0], first.orientation.w) == (-1.0, 1.0)
    assert tuple(first.angular_velocity_covariance) == COVARIANCE[:9]
    assert (second.orientation.z, second.orientation_covariance.any()) == (0.6, False)
    odometry = found["/odometry"][0][1]
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "base_link")
    assert (odometry.pose.pose.position.y, odometry.twist.twist.angular.z) == (2.0, 0.25)
    assert tuple(odometry.pose.covariance) == COVARIANCE
    drive = found["/drive"][0][1]
    assert (drive.twist.twist.linear.x, drive.pose.pose.orientation.z) == (0.5, pytest.approx(1.0))
    assert found["/pose"][0][1].pose.position.x == 3.0
    assert tuple(found["/pose/posewithcovariancestamped"][0][1].pose.covariance) == COVARIANCE
    command = found["/rules/drive_command"][0][1].twist
    assert (command.linear.x, command.angular.z) == (0.5, -0.25)


def test_ros_gets_space(bag):
    found, _ = bag
    first, second = (one for _, one in found["/scan"])
    assert (first.angle_min, first.angle_increment, first.range_max) == (-1.5, 1.0, 8.0)
    assert (list(first.ranges[:3]), list(first.intensities)) == ([1.0, math.inf, 0.5], [])
    assert list(second.intensities) == [1, 2, 3, 4]
    grid = found["/map"][0][1]
    assert (grid.info.width, grid.info.height, grid.info.origin.position.x) == (3, 2, -1.0)
    assert grid.info.resolution == pytest.approx(0.05)
    assert list(grid.data) == [0, 100, -1, 50, 0, 0]
    moving, fixed = (found[topic][0][1].transforms for topic in TF)
    assert [(one.header.frame_id, one.child_frame_id) for one in (*moving, *fixed)] == [
        ("odom", "base_link"),
        ("base_link", "laser"),
    ]
    assert (moving[0].header.stamp.nanosec, fixed[0].transform.rotation.w) == (7, 0.8)


def test_ros_gets_the_rest_as_json(bag):
    told = [msgspec.json.decode(one.data) for _, one in bag[0]["/lock"]]
    assert [one["state"] for one in told] == ["locked", "locked", "unlocked", "locked"]


def test_ros_2_keeps_fixed_transforms_for_late_listeners(log, tmp_path):
    export(to_ros2, log, tmp_path / "bag")
    assert {file.name for file in (tmp_path / "bag").iterdir()} == {"metadata.yaml", "bag.mcap"}
    with AnyReader([tmp_path / "bag"]) as reader:
        qos = {one.topic: one.ext.offered_qos_profiles for one in reader.connections}
    assert qos["/tf_static"][0].durability == QosDurability.TRANSIENT_LOCAL
    with (tmp_path / "bag" / "bag.mcap").open("rb") as stream:
        assert (
            len(list(make_reader(stream, validate_crcs=True).iter_messages()))
            == sum(len(messages) for messages in MESSAGES.values()) + 2
        )  # a picture of depth, and fixed transforms


def test_ros_2_types_are_those_of_its_releases(log, tmp_path):
    """The hash of a type says whether a ROS of that release takes it."""
    export(to_ros2, log, tmp_path / "bag")
    with AnyReader([tmp_path / "bag"]) as reader:
        told = {one.msgtype: one.digest for one in reader.connections}
    for release in (Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY):
        store = get_typestore(release)
        assert told == {kind: store.hash_rihs01(kind) for kind in told}


def test_a_ros_1_bag_costs_no_memory_for_what_is_written(tmp_path, monkeypatch):
    from rosbags.rosbag1 import Writer

    kept = []
    close = Writer.close
    monkeypatch.setattr(Writer, "close", lambda bag: kept.extend(bag.chunks) or close(bag))
    imu = Imu(angular_velocity=Vector3(), linear_acceleration=Vector3())
    record([imu] * 8000, tmp_path / "a.mcap", topic="imu")
    export(to_ros1, tmp_path / "a.mcap", tmp_path / "a.bag")
    assert len(kept) > 2
    assert {type(times) for chunk in kept[:-1] for times in chunk.connections.values()} == {range}
    with AnyReader([tmp_path / "a.bag"]) as reader:
        assert reader.message_count == len(list(reader.messages())) == 8000


# The command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("OUT.foo",), "say what to write with --as foxglove|ros1|ros2|video|csv|parquet, or by an ending: .mcap, .bag"),
        (("OUT", "--as", "ros3"), "--as ros3: no such kind; did you mean `ros2`?"),
        (("LOG",), "exists already; choose another name, or remove it"),
        (("OUT.csv",), "14 topics make a folder of files; name it without .csv, or choose one topic with --topic"),
        (("OUT.csv", "-t", "imo"), "has no topic `imo`; did you mean `imu`?"),
        (("OUT.csv", "--boxes"), "--boxes draws into a film; this writes csv"),
        (("OUT.csv", "-t", "imu", "--from", "1h"), "has nothing between --from 1h and --to its end"),
        (("OUT.csv", "-t", "twist", "--from", "1s"), "has no message that could be exported"),
        (("nowhere/OUT.csv", "-t", "imu"), "nowhere/OUT.csv cannot be written: No such file or directory"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(log, tmp_path, arguments, said):
    words = [str(log) if word == "LOG" else word.replace("OUT", str(tmp_path / "out")) for word in arguments]
    words = [word.replace("nowhere/", "") if "nowhere" in word else word for word in words]
    if "nowhere/" in arguments[0]:
        words[0], said = str(tmp_path / "nowhere" / "out.csv"), said.replace("OUT", "out")
    done = zuluko("log", "export", str(log), *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_part_is_exported(log, tmp_path):
    done = zuluko("log", "export", str(log), str(tmp_path / "imu.csv"), "-t", "imu", "--from", "0.4s")
    assert (done.stdout, done.stderr) == (f"{tmp_path}/imu.csv: 1 rows, 16 columns\n", "")
    assert rows_of(tmp_path / "imu.csv")[0]["log.seconds"] == "0.1"


def test_a_torn_log_is_exported_as_far_as_it_goes(log, tmp_path):
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(log.read_bytes()[: boundaries(log)[-30]])
    with LogReader(torn) as reader:
        count, end = len(list(reader.messages())), reader.contents.torn
    done = zuluko("log", "export", str(torn), str(tmp_path / "tables"), "--as", "csv")
    assert done.stderr == f"{torn} is torn: this is what stands before byte {end} of {torn.stat().st_size}\n"
    assert sum(int(line.split(": ")[1].split()[0]) for line in done.stdout.splitlines()) == count > 10


@pytest.mark.parametrize("write", [to_foxglove, to_ros1, to_ros2])
def test_pictures_that_are_too_small_to_be_shown_are_told_once_with_their_number(tmp_path, write):
    frames = [Frame(image=np.zeros((7 if n < 3 else 8, 20, 3), np.uint8), stamp=BEGIN + n) for n in range(5)]
    record(frames, tmp_path / "a.mcap", "camera")
    with LogReader(tmp_path / "a.mcap") as reader:
        part = Part(reader)
        (said, _) = write(part, tmp_path / "out")
        assert said == f"{tmp_path / 'out'}: 2 messages on 1 topics"
        told = list(part.told())
    assert told == ["camera: 3 messages left out: a picture under 8 pixels a side is not shown"]


def test_a_film_tells_of_pictures_that_are_too_small(tmp_path):
    small, large = np.zeros((7, 20, 3), np.uint8), np.zeros((16, 20, 3), np.uint8)
    record(
        [Frame(image=large, stamp=BEGIN), Frame(image=small, stamp=BEGIN + 1)], tmp_path / "a.mcap", "camera"
    )
    with LogReader(tmp_path / "a.mcap") as reader:
        part = Part(reader)
        list(to_film(part, tmp_path / "a.mp4"))
        assert list(part.told()) == [
            "camera: 1 message left out: a picture under 8 pixels a side is not shown"
        ]
    record([Frame(image=small, stamp=BEGIN)], tmp_path / "b.mcap", "camera")
    done = zuluko("log", "export", str(tmp_path / "b.mcap"), str(tmp_path / "b.mp4"))
    assert done.returncode == 1
    assert done.stderr.endswith(
        "no pictures for a film; camera: a picture under 8 pixels a side is not shown\n"
    )


def test_an_array_of_a_message_of_ones_own_may_be_small_without_a_word(tmp_path):
    class Turned(Message, tag="ExportTurned/1"):
        matrix: Annotated[np.ndarray, Array("f4", (3, 3))]

    record([Turned(matrix=np.eye(3, dtype="f4"), stamp=BEGIN)], tmp_path / "a.mcap", "turned")
    export(to_foxglove, tmp_path / "a.mcap", tmp_path / "out.mcap")


def test_what_does_not_fit_its_type_is_left_out_and_told(tmp_path):
    encode = Encoder()
    with LogWriter(tmp_path / "a.mcap") as writer:
        channel = writer.topic("imu", "Imu/1", b"{}")
        for number, body in enumerate(({"type": "Imu/1", "angular_velocity": 1}, MESSAGES["imu"][0], 5)):
            data = encode.envelope([1, number, 1, [], body])
            writer.write(channel, data, seq=number, sent=1, received=number + 1)
        writer.write(channel, b"\xc1", seq=9, sent=1, received=9)
    done = zuluko("log", "export", str(tmp_path / "a.mcap"), str(tmp_path / "a.bag"))
    assert done.stdout.splitlines()[0].endswith("1 messages on 1 topics")
    assert done.stderr.startswith("imu: 3 messages left out: ")
    assert done.stderr.endswith(" (and 2 other reasons)\n")


@pytest.mark.parametrize("name", ["a.mcap", "a.bag", "a", "a.mp4", "t", "p"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, name):
    """The limit of a file's size stands for the disk's."""
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), "u1")
    frames = [Frame(image=np.roll(noise, n, 0), scene="x" * 50_000, stamp=n * SECOND) for n in range(12)]
    record(frames, tmp_path / "log.mcap", topic="camera")
    kind = {"a": ["--as", "ros2"], "t": ["--as", "csv"], "p": ["--as", "parquet"]}.get(name, [])
    command = [
        sys.executable,
        "-m",
        "zuluko",
        "log",
        "export",
        str(tmp_path / "log.mcap"),
        str(tmp_path / name),
        *kind,
    ]
    size = 400 if name == "p" else 100_000
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == f"{tmp_path / name} cannot be written: File too large\n"
    assert [file.name for file in tmp_path.iterdir()] == ["log.mcap"]


def test_a_command_that_is_stopped_leaves_nothing(log, tmp_path):
    program = f"""
import os, signal
from zuluko.log_export import tables
from zuluko.cli import app, log_export
names = tables._names
tables._names = lambda topics: os.kill(os.getpid(), signal.SIGTERM) or names(topics)
app.app(["log", "export", {str(log)!r}, {str(tmp_path / "t")!r}, "--as", "csv"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert not list(tmp_path.iterdir())


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    target = tmp_path / "a"

    def write():
        with whole(target) as place:
            place.write_text("new")
            target.write_text("old")

    with pytest.raises(LogError, match="exists by now"):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("foxglove", "a.mcap", "foxglove"), ("rosbags", "a.bag", "ros"), ("av", "a.mp4", "video"), ("pyarrow", "a.parquet", "parquet")],
)  # fmt: skip
def test_a_missing_extra_is_one_sentence(log, tmp_path, package, name, extra):
    program = f"""
import sys
sys.modules[{package!r}] = None
from zuluko.cli import app
app.app(["log", "export", {str(log)!r}, {str(tmp_path / name)!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"; run: pip install 'zuluko[{extra}]'\n")
    assert len(done.stderr.splitlines()) == 1
