"""`zuluko log import` of EuRoC and TUM folders, and of an IMU's table."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.importing import run
from tests.running import zuluko
from tests.test_log import strictly
from zuluko import read
from zuluko.bus.log_reader import LogReader
from zuluko.log_import.folder import quaternion
from zuluko.log_import.imu_table import G

T = 1403636579758555392  # ns; the first of EuRoC's MH_01
IMU = "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]\n"
POSE = "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_RS_R_x [m s^-1], v_RS_R_y [m s^-1], v_RS_R_z [m s^-1], b_w_RS_S_x [rad s^-1]\n"
SENSOR = """#Default imu sensor yaml file
sensor_type: {kind}
comment: VI-Sensor {kind}
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.1,
         1.0, 0.0, 0.0, 0.2,
         0.0, 0.0, 1.0, 0.3,
         0.0, 0.0, 0.0, 1.0]
rate_hz: 200
"""


def picture(number: int) -> np.ndarray:
    return np.full((24, 32), 10 * number, "u1")


def table(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text(text.replace("\n", "\r\n"))


@pytest.fixture
def euroc(tmp_path) -> Path:
    root = tmp_path / "MH_01" / "mav0"
    table(
        root / "imu0", IMU + "".join(f"{T + n * 5_000_000},0.1,0.2,0.3,9.8,0.1,-3.{n}\n" for n in range(20))
    )
    names = [f"{T + n * 50_000_000}" for n in range(3)]
    table(
        root / "cam0",
        "#timestamp [ns],filename\n" + "".join(f"{name},{name}.png\n" for name in [*names, T + 9**9]),
    )
    (root / "cam0/data").mkdir()
    for number, name in enumerate(names):
        cv2.imwrite(str(root / f"cam0/data/{name}.png"), picture(number))
    table(
        root / "state_groundtruth_estimate0", POSE + f"{T + 7},1.0,2.0,3.0,0.8,0.0,0.0,0.6,0.1,0.2,0.3,0.0\n"
    )
    table(root / "leica0", f"#timestamp [ns], p_RS_R_x [m]\n{T},1.0\n")
    for kind in ("imu", "camera"):
        (root / f"{kind[:3]}0/sensor.yaml").write_text(SENSOR.format(kind=kind))
    return root.parent


@pytest.mark.parametrize("within", [False, True])
def test_a_euroc_folder(euroc, tmp_path, within):
    log = tmp_path / "a.mcap"
    done = run(str(euroc / "mav0" if within else euroc), str(log))
    assert done.returncode == 0, done.stderr
    left = [line.partition(": ")[2] for line in done.stderr.splitlines()]
    prefix = "" if within else "mav0/"
    assert left[0] == f"leica0 ({prefix}leica0/data.csv): no standard message holds it"
    assert left[1] == f"cam0 ({prefix}cam0/data.csv), 1 message: {T + 9**9}.png cannot be read (No such file or directory)"  # fmt: skip
    imu = list(read(log, "imu0"))
    assert [one.stamp for one in imu] == [T + n * 5_000_000 for n in range(20)]
    assert (imu[4].angular_velocity.y, imu[4].linear_acceleration.z, imu[4].frame) == (0.2, -3.4, "imu0")
    for number, frame in enumerate(read(log, "cam0")):
        assert np.array_equal(frame.image, np.repeat(picture(number)[:, :, None], 3, axis=2))
        assert frame.stamp == T + number * 50_000_000
    (pose,) = read(log, "groundtruth")
    assert (pose.position.y, pose.orientation.w, pose.orientation.z, pose.frame) == (2.0, 0.8, 0.6, "world")
    (fixed,) = read(log, "tf_static")
    assert [(one.frame, one.child_frame, one.stamp) for one in fixed.items] == [("body", "cam0", 0), ("body", "imu0", 0)]  # fmt: skip
    assert (fixed.items[0].translation.y, fixed.stamp) == (0.2, T)
    assert (round(fixed.items[0].rotation.z, 6), round(fixed.items[0].rotation.w, 6)) == (0.707107, 0.707107)
    times = [time for _, _, time in strictly(log)]
    assert times == sorted(times)
    assert len(times) == 25
    assert zuluko("log", "info", str(log)).stdout.startswith(f"{log}: a EuRoC folder, {'mav0' if within else 'MH_01'}, 2014-06-24 19:02:59 UTC\n")  # fmt: skip
    with LogReader(log) as reader:
        assert reader.told["sensor cam0"]["sensor.yaml"] == SENSOR.format(kind="camera")


def test_a_euroc_folder_that_leads_elsewhere_or_is_damaged(euroc, tmp_path):
    secret = tmp_path / "secret.png"
    cv2.imwrite(str(secret), picture(1))
    names = ["../../../secret.png", str(secret), ""]
    (euroc / "mav0/cam0/data.csv").write_text("".join(f"{T},{name}\n" for name in names))
    (euroc / "mav0/cam0/sensor.yaml").write_text("%YAML:1.0\n--- {")
    (euroc / "mav0/imu0/data.csv").write_text(IMU + f"{T},1,2,3,4,5,6\n{T},1,2,3,4,five,6\n")
    done = run(str(euroc), str(tmp_path / "a.mcap"))
    assert done.returncode == 1
    assert "3 messages: its file's name leads out of the folder\n" in done.stderr
    assert done.stderr.endswith(f"{euroc}/mav0/imu0/data.csv:3: `five` is no number\n")
    assert len(list(read(tmp_path / "a.mcap", "imu0"))) == 1
    assert len(list(read(tmp_path / "a.mcap", "groundtruth"))) == 1  # which came later


def test_of_many_reasons_some_are_told(euroc, tmp_path):
    (euroc / "mav0/cam0/data.csv").write_text("".join(f"{T + n},{n}.png\n" for n in range(9)))
    done = run(str(euroc), str(tmp_path / "a.mcap"), "-t", "cam0", "-t", "imu0")
    lines = [line for line in done.stderr.splitlines() if "cam0" in line]
    assert [line.partition("csv), ")[2] for line in lines] == [
        *(f"1 message: {n}.png cannot be read (No such file or directory)" for n in range(3)),
        "6 messages: for other reasons",
    ]


def test_a_tum_folder(tmp_path):
    folder = tmp_path / "fr1_xyz"
    (folder / "rgb").mkdir(parents=True)
    colours = np.random.default_rng(1).integers(0, 255, (24, 32, 3), "u1")
    cv2.imwrite(str(folder / "rgb/1305031102.175304.png"), colours)
    cv2.imwrite(str(folder / "rgb/1305031102.275304.jpg"), colours)
    head = "# color images\n# file: 'rgbd_dataset_freiburg1_xyz.bag'\n# timestamp filename\n"
    (folder / "rgb.txt").write_text(head + "1305031102.175304 rgb/1305031102.175304.png\n1305031102.275304 rgb/1305031102.275304.jpg\n")  # fmt: skip
    (folder / "depth.txt").write_text("1305031102.160407 depth/1305031102.160407.png\n")
    (folder / "groundtruth.txt").write_text("# timestamp tx ty tz qx qy qz qw\n1305031098.6659 1.3563 0.6305 1.6380 0.6132 0.5962 -0.3311 -0.3986\n")  # fmt: skip
    (folder / "accelerometer.txt").write_text("# timestamp ax ay az\n1305031098.665 -0.1 8.7 -4.0\n")
    log = tmp_path / "a.mcap"
    done = run(str(folder), str(log))
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr
        == "left out: depth (depth.txt): they are depth pictures, and no standard message holds them\n"
    )
    png, jpeg = read(log, "rgb")
    assert (png.stamp, jpeg.stamp) == (1305031102175304000, 1305031102275304000)
    assert np.array_equal(png.image, colours)
    assert np.array_equal(jpeg.image, cv2.imread(str(folder / "rgb/1305031102.275304.jpg")))
    (pose,) = read(log, "groundtruth")
    assert (pose.stamp, pose.orientation.x, pose.orientation.w) == (1305031098665900000, 0.6132, -0.3986)
    (imu,) = read(log, "accelerometer")
    assert (imu.stamp, imu.linear_acceleration.y) == (1305031098665000000, 8.7)
    assert imu.angular_velocity_covariance[0] == -1.0


def imu(tmp_path: Path, text: str, *arguments: str) -> tuple[list, str]:
    """The readings of a table, and what was said in error."""
    file, log = tmp_path / "imu.csv", tmp_path / "imu.mcap"
    file.write_text(text)
    log.unlink(missing_ok=True)
    done = run(str(file), str(log), *arguments)
    return list(read(log, "imu")) if log.exists() else [], done.stderr.replace(f"{tmp_path}/", "")


DEG = math.pi / 180
TABLES = [
    ("timestamp,angular_velocity_x,angular_velocity_y,angular_velocity_z\n1700000000.000000001,1,2,3\n", (), 1700000000000000001, (1, 2, 3), None),
    ("t;wx [deg/s];wy [deg/s];wz [deg/s];ax [g];ay [g];az [g]\n1700000000123;10;20;30;0;0;1\n", (), 1700000000123000000, (10 * DEG, 20 * DEG, 30 * DEG), (0, 0, G)),
    ("time_us gyro_x gyro_y gyro_z acc_x acc_y acc_z\n12 1 2 3 4 5 6\n", ("--gyro", "rad/s", "--accel", "m/s2"), 12000, (1, 2, 3), (4, 5, 6)),
    ("# one drive\n#timestamp [ns],a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]\n7,1,2,3\n", (), 7, None, (1, 2, 3)),
    ("%time,field.header.seq,field.angular_velocity.x,field.angular_velocity.y,field.angular_velocity.z,field.linear_acceleration.x,field.linear_acceleration.y,field.linear_acceleration.z\n1403636579758555392,5,1,2,3,4,5,6\n", (), T, (1, 2, 3), (4, 5, 6)),
    ("Time,GyrX,GyrY,GyrZ\n0.25,1,2,3\n", ("--time", "s", "--gyro", "deg/s"), 250000000, (DEG, 2 * DEG, 3 * DEG), None),
    ("az(m/s^2),time(ms),ay(m/s^2),ax(m/s^2)\n3,1.5,2,1\n", (), 1500000, None, (1, 2, 3)),
    ("\ufefftimestamp\tgx (dps)\tgy (dps)\tgz (dps)\n1700000000000000\t1\t2\t3\n", (), 1700000000000000000, (DEG, 2 * DEG, 3 * DEG), None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "arguments", "stamp", "gyro", "accel"), TABLES)
def test_a_table_of_an_imu_is_read_by_its_header(tmp_path, text, arguments, stamp, gyro, accel):
    (one,), said = imu(tmp_path, text, *arguments)
    assert said == ""
    assert one.stamp == stamp
    for have, wanted, untold in (
        (one.angular_velocity, gyro, one.angular_velocity_covariance),
        (one.linear_acceleration, accel, one.linear_acceleration_covariance),
    ):
        assert (have.x, have.y, have.z) == pytest.approx(wanted or (0, 0, 0))
        assert untold[:1] == (() if wanted else (-1.0,))


def test_a_table_may_tell_how_an_imu_is_turned(tmp_path):
    header = "t [s],qw,qx,qy,qz,angular_velocity.x,angular_velocity.y,angular_velocity.z\n"
    (one,), _ = imu(tmp_path, header + "1,0.8,0,0,0.6,1,2,3\n")
    assert (one.orientation.w, one.orientation.z) == (0.8, 0.6)


REFUSED = [
    ("a,b\n1,2\n", (), "imu.csv:1: this is no header with a column of the time; known names are: timestamp, gyro_x (or wx, angular_velocity_x)"),
    ("", (), "imu.csv has no header; it names the columns, such as: timestamp"),
    ("t [s],ax,ay\n1,2,3\n", (), "imu.csv:1: no columns of angular velocity or acceleration; known names are: timestamp"),
    ("t [s],wx,wy,wz\n1,2,3,4\n", (), "imu.csv:1: `wx`: its unit is not told; write it into the header or give --gyro rad/s or deg/s\n"),
    ("t [s],ax [furlong],ay [furlong],az [furlong]\n1,2,3,4\n", (), "imu.csv:1: `ax [furlong]`: `furlong` is no unit of it; write it into the header or give --accel m/s2 or g\n"),
    ("t [s],ax [g],ay [m/s2],az [g]\n1,2,3,4\n", (), "imu.csv:1: `ax [g]`: its unit is not told; write it into the header or give --accel m/s2 or g\n"),
    ("t,ax [g],ay [g],az [g]\n12.5,2,3,4\n", (), "imu.csv:1: the unit of `t` is not told; give --time s, ms, us or ns\n"),
    ("t [days],ax [g],ay [g],az [g]\n12.5,2,3,4\n", (), "imu.csv:1: `days` is no unit of time; give --time s, ms, us or ns\n"),
    ("t [s],ax [g],ay [g],az [g]\n-1,2,3,4\n", (), "imu.csv:2: `-1` is no time in s\n"),
    ("t [s],ax [g],ay [g],az [g]\n1e999999,2,3,4\n", (), "imu.csv:2: `1e999999` is no time in s\n"),
    ("t [s],ax [g],ay [g],az [g]\n1,2,3\n", (), "imu.csv:2: `` is no number\n"),
    ("t [s],ax [g],ay [g],az [g]\n" + "1" * 70_000, (), "imu.csv:2: a line of more than 64 KB; is it text?\n"),
    ("t [s],ax [g],ay [g],az [g]\n", ("--time", "h"), "--time h: write s or ms or us or ns\n"),
    ("t [s],ax [g],ay [g],az [g]\n", (), "imu.csv has no message that can be imported\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "arguments", "told"), REFUSED)
def test_a_table_that_does_not_tell_enough_is_refused(tmp_path, text, arguments, told):
    seen, said = imu(tmp_path, text, *arguments)
    assert seen == []
    assert said.startswith(told)
    assert len(said.splitlines()) == 1


def test_bytes_that_are_no_text_are_told(tmp_path):
    (tmp_path / "imu.csv").write_bytes(b"t [s],ax [g],ay [g],az [g]\n1,2,3,4\n\xff\xfe\n")
    done = run(str(tmp_path / "imu.csv"), str(tmp_path / "imu.mcap"))
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/imu.csv:3: this is no text in UTF-8\n"
    assert len(list(read(tmp_path / "imu.mcap", "imu"))) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_rotation_matrix_becomes_its_quaternion(seed):
    """Against Rodrigues' formula; half a turn and more, so that each of the four parts is the largest once."""
    w, x, y, z = q = np.random.default_rng(seed).normal(size=4) * np.roll([1, 0.01, 0.01, 0.01], seed)
    w, x, y, z = q / np.linalg.norm(q) * (1 if w >= 0 else -1)
    axis, angle = np.array([x, y, z]), 2 * math.acos(w)
    matrix, _ = cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)
    found = quaternion(matrix.tolist())
    sign = 1 if found.w * w + found.x * x + found.y * y + found.z * z > 0 else -1
    assert [found.w, found.x, found.y, found.z] == pytest.approx(
        [sign * w, sign * x, sign * y, sign * z], abs=1e-9
    )


