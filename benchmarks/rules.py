"""How many rules a second: ten rules of three clauses over one message of three fields.

All in processor time, so that others at work on the machine count little. Beside the engine, in turns, the
same thirty comparisons as plain Python (the least that anything can cost; it says nothing about why)
and, where it is installed, as Home Assistant's own condition checks over its states.

    python benchmarks/rules.py [--messages 2000] [--rounds 5] [--home-assistant VENV/bin/python]
"""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from os import sched_getaffinity
from statistics import median
from typing import Any

RULES = 10
CLAUSES = (
    'r{0}: {{when: sight, if: [sight.score > 0.{0}, sight.distance < 3.0, sight.name == "ana"], max_age: 1s}}'
)
INSTALL = "python -m venv ha && ha/bin/pip install homeassistant, then --home-assistant ha/bin/python"

Play = Callable[[int], int]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--home-assistant", default="", help="a Python that has Home Assistant")
    parser.add_argument("--as-home-assistant", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_home_assistant:
        as_home_assistant(given.messages)
        return
    cores = len(sched_getaffinity(0))
    print(
        f"Python {sys.version.split()[0]}, {cores} cores; {RULES} rules of 3 clauses, "
        f"{given.messages} messages, {given.rounds} rounds in turns, medians"
    )
    print(f"{'':<52}{'evaluations/s':>14}{'us each':>10}")
    plays = {
        "engine, with a Decision each": engine(),
        "engine, a Python rule each, with a Decision each": functions(),
        "plain Python, and no word about it": plain(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in plays}
    for _ in range(given.rounds):
        for name, play in plays.items():
            seconds[name].append(timed(play, given.messages))
        if given.home_assistant:
            seconds.setdefault("Home Assistant's condition checks", []).append(home_assistant(given))
    for name, found in seconds.items():
        show(name, median(found) / (given.messages * RULES))
    if not given.home_assistant:
        print(f"{'Home Assistant':<52}not installed: {INSTALL}")
    print(f"{'of an evaluation, telling why (a held Decision)':<66}{decision() * 1e6:>10.1f}")


def show(name: str, each: float) -> None:
    print(f"{name:<52}{1 / each:>14,.0f}{each * 1e6:>10.1f}")


def timed(play: Play, messages: int) -> float:
    play(messages // 10)
    gc.collect()
    begun = time.process_time()
    assert play(messages) == RULES * messages
    return time.process_time() - begun


def values(messages: int) -> Iterator[tuple[int, float, float, str]]:
    """Graph time (ns) and the fields of each message; of the rules, half are true now and then."""
    for number in range(messages):
        yield 10**18 + number * 10**7, (number % 7) / 7, (number % 11) / 2, "ana" if number % 3 else ""


def engine() -> Play:
    from zuluko.actions.engine import Engine
    from zuluko.actions.rulefile import check
    from zuluko.document import parse

    text = "\n".join(CLAUSES.format(n) for n in range(RULES))
    rules = check(parse(text, file="rules"), topics={"sight": sight()}, actuators={}).rules
    return lambda messages: feed(Engine(rules), messages)


def functions() -> Play:
    from zuluko import Stream, rule

    def node(least: float) -> Any:
        def judge(sight: Any) -> bool:
            return bool(sight.score > least and sight.distance < 3.0 and sight.name == "ana")

        judge.__annotations__ = {"sight": sight(), "return": bool}
        return rule(max_age=1.0)(judge)

    nodes = [node(n / 10) for n in range(RULES)]

    def play(messages: int) -> int:
        return sum(1 for node in nodes for _ in node(Stream(sights(messages))))

    return play


def plain() -> Play:
    def judged(sight: Any, least: float) -> bool:
        return bool(sight.score > least and sight.distance < 3.0 and sight.name == "ana")

    def play(messages: int) -> int:
        count = 0
        for message in sights(messages):
            for n in range(RULES):
                judged(message, n / 10)
                count += 1
        return count

    return play


def feed(engine: Any, messages: int) -> int:
    from zuluko.actions.evaluation import Event

    steps = (
        engine.step(message.stamp, Event("sight", number, message))
        for number, message in enumerate(sights(messages))
    )
    return sum(len(step.said) for step in steps)


def sights(messages: int) -> Iterator[Any]:
    kind = sight()
    for stamp, score, distance, name in values(messages):
        yield kind(stamp=stamp, score=score, distance=distance, name=name)


def decision() -> float:
    """What a Decision costs that nobody looks at, in seconds: clauses, values and the reason of one held."""
    from zuluko.actions.engine import Engine
    from zuluko.actions.evaluation import Event, Look, Moment
    from zuluko.actions.rulefile import check
    from zuluko.document import parse

    (rule,) = check(parse(CLAUSES.format(5), file="rules"), topics={"sight": sight()}, actuators={}).rules
    message = sight()(stamp=10**18, score=0.4, distance=2.0, name="ana")
    event, turns = Event("sight", 0, message), 20_000
    Engine([rule]).step(10**18, event)
    look = Look("", None, ("false", "true", "true"))
    moment = Moment(rule, 10**18, event, {"sight": message})
    begun = time.process_time()
    for _ in range(turns):
        moment.held([look], {})
    return (time.process_time() - begun) / turns


@cache
def sight() -> Any:
    """The message type; made where it is wanted, because Home Assistant's Python has no zuluko."""
    from zuluko.bus.message import Message

    class Sight(Message, tag="BenchmarkSight/1"):
        score: float = 0.0
        distance: float = 0.0
        name: str = ""

    return Sight


def home_assistant(given: argparse.Namespace) -> float:
    """Seconds for all messages, in the Python that has Home Assistant."""
    command = [given.home_assistant, __file__, "--as-home-assistant", "--messages", str(given.messages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{given.home_assistant} cannot run Home Assistant: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])


def as_home_assistant(messages: int) -> None:
    """The same comparisons over three states, as its conditions are made from an automation's YAML."""
    import asyncio
    import tempfile

    from homeassistant.core import HomeAssistant  # type: ignore[import-not-found, unused-ignore]
    from homeassistant.helpers import condition  # type: ignore[import-not-found, unused-ignore]
    from homeassistant.helpers.config_validation import (  # type: ignore[import-not-found, unused-ignore]
        CONDITION_SCHEMA,
    )

    async def play() -> float:
        hass = HomeAssistant(tempfile.mkdtemp())
        checks = []
        for n in range(RULES):
            config = CONDITION_SCHEMA(
                {
                    "condition": "and",
                    "conditions": [
                        {"condition": "numeric_state", "entity_id": "sensor.score", "above": n / 10},
                        {"condition": "numeric_state", "entity_id": "sensor.distance", "below": 3.0},
                        {"condition": "state", "entity_id": "sensor.name", "state": "ana"},
                    ],
                }
            )
            checks.append(await condition.async_from_config(hass, config))
        begun = time.process_time()
        for _, score, distance, name in values(messages):
            hass.states.async_set("sensor.score", str(score))
            hass.states.async_set("sensor.distance", str(distance))
            hass.states.async_set("sensor.name", name)
            for check in checks:
                check(hass, {})
        return time.process_time() - begun

    print(asyncio.run(play()))


if __name__ == "__main__":
    main()
