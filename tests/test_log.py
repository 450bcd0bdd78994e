"""Logs: what is written is read back, by us and by the mcap package; what is torn or damaged is told."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from mcap.reader import NonSeekingReader, SeekingReader
from mcap.stream_reader import StreamReader

from tests.running import ROOT
from tests.waiting import until
from zuluko import Array, Message, read, record
from zuluko.bus.log_reader import LogReader
from zuluko.bus.log_repair import repair
from zuluko.bus.log_writer import LogError, LogFullError, LogWriter
from zuluko.bus.message import MessageError
from zuluko.bus.wire import Encoder, Hop
from zuluko.messages import Face, Faces, Frame, LockState

MARKS = ((1.0, 2.0),) * 5
SECOND = 10**9


def faces(number: int) -> Faces:
    face = Face(box=(1.0, 2.0, 3.0, 4.0), landmarks=MARKS, score=0.5, name=f"person {number}")
    return Faces(items=(face,), size=(640, 480), stamp=number * SECOND // 10)


def picture(number: int, side: int = 700) -> Frame:
    noise = np.random.default_rng(number).integers(0, 255, (side, side, 3), "u1")
    return Frame(image=noise, stamp=number * SECOND // 10)


def a_log(path: Path, count: int = 50, every: int = 10) -> Path:
    """Faces and locks, flushed every so many messages, as a recorder does once a second."""
    encode = Encoder()
    with LogWriter(path) as writer:
        writer.tell("zuluko", {"graph": "door"})
        channels = [writer.topic("faces", "Faces/1", b"{}"), writer.topic("lock", "LockState/1", b"{}")]
        for number in range(count):
            for channel, message in zip(
                channels, (faces(number), LockState(state="locked", stamp=number)), strict=True
            ):
                at = (number + 1) * SECOND // 10
                data = encode(message, seq=number, sent=at - 5, cause=(Hop("camera", number, 1, 2),))
                writer.write(channel, data, seq=number, sent=at - 5, received=at)
            if number % every == every - 1:
                writer.flush()
    return path


def strictly(path: Path) -> list[tuple[str, int, int]]:
    """Topic, sequence and log time of every message, read by the mcap package with all its checks."""
    with path.open("rb") as file:
        seeking = [
            (channel.topic, message.sequence, message.log_time)
            for _, channel, message in SeekingReader(file, validate_crcs=True).iter_messages()
        ]
    with path.open("rb") as file:
        plain = [
            (channel.topic, message.sequence, message.log_time)
            for _, channel, message in NonSeekingReader(file, validate_crcs=True).iter_messages()
        ]
    with path.open("rb") as file:
        assert len(list(StreamReader(file, validate_crcs=True).records)) > len(plain)
    assert sorted(seeking) == sorted(plain)
    with path.open("rb") as file:
        statistics = SeekingReader(file).get_summary().statistics
    assert statistics.message_count == len(plain)
    return seeking


def test_what_is_recorded_is_read_back(tmp_path):
    log = tmp_path / "a.mcap"
    sent = [faces(number) for number in range(100)]
    assert record(sent, log) == 100
    assert list(read(log, "faces")) == sent
    assert [entry[:2] for entry in strictly(log)] == [("faces", number) for number in range(100)]
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_envelopes_are_kept(tmp_path):
    stream = read(a_log(tmp_path / "a.mcap"), "faces", "lock")
    seen = [(stream.topic, stream.seq, stream.sent, stream.now, stream.cause[0].seq) for _ in stream]
    assert seen[2:4] == [
        ("faces", 1, SECOND // 5 - 5, SECOND // 5, 1),
        ("lock", 1, SECOND // 5 - 5, SECOND // 5, 1),
    ]
    assert len(seen) == 100
    assert stream.ended


def test_a_log_gives_time_to_a_node_that_waits(tmp_path):
    stream = read(a_log(tmp_path / "a.mcap"), "faces")
    assert stream.next(timeout=0.01).stamp == 0
    assert stream.next(timeout=0.01) is None
    assert stream.now == SECOND // 10 + SECOND // 100
    assert stream.next(timeout=1).stamp == SECOND // 10


def test_a_node_that_polls_a_log_goes_on(tmp_path):
    stream = read(a_log(tmp_path / "a.mcap"), "faces")
    assert stream.next().stamp == 0
    polled = [stream.next(timeout=timeout) for timeout in [0, -1, 1e-9] * 4]
    assert polled[:10] == [None] * 10
    assert polled[10].stamp == SECOND // 10
    assert polled[11] is None
    assert stream.next(timeout=1).stamp == SECOND // 10 * 2


def test_a_message_from_before_1970_is_refused_and_the_rest_is_kept(tmp_path):
    log = tmp_path / "a.mcap"
    messages = [Faces(stamp=1), Faces(stamp=-5)]
    with pytest.raises(LogError, match="a log begins at 1970, and a message of -5 ns is older"):
        record(iter(messages), log, "faces")
    assert [one.stamp for one in read(log, "faces")] == [1]


def test_a_part_of_a_log_is_read(tmp_path):
    log = a_log(tmp_path / "a.mcap")
    assert [one.stamp for one in read(log, "faces", start=1.0, end=1.2)] == [SECOND, SECOND * 11 // 10]


def test_pictures_lie_in_chunks_of_their_own_and_are_not_packed_for_nothing(tmp_path):
    log = tmp_path / "a.mcap"
    pictures = [picture(number) for number in range(4)]
    record(pictures, log)
    for have, wanted in zip(read(log, "frame"), pictures, strict=True):
        assert np.array_equal(have.image, wanted.image)
    with log.open("rb") as file:
        chunks = SeekingReader(file).get_summary().chunk_indexes
    assert [chunk.compression for chunk in chunks] == [""] * 4
    assert all(len(chunk.message_index_offsets) == 1 for chunk in chunks)
    strictly(log)


def test_what_packs_is_packed_and_described(tmp_path):
    log = tmp_path / "a.mcap"
    record([faces(number) for number in range(2000)], log)
    with log.open("rb") as file:
        summary = SeekingReader(file).get_summary()
    assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
    assert log.stat().st_size < 200_000
    schema = summary.schemas[1]
    assert (schema.name, schema.encoding) == ("Faces/1", "jsonschema")
    assert b'"description":"x, y, width, height in pixels; may reach beyond the image\'s edge"' in schema.data


def test_in_a_hurry_nothing_is_packed(tmp_path):
    log, encode = tmp_path / "a.mcap", Encoder()
    with LogWriter(log) as writer:
        channel = writer.topic("faces", "Faces/1", b"{}")
        for number in range(40):
            writer.hurry = number < 20
            data = encode(faces(number), seq=number, sent=number)
            writer.write(channel, data, seq=number, sent=number, received=number)
            if number in {19, 39}:
                writer.flush()
    with log.open("rb") as file:
        chunks = SeekingReader(file).get_summary().chunk_indexes
    assert [chunk.compression for chunk in chunks] == ["", "zstd"]
    assert len(strictly(log)) == 40


class Imu(Message, tag="TestImu/1"):
    rate: float = 0.0


def test_a_field_that_was_added_reads_and_one_that_changed_is_told(tmp_path):
    class New(Message, tag="TestImu/1"):
        rate: float = 0.0
        celsius: float = 20.0

    class Other(Message, tag="TestImu/1"):
        rate: str

    log = tmp_path / "a.mcap"
    record([Imu(rate=1.0)], log, topic="imu")
    assert [one.celsius for one in read(log, "imu", kind=New)] == [20.0]
    with pytest.raises(LogError, match=r"message 0 on imu \(TestImu/1\) cannot be read: .*rate"):
        list(read(log, "imu", kind=Other))


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path):
    log = a_log(tmp_path / "a.mcap")
    with pytest.raises(LogError, match="has no topic `face`; did you mean `faces`"):
        read(log, "face")
    with pytest.raises(LogError, match="No such file"):
        read(tmp_path / "none.mcap", "faces")
    (tmp_path / "text.mcap").write_text("hello")
    with pytest.raises(LogError, match="is no log"):
        read(tmp_path / "text.mcap", "faces")
    with pytest.raises(LogError, match="exists already"):
        record([], log)


def test_a_type_that_nobody_knows_is_told(tmp_path):
    with LogWriter(tmp_path / "a.mcap") as writer:
        writer.topic("odd", "Odd/7", b"{}")
    with pytest.raises(LogError, match="type Odd/7, which this program does not know; import the module"):
        read(tmp_path / "a.mcap", "odd")


def attempt(path: Path) -> int:
    """How many messages can be read before the end or a sentence; anything else is raised."""
    count, said = 0, str(path)
    try:
        for topic in ("faces", "lock"):
            for _ in read(path, topic):
                count += 1
    except LogError as error:
        said = str(error)
    assert said.startswith(str(path))
    return count


def boundaries(path: Path) -> list[int]:
    with LogReader(path) as reader:
        offset, found = 8, [8]
        while (record := reader.record_at(offset)) is not None:
            offset += record[1]
            found.append(offset)
    return found


def test_a_file_torn_at_every_boundary_reads_up_to_there_and_is_repaired(tmp_path):
    whole = a_log(tmp_path / "a.mcap")
    data, seen = whole.read_bytes(), []
    for number, end in enumerate(boundaries(whole)):
        for cut in (end, end + 5):
            torn, mended = tmp_path / f"torn-{number}-{cut}.mcap", tmp_path / f"mended-{number}-{cut}.mcap"
            torn.write_bytes(data[:cut])
            count = attempt(torn)
            done = repair(torn, mended)
            assert done.lost or cut >= len(data)
            assert len(strictly(mended)) == done.messages
            seen.append(done.messages)
            if count:
                assert attempt(mended) == count
    assert set(seen) == {0, 20, 40, 60, 80, 100}


def test_a_damaged_chunk_is_told_and_the_rest_saved(tmp_path):
    whole = a_log(tmp_path / "a.mcap")
    with LogReader(whole) as reader:
        place = reader.contents.places[2]
    data = bytearray(whole.read_bytes())
    data[place.offset + place.length // 2] ^= 0x10
    whole.write_bytes(data)
    with pytest.raises(
        LogError, match=rf"the chunk at byte {place.offset} .*; save what is left with: zuluko log repair"
    ):
        list(read(whole, "faces"))
    done = repair(whole, tmp_path / "mended.mcap")
    assert done.messages == 80
    assert f"the chunk at byte {place.offset}, 2.0 s into the log" in done.lost[0]
    assert len(strictly(tmp_path / "mended.mcap")) == 80


def test_chunks_behind_a_damaged_length_are_found_again(tmp_path):
    whole = a_log(tmp_path / "a.mcap")
    with LogReader(whole) as reader:
        place = reader.contents.places[1]
    data = bytearray(whole.read_bytes())
    data[place.offset + 4] ^= 0x40
    whole.write_bytes(data)
    done = repair(whole, tmp_path / "mended.mcap")
    assert done.messages == 80
    assert len(strictly(tmp_path / "mended.mcap")) == 80


FUZZ = """
import random, resource, sys
from pathlib import Path
from tests.test_log import attempt
from zuluko.bus.log_repair import repair
from zuluko.bus.log_writer import LogError
whole, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
data, random_ = whole.read_bytes(), random.Random(seed)
bad, mended = folder / f"bad{seed}.mcap", folder / f"mended{seed}.mcap"
attempt(whole)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(400):
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 3, 20))):
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    if random_.random() < 0.2:
        at = random_.randrange(len(changed)); changed[at:at + 8] = random_.randbytes(8)
    bad.write_bytes(changed)
    attempt(bad)
    mended.unlink(missing_ok=True)
    try:
        done = repair(bad, mended)
    except LogError:
        continue
    assert len(done.lost) < 10_000
    attempt(mended)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
