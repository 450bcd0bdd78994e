"""dora-rs: a dataflow of Python nodes, and ``dora run``.

Run as a program, this file is one of the nodes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.launch_peers import begun, numbered

INPUTS = {
    "talker": {"tick": "dora/timer/millis/100"},
    "listener": {"hello": "talker0/hello"},
    "idle": {"tick": "dora/timer/millis/1000"},
}


def command(folder: Path, nodes: list[str]) -> list[str]:
    described: list[dict[str, Any]] = [
        {
            "id": name,
            "path": sys.executable,
            "args": f"-m {__name__} {program}",
            "inputs": INPUTS[program],
            "outputs": ["hello"] if program == "talker" else [],
        }
        for name, program in numbered(nodes)
    ]
    file = folder / "hello.yml"
    file.write_text(json.dumps({"nodes": described}))
    return [str(Path(sys.executable).with_name("dora")), "run", str(file)]


def main() -> None:
    import pyarrow as pa
    from dora import Node

    node = Node()
    begun()
    for number, event in enumerate(node):
        if event["type"] == "STOP":
            return
        if event["type"] == "INPUT" and sys.argv[1] == "talker":
            node.send_output("hello", pa.array([f"hello world {number}"]), {})
        elif event["type"] == "INPUT" and sys.argv[1] == "listener":
            print(event["value"][0].as_py())


if __name__ == "__main__":
    main()
