"""Damaged logs: every command that reads one says what there is, or one sentence, in 64 MB."""

import subprocess
import sys
import tempfile

import pytest

from tests.running import ROOT

LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from tests.log_fuzz import main
main(*sys.argv[1:])
"""


@pytest.mark.parametrize(("seed", "count"), [("1", "60"), ("2", "60"), ("boundaries", "0")])
def test_every_command_takes_damaged_logs(seed, count):
    with tempfile.TemporaryDirectory(prefix="zk-") as folder:  # a socket's path must be short
        done = subprocess.run(
            [sys.executable, "-c", LIMIT, folder, seed, count],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
