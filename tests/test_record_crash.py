"""A recorder that is killed while it writes: what it had flushed is there, and the file is made whole."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.running import ROOT
from tests.test_log import strictly
from zuluko import read
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_repair import repair
from zuluko.bus.publisher import Publisher
from zuluko.messages import Faces, Frame


@pytest.fixture
def talking(run_dir):
    """Faces 500 times a second and pictures 25 times, counted in their stamps."""
    ended = threading.Event()
    faces, camera = Publisher("g", "faces", Faces), Publisher("g", "camera", Frame)
    image = np.random.default_rng(1).integers(0, 255, (100, 200, 3), "u1")

    def talk() -> None:
        number = 0
        while not ended.wait(0.002):
            faces.send(Faces(stamp=number))
            if number % 20 == 0:
                camera.send(Frame(image=image, stamp=number // 20))
            number += 1

    thread = threading.Thread(target=talk)
    thread.start()
    yield
    ended.set()
    thread.join()
    faces.close()
    camera.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_recorder_killed_at_any_moment_loses_no_more_than_it_had_not_flushed(talking, tmp_path, seed):
    done = subprocess.run(
        [sys.executable, "-m", "tests.recorder_kills", str(tmp_path), "25", str(seed)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    flushed = list(map(int, done.stdout.split()))
    assert len(flushed) == 25
    assert min(flushed) > 0
    for number, least in enumerate(flushed):
        log, mended = tmp_path / f"{number}.mcap", tmp_path / f"mended-{number}.mcap"
        with LogReader(log) as reader:
            topics = list(reader.topics)
        found = {topic: [one.stamp for one in read(log, topic)] for topic in topics}
        assert sum(map(len, found.values())) >= least
        assert all(stamps == sorted(set(stamps)) for stamps in found.values())
        saved = repair(log, mended)
        assert len(strictly(mended)) == saved.messages == sum(map(len, found.values()))
