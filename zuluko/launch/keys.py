"""The keys of a launch file and of its entries: what each is for and what may stand under it.

The reader checks by these tables, and the schema for editors is made of them.
"""

from collections.abc import Mapping

from zuluko.launch import params
from zuluko.launch.compounds import Either, Field, Listed, Mapped, Record
from zuluko.launch.shapes import Anything, Choice, Duration, Flag, Number, Size, Whole, Words

NAME = r"[A-Za-z][A-Za-z0-9_-]*"
TOPIC = r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)?"

RUN = Words(
    "package.module, package.module:function, ./file.py, ./file.py:function or a .rules.yaml file",
    "zuluko.nodes.camera",
)
_CORES = Either((Whole(0), Listed(Whole(0), example="[2, 3]")), "a core's number or a list of them", "[2, 3]")
_RESTART = Flag()

IN = Mapped(
    Either(
        (
            Words("a topic", "camera"),
            Listed(Words("a topic", "camera", TOPIC), example="[left, right]"),
            Record(
                {
                    "sync": Field(
                        Listed(Words("a topic", "left", TOPIC)), "the two topics of pairs", required=True
                    ),
                    "within": Field(Duration(), "how far apart in time the two of a pair may be"),
                },
                "{sync: [left, right], within: 20ms}",
            ),
        ),
        "a topic, a list of topics or every 500ms",
        "camera",
    ),
    words="a mapping of inputs to topics",
    example="{frames: camera}",
)
RESTART = Either(
    (
        _RESTART,
        Record(
            {
                "most": Field(Whole(0), "so many restarts, and no more,"),
                "within": Field(Duration(example="1min"), "in so long a time"),
                "silence": Field(Duration(example="30s"), "its loop stands still so long: it is killed"),
            },
            "{most: 5, within: 1min}",
        ),
    ),
    "true, false or {most: 5, within: 1min}",
    "false",
)
MEMORY = Either(
    (
        Size(),
        Record(
            {"most": Field(Size(), required=True), "restart": Field(_RESTART)}, "{most: 100MB, restart: true}"
        ),
    ),
    "a size such as 100MB, or {most: 100MB, restart: true}",
    "100MB",
)
CPU = Either(
    (
        Whole(0),
        Listed(Whole(0), example="[2, 3]"),
        Record(
            {
                "cores": Field(_CORES, "the cores that it may run on"),
                "priority": Field(Whole(1, 99, "50"), "before all ordinary processes (SCHED_FIFO)"),
                "most": Field(Number(positive=True, example="0.8"), "how much it may use, in cores"),
                "restart": Field(_RESTART, "whether one that uses more is started anew"),
            },
            "{cores: [2, 3], priority: 50, most: 0.8, restart: true}",
        ),
    ),
    "a core's number, a list of them, or {cores: [2, 3], priority: 50, most: 0.8, restart: true}",
    "[2, 3]",
)
ENV = Mapped(
    Words("text or a number", "1"), params.NAME, "a mapping of variables to text", "{OMP_NUM_THREADS: 1}"
)
GROUP = Words("a name of letters, digits, - and _, a letter first", "eye", NAME)
WHEN = Either(
    (Flag(), Words("a CEL expression", "board.cores >= 4")), "a CEL expression", '"battery.charge > 0.2"'
)

ENTRY: Mapping[str, Field] = {
    "run": Field(RUN, "the function that runs", required=True),
    "in": Field(IN, "for each input a topic, a list of topics, or every 500ms"),
    "when": Field(WHEN, "it runs while this CEL expression over parameters, board and topics is true"),
    "must": Field(Flag(), "false: the graph goes on when this node has failed"),
    "restart": Field(RESTART, "false: it is not started again; {most: 5, within: 1min}: so often"),
    "group": Field(GROUP, "nodes of one group share a process, a thread each"),
    "env": Field(ENV, "environment variables of its process"),
    "nice": Field(Whole(-20, 19, "5"), "how it gives way to other processes: -20 least, 19 most"),
    "cpu": Field(CPU, "the cores that it may run on, its priority, how much it may use"),
    "memory": Field(MEMORY, "how much its process may use (PSS)"),
}
"""Whatever else stands in an entry is configuration of its function."""

