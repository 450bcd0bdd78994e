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
from zuluko.perception.ownership import trouble
from zuluko.perception.person import MOST_TEMPLATES, SUFFIX, Person, PersonError, Templates

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


class GalleryError(ValueError):
    """What the gallery refuses to do, as a sentence."""


class Match(NamedTuple):
    """The most similar person (empty: the gallery is), the best cosine over that person's templates, and its
    lead over the second best person's (2 where there is no second, 0 where there is nobody)."""

    name: str
    similarity: float
    margin: float


NOBODY = Match("", -1.0, 0.0)


def default_place() -> Path:
    """``$XDG_DATA_HOME/zuluko/people``, else ``~/.local/share/zuluko/people``.

    Raises GalleryError where there is no home either.
    """
    base = os.environ.get("XDG_DATA_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "share") / "zuluko" / "people"
    except RuntimeError:
        raise GalleryError(
            "there is no home directory to keep people in; name a gallery, or set HOME or XDG_DATA_HOME"
        ) from None


class Gallery:
    """People and their templates, kept in one directory of mode 0700; without a directory, in memory.

    A file that is damaged or of another model is left out and told; it never stops a running door. People
    are known by the names within their files, in Unicode NFC.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self._people: dict[str, Templates] = {}
        self._files: dict[str, Path] = {}
        self._seen: object = None
        self._looked: int | None = None
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"Gallery({str(self.directory or 'in memory')!r}, {len(self._people)} people)"

    def __len__(self) -> int:
        return len(self._people)

    @property
    def people(self) -> dict[str, int]:
        """How many templates each person has, by name."""
        return {name: len(templates) for name, templates in sorted(self._people.items())}

    def match(self, template: NDArray[np.float32]) -> Match:
        """Who a face with this template (128 numbers of length 1) is most like, however little."""
        name, best, second = "", -np.inf, -np.inf
        for person_name, known in self._people.items():
            similarity = float((known @ template).max())
            if similarity > best:
                name, best, second = person_name, similarity, best
            elif similarity > second:
                second = similarity
        if not name:
            return NOBODY
        return Match(name, best, best - second if len(self._people) > 1 else 2.0)

    def load(self) -> list[str]:
        """Reads the directory anew; gives a sentence for each file that was left out, and why.

        Where the machine and not a file is at fault (no file handle left, a read error), the people whose
        files are still there stay known as they were, and the next ``refresh`` tries again.
        """
        if self.directory is None:
            return []
        self._seen = _state(self.directory)
        people, files, problems = self._people, self._files, list[str]()
        self._people, self._files = {}, {}
        try:
            paths = _paths(self.directory)
        except GalleryError as error:
            return [str(error)]
        except OSError as error:
            problems.append(f"the gallery {self.directory} cannot be read: {error.strerror}")
            if error.errno not in person.PASSING:
                return problems
            self._seen, paths = None, list(files.values())
        for path in paths:
            try:
                self._take(path, person.read(path))
            except (PersonError, GalleryError) as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{path} cannot be read at the moment: {error.strerror}")
                self._seen = None
                name = person.nfc(path.stem)
                if files.get(name) == path and os.path.lexists(path):
                    self._take(path, Person(name, people[name]))
        return problems

    def _take(self, path: Path, found: Person) -> None:
        if found.name in self._people:
            raise GalleryError(
                f"{path} is left out: {found.name} has another file, {self._files[found.name]}; "
                f"remove one of the two"
            )
        self._people[found.name], self._files[found.name] = found.templates, path

    def refresh(self, now: int) -> None:
        """Loads the directory again if it has changed; looks once a second of ``now`` (ns) at most."""
        if self.directory is None:
            return
        if self._looked is not None and 0 <= now - self._looked < 1_000_000_000:
            return
        first, self._looked = self._looked is None, now
        if _state(self.directory) == self._seen:
            return
        before, problems = self.people, self.load()
        for problem in problems:
            if problem not in self._told:  # one that lasts is met again at every look
                log.error("%s", problem)
        self._told = set(problems)
        if not first and self.people == before:
            return
        if self._people:
            log.info("%d people are enrolled in %s", len(self._people), self.directory)
        else:
            log.warning("nobody is enrolled in %s; run: zuluko face enrol NAME PHOTO...", self.directory)

    def enrol(self, name: str, pictures: Mapping[str, NDArray[np.float32]], *, another: bool = False) -> int:
        """Adds a person, or further pictures of one who is there; gives how many the person then has.

        ``pictures`` holds a template for each, by what errors call it, such as the file's name. All or
        nothing: raises GalleryError or PersonError where the name is not acceptable, there are too many, or
        a picture is more like another person than like this one, or unlike this one's others. ``another``
        vouches that this is another person than those who are there, however alike: a relative, a twin.
        """
        name = person.checked_name(name)
        if self.directory is None:
            return len(self._add(name, self._people.get(name), pictures, another))
        with _exclusively(self.directory):
            self.load()
            file = self._files.get(name) or person.path(self.directory, name)
            known = person.read(file).templates if os.path.lexists(file) else None
            person.write(file, name, self._add(name, known, pictures, another))
            self._files[name] = file
        return len(self._people[name])

    def _add(
        self, name: str, known: Templates | None, new: Mapping[str, NDArray[np.float32]], another: bool
    ) -> Templates:
        others = Gallery()
        others._people = {other: theirs for other, theirs in self._people.items() if other != name}
        rows = [] if known is None else list(known)
        for picture, template in new.items():
            own = max((float(row @ template) for row in rows), default=None)
            _refuse_stranger(name, picture, own, NOBODY if another else others.match(template))
            rows.append(template)
        if len(rows) > MOST_TEMPLATES:
            raise GalleryError(f"{name} would have {len(rows)} pictures; at most {MOST_TEMPLATES} are kept")
        self._people[name] = np.stack(rows)
        return self._people[name]

    def remove(self, name: str) -> None:
        """Forgets a person: removes every file that has this name or holds it.

        Raises GalleryError where there is none.
        """
        name = person.checked_name(name)
        if self.directory is None:
            known = self._people.pop(name, None) is not None
        else:
            known = _remove(self.directory, name)
            self.load()
        if not known:
            raise GalleryError(f"nobody of the name {name} is enrolled; see: zuluko face list")


def _refuse_stranger(name: str, picture: str, own: float | None, other: Match) -> None:
    """Raises GalleryError for a template that is more like another person, or unlike the person's own."""
    if own is None and other.similarity >= THRESHOLD:
        raise GalleryError(
            f"{picture} shows {other.name}, who is enrolled already (similarity {other.similarity:.2f}); "
            f"if {name} is somebody else who looks alike, such as a relative, add --another-person"
        )
    if own is not None and other.similarity > own and other.similarity >= SAME:
        raise GalleryError(
            f"{picture} is more like {other.name} ({other.similarity:.2f}) than like {name} ({own:.2f})"
        )
    if own is not None and own < SAME:
        raise GalleryError(
            f"{picture} is unlike the other pictures of {name} (similarity {own:.2f}; {SAME} is needed)"
        )


def _paths(directory: Path) -> list[Path]:
    """People's files; of one person's, that whose name is in NFC comes first. None where nothing is there.

    Raises GalleryError where others can write, and OSError.
    """
    try:
        _refuse_open(directory, 0o022)
        with os.scandir(directory) as entries:  # Path.glob would make an empty gallery of some errors
            paths = [directory / entry.name for entry in entries if entry.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    return sorted(paths, key=lambda path: (person.nfc(path.name) != path.name, path.name))


def _state(directory: Path) -> object:
    """What changes whenever a file in the directory does: names, sizes, times, owners and so on."""
    try:
        with os.scandir(directory) as entries:
            files = sorted((entry.name, _mark(entry.stat(follow_symlinks=False))) for entry in entries)
        state = directory.stat()
        return state.st_mode, state.st_uid, files
    except OSError as error:
        return error.errno


def _mark(state: os.stat_result) -> tuple[int, ...]:
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_mode, state.st_uid


def _refuse_open(directory: Path, forbidden: int) -> None:
    """Raises GalleryError for a directory of somebody else's, or open to others by these bits."""
    if why := trouble(directory, directory.stat(), forbidden=forbidden):
        raise GalleryError(f"the gallery {why}")


@contextmanager
def _exclusively(directory: Path) -> Iterator[None]:
    """Makes the directory if need be; while inside, no other process enrols or removes."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GalleryError(f"the gallery {directory} cannot be made: {error.strerror}") from None
    handle = -1
    try:
        _refuse_open(directory, 0o077)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise GalleryError(f"the gallery {directory} cannot be written: {error.strerror}") from None
    finally:
        if handle >= 0:
            os.close(handle)


def _remove(directory: Path, name: str) -> bool:
    """Removes the files that have this name or hold it; False where there is none."""
    if not os.path.isdir(directory):
        return False
    with _exclusively(directory):
        files = [
            path for path in _paths(directory) if name in (person.nfc(path.stem), person.recorded_name(path))
        ]
        for file in files:
            file.unlink(missing_ok=True)
        person.flush(directory)
    return bool(files)
