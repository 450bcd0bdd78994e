"""The faces node: who is in the picture."""

import logging
import os
from collections.abc import Iterator
from importlib.resources import as_file, files
from math import inf
from pathlib import Path

import numpy as np

from zuluko.bus.streams import Stream
from zuluko.document import Fault
from zuluko.messages import Face, Faces, Frame, Point
from zuluko.nodes import picture
from zuluko.perception import zoo
from zuluko.perception.detector import Detection, Detector
from zuluko.perception.enrolment import template
from zuluko.perception.gallery import (
    MIN_MARGIN,
    NOBODY,
    THRESHOLD,
    Gallery,
    GalleryError,
    Match,
    default_place,
)
from zuluko.perception.quality import quality
from zuluko.perception.recogniser import Recogniser, align, alignable
from zuluko.perception.zoo import SFACE, YUNET, ModelError

log = logging.getLogger(__name__)

MOST_RECOGNISED = 4  # faces a picture, the largest: it bounds the time that one picture can take
SMALLEST_RECOGNISED = 32.0  # pixels wide: below it even the right person's similarity falls apart

# From where to where each number of the configuration may go.
LIMITS = {
    "threshold": (-1, 1),
    "min_margin": (0, 2),
    "min_score": (0, 1),
    "max_age": (0, inf),
    "max_wait": (0, inf),
    "detect_size": (32, 10_000),
    "threads": (1, 64),
}


def faces(
    frames: Stream[Frame],
    *,
    gallery: Path | None = None,
    source: str = "",
    threshold: float = THRESHOLD,
    min_margin: float = MIN_MARGIN,
    min_score: float = 0.8,
    max_age: float = 0.3,
    max_wait: float = 0.1,
    detect_size: int = 640,
    threads: int = 1,
) -> Iterator[Faces]:
    """Finds the faces in each picture and names those that it knows, the largest first.

    ``gallery``      the directory of enrolled people; None is the user's own, where ``zuluko face`` keeps it
    ``source``       what the camera shows; with "demo" the demo's own gallery serves, of one person, "owner",
                     and nobody else is known; with any other source the demo's owner is not known
    ``threshold``    the least similarity for a name, see ``zuluko.perception.gallery.THRESHOLD``
    ``min_margin``   the least lead over the second best person for a name, see ``MIN_MARGIN`` there
    ``min_score``    of a detection
    ``max_age``      seconds: a picture older than this when it arrives is skipped; exposure and transfer
                     count, so keep it above the camera's own delay and below the rule's ``max_age``
    ``max_wait``     seconds: so is one that has waited longer than this since the camera node sent it
    ``detect_size``  pixels: larger pictures are scaled down to this longest side to find faces in
    ``threads``      of onnxruntime

    Only the four largest faces are recognised, and only those at least 32 pixels wide; the others have no
    name, the similarity -1 and the quality 0. The gallery is read again within a second after somebody was
    enrolled. Raises ValueError before the first picture: ModelError when the networks are missing, or when a
    number of the configuration is out of its range.
    """
    check(
        threshold=threshold,
        min_margin=min_margin,
        min_score=min_score,
        max_age=max_age,
        max_wait=max_wait,
        detect_size=detect_size,
        threads=threads,
    )
    stream = frames if isinstance(frames, Stream) else Stream(frames)
    detect = Detector(min_score=min_score, longest=detect_size, threads=threads)
    recognise = Recogniser(threads=threads)
    people = _demo_gallery(detect, recognise) if source == "demo" else Gallery(gallery or default_place())
    _warm_up(detect, recognise)
    for frame in fresh(stream, max_age, max_wait):
        people.refresh(stream.now)
        items = []
        for number, found in enumerate(detect(frame.image)):
            recognisable = number < MOST_RECOGNISED and found.box[2] >= SMALLEST_RECOGNISED
            match, good = NOBODY, 0.0
            if recognisable and len(people) and alignable(found.landmarks):
                aligned = align(frame.image, found.landmarks)
                match, good = people.match(recognise.template(aligned)), quality(found, aligned).overall
            sure = match.similarity >= threshold and match.margin >= min_margin
            items.append(_face(found, match, match.name if sure else "", good))
        yield Faces(stamp=frame.stamp, items=tuple(items), size=(frame.image.shape[1], frame.image.shape[0]))


def models(**_: object) -> Iterator[tuple[str, str]]:
    """The networks that it runs, and the sha256 of each."""
    for model in (YUNET, SFACE):
        yield model.name, model.sha256


