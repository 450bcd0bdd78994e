"""``zuluko service``: a graph that systemd starts with the board, watches, and starts again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zuluko.cli.become import become
from zuluko.cli.graphs import File, Set, _load
from zuluko.cli.graphs import Name as AsName
from zuluko.cli.say import fail
from zuluko.cli.which import services

if TYPE_CHECKING:
    from zuluko.launch.service import Service

app = typer.Typer(help="Let systemd run a graph from the board's start on.", no_args_is_help=True)

User = Annotated[str, typer.Option(help="who runs it; a user that systemd makes unless given")]
OfUser = Annotated[bool, typer.Option("--user-unit", help="a unit of your own session, without root")]
Device = Annotated[
    list[str], typer.Option(help="a device that it may open, beyond what its nodes tell", metavar="PATH")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the unit, and write nothing")]
Name = Annotated[str, typer.Argument(help="the graph's name", metavar="NAME")]

SYSTEM = Path("/etc/systemd/system")


@app.command()
def install(
    graph: File,
    *,
    set_: Set = [],  # noqa: B006
    name: AsName = "",
    user: User = "",
    of_user: OfUser = False,
    device: Device = [],  # noqa: B006
    dry_run: DryRun = False,
) -> None:
    """Write the unit that runs a graph: confined to what its nodes need, and told when it is not well."""
    from zuluko.launch import service
    from zuluko.launch.service import Service

    if user and of_user:
        fail("--user-unit is yours; leave out --user", 2)
    _refuse_strange(user, device)
    wanted = Service(graph, _load(graph, set_, name), tuple(set_), user, of_user, tuple(device))
    try:
        text = service.text(wanted)
    except service.UnitError as error:
        fail(error)
    if dry_run:
        print(text, end="")
        return
    if closed := service.unreadable(wanted):
        fail(
            f"the service's user may not read {closed[0]}; name who may with --user, or run: "
            f"chmod o+r{'x' * closed[0].is_dir()} {closed[0]}"
        )
    file = _write(wanted.name, text, of_user)
    _say_installed(wanted, file)


def _refuse_strange(user: str, device: list[str]) -> None:
    import pwd

    if user:
        try:
            pwd.getpwnam(user)
        except KeyError:
            fail(f"there is no user {user}; make one with: sudo useradd --system {user}")
    for path in device:
        if not path.startswith("/dev/"):
            fail(f"--device {path}: write its path, such as /dev/i2c-1", 2)


def folder(of_user: bool) -> Path:
    """Where units are written: the first of $SYSTEMD_UNIT_PATH, as for systemd itself, else the usual one."""
    if named := os.environ.get("SYSTEMD_UNIT_PATH", "").split(":")[0]:
        return Path(named)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "systemd" / "user" if of_user else SYSTEM


def _write(name: str, text: str, of_user: bool) -> Path:
    from zuluko.bus.topics import write_whole

    file = folder(of_user) / f"{name}.service"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            _refuse_foreign(file)
        write_whole(file, text.encode(), mode=0o644)
    except OSError as error:
        way = "; run it with sudo, or with --user-unit" if isinstance(error, PermissionError) else ""
        fail(f"{file} cannot be written ({error.strerror}){way}")
    return file


def _refuse_foreign(file: Path) -> None:
    from zuluko.launch.service import MARK

    if not file.read_text(errors="replace").startswith(MARK):
        fail(f"{file} was written by somebody else; move it away first")


def _say_installed(wanted: "Service", file: Path) -> None:
    from zuluko.launch import service

    _systemctl(wanted.of_user, "daemon-reload")
    control = f"systemctl {'--user ' * wanted.of_user}"
    print(f"{file} is written")
    for path, nodes in wanted.devices.items():
        print(f"  {', '.join(nodes)} may open {path}")
    if untold := _untold(wanted):
        print(f"  which devices {', '.join(untold)} may open is not told; name any with --device PATH")
    for place in service.needs(wanted):
        if place.is_relative_to("/tmp"):  # noqa: S108
            print(f"  {place} is gone when the board starts anew; move it to another place")
    if wanted.secrets:
        print(f"  write {', '.join(wanted.secrets)} into {wanted.secrets_file}, as NAME=VALUE, of mode 0600")
    print(f"start it, now and with the board:  {control}enable --now {wanted.name}")
    print(f"see how it fares:                  {control}status {wanted.name}")
    if wanted.of_user:
        print("let it run without you logged in:  loginctl enable-linger")
    else:
        print(f"look into it:                      sudo zuluko service run {wanted.checked.name} status")


def _untold(wanted: "Service") -> list[str]:
    """A user's own nodes that say nothing of devices, of those at the graph's edge, where sensors and
    actuators are."""
    from zuluko.launch import devices

    return [
        entry.name
        for entry in wanted.checked.entries.values()
        if not wanted.more
        and not devices.tells(entry)
        and not entry.run.startswith("zuluko.")
        and not entry.run.endswith(".rules.yaml")
        and (entry.is_source or not entry.outputs or any(wire.reliable for wire in entry.wires))
    ]


def _systemctl(of_user: bool, *words: str) -> int:
    """Runs systemctl where systemd runs, showing what it says; its exit status, 0 where there is none."""
    if not Path("/run/systemd/system").is_dir() or os.environ.get("SYSTEMD_UNIT_PATH"):
        return 0
    return subprocess.run(["systemctl", *["--user"] * of_user, *words], check=False).returncode


@app.command()
def remove(name: Name, of_user: OfUser = False) -> None:
    """Stop a graph's service, and take its unit away. What it has stored stays."""
    file = _installed(name, of_user)
    _systemctl(of_user, "disable", "--now", file.stem)
    try:
        file.unlink()
    except OSError as error:
        fail(f"{file} cannot be removed ({error.strerror}); run it with sudo")
    _systemctl(of_user, "daemon-reload")
    print(f"{file} is removed")


