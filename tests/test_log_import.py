"""`zuluko log import` of ROS bags: what rosbags wrote is read back as standard messages."""

import math
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pexpect
import pytest
from mcap.writer import CompressionType, Writer

from tests.bags import BEGIN, FORMS, ONE, SECOND, TWO, Types, bag
from tests.importing import run
from tests.running import ROOT
from tests.test_log import strictly
from zuluko import read
from zuluko.bus.log_reader import LogReader
from zuluko.log_import import importing, names, recognised
from zuluko.log_import.imu_table import Units
from zuluko.messages import Transform, Transforms, Vector3

JACKAL = ROOT / "../shared/data/sensors/jackal.bag"
AT = BEGIN + SECOND // 2  # when it was received, half a second after its stamp


def imported(source: Path, *arguments: str, status: int = 0) -> Path:
    out = source.with_name("out.mcap")
    done = run(str(source), str(out), *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return out


def one_of_each(types: Types) -> list[tuple[str, object, int]]:
    """A message of every type that is imported, each by itself on a topic, and one that is not."""
    header = types.header(BEGIN, "/base")
    turned = types.Quaternion(x=0.0, y=0.0, z=0.6, w=0.8)
    xyz = types.Vector3(x=1.0, y=2.0, z=3.0)
    pose = types.Pose(position=types.Point(x=4.0, y=5.0, z=6.0), orientation=turned)
    twist = types.Twist(linear=xyz, angular=types.Vector3(z=0.5))
    thirds = np.array([1.0, *[0.0] * 8])
    sixths = np.array([2.0, *[0.0] * 35])
    moved = types.Transform(translation=xyz, rotation=turned)
    transform = types.TransformStamped(header=header, child_frame_id="/laser", transform=moved)
    ranges = np.array([1.0, math.inf, math.nan], "f4")
    said = {
        "/imu/data": types.Imu(
            header=header, orientation=turned, angular_velocity=xyz, angular_velocity_covariance=thirds, linear_acceleration=types.Vector3(z=9.81)
        ),
        "/scan": types.LaserScan(
            header=header, angle_min=-1.0, angle_max=1.0, angle_increment=1.0, range_min=0.1, range_max=30.0, scan_time=0.1, ranges=ranges, intensities=ranges
        ),
        "/odom": types.Odometry(
            header=header, child_frame_id="foot", pose=types.PoseWithCovariance(pose=pose, covariance=sixths), twist=types.TwistWithCovariance(twist=twist, covariance=np.zeros(36))
        ),
        "/cmd_vel": twist,
        "/cmd_vel_stamped": types.TwistStamped(header=header, twist=twist),
        "/goal": types.PoseStamped(header=header, pose=pose),
        "/amcl": types.PoseWithCovarianceStamped(header=header, pose=types.PoseWithCovariance(pose=pose, covariance=sixths)),
        "/map": types.OccupancyGrid(
            header=header, info=types.MapMetaData(resolution=0.5, width=3, height=2, origin=pose), data=np.array([0, 100, -1, 7, 8, 9], "i1")
        ),
        "/tf": types.TFMessage(transforms=[transform]),
        "/tf_static": types.TFMessage(transforms=[transform]),
        "/battery": types.BatteryState(header=header),
    }  # fmt: skip
    return [(topic, message, AT) for topic, message in said.items()]


@pytest.mark.parametrize("form", FORMS)
def test_each_type_becomes_the_standard_one(tmp_path, form):
    types = Types(form)
    source = bag(tmp_path, form, one_of_each(types))
    done = run(str(source), str(tmp_path / "out.mcap"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "left out: /battery (sensor_msgs/msg/BatteryState), 1 message: no standard message holds it\n"  # fmt: skip
    log = tmp_path / "out.mcap"

    (imu,) = read(log, "imu.data")
    assert (imu.stamp, imu.frame, imu.angular_velocity.y, imu.linear_acceleration.z) == (
        BEGIN,
        "base",
        2.0,
        9.81,
    )
    assert (imu.orientation.z, imu.orientation.w) == (0.6, 0.8)
    assert imu.angular_velocity_covariance == (1.0, *[0.0] * 8)
    assert imu.linear_acceleration_covariance == imu.orientation_covariance == ()
    (scan,) = read(log, "scan")
    assert (scan.angle_min, scan.angle_increment, scan.frame) == (-1.0, 1.0, "base")
    assert (round(scan.range_min, 5), scan.range_max, round(scan.scan_time, 5)) == (0.1, 30.0, 0.1)
    assert np.array_equal(scan.ranges, np.array([1.0, math.inf, math.nan], "f4"), equal_nan=True)
    assert np.array_equal(scan.intensities, scan.ranges, equal_nan=True)
    (odometry,) = read(log, "odom")
    assert (odometry.position.y, odometry.orientation.z, odometry.linear.x, odometry.angular.z) == (5.0, 0.6, 1.0, 0.5)  # fmt: skip
    assert (odometry.frame, odometry.child_frame) == ("base", "foot")
    assert (odometry.pose_covariance[:2], odometry.twist_covariance) == ((2.0, 0.0), ())
    (twist,) = read(log, "cmd_vel")
    assert (twist.stamp, twist.frame, twist.linear.x, twist.angular.z) == (AT, "base_link", 1.0, 0.5)
    (twist,) = read(log, "cmd_vel_stamped")
    assert (twist.stamp, twist.frame, twist.linear.x, twist.angular.z) == (BEGIN, "base", 1.0, 0.5)
    (goal,), (known,) = read(log, "goal"), read(log, "amcl")
    assert (goal.position, goal.orientation, goal.covariance) == (known.position, known.orientation, ())
    assert (goal.position.z, known.covariance[0]) == (6.0, 2.0)
    (grid,) = read(log, "map")
    assert grid.cells.tolist() == [[0, 100, -1], [7, 8, 9]]
    assert (grid.resolution, grid.origin.x, grid.orientation.w) == (0.5, 4.0, 0.8)
    (moving,), (fixed,) = read(log, "tf"), read(log, "tf_static")
    wanted = Transform(
        frame="base", child_frame="laser", translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=goal.orientation, stamp=BEGIN
    )  # fmt: skip
    assert moving == Transforms(stamp=BEGIN, items=(wanted,))
    assert fixed == Transforms(stamp=BEGIN, items=(msgspec.structs.replace(wanted, stamp=0),))
    assert {time for _, _, time in strictly(log)} == {AT}
    assert log.stat().st_mode & 0o777 == 0o600


PIXELS = np.random.default_rng(1).integers(0, 255, (6, 8, 3), "u1")  # blue, green, red
GREY = PIXELS[:, :, :1]
CODES = {
    "bgr8": PIXELS,
    "rgb8": PIXELS[:, :, ::-1],
    "bgra8": np.dstack([PIXELS, GREY]),
    "rgba8": np.dstack([PIXELS[:, :, ::-1], GREY]),
    "mono8": GREY,
    "mono16": GREY.astype("<u2") * 256 + 7,
    "bgr16": PIXELS.astype("<u2") * 256 + 7,
}


@pytest.mark.parametrize("form", ["ros1", "mcap"])
def test_pictures_of_each_encoding_are_blue_green_red(tmp_path, form):
    types, said = Types(form), []
    for padding in (0, 4):
        for code, pixels in CODES.items():
            rows = np.ascontiguousarray(pixels).view("u1").reshape(6, -1)
            rows = np.pad(rows, ((0, 0), (0, padding)))
            said.append((f"/{code}", types.Image(header=types.header(BEGIN), height=6, width=8, encoding=code, step=rows.shape[1], data=rows.ravel()), AT))  # fmt: skip
    big = CODES["mono16"].astype(">u2")
    said.append(("/big", types.Image(height=6, width=8, encoding="mono16", is_bigendian=1, step=16, data=np.ascontiguousarray(big).view("u1").ravel()), AT))  # fmt: skip
    log = imported(bag(tmp_path, form, said))
    for code in (*CODES, "big"):
        for frame in read(log, code):
            wanted = np.repeat(GREY, 3, axis=2) if code.startswith(("mono", "big")) else PIXELS
            assert np.array_equal(frame.image, wanted), code
    assert [one.stamp for one in read(log, "big")] == [AT]
    assert len(strictly(log)) == 15


def mosaic(pattern: str) -> np.ndarray:
    """What a sensor behind a Bayer filter sees of a picture that is a quarter blue, half green, all red."""
    values = {"r": 200, "g": 100, "b": 50}
    return np.tile(np.array([values[one] for one in pattern], "u1").reshape(2, 2), (8, 8))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_bayer_pattern_is_named_by_its_first_pixels(tmp_path, pattern):
    types = Types("mcap")
    said = [
        (f"/{code}", types.Image(height=16, width=16, encoding=code, step=step, data=data), AT)
        for code, step, data in (
            (f"bayer_{pattern}8", 16, mosaic(pattern).ravel()),
            (f"bayer_{pattern}16", 32, (mosaic(pattern).astype("<u2") * 256).view("u1").ravel()),
        )
    ]
    log = imported(bag(tmp_path, "mcap", said))
    for topic, *_ in said:
        (frame,) = read(log, topic[1:])
        assert frame.image[8, 8].tolist() == [50, 100, 200]


def test_a_jpeg_stays_its_very_bytes_and_a_png_is_unpacked(tmp_path):
    types = Types("db3")
    smooth = cv2.resize(PIXELS, (64, 48), interpolation=cv2.INTER_CUBIC)
    jpeg, png = (cv2.imencode(kind, smooth)[1].tobytes() for kind in (".jpg", ".png"))
    grey = cv2.imencode(".jpg", smooth[:, :, 0])[1].tobytes()
    turned = jpeg[:2] + b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00" + jpeg[2:]  # fmt: skip
    said = [
        (f"/cam/{name}", types.CompressedImage(header=types.header(BEGIN), format=form, data=np.frombuffer(data, "u1")), AT)
        for name, form, data in (("jpeg", "jpeg", jpeg), ("png", "png", png), ("grey", "mono8; jpeg compressed mono8", grey), ("turned", "jpeg", turned))
    ]  # fmt: skip
    log = imported(bag(tmp_path, "db3", said))
    with LogReader(log) as reader:
        for topic, message in reader.messages():
            if topic != "cam.png":
                wanted = {"cam.jpeg": jpeg, "cam.grey": grey, "cam.turned": turned}[topic]
                assert msgspec.msgpack.decode(message.data)[4]["image"] == {"dtype": "|u1", "shape": [48, 64, 3], "jpeg": wanted}  # fmt: skip
    assert np.array_equal(next(iter(read(log, "cam.png"))).image, smooth)
    for name in ("jpeg", "turned"):
        assert np.array_equal(
            next(iter(read(log, f"cam.{name}"))).image, cv2.imdecode(np.frombuffer(jpeg, "u1"), 1)
        )
    assert next(iter(read(log, "cam.grey"))).image.shape == (48, 64, 3)

    packed = tmp_path / "packed.mcap"
    done = run(str(tmp_path / "bag"), str(packed), "--images", "jpeg", "-t", "/cam/png")
    assert done.returncode == 0, done.stderr
    with LogReader(packed) as reader:
        (message,) = (message for _, message in reader.messages())
    assert msgspec.msgpack.decode(message.data)[4]["image"]["jpeg"].startswith(b"\xff\xd8\xff")


WRONG = [
    ("/depth", "Image", {"encoding": "16UC1", "height": 1, "width": 1, "step": 2, "data": np.zeros(2, "u1")}, "its encoding is `16UC1`, a depth picture, and no message holds it"),
    ("/odd", "Image", {"encoding": "hsv", "height": 1, "width": 1, "step": 3, "data": np.zeros(3, "u1")}, "its encoding is `hsv` and no message holds it"),
    ("/short", "Image", {"encoding": "bgr8", "height": 2, "width": 2, "step": 6, "data": np.zeros(11, "u1")}, "11 bytes are no 2x2 picture in bgr8, 6 bytes a row"),
    ("/empty", "Image", {"encoding": "bgr8"}, "0 bytes are no 0x0 picture in bgr8, 0 bytes a row"),
    ("/text", "CompressedImage", {"format": "webp", "data": np.frombuffer(b"hello", "u1")}, "it is neither JPEG nor PNG but webp"),
    ("/torn", "CompressedImage", {"format": "jpeg", "data": np.frombuffer(b"\xff\xd8\xff\xe0abc", "u1")}, "it is a JPEG that cannot be read"),
    ("/bomb", "CompressedImage", {"format": "png", "data": np.frombuffer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff", "u1")}, "a picture of 65535x65535 is none, or larger than the 64 MB that a log holds"),
    ("/depths", "CompressedImage", {"format": "16UC1; compressedDepth png", "data": np.zeros(9, "u1")}, "it is a depth picture, and no message holds it"),
    ("/grid", "OccupancyGrid", {"data": np.zeros(3, "i1")}, "3 cells are no 0x0 grid"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["ros1", "mcap"])
def test_what_becomes_no_message_is_told_by_topic_and_type(tmp_path, form):
    types = Types(form)
    said = [(topic, getattr(types, kind)(**fields), AT) for topic, kind, fields, _ in WRONG for _ in range(2)]
    said.append(("/good", types.Twist(), AT))
    source = bag(tmp_path, form, said)
    done = run(str(source), str(tmp_path / "out.mcap"))
    assert done.returncode == 0
    told = {line.partition(":")[2].split()[0]: line for line in done.stderr.splitlines()}
    for topic, kind, _, why in WRONG:
        package = "nav_msgs" if kind == "OccupancyGrid" else "sensor_msgs"
        assert told[topic] == f"left out: {topic} ({package}/msg/{kind}), 2 messages: {why}"
    assert [topic for topic, *_ in strictly(tmp_path / "out.mcap")] == ["good"]

    none = run(str(source), str(tmp_path / "none.mcap"), "-t", "/depth")
    assert none.returncode == 1
    assert none.stderr.endswith(f"{source} has no message that can be imported\n")
    assert not (tmp_path / "none.mcap").exists()


def test_topics_are_chosen_and_renamed(tmp_path):
    types = Types("ros1")
    names = ["/camera/image_raw", "/1st/imu~x", "odom", "/a/b"]
    source = bag(tmp_path, "ros1", [(name, types.Twist(), AT) for name in names])
    assert {topic for topic, *_ in strictly(imported(source))} == {
        "camera.image_raw",
        "t1st.imu_x",
        "odom",
        "a.b",
    }

    out = tmp_path / "two.mcap"
    arguments = ("-t", "/camera/image_raw", "-t", "odom", "--rename", "/camera/image_raw=camera", "--rename", "odom=wheels.odom")  # fmt: skip
    done = run(str(source), str(out), *arguments)
    assert done.stdout.splitlines()[3].split() == ["camera", "Twist/1", "1", "/camera/image_raw", "geometry_msgs/msg/Twist"]  # fmt: skip
    assert {topic for topic, *_ in strictly(out)} == {"camera", "wheels.odom"}

    for arguments, status, told in (
        (("-t", "/camera/imag_raw"), 1, f"{source}: there is no topic `/camera/imag_raw`; did you mean `/camera/image_raw`?"),
        (("--rename", "odom=a.b"), 1, "odom (geometry_msgs/msg/Twist) and /a/b (geometry_msgs/msg/Twist) would both be `a.b`; leave one out, or give --rename /a/b=another"),
        (("--rename", "odom=9"), 1, "'9' cannot name a topic: use letters, digits, - and _, a letter first"),
        (("--rename", "odom"), 2, "--rename odom: write the topic's name there and the one here: /camera/image_raw=camera"),
        (("--images", "png"), 2, "--images png: write raw or jpeg"),
    ):  # fmt: skip
        done = run(str(source), str(tmp_path / "no.mcap"), *arguments)
        assert (done.returncode, done.stderr.strip().removeprefix(f"{source}: ")) == (status, told.removeprefix(f"{source}: "))  # fmt: skip
        assert not (tmp_path / "no.mcap").exists()
    done = run(str(source), str(out))
    assert (done.returncode, done.stderr) == (1, f"{out} exists already; choose another name, or remove it\n")


def a_drive(types: Types, count: int = 400) -> list[tuple[str, object, int]]:
    """Two topics, whose messages are long enough for several chunks."""
    noise = np.random.default_rng(3).integers(0, 255, (count, 3000), "u1")
    return [
        (topic, message, BEGIN + number * SECOND // 100)
        for number in range(count)
        for topic, message in (
            ("/twist", types.Twist(linear=types.Vector3(x=float(number)))),
            ("/image", types.Image(encoding="mono8", height=30, width=100, step=100, data=noise[number])),
        )
    ]


@pytest.mark.parametrize("form", ["ros1-lz4", "mcap", "mcap-zstd", "db3"])
def test_messages_come_in_the_order_in_which_they_were_received(tmp_path, form):
    drive = a_drive(Types(form))
    chunks_overlap = drive[::3] + drive[1::3] + drive[2::3]
    path = bag(tmp_path, form, drive if form == "mcap" else chunks_overlap)
    with closing(recognised.source(path, Units())) as source:
        times = [heard.received for heard in source.messages(source.channels)]
    assert times == sorted(times)
    assert len(times) == 800
    assert [one.linear.x for one in read(imported(path), "twist")] == list(range(400))


def test_a_real_robots_drive_is_what_rosbags_reads_of_it(tmp_path):
    if not JACKAL.exists():
        pytest.skip(f"{JACKAL} is not here")
    from rosbags.rosbag1 import Reader

    out = tmp_path / "jackal.mcap"
    assert run(str(JACKAL), str(out), "--rename", "/imu/data=imu").returncode == 0
    stream = read(out, "imu", "jackal_velocity_controller.odom")
    messages = iter(stream)
    names = {"/imu/data": "imu", "/jackal_velocity_controller/odom": "jackal_velocity_controller.odom"}
    with Reader(JACKAL) as reader:
        for connection, received, data in reader.messages():
            theirs, ours = ONE.deserialize_ros1(data, connection.msgtype), next(messages)
            assert (stream.topic, stream.now) == (names[connection.topic], received)
            assert ours.stamp == theirs.header.stamp.sec * SECOND + theirs.header.stamp.nanosec
            if stream.topic == "imu":
                assert ours.angular_velocity.z == theirs.angular_velocity.z
                assert ours.linear_acceleration.x == theirs.linear_acceleration.x
                assert ours.linear_acceleration_covariance == tuple(theirs.linear_acceleration_covariance)
            else:
                assert ours.position.x == theirs.pose.pose.position.x
                assert ours.twist_covariance == tuple(theirs.twist.twist and theirs.twist.covariance)
    assert next(messages, None) is None
    assert len(strictly(out)) == 6121


@pytest.mark.parametrize("form", ["ros1", "mcap", "db3"])
def test_several_publishers_of_a_topic_are_one_and_two_types_of_it_are_told(tmp_path, form):
    types = Types(form)
    said = [("/a", types.Twist(linear=types.Vector3(x=float(n))), AT + n) for n in range(6)]
    whole = bag(tmp_path, form, said, publishers=2)
    assert [one.linear.x for one in read(imported(whole), "a")] == list(range(6))
    (tmp_path / "two").mkdir()
    whole = bag(
        tmp_path / "two",
        form,
        [*said, ("/a", types.TwistStamped(), AT), ("/b", types.Twist(), AT)],
        publishers=2,
    )
    done = run(str(whole), str(tmp_path / "no.mcap"))
    assert done.returncode == 1
    assert (
        "/a has messages of geometry_msgs/msg/Twist and of geometry_msgs/msg/TwistStamped, and a topic here has one type"
        in done.stderr
    )
    assert run(str(whole), str(tmp_path / "b.mcap"), "-t", "/b").returncode == 0


def test_a_split_bag_without_its_metadata_is_read_in_order(tmp_path):
    types = Types("mcap")
    drive, folder = a_drive(types, 40), tmp_path / "split"
    folder.mkdir()
    for number, form in enumerate(["mcap"] * 3):
        part = tmp_path / f"part{number}"
        part.mkdir()
        bag(part, form, drive[number * 26 : number * 26 + 26])
        (part / "bag" / "bag.mcap").rename(folder / f"split_{9 + number}.mcap")
    assert [one.linear.x for one in read(imported(folder), "twist")] == list(range(39))

    (folder / "split_12.mcap").write_bytes(b"")
    done = run(str(folder), str(tmp_path / "again.mcap"))
    assert done.returncode == 1
    assert done.stderr == f"{folder}/split_12.mcap is no log: it does not begin as an MCAP file does\n"
    assert len(strictly(tmp_path / "again.mcap")) == 78


@pytest.mark.parametrize("form", ["mcap", "mcap-zstd"])  # without chunks, and with
def test_an_mcap_whose_end_is_missing_gives_what_it_has(tmp_path, form):
    whole = bag(tmp_path, form, a_drive(Types("mcap"))) / "bag.mcap"
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(whole.read_bytes()[: whole.stat().st_size * 9 // 10])
    done = run(str(torn), str(tmp_path / "out.mcap"))
    assert done.returncode == 1
    assert done.stderr == f"{torn} has no end; what it has up to there is kept\n"
    seen = [one.linear.x for one in read(tmp_path / "out.mcap", "twist")]
    assert seen == list(range(len(seen)))
    assert 100 < len(seen) < 400


def test_a_bag_whose_recorder_was_killed_gives_what_it_has_or_says_how_to_mend_it(tmp_path):
    whole = bag(tmp_path, "ros1", a_drive(Types("ros1")))
    data = bytearray(whole.read_bytes())
    at = data.index(b"index_pos=") + len(b"index_pos=")
    data[at : at + 8] = bytes(8)
    torn = tmp_path / "torn.bag"
    torn.write_bytes(data)
    done = run(str(torn), str(tmp_path / "out.mcap"))
    assert done.returncode == 1
    assert done.stderr == f"{torn} cannot be read as a ROS 1 bag: Bag is not indexed, reindex before reading; where it was not closed: rosbag reindex {torn}\n"  # fmt: skip


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("ros", [1, 2])
def test_mcap_files_of_other_writers_are_read(tmp_path, chunked, ros):
    """Foxglove's converter keeps ROS 1's encoding; rosbag2's preset `fastwrite` puts messages outside of chunks."""
    types, path = Types("ros1" if ros == 1 else "mcap"), tmp_path / "other.mcap"
    with path.open("wb") as file:
        writer = Writer(file, use_chunking=chunked, compression=CompressionType.LZ4)
        writer.start(profile=f"ros{ros}")
        schema = writer.register_schema(
            f"geometry_msgs/{'' if ros == 1 else 'msg/'}Twist", f"ros{ros}msg", b""
        )
        channels = [
            writer.register_channel("/twist", "ros1" if ros == 1 else "cdr", schema) for _ in range(2)
        ]
        other = writer.register_channel("/json", "json", 0)
        for number in range(10):
            message = types.Twist(linear=types.Vector3(x=float(number)))
            data = ONE.serialize_ros1(message, message.__msgtype__) if ros == 1 else TWO.serialize_cdr(message, message.__msgtype__)  # fmt: skip
            writer.add_message(channels[number % 2], AT + number, bytes(data), AT + number)
        if chunked:
            writer.add_message(other, AT, b"{}", AT)
        writer.finish()
    done = run(str(path), str(tmp_path / "out.mcap"))
    assert done.returncode == 0, done.stderr
    assert [one.linear.x for one in read(tmp_path / "out.mcap", "twist")] == list(range(10))
    if chunked:
        assert done.stderr == "left out: /json (?), 1 message: its messages are encoded as `json`, and not as ROS does\n"  # fmt: skip


def test_a_type_that_only_bears_the_name_is_left_out(tmp_path):
    from rosbags.rosbag1 import Writer as Writer1

    with Writer1(tmp_path / "a.bag") as writer:
        channel = writer.add_connection("/imu", "sensor_msgs/msg/Imu", msgdef="float64 x\n", md5sum="0" * 32)
        writer.write(channel, AT, b"12345678")
    done = run(str(tmp_path / "a.bag"), str(tmp_path / "out.mcap"))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"{tmp_path}/a.bag has nothing there that can be imported; it has: /imu (sensor_msgs/msg/Imu, the bag has another type of that name than ROS)\n"
    )


def test_files_that_are_no_recording_are_told_in_a_sentence(tmp_path):
    text, empty, log = tmp_path / "a.xyz", tmp_path / "empty", tmp_path / "log.mcap"
    text.write_text("hello")
    empty.mkdir()
    types = Types("mcap")
    imported(bag(tmp_path, "mcap", [("/a", types.Twist(), AT)])).rename(log)
    for path, told in (
        (text, "is nothing that can be imported; that are a ROS 1 bag, a ROS 2 bag"),
        (empty, "is no folder that can be imported; what can be: a ROS 1 bag"),
        (log, "is a log of Zuluko already"),
        (tmp_path / "none.bag", "cannot be read: No such file or directory"),
    ):
        done = run(str(path), str(tmp_path / "no.mcap"))
        assert done.returncode == 1
        assert done.stderr.startswith(f"{path} {told}")
        assert len(done.stderr.splitlines()) == 1


FUZZ = """
import random, resource, sys
from pathlib import Path
from zuluko.bus.log_writer import LogError
from zuluko.log import entries, known_types, read
from zuluko.log_import import importing, names, recognised
from zuluko.log_import.imu_table import Units
from zuluko.log_import.source import SourceError
whole, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
data, random_ = whole.read_bytes(), random.Random(seed)
bad, out = folder / f"bad{seed}{whole.suffix}", folder / f"out{seed}.mcap"

def attempt(path):
    out.unlink(missing_ok=True)
    try:
        source = recognised.source(path, Units())
    except SourceError as error:
        assert str(path) in str(error) and len(str(error).splitlines()) == 1, error
        return
    try:
        done = importing.write(source, out, names.chosen(source.channels, [], {}))
    except SourceError:  # two topics of one name
        return
    finally:
        source.close()
    if done.total:
        read_back = sum(1 for topic in done.counts for _ in read(out, topic))
        assert read_back == done.total

attempt(whole)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for number in range(25):
    changed = bytearray(data)
    if random_.random() < 0.2:
        del changed[random_.randrange(len(changed)):]
    for _ in range(random_.choice((1, 1, 3, 20))):
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    bad.write_bytes(changed)
    attempt(bad)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
assert grown < 64, f"{grown} MB"
"""


@pytest.mark.parametrize("form", ["ros1", "ros1-bz2", "ros1-lz4", "mcap", "mcap-zstd", "db3"])
def test_damage_gives_a_log_that_can_be_read_or_a_sentence_and_no_more_than_64_mb(tmp_path, form):
    types = Types(form)
    source = bag(tmp_path, form, [*one_of_each(types), *a_drive(types, 20)])
    source = next(source.glob("bag.*")) if source.is_dir() else source
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FUZZ, str(source), str(tmp_path), "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


LONG = """
import resource, sys
from pathlib import Path
from zuluko.log_import import importing, names, recognised
from zuluko.log_import.imu_table import Units
source = recognised.source(Path(sys.argv[1]), Units())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = importing.write(source, Path(sys.argv[2]), names.chosen(source.channels, [], {}))
print(done.total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("form", ["ros1", "mcap", "db3"])
def test_a_long_bag_costs_no_more_memory_than_some_chunks(tmp_path, form):
    types = Types(form)
    image = types.Image(encoding="mono8", height=500, width=1000, step=1000, data=np.zeros(500_000, "u1"))
    source = bag(tmp_path, form, [("/image", image, BEGIN + number) for number in range(200)])
    done = subprocess.run(
        [sys.executable, "-c", LONG, str(source), str(tmp_path / "out.mcap")],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    total, grown = map(int, done.stdout.split())
    assert (total, grown < 64) == (200, True), done.stdout


def test_without_rosbags_the_command_says_what_to_install(tmp_path, monkeypatch):
    source = bag(tmp_path, "ros1", [("/a", Types("ros1").Twist(), AT)])
    for name in [name for name in sys.modules if name.startswith("zuluko.log_import.bag")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rosbags.rosbag1", None)
    done = run(str(source), str(tmp_path / "out.mcap"))
    assert (done.returncode, done.stderr) == (1, f"{source}: ROS bags need rosbags; run: pip install 'zuluko[ros]'\n")  # fmt: skip


def test_an_import_that_is_stopped_leaves_nothing(tmp_path):
    source = recognised.source(bag(tmp_path, "mcap", a_drive(Types("mcap"), 20)), Units())
    out, seen = tmp_path / "out.mcap", []

    def stop(written: importing.Imported) -> None:
        seen.append(written.total)
        if len(seen) == 7:
            raise SystemExit(130)

    with pytest.raises(SystemExit):
        importing.write(source, out, names.chosen(source.channels, [], {}), on_progress=stop)
    source.close()
    assert seen == list(range(1, 8))
    assert not out.exists()


def test_ctrl_c_stops_an_import(tmp_path):
    """In a terminal, where it tells how far it is."""
    types = Types("mcap")
    image = types.Image(encoding="bgr8", height=480, width=640, step=1920, data=np.zeros(921_600, "u1"))
    source = bag(tmp_path, "mcap", [("/image", image, BEGIN + n * SECOND // 100) for n in range(500)])
    child = pexpect.spawn(
        sys.executable, ["-m", "zuluko", "log", "import", str(source), str(tmp_path / "out.mcap"), "--images", "jpeg"], cwd=ROOT, timeout=60
    )  # fmt: skip
    child.expect(r"s of the recording, \d+ messages")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 130
    assert not (tmp_path / "out.mcap").exists()
