"""The stress of the express lane, for a few seconds; ``scripts/stress_lane.py`` goes on for minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zuluko.bus import membarrier

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not membarrier.available(), reason="this kernel has no membarrier(2)")
def test_views_and_messages_stay_whole_while_readers_are_stopped_and_killed():
    command = [sys.executable, "scripts/stress_lane.py", "--seconds", "3", "--readers", "3"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n0 broken" in done.stdout
    assert not done.stderr
