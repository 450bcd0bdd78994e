"""The faces node: who is in the picture."""

import logging
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zuluko.bus.streams import Stream
from zuluko.messages import Face, Faces, Frame, Point
from zuluko.perception.detector import Detection, Detector
from zuluko.perception.enrolment import read_picture, template
from zuluko.perception.gallery import MIN_MARGIN, NOBODY, THRESHOLD, Gallery, Match, default_place
from zuluko.perception.quality import quality
from zuluko.perception.recogniser import Recogniser

log = logging.getLogger(__name__)

MOST_RECOGNISED = 4  # faces a picture, the largest: it bounds the time that one picture can take
SMALLEST_RECOGNISED = 32.0  # pixels wide: below it even the right person's similarity falls apart


def faces(
    frames: Stream[Frame],
    *,
    gallery: Path | None = None,
    source: str = "",
    threshold: float = THRESHOLD,
    min_margin: float = MIN_MARGIN,
    min_score: float = 0.8,
    max_age: float = 0.15,
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
    ``max_age``      seconds: a picture older than this when it arrives is skipped
    ``detect_size``  pixels: larger pictures are scaled down to this longest side to find faces in
    ``threads``      of onnxruntime

    Only the four largest faces are recognised, and only those at least 32 pixels wide; the others have no
    name and the similarity -1. The gallery is read again within a second after somebody was enrolled.
    Raises ModelError when the networks are missing.
    """
    detect = Detector(min_score=min_score, longest=detect_size, threads=threads)
    recognise = Recogniser(threads=threads)
    people = _demo_gallery(detect, recognise) if source == "demo" else Gallery(gallery or default_place())
    _warm_up(detect, recognise)
    for frame in fresh(frames, max_age):
        people.refresh(frame.stamp)
        found = detect(frame.image)
        known = [_identify(frame.image, face, people, recognise) for face in found[:MOST_RECOGNISED]]
        known += [NOBODY] * (len(found) - len(known))
        items = tuple(
            _face(frame.image, face, match, match.similarity >= threshold and match.margin >= min_margin)
            for face, match in zip(found, known, strict=True)
        )
        yield Faces(stamp=frame.stamp, items=items, size=(frame.image.shape[1], frame.image.shape[0]))


def fresh(frames: Stream[Frame], max_age: float) -> Iterator[Frame]:
    """The frames that are at most ``max_age`` seconds old when they arrive.

    When there has been none of them for a second, a warning says so, and again every ten seconds.
    """
    stream = frames if isinstance(frames, Stream) else Stream(frames)
    last_good, next_warning = None, 0
    for frame in stream:
        if stream.now - frame.stamp <= max_age * 1e9:
            last_good = stream.now
            yield frame
            continue
        last_good = stream.now if last_good is None else last_good
        if stream.now - last_good >= 1e9 and stream.now >= next_warning:
            next_warning = stream.now + 10_000_000_000
            log.warning(
                "every picture of the last %.0f s was older than %.0f ms and was skipped: the machine is too "
                "slow; lower the camera's hz or size, lower detect_size, or give faces more threads",
                (stream.now - last_good) / 1e9,
                max_age * 1e3,
            )


def _identify(image: NDArray[np.uint8], face: Detection, people: Gallery, recognise: Recogniser) -> Match:
    """Who the face is most like; nobody for a face too small to tell, or in an empty gallery."""
    if face.box[2] < SMALLEST_RECOGNISED or not people.people:
        return NOBODY
    return people.match(recognise(image, face.landmarks))


def _face(image: NDArray[np.uint8], face: Detection, match: Match, sure: bool) -> Face:
    x, y, width, height = (float(number) for number in face.box)
    points: list[Point] = [(float(across), float(down)) for across, down in face.landmarks]
    return Face(
        box=(x, y, width, height),
        landmarks=(points[0], points[1], points[2], points[3], points[4]),
        score=face.score,
        name=match.name if sure else "",
        similarity=match.similarity,
        margin=match.margin,
        quality=quality(image, face).overall,
    )


def _demo_gallery(detect: Detector, recognise: Recogniser) -> Gallery:
    """The demo's one person, enrolled from the photograph in the package; it never touches the disk."""
    people = Gallery()
    with as_file(files("zuluko.nodes") / "photographs" / "owner_enrolled.jpg") as photograph:
        people.enrol("owner", {photograph.name: template(read_picture(photograph), detect, recognise)})
    return people


def _warm_up(detect: Detector, recognise: Recogniser) -> None:
    """The first run of a network is slow; let it not be that of the first picture."""
    detect(np.zeros((480, 640, 3), np.uint8))
    recognise.template(np.zeros((112, 112, 3), np.uint8))
