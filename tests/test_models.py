"""Which models a graph runs: as its nodes tell, and else by the files that they are given."""

import hashlib
from pathlib import Path

from tests.running import write
from zuluko.launch import launchfile, models
from zuluko.perception.zoo import SFACE, YUNET

SEES = """
from collections.abc import Iterator
from pathlib import Path

from zuluko import Stream
from zuluko.messages import Faces, Frame


def sees(frames: Stream[Frame], *, model: Path, other: Path | None = None) -> Iterator[Faces]:
    yield from ()
"""
GRAPH = """
nodes:
  camera: {run: zuluko.nodes.camera, source: demo}
  faces: {run: zuluko.perception.faces, in: {frames: camera}, source: demo}
  sees: {run: ./sees_models.py:sees, in: {frames: camera}, model: dog.onnx}
"""


def test_a_graph_tells_its_models_to_the_bit(tmp_path: Path):
    (tmp_path / "sees_models.py").write_text(SEES)
    (tmp_path / "dog.onnx").write_bytes(b"a dog")
    graph = launchfile.load(Path(write(tmp_path, GRAPH)))
    assert models.of_graph(graph) == {
        "faces": {"yunet": YUNET.sha256, "sface": SFACE.sha256},
        "sees": {"dog.onnx": hashlib.sha256(b"a dog").hexdigest()},
    }
