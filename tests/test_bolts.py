"""The simulated bolt: it locks when nobody holds it open any more, however they went."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zuluko.actions.bolts import DRIVERS, SimulatedBolt, bolt, reading


def test_it_lives_in_memory_without_a_path():
    simulated = SimulatedBolt()
    assert simulated.is_locked
    simulated.unlock()
    assert not simulated.is_locked
    simulated.lock()
    assert simulated.is_locked
    simulated.unlock()
    simulated.close()
    assert simulated.is_locked


def test_its_file_says_what_it_is(tmp_path):
    path = tmp_path / "bolt"
    assert reading(path) == "locked"
    simulated = SimulatedBolt(str(path))
    assert reading(path) == "locked"
    simulated.unlock()
    simulated.unlock()
    assert reading(path) == "unlocked"
    assert reading(path) == "unlocked"  # to read it does not disturb it
    simulated.lock()
    assert reading(path) == "locked"
    simulated.unlock()
    simulated.close()
    simulated.close()
    assert reading(path) == "locked"


def test_only_one_process_holds_it_open(tmp_path):
    first, second = SimulatedBolt(str(tmp_path / "bolt")), SimulatedBolt(str(tmp_path / "bolt"))
    first.unlock()
    with pytest.raises(OSError, match="another process holds the bolt"):
        second.unlock()
    assert second.is_locked
    second.lock()
    assert reading(tmp_path / "bolt") == "unlocked"
    first.lock()
    second.unlock()
    assert reading(tmp_path / "bolt") == "unlocked"


@pytest.mark.parametrize("what", ["lock", "close"])
def test_it_locks_although_its_file_cannot_be_written(tmp_path, monkeypatch, what):
    path = tmp_path / "bolt"
    simulated = SimulatedBolt(str(path))
    simulated.unlock()
    open_files = len(os.listdir("/proc/self/fd"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            getattr(simulated, what)()
    assert simulated.is_locked
    assert reading(path) == "locked"
    assert len(os.listdir("/proc/self/fd")) == open_files - (what == "close")
    simulated.close()


def test_what_could_not_be_written_when_it_opened_does_not_stay_held(tmp_path, monkeypatch):
    path = tmp_path / "bolt"
    simulated, other = SimulatedBolt(str(path)), SimulatedBolt(str(path))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            simulated.unlock()
        assert not simulated.is_locked
    simulated.lock()
    other.unlock()
    assert reading(path) == "unlocked"


HOLDER = """
import sys
from zuluko.actions.bolts import SimulatedBolt
bolt = SimulatedBolt(sys.argv[1])
bolt.unlock()
print("open", flush=True)
sys.stdin.read()
"""


def test_it_locks_when_the_process_that_held_it_is_killed(tmp_path):
    path = tmp_path / "bolt"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        assert reading(path) == "unlocked"
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    assert path.read_bytes().startswith(b"unlocked")  # it had no time to write anything else
    assert reading(path) == "locked"


def test_a_file_that_says_unlocked_is_not_believed(tmp_path):
    path = tmp_path / "bolt"
    path.write_bytes(b"unlocked\n")
    assert reading(path) == "locked"


def test_it_can_be_told_to_fail_and_to_jam():
    simulated = SimulatedBolt(fail_on={"lock": 1, "read": 1}, jam_on={"unlock": 2})
    with pytest.raises(OSError, match="told to fail on lock"):
        simulated.lock()
    simulated.lock()
    with pytest.raises(OSError, match="told to fail on read"):
        _ = simulated.is_locked
    simulated.unlock()
    assert simulated.is_locked
    simulated.unlock()
    simulated.unlock()
    assert not simulated.is_locked


def test_a_driver_is_named_with_its_argument(tmp_path):
    assert bolt("simulated").is_locked
    named = bolt(f"simulated:{tmp_path}/a:b")
    named.unlock()
    assert Path(f"{tmp_path}/a:b").exists()
    assert reading(f"{tmp_path}/a:b") == "unlocked"


def test_an_unknown_driver_says_which_there_are():
    with pytest.raises(ValueError) as caught:
        bolt("simulatd:/x")
    assert str(caught.value) == "there is no lock driver `simulatd`; did you mean `simulated`?"
    with pytest.raises(ValueError) as caught:
        bolt("gpio:4")
    assert str(caught.value) == f"there is no lock driver `gpio`; there is {', '.join(sorted(DRIVERS))}"


def test_a_path_that_cannot_be_made_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        SimulatedBolt(str(tmp_path / "none" / "bolt"))
