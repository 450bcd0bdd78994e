"""Units of systemd: their syntax, read back by its rules and by systemd itself, and what they say of a graph."""

import os
import pwd
import re
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.nodes_of_tests import Count
from tests.running import ROOT, write, zuluko
from zuluko.launch import devices, launchfile, service, unitfile
from zuluko.launch.graph import Limit
from zuluko.launch.service import Service
from zuluko.nodes.camera import devices as of_camera

__all__ = ["Count"]

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")

COUNT = 'nodes: {count: {run: "NODES:count"}}'
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1)
NASTY = st.text(string.printable + "äß☃\u2028\x7f\x85", min_size=1, max_size=12)
ESCAPES = {"n": "\n", "t": "\t", "s": " ", "\\": "\\", '"': '"', "'": "'"}


def words(line):
    """A line's words, as systemd.syntax(7) and the specifiers of systemd.unit(5) have them."""
    found, word, quote, raw = [], None, "", iter(line.encode())
    for byte in raw:
        if byte == ord("\\"):
            follows = chr(next(raw))
            if follows == "x":
                added = bytes([int(bytes([next(raw), next(raw)]), 16)])
            else:
                added = ESCAPES[follows].encode()
            word = (word or b"") + added
        elif quote and byte == ord(quote):
            quote = ""
        elif not quote and chr(byte) in "\"'":
            quote, word = chr(byte), word or b""
        elif not quote and chr(byte) in " \t":
            found, word = found + [word] * (word is not None), None
        else:
            word = (word or b"") + bytes([byte])
    assert not quote
    found += [word] * (word is not None)
    return [plain(word.decode(errors="surrogateescape")) for word in found]


def plain(text):
    """A text with its specifiers replaced, of which only %% may stand there."""
    assert re.fullmatch(r"([^%]|%%)*", text, re.DOTALL), text
    return text.replace("%%", "%")


@given(st.lists(TEXTS | NASTY, min_size=1))
@example(["a b", "100%", "$HOME", "${x}", "\\", '"', "'", ";", "\n", "#", "%%n", "-", "@x", "\\x41", "🙂"])
@example(["\udcff\udc80"])
def test_a_command_is_read_back_as_it_was(given_words):
    line = unitfile.command(["/bin/echo", *given_words])
    assert "\n" not in line
    assert "\r" not in line
    first, *rest = words(line)
    assert first == ":/bin/echo"  # and its variables are left alone
    assert rest == given_words


@given(TEXTS | NASTY)
def test_a_path_is_read_back_or_refused(text):
    try:
        line = unitfile.path("/" + text)
    except unitfile.UnitError:
        assert not text.isprintable()
        return
    assert words(line) == ["/" + text]


@given(TEXTS | NASTY)
def test_a_bare_value_is_read_back_or_refused(text):
    try:
        line = unitfile.bare("/" + text)
    except unitfile.UnitError:
        assert not text.isprintable() or text != text.strip() or text.endswith("\\")
        return
    assert "\n" not in line
    assert plain(line).strip() == "/" + text


def test_a_zero_byte_is_refused():
    with pytest.raises(unitfile.UnitError, match="zero byte"):
        unitfile.word("a\0b")


@needs_systemd
def test_systemd_reads_the_same_words(tmp_path):
    """It says which commands are not there; none is missing, and a wrong one is, so that the test can fail."""
    names = ["a b", "100%n", "$HOME", "${x}", ";", "a;b", "#", "☃", "-x", "@", "a:b", "(a)", "a&b", "~"]
    units = []
    for number, name in enumerate(names):
        file = tmp_path / name
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
        command = unitfile.command([str(file), *names, "\n", "\\", "'", '"'])
        units.append(tmp_path / f"zuluko-{number}.service")
        units[-1].write_text(f"[Service]\nExecStart={command}\n")
    assert verify(*units) == ""
    (tmp_path / "100%n").unlink()
    assert "100%n is not executable" in verify(*units)


@pytest.mark.parametrize("path", ["/a'b", '/a"b', "/a\\b", "/a\nb"])
def test_a_path_that_systemd_would_not_run_is_refused(path):
    with pytest.raises(unitfile.UnitError, match="rename it"):
        unitfile.command([path])


