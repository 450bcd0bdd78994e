"""`zuluko log plot`: what is drawn is what was recorded, in the terminal and as a picture."""

import math
import os
import random
import re
import subprocess
import sys

import cv2
import numpy as np
import pexpect
import pytest

from tests.logs_of_kinds import every_kind
from tests.running import ROOT, zuluko
from zuluko import record
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.bus.wire import Encoder
from zuluko.log import channel_of
from zuluko.log_export.flat import flat, name, within
from zuluko.log_export.part import Part
from zuluko.log_plot.axis import ticks
from zuluko.log_plot.panels import panels
from zuluko.log_plot.picture import save
from zuluko.log_plot.series import MOST_STATES, Line, States, number
from zuluko.log_plot.terminal import Canvas, draw
from zuluko.messages import Imu, LockState, Vector3

SECOND = 10**9
BEGIN = 1_800_000_000 * SECOND


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return every_kind(tmp_path_factory.mktemp("log") / "all.mcap")


def turns(path, values, states=()):
    """An Imu each tenth of a second, None for none, and states at their seconds."""
    encode = Encoder()
    with LogWriter(path) as writer:
        for number, value in enumerate(values):
            now = BEGIN + number * SECOND // 10
            if value is not None:
                message = Imu(angular_velocity=Vector3(z=value), linear_acceleration=Vector3(x=1, z=9.81))
                channel = channel_of(writer, "imu", Imu)
                writer.write(
                    channel, encode(message, seq=number, sent=now), seq=number, sent=now, received=now
                )
        for second, state in states:
            now = BEGIN + round(second * SECOND)
            channel = channel_of(writer, "lock", LockState)
            writer.write(
                channel, encode(LockState(state=state), seq=0, sent=now), seq=0, sent=now, received=now
            )
    return path


def shown(log, *fields, size=(60, 24)):
    with LogReader(log) as reader:
        part = Part(reader)
        found = panels(part, fields, 2 * size[0])
        return list(draw(found, (part.start, part.end), part.start, size, coloured=False))


