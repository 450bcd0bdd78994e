"""The pictures of the benchmark's cameras: the demo's doorway, with the noise that a sensor has."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.log_peers import Topic

DIFFERENT = 3  # pictures that are sent in turn
QUALITY = 80


def make(topic: Topic, folder: Path) -> None:
    """Writes a topic's pictures, as JPEG and as pixels, for the processes that send them."""
    import cv2

    from zuluko.nodes import demo

    demo.prepare()
    for number in range(DIFFERENT):
        picture = cv2.resize(demo.compose(6.0 + number)[1], topic.size, interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(number).normal(0, 4, picture.shape)
        noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        (folder / f"{topic.name}-{number}.jpg").write_bytes(data.tobytes())
        np.save(folder / f"{topic.name}-{number}.npy", cv2.imdecode(data, cv2.IMREAD_COLOR))


def read(topic: Topic, folder: Path) -> list[tuple[Any, bytes]]:
    """The pixels of each, and its JPEG."""
    return [
        (np.load(folder / f"{topic.name}-{number}.npy"), (folder / f"{topic.name}-{number}.jpg").read_bytes())
        for number in range(DIFFERENT)
    ]