def verify(*units):
    command = [ANALYZE, "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def door(*sets, **options):
    values = dict(given.split("=", 1) for given in sets)
    return Service("door", launchfile.load(launchfile.locate("door"), sets=values), tuple(sets), **options)


def lines(wanted):
    return service.text(wanted).splitlines()


def test_a_camera_is_allowed_and_nothing_else():
    told = lines(door("source=2"))
    assert [line for line in told if line.startswith(("Device", "PrivateDevices"))] == [
        "DevicePolicy=closed",
        "DeviceAllow=/dev/video2 rw",
        "DeviceAllow=char-video4linux rw",
    ]
    assert "SupplementaryGroups=video" in told
    assert "After=modprobe@videodev.service" in told
    assert "# camera: /dev/video2" in told


@pytest.mark.parametrize("source", ["demo", "rtsp://192.0.2.1/stream"])
def test_without_a_device_there_is_none(source):
    told = lines(door(f"source={source}"))
    assert "PrivateDevices=yes" in told
    assert not [line for line in told if line.startswith(("Device", "Supplementary", "Wants"))]


def test_the_camera_tells_its_device():
    assert list(of_camera(source="/dev/v4l/by-id/usb", hz=3)) == ["/dev/v4l/by-id/usb"]
    assert list(of_camera(source="1")) == ["/dev/video1"]
    assert list(of_camera(source="clip.mp4")) == []


PORT = """
from collections.abc import Iterator
from tests.nodes_of_tests import Count


def imu(*, port: str = "/dev/ttyUSB0", bus: int = 1) -> Iterator[Count]:
    yield Count(n=1)
"""
TELLS = """

def devices(*, port: str, bus: int) -> Iterator[str]:
    yield f"/dev/i2c-{bus}"
"""


@pytest.mark.parametrize(("code", "found"), [(PORT, "/dev/ttyUSB0"), (PORT + TELLS, "/dev/i2c-1")])
def test_a_users_node_tells_its_devices_or_is_given_them(tmp_path, code, found):
    (tmp_path / "imu.py").write_text(code)
    graph = launchfile.load(Path(write(tmp_path, "nodes: {imu: {run: ./imu.py}}")))
    assert devices.of_graph(graph) == {found: ("imu",)}
    told = lines(Service("graph.yaml", graph, more=("/dev/gpiochip0",)))
    assert [line for line in told if line.startswith("DeviceAllow=/")] == [
        "DeviceAllow=/dev/gpiochip0 rw",
        f"DeviceAllow={found} rw",
    ]


def test_what_is_typed_stands_in_the_command_as_it_was():
    (command,) = [line for line in lines(door("owners=a b,100%,$x")) if line.startswith("ExecStart=")]
    assert words(command.removeprefix("ExecStart=")) == [
        f":{sys.executable}",
        *("-m", "zuluko", "up", "door", "--name", "door", "--set", "owners=a b,100%,$x"),
    ]


def test_homes_are_hidden_but_for_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "HIDDEN", (tmp_path,))
    (tmp_path / "people").mkdir()
    graph = Path(write(tmp_path, COUNT))
    told = lines(Service(str(graph), launchfile.load(graph), environment={}))
    assert "ProtectHome=tmpfs" in told
    assert f"BindReadOnlyPaths={tmp_path}" in told
    assert "ProtectHome=yes" in lines(door(environment={}))
    assert f"BindReadOnlyPaths={tmp_path}/people" in lines(door(f"gallery={tmp_path}/people", environment={}))


def test_a_relative_name_keeps_the_folder_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip 100%.mp4").touch()
    place = f"WorkingDirectory={tmp_path}".replace("%", "%%")
    assert place in lines(door("source=clip 100%.mp4"))
    assert place not in lines(door("source=0"))


def test_who_it_is():
    assert "DynamicUser=yes" in lines(door())
    named = lines(door(user="nobody"))
    assert "User=nobody" in named
    assert "DynamicUser=yes" not in named
    assert [line for line in named if line.startswith("BindPaths=")]
    own = lines(door(of_user=True))
    assert "WantedBy=default.target" in own
    assert not [line for line in own if line.startswith(("User", "Dynamic", "Protect", "Private", "Device"))]


