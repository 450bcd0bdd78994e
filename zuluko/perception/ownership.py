"""Whose a file or a directory is: what decides at a door must be nobody else's to change."""

import os
from pathlib import Path


def trouble(path: Path, state: os.stat_result, *, forbidden: int = 0o022, right: str = "700") -> str:
    """How somebody else gets at ``path``, as a sentence with what to run; empty where nobody does.

    Somebody else is every user but root and the one as whom this process runs. ``forbidden`` are the mode
    bits that must not be set, ``right`` the mode to recommend.
    """
    if state.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to user {state.st_uid}; run: sudo chown {os.geteuid()} {path}"
    if state.st_mode & forbidden:
        what = "read or written" if forbidden & 0o044 else "written"
        return f"{path} can be {what} by others (mode {state.st_mode & 0o777:o}); run: chmod {right} {path}"
    return ""
