"""A log's pictures as a film: H.264 in an MP4 file, each picture at its time. Needs PyAV."""

import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zuluko.bus.log_writer import LogError
from zuluko.bus.wire import WireError
from zuluko.log_export.lines import named
from zuluko.log_export.part import Item, Part
from zuluko.log_export.pictures import FRAME, Picture, pictures, unseen
from zuluko.log_export.whole import whole
from zuluko.messages import Face, Faces

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

TICKS = 90_000  # a second, as in every MP4
LAST = TICKS // 30  # for so long the last picture is shown, at most
LARGEST = 1 << 14  # pixels each way, of H.264
AHEAD = 2.0  # s; so much later than the picture its faces may have been received
HELD = 0.5  # s; for so long boxes stay where a picture has none of its own
GREEN, ORANGE, BLACK = (60, 220, 60), (20, 150, 255), (0, 0, 0)  # blue, green, red


def to_film(part: Part, target: Path, *, boxes: bool = False) -> Iterator[str]:
    """Writes the one topic that has pictures; yields what is to be said.

    The film's time is the log's, from the part's beginning: it is black until the first picture, and the last
    one stays until the end. With ``boxes``, the faces that were found in a picture are drawn into it.

    Raises LogError where PyAV is not installed, and where there are no pictures or several topics of them.
    """
    av = _library()
    topic = _topic(part)
    faces = _FacesAhead(part) if boxes else None
    film: _Film | None = None
    with whole(target) as place:
        try:
            for item in part.of([topic]):
                if (image := _pixels(part, item)) is None:
                    continue
                film = film or _Film(av, place, image, part.start)
                film.add(_drawn(image, faces.of(item)) if faces else image, item.received)
            if film is None:
                raise LogError(f"{part.reader.path}: no picture on {topic} can be read")
            film.end(part.end)
        finally:
            if film:
                film.close()
    size = f"{film.width}x{film.height}"
    yield f"{target}: {film.count} pictures of {topic}, {size}, {(part.end - part.start) / 1e9:.1f} s"


def _library() -> "ModuleType":
    try:
        import av
    except ImportError:
        raise LogError("a film needs PyAV; run: pip install 'zuluko[video]'") from None
    return av


def _topic(part: Part) -> str:
    """The topic whose pictures are shown, known by its first message."""
    firsts = {topic: next(part.of([topic]), None) for topic in part.topics}
    found = [topic for topic, item in firsts.items() if item and _picture(item)]
    if not found:
        frames = [item for item in firsts.values() if item and item.kind == FRAME]
        why = f"{frames[0].topic}: {unseen(frames[0].body)}" if frames else "it needs a topic of Frames"
        raise LogError(f"{part.reader.path} has no pictures for a film; {why}")
    if len(found) > 1:
        raise LogError(f"a film shows one topic; choose it with --topic: {', '.join(found)}")
    return found[0]


def _picture(item: Item) -> Picture | None:
    """The first that can be shown as it is, in colour or grey."""
    try:
        return next((one for one in pictures(item.body) if one.encoding in ("bgr8", "mono8")), None)
    except WireError:
        return None


def _pixels(part: Part, item: Item) -> "Pixels | None":
    """Height x width x 3, blue, green, red; None, and counted, where there are none."""
    import cv2

    picture = _picture(item)
    try:
        image = picture.array if picture else None
    except WireError as error:
        part.leave_out(item.topic, error)
        return None
    if image is None:
        part.leave_out(item.topic, unseen(item.body))
    elif image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image


class _FacesAhead:
    """The faces of each picture: a second reader goes some way ahead, since they come after it."""

    def __init__(self, part: Part) -> None:
        reader = part.reader
        topics = [topic for topic in reader.topics if part.type_of(topic) == "Faces/1"]
        if not topics:
            raise LogError(f"{reader.path} has no Faces to draw with --boxes")
        self._part = Part(reader, topics, part.start)
        self._items = self._part.of(topics)
        self._read_to = 0
        self._known: dict[int, tuple[Face, ...]] = {}
        self._held: tuple[int, tuple[Face, ...]] = (0, ())

    def of(self, shown: Item) -> tuple[Face, ...]:
        """Those with the picture's own stamp; without any, for a moment those of the picture before."""
        while self._read_to < shown.received + AHEAD * 1e9 and (item := next(self._items, None)):
            self._read_to = item.received
            if message := self._part.typed(item, Faces):
                self._known[message.stamp] = message.items
        stamp = shown.body.get("stamp")
        if not isinstance(stamp, int):
            return ()
        if stamp in self._known:
            self._held = stamp, self._known[stamp]
        self._known = {at: faces for at, faces in self._known.items() if at > stamp}
        at, faces = self._held
        return faces if 0 <= stamp - at < HELD * 1e9 else ()


def _drawn(image: "Pixels", faces: tuple[Face, ...]) -> "Pixels":
    import cv2

    image = image.copy()
    size = max(0.4, image.shape[0] / 960)
    for face in faces:
        colour = GREEN if face.name else ORANGE
        x, y, width, height = (int(min(max(number, -LARGEST), 2 * LARGEST)) for number in face.box)
        cv2.rectangle(image, (x, y), (x + width, y + height), colour, max(1, round(2 * size)), cv2.LINE_AA)
        plain = unicodedata.normalize("NFKD", named(face)).encode("ascii", "ignore").decode()
        for edge, ink in ((4, BLACK), (1, colour)):
            at = (max(0, x), max(round(24 * size), y - round(8 * size)))
            cv2.putText(image, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, edge, cv2.LINE_AA)
    return image


class _Film:
    """An MP4 file in the making; times in ns, the first of them ``start``."""

    def __init__(self, av: "ModuleType", path: Path, first: "Pixels", start: int) -> None:
        self.count = 0
        self.height, self.width = (side + side % 2 for side in first.shape[:2])  # H.264 wants even ones
        if max(self.height, self.width) > LARGEST:
            raise LogError(f"a film's pictures have at most {LARGEST} pixels each way")
        self._av, self._start, self._at = av, start, -1
        self._file = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        # No picture is told out of order (bf), or an MP4's length would be wrong behind a long silence.
        options = {"preset": "veryfast", "crf": "21", "g": "60", "bf": "0"}
        self._stream = self._file.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = self.width, self.height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._last = np.zeros((self.height, self.width, 3), np.uint8)

    def add(self, image: "Pixels", time: int) -> None:
        at = self._ticks(time)
        if self._at < 0 < at:
            self._write(self._last, 0)
        self._last = _fitted(image, self.height, self.width)
        self._write(self._last, max(at, self._at + 1))
        self.count += 1

    def end(self, time: int) -> None:
        """Shows the last picture until ``time``, and makes the file whole."""
        if self._ticks(time) - LAST > self._at:
            self._write(self._last, self._ticks(time) - LAST)
        self._mux(None)

    def close(self) -> None:
        self._file.close()

    def _ticks(self, time: int) -> int:
        return (time - self._start) * TICKS // 10**9

    def _write(self, image: "Pixels", at: int) -> None:
        frame = self._av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = at, Fraction(1, TICKS)
        self._at = at
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._file.mux(packet)


def _fitted(image: "Pixels", height: int, width: int) -> "Pixels":
    """A picture in the film's size, on black where it has another shape."""
    import cv2

    scale = min(height / image.shape[0], width / image.shape[1])
    if scale < 1 or scale >= 1.5:
        size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    if image.shape[:2] == (height, width):
        return image
    fitted = np.zeros((height, width, 3), np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    fitted[top : top + image.shape[0], left : left + image.shape[1]] = image
    return fitted
