"""The doctor, on machines whose files a test writes, and on this one."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.running import ROOT, zuluko
from zuluko.doctor import checks, hardware, kernel, processor, room, software
from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

PI = {"/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"}
X86 = "processor\t: 0\nmodel name\t: Intel N100\nflags\t\t: fpu avx2 avx_vnni\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {more}\n"
CAMERA = {
    "/sys/class/video4linux/video0/name": "HD Webcam\n",
    "/sys/class/video4linux/video0/index": "0\n",
    "/sys/class/video4linux/video1/name": "HD Webcam\n",
    "/sys/class/video4linux/video1/index": "1\n",
    "/sys/class/video4linux/video10/name": "bcm2835-codec-decode\n",
    "/dev/video0": "",
}
THERMAL = "/sys/class/thermal/thermal_zone0/temp"
THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
GOVERNOR = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
DRIVER = "/sys/devices/system/cpu/cpufreq/policy0/scaling_driver"


def meminfo(**sizes):
    return {
        "/proc/meminfo": "".join(f"{name}:  {size} kB\n" for name, size in sizes.items())
        + "HugePages_Total: 0\n"
    }


@pytest.fixture
def machine(tmp_path):
    """A machine with these files and nothing else; its user is ana, who may do anything."""

    def make(files, **others):
        for name, text in files.items():
            file = tmp_path / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        found = Machine(tmp_path, "x86_64", "ana", {1000}, lambda *_: True, lambda *_: "")
        return replace(found, **others)

    return make


@pytest.mark.parametrize(
    ("look", "files", "level", "what", "mend"),
    [
        (
            processor.processor,
            {"/proc/cpuinfo": X86},
            "good",
            "Intel N100, 2 cores, with avx2 and dot products",
            "",
        ),
        (
            processor.processor,
            {"/proc/cpuinfo": X86.replace("avx2", "sse")},
            "warn",
            "without avx2: networks run",
            "",
        ),
        (processor.temperature, {THERMAL: "48312\n"}, "good", "48 degrees at its warmest", ""),
        (processor.temperature, {THERMAL: "76000\n"}, "warn", "76 degrees", "cool it"),
        (
            processor.temperature,
            {THERMAL: "91000\n"},
            "bad",
            "91 degrees at its warmest: it slows down",
            "cool it",
        ),
        (processor.throttling, PI | {THROTTLED: "0\n"}, "good", "it was never throttled", ""),
        (
            processor.throttling,
            PI | {THROTTLED: "10000\n"},
            "warn",
            "supply's voltage was too low since",
            "5 V and 3 A",
        ),
        (
            processor.throttling,
            PI | {THROTTLED: "10001\n"},
            "bad",
            "the supply's voltage is too low now",
            "5 V and 3 A",
        ),
        (processor.throttling, PI, "warn", "the firmware does not tell", "libraspberrypi-bin"),
        (processor.governor, {GOVERNOR: "schedutil\n"}, "good", "the frequency follows schedutil", ""),
        (processor.governor, {GOVERNOR: "powersave\n"}, "warn", "stays at its lowest", "scaling_governor"),
        (
            processor.governor,
            {GOVERNOR: "powersave\n", DRIVER: "intel_pstate\n"},
            "good",
            "follows powersave",
            "",
        ),
        (
            room.memory,
            meminfo(MemTotal=4_000_000, MemAvailable=3_000_000),
            "good",
            "3072 MB of 4096 MB are free",
            "",
        ),
        (room.memory, meminfo(MemTotal=400_000, MemAvailable=150_000), "warn", "154 MB of 410 MB", "ps -eo"),
        (room.memory, meminfo(MemTotal=400_000, MemAvailable=30_000), "bad", "31 MB of 410 MB", "ps -eo"),
        (
            room.swap,
            meminfo(MemTotal=400_000, SwapTotal=0),
            "warn",
            "a small board without swap",
            "zram-tools",
        ),
        (room.swap, meminfo(MemTotal=4_000_000, SwapTotal=0), "good", "no swap, and enough memory", ""),
        (room.swap, meminfo(SwapTotal=100_000, SwapFree=5_000), "warn", "5 MB of 102 MB of swap", "ps -eo"),
        (hardware.cameras, CAMERA, "good", "/dev/video0 (HD Webcam) may be opened", ""),
        (hardware.cameras, {}, "good", "no camera is plugged in", ""),
        (
            hardware.cameras,
            {"/sys/class/video4linux/video0/name": "unicam-image", "/dev/video0": ""},
            "warn",
            "raw pixels",
            "libcamera-vid",
        ),
        (
            hardware.cameras,
            {"/sys/class/video4linux/video3/name": "Cam"},
            "bad",
            "not in /dev",
            "udevadm trigger",
        ),
        (hardware.i2c, {"/dev/i2c-1": ""}, "good", "/dev/i2c-1 may be opened", ""),
        (hardware.i2c, PI, "warn", "there is no I2C bus, though a Raspberry Pi has one", "do_i2c 0"),
        (hardware.i2c, {}, "good", "there is no I2C bus", ""),
        (hardware.gpio, {"/dev/gpiochip0": ""}, "good", "/dev/gpiochip0 may be opened", ""),
        (hardware.serial, {"/dev/ttyUSB0": ""}, "good", "/dev/ttyUSB0 may be opened", ""),
        (
            hardware.serial,
            {"/dev/ttyAMA0": "", "/proc/cmdline": "console=ttyAMA0,115200 root=/"},
            "warn",
            "is the system's console",
            "do_serial_cons 1",
        ),
    ],
)
def test_a_finding(machine, look, files, level, what, mend):
    (found,) = look(machine(files))
    assert found.level == level
    assert what in found.what
    assert mend in found.mend
    assert level != "bad" or found.mend


def test_an_arm_processor(machine):
    there = machine(PI | {"/proc/cpuinfo": ARM.format(more="asimddp")}, architecture="aarch64")
    assert [found.what for found in processor.processor(there)] == [
        "Raspberry Pi 4 Model B Rev 1.5, 1 core, with asimd and dot products of int8"
    ]
    there = machine({"/proc/cpuinfo": ARM.format(more="crc32")}, architecture="aarch64")
    assert "gain less" in next(processor.processor(there)).what
    assert next(processor.processor(machine({}, architecture="riscv64"))).level == "warn"


def test_libatomic_is_asked_for_on_arm_only(machine):
    assert list(software.libatomic(machine({}))) == []
    (missing,) = software.libatomic(machine({}, architecture="aarch64"))
    assert (missing.level, missing.mend) == ("bad", "sudo apt install libatomic1")
    there = machine({"/usr/lib/aarch64-linux-gnu/libatomic.so.1": ""}, architecture="aarch64")
    assert (
        next(software.libatomic(there)).what
        == "libatomic is there (/usr/lib/aarch64-linux-gnu/libatomic.so.1)"
    )


def test_throttling_is_asked_of_the_firmware_where_the_kernel_does_not_tell(machine):
    there = machine(
        PI, run=lambda *command: "throttled=0x4\n" if command == ("vcgencmd", "get_throttled") else ""
    )
    assert [found.what for found in processor.throttling(there)] == ["the processor is throttled now"]


def test_only_a_raspberry_pi_is_asked_whether_it_is_throttled(machine):
    assert list(processor.throttling(machine({THROTTLED: "5\n"}))) == []


@pytest.mark.parametrize(
    ("mode", "group", "member", "mend"),
    [
        (0o660, "video", False, "sudo usermod -aG video ana  # then log out and in again"),
        (0o660, "video", True, "log out and in again"),
        (0o600, "video", False, "sudo chgrp video /dev/video0 && sudo chmod g+rw /dev/video0"),
        (0o660, "root", False, "sudo chgrp video /dev/video0 && sudo chmod g+rw /dev/video0"),
    ],
)
def test_a_device_that_may_not_be_opened(machine, monkeypatch, mode, group, member, mend):
    there = machine(CAMERA, may=lambda *_: False)
    (there.root / "dev/video0").chmod(mode)
    monkeypatch.setattr(Machine, "group_of", lambda *_: group)
    monkeypatch.setattr(Machine, "is_member", lambda *_: member)
    (found,) = hardware.cameras(there)
    assert (found.level, found.mend) == ("bad", mend)


def test_a_memory_controller_that_is_off_is_told(machine):
    files = meminfo(MemTotal=4_000_000, MemAvailable=3_000_000)
    files["/proc/cgroups"] = "#subsys_name hierarchy num_cgroups enabled\ncpu 0 1 1\nmemory 0 1 0\n"
    assert [found.level for found in room.memory(machine(files))] == ["good", "warn"]


@pytest.mark.parametrize(
    ("now", "synchronised", "level"),
    [(0, True, "bad"), (1_800_000_000, False, "warn"), (1_800_000_000, True, "good")],
)
def test_the_clock(machine, now, synchronised, level):
    (found,) = kernel.clock(machine({}, now=lambda: now, is_synchronised=lambda: synchronised))
    assert found.level == level
    assert (level == "good") == (not found.mend)


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ("", "bad"),
        ('{"sent": 20, "received": 20, "ms": 0.2, "lane": true}', "good"),
        ('{"sent": 20, "received": 19, "ms": 0.2, "lane": true}', "warn"),
        ('{"sent": 20, "received": 20, "ms": 0.2, "lane": false}', "warn"),
        ('{"sent": 20, "received": 20, "ms": 30, "lane": true}', "warn"),
    ],
)
def test_what_the_trial_of_the_bus_means(machine, told, level):
    assert [found.level for found in kernel.lane(machine({}, run=lambda *_: told))] == [level]


@pytest.mark.parametrize("without", ["", "1"])
def test_the_trial_tells_whether_shared_memory_works(monkeypatch, without):
    monkeypatch.setenv("ZULUKO_NO_LANE", without)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "zuluko.doctor.trial"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert told["received"] > 0
    assert told["lane"] == (not without)


def test_the_runtime_directory(machine, run_dir):
    tmpfs, card = f"tmpfs {run_dir} tmpfs rw 0 0\n", f"/dev/mmcblk0 {run_dir} ext4 rw 0 0\n"
    mounts = "/proc/self/mounts"
    assert next(room.runtime(machine({mounts: "/dev/x / ext4 rw 0 0\n" + tmpfs}))).level == "good"
    assert next(room.runtime(machine({mounts: tmpfs + card}))).level == "warn"
    assert next(room.runtime(machine({mounts: tmpfs}, disk=lambda _: (1_000_000, 2_000_000)))).level == "bad"
    run_dir.chmod(0o755)
    (found,) = room.runtime(machine({}))
    assert found == bad(f"{run_dir} is open to other users", f"chmod 700 {run_dir}")


@pytest.mark.parametrize(("free", "level"), [(50, "bad"), (500, "warn"), (5000, "good")])
def test_disks(machine, free, level):
    found = list(room.disk(machine({}, disk=lambda _: (free * 1_000_000, 10_000_000_000))))
    assert {one.level for one in found} == {level}


def test_wheels_that_are_missing_broken_or_old(machine, monkeypatch):
    monkeypatch.setattr(
        software, "WHEELS", {"numpy": "numpy", "no-such-wheel": "no_such_wheel", "msgspec": "msgspec"}
    )
    monkeypatch.setattr(
        software, "requires", lambda _: ["numpy>=1.26", "no-such-wheel>=2", "msgspec>=99", "x; extra == 'y'"]
    )
    there = machine({}, run=lambda *_: "no_such_wheel No module named 'no_such_wheel'\n")
    found = {one.level: one for one in software.wheels(there)}
    assert found["good"].what.startswith("numpy ")
    missing, old = [one for one in software.wheels(there) if one.level == "bad"]
    assert missing.what == "no-such-wheel is not installed: No module named 'no_such_wheel'"
    assert missing.mend == f"{sys.executable} -m pip install 'no-such-wheel>=2'"
    assert re.match(r"msgspec \S+ is not >=99", old.what)


def test_a_wheel_that_kills_its_process_is_told(tmp_path, monkeypatch):
    (tmp_path / "dies.py").write_text("import os\nos.kill(os.getpid(), 4)\n")
    (tmp_path / "fails.py").write_text("raise OSError('libatomic.so.1: cannot open\\nit')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert software.importable(Machine(), ["dies", "json", "fails"]) == {
        "dies": "its import is killed by SIGILL",
        "fails": "libatomic.so.1: cannot open it",
    }


def test_every_wheel_that_the_package_asks_for_is_looked_at():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert list(software.WHEELS) == [re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]]


def test_a_check_that_fails_is_a_finding_and_stops_no_other(machine):
    def broken(_):
        yield good("so far")
        raise ValueError("an odd file")

    def whole(_):
        yield warn("hm", "try")

    told = list(checks.look(machine({}), (checks.Check("a", broken), checks.Check("b", whole))))
    assert told == [
        ("a", Finding("good", "so far")),
        ("a", bad("the check itself failed: ValueError: an odd file", "report it")),
        ("b", Finding("warn", "hm", "try")),
    ]


def test_an_empty_machine_makes_no_check_fail(machine):
    assert not [what for _, what in checks.look(machine({})) if "itself failed" in what.what]


def test_on_this_machine():
    shown = zuluko("doctor")
    told = [json.loads(line) for line in zuluko("doctor", "--json").stdout.splitlines()]
    levels = [one["level"] for one in told]
    assert shown.returncode == ("bad" in levels)
    assert {"python", "wheels", "processor", "kernel", "bus", "clock", "memory", "camera"} <= {
        one["check"] for one in told
    }
    assert not [one for one in told if "itself failed" in one["what"]]
    assert all(one["mend"] for one in told if one["level"] == "bad")
    assert "\x1b" not in shown.stdout
    assert re.search(r"^\d+ good, \d+ to look at, \d+ bad$", shown.stdout, re.MULTILINE)


def test_its_own_process_loads_nothing_heavy():
    code = "import sys; from zuluko.cli.doctor import doctor\ntry: doctor()\nexcept SystemExit: print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"cv2", "onnxruntime", "cel", "pynng"} & set(done.stdout.rpartition("modules")[2].split())


def test_bad_is_the_exit_status(monkeypatch, tmp_path):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("ZULUKO_RUN", str(tmp_path))
    shown = zuluko("doctor")
    assert shown.returncode == 1
    assert f"-> chmod 700 {os.path.realpath(tmp_path)}" in shown.stdout
