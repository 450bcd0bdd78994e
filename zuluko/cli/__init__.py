"""The command line: ``zuluko up``, ``check``, ``status`` and the others that ``zuluko.cli.app`` gathers.

Nothing heavy is imported here: a command loads what it needs when it runs.
"""

import io
import os
import signal
import sys


def main() -> None:
    """Runs the command line; a mistake of the user's is one sentence on standard error."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a command at once, even within an import
    _open_standard_files()
    # One thread a library: parallelism here is the graph's, and a fork wants none.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # see zuluko.perception
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()  # here, where it is told what goes wrong
    except BrokenPipeError:  # `zuluko echo imu | head`
        _end_quietly(141)
    except OSError as error:  # such as a full disk behind standard output
        where = f"{error.filename}: " if error.filename else ""
        print(f"zuluko: {where}{error.strerror or error}", file=sys.stderr)
        _end_quietly(1)


def _run() -> None:
    if order := os.environ.pop("ZULUKO_UP", ""):  # see zuluko.cli.launcher
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        from zuluko.cli import launcher

        sys.exit(launcher.obey(order))
    from zuluko.cli.app import app

    app()


def _open_standard_files() -> None:
    """Opens what was closed (`zuluko up door >&-`), so that nothing else gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that is not UTF-8 shows ? for what it lacks
        sys.stdout.reconfigure(errors="replace")


def _end_quietly(status: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the flush at the exit would fail again
    sys.exit(status)
