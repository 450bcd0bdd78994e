"""The frame ring: pictures through shared memory, and handles that lie."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zuluko.bus.frames import FrameReader, FrameRing
from zuluko.bus.wire import WireError


@pytest.fixture
def ring():
    ring = FrameRing("test", slots=4)
    yield ring
    ring.close()


def listed(handle):
    """A handle as it comes off the wire, its tuples lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in handle.items()}


def picture(number, shape=(48, 64, 3)):
    return np.full(shape, number, "u1")


def test_a_picture_comes_out_as_it_went_in(ring):
    image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), "u1")
    reader = FrameReader()
    again = reader.get(listed(ring.put(image)))
    assert np.array_equal(again, image)
    assert not again.flags.writeable


def test_another_process_reads_it(ring):
    handle = listed(ring.put(picture(7)))
    code = f"from zuluko.bus.frames import FrameReader; print(FrameReader().get({handle!r}).sum())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 7 * 48 * 64 * 3


def test_an_overtaken_picture_is_told_and_never_mixed(ring):
    reader = FrameReader()
    first = listed(ring.put(picture(1)))
    for number in range(2, 6):
        last = listed(ring.put(picture(number)))
    with pytest.raises(WireError) as refused:
        reader.get(first)
    assert refused.value.reason == "overtaken"
    assert (reader.get(last) == 5).all()


def test_a_larger_picture_makes_a_new_ring(ring):
    reader = FrameReader()
    reader.get(listed(ring.put(picture(1))))
    large = listed(ring.put(picture(2, (480, 640, 3))))
    assert (reader.get(large) == 2).all()


def test_a_strided_picture_is_taken(ring):
    image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), "u1")[:, ::-1]
    assert np.array_equal(FrameReader().get(listed(ring.put(image))), image)


def test_the_memory_goes_with_its_users():
    before = len(os.listdir("/proc/self/fd"))
    ring, reader = FrameRing("goes-away"), FrameReader()
    reader.get(listed(ring.put(picture(1))))
    assert "zuluko-goes-away" in Path("/proc/self/maps").read_text()
    ring.close()
    del ring, reader
    assert "zuluko-goes-away" not in Path("/proc/self/maps").read_text()
    assert len(os.listdir("/proc/self/fd")) == before


LIES = {
    "slot out of range": {"slot": 4},
    "slot far out of range": {"slot": 1 << 62},
    "slot negative": {"slot": -1},
    "slot no number": {"slot": "0"},
    "slot missing": {"slot": None},
    "generation that never was": {"generation": 1000},
    "shape larger than a slot": {"shape": [480, 640, 3]},
    "shape beyond reason": {"shape": [1 << 31, 1 << 31, 1 << 31]},
    "dtype of objects": {"dtype": "O"},
    "ring of two": {"ring": [1, 2]},
    "ring of words": {"ring": ["a", "b", "c"]},
    "another ring's id": {"id": 5},
    "no such process": {"pid": 1 << 22},
    "no such descriptor": {"fd": 100_000},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_handle_that_lies_is_refused(ring, lie):
    form = listed(ring.put(picture(1)))
    pid, fd, identity = form["ring"]
    form["ring"] = [lie.get("pid", pid), lie.get("fd", fd), lie.get("id", identity)]
    form |= {key: value for key, value in lie.items() if key in form}
    with pytest.raises(WireError):
        FrameReader().get(form)


def test_a_descriptor_that_is_no_ring_is_refused(ring, tmp_path):
    form = listed(ring.put(picture(1)))
    (tmp_path / "file").write_bytes(b"\0" * 100_000)
    with open(tmp_path / "file") as file:
        form["ring"] = [os.getpid(), file.fileno(), form["ring"][2]]
        with pytest.raises(WireError, match="not a frame ring"):
            FrameReader().get(form)
    unsealed = os.memfd_create("unsealed")
    os.ftruncate(unsealed, 100_000)
    form["ring"] = [os.getpid(), unsealed, form["ring"][2]]
    with pytest.raises(WireError, match="not a frame ring"):
        FrameReader().get(form)
    os.close(unsealed)
