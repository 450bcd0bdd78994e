"""Where a camera's pictures come from: one table of kinds, and what each of them opens."""

import grp
import logging
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from math import ceil, isfinite
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2

from zuluko.bus import clock
from zuluko.document import Fault
from zuluko.nodes import demo
from zuluko.nodes.lag import Lag, Rhythm, Timed
from zuluko.nodes.mjpeg import Mjpeg, NotMjpegError
from zuluko.nodes.picture import SUFFIXES, Image, PictureError, bgr, decoded, load

log = logging.getLogger("zuluko.camera")

OPENING = 8.0  # seconds that a stream may take to answer
PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
MJPG = cv2.VideoWriter.fourcc(*"MJPG")
SCHEMES = tuple(f"{scheme}://" for scheme in PORTS)
CHOICES = "give a camera index, a device, a file, a folder, a URL or `demo`"


class SourceError(ValueError):
    """A source that can never give a picture, and what to give instead."""


@dataclass(frozen=True)
class Wish:
    """What the node asks of its source: where it is, the picture's size, the rate, the patience (s), and
    whether it wants the JPEG as well that a picture comes as."""

    source: str
    size: tuple[int, int] | None = None
    hz: float = 30.0
    stall: float = 3.0
    jpeg: bool = False
    rhythm: Rhythm = field(default_factory=Rhythm)  # of a stream, kept from one connection to the next


class Source(Protocol):
    """Pictures one after the other. Opened, used and closed by one thread.

    ``grab``    waits for the next picture; False at the end, or when the source has failed
    ``age``     seconds since the grabbed picture was taken, at least, as far as the source can tell; None
                where it may be too old to be published
    ``read``    decodes the grabbed picture; None where it is damaged
    ``scene``   ground truth of the grabbed picture, or empty
    ``jpeg``    the picture that was read last, byte for byte as it came; empty where it came as no JPEG
    ``period``  seconds from one picture to the next in a recording; 0 for a live source
    """

    scene: str
    period: float

    @property
    def jpeg(self) -> bytes: ...
    def grab(self) -> bool: ...
    def age(self) -> float | None: ...
    def read(self) -> Image | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Kind:
    """``open`` raises SourceError for what can never work, and OSError for what may work later."""

    name: str
    fits: Callable[[str], bool]
    open: Callable[[Wish], Source]
    live: bool = False


class Capture:
    """What OpenCV opens: a device, a stream or a video file."""

    scene = ""
    jpeg = b""

    def __init__(self, capture: Any, *, period: float = 0.0, monotonic: bool = False) -> None:
        self._capture = capture
        self._monotonic = monotonic
        self.period = period

    def grab(self) -> bool:
        return bool(self._capture.grab())

    def age(self) -> float | None:
        """V4L2 stamps its buffers with the monotonic clock, so that who reads late can tell."""
        if not self._monotonic:
            return 0.0
        age = (clock.now() - clock.offset()) / 1e9 - self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        return age if 0 < age < 10 else 0.0  # else the driver counts from something else

    def read(self) -> Image | None:
        good, image = self._capture.retrieve()
        return bgr(image) if good else None

    def close(self) -> None:
        self._capture.release()


class JpegDevice(Capture):
    """A device that gives JPEG, decoded here, so that its bytes are at hand."""

    def __init__(self, capture: Any) -> None:
        super().__init__(capture, monotonic=True)
        self.jpeg = b""

    def read(self) -> Image | None:
        good, data = self._capture.retrieve()
        self.jpeg = data.tobytes() if good else b""
        return decoded(self.jpeg) if good else None


class Stream(Capture):
    """A stream that FFmpeg reads, such as RTSP: each picture as old as its time in the stream tells."""

    def __init__(self, capture: Any, name: str, rhythm: Rhythm) -> None:
        super().__init__(capture)
        self._timed, self._rhythm, self._behind = Timed(), rhythm, Lag(name)
        self._taken = self._arrival = 0.0
        self._lag: float | None = None

    def grab(self) -> bool:
        asked = time.monotonic()
        if not super().grab():
            return False
        self._arrival, before = time.monotonic(), self._taken
        self._taken = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        if isfinite(self._taken) and self._taken != before and not self._timed.false:
            lag = self._timed.lag(self._arrival, self._taken)
        else:  # it bears no time
            lag = self._rhythm.lag(self._arrival, self._arrival - asked)
        self._lag = self._behind.bounded(self._arrival, lag)
        return True

    def age(self) -> float | None:
        return None if self._lag is None else time.monotonic() - self._arrival + self._lag


