"""Cameras and buses: which there are, and whether this user may open them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

# What V4L2 shows besides cameras: a Raspberry Pi's coders and its picture processor.
NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc", "pispbe")
RAW = ("unicam", "rp1-cfe")  # of a ribbon-cable camera: raw pixels, for libcamera to develop
GROUPS = {"video": "video", "i2c": "i2c", "gpio": "gpio", "tty": "dialout", "spi": "spi"}


def cameras(machine: Machine) -> Iterator[Finding]:
    found = 0
    for place in machine.glob("/sys/class/video4linux/video*"):
        name = machine.read(place / "name") or "a camera"
        if name.startswith(NO_CAMERAS) or machine.read(place / "index") not in ("", "0"):
            continue  # a second index is the same camera's metadata
        found += 1
        device = machine.path(f"/dev/{place.name}")
        if name.startswith(RAW):
            what = f"{machine.shown(device)} ({name}) gives raw pixels only"
            yield warn(
                what,
                "serve it as a stream, and give its URL: libcamera-vid -t 0 --inline --listen -o tcp://:8554",
            )
        else:
            yield _access(machine, device, f" ({name})")
    if not found:
        yield good("no camera is plugged in; a stream, a file or the demo needs none")


def i2c(machine: Machine) -> Iterator[Finding]:
    yield from _kind(machine, "/dev/i2c-*", "I2C bus", "sudo raspi-config nonint do_i2c 0")


def gpio(machine: Machine) -> Iterator[Finding]:
    yield from _kind(machine, "/dev/gpiochip*", "GPIO chip", "sudo apt full-upgrade")


def serial(machine: Machine) -> Iterator[Finding]:
    found = [path for pattern in ("USB*", "ACM*", "AMA*") for path in machine.glob(f"/dev/tty{pattern}")]
    console = re.findall(r"console=(tty\w+|serial0)", machine.read("/proc/cmdline"))
    for path in found:
        if path.name in console:
            what = f"{machine.shown(path)} is the system's console"
            yield warn(what, "sudo raspi-config nonint do_serial_cons 1")
        else:
            yield _access(machine, path, "")
    if not found:
        yield good("no serial port is plugged in")


def _kind(machine: Machine, pattern: str, name: str, on: str) -> Iterator[Finding]:
    found = machine.glob(pattern)
    for path in found:
        yield _access(machine, path, "")
    if not found and machine.is_raspberry_pi:
        yield warn(f"there is no {name}, though a Raspberry Pi has one", on)
    elif not found:
        yield good(f"there is no {name}")


def _access(machine: Machine, path: Path, name: str) -> Finding:
    """Whether this user may open a device, and else which group to join."""
    shown = machine.shown(path)
    if not path.exists():
        return bad(f"{shown}{name} is known to the kernel, but is not in /dev", "sudo udevadm trigger")
    if machine.may(path, os.R_OK | os.W_OK):
        return good(f"{shown}{name} may be opened")
    group, mode = machine.group_of(path), path.stat().st_mode
    what = f"{shown}{name} may not be opened: it is for the group {group}"
    if not mode & 0o060 or group == "root":
        usual = next((GROUPS[key] for key in GROUPS if key in path.name), "plugdev")
        return bad(
            f"{shown}{name} may be opened by root only",
            f"sudo chgrp {usual} {shown} && sudo chmod g+rw {shown}",
        )
    if machine.is_member(group):
        return bad(f"{what}, which you have joined since you logged in", "log out and in again")
    return bad(what, f"sudo usermod -aG {group} {machine.user}  # then log out and in again")
