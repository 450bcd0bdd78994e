"""Commands to actuators, and what became of them."""

from typing import Any, ClassVar, Literal

import msgspec

from zuluko.bus.message import Command, Message

Result = Literal["done", "failed", "refused"]  # of a command: refused before anything was tried


class Delivery(Message, tag="Delivery/1"):
    """What became of a command, told by the node that sent it on its topic ``<node>.delivery``.

    ``command``  its id; ``stamp`` is that of the command's evidence
    ``to``       the node that it went to
    ``outcome``  taken: the receiving node's stream has it; failed: nobody has taken it, nobody will
    ``reason``   why it failed
    """

    command: str
    to: str
    outcome: Literal["taken", "failed"]
    reason: str = ""


class LockCommand(Command, tag="LockCommand/1"):
    """Opens a lock for ``open_for`` seconds; 0 locks it at once. ``reason`` names the rule that said so."""

    open_for: float = 0.0
    reason: str = ""


class LockState(Message, tag="LockState/1"):
    """What a lock does, told at each change and once a second.

    ``stamp``    of a change that a command made, the command's (the evidence that opened the door); of every
                 other state, the moment at which it was told
    ``state``    what the bolt reads, not what it was told: "locked" only when it is
    ``reason``   why it is so, in words: "start", "unlock" (a rule's name), "time is up", "refused: ..."
    ``until``    graph time (ns) at which an open lock locks again; 0 when locked
    ``command``  the id of the command that was last obeyed or refused
    """

    state: Literal["locked", "unlocked"]
    reason: str = ""
    until: int = 0
    command: str = ""


class DriveCommand(Command, tag="DriveCommand/1"):
    """Drives a mobile base for as long as such commands keep coming; both 0 stops it.

    ``linear``   forward, in m/s (REP-103: x points forward); negative is backwards
    ``angular``  rad/s about the axis that points up; positive turns left
    """

    linear: float = 0.0
    angular: float = 0.0
    reason: str = ""


class DriveState(Message, tag="DriveState/1"):
    """What a mobile base does, told at each change, ten times a second while it moves, else once a second.

    ``stamp``            of a change that a command made, the command's; else the moment at which it was told
    ``state``            what the wheels read, not what they were told
    ``linear``           m/s forward, and ``angular`` rad/s to the left, as the wheels read
    ``x``, ``y``, ``yaw``  where it has come to since the start: metres and radians in REP-105's ``odom``
    ``reason``           why it is so: a rule's name, "no command for 0.3 s", "refused: ..."
    ``command``          the id of the command that was last obeyed or refused
    """

    state: Literal["stopped", "moving"]
    linear: float = 0.0
    angular: float = 0.0
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    reason: str = ""
    command: str = ""


class NotifyCommand(Command, tag="NotifyCommand/1"):
    """Tells people something; ``level`` says how much it matters. ``reason`` names the rule that said so."""

    needs_fresh_evidence: ClassVar[bool] = False

    text: str
    title: str = ""
    level: Literal["info", "warning", "alarm"] = "info"
    reason: str = ""


class NotifyState(Message, tag="NotifyState/1"):
    """What became of a notice, told once for each command; ``stamp`` and ``command`` are the command's.

    ``outcome``  done: the channel has taken it; failed: it was tried and given up; refused: it was not tried
    ``reason``   why, and never a password or an address with one
    ``tries``    how often it was tried
    ``title``, ``text``  what was to be told
    """

    command: str
    outcome: Result
    reason: str = ""
    tries: int = 0
    title: str = ""
    text: str = ""


class SnapshotCommand(Command, tag="SnapshotCommand/1"):
    """Keeps the picture that was the evidence, and the Decision; ``label`` is part of the files' name."""

    needs_fresh_evidence: ClassVar[bool] = False

    label: str = ""
    reason: str = ""


class SnapshotState(Message, tag="SnapshotState/1"):
    """What became of a snapshot, told once for each command; ``stamp`` and ``command`` are the command's.

    ``outcome``   done: both files are on the disk; failed: what is there is whole, and ``reason`` says why
    ``picture``   the JPEG's path, empty where there was no picture
    ``decision``  the path of the JSON beside it
    ``off``       seconds from the evidence to the picture that was kept; 0 where it is that very one
    """

    command: str
    outcome: Result
    reason: str = ""
    picture: str = ""
    decision: str = ""
    off: float = 0.0