def check_faces(*, gallery: Path | None, source: str, **numbers: float) -> Iterator[Fault]:
    """What is wrong with the configuration: its numbers, the networks' files, the gallery's folder. The
    networks are compared by their size, and to the bit when they are loaded."""
    for name, number in numbers.items():
        if wrong := _wrong(name, number):
            yield Fault(name, wrong)
    for model in (YUNET, SFACE):
        try:
            zoo.locate(model)
        except ModelError as error:
            yield Fault("", str(error))
    if source != "demo":
        yield from _gallery_faults(gallery)


def _gallery_faults(gallery: Path | None) -> Iterator[Fault]:
    try:
        place = gallery or default_place()
    except GalleryError as error:
        yield Fault("gallery", str(error))
        return
    if gallery and not place.exists():
        what = f"there is no folder {place}; make it with: zuluko face enrol NAME PHOTO... --gallery {place}"
        yield Fault("gallery", what, passing=True)
    elif place.exists() and not place.is_dir():
        yield Fault("gallery", f"{place} is a file; expected the folder of the people who are known")
    elif place.exists() and not os.access(place, os.R_OK | os.X_OK):
        yield Fault("gallery", f"you may not read {place}; see who may with: ls -ld {place}")


def check(**numbers: float) -> None:
    """Raises ValueError for a number of the configuration that is out of its range or NaN."""
    for name, number in numbers.items():
        if wrong := _wrong(name, number):
            raise ValueError(f"{name} of faces {wrong}")


def _wrong(name: str, number: float) -> str:
    low, high = LIMITS[name]
    to = f"{low} to {high}" if high < inf else f"{low} or more"
    return "" if low <= number <= high else f"must be {to}, not {number:g}"


def fresh(stream: Stream[Frame], max_age: float, max_wait: float) -> Iterator[Frame]:
    """The frames that are neither too old when they arrive nor have waited too long, nor lie in the future.

    The wait alone is this machine's doing; the rest of the age is the camera's: a long exposure in little
    light, a slow transfer. Where the stream does not tell when a frame was sent, all of its age is wait. When
    every frame has been skipped for a second, a warning says why, and again every ten seconds.
    """
    last_good, next_warning = None, 0
    for frame in stream:
        age = (stream.now - frame.stamp) / 1e9
        waited = (stream.now - (getattr(stream, "sent", 0) or frame.stamp)) / 1e9
        if 0 <= age <= max_age and waited <= max_wait:
            last_good = stream.now
            yield frame
            continue
        last_good = stream.now if last_good is None else last_good
        if stream.now - last_good >= 1e9 and stream.now >= next_warning:
            next_warning = stream.now + 10_000_000_000
            lasted, why = (stream.now - last_good) / 1e9, _why(age, waited, max_wait)
            log.warning("every picture of the last %.0f s was skipped; the newest %s", lasted, why)


def _why(age: float, waited: float, max_wait: float) -> str:
    """What is wrong with a picture that is skipped, and what to do."""
    if age < 0:
        return f"is stamped {-age:.3g} s in the future: compare the clocks of the machines"
    if waited > max_wait:
        return (
            f"had waited {waited * 1e3:.0f} ms: the machine is too slow; lower the camera's hz or size, "
            "lower detect_size, or give faces more threads"
        )
    return (
        f"was {age * 1e3:.0f} ms old, {(age - waited) * 1e3:.0f} of them when the camera sent it: its "
        "exposure is long in little light, or it is slow; give it light, or raise max_age of faces, "
        "and that of the rule with it"
    )


def _face(found: Detection, match: Match, name: str, good: float) -> Face:
    x, y, width, height = (float(number) for number in found.box)
    points: list[Point] = [(float(across), float(down)) for across, down in found.landmarks]
    return Face(
        box=(x, y, width, height),
        landmarks=(points[0], points[1], points[2], points[3], points[4]),
        score=found.score,
        name=name,
        similarity=match.similarity,
        margin=match.margin,
        quality=good,
    )


def _demo_gallery(detect: Detector, recognise: Recogniser) -> Gallery:
    """The demo's one person, enrolled from the photograph in the package; it never touches the disk."""
    people = Gallery()
    with as_file(files("zuluko.nodes") / "photographs" / "owner_enrolled.jpg") as photograph:
        people.enrol("owner", {photograph.name: template(picture.load(photograph), detect, recognise)})
    return people


def _warm_up(detect: Detector, recognise: Recogniser) -> None:
    """The first run of a network is slow; let it not be that of the first picture."""
    detect(np.zeros((480, 640, 3), np.uint8))
    recognise.template(np.zeros((112, 112, 3), np.uint8))
