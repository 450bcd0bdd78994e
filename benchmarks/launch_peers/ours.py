"""Zuluko: a launch file, and ``zuluko up``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.launch_peers import begun, numbered
from zuluko import Message, Stream, Tick

INPUTS = {
    "talker": {"ticks": "every 100ms"},
    "listener": {"hellos": "talker0"},
    "idle": {"ticks": "every 1s"},
}


class Hello(Message, tag="Hello/1"):
    text: str


def talker(ticks: Stream[Tick]) -> Iterator[Hello]:
    begun()
    for tick in ticks:
        yield Hello(stamp=tick.stamp, text=f"hello world {tick.count}")


def listener(hellos: Stream[Hello]) -> None:
    begun()
    for hello in hellos:
        print(hello.text)


def idle(ticks: Stream[Tick]) -> None:
    begun()
    for _ in ticks:
        pass


def graph(folder: Path, nodes: list[str]) -> Path:
    described: dict[str, Any] = {
        name: {"run": f"{__name__}:{program}", "in": INPUTS[program]} for name, program in numbered(nodes)
    }
    file = folder / "hello.yaml"
    file.write_text(json.dumps({"nodes": described}))
    return file


def command(folder: Path, nodes: list[str]) -> list[str]:
    return [sys.executable, "-m", "zuluko", "up", str(graph(folder, nodes))]
