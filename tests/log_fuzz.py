"""Damaged logs through every command that reads one; a program of its own, so that its memory is its own.

    python -m tests.log_fuzz FOLDER SEED COUNT
    python -m tests.log_fuzz FOLDER boundaries

Prints what went wrong, and nothing else. What is right: a command ends by itself, with status 0, 1 or 2, and
what it says on standard error is no traceback. The memory is bounded by the limit of the process.
"""

import contextlib
import io
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import typer
from mcap.writer import CompressionType, Writer

from tests.test_log import a_log, boundaries, picture
from zuluko import read
from zuluko.bus.log_writer import LogError, LogWriter
from zuluko.bus.wire import Encoder
from zuluko.cli import log as commands
from zuluko.cli.replay import replay
from zuluko.log import channel_of
from zuluko.messages import Face, Faces, Frame

MOST_GROWN = 64  # MB
LONGEST = 20  # s of processor time for one command
ENCODE = Encoder()


def corpus(folder: Path) -> list[Path]:
    """A log with packed chunks, one with pictures of each form, and one that another program wrote (lz4)."""
    small = a_log(folder / "small.mcap", 30, 6)
    with LogWriter(folder / "pictures.mcap") as writer:
        writer.tell("zuluko", {"graph": "fuzz"})
        writer.tell("lost", {"camera": '{"overrun":4}'})
        channel = channel_of(writer, "camera", Frame)
        for number in range(4):
            data = ENCODE(picture(number, 40), seq=number, sent=number)
            data = _with_jpeg(data) if number % 2 else data
            writer.write(channel, data, seq=number, sent=number, received=number * 10**8)
            writer.flush()
    with (folder / "foreign.mcap").open("wb") as file:
        foreign = Writer(file, chunk_size=900, compression=CompressionType.LZ4)
        foreign.start()
        schema = foreign.register_schema("Faces/1", "jsonschema", b"{}")
        channel = foreign.register_channel("faces", "msgpack", schema)
        for number in range(20):
            face = Face(box=(1, 2, 3, 4), landmarks=((1, 2),) * 5, score=0.5, name=f"person {number}")
            data = ENCODE(Faces(items=(face,), stamp=number * 10**8), seq=number, sent=number)
            foreign.add_message(channel, number * 10**8, data, number * 10**8, number)
        foreign.finish()
    return [small, folder / "pictures.mcap", folder / "foreign.mcap"]


def _with_jpeg(data: bytes) -> bytes:
    from zuluko.bus.log_tap import with_jpeg

    return with_jpeg(data, 80)


def damaged(whole: bytes, random_: random.Random) -> bytes:
    """Bits flipped, bytes replaced, lengths made huge, parts cut out, doubled or cut off."""
    data = bytearray(whole)
    for _ in range(random_.choice((1, 1, 1, 3, 20))):
        at = random_.randrange(len(data))
        match random_.randrange(8):
            case 0 | 1 | 2 | 3:
                data[at] ^= 1 << random_.randrange(8)
            case 4:
                data[at : at + 8] = random_.randbytes(8)
            case 5:
                data[at : at + 8] = (b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f")[random_.randrange(3)]
            case 6:
                del data[at : at + random_.randrange(1, 200)]
            case _:
                data[at:at] = data[at : at + random_.randrange(1, 200)]
        if not data:
            break
    return bytes(data[: random_.randrange(len(data))] if data and random_.random() < 0.1 else data)


class Bench:
    """Runs every command on one file after the other."""

    def __init__(self, folder: Path, good: Path) -> None:
        self._folder, self._good = folder, good
        self._target = folder / "out.mcap"
        self.wrong: list[str] = []

    def look(self, bad: Path, what: str, *, replays: bool = False) -> None:
        log = str(bad)
        runs = [
            ["info", log, "--json"],
            ["cat", log],
            ["cat", log, "--from", "0.2s", "--to", "1s", "--where", "stamp > 5 || topic == 'lock'"],
            ["cut", log, str(self._target), "--from", "0.1s"],
            ["merge", log, str(self._good), "--out", str(self._target)],
            ["verify", log],
            ["repair", log, str(self._target)],
        ]
        for arguments in runs:
            self._target.unlink(missing_ok=True)
            self._run(commands.app, arguments, f"{what}: {' '.join(arguments)}")
            if arguments[0] in ("cut", "repair") and self._target.exists():
                self._read(self._target, f"{what}: after {arguments[0]}")
        self._read(bad, what)
        if replays:
            one = typer.Typer()
            one.command()(replay)
            self._run(one, [log, "--rate", "100", "--to", "1s", "--name", "fuzz"], f"{what}: replay")

    def _run(self, app: typer.Typer, arguments: list[str], what: str) -> None:
        out, said = io.StringIO(), io.StringIO()
        signal.alarm(LONGEST)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                app(arguments, standalone_mode=False)
        except SystemExit as end:
            if end.code not in (0, 1, 2):
                self.wrong.append(f"{what}: status {end.code}")
        except BaseException:
            self.wrong.append(f"{what}: {traceback.format_exc()}")
        finally:
            signal.alarm(0)
        if "Traceback" in said.getvalue():
            self.wrong.append(f"{what}: {said.getvalue()}")

    def _read(self, log: Path, what: str) -> None:
        signal.alarm(LONGEST)
        try:
            for topic in ("faces", "lock", "camera"):
                with contextlib.suppress(LogError):
                    for _ in read(log, topic):
                        pass
        except BaseException:
            self.wrong.append(f"{what}: read: {traceback.format_exc()}")
        finally:
            signal.alarm(0)


def cases(whole: list[Path], seed: str, count: int) -> Iterator[tuple[str, bytes, bool]]:
    """What is done to a log, and the bytes; and whether to replay it, which takes half a second."""
    if seed == "boundaries":
        for log in whole:
            data = log.read_bytes()
            for end in boundaries(log):
                for cut in (end, end + 3):
                    yield f"{log.name} cut at {cut}", data[:cut], False
        return
    random_ = random.Random(int(seed))
    for number in range(count):
        log = random_.choice(whole)
        yield (
            f"{log.name}, seed {seed}, number {number}",
            damaged(log.read_bytes(), random_),
            number % 40 == 0,
        )


def main(place: str, seed: str, count: str = "0") -> None:
    signal.signal(signal.SIGALRM, _too_long)
    os.environ["ZULUKO_RUN"] = place
    folder = Path(place)
    whole = corpus(folder)
    bench, bad = Bench(folder, whole[0]), folder / "bad.mcap"
    for log in whole:
        bench.look(log, f"{log.name} as it is", replays=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for what, data, replays in cases(whole, seed, int(count)):
        bad.write_bytes(data)
        bench.look(bad, what, replays=replays)
        if len(bench.wrong) > 5:
            break
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if grown > MOST_GROWN:
        bench.wrong.append(f"it took {grown} MB")
    print("\n".join(bench.wrong))
    sys.exit(bool(bench.wrong))


def _too_long(*_: object) -> None:
    raise TimeoutError(f"it takes more than {LONGEST} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
