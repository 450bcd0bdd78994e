"""The express lane's protocol, checked in every order in which its steps can happen.

Each process is a generator that yields its atomic steps in the order of the real code, which the comments
name and the last tests compare step by step. A depth-first search tries every interleaving of the processes,
of what the processor does with their loads and stores, and of deaths. Two kinds of processor:

``tso``   x86: a process's stores wait in a queue of its own and reach the memory later, in their order
``weak``  ARM and beyond: stores reach the memory in any order; a load gives any value that was there since
          the process's last barrier, or (of a view) one that will be there before its next

A barrier is ``membarrier(2)``: it orders every process at once; the readers have none of their own.
"""

import fcntl
import gc
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from zuluko.bus import lane, membarrier
from zuluko.bus.lane_reader import Reader
from zuluko.bus.lane_writer import Writer

Op = tuple[Any, ...]
Steps = Generator[Op, Any, Any]
State = tuple[Any, ...]
ENDED, DEAD = -1, -2
HELD = 1  # what a lease word says of the one slot


def load(name: str) -> Op:
    return ("load", name)


def store(name: str, value: int) -> Op:
    return ("store", name, value)


def use(name: str, frame: int, lease: str) -> Op:
    """Reads a part of a view: it must be of that frame, and the lease still there."""
    return ("use", name, frame, lease)


BARRIER: Op = ("barrier",)  # membarrier.barrier()


@dataclass(frozen=True)
class Protocol:
    """The protocol as it is; a mutation changes one of these."""

    fence: bool = True
    leases_again: bool = True
    lease_before_check: bool = True
    reclaim_locks: bool = True
    claim_clears: bool = True
    word_before_leases: bool = True
    settle: bool = True
    reserve: bool = True
    check_after: bool = True
    head_last: bool = True
    check_head: bool = True
    order: bool = True
    come_with_barrier: bool = True


RIGHT = Protocol()


def order(p: Protocol) -> Steps:  # if not membarrier.ORDERED: nothing on x86, a barrier elsewhere
    if p.order:
        yield ("order",)


RING = 2  # messages that the ring holds
CELLS = 2


# The writer's steps.


def leased() -> Steps:  # Writer._leased
    for cell in range(CELLS):
        if (yield load(f"lease{cell}")) == HELD:
            return True
    return False


def close(p: Protocol) -> Steps:  # Writer._close
    if (yield from leased()):
        return None
    before = yield load("generation")
    yield store("generation", before | 1)
    if p.fence:
        yield BARRIER
    if p.leases_again and (yield from leased()):
        yield store("generation", before)
        return None
    if p.settle:
        yield from order(p)  # a reader that has left may not have read to the end yet, where loads come late
    return (before | 1) + 1


def publish(p: Protocol) -> Steps:  # Publisher._place
    frame = yield from close(p)  # Writer.take
    if frame is None:
        return
    yield store("half0", frame)  # np.copyto
    yield store("half1", frame)
    yield from order(p)  # Writer.open
    yield store("generation", frame)
    yield from order(p)  # Writer.put, which the ring's model takes apart
    yield store("told", frame)


def reclaim(p: Protocol, cell: int) -> Steps:  # Writer.reclaim
    if p.reclaim_locks and not (yield ("lock", cell)):
        return
    yield store(f"lease{cell}", 0)
    yield store(f"reader{cell}", 0)
    if p.reclaim_locks:
        yield ("unlock", cell)


def bury(p: Protocol) -> Steps:  # Bell.ring, once a second
    for cell in range(CELLS):
        if (yield load(f"reader{cell}")):
            yield from reclaim(p, cell)


def writer(p: Protocol, frames: int, *, rounds: bool) -> Steps:
    for _ in range(frames):
        yield from publish(p)
        if rounds:
            yield from bury(p)
    if rounds:
        yield ("await",)
        yield from bury(p)
        for cell in range(CELLS):
            yield ("expect", f"lease{cell}", 0, "a dead reader's lease is never taken back")


