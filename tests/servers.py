"""Servers for notices, as bad as they come: real sockets on this machine."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Behaviour = Callable[["Server", socket.socket], None]


class Server:
    """``behaviours`` are used up, one a connection, and the last one stays."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.seen: list[Any] = []
        self.heads: list[str] = []
        self.connections = 0
        self.ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            threading.Thread(target=self._behave, args=(behaviour, link), daemon=True).start()

    def _behave(self, behaviour: Behaviour, link: socket.socket) -> None:
        with link, suppress(OSError):
            behaviour(self, link)

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@contextmanager
def serving(*behaviours: Behaviour) -> Iterator[Server]:
    server = Server(*behaviours)
    try:
        yield server
    finally:
        server.close()


def secured(behaviour: Behaviour, certificate: Path) -> Behaviour:
    """The same over TLS; the file holds certificate and key."""

    def behave(server: Server, link: socket.socket) -> None:
        with _tls(certificate).wrap_socket(link, server_side=True) as secret:
            behaviour(server, secret)

    return behave


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def read_request(server: Server, link: socket.socket) -> None:
    """Reads an HTTP request whole and remembers it."""
    link.settimeout(10)
    with link.makefile("rb") as file:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := file.readline()):
            head += line
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
        server.heads.append(head.decode())
        server.seen.append(json.loads(file.read(int(fields["Content-Length"]))))


def answering(status: int, body: str = "", reason: str = "Said") -> Behaviour:
    def behave(server: Server, link: socket.socket) -> None:
        read_request(server, link)
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n"
        link.sendall(f"{head}Location: http://127.0.0.1:1/\r\n\r\n{body}".encode())

    return behave


def hanging(server: Server, link: socket.socket) -> None:
    """Takes the request and says nothing."""
    read_request(server, link)
    server.ended.wait()


def dripping(server: Server, link: socket.socket) -> None:
    """Says a byte now and then, for ever."""
    read_request(server, link)
    link.sendall(b"HTTP/1.1 200 O")
    while not server.ended.wait(0.05):
        link.sendall(b"x")


def resetting(server: Server, link: socket.socket) -> None:
    """Breaks the connection off with a reset."""
    read_request(server, link)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def babbling(server: Server, link: socket.socket) -> None:
    """Speaks something that is not HTTP."""
    read_request(server, link)
    link.sendall(b"220 welcome to something else\r\n" * 3)


def pouring(server: Server, link: socket.socket) -> None:
    """Says yes, and then does not stop to talk."""
    read_request(server, link)
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not server.ended.is_set():
        link.sendall(b"x" * 65536)


def mail(*, refuse: bytes = b"", certificate: Path | None = None) -> Behaviour:
    """An SMTP server (RFC 5321) that remembers the letters; ``refuse`` is its answer to MAIL. With a
    certificate it offers STARTTLS."""

    def behave(server: Server, link: socket.socket) -> None:
        link.settimeout(10)
        link.sendall(b"220 test ESMTP\r\n")
        if _converse(server, link, refuse, starttls=certificate is not None) and certificate:
            with _tls(certificate).wrap_socket(link, server_side=True) as secret:
                _converse(server, secret, refuse, starttls=False)

    return behave


def _converse(server: Server, link: socket.socket, refuse: bytes, *, starttls: bool) -> bool:
    """Whether TLS is to begin."""
    answers = {b"AUTH": b"235 welcome", b"QUIT": b"221 bye", b"DATA": b"354 go on", b"STARTTLS": b"220 go on"}
    answers[b"EHLO"] = b"250-test\r\n250-AUTH PLAIN\r\n" + b"250-STARTTLS\r\n" * starttls + b"250 8BITMIME"
    answers[b"MAIL"] = refuse or b"250 fine"
    with link.makefile("rb") as file:
        while line := file.readline().strip():
            server.heads.append(line.decode())
            verb = line.split()[0].upper()
            link.sendall(answers.get(verb, b"250 fine") + b"\r\n")
            if verb in (b"QUIT", b"STARTTLS"):
                return verb == b"STARTTLS"
            if verb == b"DATA":
                letter = b""
                while (text := file.readline()) != b".\r\n":
                    letter += text
                server.seen.append(letter.decode())
                link.sendall(b"250 taken\r\n")
    return False


def broker(*, refuse: int = 0, acknowledge: bool = True) -> Behaviour:
    """As much of an MQTT 3.1.1 broker (OASIS, 2014) as takes a message of QoS 1."""

    def behave(server: Server, link: socket.socket) -> None:
        link.settimeout(10)
        while packet := _packet(link):
            kind, body = packet
            if kind >> 4 == 1:
                server.heads.append(repr(body))
                link.sendall(bytes([0x20, 2, 0, refuse]))
            elif kind >> 4 == 3:
                length = int.from_bytes(body[:2], "big")
                server.heads.append(body[2 : 2 + length].decode())
                server.seen.append(json.loads(body[4 + length :]))
                if acknowledge:
                    link.sendall(bytes([0x40, 2]) + body[2 + length : 4 + length])
            elif kind >> 4 == 14:
                return

    return behave


def _packet(link: socket.socket) -> tuple[int, bytes] | None:
    kind = link.recv(1)
    if not kind:
        return None
    length, shift = 0, 0
    while (byte := link.recv(1)[0]) & 0x80:
        length |= (byte & 0x7F) << shift
        shift += 7
    length |= byte << shift
    body = b""
    while len(body) < length:
        body += link.recv(length - len(body))
    return kind[0], body