def test_limits_of_the_graph_become_limits_of_the_unit(tmp_path):
    graph = launchfile.load(
        Path(write(tmp_path, 'nodes: {a: {run: "NODES:count"}, b: {run: "NODES:count"}}'))
    )
    assert not [line for line in lines(Service("g", graph)) if line.startswith(("MemoryMax", "LimitRT"))]
    graph.entries["a"].memory = graph.entries["b"].memory = Limit(100_000_000)
    graph.entries["a"].priority, graph.entries["b"].nice = 20, -5
    told = lines(Service("g", graph))
    assert f"MemoryMax={250_000_000 + service.SUPERVISOR}" in told
    assert "LimitRTPRIO=20" in told
    assert "LimitNICE=-5" in told
    assert "RestrictRealtime=yes" not in told


def test_secrets_stay_out_of_the_unit(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_HZ", "17.5")
    graph = Path(write(tmp_path, 'nodes: {count: {run: "NODES:count", hz: $env:SECRET_HZ}}', "secret.yaml"))
    text = service.text(Service(str(graph), launchfile.load(graph)))
    assert "EnvironmentFile=/etc/zuluko/secret.env" in text
    assert "17.5" not in text


@needs_systemd
@pytest.mark.parametrize(
    ("sets", "options"),
    [
        (("source=0",), {}),
        (("source=demo",), {}),
        (("owners=a b,100%,$x\\;'\"",), {}),
        (("source=0",), {"user": "daemon"}),
        (("source=0",), {"of_user": True}),
        (("source=0",), {"more": ("/dev/gpiochip0", "/dev/ttyUSB0", "/dev/i2c-1")}),
    ],
    ids=["camera", "demo", "nasty", "named user", "user's unit", "more devices"],
)
def test_systemd_finds_nothing_wrong_with_it(sets, options, tmp_path):
    unit = tmp_path / "zuluko-door.service"
    unit.write_text(service.text(door(*sets, **options)))
    assert verify(unit) == ""


@needs_systemd
def test_systemd_calls_it_well_confined(tmp_path):
    unit = tmp_path / "zuluko-door.service"
    unit.write_text(service.text(door("source=0")))
    done = subprocess.run(
        [ANALYZE, "security", "--offline=true", unit], capture_output=True, text=True, check=True
    )
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert float(exposure[1]) <= 2.5, done.stdout


@pytest.fixture
def units(tmp_path, monkeypatch):
    folder = tmp_path / "units"
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(folder))
    return folder


