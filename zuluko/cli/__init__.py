"""The command line: ``zuluko up``, ``check``, ``list``, ``echo`` and ``face``.

Nothing heavy is imported here: a command loads what it needs when it runs.
"""

import os
import sys


def main() -> None:
    """Runs the command line; a mistake of the user's is one sentence on standard error."""
    # One thread a library: parallelism here is the graph's, and a fork wants none.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from zuluko.cli.app import app

    try:
        app()
    except BrokenPipeError:  # `zuluko echo imu | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
