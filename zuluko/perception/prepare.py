"""Graphs made fit for onnxruntime, once, and kept in a cache whose every file is checked before it runs.

What a network decides at a door must be what was published, so a prepared graph bears its own sha256 in its
file name, and one that does not match it is thrown away and made again.
"""

import functools
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zuluko.perception import zoo
from zuluko.perception.ownership import trouble
from zuluko.perception.zoo import Model, ModelError

log = logging.getLogger(__name__)

VERSION = 1  # of the preparation: a graph prepared by another version is not used


def graph(model: Model) -> Path | bytes:
    """The prepared ONNX graph: a file in the cache, or its bytes where no cache can be written.

    Raises ModelError when the published file is missing or wrong, or when ``onnx`` is not installed and
    nothing is cached.
    """
    published = zoo.source(model)
    try:
        folder = cache_folder()
        return _cached(model, folder) or _store(model, folder, _prepare_apart(model, published))
    except (OSError, RuntimeError) as error:
        why = (
            f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        )
        _tell_once(f"prepared networks cannot be kept ({why}); they are prepared again at every start")
        return _prepare_apart(model, published)


@functools.cache
def _tell_once(sentence: str) -> None:
    log.warning(sentence)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/zuluko``, else ``~/.cache/zuluko``: made if need be, and nobody else's to write.

    Raises OSError (RuntimeError without a home) where it cannot be made or used.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "zuluko"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if why := trouble(folder, folder.stat()):
        raise PermissionError(why)
    return folder


def _prefix(model: Model) -> str:
    return f"{model.name}-{model.sha256[:16]}-v{VERSION}-"


def _cached(model: Model, folder: Path) -> Path | None:
    for path in folder.glob(_prefix(model) + "*.onnx"):
        if path.stem == _prefix(model) + zoo.sha256(path):
            return path
        log.warning("%s is damaged; it is made again", path)
        path.unlink(missing_ok=True)
    return None


def _store(model: Model, folder: Path, content: bytes) -> Path:
    """Writes the graph whole or not at all; two processes that do so at once each leave a good file."""
    path = folder / f"{_prefix(model)}{hashlib.sha256(content).hexdigest()}.onnx"
    handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def _prepare_apart(model: Model, published: Path) -> bytes:
    """Prepares in a process of its own: ``onnx`` would cost the node 60 MB for work done once."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "zuluko.perception.prepare", str(published), *model.prepare],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise ModelError(f"{model.name} cannot be prepared: {said[-1]}")
    return done.stdout


def strip(proto: Any) -> None:
    """Removes the inputs that nobody feeds: the published SFace still lists its 29 weights among them.

    In place, as all steps are; an input stays that a node reads and neither a node nor an initialiser makes.
    """
    made = {i.name for i in proto.graph.initializer} | {o for node in proto.graph.node for o in node.output}
    read = {name for node in proto.graph.node for name in node.input} - made
    fed = [value for value in proto.graph.input if value.name in read]
    del proto.graph.input[:]
    proto.graph.input.extend(fed)


def free_sides(proto: Any) -> None:
    """Lets height and width of the one input be anything; they were fixed to 640."""
    height, width = proto.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for output in proto.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name}"
    del proto.graph.value_info[:]


def unbranch(proto: Any) -> None:
    """Writes PRelu(x), which is x above 0 and s x below, as s x + (1 - s) Relu(x): the same to 2e-6.

    onnxruntime's PRelu branches on every number, which no processor can foresee in a face: on x86-64 SFace
    takes 25 ms with it and 14 ms without.
    """
    from onnx import helper, numpy_helper

    slopes = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    for node in nodes:
        if node.op_type != "PRelu" or node.input[1] not in slopes:
            proto.graph.node.append(node)
            continue
        (x, slope), (y,) = node.input, node.output
        proto.graph.initializer.append(numpy_helper.from_array(1 - slopes[slope], f"{y}_rest"))
        proto.graph.node.extend(
            (
                helper.make_node("Mul", [x, slope], [f"{y}_straight"]),
                helper.make_node("Relu", [x], [f"{y}_above"]),
                helper.make_node("Mul", [f"{y}_above", f"{y}_rest"], [f"{y}_bent"]),
                helper.make_node("Add", [f"{y}_straight", f"{y}_bent"], [y]),
            )
        )


def fold(proto: Any) -> None:
    """Turns block-wise int8 weights into float32.

    onnxruntime refuses the published YuNet at run time: some of its DequantizeLinear nodes have one scale
    for the whole tensor and yet a ``block_size``. A weight is (int8 - zero point) * scale, each scale and
    zero point standing for ``block_size`` numbers along ``axis`` (ONNX operators, DequantizeLinear-21).
    """
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    rest = [node for node in proto.graph.node if not _evaluate(node, constants)]
    read = {name for node in rest for name in node.input}
    del proto.graph.node[:]
    proto.graph.node.extend(rest)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in constants.items() if name in read
    )


def _evaluate(node: Any, constants: dict[str, Any]) -> bool:
    """Adds what a DequantizeLinear or Reshape makes of constants; False for any other node."""
    if node.op_type not in ("DequantizeLinear", "Reshape") or not constants.keys() >= set(node.input):
        return False
    inputs = [constants[name] for name in node.input]
    if node.op_type == "Reshape":
        constants[node.output[0]] = inputs[0].reshape(inputs[1])
    else:
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        constants[node.output[0]] = _dequantised(*inputs, **attributes)
    return True


def _dequantised(quantised: Any, scale: Any, zero: Any, *, axis: int = 1, block_size: int = 0) -> Any:
    import numpy as np

    if scale.size > 1:
        length = quantised.shape[axis]
        scale, zero = (
            part.repeat(block_size, axis=axis).take(range(length), axis=axis) for part in (scale, zero)
        )
    return (quantised.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)


STEPS = {"fold": fold, "strip": strip, "free_sides": free_sides, "unbranch": unbranch}


def main(path: str, *steps: str) -> None:
    """Writes the graph in the file at ``path``, prepared by these steps, to the standard output."""
    try:
        import onnx
    except ImportError:
        sys.exit("the package onnx is not installed; run: pip install 'zuluko[face]'")
    proto = onnx.load(path)
    for step in steps:
        STEPS[step](proto)
    onnx.checker.check_model(proto)
    sys.stdout.buffer.write(proto.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
