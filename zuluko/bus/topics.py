"""Topics: where they lie in the runtime directory, and who publishes what. ``ls`` is the discovery.

$ZULUKO_RUN/<graph>/<topic>         the nng socket of one topic
$ZULUKO_RUN/<graph>/<topic>.json    its type, its publisher's pid and its schema
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from zuluko.bus import clock
from zuluko.bus.message import Message, tag
from zuluko.bus.np import np

LARGEST_ANNOUNCEMENT = 1 << 20  # bytes
LONGEST_PATH = 107  # bytes that a Unix socket's address holds, less its closing zero
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


class TopicError(ValueError):
    """A name that cannot be a topic, or a runtime directory that cannot be used."""


class Lane(msgspec.Struct, frozen=True):
    """Where a publisher's shared memory is: its descriptor in that process, the id that it must bear, and the
    descriptor of the bell that wakes its readers."""

    fd: int
    id: int
    bell: int


class Announcement(msgspec.Struct, kw_only=True):
    """What a publisher tells of its topic: the type's wire name, its pid, a JSON schema of the body, the
    express lane where it has one, and the graph time (ns) since which it publishes."""

    topic: str
    type: str
    pid: int
    schema: dict[str, Any] = {}
    lane: Lane | None = None
    offset: int = 0  # ns; its graph time less the monotonic clock
    since: int = 0


def run_dir() -> Path:
    """The runtime directory, made if need be; mode 0700 and ours, else TopicError."""
    named = os.environ.get("ZULUKO_RUN")
    session = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        path = Path(named)
    elif session:
        path = Path(session) / "zuluko"
    else:
        path = Path("/run/zuluko") if os.getuid() == 0 else Path(f"/tmp/zuluko-{os.getuid()}")  # noqa: S108
    return private_dir(path.absolute())


def private_dir(path: Path) -> Path:
    """Makes a directory that nobody else can enter, or raises TopicError where somebody else could."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = path.lstat()
    except OSError as error:
        raise TopicError(
            f"cannot use {path} as the runtime directory ({error.strerror}); set ZULUKO_RUN to another"
        ) from None
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        raise TopicError(f"{path} is not a directory of yours; set ZULUKO_RUN to one that is")
    if seen.st_mode & stat.S_ISVTX:  # such as /tmp, which its other users need
        raise TopicError(f"{path} is for all users; set ZULUKO_RUN to a folder in it")
    if seen.st_mode & 0o077:
        raise TopicError(f"{path} is open to other users; run: chmod 700 {path}")
    return path


def check_name(name: str, what: str = "topic") -> str:
    if not _NAME.fullmatch(name):
        raise TopicError(f"{name!r} cannot name a {what}: use letters, digits, - and _, a letter first")
    return name


def graph_dir(graph: str) -> Path:
    return private_dir(run_dir() / check_name(graph, "graph"))


def socket_path(graph: str, topic: str) -> Path:
    """Where a topic's socket lies; TopicError where the path is longer than the kernel takes."""
    path = run_dir() / check_name(graph, "graph") / check_name(topic)
    if (length := len(os.fsencode(path))) > LONGEST_PATH:
        raise TopicError(
            f"the socket path {path} is {length} bytes long, and the kernel takes {LONGEST_PATH}; "
            f"set ZULUKO_RUN to a shorter directory, or shorten the names"
        )
    return path


def address(graph: str, topic: str) -> str:
    return f"ipc://{socket_path(graph, topic)}"


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes a file so that a reader, or a crash, meets the old one or the new one and nothing between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def announce(graph: str, topic: str, kind: type[Message], lane: Lane | None = None) -> None:
    told = Announcement(
        topic=topic,
        type=tag(kind),
        pid=os.getpid(),
        schema=schema(kind),
        lane=lane,
        offset=clock.offset(),
        since=clock.now(),
    )
    write_whole(announcement_file(socket_path(graph, topic)), msgspec.json.encode(told))


def announcement(graph: str, topic: str) -> Announcement | None:
    """What is told of a topic; None where nobody has told anything, or nothing that can be read."""
    try:
        with announcement_file(socket_path(graph, topic)).open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST_ANNOUNCEMENT), type=Announcement)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors, and not all are its own
        return None


def announcement_file(socket: Path) -> Path:
    return socket.with_name(socket.name + ".json")


def schema(kind: type[Message]) -> dict[str, Any]:
    """The JSON schema of a type; an array is an object of dtype, shape and its bytes or its slot."""

    def hook(inner: type) -> dict[str, Any]:
        if inner is np.ndarray:
            return {"type": "object", "title": "Array", "required": ["dtype", "shape"]}
        raise NotImplementedError

    return msgspec.json.schema(kind, schema_hook=hook)


def announcements(graph: str) -> list[Announcement]:
    """The topics of a graph, by name; a file that is no announcement is passed over."""
    files = sorted((run_dir() / check_name(graph, "graph")).glob("*.json"))
    told = (announcement(graph, file.name.removesuffix(".json")) for file in files)
    return [one for one in told if one]


def graphs() -> list[str]:
    """The graphs that have a directory here, running or not."""
    return sorted(
        entry.name for entry in run_dir().iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name)
    )
