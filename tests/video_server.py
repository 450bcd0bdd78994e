"""Real streams on 127.0.0.1 for the tests of the camera: MJPEG over HTTP, and RTSP (MPEG-TS within TCP)."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from zuluko.bus import clock

STEP = 4  # grey levels from one picture to the next, more than JPEG blurs


def grey(level: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), level, np.uint8)


def level_of(image: np.ndarray) -> int:
    """The number of the served picture that this is, counted from 0 and modulo 60."""
    return round(float(image[:, : image.shape[1] // 2].mean()) / STEP) - 1


def numbered(number: int, base: int = 60) -> np.ndarray:
    """Numbers up to ``base ** 2``: the left half counts to the base, the right half how often it did."""
    step = 60 * STEP // base
    return np.hstack([grey((digit % base + 1) * step, (32, 48)) for digit in (number, number // base)])


def number_of(image: np.ndarray, base: int = 60) -> int:
    """A codec that blurs needs a smaller base."""
    step, half = 60 * STEP // base, image.shape[1] // 2
    left, right = (round(float(part.mean()) / step) - 1 for part in (image[:, :half], image[:, half:]))
    return left + base * right


class MjpegServer(ThreadingHTTPServer):
    """Serves numbered pictures, each once, whoever asks. ``mood`` may be changed at any time.

    good     a picture every 20 ms
    stalled  the connection stays open, and nothing comes
    dropped  the connection is closed at once, also a new one
    garbage  bytes that are no pictures
    jammed   pictures are held back, but for one every 0.6 s; as soon as it is good again, all come at once

    ``taken`` is the graph time (ns) at which each picture was taken. With ``timed``, each part bears it as well.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mjpeg)
        self.mood = "good"
        self.served = 0
        self.connections = 0
        self.open = 0
        self.taken: list[int] = []
        self.timed = False
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/stream.mjpg"

    def take(self, number: int) -> bytes:
        return cv2.imencode(".jpg", numbered(number))[1].tobytes()

    def handle_error(self, request, client_address) -> None:
        """A client may leave whenever it likes."""


class _Mjpeg(BaseHTTPRequestHandler):
    server: MjpegServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.connections += 1
        if self.server.mood == "dropped":
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.server.open += 1
        self.held: list[bytes] = []
        self.passed = time.monotonic()
        try:
            while self.server.mood != "dropped" and not self.server.closing.wait(0.02):
                self._part(self.server.mood)
        finally:
            self.server.open -= 1

    def _part(self, mood: str) -> None:
        if mood in {"good", "jammed"}:
            self.held.append(self._take())
        if mood == "good" or (mood == "jammed" and time.monotonic() - self.passed > 0.6):
            self.passed = time.monotonic()
            count = len(self.held) if mood == "good" else 1
            for _ in range(count):
                self.wfile.write(self.held.pop(0))
        elif mood == "garbage":
            self.wfile.write(np.random.default_rng(1).bytes(1000))

    def _take(self) -> bytes:
        jpeg = self.server.take(self.server.served)
        self.server.served += 1
        self.server.taken.append(clock.now())
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
        if self.server.timed:
            head += f"X-Timestamp: {self.server.taken[-1] / 1e9 - 3600:.6f}\r\n"  # by a clock of its own
        return f"{head}\r\n".encode() + jpeg + b"\r\n"


class RtspServer(socketserver.ThreadingTCPServer):
    """Plays one MPEG-TS file once to whoever asks, in real time: RFC 2326 with RTP inside the connection.

    While ``jammed``, nothing passes; what was held back comes at once afterwards. ``taken`` has the graph time
    (ns) at which each picture was due.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, clip: Path, pictures: int, fps: int = 25) -> None:
        super().__init__(("127.0.0.1", 0), _Rtsp)
        self.pictures, self.fps, self.jammed = pictures, fps, False
        self.taken: list[int] = []
        self.clip = clip.read_bytes()
        self.closing = threading.Event()
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/clip"

    def handle_error(self, request, client_address) -> None:
        """A client may leave whenever it likes."""


class _Rtsp(socketserver.StreamRequestHandler):
    server: RtspServer
    sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=clip\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"

    def handle(self) -> None:
        while request := self.rfile.readline().split():
            head = dict(line.split(b":", 1) for line in iter(self.rfile.readline, b"\r\n") if b":" in line)
            reply = [b"RTSP/1.0 200 OK", b"CSeq:" + head.get(b"CSeq", b" 0").rstrip(), b"Session: 7"]
            body = self.sdp if request[0] == b"DESCRIBE" else b""
            if request[0] == b"SETUP":
                reply.append(b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            if body:
                reply += [b"Content-Type: application/sdp", b"Content-Length: %d" % len(body)]
            self.wfile.write(b"\r\n".join(reply) + b"\r\n\r\n" + body)
            if request[0] == b"PLAY":
                self._play()

    def _play(self) -> None:
        packets = [self.server.clip[at : at + 188] for at in range(0, len(self.server.clip), 188)]
        began, sent = clock.now(), 0
        self.server.taken = [
            began + number * 10**9 // self.server.fps for number in range(self.server.pictures)
        ]
        while sent < len(packets) and not self.server.closing.wait(0.01):
            due = (clock.now() - began) / 1e9 * self.server.fps / self.server.pictures * len(packets)
            while sent < min(due, len(packets)) and not self.server.jammed:
                self._send(sent, packets[sent])
                sent += 1

    def _send(self, number: int, packet: bytes) -> None:
        rtp = b"\x80\x21" + (number % 65536).to_bytes(2, "big") + number.to_bytes(4, "big") + b"zulu" + packet
        self.wfile.write(b"$\x00" + len(rtp).to_bytes(2, "big") + rtp)


@contextmanager
def serving(server: MjpegServer | RtspServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
