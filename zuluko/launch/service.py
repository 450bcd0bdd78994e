"""A graph as a service of systemd: what its unit says, and why."""

import grp
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zuluko.launch import devices, unitfile
from zuluko.launch.graph import Graph
from zuluko.launch.unitfile import UnitError

MARK = "# Written by `zuluko service install`; what you change here is lost when it writes it anew."
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 (from a service)
SUPERVISOR = 96 << 20  # bytes for the supervisor, the view and what they share with the nodes
MARGIN = 1.25  # of the nodes' own limits, so that the supervisor acts before the kernel does

# A unit of the system. What stands here breaks nothing that a node may well do. Left out on purpose:
# - PrivateUsers: who is in another user namespace may not look into /proc/PID/fd, so that `zuluko top` and
#   `echo` from a terminal would lose the shared memory, and the pictures in it;
# - ProcSubset=pid: onnxruntime reads /proc/cpuinfo, and the supervisor /proc/meminfo;
# - MemoryDenyWriteExecute: ctypes and networks that are compiled at run time (OpenVINO, ncnn) write code;
# - PrivateNetwork: cameras, MQTT and models are reached over it.
# ProtectProc=invisible hides the processes of other users only: the graph's own see each other, and the
# publisher's memory through /proc/PID/fd. membarrier, memfd_create and pidfd_open are in @system-service.
SANDBOX = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
"""
# What a user's own unit can have, too: filters of system calls need no rights.
FILTERS = """\
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
"""


@dataclass(frozen=True)
class Service:
    """``graph`` as it was given on the command line, with its ``sets``, and as it was ``checked``. ``user``
    names who runs it, empty for a user that systemd makes; ``of_user`` is a unit of one's own session. It may
    open ``more`` devices than its nodes tell."""

    graph: str
    checked: Graph
    sets: tuple[str, ...] = ()
    user: str = ""
    of_user: bool = False
    more: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path.cwd)  # where it was typed
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def name(self) -> str:
        """Of the unit, and of its directories in /run, /var/lib and /var/cache."""
        return f"zuluko-{self.checked.name}"

    @property
    def devices(self) -> dict[str, tuple[str, ...]]:
        """Each device that it may open, and who asks for it."""
        return dict.fromkeys(self.more, ("--device",)) | devices.of_graph(self.checked)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The environment variables that the launch file puts in; a unit is no place for their values."""
        text = Path(self.checked.file).read_text(errors="replace")
        return tuple(sorted(set(re.findall(r"\$env:([A-Za-z_][A-Za-z0-9_]*)", text))))

    @property
    def secrets_file(self) -> str:
        return f"{'%h/.config' if self.of_user else '/etc'}/zuluko/{self.checked.name}.env"


def text(service: Service) -> str:
    """The unit file. Raises UnitError for what cannot stand in one."""
    graph = service.checked
    parts = [
        MARK,
        "[Unit]",
        f"Description=Zuluko graph {unitfile.comment(graph.name).replace('%', '%%')}",
        "After=network.target time-set.target",
        *_modules(service),
        # A board on a wall has nobody to start the graph again: it is tried for ever, each 5 s.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_process(service),
        "",
        *_rights(service),
        "",
        "[Install]",
        "WantedBy=" + ("default.target" if service.of_user else "multi-user.target"),
    ]
    return "\n".join(parts) + "\n"


def _process(service: Service) -> Iterator[str]:
    sets = [word for given in service.sets for word in ("--set", given)]
    words = [service.python, "-m", "zuluko", "up", _place(service), "--name", service.checked.name, *sets]
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={unitfile.command(words)}"
    if _is_relative(service):
        yield f"WorkingDirectory={unitfile.bare(str(service.folder))}"
    if path := service.environment.get("PYTHONPATH"):
        yield f"Environment={unitfile.word('PYTHONPATH=' + path)}"
    if service.secrets:
        yield f"# {', '.join(service.secrets)}: a line NAME=VALUE each, in a file of mode 0600."
        yield f"EnvironmentFile={service.secrets_file}"
    yield "Restart=on-failure"
    yield "RestartSec=5"
    yield "WatchdogSec=30"
    yield "TimeoutStartSec=90"
    yield "TimeoutStopSec=30"
    yield "# The supervisor stops its nodes itself; systemd kills what it might leave."
    yield "KillMode=mixed"
    yield "# A node that the kernel kills for its memory is started anew by the supervisor."
    yield "OOMPolicy=continue"
    if most := _memory(service.checked):
        yield f"MemoryMax={most}"


def _place(service: Service) -> str:
    """The launch file's path; a stock graph keeps its name, for its path changes with Python's version."""
    return str(Path(service.graph).absolute()) if Path(service.graph).is_file() else service.graph


def _is_relative(service: Service) -> bool:
    """Whether a node is given a file or a folder by its place in the folder where the command is typed."""
    entries = service.checked.entries.values()
    values = [value for entry in entries for value in entry.options.values() if isinstance(value, str | Path)]
    return any(
        str(value) and not Path(value).is_absolute() and (service.folder / value).exists() for value in values
    )


def _memory(graph: Graph) -> int:
    """The most that the graph should take, in bytes, where each of its processes has a limit; else 0."""
    limits = [
        max(entry.memory.most if entry.memory else 0 for entry in entries)
        for entries in graph.processes.values()
    ]
    return round(sum(limits) * MARGIN) + SUPERVISOR if limits and all(limits) else 0


