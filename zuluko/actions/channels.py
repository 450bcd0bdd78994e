"""Channels: how a notice reaches people. A driver is a class that fits ``Channel`` and a line in
``DRIVERS``."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from zuluko.document import nearest
from zuluko.messages import NotifyCommand

LARGEST_SECRET = 4096  # bytes
LEAST_SECRET = 4  # characters: what is shorter hides nothing, and occurs in other words
MOST_ANSWER = 300  # characters of what the other side says that are told


class Channel(Protocol):
    """A way to people. ``send`` returns when the other side has taken the notice, within about the address's
    ``timeout``; raises OSError where another try may help, and RefusedError where none will."""

    def send(self, notice: NotifyCommand) -> None: ...


class RefusedError(Exception):
    """The other side does not want this notice, however often it comes."""


@dataclass(frozen=True)
class Address:
    """Where a notice goes.

    ``to``       what the channel sends to: a URL, or an e-mail address
    ``via``      the server that an e-mail goes through, as a URL
    ``sender``   whom an e-mail is from
    ``secret``   a password or token
    ``timeout``  seconds that one try may take, from the connection to the answer
    """

    to: str = ""
    via: str = ""
    sender: str = ""
    secret: str = field(default="", repr=False)
    timeout: float = 5.0

    def hidden(self, text: str) -> str:
        """A sentence without the secret, and without the part of a URL that often is one."""
        for secret in (self.secret, _secret_part(self.to), _secret_part(self.via)):
            text = text.replace(secret, "***") if len(secret) >= LEAST_SECRET else text
        return text


def find_driver(driver: str) -> "Callable[[Address], Channel]":
    """What makes the channel; raises ValueError with the choices."""
    if driver not in DRIVERS:
        near = nearest(driver, DRIVERS) or f"; there is {', '.join(sorted(DRIVERS))}"
        raise ValueError(f"there is no channel `{driver}`{near}")
    return DRIVERS[driver]


def url(text: str, schemes: Mapping[str, int], *, secret: str = "", what: str = "to") -> SplitResult:
    """A URL with one of these schemes, each with its usual port; raises ValueError, which never shows it.

    A secret goes over TLS, or not beyond this machine.
    """
    names = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        found = urlsplit(text)
        port = found.port or schemes[found.scheme]
    except (ValueError, KeyError):
        raise ValueError(f"`{what}` must be a URL that begins with {names}") from None
    if not found.hostname or any(ord(letter) <= 32 or letter == "#" for letter in text):
        raise ValueError(
            f"`{what}` must be a URL with a host and without # and spaces, such as {next(iter(schemes))}://example.org"
        )
    if found.password is not None:
        raise ValueError(f"`{what}` has a password in it; give it as `secret: $env:NAME` or `secret_file`")
    if secret and found.scheme in PLAIN and not is_local(found.hostname):
        safe = next(scheme for scheme in schemes if scheme not in PLAIN)
        raise ValueError(f"`{what}` would send the secret in the clear; use {safe}://")
    return found._replace(netloc=f"{found.username or ''}@{found.hostname}:{port}")


PLAIN = ("http", "mqtt")  # smtp asks for TLS itself


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_secret(file: Path) -> str:
    """What a file of mode 0600 holds, without the newline at its end; raises ValueError."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    with os.fdopen(handle, "rb") as opened:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("is no file")
        if about.st_mode & 0o077:
            raise ValueError(f"can be read by others; run: chmod 600 {file}")
        content = opened.read(LARGEST_SECRET + 1)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > LARGEST_SECRET or not text.isprintable():
        raise ValueError(f"must hold one line of text, of at most {LARGEST_SECRET} bytes")
    return text


class SimulatedChannel:
    """Takes every notice and keeps the last hundred in ``sent``; the node tells them in its states anyway.

    ``fail`` lets the next tries raise OSError, ``refuse`` RefusedError; both may be changed in use.
    """

    def __init__(self, address: Address | None = None, *, fail: int = 0, refuse: int = 0) -> None:
        self.sent: list[NotifyCommand] = []
        self.fail, self.refuse = fail, refuse

    def send(self, notice: NotifyCommand) -> None:
        if self.fail > 0:
            self.fail -= 1
            raise OSError("the simulated channel was told to fail")
        if self.refuse > 0:
            self.refuse -= 1
            raise RefusedError("the simulated channel was told to refuse")
        self.sent = [*self.sent[-99:], notice]


def _secret_part(text: str) -> str:
    """The path and query of a URL: with many services whoever knows them may send."""
    try:
        found = urlsplit(text)
    except ValueError:
        return ""
    part = f"{found.path}?{found.query}" if found.query else found.path
    return part.strip("/") if found.scheme and found.netloc else ""


def _webhook(address: Address) -> Channel:
    from zuluko.actions.webhook import Webhook

    return Webhook(address)


def _mqtt(address: Address) -> Channel:
    from zuluko.actions.mqtt import Mqtt

    return Mqtt(address)


def _email(address: Address) -> Channel:
    from zuluko.actions.email import Email

    return Email(address)


def _desktop(address: Address) -> Channel:
    from zuluko.actions.desktop import Desktop

    return Desktop(address)


DRIVERS: dict[str, Callable[[Address], Channel]] = {
    "simulated": SimulatedChannel,
    "webhook": _webhook,
    "mqtt": _mqtt,
    "email": _email,
    "desktop": _desktop,
}
