"""Notices on the desktop of whoever is logged in, by ``notify-send``."""

from zuluko.actions import program
from zuluko.actions.channels import Address
from zuluko.messages import NotifyCommand

LONGEST = 2000  # characters
INHERITED = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY")
_URGENCY = {"info": "low", "warning": "normal", "alarm": "critical"}


class Desktop:
    """Needs the program notify-send (Debian's libnotify-bin) and the desktop's own environment."""

    def __init__(self, address: Address) -> None:
        self._program = program.installed(["notify-send"])
        if not self._program:
            raise ValueError("`desktop` needs notify-send; run: apt-get install libnotify-bin")
        self._timeout = address.timeout

    def send(self, notice: NotifyCommand) -> None:
        urgency = f"--urgency={_URGENCY[notice.level]}"
        words = [_plain(notice.title or notice.reason or "Zuluko"), _plain(notice.text)]
        ended = program.run(
            [self._program, "--app-name=zuluko", urgency, "--", *words],
            timeout=self._timeout,
            env=program.environment(INHERITED),
        )
        if ended.reason:
            raise OSError(f"notify-send: {ended.output.strip() or ended.reason}")


def _plain(text: str) -> str:
    return text.replace("\0", "")[:LONGEST]
