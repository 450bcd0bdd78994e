"""Fuzzes the decoder of every message type with atheris (``pip install atheris``), which is no dependency.

    python scripts/fuzz_wire.py [-max_total_time=180] [other options of libFuzzer] [CORPUS]

The first byte chooses the type, the rest is the message or says how to make one. Anything
but a message or a WireError is a finding.
"""

import sys
from contextlib import suppress
from typing import Any

import atheris
import msgpack
import numpy as np

with atheris.instrument_imports(include=["zuluko"]):
    import zuluko.messages
    from zuluko.bus.message import Message
    from zuluko.bus.wire import BLOB, Blob, Decoder, Encoder, WireError, handle


KINDS = [one for one in vars(zuluko.messages).values() if isinstance(one, type) and issubclass(one, Message)]
KINDS = [kind for kind in KINDS if kind.__module__ == "zuluko.messages"]


def in_a_slot(form: dict[str, Any]) -> Any:
    """An array as the lane's reader takes it, less the shared memory."""
    if "data" in form:
        return zuluko.bus.wire.from_inline(form)
    _, _, dtype, shape = handle(form)
    return np.empty(shape if np.prod(shape, dtype=float) < 1 << 16 else 0, dtype)


DECODERS: list[Decoder[Any]] = [Decoder(kind) for kind in KINDS]
DECODERS += [Decoder(kind, in_a_slot) for kind in KINDS]
DECODERS.append(Decoder(Any))  # type: ignore[arg-type]


def frame(data: bytes) -> bytes:
    """A frame whose array is described by chance; random bytes alone seldom come so far."""
    chance = atheris.FuzzedDataProvider(data)
    form: dict[str, Any] = {"dtype": chance.PickValueInList(["|u1", "<f4", chance.ConsumeUnicode(8)])}
    form["shape"] = [chance.ConsumeIntInRange(-1, 1 << 33) for _ in range(chance.ConsumeIntInRange(0, 9))]
    if chance.ConsumeBool():
        form["data"] = chance.ConsumeBytes(64)
    else:
        form |= {"slot": chance.ConsumeInt(5), "generation": chance.ConsumeInt(8)}
    body = {"type": "Frame/1", "stamp": chance.ConsumeInt(8), "image": form}
    return bytes(msgpack.packb([1, 0, 0, [], body], unicode_errors="surrogatepass"))


FRAMES = [KINDS.index(zuluko.messages.Frame), len(KINDS) + KINDS.index(zuluko.messages.Frame)]


def one(data: bytes) -> None:
    """The second half of the first byte's values stands for a described frame."""
    with suppress(WireError):
        if data and data[0] >= 128:
            data = data[:1] + frame(data[1:])
            DECODERS[FRAMES[data[0] % 2]](data[1:])
            return
        if data[1:].startswith(BLOB):
            Blob.decode(data[1:])
        elif data:
            DECODERS[data[0] % len(DECODERS)](data[1:])


def seeds() -> list[bytes]:
    """A whole message of each type that needs no fields, and a frame."""
    frame = zuluko.messages.Frame(image=np.zeros((1, 2, 3), "u1"))
    whole = [frame, zuluko.messages.Faces(), zuluko.messages.LockState(state="locked")]
    return [bytes([KINDS.index(type(good))]) + Encoder()(good, seq=1, sent=2) for good in whole]


def main() -> None:
    import tempfile
    from pathlib import Path

    arguments = sys.argv
    if all(text.startswith("-") for text in arguments[1:]):
        corpus = Path(tempfile.mkdtemp(prefix="zk-fuzz-"))
        for number, data in enumerate(seeds()):
            (corpus / str(number)).write_bytes(data)
        arguments = [*arguments, str(corpus)]
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