def test_a_line_keeps_what_can_be_told_apart():
    """Against all points: each column has the same first, lowest, highest and last value."""
    rng = random.Random(3)
    points = [(time, rng.uniform(-5, 5)) for time in sorted(rng.sample(range(100_000), 9000))]
    line = Line(0, 100_000, 50)
    for time, value in points:
        line.add(time, value)
    (kept,) = line.pieces
    assert len(kept) <= 4 * 50
    for column in range(50):
        here, there = ([one for one in some if one[0] * 50 // 100_000 == column] for some in (points, kept))
        assert (here[0], here[-1]) == (there[0], there[-1])
        values = [[value for _, value in some] for some in (here, there)]
        assert min(values[0]) == min(values[1])
        assert max(values[0]) == max(values[1])


def test_a_line_has_a_gap_where_a_value_is_missing_or_nothing_came():
    line = Line(0, 100 * SECOND, 1000)
    for second in (0, 1, 2, 3, 20, 21, 22):
        line.add(second * SECOND, float(second))
    for value in (None, math.nan, math.inf, "word", True):
        line.add(23 * SECOND, number(value))
    line.add(24 * SECOND, 24)
    assert [[value for _, value in piece] for piece in line.pieces] == [[0, 1, 2, 3], [20, 21, 22], [24]]
    assert line.range == (0, 24)


def test_states_are_bounded():
    states = States()
    for time in range(100):
        states.add(time, time if time % 2 else None)
    assert len(states.names) == MOST_STATES + 1
    assert states.names[-1] == "(others)"
    assert states.names[0] == "none"


def test_a_ramp_rises_and_a_state_steps(tmp_path):
    log = turns(
        tmp_path / "a.mcap",
        [n / 50 - 1 for n in range(101)],
        [(0, "locked"), (5, "unlocked"), (7.5, "locked"), (10, "locked")],
    )
    lines = shown(log, "imu.angular_velocity.z", "lock.state", size=(53, 14))
    assert len(lines) == 13
    assert lines[0] == "imu.angular_velocity.z  rad/s about the sensor's own…"
    assert (lines[1].split()[0], lines[7].split()[0]) == ("1", "-1")
    columns = [len(line) for line in lines[1:8]]
    assert columns == sorted(columns, reverse=True)
    assert columns[0] == 53
    assert lines[8].startswith("lock.state")
    locked, unlocked = lines[10], lines[9]
    assert (locked[:10], unlocked[:10]) == ("  locked ┤", "unlocked ┤")
    whole = 53 - 10
    for row, wanted in ((unlocked, lambda x: 0.51 < x < 0.74), (locked, lambda x: x < 0.49 or x > 0.76)):
        for column in range(whole):
            if abs(column / whole - 0.5) > 0.03 and abs(column / whole - 0.75) > 0.03:
                assert (row[10:].ljust(whole)[column] != " ") == wanted(column / whole), (column, row)
    assert re.findall(r"[\d.]+", lines[-1]) == ["0", "5", "10"]
    assert lines[-1].index("5") == lines[-2].index("┬", 15)


def test_a_group_has_a_line_for_each_of_its_numbers(everything):
    with LogReader(everything) as reader:
        vector, whole = panels(Part(reader), ["imu.angular_velocity", "faces.items"], 100)
        assert list(vector.lines) == ["x", "y", "z"]
        assert "angular velocity" not in vector.told
        assert len(whole.lines) == 12
        assert whole.left_out
    lines = shown(everything, "imu.angular_velocity")
    assert [line.split()[0] for line in lines if line.startswith("imu")] == [
        f"imu.angular_velocity.{axis}" for axis in "xyz"
    ]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("faces.items.length", [0, 1, 2]),
        ("faces.items.0.similarity", [0.75, 0.75]),
        ("rules.decision.clauses.0.values.item.score", [0.9]),
        ("depth.nearest.2", [1.5]),
        ("scan.ranges.0", [1.0, 1.0]),
        ("imu.linear_acceleration.z", [9.81]),
        ("imu.orientation.w", [0.8]),
        ("lock.until", [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_a_fields_name_leads_to_its_values(everything, field, values):
    with LogReader(everything) as reader:
        (panel,) = panels(Part(reader), [field], 10_000)
    assert [value for piece in panel.lines[""].pieces for _, value in piece] == pytest.approx(values)


def test_every_name_that_is_told_leads_to_its_value(everything):
    with LogReader(everything) as reader:
        for item in Part(reader):
            for path, value in flat(item.body):
                found = dict(within(item.body, name(path).split(".")))
                assert list(map(repr, found.values())) == [repr(value)], path


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("imo.stamp", "has no topic that `imo.stamp` begins with; did you mean `imu`?"),
        ("imu.angular_velocit.z", "no message has `imu.angular_velocit.z`; did you mean `imu.angular_velocity.z`?"),
        ("twist", "twist is a topic; name a field of it: twist.angular, twist.frame, twist.linear, twist.stamp"),
        ("lock", "lock is a topic; name a field of it: lock.command, lock.reason, lock.stamp, lock.state, lock.until"),
        ("tf.items.0.rotat", "no message has `tf.items.0.rotat`; did you mean `tf.items.0.rotation`?"),
        ("depth.note", "depth.note is never a number, nor a word, in this time"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_there_is_one_sentence(everything, field, said):
    with LogReader(everything) as reader, pytest.raises(LogError) as error:
        panels(Part(reader), [field], 100)
    assert said in str(error.value)


def test_a_topic_that_is_silent_in_a_part_is_told(everything):
    with (
        LogReader(everything) as reader,
        pytest.raises(LogError, match="nothing was said on twist in this time"),
    ):
        panels(Part(reader, None, reader.span[0] + 1), ["twist.linear"], 100)


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (20, 5), (1, 1), (300, 100)])
def test_it_fits_a_terminal(tmp_path, size):
    states = [(0, "locked"), (5, "unlocked")]
    log = turns(tmp_path / "a.mcap", [math.sin(n / 9) for n in range(101)], states)
    lines = shown(log, "imu.angular_velocity.z", "lock.state", size=size)
    assert max(map(len, lines)) <= max(size[0], 24)
    assert len(lines) <= max(size[1] - 1, 10)


def test_values_that_are_all_alike_or_huge_are_drawn(tmp_path):
    assert any(
        "⠉" in line or "⠒" in line or "⠤" in line
        for line in shown(turns(tmp_path / "a.mcap", [5.0] * 20), "imu.angular_velocity.z")
    )
    huge = shown(turns(tmp_path / "c.mcap", [1e30] * 20), "imu.angular_velocity.z", "imu.stamp")
    assert huge[1].split()[0] == "1.01e+30"
    huge = shown(turns(tmp_path / "b.mcap", [1e308, -1e308]), "imu.angular_velocity.z")
    assert [huge[1].split()[0], huge[-3].split()[0]] == ["1e+308", "-1e+308"]


def test_a_canvas_draws_dots_where_they_are():
    canvas = Canvas(2, 1)
    canvas.line((0, 0), (3, 3), 31)
    assert list(canvas.rows(False)) == ["⠑⢄"]
    assert list(canvas.rows(True)) == ["\x1b[31m⠑⢄\x1b[0m"]


def test_ticks_are_round():
    assert list(ticks(0, 14.1, 5)) == [0, 5, 10]
    assert list(ticks(-0.3, 0.3, 6)) == pytest.approx([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3])
    assert list(ticks(3, 3, 5)) == []


def test_a_picture_shows_the_line(tmp_path):
    log = turns(tmp_path / "a.mcap", [n / 50 - 1 for n in range(101)], [(0, "locked"), (10, "unlocked")])
    done = zuluko(
        "log", "plot", str(log), "imu.angular_velocity.z", "lock.state", "--out", str(tmp_path / "a.png")
    )
    assert (done.stdout, done.stderr) == (f"{tmp_path}/a.png\n", "")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape == (420, 1200, 3)
    blue = np.abs(picture.astype(int) - (180, 119, 31)).sum(axis=2) < 40  # matplotlib's first colour
    middles = [np.flatnonzero(blue[:250, x]).mean() for x in (300, 600, 900)]
    assert middles[0] > middles[1] + 30 > middles[2] + 60
    assert (
        "exists already"
        in zuluko("log", "plot", str(log), "lock.state", "--out", str(tmp_path / "a.png")).stderr
    )
    for ending, begins in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        with LogReader(log) as reader:
            part = Part(reader)
            save(
                panels(part, ["lock.state"], 100),
                tmp_path / f"a.{ending}",
                (part.start, part.end),
                part.start,
                "$x_{",
            )
        assert (tmp_path / f"a.{ending}").read_bytes().startswith(begins)


def test_without_matplotlib_one_sentence(tmp_path):
    record([LockState(state="locked")], tmp_path / "a.mcap", topic="lock")
    program = f"""
import sys
sys.modules["matplotlib"] = None
from zuluko.cli import app
app.app(["log", "plot", {str(tmp_path / "a.mcap")!r}, "lock.state", "-o", {str(tmp_path / "a.png")!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "a picture needs matplotlib; run: pip install 'zuluko[plot]'\n",
    )


def in_a_terminal(command: list[str], **env: str) -> str:
    """What a command shows in a terminal of 60 columns."""
    plain = {key: os.environ[key] for key in os.environ if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    shell = pexpect.spawn(
        sys.executable,
        command,
        encoding="utf-8",
        dimensions=(24, 60),
        cwd=ROOT,
        timeout=30,
        env={**plain, "TERM": "xterm", **env},
    )
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0
    return shell.before


def test_in_a_terminal_it_has_colours_and_a_part_its_seconds(tmp_path):
    log = turns(tmp_path / "a.mcap", [math.sin(n / 9) for n in range(101)])
    command = ["-m", "zuluko", "log", "plot", str(log), "imu.angular_velocity", "--from", "2s", "--to", "8s"]
    told = in_a_terminal(command)
    for colour, axis in ((36, "x"), (33, "y"), (35, "z")):
        assert f"\x1b[{colour}m{axis}\x1b[0m" in told
    lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", told).split("\r\n")
    assert lines[-2].split() == ["2", "s", "4", "6", "8"]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_in_a_terminal_that_has_no_colours_it_has_none(tmp_path, env):
    log = turns(tmp_path / "a.mcap", [math.sin(n / 9) for n in range(101)])
    told = in_a_terminal(["-m", "zuluko", "log", "plot", str(log), "imu.angular_velocity"], **env)
    assert "imu.angular_velocity.x" in told
    assert "m" not in re.findall(r"\x1b\[[0-9;]*([a-zA-Z])", told)