class Photos:
    """Picture files, in order."""

    scene = ""
    jpeg = b""

    def __init__(self, paths: list[Path], *, period: float) -> None:
        self._paths = paths
        self._index = -1
        self.period = period

    def grab(self) -> bool:
        self._index += 1
        return self._index < len(self._paths)

    def age(self) -> float:
        return 0.0

    def read(self) -> Image | None:
        path = self._paths[self._index]
        try:
            return load(path)
        except PictureError as error:
            log.warning("%s: %s; going on with the next one", path, error)
            return None

    def close(self) -> None:
        pass


class Demo:
    """The demo clip, composed picture by picture; what is skipped is not composed."""

    scene = ""
    jpeg = b""

    def __init__(self, wish: Wish) -> None:
        demo.prepare()
        self.period = 1 / wish.hz
        self._index = -1

    def grab(self) -> bool:
        self._index += 1
        return self._index * self.period < demo.SECONDS

    def age(self) -> float:
        return 0.0

    def read(self) -> Image | None:
        self.scene, image = demo.compose(self._index * self.period)
        return image

    def close(self) -> None:
        pass


def open_device(wish: Wish) -> Source:
    """A V4L2 camera. Sizes above VGA are asked for as MJPEG: USB 2 is too narrow for them otherwise. It is
    asked for, too, where the JPEG is wanted."""
    path = device_path(wish.source)
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(ceil(wish.stall)))
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise OSError(why_no_device(path))
    if wish.jpeg or (wish.size is not None and wish.size[0] * wish.size[1] > 640 * 480):
        capture.set(cv2.CAP_PROP_FOURCC, MJPG)
    if wish.size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wish.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wish.size[1])
    capture.set(cv2.CAP_PROP_FPS, max(wish.hz, 5))  # slower, and its exposure and its buffers would lag
    return _with_jpeg(capture, path) if wish.jpeg else Capture(capture, monotonic=True)


def _with_jpeg(capture: Any, path: str) -> Capture:
    """The device as one that gives JPEG, if it does and OpenCV leaves it as it is."""
    if int(capture.get(cv2.CAP_PROP_FOURCC)) == MJPG and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        return JpegDevice(capture)
    log.warning("%s gives no MJPEG; its pictures come without their JPEG", path)
    return Capture(capture, monotonic=True)


def open_stream(wish: Wish) -> Source:
    """MJPEG over HTTP is read here, anything else by FFmpeg."""
    if wish.source.startswith(("http://", "https://")):
        with suppress(NotMjpegError):
            return open_mjpeg(wish)
    return open_ffmpeg(wish)


def open_mjpeg(wish: Wish) -> Source:
    began, name = time.monotonic(), masked(wish.source)
    try:
        source = Mjpeg(wish.source, name, opening=OPENING, stall=wish.stall, rhythm=wish.rhythm)
    except NotMjpegError:
        raise
    except (OSError, ValueError, HTTPException) as error:  # their texts may bear the password
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise OSError(
                f"its certificate is not to be trusted ({reason.verify_message}); name one in SSL_CERT_FILE"
            ) from None
        raise OSError(_why_closed(wish.source, began)) from None
    if not source.begin(OPENING - (time.monotonic() - began)):
        source.close()
        raise OSError(f"no video within {OPENING:g} s")
    return source


