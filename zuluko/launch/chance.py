"""Chance in lockstep: each node has the generators of ``random`` and ``numpy.random`` to itself, seeded by
its name and the log, so that what it draws from them is the same on every run, whatever the others draw."""

import hashlib
import random
from typing import Any

import numpy as np


class Chance:
    """The generators of one node: ``enter`` before it runs, and ``leave`` before another's enter."""

    def __init__(self, seed: str = "") -> None:
        number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "little")
        self._state = random.Random(number).getstate()  # noqa: S311
        self._bits: Any = np.random.MT19937(number)

    @classmethod
    def of_this_process(cls) -> "Chance":
        """The generators as they are, to be put back."""
        found = cls()
        found.leave()
        return found

    def enter(self) -> None:
        random.setstate(self._state)
        np.random.set_bit_generator(self._bits)  # type: ignore[attr-defined]

    def leave(self) -> None:
        self._state = random.getstate()
        self._bits = np.random.get_bit_generator()  # type: ignore[attr-defined]
