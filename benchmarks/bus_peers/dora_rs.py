"""dora-rs: a dataflow of two nodes under ``dora run``, Arrow arrays through its shared memory."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from dora import Node

from benchmarks.bus_peers.work import HEADER, Link, Ready, Run, Take, header


def launch(publisher_args: list[str], subscriber_args: list[list[str]], keep: int, folder: Path) -> list[str]:
    """The command that starts everything; each node's arguments stand in its description."""
    nodes: list[dict[str, Any]] = [
        {"id": "publisher", "path": sys.executable, "args": " ".join(publisher_args), "outputs": ["topic"]}
    ]
    for index, args in enumerate(subscriber_args):
        inputs = {"topic": {"source": "publisher/topic", "queue_size": keep}}
        nodes.append(
            {"id": f"subscriber{index}", "path": sys.executable, "args": " ".join(args), "inputs": inputs}
        )
    described = folder / "dataflow.yml"
    described.write_text(json.dumps({"nodes": nodes}))
    return [str(Path(sys.executable).with_name("dora")), "run", str(described)]


def publisher(run: Run) -> Link:
    node = Node()
    if run.small:
        return Link(
            lambda stamp, seq, payload: node.send_output(
                "topic", pa.array([HEADER.pack(stamp, seq) + payload]), {}
            )
        )
    return Link(
        lambda stamp, seq, frame: node.send_output(
            "topic", pa.array(frame.reshape(-1)), {"stamp": stamp, "seq": seq}
        )
    )


def subscriber(run: Run, take: Take, ready: Ready) -> None:
    node = Node()
    ready()
    for event in node:
        if event["type"] == "STOP":
            return
        if event["type"] != "INPUT":
            continue
        value = event["value"]
        if run.small:
            done = take(*header(value[0].as_buffer()), None)
        else:
            told = event["metadata"]
            done = take(told["stamp"], told["seq"], run.view(value.to_numpy(zero_copy_only=True)))
        del value, event
        if done:
            return
