"""The gallery: who is known, by their templates, and who of them a face is most like."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zuluko.perception import person
from zuluko.perception.person import MOST_TEMPLATES, SUFFIX, PersonError, Templates

log = logging.getLogger(__name__)

THRESHOLD = 0.45
"""The least similarity (cosine) at which a face gets a name.

OpenCV, which publishes SFace, gives 0.363: there it has the fewest errors on LFW, 4 in 1000 pairs. That is
for comparing two pictures once, with both kinds of error equally bad. A door compares everybody who walks by
with each of its people, several times a second, for years, and one false acceptance opens it while a false
rejection costs a moment or a further picture. With n people the chance of a false acceptance is near n times
that of one pair, so the threshold has to lie where one pair's is far smaller. The cosines of different people
scatter around 0 with a deviation of about 0.1 (the test photographs: -0.08 to 0.25), so that 0.45 is about
one deviation further out, while the same people years apart reach 0.62 and 0.77. Six photographs cannot
measure a rate of false acceptance: set a higher threshold where more is at stake.
"""

MIN_MARGIN = 0.10
"""The least lead of the most similar person over the second for a face to get a name.

It guards against relatives and look-alikes among the enrolled, whom a poor picture makes alike; strangers are
kept out by the threshold. Noise, compression, shade and distance move one similarity by up to 0.05 on the
test photographs and the second one as far the other way, so a lead under 0.10 may be an accident. It costs
the right person nothing there: they lead by 0.65 and 0.70, and by 0.27 in pictures so small or blurred that
they only just reach the threshold.
"""

SAME = 0.363  # OpenCV's threshold: how similar a further picture of a person must be to those there are


class GalleryError(Exception):
    """What the gallery refuses to do, as a sentence."""


class Match(NamedTuple):
    """The most similar person (empty: the gallery is), the best cosine over that person's templates, and its
    lead over the second best person's (2 where there is no second, 0 where there is nobody)."""

    name: str
    similarity: float
    margin: float


NOBODY = Match("", -1.0, 0.0)


def default_place() -> Path:
    """``$XDG_DATA_HOME/zuluko/people``, else ``~/.local/share/zuluko/people``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "zuluko" / "people"


class Gallery:
    """People and their templates, kept in one directory of mode 0700; without a directory, in memory.

    A file that is damaged or of another model is left out and told; it never stops a running door.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self._people: dict[str, Templates] = {}
        self._seen: object = None
        self._looked = -(10**18)

    def __repr__(self) -> str:
        return f"Gallery({str(self.directory or 'in memory')!r}, {len(self._people)} people)"

    @property
    def people(self) -> dict[str, int]:
        """How many templates each person has, by name."""
        return {name: len(templates) for name, templates in sorted(self._people.items())}

    def match(self, template: NDArray[np.float32]) -> Match:
        """Who a face with this template (128 numbers of length 1) is most like, however little."""
        best = sorted(
            ((float((known @ template).max()), name) for name, known in self._people.items()), reverse=True
        )
        if not best:
            return NOBODY
        similarity, name = best[0]
        return Match(name, similarity, similarity - best[1][0] if len(best) > 1 else 2.0)

    def load(self) -> list[str]:
        """Reads the directory anew; gives a sentence for each file that was left out, and why."""
        if self.directory is None:
            return []
        self._seen = _state(self.directory)
        self._people, problems = {}, []
        try:
            _refuse_open(self.directory, 0o022, "written")
            files = sorted(self.directory.glob("*" + SUFFIX)) if self.directory.is_dir() else []
        except (GalleryError, OSError) as error:
            return [str(error)]
        for file in files:
            try:
                self._people[file.stem] = person.read(file)
            except PersonError as error:
                problems.append(str(error))
        return problems

    def refresh(self, now: int) -> None:
        """Loads the directory again if it has changed; looks once a second of ``now`` (ns) at most."""
        if self.directory is None or now - self._looked < 1_000_000_000:
            return
        self._looked = now
        if _state(self.directory) == self._seen:
            return
        for problem in self.load():
            log.error("%s", problem)
        if self._people:
            log.info("%d people are enrolled in %s", len(self._people), self.directory)
        else:
            log.warning("nobody is enrolled in %s; run: zuluko face enrol NAME PHOTO...", self.directory)

    def enrol(self, name: str, pictures: Mapping[str, NDArray[np.float32]]) -> int:
        """Adds a person, or further pictures of one who is there; gives how many the person then has.

        ``pictures`` holds a template for each, by what errors call it, such as the file's name. All or
        nothing: raises GalleryError or PersonError where the name is not acceptable, there are too many, or
        a picture is more like another person than like this one, or unlike this one's others.
        """
        name = person.checked_name(name)
        if self.directory is None:
            return len(self._add(name, self._people.get(name), pictures))
        with _exclusively(self.directory):
            self.load()
            file = person.path(self.directory, name)
            known = person.read(file) if file.exists() else None
            person.write(file, self._add(name, known, pictures))
        return len(self._people[name])

    def _add(self, name: str, known: Templates | None, new: Mapping[str, NDArray[np.float32]]) -> Templates:
        others = Gallery()
        others._people = {other: theirs for other, theirs in self._people.items() if other != name}
        rows = [] if known is None else list(known)
        for picture, template in new.items():
            own = max((float(row @ template) for row in rows), default=None)
            _refuse_stranger(name, picture, own, others.match(template))
            rows.append(template)
        if len(rows) > MOST_TEMPLATES:
            raise GalleryError(f"{name} would have {len(rows)} pictures; at most {MOST_TEMPLATES} are kept")
        self._people[name] = np.stack(rows)
        return self._people[name]

    def remove(self, name: str) -> None:
        """Forgets a person. Raises GalleryError where there is none of that name."""
        name = person.checked_name(name)
        if self.directory is None:
            known = self._people.pop(name, None) is not None
        else:
            known = _remove(person.path(self.directory, name))
            self.load()
        if not known:
            raise GalleryError(f"nobody of the name {name} is enrolled; see: zuluko face list")


