"""What happened in a graph, told from its messages: what is shown live, the events worth a line, the summary,
and for a scene with ground truth the verdict. It reads messages and times, and prints nothing."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from zuluko.bus.message import Message
from zuluko.bus.wire import Envelope
from zuluko.launch import deeds
from zuluko.messages import Decision, Face, Faces, Frame, LockCommand, LockState

STEADY = 3  # pictures for which somebody must be there, or gone, before it is told
REMEMBERED = 900  # pictures whose scene is known: a minute at 15 Hz
LATE = 1_000_000_000  # ns after its time that a lock may take to say that it has locked
RUNNING = ("starting", "ready", "degraded")
BLIND = 1_000_000_000  # ns without a picture, after which what its camera has said is taken for the reason


@dataclass(frozen=True)
class Event:
    """One line worth telling; ``seconds`` since the start."""

    seconds: float
    who: str
    text: str
    mood: str = ""  # good, bad, or nothing in particular


@dataclass
class Scenes:
    """Who was in the picture, by the picture's stamp, where the source knows it."""

    stamps: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, stamp: int, name: str) -> None:
        self.stamps.append(stamp)
        self.names.append(name)
        if len(self.stamps) > 2 * REMEMBERED:
            del self.stamps[:REMEMBERED], self.names[:REMEMBERED]

    def at(self, stamp: int) -> str:
        index = bisect_right(self.stamps, stamp) - 1
        return self.names[index] if index >= 0 else ""


