"""Messages: what a user writes, and what is checked."""

from typing import Annotated

import numpy as np
import pytest

from zuluko import Array, Message
from zuluko.bus.message import MessageError, arrays, check_arrays, tag, topic_suffix
from zuluko.messages import Faces, Frame, LockCommand, LockState


class Scan(Message, tag="Scan/1"):
    ranges: Annotated[np.ndarray, Array("<f4", (None,))]
    step: float = 0.1


def test_a_users_message_is_keyword_only_and_frozen():
    scan = Scan(stamp=3, ranges=np.zeros(4, "f4"))
    with pytest.raises(TypeError):
        Scan(np.zeros(4, "f4"))
    with pytest.raises(AttributeError):
        scan.step = 2.0


@pytest.mark.parametrize(
    "wrong", [np.zeros(4, "f8"), np.zeros((4, 1), "f4"), [0.0], None], ids=["dtype", "shape", "list", "none"]
)
def test_an_array_of_another_dtype_or_shape_is_refused(wrong):
    with pytest.raises(MessageError, match=r"Scan\.ranges must be a float32 array of any, not "):
        check_arrays(Scan(ranges=wrong))


def test_fitting_arrays_pass():
    check_arrays(Scan(ranges=np.zeros(0, "f4")))
    check_arrays(Frame(image=np.zeros((2, 3, 3), "u1")))
    assert list(arrays(Frame)) == ["image"]
    assert arrays(Faces) == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(LockCommand, "lock_command"), (Faces, "faces"), (LockState, "lock_state")],
)
def test_topics_take_the_types_name(kind, name):
    assert topic_suffix(kind) == name
    assert tag(kind) == f"{kind.__name__}/1"