class RecordCommand(Command, tag="RecordCommand/1"):
    """Has the recorder begin a log (``start``), make it whole (``stop``), or keep the last seconds, and some
    that follow, as a log of their own (``snapshot``)."""

    needs_fresh_evidence: ClassVar[bool] = False

    action: Literal["start", "stop", "snapshot"]
    reason: str = ""


class RecordState(Message, tag="RecordState/1"):
    """What became of a command, told once for each; and, with an empty ``command``, of a snapshot that an
    event had kept, or of a recording that could not go on.

    ``stamp``     the command's; of what nobody commanded, the graph time (ns) of the event
    ``outcome``   done: a log is begun (start), or whole (stop, snapshot); failed: what is there is whole, and
                  ``reason`` says why there is no more; refused: nothing was done
    ``log``       the file's path, where there is one
    ``messages``  how many a whole log has, and ``seconds`` from its first to its last
    """

    action: Literal["start", "stop", "snapshot"]
    outcome: Result
    command: str = ""
    reason: str = ""
    log: str = ""
    messages: int = 0
    seconds: float = 0.0


class RunCommand(Command, tag="RunCommand/1"):
    """Runs a program that the launch file allows, by its name there; ``values`` fill its placeholders."""

    name: str
    values: dict[str, str] = msgspec.field(default_factory=dict)
    reason: str = ""


class RunState(Message, tag="RunState/1"):
    """What became of a program, told when it is started and when it has ended.

    ``outcome``  running; done: it ended with status 0; failed: with another, by a signal, or not in time;
                 refused: it was not started
    ``status``   its exit status, negative for a signal; -1 also where it has none
    ``output``   the beginning of what it printed
    ``took``     seconds
    """

    command: str
    name: str
    outcome: Literal["running", "done", "failed", "refused"]
    reason: str = ""
    status: int = -1
    output: str = ""
    took: float = 0.0


class SayCommand(Command, tag="SayCommand/1"):
    """Speaks a text, or plays a sound that the launch file names, or the sound and then the text."""

    needs_fresh_evidence: ClassVar[bool] = False

    text: str = ""
    sound: str = ""
    reason: str = ""


class SayState(Message, tag="SayState/1"):
    """What became of it, told once for each command; ``stamp`` and ``command`` are the command's."""

    command: str
    outcome: Result
    reason: str = ""
    text: str = ""
    sound: str = ""


Setting = bool | int | float | str | list[Any] | None  # a parameter's value as a launch file may say it


class SetCommand(Command, tag="SetCommand/1"):
    """Gives a node's parameter another value, of those that the launch file allows.

    ``node``, ``name``  the node and its parameter, by their names in the launch file
    ``value``           as it would stand there: ``15``, ``5s``, ``[ana, ben]``
    """

    within_graph: ClassVar[bool] = True

    node: str
    name: str
    value: Setting
    reason: str = ""


class SetState(Message, tag="SetState/1"):
    """What became of it, told once for each command; ``stamp`` and ``command`` are the command's.

    ``outcome``  done: the node runs with ``value``, or will when it next starts; failed: it would not run
                 with it, and has its old value again; refused: it was not tried
    """

    command: str
    node: str
    name: str
    outcome: Result
    reason: str = ""
    value: Setting = None


class PublishCommand(Command, tag="PublishCommand/1"):
    """Says something to all who listen, on the topic of the node that it is given to."""

    within_graph: ClassVar[bool] = True

    text: str = ""
    value: float = 0.0
    reason: str = ""


class Note(Message, tag="Note/1"):
    """A word or a number that a rule has said, told again once a second so that other rules can rely on it.

    ``stamp``   of a change, the command's; else the moment at which it was told
    ``since``   graph time (ns) of the evidence that changed it; 0 for what it was at the start
    ``reason``  the rule that said it, "start", or "time is up"
    """

    text: str = ""
    value: float = 0.0
    since: int = 0
    reason: str = ""
    command: str = ""
