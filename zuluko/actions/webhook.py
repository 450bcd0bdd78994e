"""Notices as JSON to a URL: webhooks of chats, of Home Assistant, of ntfy, of one's own server."""

import http.client
from urllib.parse import quote

import msgspec

from zuluko.actions.channels import MOST_ANSWER, Address, RefusedError, url
from zuluko.actions.connection import connected
from zuluko.messages import NotifyCommand

LARGEST = 64 * 1024  # bytes of a body
_AGAIN = (408, 425, 429)  # besides all from 500: statuses after which another try may help (RFC 9110, 6585)


class Webhook:
    """POSTs ``{"title", "text", "level", "rule", "stamp", "id"}``; a status of 200 to 299 is success.

    ``secret`` is sent as ``Authorization: Bearer``. Redirections are not followed: the secret is for one
    host. ``Idempotency-Key`` is the command's id, for a server that tells a second try from a second notice.
    """

    def __init__(self, address: Address) -> None:
        self._url = url(address.to, {"https": 443, "http": 80}, secret=address.secret)
        self._address = address

    def send(self, notice: NotifyCommand) -> None:
        body = content(notice)
        host, port = self._url.hostname or "", self._url.port or 443
        tls = self._url.scheme == "https"
        with connected(host, port, timeout=self._address.timeout, tls=tls) as link:
            connection = http.client.HTTPConnection(host, port)
            connection.sock = link
            try:
                connection.request("POST", self._path(), body, self._headers(notice))
                answer = connection.getresponse()
                _judge(answer.status, answer.reason, answer.read(MOST_ANSWER))
            except http.client.HTTPException as error:
                raise ConnectionError(f"no answer that is HTTP: {type(error).__name__}") from None

    def _path(self) -> str:
        query = f"?{self._url.query}" if self._url.query else ""
        return quote(self._url.path or "/", safe="/%:@!$&'()*+,;=~") + quote(query, safe="/%:@!$&'()*+,;=~?")

    def _headers(self, notice: NotifyCommand) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "zuluko",
            "Idempotency-Key": quote(notice.id, safe=""),
        }
        if self._address.secret:
            headers["Authorization"] = f"Bearer {self._address.secret}"
        return headers


def content(notice: NotifyCommand) -> bytes:
    """A notice as JSON; raises RefusedError for one that is too long."""
    body = msgspec.json.encode(
        {
            "title": notice.title,
            "text": notice.text,
            "level": notice.level,
            "rule": notice.reason,
            "stamp": notice.stamp,
            "id": notice.id,
        }
    )
    if len(body) > LARGEST:
        raise RefusedError(f"the notice has {len(body)} bytes, at most {LARGEST}")
    return body


def _judge(status: int, reason: str, answer: bytes) -> None:
    """Raises for every status but a success."""
    if 200 <= status < 300:
        return
    said = " ".join(answer.decode(errors="replace").split())
    what = f"the server says {status} {reason}{': ' if said else ''}{said}"
    raise OSError(what) if status >= 500 or status in _AGAIN else RefusedError(what)
