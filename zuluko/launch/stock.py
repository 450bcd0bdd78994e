"""The graphs that come with the package."""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.yaml") if not file.stem.endswith(".rules"))