def _refuse_stranger(name: str, picture: str, own: float | None, other: Match) -> None:
    """Raises GalleryError for a template that is more like another person, or unlike the person's own."""
    if own is None and other.similarity >= THRESHOLD:
        raise GalleryError(
            f"{picture} shows {other.name}, who is enrolled already (similarity {other.similarity:.2f})"
        )
    if own is not None and other.similarity > own and other.similarity >= SAME:
        raise GalleryError(
            f"{picture} is more like {other.name} ({other.similarity:.2f}) than like {name} ({own:.2f})"
        )
    if own is not None and own < SAME:
        raise GalleryError(
            f"{picture} is unlike the other pictures of {name} (similarity {own:.2f}; {SAME} is needed)"
        )


def _state(directory: Path) -> object:
    """What changes whenever a file in the directory does: names, inodes, sizes, times of all of them."""
    try:
        entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(directory)]
        return directory.stat().st_mode, sorted(
            (name, state.st_ino, state.st_size, state.st_mtime_ns, state.st_mode) for name, state in entries
        )
    except OSError as error:
        return error.errno


def _refuse_open(directory: Path, bits: int, what: str) -> None:
    """Raises GalleryError where others have access to the directory by these mode bits."""
    mode = directory.stat().st_mode if directory.exists() else 0
    if mode & bits:
        raise GalleryError(
            f"the gallery {directory} can be {what} by others (mode {mode & 0o777:o}); "
            f"run: chmod 700 {directory}"
        )


@contextmanager
def _exclusively(directory: Path) -> Iterator[None]:
    """Makes the directory if need be; while inside, no other process enrols or removes."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GalleryError(f"the gallery {directory} cannot be made: {error.strerror}") from None
    _refuse_open(directory, 0o077, "read or written")
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise GalleryError(f"the gallery {directory} cannot be written: {error.strerror}") from None
    finally:
        os.close(handle)


def _remove(file: Path) -> bool:
    """Removes a person's file; False where there is none."""
    if not file.exists() and not file.is_symlink():
        return False
    with _exclusively(file.parent):
        file.unlink(missing_ok=True)
        person.flush(file.parent)
    return True