class Story:
    """Fed with each envelope (``hear``) and each of the supervisor's events (``note``). A graph without a
    lock is not judged by one. ``cameras`` gives the node and the process of each topic of pictures,
    ``without`` what to do for one that has no camera."""

    def __init__(
        self,
        holds: dict[str, float],
        start: int,
        *,
        has_truth: bool = False,
        has_lock: bool = True,
        cameras: Mapping[str, tuple[str, str]] = {},
        without: str = "",
    ) -> None:
        self._holds = holds  # a rule's own `for`, in seconds
        self._cameras, self._without = cameras, without
        self._seen = dict.fromkeys(cameras, start)  # when each began, or had its last picture
        self._said: dict[str, str] = {}  # by camera's topic, what it said since then
        self._blind: set[str] = set()  # of which that has been told
        self._start = start
        self._has_truth, self._has_lock = has_truth, has_lock
        self.events: deque[Event] = deque(maxlen=1000)
        self.states: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.messages: Counter[str] = Counter()  # by topic
        self.counts: Counter[str] = Counter()  # of what happened
        self.rates: dict[str, deque[int]] = {}
        self._lost: dict[str, list[Counter[str]]] = {}  # by node: of its earlier lives, and of this one
        self.frame: Frame | None = None
        self.faces: Faces | None = None
        self.decision: Decision | None = None
        self.locks: dict[str, LockState] = {}
        self.scenes = Scenes()
        self.latencies: list[float] = []  # s from evidence to unlock command, beyond the rule's own `for`
        self.oldest = 0.0  # s: the oldest evidence that came to a rule, or on which one fired
        self._evaluated: dict[str, tuple[str, int]] = {}  # by rule: the message, which may be looked at again
        self.opened_for: Counter[str] = Counter()
        self._overdue: set[str] = set()
        self._fired: dict[str, Decision] = {}
        self._sent: dict[str, int] = {}
        self._opened: dict[str, None] = {}
        self._deeds: dict[str, deeds.Deed] = {}  # by topic, the last that was told
        self._there = ""
        self._candidate = ("", 0)

    @property
    def has_truth(self) -> bool:
        """Whether somebody knows who was in the picture, as for the demo."""
        return self._has_truth or bool(self.scenes.names)

    def hear(self, topic: str, envelope: Envelope[Message], now: int) -> None:
        message = envelope.body
        self.messages[topic] += 1
        self.rates.setdefault(topic, deque(maxlen=32)).append(envelope.sent)
        if isinstance(message, Frame):
            self.frame = message
            self.counts["frames"] += 1
            self._see(topic, now)
            if message.scene:
                self.scenes.add(message.stamp, message.scene)
        elif isinstance(message, Faces):
            self._hear_faces(topic, message, now)
        elif isinstance(message, Decision):
            self._hear_decision(topic, message, now)
        elif isinstance(message, LockCommand):
            self._hear_command(message, envelope.sent)
        elif isinstance(message, LockState):
            self._hear_lock(topic, message, now)
        elif (deed := deeds.describe(message)) and self._deeds.get(topic) != deed:
            self._deeds[topic] = deed
            self._tell(now, topic, deed.text, deed.mood)

    def _tell(self, now: int, who: str, text: str, mood: str = "") -> None:
        """``who`` is a node, or one of its topics."""
        self.events.append(Event((now - self._start) / 1e9, who.partition(".")[0], text, mood))

    def _hear_faces(self, topic: str, faces: Faces, now: int) -> None:
        self.faces = faces
        self.counts["faces"] += len(faces.items)
        seen = ", ".join(sorted({face.name or "a stranger" for face in faces.items}))
        self._candidate = (seen, self._candidate[1] + 1 if seen == self._candidate[0] else 1)
        if seen != self._there and self._candidate[1] >= STEADY:
            self._there = seen
            self._tell(now, topic, describe(faces), "good" if any(f.name for f in faces.items) else "")

    def _hear_decision(self, topic: str, decision: Decision, now: int) -> None:
        self.decision = decision
        self.counts["decisions"] += 1
        self.counts[f"decisions {decision.outcome}"] += 1
        evidence = (decision.topic, decision.seq)
        if evidence != self._evaluated.get(decision.rule) or decision.outcome == "fired":
            self.oldest = max(self.oldest, decision.age)
        self._evaluated[decision.rule] = evidence
        if decision.outcome == "fired":
            _remember(self._fired, decision.command, decision)
            self._tell(now, topic, f"{decision.rule} fired: {decision.reason}", "good")
        elif decision.outcome == "failed":
            self._tell(now, topic, f"{decision.rule} failed: {decision.reason}", "bad")

    def _hear_command(self, command: LockCommand, sent: int) -> None:
        _remember(self._sent, command.id, sent)

    def _hear_lock(self, topic: str, state: LockState, now: int) -> None:
        before = self.locks.get(topic)
        self.locks[topic] = state
        if state.reason.startswith("refused") and (before is None or before.command != state.command):
            self.counts["refused"] += 1
            self._tell(now, topic, state.reason, "bad")
        if before is None or before.state != state.state:
            self._tell(
                now, topic, f"{state.state} ({state.reason})", "good" if state.state == "unlocked" else ""
            )
        if state.state == "locked":
            self._overdue.discard(topic)
        elif state.command not in self._opened:
            _remember(self._opened, state.command, None)
            self._count_unlock(state)

    def _count_unlock(self, state: LockState) -> None:
        """An unlock stands on the evidence of the decision that commanded it."""
        self.counts["unlocks"] += 1
        decision = self._fired.get(state.command)
        self.opened_for[self.scenes.at(decision.stamp if decision else state.stamp)] += 1
        if decision and decision.since and (sent := self._sent.get(state.command)):
            self.latencies.append((sent - decision.since) / 1e9 - self._holds.get(decision.rule, 0.0))

    def _see(self, topic: str, now: int) -> None:
        self._seen[topic] = now
        self._said.pop(topic, None)
        self._blind.discard(topic)

    def blind(self, topic: str, now: int) -> str:
        """Why no picture comes on a camera's topic, as the camera said; empty while some do, or may yet."""
        node, _ = self._cameras.get(topic, ("", ""))
        said = self._said.get(topic)
        patience = max(BLIND, 3e9 / rate if (rate := self.rate(topic)) else 0)
        if not said or now - self._seen[topic] < patience or self.states.get(node) not in RUNNING:
            return ""
        since = f"for {(now - self._seen[topic]) / 1e9:.0f} s" if self.messages[topic] else "yet"
        return f"no picture {since}: {said}" + (f"; {self._without}" if self._without else "")

    def look(self, now: int) -> None:
        """Notices a camera that gives no picture, and a lock that should have locked again, and has not said
        so."""
        for topic, (node, _) in self._cameras.items():
            if topic not in self._blind and (why := self.blind(topic, now)):
                self._blind.add(topic)
                self._tell(now, node, why, "bad")
        for topic, state in self.locks.items():
            if state.state == "unlocked" and now > state.until + LATE and topic not in self._overdue:
                self._overdue.add(topic)
                self.counts["overdue"] += 1
                self._tell(now, topic, "should have locked again, and has not said so", "bad")

    def note(self, event: dict[str, Any], now: int) -> None:
        """One of the supervisor's events: a node's state, a line of its log, its statistics."""
        node = str(event.get("node", ""))
        if "state" in event:
            self.states[node], self.reasons[node] = event["state"], event.get("reason", "")
            if event["state"] == "starting":
                for topic in self._topics_of(node):
                    self._see(topic, now)
        if "stats" in event:
            self._count_lost(node, event["stats"])
        if "after" in event:
            self._tell(now, node, f"ready after {event['after']:.2f} s")
        if "log" in event:
            self._said |= dict.fromkeys(self._topics_of(node), str(event["log"]))
        if said := event.get("text") or event.get("log"):
            self._tell(now, node or "zuluko", str(said), "bad" if "state" in event else "")

    def _topics_of(self, name: str) -> list[str]:
        """The topics of pictures of a node, or of a process."""
        return [topic for topic, names in self._cameras.items() if name in names]

    def rate(self, topic: str) -> float:
        """Messages a second, over the last 32."""
        sent = self.rates.get(topic) or deque()
        return (len(sent) - 1) / max(1e-9, (sent[-1] - sent[0]) / 1e9) if len(sent) > 1 else 0.0

    def _count_lost(self, node: str, stats: dict[str, Any]) -> None:
        causes: Counter[str] = Counter()
        for lost in stats.get("lost", {}).values():
            causes.update(lost)
        if failed := stats.get("commands", {}).get("failed", 0):
            causes["commands"] = failed
        lives = self._lost.setdefault(node, [Counter(), Counter()])
        if any(causes[cause] < count for cause, count in lives[1].items()):
            lives[0] += lives[1]  # it has died and begins to count anew
        lives[1] = causes

    def lost_total(self) -> Counter[str]:
        """What was lost on the way, by cause."""
        return sum((count for lives in self._lost.values() for count in lives), Counter())

    def verdict(self) -> tuple[bool, str]:
        """Whether the lock opened for the owner and for nobody else; true without ground truth."""
        if self.counts["overdue"]:
            return False, "the lock stayed open longer than it was told"
        if not self.has_truth or not self._has_lock:
            return True, ""
        wrong = [scene or "an unknown scene" for scene in self.opened_for if scene != "owner"]
        if wrong:
            return False, f"the lock opened for: {', '.join(wrong)}"
        if self.opened_for["owner"]:
            return True, "the lock opened for the owner, and for nobody else"
        if "owner" not in self.scenes.names:
            return False, "stopped before the owner came"
        return False, "the lock did not open for the owner"

    def summary(self) -> dict[str, Any]:
        """The figures of the whole run; times in milliseconds, None where there was no unlock, as is their
        number where there is no lock."""
        latencies = [latency * 1000 for latency in self.latencies]
        good, why = self.verdict()
        return {
            "messages": dict(self.messages),
            "frames": self.counts["frames"],
            "faces": self.counts["faces"],
            "decisions": self.counts["decisions"],
            "fired": self.counts["decisions fired"],
            "unlocks": self.counts["unlocks"] if self._has_lock else None,
            "refused": self.counts["refused"],
            "evidence_to_unlock_ms": {
                "median": round(median(latencies), 1) if latencies else None,
                "worst": round(max(latencies), 1) if latencies else None,
            },
            "oldest_evidence_ms": round(self.oldest * 1000, 1),
            "lost": dict(self.lost_total()),
            "good": good,
            "verdict": why,
        }


def _remember(known: dict[str, Any], key: str, value: Any) -> None:
    """Keeps the last hundred."""
    known[key] = value
    if len(known) > 100:
        del known[next(iter(known))]


def describe(faces: Faces) -> str:
    """Who is there, in words."""
    return "; ".join(map(_describe, faces.items)) or "nobody is there"


def _describe(face: Face) -> str:
    if face.name:
        return f"{face.name} (similarity {face.similarity:.2f})"
    if face.similarity <= -1:
        return "a stranger"
    return f"a stranger (at most {face.similarity:.2f} like anybody known)"
