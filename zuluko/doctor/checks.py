"""The checks, in the order in which they are told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from zuluko.doctor import hardware, kernel, processor, room, software
from zuluko.doctor.finding import Finding, bad
from zuluko.doctor.machine import Machine


@dataclass(frozen=True)
class Check:
    name: str
    look: Callable[[Machine], Iterator[Finding]]


CHECKS = (
    Check("python", software.python),
    Check("wheels", software.wheels),
    Check("libatomic", software.libatomic),
    Check("processor", processor.processor),
    Check("temperature", processor.temperature),
    Check("throttling", processor.throttling),
    Check("frequency", processor.governor),
    Check("kernel", kernel.calls),
    Check("bus", kernel.lane),
    Check("clock", kernel.clock),
    Check("memory", room.memory),
    Check("swap", room.swap),
    Check("disk", room.disk),
    Check("runtime", room.runtime),
    Check("camera", hardware.cameras),
    Check("I2C", hardware.i2c),
    Check("GPIO", hardware.gpio),
    Check("serial", hardware.serial),
    Check("models", room.models),
    Check("people", room.people),
)


def look(machine: Machine, checks: tuple[Check, ...] = CHECKS) -> Iterator[tuple[str, Finding]]:
    """What each check finds, as it finds it. One that fails itself is a finding, and stops no other."""
    for check in checks:
        try:
            for finding in check.look(machine):
                yield check.name, finding
        except Exception as error:  # on an unknown board, a file may hold anything
            yield check.name, bad(f"the check itself failed: {type(error).__name__}: {error}", "report it")