assert grown < 64, f"{grown} MB"
"""


@pytest.mark.parametrize("seed", range(3))
def test_damage_gives_messages_or_a_sentence_and_no_more_than_64_mb(tmp_path, seed):
    whole = a_log(tmp_path / "a.mcap", 30, 6)
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(whole), str(tmp_path), str(seed)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


WRITES = """
import sys, time
from pathlib import Path
from tests.test_log import faces
from zuluko.bus.log_writer import LogWriter
from zuluko.bus.wire import Encoder
writer, encode = LogWriter(Path(sys.argv[1])), Encoder()
channel = writer.topic("faces", "Faces/1", b"{}")
for number in range(10**9):
    data = encode(faces(number), seq=number, sent=number, cause=())
    writer.write(channel, data, seq=number, sent=number, received=number + 1)
    if number % 50 == 49:
        writer.flush()
        print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(12))
def test_a_kill_costs_only_what_was_not_flushed(tmp_path, seed):
    log = tmp_path / "a.mcap"
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(log)], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    moment = time.monotonic() + random.Random(seed).uniform(0.0, 0.2)
    until(lambda: time.monotonic() > moment)
    process.send_signal(signal.SIGKILL)
    flushed = int((process.stdout.read().splitlines() or [b"49"])[-1])
    process.wait()
    process.stdout.close()
    assert len(list(read(log, "faces"))) > flushed
    done = repair(log, tmp_path / "mended.mcap")
    assert done.messages > flushed
    assert [seq for _, seq, _ in strictly(tmp_path / "mended.mcap")] == list(range(done.messages))


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 20 MB."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small filesystem")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("no filesystem can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("make", [faces, picture])
def test_a_full_disk_leaves_a_whole_file(small_disk, make):
    log = small_disk / "a.mcap"
    writer, encode, written = LogWriter(log), Encoder(), []
    channel = writer.topic("x", "X/1", b"{}")

    def fill() -> None:
        while True:
            number = len(written)
            data = os.urandom(3000) + encode(make(number % 100), seq=number, sent=number)
            writer.write(channel, data, seq=number, sent=number, received=number)
            written.append(number)

    with pytest.raises(LogFullError, match="the recording stops: No space left on device"):
        fill()
    writer.close()
    kept = strictly(log)
    assert 0 < len(kept) <= len(written) + 1
    assert log.stat().st_size > 15 << 20
    with LogReader(log) as reader:
        assert reader.whole


def test_a_limit_on_files_is_as_a_full_disk(tmp_path):
    log = tmp_path / "a.mcap"
    before, old = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(LogFullError, match="File too large"):
            record((faces(number) for number in range(10**6)), log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert len(strictly(log)) == len(list(read(log, "faces"))) > 100


def test_the_last_chunks_give_their_place_to_the_index(tmp_path):
    log, encode = tmp_path / "a.mcap", Encoder()
    before, old = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    writer, written = LogWriter(log), []

    def fill() -> None:
        channel = writer.topic("faces", "Faces/1", b"{}")
        while True:  # a chunk each, so that the index is long
            seq = len(written)
            writer.write(channel, encode(faces(seq), seq=seq, sent=seq), seq=seq, sent=seq, received=seq)
            written.append(seq)
            writer.flush()

    try:
        with pytest.raises(LogFullError, match="File too large"):
            fill()
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    kept = [seq for _, seq, _ in strictly(log)]
    assert kept == written[: len(kept)]
    assert writer.dropped > 10
    assert len(kept) + writer.dropped + 1 == len(written)


def test_pictures_of_a_type_with_two_arrays_are_read(tmp_path):
    class Stereo(Message, tag="TestStereo/1"):
        left: Annotated[np.ndarray, Array("u1", (None, None))]
        right: Annotated[np.ndarray, Array("u1", (None, None))]

    pair = Stereo(left=np.ones((3, 4), "u1"), right=np.zeros((2, 2), "u1"))
    record([pair], tmp_path / "a.mcap")
    (have,) = read(tmp_path / "a.mcap", "stereo")
    assert np.array_equal(have.left, pair.left)
    assert np.array_equal(have.right, pair.right)


def test_small_messages_are_read_without_the_pictures_between_them(tmp_path):
    log, encode = tmp_path / "a.mcap", Encoder()
    with LogWriter(log) as writer:
        channels = [writer.topic("faces", "Faces/1", b"{}"), writer.topic("camera", "Frame/1", b"{}")]
        for number in range(20):
            image = np.full((300, 300, 3), number, "u1")
            for channel, message in zip(channels, (faces(number), Frame(image=image)), strict=True):
                data = encode(message, seq=number, sent=number, cause=())
                writer.write(channel, data, seq=number, sent=number, received=number)
    with LogReader(log) as reader:
        small = [place for place in reader.contents.places if reader.topics["faces"] in place.channels]
        assert [place.channels for place in small] == [frozenset({reader.topics["faces"]})]
        assert [received for _, (_, _, received, *_) in reader.messages()] == sorted([*range(20)] * 2)


def test_only_what_can_be_read_again_is_recorded(tmp_path):
    class Loose(Message, tag="LogLoose/1"):
        text: str = ""

    wrong = [
        (
            [Frame(image=np.zeros((2, 2)))],
            "a Frame is not what its type says: malformed: Frame.image must be a uint8 array",
        ),
        ([Loose(text=5)], "a Loose is not what its type says: malformed: Expected `str`, got `int`"),
        (["text"], "a log holds messages, and not a str"),
    ]
    for number, (messages, said) in enumerate(wrong):
        with pytest.raises(MessageError) as error:
            record(messages, tmp_path / f"{number}.mcap", "x" if number else "")
        assert said in str(error.value)
    with pytest.raises(MessageError, match="x has messages of type Faces, and now a LockState; give each"):
        record([faces(1), LockState(state="locked")], tmp_path / "x.mcap", "x")
    assert len(list(read(tmp_path / "x.mcap", "x"))) == 1
    with pytest.raises(TypeError):
        record(5, tmp_path / "y.mcap")
    assert not (tmp_path / "y.mcap").exists()


def test_a_stream_that_is_not_read_to_its_end_leaves_no_file_open(tmp_path):
    log = a_log(tmp_path / "a.mcap")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        read(log, "faces")
        next(iter(read(log, "faces")))
    assert len(os.listdir("/proc/self/fd")) == before
