"""Which peers are installed. It stands apart because a measuring process need not know."""

import importlib.util
import shutil
import subprocess
import sys

from benchmarks.bus_peers import Peer


def missing(peer: Peer) -> str:
    """The first thing that a peer needs and that is not there, or nothing."""
    if not _importable(peer.needs, peer.python):
        return peer.needs
    programs = (name for name in peer.programs if not shutil.which(name))
    return next(programs, next((name for name in peer.headers if not _has_headers(name)), ""))


def _importable(modules: str, python: str) -> bool:
    if python == sys.executable:
        return importlib.util.find_spec(modules) is not None
    return _succeeds([python, "-c", f"import {modules}"])


def _has_headers(package: str) -> bool:
    return _succeeds(["pkg-config", "--exists", package])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