@pytest.mark.parametrize("seed", range(3))
def test_damaged_folders_and_tables_give_a_log_or_a_sentence(euroc, tmp_path, seed):
    random = np.random.default_rng(seed)
    (tmp_path / "imu.csv").write_text(IMU + "".join(f"{T + n},1,2,3,4,5,6\n" for n in range(9)))
    files = [*euroc.glob("mav0/*/*.csv"), *euroc.glob("mav0/*/*.yaml"), *euroc.glob("mav0/*/data/*.png")]
    for number in range(20):
        for file in random.choice([*files, tmp_path / "imu.csv"], 3):
            data = bytearray(file.read_bytes() or b" ")
            for at in random.integers(0, len(data), random.integers(1, 6)):
                data[at] = random.integers(256)
            file.write_bytes(data[: random.integers(1, len(data) + 1)] if random.random() < 0.1 else data)
        for source in (euroc, tmp_path / "imu.csv"):
            log = tmp_path / f"{source.stem}{number}.mcap"
            done = run(str(source), str(log))
            wrong = [line for line in done.stderr.splitlines() if not line.startswith("left out: ")]
            assert len(wrong) == done.returncode
            assert all(line.startswith(str(source)) for line in wrong)
            assert log.exists() == bool(done.stdout)
            if log.exists():
                assert len(strictly(log)) == sum(len(list(read(log, topic))) for topic in topics(log))


def topics(log: Path) -> list[str]:
    with LogReader(log) as reader:
        return list(reader.topics)
