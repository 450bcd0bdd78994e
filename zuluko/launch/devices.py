"""Which of a board's devices a graph opens, as its nodes tell, and what it takes to open them.

A node tells it in a function ``devices`` beside it, which takes the node's configuration and yields paths:

    def devices(*, port: str = "/dev/ttyUSB0", **_: object) -> Iterator[str]:
        yield port
"""

import inspect
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from zuluko.launch.graph import Entry, Graph


@dataclass(frozen=True)
class Family:
    """Devices that a kernel driver makes: their ``paths``, the ``group`` of users who may open them, the
    ``driver`` as /proc/devices names it, and the ``module`` that brings it, of what can be plugged in."""

    name: str
    paths: tuple[str, ...]
    group: str
    driver: str = ""
    module: str = ""


FAMILIES = (
    Family("camera", ("/dev/video*", "/dev/v4l/*"), "video", "video4linux", "videodev"),
    Family("I2C bus", ("/dev/i2c-*",), "i2c", "i2c", "i2c_dev"),
    Family("SPI bus", ("/dev/spidev*",), "spi", "spi", "spidev"),
    Family("GPIO chip", ("/dev/gpiochip*",), "gpio", "gpiochip"),
    Family("serial port", ("/dev/ttyUSB*", "/dev/serial/*"), "dialout", "ttyUSB", "usbserial"),
    Family("serial port", ("/dev/ttyACM*", "/dev/serial/*"), "dialout", "ttyACM", "cdc_acm"),
    Family("serial port", ("/dev/ttyS*", "/dev/ttyAMA*", "/dev/serial*"), "dialout"),
    Family("input", ("/dev/input/*",), "input", "input"),
    Family("sound", ("/dev/snd/*",), "audio", "alsa"),
)


def families(path: str) -> tuple[Family, ...]:
    """The families that a device may be of, by its path; none where it is not known."""
    return tuple(one for one in FAMILIES if any(fnmatch(path, pattern) for pattern in one.paths))


def of_graph(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The nodes that open each device, by its path."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in graph.entries.values():
        for path in of_node(entry):
            found[path] = (*found.get(path, ()), entry.name)
    return found


def of_node(entry: Entry) -> tuple[str, ...]:
    """What a node says that it opens; of one that says nothing, what it is given that lies in /dev."""
    options = configuration(entry)
    if tells(entry):
        return tuple(sys.modules[entry.function.__module__].devices(**options))
    given = (value for value in options.values() if isinstance(value, str | Path))
    return tuple(str(value) for value in given if str(value).startswith("/dev/"))


def tells(entry: Entry) -> bool:
    """Whether a node says which devices it opens."""
    return inspect.isfunction(getattr(sys.modules.get(entry.function.__module__), "devices", None))


def configuration(entry: Entry) -> dict[str, Any]:
    """A node's options, with the defaults of those that were not given."""
    parameters = inspect.signature(entry.function).parameters
    defaults = {
        name: parameters[name].default
        for name in entry.signature.options
        if parameters[name].default is not inspect.Parameter.empty
    }
    return {**defaults, **entry.options}