def _rights(service: Service) -> Iterator[str]:
    if service.of_user:
        yield "# A unit of one's own session cannot have a file system of its own; only filters."
        yield "NoNewPrivileges=yes"
        yield from FILTERS.splitlines()
        yield from _realtime(service.checked)
        return
    yield from _user(service)
    yield from SANDBOX.splitlines()
    yield from FILTERS.splitlines()
    yield from _realtime(service.checked)
    yield from _homes(service)
    yield from _devices(service)


def _user(service: Service) -> Iterator[str]:
    if service.user:
        yield f"User={service.user}"
    else:
        yield "# A user of its own, which exists while the graph runs."
        yield "DynamicUser=yes"
    for kind in ("Runtime", "State", "Cache"):
        yield f"{kind}Directory={service.name}"
        yield f"{kind}DirectoryMode=0700"
    yield f"Environment=ZULUKO_RUN=%t/{service.name}"
    yield f"Environment=XDG_CACHE_HOME=%C/{service.name}"
    if not service.user:
        yield f"Environment=HOME=%S/{service.name} XDG_DATA_HOME=%S/{service.name}"


def _realtime(graph: Graph) -> Iterator[str]:
    priority = max((entry.priority for entry in graph.entries.values()), default=0)
    lowest = min((entry.nice for entry in graph.entries.values()), default=0)
    yield f"LimitRTPRIO={priority}" if priority else "RestrictRealtime=yes"
    if lowest < 0:
        yield f"LimitNICE={lowest:+d}"


def _homes(service: Service) -> Iterator[str]:
    """Homes are hidden but for what the graph needs of them."""
    needed = needs(service)
    data = _data(service)
    if not needed and not data:
        yield "ProtectHome=yes"
        return
    yield "ProtectHome=tmpfs"
    if needed:
        yield "BindReadOnlyPaths=" + " ".join(unitfile.path(str(place)) for place in needed)
    if data:
        yield "# Who is enrolled, where there is anybody."
        yield f"BindPaths={unitfile.path('-' + data)}"


def _data(service: Service) -> str:
    """Where a named user keeps people."""
    if not service.user:
        return ""
    return os.path.expanduser(f"~{service.user}/.local/share/zuluko")


def needs(service: Service) -> list[Path]:
    """The folders that the graph reads and that a service does not see by itself, the outermost of each."""
    package = Path(__file__).parent.parent.parent
    found = [Path(sys.prefix), Path(sys.base_prefix), package, *_files(service)]
    found += [Path(part) for part in service.environment.get("PYTHONPATH", "").split(":") if part]
    hidden = {path.absolute() for path in found if _is_hidden(path.absolute()) and path.exists()}
    return sorted(path for path in hidden if not hidden & set(path.parents))


def _files(service: Service) -> Iterator[Path]:
    """The launch file's folder, where the command was typed if that matters, and what the nodes are given."""
    yield Path(service.checked.file).absolute().parent
    if _is_relative(service):
        yield service.folder
    for entry in service.checked.entries.values():
        yield from _paths(entry.options.values())


def _paths(values: Iterable[Any]) -> Iterator[Path]:
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, str) and value.startswith("/") and not value.startswith("/dev/"):
            yield Path(value)


def _is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in HIDDEN)


def unreadable(service: Service) -> list[Path]:
    """What a user that systemd makes could not read of all this, for the modes of the files themselves."""
    if service.user or service.of_user:
        return []
    seen = [*needs(service), Path(service.checked.file), *_files(service)]
    return sorted({path for path in seen if path.exists() and not _is_open(path)})


def _is_open(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & 0o004) and (not path.is_dir() or bool(mode & 0o001))


def _devices(service: Service) -> Iterator[str]:
    found = service.devices
    if not found:
        yield "PrivateDevices=yes"
        return
    yield "DevicePolicy=closed"
    for path, nodes in found.items():
        yield f"# {', '.join(nodes)}: {unitfile.comment(path)}"
        yield from _allowed(path)
    if groups := sorted({group for path in found for group in _groups(path)}):
        yield f"SupplementaryGroups={' '.join(groups)}"


def _allowed(path: str) -> Iterator[str]:
    """By its path; and by its driver where it can be plugged in, for a path must be there at the start."""
    yield f"DeviceAllow={unitfile.path(path)} rw"
    for family in devices.families(path):
        if family.module:
            yield f"DeviceAllow=char-{family.driver} rw"


def _groups(path: str) -> Iterator[str]:
    """The groups who may open it, of those that this machine has; one that is missing would stop the unit."""
    try:
        yield grp.getgrgid(os.stat(path).st_gid).gr_name
        return
    except (OSError, KeyError):
        pass
    for family in devices.families(path):
        try:
            yield grp.getgrnam(family.group).gr_name
        except KeyError:
            continue


def _modules(service: Service) -> Iterator[str]:
    """Loads the drivers of what can be plugged in, without which they have no name to be allowed by."""
    if service.of_user:
        return
    modules = sorted({one.module for path in service.devices for one in devices.families(path) if one.module})
    if modules:
        units = " ".join(f"modprobe@{module}.service" for module in modules)
        yield f"Wants={units}"
        yield f"After={units}"


__all__ = ["MARK", "Service", "UnitError", "needs", "text", "unreadable"]
