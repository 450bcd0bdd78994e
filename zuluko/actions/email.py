"""Notices by e-mail."""

import smtplib
import socket
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from zuluko.actions.channels import Address, RefusedError, is_local, url
from zuluko.actions.connection import connected
from zuluko.messages import NotifyCommand

LONGEST_SUBJECT = 200  # characters


class Email:
    """Sends through the server ``via``: ``smtps://user@host``, or ``smtp://user@host``, which must then
    change to TLS (STARTTLS) unless it is this machine. ``secret`` is the user's password."""

    def __init__(self, address: Address) -> None:
        self._server = url(address.via, {"smtps": 465, "smtp": 587}, what="via")
        for name, given in (("to", address.to), ("sender", address.sender)):
            if "@" not in parseaddr(given)[1] or any(ord(letter) < 32 for letter in given):
                raise ValueError(f"`{name}` must be an e-mail address, such as ana@example.org")
        if address.secret and not self._server.username:
            raise ValueError("`via` must name the user of the secret, as in smtps://user@host")
        self._address = address

    def send(self, notice: NotifyCommand) -> None:
        letter = self._letter(notice)
        host, port = self._server.hostname or "", self._server.port or 465
        tls = self._server.scheme == "smtps"
        with connected(host, port, timeout=self._address.timeout, tls=tls) as link:
            try:
                self._hand_over(_Smtp(link, host, port), letter, tls=tls)
            except smtplib.SMTPRecipientsRefused as error:
                _raise(*next(iter(error.recipients.values())))
            except smtplib.SMTPResponseException as error:
                _raise(error.smtp_code, error.smtp_error)
            except smtplib.SMTPNotSupportedError as error:
                raise RefusedError(str(error)) from None
            except smtplib.SMTPException as error:
                raise ConnectionError(str(error) or type(error).__name__) from None

    def _hand_over(self, server: smtplib.SMTP, letter: EmailMessage, *, tls: bool) -> None:
        try:
            self._talk(server, letter, tls=tls)
        finally:
            server.close()

    def _talk(self, server: smtplib.SMTP, letter: EmailMessage, *, tls: bool) -> None:
        server.ehlo()
        if not tls and not is_local(self._server.hostname or ""):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        if self._address.secret:
            server.login(self._server.username or "", self._address.secret)
        server.send_message(letter)
        server.quit()

    def _letter(self, notice: NotifyCommand) -> EmailMessage:
        letter = EmailMessage()
        subject = " ".join((notice.title or notice.text).split())[:LONGEST_SUBJECT]
        try:
            letter["From"], letter["To"], letter["Subject"] = self._address.sender, self._address.to, subject
            letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in answer
            letter["X-Priority"] = {"alarm": "1", "warning": "2"}.get(notice.level, "3")
            letter.set_content(f"{notice.text}\n\n{notice.level}, by the rule {notice.reason or '-'}\n")
        except (ValueError, MessageError) as error:
            raise RefusedError(f"the notice is no e-mail: {error}") from None
        return letter


class _Smtp(smtplib.SMTP):
    """SMTP over a connection that there is already."""

    def __init__(self, link: socket.socket, host: str, port: int) -> None:
        self._link = link
        super().__init__(host, port)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        return self._link


def _raise(code: int, said: bytes | str) -> None:
    """Replies of 400 to 499 are passing (RFC 5321, 4.2.1)."""
    text = " ".join((said.decode(errors="replace") if isinstance(said, bytes) else said).split())
    what = f"the server says {code} {text}"
    raise RefusedError(what) if code >= 500 else OSError(what)