@app.command()
def show(name: Name, of_user: OfUser = False) -> None:
    """Print the unit of a graph's service, as it is installed."""
    print(_installed(name, of_user).read_text(), end="")


def _installed(name: str, of_user: bool) -> Path:
    from zuluko.document import nearest
    from zuluko.launch.service import MARK

    names = {
        file.stem.removeprefix("zuluko-"): file
        for file in folder(of_user).glob("zuluko-*.service")
        if file.read_text(errors="replace").startswith(MARK)
    }
    if name not in names:
        known = (
            f"; there are: {', '.join(sorted(names))}"
            if names
            else "; install it with: zuluko service install"
        )
        fail(f"no service runs a graph `{name}`{nearest(name, names) or known}")
    return names[name]


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    name: Name,
    command: Annotated[list[str], typer.Argument(help="a command of zuluko", metavar="COMMAND...")],
) -> None:
    """Run a command as the user of a graph's service, where that graph is: zuluko service run door status"""
    home = services() / f"zuluko-{name}"
    try:
        owner = home.stat()
    except OSError:
        fail(f"no service runs a graph `{name}` now; start it with: systemctl start zuluko-{name}")
    if os.getuid() not in (0, owner.st_uid):
        fail(f"only root and the service's own user may do that; run: sudo zuluko service run {name} ...")
    os.environ.update(_surroundings(name, home, owner.st_uid))
    if os.getuid() != owner.st_uid:
        become(owner.st_uid, owner.st_gid)
    os.execv(sys.executable, [sys.executable, "-m", "zuluko", *command])  # noqa: S606


def _surroundings(name: str, home: Path, uid: int) -> dict[str, str]:
    """The environment that the unit gives its graph."""
    import pwd

    given = {"ZULUKO_RUN": str(home), "XDG_CACHE_HOME": f"/var/cache/zuluko-{name}"}
    stored = Path(f"/var/lib/zuluko-{name}")
    if stored.is_symlink():  # into /var/lib/private, where a user that systemd makes keeps what is theirs
        return {**given, "HOME": str(stored), "XDG_DATA_HOME": str(stored)}
    return {**given, "HOME": pwd.getpwuid(uid).pw_dir}