def open_ffmpeg(wish: Wish) -> Source:
    """FFmpeg gives up by itself a little after the node has."""
    patience = [(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPENING), (cv2.CAP_PROP_READ_TIMEOUT_MSEC, wish.stall + 0.2)]
    options = [number for name, seconds in patience for number in (name, round(seconds * 1000))]
    began = time.monotonic()
    capture = cv2.VideoCapture(wish.source, cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise OSError(_why_closed(wish.source, began))
    wish.rhythm.opened(began)
    return Stream(capture, masked(wish.source), wish.rhythm)


def _why_closed(url: str, began: float) -> str:
    silent = time.monotonic() - began >= OPENING
    return f"no video within {OPENING:g} s" if silent else why_no_stream(url)


def open_video(wish: Wish) -> Source:
    """A video file, at its own rate; 30 Hz where it does not tell one."""
    _check_access(wish.source, os.R_OK)
    capture = cv2.VideoCapture(wish.source, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        size = Path(wish.source).stat().st_size
        raise SourceError(f"{wish.source} ({size} bytes) is no video that can be read; {CHOICES}")
    rate = capture.get(cv2.CAP_PROP_FPS)
    return Capture(capture, period=1 / rate if isfinite(rate) and 0 < rate <= 1000 else 1 / 30)


def open_photos(wish: Wish) -> Source:
    """A picture file, or all those in a folder, sorted by name, numbers in it by value (2 before 10)."""
    return Photos(_pictures(Path(wish.source)), period=1 / wish.hz)


def _pictures(place: Path) -> list[Path]:
    _check_access(place, os.R_OK | os.X_OK if place.is_dir() else os.R_OK)
    paths = sorted(place.iterdir(), key=_in_order) if place.is_dir() else [place]
    pictures = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise SourceError(f"no pictures in {place}; it needs files ending in {', '.join(sorted(SUFFIXES))}")
    return pictures


def _check_access(path: Path | str, how: int) -> None:
    if not os.access(path, how):
        raise SourceError(f"you may not read {path}; see who may with `ls -ld {path}`")


def _in_order(path: Path) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", path.name)]


def is_device(source: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+|/dev/.+", source))


def _is_stream(source: str) -> bool:
    return source.startswith(SCHEMES) and bool(_address(source))


def _is_picture(source: str) -> bool:
    return Path(source).suffix.lower() in SUFFIXES and os.path.isfile(source)


KINDS = (
    Kind("demo", lambda source: source == "demo", Demo),
    Kind("device", is_device, open_device, live=True),
    Kind("stream", _is_stream, open_stream, live=True),
    Kind("folder", os.path.isdir, open_photos),
    Kind("picture", _is_picture, open_photos),
    Kind("video", os.path.isfile, open_video),
)


def find(source: str) -> Kind:
    """The kind of a source, as a launch file or a command line names it; SourceError where it is none."""
    kind = next((kind for kind in KINDS if kind.fits(source)), None)
    if kind is None:
        what = "no way to read" if "://" in source else "no such file"
        raise SourceError(f"{what} {masked(source) or '(empty)'}; {CHOICES}")
    return kind


def faults(source: str) -> Iterator[Fault]:
    """What is wrong with a source, as far as that shows without opening it. A device that is not there may
    come yet; whether a stream's server answers is not asked."""
    try:
        kind = find(source)
        if kind.name in ("folder", "picture"):
            _pictures(Path(source))
        elif kind.name == "video":
            _check_access(source, os.R_OK)
    except SourceError as error:
        yield Fault("source", str(error))
        return
    path = device_path(source)
    if kind.name == "device" and not os.access(path, os.R_OK | os.W_OK):
        yield Fault("source", why_no_device(path), passing=True)


def masked(source: str) -> str:
    """A source as it may stand in a log: of a URL only scheme, host and port, of one that is unclear less.

    A user, a path and a query may each be or bear a password.
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if found is None or (os.path.exists(source) and "://" not in source):
        return source
    clear = re.fullmatch(
        r"[^/?#]*:"  # scheme
        r"//(?:[^/?#]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(:[0-9]+)?"  # user, host, port
        r"([/?#][^@]*)?",  # an @ here would be part of a password in which / stands as it is
        source,
    )
    if clear is None:
        return f"{found[1]}://…" if "://" in source else f"{found[1]}:…"
    return f"{found[1]}://{clear[1]}{clear[2] or ''}" + ("/…" if clear[3] and clear[3] != "/" else "")


def device_path(source: str) -> str:
    return f"/dev/video{source}" if source.isdecimal() else source


def why_no_device(path: str) -> str:
    """Why a camera does not open, and what to do, in one sentence without its full stop."""
    if not os.path.exists(path):
        others = ", ".join(sorted(str(other) for other in Path("/dev").glob("video*")))
        if others:
            return f"there is no {path}, only {others}: plug it in, or take another"
        return f"there is no {path}, nor any other /dev/video*: plug one in"
    if not os.access(path, os.R_OK | os.W_OK):
        group = _group(path)
        return f"you may not open {path}: run `sudo usermod -aG {group} $USER` and log in again"
    return f"{path} gives no pictures: another program may have it (`fuser -v {path}`), or it is no camera"


def _group(path: str) -> str:
    number = os.stat(path).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:  # in a container the host's groups have no names
        return str(number)


def why_no_stream(url: str) -> str:
    """Why a stream does not open, as far as connecting to its server tells."""
    try:
        socket.create_connection(_address(url), timeout=2).close()
    except OSError as error:
        return f"no connection ({error.strerror or error})"
    return "it answers, but gives no video: check the path, the user and the password"


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:  # its text may bear the password
        host = None
    if not host:
        raise SourceError(
            f"no host and port in {masked(url)}; write rtsp://host:554/path, a password %-encoded"
        )
    return host, port
