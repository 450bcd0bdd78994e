"""The processor: what it can, how warm it is, and what slows it down."""

from collections.abc import Iterator

from zuluko.doctor.finding import Finding, bad, good, warn
from zuluko.doctor.machine import Machine

WARM, HOT = 75.0, 85.0  # degrees Celsius; a Raspberry Pi slows down from 80 on
# What the kernel calls what the int8 and float kernels of onnxruntime want, and what becomes of them without.
FLAGS = {
    "x86_64": ("avx2", "networks run several times slower"),
    "aarch64": ("asimd", "networks run several times slower"),
}
DOT_PRODUCT = {"x86_64": ("avx512_vnni", "avx_vnni"), "aarch64": ("asimddp",)}

# The bits of a Raspberry Pi's get_throttled; 16 higher, what was so since the start.
THROTTLED = {
    0: ("the supply's voltage is too low", "use a supply of 5 V and 3 A, and a short cable"),
    1: ("the processor's frequency is capped", "cool it"),
    2: ("the processor is throttled", "cool it"),
    3: ("the processor is at its soft temperature limit", "cool it"),
}


def processor(machine: Machine) -> Iterator[Finding]:
    text = machine.read("/proc/cpuinfo")
    lines = [tuple(part.strip() for part in line.partition(":")[::2]) for line in text.splitlines()]
    flags = next((set(value.split()) for key, value in lines if key in ("flags", "Features")), set())
    cores = sum(key == "processor" for key, _ in lines)
    model = next((value for key, value in lines if key in ("model name", "Model")), machine.architecture)
    board = machine.read("/proc/device-tree/model") or model
    told = f"{board}, {cores} core{'s' * (cores != 1)}"
    needed, otherwise = FLAGS.get(machine.architecture, ("", ""))
    if needed and needed not in flags:
        yield warn(f"{told}, without {needed}: {otherwise}")
    elif not needed:
        yield warn(f"{told}; nobody has tried Zuluko on {machine.architecture}")
    elif any(flag in flags for flag in DOT_PRODUCT.get(machine.architecture, ())):
        yield good(f"{told}, with {needed} and dot products of int8")
    else:
        yield good(f"{told}, with {needed}; int8 networks gain less without dot products")


def temperature(machine: Machine) -> Iterator[Finding]:
    zones = [machine.read(path) for path in machine.glob("/sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in zones if text.lstrip("-").isdigit()]
    if not degrees:
        return
    told = f"{max(degrees):.0f} degrees at its warmest"
    if max(degrees) >= HOT:
        yield bad(f"{told}: it slows down", "cool it, or give the graph less to do")
    elif max(degrees) >= WARM:
        yield warn(f"{told}: it will slow down soon", "cool it")
    else:
        yield good(told)


def throttling(machine: Machine) -> Iterator[Finding]:
    """Of a Raspberry Pi, as its firmware tells."""
    if not machine.is_raspberry_pi:
        return
    told = machine.read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    told = told or machine.run("vcgencmd", "get_throttled").strip().removeprefix("throttled=")
    try:
        bits = int(told, 16)
    except ValueError:
        yield warn(
            "the firmware does not tell whether it is throttled", "sudo apt install libraspberrypi-bin"
        )
        return
    for bit, (what, mend) in THROTTLED.items():
        if bits & 1 << bit:
            yield bad(f"{what} now", mend)
        elif bits & 1 << (bit + 16):
            yield warn(f"{what.replace(' is ', ' was ')} since the start", mend)
    if not bits:
        yield good("it was never throttled, and its supply is strong enough")


def governor(machine: Machine) -> Iterator[Finding]:
    policies = machine.glob("/sys/devices/system/cpu/cpufreq/policy*")
    found = {machine.read(policy / "scaling_governor") for policy in policies}
    drivers = {machine.read(policy / "scaling_driver") for policy in policies}
    names = ", ".join(sorted(found - {""}))
    own = bool(drivers & {"intel_pstate", "amd-pstate-epp"})  # their powersave is an ondemand
    if "powersave" in found and not own:
        mend = "echo schedutil | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
        yield warn("the frequency stays at its lowest (powersave)", mend)
    elif names:
        yield good(f"the frequency follows {names}")
