"""Python and what the package needs beside it."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

# The core dependencies, and what is imported of each.
WHEELS = {
    "pynng": "pynng",
    "numpy": "numpy",
    "msgspec": "msgspec",
    "msgpack": "msgpack",
    "typer": "typer",
    "rich": "rich",
    "PyYAML": "yaml",
    "mcap": "mcap",
    "zstandard": "zstandard",
    "lz4": "lz4.frame",
    "onnxruntime": "onnxruntime",
    "opencv-python-headless": "cv2",
    "common-expression-language": "cel",
}
PYTHONS = ((3, 11), (3, 13))
ARCHITECTURES = ("x86_64", "aarch64")

# Each is imported in a process of its own, for a wheel that was built for another processor kills its own.
_IMPORT = """
import importlib, os, signal, sys
for name in sys.argv[1:]:
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, (str(error) or type(error).__name__).replace("\\n", " ")[:200], flush=True)
        os._exit(0)
    if number := os.WTERMSIG(os.waitpid(pid, 0)[1]):
        print(name, f"its import is killed by {signal.Signals(number).name}")
"""


def python(machine: Machine) -> Iterator[Finding]:
    found = sys.version_info[:2]
    told = f"Python {sys.version.split()[0]} on {machine.architecture}"
    if not PYTHONS[0] <= found <= PYTHONS[1]:
        yield bad(f"{told}; Zuluko needs 3.11 to 3.13", "sudo apt install python3.11-venv")
    elif machine.architecture not in ARCHITECTURES:
        yield warn(f"{told}; wheels are made for {' and '.join(ARCHITECTURES)}", "install a 64-bit system")
    else:
        yield good(told)


def wheels(machine: Machine) -> Iterator[Finding]:
    needed = _needed()
    failures = importable(machine, list(WHEELS.values()))
    whole = []
    for package, module in WHEELS.items():
        mend = f"{sys.executable} -m pip install '{package}{needed.get(package, '')}'"
        try:
            found = version(package)
        except PackageNotFoundError:
            found = ""
        if why := failures.get(module):
            mend = mend.replace(" install ", " install --force-reinstall ") if found else mend
            yield bad(f"{package} {found or 'is not installed'}: {why}", mend)
        elif found and not _fits(found, needed.get(package, "")):
            yield bad(f"{package} {found} is not {needed[package]}", mend)
        else:
            whole.append(f"{package} {found}".strip())
    if whole:
        yield good(", ".join(whole))


def _needed() -> dict[str, str]:
    """The versions that the package asks for, by the name of each; empty where it was not installed."""
    try:
        asked = requires("zuluko") or []
    except PackageNotFoundError:
        return {}
    parted = (re.match(r"([A-Za-z0-9._-]+)([^;]*)", line) for line in asked if "extra ==" not in line)
    return {found[1]: found[2].strip() for found in parted if found}


def _fits(found: str, wanted: str) -> bool:
    for sign, limit in re.findall(r"(>=|<)\s*([0-9.]+)", wanted):
        least = _numbers(found) >= _numbers(limit)
        if least != (sign == ">="):
            return False
    return True


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def importable(machine: Machine, modules: list[str]) -> dict[str, str]:
    """Why modules cannot be imported, of those that cannot."""
    lines = machine.run(sys.executable, "-c", _IMPORT, *modules).splitlines()
    return {name: why for name, _, why in (line.partition(" ") for line in lines)}


def libatomic(machine: Machine) -> Iterator[Finding]:
    if not machine.architecture.startswith(("aarch64", "arm")):
        return
    places = ("/usr/lib/*/libatomic.so.1", "/lib/*/libatomic.so.1", "/usr/lib*/libatomic.so.1")
    if found := [path for place in places for path in machine.glob(place)]:
        yield good(f"libatomic is there ({machine.shown(found[0])})")
    else:
        yield bad(
            "libatomic.so.1 is missing, without which pynng cannot be loaded", "sudo apt install libatomic1"
        )
