"""Who is told from whom on the six photographs, and what it costs, beside OpenCV's own code in the same run.

python benchmarks/faces.py
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from zuluko.perception import prepare
from zuluko.perception.detector import Detector
from zuluko.perception.gallery import MIN_MARGIN, THRESHOLD, Gallery
from zuluko.perception.recogniser import Recogniser
from zuluko.perception.zoo import SFACE, YUNET

ROOT = Path(__file__).parent.parent
PHOTOGRAPHS = {
    "a 2014": ROOT / "tests/data/faces/person_a_1.jpg",
    "a 2025": ROOT / "tests/data/faces/person_a_2.jpg",
    "b 2018": ROOT / "zuluko/nodes/photographs/owner_enrolled.jpg",
    "b 2022": ROOT / "zuluko/nodes/photographs/owner.jpg",
    "c": ROOT / "zuluko/nodes/photographs/stranger.jpg",
    "d": ROOT / "tests/data/faces/impostor_2.jpg",
}
Image = NDArray[np.uint8]


def main() -> None:
    images = {name: np.asarray(cv2.imread(str(path)), np.uint8) for name, path in PHOTOGRAPHS.items()}
    detect, recognise = Detector(), Recogniser()
    templates = {name: recognise(image, detect(image)[0].landmarks) for name, image in images.items()}
    versions = f"onnxruntime {onnxruntime.__version__}, OpenCV {cv2.__version__}"
    print(f"{_processor()}, {os.cpu_count()} CPUs, {versions}\n")
    similarities(templates)
    decisions(templates)
    frame = vga(images["b 2022"])
    latencies(frame, detect, recognise)
    memory()


def similarities(templates: dict[str, Any]) -> None:
    """Each pair's cosine; threshold alone, as the margin needs a gallery."""
    print(f"similarity of each pair (accepted from {THRESHOLD})")
    for one, other in combinations(templates, 2):
        cosine = float(templates[one] @ templates[other])
        truth = "same person" if one[0] == other[0] else "strangers"
        verdict = "accepted" if cosine >= THRESHOLD else "refused"
        print(f"  {one:7} {other:7} {cosine:6.3f}  {verdict:8}  {truth}")


def decisions(templates: dict[str, Any]) -> None:
    """Everybody before a gallery of a 2025 and b 2018, at the default threshold and margin."""
    people = Gallery()
    people.enrol("a", {"2025": templates["a 2025"]})
    people.enrol("b", {"2018": templates["b 2018"]})
    print(f"\nbefore a gallery of 'a 2025' and 'b 2018' (threshold {THRESHOLD}, margin {MIN_MARGIN})")
    for name in ("a 2014", "b 2022", "c", "d"):
        match = people.match(templates[name])
        accepted = match.similarity >= THRESHOLD and match.margin >= MIN_MARGIN
        verdict = f"accepted as {match.name}" if accepted else "refused"
        print(f"  {name:7} similarity {match.similarity:6.3f}  margin {match.margin:6.3f}  {verdict}")


def vga(photograph: Image) -> Image:
    """The photograph in a 640 x 480 picture."""
    frame = np.zeros((480, 640, 3), np.uint8)
    scale = 480 / photograph.shape[0]
    small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame[:, : small.shape[1]] = small[:480]
    return frame


def latencies(frame: Image, detect: Detector, recognise: Recogniser) -> None:
    """Medians in turn, so that whatever else the machine does meets all alike; one thread each."""
    cv2.setNumThreads(1)
    landmarks = detect(frame)[0].landmarks
    runs = {
        "find faces in 640x480, zuluko": lambda: detect(frame),
        "find faces in 640x480, OpenCV": _peer_detector(frame),
        "recognise one face, zuluko": lambda: recognise(frame, landmarks),
        "recognise one face, OpenCV": _peer_recogniser(frame, detect),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(60):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begun) * 1e3)
    print("\nmilliseconds on one thread   median   worst of 60")
    for name, taken in times.items():
        print(f"  {name:30} {np.median(taken):6.1f}   {max(taken):6.1f}")


def _peer_detector(frame: Image) -> Callable[[], object]:
    peer = cv2.FaceDetectorYN.create(
        str(prepare.graph(YUNET)), "", (frame.shape[1], frame.shape[0]), 0.8, 0.3
    )
    return lambda: peer.detect(frame)


def _peer_recogniser(frame: Image, detect: Detector) -> Callable[[], object]:
    """OpenCV runs PReLU well and what zuluko puts in its place badly, so it gets the graph with PReLU."""
    stripped = replace(SFACE, name="sface-stripped", prepare=("strip",))
    peer = cv2.FaceRecognizerSF.create(str(prepare.graph(stripped)), "")
    face = detect(frame)[0]
    row = np.concatenate([face.box, face.landmarks.ravel(), [face.score]]).astype(np.float32)
    return lambda: peer.feature(peer.alignCrop(frame, row))


NETWORKS = """
from zuluko.perception.detector import Detector
from zuluko.perception.recogniser import Recogniser
before = pss()
detect, recognise = Detector(), Recogniser()
run = lambda: (detect(frame), recognise.template(frame[:112, :112]))
"""
OPENCV = """
from zuluko.perception import prepare, zoo
before = pss()
detector = cv2.FaceDetectorYN.create(str(prepare.graph(zoo.YUNET)), "", (640, 480))
stripped = dataclasses.replace(zoo.SFACE, name="sface-stripped", prepare=("strip",))
recogniser = cv2.FaceRecognizerSF.create(str(prepare.graph(stripped)), "")
run = lambda: (detector.detect(frame), recogniser.feature(frame[:112, :112].copy()))
"""
MEASURE = """
import dataclasses, re, cv2, numpy
def pss():
    return int(re.search(r"^Pss: +(\\d+)", open("/proc/self/smaps_rollup").read(), re.M)[1]) / 1024
frame = numpy.zeros((480, 640, 3), numpy.uint8)
{networks}
for _ in range(20):
    run()
print(f"{{pss() - before:6.0f}}   {{pss():6.0f}}")
"""


def memory() -> None:
    """In a process of its own each, after 20 pictures."""
    print("\nMB of PSS                    added   the whole process")
    for name, networks in (("both networks, zuluko", NETWORKS), ("both networks, OpenCV", OPENCV)):
        program = MEASURE.format(networks=networks)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        print(f"  {name:26} {done.stdout.rstrip()}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
