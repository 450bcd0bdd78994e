"""``zuluko face``: who the door knows."""

import json
import queue
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zuluko.cli.say import fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zuluko.messages import Frame
    from zuluko.perception.gallery import Gallery

    Pictures = dict[str, NDArray[np.float32]]

app = typer.Typer(help="Enrol people, list them, forget them.", no_args_is_help=True)

GOOD_PICTURES = 5  # that a camera has to take
APART = 0.4  # seconds between two of them, so that they are not the same
PATIENCE = 30.0  # seconds for all of them
LEAVE = 2.0  # seconds that a camera has to end

Place = Annotated[Path | None, typer.Option("--gallery", help="The directory of enrolled people.")]
Name = Annotated[str, typer.Argument(help="The person's name.")]
Photos = Annotated[list[Path] | None, typer.Argument(help="Photographs of this one person.")]
Camera = Annotated[str | None, typer.Option("--camera", help="Take the pictures from this source instead.")]
Another = Annotated[
    bool, typer.Option("--another-person", help="This is nobody who is enrolled, however alike: a relative.")
]
Json = Annotated[bool, typer.Option("--json", help="For a script to read.")]


@app.command()
def enrol(
    name: Name,
    photos: Photos = None,
    camera: Camera = None,
    another: Another = False,
    gallery: Place = None,
) -> None:
    """Enrol a person, or add pictures to one who is enrolled. Nothing is stored unless all are good."""
    if bool(photos) == (camera is not None):
        fail("give photographs, or --camera with a source, such as: zuluko face enrol ana photo.jpg")
    with _told():
        from zuluko.perception.person import checked_name

        name = checked_name(name)
        pictures = _from_camera(camera, name) if camera is not None else _from_photos(photos or [])
        people = _gallery(gallery)
        count = people.enrol(name, pictures, another=another)
        typer.echo(f"{name} is enrolled with {count} picture{'s' * (count > 1)} in {people.directory}")


@app.command("list")
def list_people(as_json: Json = False, gallery: Place = None) -> None:
    """List who is enrolled, and with how many pictures."""
    with _told():
        people = _gallery(gallery)
        problems = people.load()
    for problem in problems:
        typer.echo(problem, err=True)
    if as_json:
        typer.echo(json.dumps([{"name": name, "pictures": count} for name, count in people.people.items()]))
        return
    for name, count in people.people.items():
        typer.echo(f"{name}  {count} picture{'s' * (count > 1)}")
    if not people.people:
        typer.echo(
            f"nobody is enrolled in {people.directory}; run: zuluko face enrol NAME PHOTO...", err=True
        )


@app.command()
def remove(name: Name, gallery: Place = None) -> None:
    """Forget a person and delete what was stored."""
    with _told():
        _gallery(gallery).remove(name)
    typer.echo(f"{name} is forgotten")


def _gallery(place: Path | None) -> "Gallery":
    from zuluko.perception.gallery import Gallery, default_place

    return Gallery(place or default_place())


@contextmanager
def _told() -> Iterator[None]:
    """Turns what a user can cause into one sentence and exit status 1."""
    from zuluko.perception.gallery import GalleryError
    from zuluko.perception.person import PersonError
    from zuluko.perception.zoo import ModelError

    try:
        yield
    except (GalleryError, PersonError, ModelError) as error:
        fail(str(error))


def _networks() -> tuple[Any, Any]:
    from zuluko.perception.detector import Detector
    from zuluko.perception.recogniser import Recogniser

    return Detector(), Recogniser()


def _from_photos(photos: list[Path]) -> "Pictures":
    """A template for each photograph, by its file name."""
    from zuluko.nodes.picture import PictureError, load
    from zuluko.perception.enrolment import template

    detect, recognise = _networks()
    pictures = {}
    for photo in photos:
        try:
            pictures[str(photo)] = template(load(photo), detect, recognise)
        except PictureError as error:
            fail(f"{photo}: {error}; nothing was stored")
    return pictures


def _from_camera(source: str, name: str) -> "Pictures":
    """Templates of the first good pictures; says what is wrong with the present one when that changes."""
    from zuluko.nodes.sources import faults, masked
    from zuluko.perception.enrolment import UnfitError, template

    for fault in faults(source):
        fail(f"{fault.what}; {_instead(name)}" if fault.passing else fault.what)
    detect, recognise = _networks()
    pictures: Pictures = {}
    said, next_stamp = "", 0
    for frame in _frames(source, name):
        if frame.stamp < next_stamp:
            continue
        try:
            good = f"picture {len(pictures) + 1} of {GOOD_PICTURES}"
            pictures[good] = template(frame.image, detect, recognise)
            next_stamp, word = frame.stamp + round(APART * 1e9), good
        except UnfitError as error:
            word = error.advice
        if word != said:
            typer.echo(word)
            said = word
        if len(pictures) == GOOD_PICTURES:
            break
    if len(pictures) < GOOD_PICTURES:
        fail(
            f"{masked(source)} gave {len(pictures)} of the {GOOD_PICTURES} good pictures that are needed "
            f"within {PATIENCE:.0f} s; nothing was stored"
        )
    return pictures


def _instead(name: str) -> str:
    """What to do without a camera."""
    command = f"zuluko face enrol {shlex.quote(name)} photo1.jpg photo2.jpg"
    return f"or give another --camera, or photographs: {command}"


def _frames(source: str, name: str) -> Iterator["Frame"]:
    """The camera's pictures, for PATIENCE seconds at most.

    The camera has a thread of its own, because one that is broken keeps its reader waiting for ever.
    """
    box: queue.Queue[Frame | str | None] = queue.Queue(1)
    enough = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, box, enough), daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    try:
        while (left := deadline - time.monotonic()) > 0:
            item = box.get(timeout=left)
            if isinstance(item, str):
                fail(f"{item}; {_instead(name)}")
            elif item is None:
                return
            else:
                yield item
    except queue.Empty:
        return
    finally:
        enough.set()
        thread.join(LEAVE)  # OpenCV aborts a process that ends while a thread is in it


def _fill(source: str, box: "queue.Queue[Frame | str | None]", enough: threading.Event) -> None:
    """Puts the camera's pictures into the box, the newest only; at the end None, or why it does not work."""
    from zuluko.nodes.camera import pictures
    from zuluko.nodes.sources import SourceError

    try:
        for frame in pictures(source, hz=10):
            _replace(box, frame)
            if enough.is_set():
                return
        box.put(None)
    except SourceError as error:
        box.put(str(error))


def _replace(box: "queue.Queue[Frame | str | None]", item: "Frame | str | None") -> None:
    """Puts ``item`` in the place of what nobody has taken yet."""
    with suppress(queue.Empty):
        box.get_nowait()
    box.put(item)
