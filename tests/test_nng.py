"""How a process ends that has used nng, whatever its connections were doing."""

import os
import subprocess
import sys

from tests.running import ROOT

STOPPED = """
import os, socket, sys
from pathlib import Path
from zuluko.bus.nng import pynng

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
asking = pynng.Req0()
asking.dial("ipc://" + sys.argv[1], block=False)
peer, _ = listener.accept()
assert peer.recv(8)[:3] == b"\\0SP"  # it greets, and is not greeted
for thread in Path("/proc/self/task").iterdir():
    os.sched_setaffinity(int(thread.name), {CORE})
    if (thread / "comm").read_text() == "nng:task\\n":
        os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))
asking.close()
"""

LEFT_OPEN = """
import sys
from zuluko.bus.nng import pynng

publisher, subscriber = pynng.Pub0(listen="ipc://" + sys.argv[1]), pynng.Sub0(topics=b"")
connected = []
publisher.add_post_pipe_connect_cb(connected.append)
subscriber.dial("ipc://" + sys.argv[1], block=True)
while not connected:
    pass
"""


def run(code, path):
    path.unlink(missing_ok=True)
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)


def test_a_process_may_end_beside_one_that_does_not_answer(tmp_path):
    """One that is stopped lets others connect, and says nothing. nng gives such a connection up in a thread
    that may have no core just then."""
    core = max(os.sched_getaffinity(0))
    greedy = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"]
    )
    try:
        for _ in range(3):
            ended = run(STOPPED.replace("CORE", str(core)), tmp_path / "topic")
            assert (ended.returncode, ended.stderr) == (0, "")
    finally:
        greedy.kill()
        greedy.wait()


def test_a_process_ends_with_what_it_has_left_open(tmp_path):
    ended = run(LEFT_OPEN, tmp_path / "topic")
    assert (ended.returncode, ended.stderr) == (0, "")
