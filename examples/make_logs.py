"""Makes the logs of the examples again, each of what its sensors say, at moments that never change.

python examples/make_logs.py [door] [guard] [too_close] [thermostat] [gesture]
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
for folder in ("gesture", "thermostat", "too_close"):
    sys.path.append(str(HERE / folder))

import numpy as np  # noqa: E402
from rangefinder import Range  # noqa: E402
from thermostat import Climate, HeaterCommand, HeaterState, room  # noqa: E402
from wrist import ROUND, wrist  # noqa: E402

from zuluko import Latest, Message, Stream, Tick  # noqa: E402
from zuluko.actions import rulefile  # noqa: E402
from zuluko.actions.rules import rules  # noqa: E402
from zuluko.bus.log_tap import with_jpeg  # noqa: E402
from zuluko.bus.log_writer import LogWriter  # noqa: E402
from zuluko.bus.wire import Encoder, Hop  # noqa: E402
from zuluko.log import channel_of  # noqa: E402
from zuluko.messages import Frame  # noqa: E402
from zuluko.nodes import demo  # noqa: E402
from zuluko.nodes.picture import Image, letterbox  # noqa: E402
from zuluko.perception.faces import faces  # noqa: E402

SECOND = 1_000_000_000  # ns
QUALITY = 40  # of the pictures, as JPEG
SEEING = 30_000_000  # ns from a picture to its faces, as on a board
HZ = 15  # of the camera
EMPTY, STRANGER, OWNER = 4.5, 1.3, 6.3  # s into the demo's clip: nobody, and where somebody has come near


class Said(NamedTuple):
    """A message as a recorder has it; ``after`` is how long after its stamp, in ns."""

    topic: str
    message: Message
    after: int = 0
    cause: tuple[Hop, ...] = ()


def ns(text: str) -> int:
    """A moment in Berlin, such as 2026-03-14 22:30:00, in nanoseconds since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * SECOND


def ticks(start: int, hz: float, seconds: float) -> Iterator[Tick]:
    for count in range(round(seconds * hz)):
        yield Tick(stamp=start + round(count * SECOND / hz), count=count)


def door() -> Iterator[Said]:
    """The owner with a stranger beside, then the owner alone, then nobody: the faces in their pictures."""
    both = (_beside(STRANGER + t, OWNER + min(t, 1.2)) for t in _times(2.8))
    alone = (demo.compose(OWNER + t)[1] for t in _times(3.6))
    yield from _seen(ns("2026-03-14 17:20:00"), [*both, *alone], pictures=False)


def guard() -> Iterator[Said]:
    """Nobody, then a stranger at half past ten at night: pictures, and the faces in them."""
    night = [
        demo.compose(t)[1] for t in (*(EMPTY + t for t in _times(0.2)), *(STRANGER + t for t in _times(0.8)))
    ]
    yield from _seen(ns("2026-03-14 22:30:00"), [letterbox(one, (320, 240)) for one in night], pictures=True)


def too_close() -> Iterator[Said]:
    """The way to a wall at 0.4 m/s; on it the sensor's cable is loose for 0.6 s."""
    metres, driven = 1.5, 0.0
    for tick in ticks(ns("2026-03-14 11:00:00"), 50, 4.5):
        loose = 50 <= tick.count < 80
        speed = 0.0 if loose or metres < 0.5 else 0.4
        driven += (speed - driven) * 0.2
        metres -= driven / 50
        if not loose:
            yield Said("front", Range(stamp=tick.stamp, metres=metres))


def thermostat() -> Iterator[Said]:
    """A room from nine in the evening to nine in the morning, heated as the example's rules have it; for ten
    minutes of the night its thermometer is silent."""
    topics = {"climate": Climate, "heater": HeaterState}
    file = HERE / "thermostat/thermostat.rules.yaml"
    ruleset = rulefile.load(file, topics=topics, actuators={"heater": HeaterCommand})
    heater = Latest(HeaterState(state="off"))
    start = ns("2026-03-14 21:00:00")
    readings: list[Climate] = []

    def read() -> Iterator[Climate]:
        for reading in room(Stream(ticks(start, 1 / 30, 12 * 3600)), heater, start=20.4, outside=2.0):
            if not 7.6 * 3600 <= (reading.stamp - start) / SECOND < 7.6 * 3600 + 600:
                readings.append(reading)
                yield reading

    for one in rules(Stream(read(), topic="climate"), {}, ruleset=ruleset):
        if isinstance(one, HeaterCommand):
            heater.value = HeaterState(state="on" if one.on else "off")
    yield from (Said("climate", reading) for reading in readings)


def gesture() -> Iterator[Said]:
    """One round of the wrist."""
    stream = Stream(ticks(ns("2026-03-14 12:00:00"), 50, ROUND))
    yield from (Said("imu", reading) for reading in wrist(stream))


def _times(seconds: float) -> list[float]:
    return [count / HZ for count in range(round(seconds * HZ))]


def _beside(stranger: float, owner: float) -> Image:
    """Two moments of the clip side by side, the middle of each."""
    middle = slice(160, 480)
    return np.hstack([demo.compose(stranger)[1][:, middle], demo.compose(owner)[1][:, middle]])


def _seen(start: int, images: Iterable[Image], *, pictures: bool) -> Iterator[Said]:
    """The pictures, where they are wanted, and what the network finds in them."""
    frames = [
        Frame(stamp=start + round(count * SECOND / HZ), image=np.ascontiguousarray(image))
        for count, image in enumerate(images)
    ]
    for seq, found in enumerate(faces(Stream(frames), source="demo")):
        if pictures:
            yield Said("camera", frames[seq])
        yield Said("faces", found, SEEING, (Hop("camera", seq, found.stamp, found.stamp),))


def write(log: Path, said: Iterable[Said]) -> None:
    """A log of these messages, in the place of the one that is there."""
    log.unlink(missing_ok=True)
    encode, counts = Encoder(), dict[str, int]()
    with LogWriter(log) as writer:
        for topic, message, after, cause in sorted(said, key=lambda one: one.message.stamp + one.after):
            channel, seq = channel_of(writer, topic, type(message)), counts.get(topic, 0)
            moment, counts[topic] = message.stamp + after, seq + 1
            data = with_jpeg(encode(message, seq=seq, sent=moment, cause=cause), QUALITY)
            writer.write(channel, data, seq=seq, sent=moment, received=moment)
    print(
        f"{log}: {log.stat().st_size / 1000:.0f} kB, {', '.join(f'{counts[one]} of {one}' for one in counts)}"
    )


MAKERS: dict[str, Callable[[], Iterator[Said]]] = {
    maker.__name__: maker for maker in (door, guard, too_close, thermostat, gesture)
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MAKERS:
        write(HERE / name / f"{name}.mcap", MAKERS[name]())
