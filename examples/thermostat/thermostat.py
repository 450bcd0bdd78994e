"""A room that cools down, a thermometer in it, and a heater that a rule switches."""

from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from zuluko import Command, Latest, Message, Stream, Tick


class Climate(Message, tag="Climate/1"):
    """What the thermometer reads, in degrees Celsius."""

    celsius: float


class HeaterCommand(Command, tag="HeaterCommand/1"):
    """Switches a heater; ``on`` holds for as long as such commands keep coming."""

    on: bool
    reason: str = ""


class HeaterState(Message, tag="HeaterState/1"):
    """What a heater does, told at each change and once a minute; ``reason`` says why it is so."""

    state: Literal["on", "off"]
    reason: str = ""
    command: str = ""


def room(
    ticks: Stream[Tick],
    heater: Latest[HeaterState],
    *,
    start: float = 18.0,
    outside: float = 5.0,
    hours: float = 6.0,
    warms: float = 8.0,
    speed: float = 1.0,
    dies_at: float = 100.0,
) -> Iterator[Climate]:
    """A room that falls to the temperature ``outside`` with the time constant ``hours`` (Newton's law of
    cooling), and that its heater warms by ``warms`` degrees an hour; both go ``speed`` times as fast. Above
    ``dies_at`` degrees the thermometer is silent. Its sixteenths of a degree are a DS18B20's."""
    celsius, before = start, ticks.now
    for tick in ticks:
        passed = speed * (tick.stamp - before) / 3.6e12 if before else 0.0
        before = tick.stamp
        warmed = warms if heater.value and heater.value.state == "on" else 0.0
        celsius += passed * (warmed - (celsius - outside) / hours)
        if celsius <= dies_at:
            yield Climate(stamp=tick.stamp, celsius=round(celsius * 16) / 16)


def heater(
    commands: Stream[HeaterCommand],
    *,
    driver: Literal["simulated"] = "simulated",
    lasts: float = 300.0,
    every: float = 60.0,
) -> Iterator[HeaterState]:
    """A heater, of which there is only a simulated one, so that a replay runs it. It goes off when told to,
    at the end, and ``lasts`` seconds after the evidence of the last command to be on. It tells at each
    change, and ``every`` so many seconds."""
    state, until, told = HeaterState(stamp=commands.now, state="off", reason="start"), 0, commands.now
    yield state
    while not commands.ended:
        was = state.state
        command = commands.next(timeout=every)
        now = commands.now
        if command is not None:
            until = command.stamp + round(lasts * 1e9)
            on = command.on and command.stamp <= now < until
            reason = command.reason if on == command.on else "refused: the evidence is too old"
            state = HeaterState(
                stamp=command.stamp, state="on" if on else "off", reason=reason, command=command.id
            )
        elif state.state == "on" and now >= until:
            state = replace(state, stamp=now, state="off", reason=f"no command for {lasts:g} s")
        elif now < told + round(every * 1e9):
            continue
        else:
            state = replace(state, stamp=now)
        told = now
        if state.state != was:
            print(f"{state.state} ({state.reason})")
        yield state
    if state.state == "on":
        yield replace(state, stamp=commands.now, state="off", reason="the end")