def put(p: Protocol, number: int, length: int) -> Steps:  # Writer.put
    start = number
    place = start % RING
    if p.reserve:
        yield store("reserved", start + 1)
        yield from order(p)
    if not p.head_last:
        yield store("head", number + 1)
    yield store(f"number{place}", number)
    yield store(f"half0-{place}", number)
    yield store(f"half1-{place}", number)
    yield store(f"index{number % length}", start)
    yield from order(p)
    if not p.reserve:
        yield store("reserved", start + 1)
    if p.head_last:
        yield store("head", number + 1)


def ring_writer(p: Protocol, messages: int, length: int) -> Steps:
    for number in range(messages):
        yield from put(p, number, length)


# A reader's steps.


def view(p: Protocol, cell: int) -> Steps:  # Reader.view
    told = yield load("told")
    lease = f"lease{cell}"
    if p.lease_before_check:
        yield store(lease, HELD)
        generation = yield load("generation")
    else:
        generation = yield load("generation")
        yield store(lease, HELD)
    if generation == told:
        for half in ("half0", "half1"):  # whoever uses the view, whenever
            yield use(half, told, lease)
    yield store(lease, 0)  # Reader.give_back


def attached(p: Protocol, cell: int) -> Steps:
    """A reader that has been there from the beginning, and stays."""
    yield from view(p, cell)


def come(p: Protocol, cell: int) -> Steps:  # Reader.__init__
    yield store(f"reader{cell}", 1)
    if p.come_with_barrier:
        yield BARRIER


def visitor(p: Protocol, *, looks: bool = True) -> Steps:
    """A reader that comes and goes."""
    for cell in range(CELLS):  # Reader._claim
        if (yield ("lock", cell)):
            break
    else:
        return
    if p.claim_clears:
        yield store(f"lease{cell}", 0)
    if p.word_before_leases:
        yield from come(p, cell)
    if looks:
        yield from view(p, cell)
    if not p.word_before_leases:
        yield store(f"reader{cell}", 1)
    yield store(f"reader{cell}", 0)  # Reader._leave
    yield ("unlock", cell)


def read(p: Protocol, number: int, length: int) -> Steps:  # Reader.read
    if (yield load("head")) <= number:  # Subscriber._from_lane
        return
    start = yield load(f"index{number % length}")
    place = start % RING
    reserved = -1 if p.check_after else (yield load("reserved"))
    seq = yield load(f"number{place}")
    half0 = yield load(f"half0-{place}")
    half1 = yield load(f"half1-{place}")
    if p.check_after:
        reserved = yield load("reserved")
    head = (yield load("head")) if p.check_head else 0
    if seq != number or reserved - start > RING or head - number >= length:
        yield ("lost", number, length)
    elif (half0, half1) != (number, number):
        yield ("fail", f"message {number} was read as {half0} and {half1}")


def caller() -> Steps:
    yield store("head", 1)  # Writer.put
    if (yield load("reader0")):  # Bell.ring
        yield store("rung", 1)


def sleeper(p: Protocol) -> Steps:
    yield from come(p, 0)
    if not (yield load("head")):  # Subscriber.wait
        yield ("await",)
        yield ("expect", "rung", 1, "a reader sleeps while a message waits")


def ring_reader(p: Protocol, numbers: tuple[int, ...], length: int) -> Steps:
    for number in numbers:
        yield from read(p, number, length)


# The search.


