"""The syntax of systemd's unit files: how a text stands in one so that systemd reads it back as it was.

systemd.syntax(7) and systemd.service(5): words are parted by spaces, joined by double quotes, and within
them a backslash escapes; ``%`` begins a specifier wherever it stands. ``$`` would begin a variable in a
command, which a ``:`` before the command switches off.
"""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_/.,=+-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class UnitError(ValueError):
    """A text that cannot stand in a unit file, as a sentence."""


def word(text: str) -> str:
    """One word of a command or of an environment."""
    if _PLAIN.fullmatch(text):
        return text
    if "\0" in text:
        raise UnitError(f"{text!r} holds a zero byte, which no command line can")
    return '"' + _CONTROL.sub(_escaped, _quotable(text)) + '"'


def path(text: str) -> str:
    """One path of a list of paths, where systemd knows quotes but no escapes for control characters."""
    return text if _PLAIN.fullmatch(text) else '"' + _quotable(_printable(text)) + '"'


def bare(text: str) -> str:
    """A value that is a line of its own, such as a working directory, where quotes mean nothing."""
    if text != text.strip() or text.endswith("\\"):
        raise UnitError(f"{text!r} cannot stand in a unit file, for how it begins or ends; rename it")
    return _printable(text).replace("%", "%%")


def command(words: list[str]) -> str:
    """A command line, its variables left alone. The first word is an absolute path, in which systemd takes
    neither quotes nor backslashes, however escaped."""
    if re.search(r"[\\\"']", _printable(words[0])):
        raise UnitError(f"{words[0]} cannot be run by systemd, for the quote or backslash in it; rename it")
    return ":" + " ".join(map(word, words))


def comment(text: str) -> str:
    """A text as it may stand behind a #: on one line, and no longer."""
    return _CONTROL.sub("?", text).rstrip("\\")


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode(errors="surrogateescape"))


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise UnitError(f"{text!r} cannot stand in a unit file, for its control characters; rename it")
    return text
