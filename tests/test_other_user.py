"""What another user of the machine can do to a graph: nothing. Each attempt is made by a process of that user."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.waiting import until
from zuluko.bus import topics
from zuluko.bus.commands import CommandReceiver
from zuluko.bus.poller import Poller
from zuluko.bus.publisher import Publisher
from zuluko.bus.subscriber import Subscriber
from zuluko.messages import Faces, LockCommand

OTHER = 65534  # nobody
PROBE = """
import os, socket, sys
act, path = sys.argv[1:]
try:
    if act == "list":
        os.listdir(path)
    elif act == "connect":
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(path)
    else:
        os.open(path, {"read": os.O_RDONLY, "write": os.O_WRONLY | os.O_NONBLOCK}[act])
    print("done")
except OSError as error:
    print(type(error).__name__)
"""


def attempt(act, path, python=None):
    """What comes of it when the other user does it: "done", or the name of the error."""
    command = [python or PYTHON, "-I", "-S", "-c", PROBE, act, str(path)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd="/", user=OTHER, group=OTHER, extra_groups=[]
    )
    return done.stdout.strip()


def others_python():
    """An interpreter that the other user may run; ours may lie in a private home."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError, subprocess.CalledProcessError):
            if attempt("list", "/", python) == "done":
                return python
    return None


PYTHON = None if os.geteuid() else others_python()
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="only root can try as another user, with a Python that they may run"
)


@pytest.fixture
def graph(run_dir):
    """A graph with a topic, its reader and a command socket; its directory."""
    topics.graph_dir("door")
    publisher = Publisher("door", "faces", Faces)
    subscriber = Subscriber("door", "faces", Faces)
    receiver = CommandReceiver("door", "lock", "commands", LockCommand)
    until(lambda: publisher.subscribers and subscriber.connected)
    yield run_dir / "door"
    for end in (receiver, subscriber, publisher):
        end.close()


@pytest.fixture(params=["as it is", "with the directories open by mistake"])
def open_or_not(request, graph, run_dir):
    """Each refusal stands on its own: a directory's mode is not the only lock."""
    if request.param != "as it is":
        run_dir.chmod(0o755)
        graph.chmod(0o755)
    yield graph
    run_dir.chmod(0o700)
    graph.chmod(0o700)


def test_the_attempts_succeed_where_they_may(run_dir):
    """Otherwise a refusal would say nothing."""
    run_dir.chmod(0o755)
    pipe = run_dir / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert attempt("list", "/proc") == attempt("read", "/etc/passwd") == attempt("write", pipe) == "done"
    os.close(reader)


def test_they_cannot_look_into_the_runtime_directory(graph, run_dir):
    assert attempt("list", run_dir) == "PermissionError"
    assert attempt("list", graph) == "PermissionError"
    assert attempt("read", graph / "faces.json") == "PermissionError"


def test_they_cannot_connect_to_a_topic(open_or_not):
    assert (open_or_not / "faces").is_socket()
    assert attempt("connect", open_or_not / "faces") == "PermissionError"


def test_they_cannot_send_a_command(open_or_not):
    assert (open_or_not / "lock.commands.commands").is_socket()
    assert attempt("connect", open_or_not / "lock.commands.commands") == "PermissionError"


def test_they_cannot_read_what_is_announced(open_or_not):
    assert attempt("read", open_or_not / "faces.json") == "PermissionError"


def test_they_cannot_open_the_shared_memory_nor_its_bell(graph):
    told = topics.announcement("door", "faces")
    if told.lane is None:
        pytest.skip("this kernel has no membarrier(2)")
    assert os.readlink(f"/proc/{told.pid}/fd/{told.lane.fd}").startswith("/memfd:zuluko-")
    assert os.readlink(f"/proc/{told.pid}/fd/{told.lane.bell}").startswith("pipe:[")
    for way in ("read", "write"):
        assert attempt(way, f"/proc/{told.pid}/fd/{told.lane.bell}") == "PermissionError"
    assert attempt("read", f"/proc/{told.pid}/fd/{told.lane.fd}") == "PermissionError"
    assert attempt("list", f"/proc/{told.pid}/fd") == "PermissionError"
    assert attempt("read", f"/proc/{told.pid}/mem") == "PermissionError"


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_graph_directory_that_they_planted_is_refused(run_dir, mode):
    planted = run_dir / "door"
    planted.mkdir()
    os.chown(planted, OTHER, OTHER)
    planted.chmod(mode)
    for use in (topics.graph_dir, Poller):
        with pytest.raises(topics.TopicError, match="is not a directory of yours"):
            use("door")
    assert not list(planted.iterdir())


def test_a_link_that_they_planted_is_refused(run_dir, tmp_path):
    (run_dir / "door").symlink_to(tmp_path)
    for use in (topics.graph_dir, Poller):
        with pytest.raises(topics.TopicError, match="is not a directory of yours"):
            use("door")
    assert not list(tmp_path.iterdir())


def test_a_runtime_directory_of_theirs_is_refused(run_dir, monkeypatch):
    theirs = run_dir / "run"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, OTHER, OTHER)
    monkeypatch.setenv("ZULUKO_RUN", str(theirs))
    with pytest.raises(topics.TopicError, match="is not a directory of yours"):
        topics.run_dir()