class Program:
    """A generator as a table of its steps: one entry for each point and value of its variables."""

    def __init__(self, start: Callable[[], Steps]) -> None:
        self._start = start
        self.ops: list[Op] = []
        self._points: dict[Any, int] = {}
        self._paths: list[tuple[Any, ...]] = []
        self._next: dict[tuple[int, Any], int] = {}
        self.first = self._run(())

    def _run(self, path: tuple[Any, ...]) -> int:
        steps = self._start()
        try:
            op = next(steps)
            for result in path:
                op = steps.send(result)
        except StopIteration:
            return ENDED
        point: list[Any] = []
        inner: Any = steps
        while inner is not None:
            frame = inner.gi_frame
            point.append((frame.f_code, frame.f_lasti, tuple(sorted(frame.f_locals.items()))))
            inner = inner.gi_yieldfrom
        steps.close()
        key = tuple(point)
        if key not in self._points:
            self._points[key] = len(self.ops)
            self.ops.append(op)
            self._paths.append(path)
        return self._points[key]

    def after(self, point: int, result: Any = None) -> int:
        found = self._next.get((point, result))
        if found is None:
            found = self._next[point, result] = self._run((*self._paths[point], result))
        return found


class Violation(AssertionError):
    """A promise that was broken, and how it came to it."""


@dataclass(frozen=True)
class World:
    """Processes (the writer first), the memory that they begin with, the processor, and who may be killed.

    A state: each process's point, the memory, the waiting stores of each process, who holds each cell's
    lock, the older values that each process may still see, and the reads that are under way.
    """

    processes: tuple[Callable[[], Steps], ...]
    memory: dict[str, int]
    weak: bool = False
    mortal: frozenset[int] = frozenset()

    def check(self) -> int:
        """How many states there are; raises Violation where one breaks a promise."""
        search = _Search(self)
        first = search.first()
        came_from: dict[State, tuple[State, str] | None] = {first: None}
        waiting = [first]
        while waiting:
            state = waiting.pop()
            try:
                for label, after in search.successors(state):
                    if after not in came_from:
                        came_from[after] = (state, label)
                        waiting.append(after)
            except Violation as broken:
                raise Violation("\n".join([*_story(came_from, state), str(broken)])) from None
        return len(came_from)