INCLUDED = Record(
    {
        "file": Field(Words("a launch file or a stock graph's name", "eye.yaml"), required=True),
        "namespace": Field(
            Words(GROUP.words, "left", NAME), "goes before the names of its nodes: left_camera"
        ),
        "params": Field(Mapped(Anything(), params.NAME, "a mapping of its parameters to values", "{hz: 15}")),
    },
    "{file: eye.yaml, namespace: left, params: {source: 1}}",
)
_INCLUDED_ONE = Either(
    (Words("a file", "eye.yaml"), INCLUDED), "a file, or {file: eye.yaml, namespace: left}", "eye.yaml"
)
BUDGET = Either(
    (
        Duration(example="300ms"),
        Mapped(Duration(example="300ms"), NAME, "a mapping of nodes to durations", "{lock: 300ms}"),
    ),
    "a duration such as 300ms, or one for each node: {lock: 300ms}",
    "300ms",
)
BOARD = Either(
    (
        Words("a board's name", "pi-4"),
        Record({"file": Field(Words("a file", "my-board.yaml"), required=True)}, "{file: my-board.yaml}"),
    ),
    "a board's name, or {file: my-board.yaml}",
    "pi-4",
)
_TOPICS = Either(
    (Choice(("all",)), Listed(Words("a topic or a node", "faces", TOPIC), example="[faces, lock]")),
    "a list of topics, or all",
    "[faces, lock]",
)
_SPLIT = Record(
    {
        "size": Field(Size(example="1GB"), "another file after so much"),
        "time": Field(Duration(example="10min"), "another file after so long"),
    },
    "{size: 1GB, time: 10min}",
)
_KEEP = Record(
    {
        "size": Field(Size(example="10GB"), "at most so much; the oldest files are deleted"),
        "time": Field(Duration(example="24h"), "at most so long; older files are deleted"),
    },
    "{size: 10GB, time: 24h}",
)
_SNAPSHOT = Either(
    (
        Duration(example="30s"),
        Record(
            {
                "last": Field(Duration(example="30s"), "the time before the event", required=True),
                "after": Field(Duration(example="5s"), "the time from the event on; 5s unless told"),
                "on": Field(
                    Words("a topic, or a CEL expression over topics", 'lock.state == "unlocked"'),
                    "a message of this topic is the event, or this expression becoming true",
                ),
                "memory": Field(Size(example="64MB"), "for the time before; 64MB unless told"),
            },
            "{last: 30s, after: 5s, on: alarm}",
        ),
    ),
    "a duration such as 30s, or {last: 30s, after: 5s, on: alarm}",
    "{last: 30s, on: alarm}",
)
RECORD = Either(
    (
        Choice(("all",)),
        Listed(Words("a topic or a node", "faces", TOPIC), example="[faces, lock]"),
        Record(
            {
                "topics": Field(_TOPICS, "what is recorded; all unless told"),
                "to": Field(Words("a folder, or a file that ends in .mcap", "logs"), "where to"),
                "images": Field(Choice(("raw", "jpeg", "as-is")), "whether pictures are recorded as JPEG"),
                "quality": Field(Whole(1, 100, "90"), "of the JPEG"),
                "split": Field(_SPLIT, "when another file is begun"),
                "keep": Field(_KEEP, "how much is kept"),
                "start": Field(Flag(), "false: it waits for a command to start"),
                "snapshot": Field(_SNAPSHOT, "only what is about an event is recorded, a log for each"),
            },
            "{topics: [faces, lock], to: logs}",
        ),
    ),
    "a list of topics, all, or {topics: [faces, lock], to: logs, images: jpeg, split: {size: 1GB}}",
    "[faces, lock]",
)
TOP: Mapping[str, Field] = {
    "params": Field(
        Mapped(
            Either((params.SPEC, Anything(mappings=False)), "a default", "15"),
            params.NAME,
            example="{hz: 15}",
        ),
        "what `--set` can change: `name: default` or `name: {default: ..., type: ..., help: ...}`",
    ),
    "include": Field(
        Either(
            (Words("a file", "eye.yaml"), INCLUDED, Listed(_INCLUDED_ONE, example="[eye.yaml]")),
            "a file, or a list of files or of {file: eye.yaml, namespace: left, params: {source: 1}}",
            "[eye.yaml]",
        ),
        "other launch files, whose nodes become part of this graph",
    ),
    "board": Field(BOARD, "what it must fit: `zuluko check` adds up the measured memory of its nodes"),
    "topics": Field(
        Mapped(
            Words("a message type, as module:Class or ./file.py:Class", "my_types:Imu"),
            NAME,
            "a mapping of topics to message types",
            '{imu: "my_types:Imu"}',
        ),
        "topics that programs besides this graph's nodes publish, with their message types",
    ),
    "budget": Field(BUDGET, "from the evidence to the action, at most"),
    "record": Field(RECORD, "what is recorded into logs while the graph runs"),
    "nodes": Field(
        Mapped(
            Record(ENTRY, "{run: zuluko.nodes.camera}"), NAME, example="{camera: {run: zuluko.nodes.camera}}"
        ),
        "the nodes, by name",
    ),
}