def test_install_show_and_remove(units, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    me = pwd.getpwuid(os.getuid()).pw_name
    installed = zuluko("service", "install", "door", "--set", "source=0", "--user", me)
    file = units / "zuluko-door.service"
    assert (installed.returncode, installed.stderr) == (0, "")
    assert [line for line in installed.stdout.splitlines() if "is gone" not in line] == [
        f"{file} is written",
        "  camera may open /dev/video0",
        "start it, now and with the board:  systemctl enable --now zuluko-door",
        "see how it fares:                  systemctl status zuluko-door",
        "look into it:                      sudo zuluko service run door status",
    ]
    dry = zuluko("service", "install", "door", "--set", "source=0", "--user", me, "--dry-run")
    assert dry.stdout == file.read_text() == zuluko("service", "show", "door").stdout
    assert [path.name for path in units.iterdir()] == [file.name]
    assert zuluko("service", "install", "door", "--user", me).returncode == 0  # written anew
    assert "PrivateDevices=yes" in file.read_text()
    assert "did you mean `door`?" in zuluko("service", "remove", "dor").stderr
    assert zuluko("service", "remove", "door").stdout == f"{file} is removed\n"
    assert list(units.iterdir()) == []


def test_install_says_what_is_left_to_think_of(units, tmp_path):
    pair = 'nodes: {count: {run: "NODES:count"}, double: {run: "NODES:double", in: {counts: count}}}'
    me = pwd.getpwuid(os.getuid()).pw_name
    told = zuluko("service", "install", write(tmp_path, pair), "--user", me).stdout
    assert "  which devices count may open is not told; name any with --device PATH\n" in told
    assert (f"  {tmp_path} is gone when the board starts anew" in told) == tmp_path.is_relative_to("/tmp")
    told = zuluko("service", "install", write(tmp_path, pair), "--user", me, "--device", "/dev/i2c-1").stdout
    assert "  --device may open /dev/i2c-1\n" in told
    assert "is not told" not in told


def test_a_foreign_unit_is_left_alone(units):
    units.mkdir()
    (units / "zuluko-door.service").write_text("[Service]\nExecStart=/bin/true\n")
    me = pwd.getpwuid(os.getuid()).pw_name
    assert "was written by somebody else" in zuluko("service", "install", "door", "--user", me).stderr
    assert "no service runs a graph `door`" in zuluko("service", "remove", "door").stderr
    assert (units / "zuluko-door.service").read_text() == "[Service]\nExecStart=/bin/true\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("install", "dor"), "dor: there is no such launch file; did you mean `door`?"),
        (
            ("install", "door", "--user", "no-such"),
            "there is no user no-such; make one with: sudo useradd --system",
        ),
        (("install", "door", "--user", "root", "--user-unit"), "--user-unit is yours; leave out --user"),
        (("install", "door", "--device", "video0"), "--device video0: write its path, such as /dev/i2c-1"),
        (("remove", "porch"), "no service runs a graph `porch`; install it with: zuluko service install"),
        (
            ("run", "porch", "status"),
            "no service runs a graph `porch` now; start it with: systemctl start zuluko-porch",
        ),
    ],
)
def test_a_mistake_is_one_sentence(units, arguments, said):
    shown = zuluko("service", *arguments)
    assert shown.returncode in (1, 2)
    assert shown.stdout == ""
    assert shown.stderr.startswith(said)
    assert len(shown.stderr.splitlines()) == 1


def test_what_its_user_could_not_read_is_told(units, tmp_path):
    graph = Path(write(tmp_path, COUNT))
    graph.chmod(0o600)
    assert service.unreadable(Service(str(graph), launchfile.load(graph)))
    assert not service.unreadable(Service(str(graph), launchfile.load(graph), user="root"))
    refused = zuluko("service", "install", str(graph))
    assert re.match(
        r"the service's user may not read \S+; name who may with --user, or run: chmod o\+rx? ",
        refused.stderr,
    )
    assert not units.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_root_becomes_the_services_user_and_may_still_read(run_dir, monkeypatch, tmp_path):
    """The interpreter, the package and this file may lie in a home that the user cannot enter."""
    tmp_path.chmod(0o700)
    secret = tmp_path / "photo.jpg"
    secret.write_text("not theirs")
    home = run_dir / "zuluko-door"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    run_dir.chmod(0o711)
    code = (
        "import os, sys; from zuluko.cli.become import become; become(65534, 65534)\n"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1], *sys.argv[2:]])"
    )
    inner = (
        "import os, sys; print(os.getuid(), os.getgroups(), open(sys.argv[1]).read())\n"
        "open(sys.argv[2] + '/x', 'w').close(); print(os.stat(sys.argv[2] + '/x').st_uid)\n"
        "try: open(sys.argv[1], 'a')\nexcept PermissionError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, inner, secret, home],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == ["65534 [] not theirs", "65534", "refused"], done.stderr


def test_who_finds_no_graph_is_told_of_the_services(tmp_path, run_dir, monkeypatch):
    (tmp_path / "zuluko-door").mkdir()
    monkeypatch.setenv("ZULUKO_SERVICES", str(tmp_path))
    monkeypatch.delenv("ZULUKO_RUN")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run_dir))
    told = "no graph runs; but there are services; look with: sudo zuluko service run door status\n"
    assert zuluko("status").stderr == zuluko("stop", "door").stderr == told
    assert zuluko("status", "porch").stderr == "no graph runs; start one with: zuluko up door\n"


def test_run_looks_where_the_service_runs(run_dir, monkeypatch):
    home = run_dir / "zuluko-door"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("ZULUKO_SERVICES", str(run_dir))
    monkeypatch.setenv("ZULUKO_RUN", "/nowhere")
    assert '"ok": true' in zuluko("service", "run", "door", "check", "door", "--json").stdout
    assert "No graph runs." in zuluko("service", "run", "door", "list").stdout