def _story(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    lines = []
    while (step := came_from[state]) is not None:
        state, label = step
        lines.append(label)
    return lines[::-1]


class _Search:
    def __init__(self, world: World) -> None:
        self.world = world
        self.programs = [Program(start) for start in world.processes]
        self.names = list(world.memory)
        self.place = {name: index for index, name in enumerate(self.names)}

    def first(self) -> State:
        count = len(self.programs)
        points = tuple(program.first for program in self.programs)
        memory = tuple(self.world.memory.values())
        return points, memory, ((),) * count, (-1,) * CELLS, ((),) * count, ((),) * count

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        points, memory, buffers, locks, older, late = state
        for who, point in enumerate(points):
            for index in self._may_leave(buffers[who]):
                yield self._flush(state, who, index)
            for index, (name, frame) in enumerate(late[who]):
                for value in (*self._older(state, who, name), memory[self.place[name]]):
                    self._compare(who, name, value, frame)
                rest = _without(late[who], index)
                yield (
                    f"{who} has read {name}",
                    (points, memory, buffers, locks, older, _put(late, who, rest)),
                )
            if point >= 0:
                yield from self._step(state, who, point)
                if who in self.world.mortal:
                    yield self._die(state, who)

    def _may_leave(self, buffer: tuple[tuple[str, int], ...]) -> Iterator[int]:
        """Which waiting stores may reach the memory now: of each address the oldest, in order the oldest."""
        seen = set()
        for index, (name, _) in enumerate(buffer):
            if name not in seen:
                yield index
            seen.add(name)
            if not self.world.weak:
                return

    def _flush(self, state: State, who: int, index: int) -> tuple[str, State]:
        points, memory, buffers, locks, older, late = state
        name, value = buffers[who][index]
        older = self._remember(older, memory, who, name)
        memory = _put(memory, self.place[name], value)
        buffers = _put(buffers, who, _without(buffers[who], index))
        return f"{who}: {name} = {value} is in the memory", (points, memory, buffers, locks, older, late)

    def _remember(self, older: State, memory: State, who: int, name: str) -> State:
        """Who has had no barrier since may still see what was there; not whoever wrote it over."""
        if not self.world.weak:
            return older
        was = memory[self.place[name]]
        result = []
        for other, seen in enumerate(older):
            rest = tuple(one for one in seen if other != who or one[0] != name)
            result.append(rest if other == who or (name, was) in rest else (*rest, (name, was)))
        return tuple(result)

    def _older(self, state: State, who: int, name: str) -> list[int]:
        return [value for known, value in state[4][who] if known == name]

    def _barrier(self, state: State) -> State:
        """All that anybody has under way is done: stores are in the memory, reads have been made."""
        points, memory, buffers, locks, _, late = state
        for who, reads in enumerate(late):
            for name, frame in reads:
                for value in (*self._older(state, who, name), memory[self.place[name]]):
                    self._compare(who, name, value, frame)
        for buffer in buffers:
            for name, value in buffer:
                memory = _put(memory, self.place[name], value)
        count = len(points)
        return points, memory, ((),) * count, locks, ((),) * count, ((),) * count

    def _settle(self, state: State, who: int) -> State:
        """A system call, or death: the process's own stores are in the memory, its reads done."""
        while state[2][who]:
            state = self._flush(state, who, 0)[1]
        points, memory, buffers, locks, older, late = state
        for name, frame in late[who]:
            for value in (*self._older(state, who, name), memory[self.place[name]]):
                self._compare(who, name, value, frame)
        return points, memory, buffers, locks, _put(older, who, ()), _put(late, who, ())

    def _die(self, state: State, who: int) -> tuple[str, State]:
        points, memory, buffers, locks, older, late = self._settle(state, who)
        locks = tuple(-1 if holder == who else holder for holder in locks)
        return f"{who} is killed", (_put(points, who, DEAD), memory, buffers, locks, older, late)

    def _compare(self, who: int, name: str, value: int, frame: int) -> None:
        if value != frame:
            raise Violation(f"{who} was told of frame {frame} and read {value} in {name}")

    def _values(self, state: State, who: int, name: str) -> list[int]:
        """What a load may give: its own last store, else what is there, or was."""
        for known, value in reversed(state[2][who]):
            if known == name:
                return [value]
        return [*self._older(state, who, name), state[1][self.place[name]]]

    def _step(self, state: State, who: int, point: int) -> Iterator[tuple[str, State]]:
        program = self.programs[who]
        op = program.ops[point]

        def on(after: State, result: Any = None) -> tuple[str, State]:
            label = f"{who}: {' '.join(map(str, op))}" + (f" -> {result}" if result is not None else "")
            return label, (_put(after[0], who, program.after(point, result)), *after[1:])

        points, memory, buffers, locks, older, late = state
        match op:
            case ("load", name):
                for value in self._values(state, who, name):
                    seen = older
                    if self.world.weak:  # an address never goes back: what is older is over
                        known = [one for one in older[who] if one[0] == name]
                        drop = known[: known.index((name, value))] if (name, value) in known else known
                        seen = _put(older, who, tuple(one for one in older[who] if one not in drop))
                    yield on((points, memory, buffers, locks, seen, late), value)
            case ("store", name, value):
                waiting = _put(buffers, who, (*buffers[who], (name, value)))
                yield on((points, memory, waiting, locks, older, late))
            case ("barrier",):
                yield on(self._barrier(state))
            case ("order",):
                yield on(self._barrier(state) if self.world.weak else state)
            case ("use", name, frame, lease):
                if self._values(state, who, lease)[-1] != HELD:
                    raise Violation(f"{who} has lost its lease")
                if self.world.weak:
                    yield on(
                        (points, memory, buffers, locks, older, _put(late, who, (*late[who], (name, frame))))
                    )
                else:
                    self._compare(who, name, memory[self.place[name]], frame)
                    yield on(state)
            case ("lock", cell):
                after = self._settle(state, who)
                if locks[cell] in (-1, who):
                    yield on((*after[:3], _put(locks, cell, who), *after[4:]), True)
                else:
                    yield on(after, False)
            case ("unlock", cell):
                after = self._settle(state, who)
                yield on((*after[:3], _put(locks, cell, -1), *after[4:]))
            case ("await",):
                if all(other == who or one < 0 for other, one in enumerate(points)):
                    yield on(self._barrier(state))  # by the next second all has come to rest
            case ("expect", name, value, text):
                if self._values(state, who, name)[-1] != value:
                    raise Violation(text)
                yield on(state)
            case ("lost", number, length):
                begun = max(memory[self.place["reserved"]], memory[self.place["head"]] + 1)
                if begun <= number + min(RING, length - 1):
                    raise Violation(f"message {number} was given up before it was overtaken")
                yield on(state)
            case ("fail", text):
                raise Violation(text)


def _put(of: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*of[:index], value, *of[index + 1 :])


def _without(of: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return of[:index] + of[index + 1 :]


# The worlds: the first frame is there already, its generation 2.

FRAME = {"generation": 2, "half0": 2, "half1": 2, "told": 2}
CELL_WORDS = {f"{what}{cell}": 0 for what in ("lease", "reader") for cell in range(CELLS)}


def frames(p: Protocol = RIGHT, *, weak: bool = False, count: int = 2) -> World:
    """A writer of some frames, which may be killed at any step, and two readers that stay."""
    readers = [lambda cell=cell: attached(p, cell) for cell in range(2)]
    return World(
        (lambda: writer(p, count, rounds=False), *readers), FRAME | CELL_WORDS, weak, mortal=frozenset({0})
    )


def visits(p: Protocol = RIGHT, *, weak: bool = False, second: bool = True, looks: bool = True) -> World:
    """A writer that looks for the dead, and readers that come and go, or are killed at any step."""
    readers = [lambda: visitor(p), lambda: visitor(p, looks=looks)][: 2 if second else 1]
    start = FRAME | CELL_WORDS
    return World((lambda: writer(p, 1, rounds=True), *readers), start, weak, mortal=frozenset({1, 2}))


def ring(p: Protocol = RIGHT, *, weak: bool = False, length: int = 2, rounds: int = 1) -> World:
    """A writer that goes round the ring; one reader stands for all, because none writes anything."""
    places = {f"{what}{place}": -1 for what in ("number", "half0-", "half1-") for place in range(RING)}
    memory = {"head": 0, "reserved": 0} | {f"index{place}": 0 for place in range(length)} | places
    return World(
        (lambda: ring_writer(p, rounds * RING + 1, length), lambda: ring_reader(p, (0, rounds), length)),
        memory,
        weak,
        mortal=frozenset({0}),
    )


def first(p: Protocol = RIGHT, *, weak: bool = False) -> World:
    """A writer's message, and a reader that comes at that moment and wants to be woken."""
    return World((caller, lambda: sleeper(p)), {"head": 0, "reader0": 0, "rung": 0}, weak)


@pytest.mark.parametrize("weak", [False, True], ids=["tso", "weak"])
def test_a_reader_that_comes_is_woken_or_finds_the_message(weak):
    assert first(weak=weak).check() > 10


@pytest.mark.parametrize("weak", [False, True], ids=["tso", "weak"])
def test_a_view_never_changes_under_its_reader(weak):
    assert frames(weak=weak).check() > 10_000


@pytest.mark.parametrize("looks", [False, True], ids=["the second passes by", "both look"])
def test_readers_that_come_and_go_and_die_lose_no_lease_and_leave_none(looks):
    assert visits(looks=looks).check() > 10_000


def test_a_reader_that_comes_and_goes_and_dies_leaves_none_on_a_weak_processor():
    assert visits(weak=True, second=False).check() > 3_000


@pytest.mark.parametrize("length", [2, 3], ids=["index as long as the ring", "index longer"])
@pytest.mark.parametrize("weak", [False, True], ids=["tso", "weak"])
def test_a_message_comes_whole_or_is_told_as_overtaken(weak, length):
    assert ring(weak=weak, length=length, rounds=2).check() > 5_000


WRONG_FRAME = "was told of frame 2 and read"
TORN = "message 0 was read as (0 and 2|2 and 0|2 and 2)"
LOST = "has lost its lease"
LEFT = "a dead reader's lease is never taken back"


@pytest.mark.parametrize(
    ("without", "world", "weak", "broken"),
    [
        ("fence", frames, False, WRONG_FRAME),
        ("fence", frames, True, WRONG_FRAME),
        ("leases_again", frames, False, WRONG_FRAME),
        ("lease_before_check", frames, False, WRONG_FRAME),
        ("settle", frames, True, WRONG_FRAME),
        ("reclaim_locks", visits, False, LOST),
        ("claim_clears", lambda p, **how: visits(p, looks=False, **how), False, LEFT),
        ("word_before_leases", visits, False, LEFT),
        ("reserve", lambda p, **how: ring(p, length=3, **how), False, TORN),
        ("check_after", lambda p, **how: ring(p, length=3, **how), False, TORN),
        ("head_last", ring, False, "message 0 was read as -1 and -1"),
        ("check_head", ring, True, TORN),
        ("come_with_barrier", first, False, "a reader sleeps while a message waits"),
        ("order", frames, True, WRONG_FRAME),
        ("order", lambda p, **how: ring(p, rounds=0, **how), True, "message 0 was read as"),
    ],
)
def test_a_protocol_without_one_of_its_parts_is_found_out(without, world, weak, broken):
    with pytest.raises(Violation, match=broken):
        world(replace(RIGHT, **{without: False}), weak=weak).check()


# The model's steps are those of the code: each runs once, alone, and what it does to shared memory is compared.


def names_of_words() -> dict[int, str]:
    names = {lane.HEAD: "head", lane.RESERVED: "reserved"}
    names |= {lane.READERS + cell: "reader" for cell in range(lane.CELLS)}
    names |= {lane.LEASE_WORDS + word: "lease" for word in range(lane.CELLS * lane.LEASES)}
    names |= {lane.GENERATIONS + slot: "generation" for slot in range(lane.MOST_SLOTS)}
    return names | {lane.INDEX + place: "index" for place in range(lane.INDEX_LENGTH)}


NAMES = names_of_words()


class Log(list):
    """What is done to shared memory, a thing that is done again and again noted once."""

    def note(self, what: str) -> None:
        if not self or self[-1] != what:
            self.append(what)


class Watched:
    """Shared memory that notes what is done to it; ``name`` is of all of it, where it is no words."""

    def __init__(self, memory: Any, log: Log, name: str = "") -> None:
        self.memory, self._log, self._name = memory, log, name

    def _note(self, what: str, key: Any) -> None:
        self._log.note(f"{what} {self._name or NAMES[key.start if isinstance(key, slice) else key]}")

    def __getitem__(self, key: Any) -> Any:
        self._note("load", key)
        return self.memory[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._note("store", key)
        self.memory[key] = value


class WatchedEntry:
    def __init__(self, log: Log) -> None:
        self._log, self._entry = log, lane.ENTRY

    def pack_into(self, ring: Watched, place: int, number: int, size: int) -> None:
        self._log.note("store number")
        self._entry.pack_into(ring.memory, place, number, size)

    def unpack_from(self, ring: Watched, place: int) -> Any:
        self._log.note("load number")
        return self._entry.unpack_from(ring.memory, place)


class WatchedReader(Reader):
    log = Log()

    def _map(self, identity: int) -> None:
        super()._map(identity)
        self.words: Any = Watched(self.words, self.log)
        self._ring: Any = Watched(self._ring, self.log, "half")


@pytest.fixture
def log(monkeypatch):
    log = WatchedReader.log = Log()
    monkeypatch.setattr(membarrier, "barrier", lambda: log.note("barrier"))
    monkeypatch.setattr(membarrier, "ORDERED", False)
    monkeypatch.setattr(lane, "ENTRY", WatchedEntry(log))
    lock = lane.lock
    kinds = {fcntl.F_WRLCK: "lock", fcntl.F_UNLCK: "unlock"}
    monkeypatch.setattr(lane, "lock", lambda fd, cell, kind: log.note(kinds[kind]) or lock(fd, cell, kind))
    return log


@pytest.fixture
def real(log):
    """A writer that notes what it does."""
    writer = Writer("model", slot=4096, slots=1)
    writer._words, writer._ring = Watched(writer._words, log), Watched(writer._ring, log, "half")
    yield writer
    writer.close()


@pytest.fixture
def reader(real):
    reader = WatchedReader(os.getpid(), real.fd, real.id)
    yield reader
    reader.close()


def of_model(steps: Steps, **memory: int) -> Log:
    """What the model's steps do when nobody else is there."""
    log, result = Log(), None
    memory = FRAME | CELL_WORDS | memory
    while True:
        try:
            op = steps.send(result)
        except StopIteration:
            return log
        name = "".join(letter for letter in str(op[1:2]) if letter.isalpha())
        result = memory.get(op[1], 0) if op[0] == "load" else True
        if op[0] == "store":
            memory[op[1]] = op[2]
        if name != "told":
            what = f"{op[0]} {name}" if op[0] in ("load", "store", "use") else op[0]
            log.note("barrier" if what == "order" else what)


def own(steps: list[str]) -> list[str]:
    """Without the writer's looks at its own generations, which nobody else writes."""
    return [step for step in steps if step != "load generation"]


def fill(writer, log):
    if (array := writer.empty((4096,), np.dtype("u1"))) is None:
        return None
    log.note("store half")
    slot = writer.slot_of(array)
    return slot, writer.open(slot)


def test_the_writer_publishes_a_frame_as_in_the_model(real, log):
    fill(real, log)
    assert [*own(log), "barrier"] == own(of_model(publish(RIGHT)))  # the last is put's


def test_the_writer_leaves_a_leased_slot_as_in_the_model(real, log, monkeypatch):
    def lease():
        log.note("barrier")
        real._words.memory[lane.LEASE_WORDS] = 1

    monkeypatch.setattr(membarrier, "barrier", lease)
    assert fill(real, log) is None
    steps = close(RIGHT)
    at_once = [steps.send(None), *(steps.send(0) for _ in range(5)), steps.send(1)]
    assert at_once[-3:] == [BARRIER, load("lease0"), store("generation", 0)]
    assert own(log) == ["load lease", "store generation", "barrier", "load lease", "store generation"]
    log.clear()
    assert fill(real, log) is None
    assert log == of_model(close(RIGHT), lease0=1) == ["load lease"]


def test_the_writer_puts_a_message_as_in_the_model(real, log):
    real.put(b"message")
    assert log == of_model(put(RIGHT, 0, 2))


def test_the_writer_takes_a_dead_readers_cell_back_as_in_the_model(real, log):
    assert real.reclaim(0)
    assert log == of_model(reclaim(RIGHT, 0))


def test_a_reader_comes_looks_and_goes_as_in_the_model(real, log):
    slot, generation = fill(real, log)
    log.clear()
    reader = WatchedReader(os.getpid(), real.fd, real.id)
    frame = reader.view(slot, generation, np.dtype("u1"), (4096,))
    log.note("use half")
    del frame
    gc.collect()
    reader.close()
    assert log == of_model(visitor(RIGHT))


def test_a_reader_of_an_overtaken_frame_does_as_in_the_model(real, log, reader):
    slot, generation = fill(real, log)
    log.clear()
    with pytest.raises(ValueError, match="overtaken"):
        reader.view(slot, generation + 2, np.dtype("u1"), (4096,))
    assert log == of_model(attached(RIGHT, 0), told=4)


def test_a_reader_reads_a_message_as_in_the_model(real, log, reader):
    real.put(b"message")
    log.clear()
    assert reader.head == 1
    assert reader.read(0) == b"message"
    assert log == [step for step in of_model(read(RIGHT, 0, 2), head=1, reserved=1) if step != "fail"]
