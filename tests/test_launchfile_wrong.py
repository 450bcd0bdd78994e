"""Wrong launch files: each with the whole of what is said of it."""

import pytest

from tests.running import NODES
from zuluko.document import DocumentError
from zuluko.launch import launchfile

FILES = {
    "broken.py": "def broken(:\n",
    "failing.py": "1 / 0\n",
    "needy.py": "import no_such_module_here\n",
    "leaving.py": "import sys\nsys.exit(0)\n",
    "deep.py": '\nfrom collections.abc import Iterator\nimport numpy as np\nfrom zuluko import Message\nclass Deep(Message, tag="Deep/1"):\n    parts: tuple[np.ndarray, ...] = ()\ndef deep() -> Iterator[Deep]:\n    yield Deep()\n',
    "twins.py": '\nfrom collections.abc import Iterator\nfrom zuluko import Message\nclass Sign(Message, tag="Sign/1"): ...\nOne = Sign\nclass Sign(Message, tag="Sign/2"): ...\ndef twins() -> Iterator[One | Sign]:\n    yield One()\n',
    "inner.yaml": "params: {hz: 5.0}\nnodes: {inner: {run: 'NODES:count', hz: $hz}}",
    "faulty.yaml": "nodes: {inner: {run: 'NODES:count', hzz: 3}}",
    "ruly.yaml": "leave: {when: faces, do: {lock: {open_for: 1s}}}",
    "circle.yaml": "include: [graph.yaml]",
    "bad-board.yaml": "title: Mine\nmemory: 512\nsystem: 100MB\ncores: 4\narch: aarch64\n",
}
WRONG = [
    (
        "params: {owner: ana}\nlet_in:\n  when: faces\n  if: [item.name == owner]",
        "graph.yaml:2:1: this looks like a rules file, which a launch file runs: `nodes: {rules: {run: graph.rules.yaml}}`; to try it over a log: zuluko rules run graph.yaml LOG",
    ),
    (
        "include: [ruly.yaml]",
        "ruly.yaml:1:1: this looks like a rules file, which a launch file runs: `nodes: {rules: {run: ruly.rules.yaml}}`; to try it over a log: zuluko rules run ruly.yaml LOG",
    ),
    (
        "nodes:\n  a:\n  run: NODES:count\n  b: {run: NODES:count}",
        "graph.yaml:3:3: `run` stands beside the nodes; indent it more, to stand under `a`",
    ),
    (
        "nodes:\n  run: NODES:count\n  limit: 3",
        "graph.yaml:2:3: `run` stands beside the nodes; indent it more, to stand under its node",
    ),
    ("node: {}", "graph.yaml:1:1: unknown key `node`; did you mean `nodes`?"),
    (
        "nodes: [1]",
        "graph.yaml:1:8: a launch file needs `nodes`, a mapping of names to entries; try `nodes: {camera: {run: zuluko.nodes.camera}}`",
    ),
    (
        "nodes: {a: {ran: x}}",
        "graph.yaml:1:13: the node `a` needs `run`, the function that runs; write it for `ran`",
    ),
    (
        "nodes: {a/b: {run: x}}",
        "graph.yaml:1:9: `a/b` cannot name a node; expected letters, digits, - and _, a letter first",
    ),
    (
        "nodes: {a.b: {run: x}}",
        "graph.yaml:1:9: `a.b` cannot name a node; expected letters, digits, - and _, a letter first",
    ),
    (
        "nodes: {}",
        "graph.yaml:1:8: a launch file needs `nodes`, a mapping of names to entries; try `nodes: {camera: {run: zuluko.nodes.camera}}`",
    ),
    (
        "params: [a]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:9: `params` must be a mapping of names to defaults; try `params: {hz: 15}`",
    ),
    (
        "nodes: {a: {run: $b}}",
        "graph.yaml:1:18: `$b` is no parameter of this file; declare it: `params: {b: ...}`",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: [[count]]}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: a list is no topic; write a topic's name, a list of names, or every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: {x: y}}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: a mapping is no topic; write a topic's name, a list of names, or every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: []}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: the input `counts` hears nothing; name a topic",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: [count, count]}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: a topic is named twice; name it once",
    ),
    (
        "nodes: {a: {run: 'NODES:show', in: {counts: c, last: [d, e]}}, c: {run: 'NODES:count'}, d: {run: 'NODES:clock', in: {ticks: every 1s}}, e: {run: 'NODES:clock', in: {ticks: every 1s}}}",
        "graph.yaml:1:69: the input `last` is the latest of one topic; choose one of: d, e",
    ),
    (
        "nodes: {a: {run: 'NODES:mixed', in: {things: [c, p]}}, c: {run: 'NODES:count'}, p: {run: 'NODES:pilot', in: {counts: c}}}",
        "graph.yaml:1:61: the input `things` mixes commands and others; give each its own input",
    ),
    (
        "nodes: {a: {run: ./leaving.py}}",
        "graph.yaml:1:18: importing `leaving.py` failed: SystemExit: 0 (leaving.py, line 2)",
    ),
    (
        "nodes: {a: {run: ./deep.py}}",
        'graph.yaml:1:18: `./deep.py` cannot be a node: Deep.parts: an array is a field of its own, annotated as Annotated[np.ndarray, Array("u1", (None, None))]',
    ),
    (
        "nodes: {a: {run: zuluko.nodes.kamera}}",
        "graph.yaml:1:18: there is no module `zuluko.nodes.kamera`; did you mean `camera`?",
    ),
    (
        "nodes: {a: {run: 'NODES:cuont'}}",
        "graph.yaml:1:18: `NODES` has no function `cuont`; did you mean `count`?",
    ),
    (
        "nodes: {a: {run: ./missing.py}}",
        "graph.yaml:1:18: there is no file missing.py; did you mean `failing.py`?",
    ),
    ("nodes: {a: {run: missing.rules.yaml}}", "graph.yaml:1:18: there is no file missing.rules.yaml"),
    (
        "nodes: {a: {run: not a module}}",
        "graph.yaml:1:18: `not a module` is no module; write package.module, ./file.py or a .rules.yaml file",
    ),
    (
        "nodes: {a: {run: 'NODES:count', hzz: 3}}",
        "graph.yaml:1:48: `NODES:count` has no configuration `hzz`; did you mean `hz`?",
    ),
    (
        "nodes: {a: {run: 'NODES:count', hz: fast}}",
        "graph.yaml:1:52: `hz` is `fast`; expected a number or a duration such as 200ms; try `hz: 50.0`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', hz: 5 minutes}}",
        "graph.yaml:1:52: `hz` is `5 minutes`; expected a number or a duration such as 200ms; try `hz: 50.0`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', limit: 1.5}}",
        "graph.yaml:1:55: `limit` is `1.5`; expected a whole number; try `limit: 0`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', restart: maybe}}",
        "graph.yaml:1:57: `restart` is `maybe`; expected true, false or {most: 5, within: 1min}; try `restart: false`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', in: {x: b}}}",
        "graph.yaml:1:53: `a` has no input `x`; it takes none, remove it",
    ),
    (
        "nodes: {a: {run: 'NODES:count', in: b}}",
        "graph.yaml:1:52: `in` is `b`; expected a mapping of inputs to topics; `NODES:count` has no inputs, so leave it out",
    ),
    (
        "nodes: {a: {run: 'NODES:double'}}",
        "graph.yaml:1:9: the input `counts` of `a` is not connected; expected a topic of Count: there is none",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: cuont}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: no node publishes `cuont`; did you mean `count`?",
    ),
    (
        "nodes: {a: {run: 'NODES:wheels', in: {moves: count}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:61: the input `moves` takes Move, but `count` publishes Count; expected a topic of Move: there is none",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: every 5}}}",
        "graph.yaml:1:60: a duration needs its unit: write 5s or 5ms, not 5",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: every 0s}}}",
        "graph.yaml:1:60: a timer's period must be longer than 0",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: every 1s}}}",
        "graph.yaml:1:62: the input `counts` takes Count, not the ticks of a timer",
    ),
    (
        "nodes: {a: {run: 'NODES:count', hz: $rat}}\nparams: {rate: 3}",
        "graph.yaml:1:52: `$rat` is no parameter of this file; did you mean `rate`?",
    ),
    (
        "nodes: {a: {run: 'NODES:count', hz: $env:NO_SUCH}}",
        "graph.yaml:1:52: the environment has no NO_SUCH; set it before the start: export NO_SUCH=...",
    ),
    (
        "nodes: {a: {run: 'NODES:positional', in: {counts: a}}}",
        "graph.yaml:1:18: `NODES:positional` cannot be a node: the input `counts` must be annotated Stream[...], Latest[...] or Synced[...]; configuration comes after a `*`, as keyword-only parameters",
    ),
    (
        "nodes: {a: {run: 'NODES:Count'}}",
        "graph.yaml:1:18: `NODES` has no function `Count`; did you mean `count`?",
    ),
    (
        "nodes: {a: {run: 'NODES:unannotated', in: {counts: a}}}",
        "graph.yaml:1:67: no node publishes `a`; that node publishes nothing",
    ),
    (
        "nodes: {a: {run: ./broken.py}}",
        "graph.yaml:1:18: `broken.py` is not Python: invalid syntax (broken.py, line 1)",
    ),
    (
        "nodes: {a: {run: ./failing.py}}",
        "graph.yaml:1:18: importing `failing.py` failed: ZeroDivisionError: division by zero (failing.py, line 1)",
    ),
    (
        "nodes: {a: {run: ./needy.py}}",
        "graph.yaml:1:18: `needy.py` needs the module `no_such_module_here`, which is not installed",
    ),
    (
        "nodes:\n  a: {run: x\n",
        "graph.yaml:3:1: this is not YAML: a comma is missing here, or before it the `}` that closes the `{` of line 2, column 6",
    ),
    (
        "nodes: {a: {run: x}, a: {run: y}}",
        "graph.yaml:1:22: `a` is given twice, first in line 1; keep one of them",
    ),
    (
        "nodes: {a: {run: 'NODES:count', must: perhaps}}",
        "graph.yaml:1:54: `must` is `perhaps`; expected true or false; try `must: false`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', nice: 30}}",
        "graph.yaml:1:54: `nice` is `30`; expected a whole number from -20 to 19; try `nice: 5`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', restart: {mots: 5}}}",
        "graph.yaml:1:58: `restart` has no key `mots`; did you mean `most`?",
    ),
    (
        "nodes: {a: {run: 'NODES:count', restart: {most: 5, within: 60}}}",
        "graph.yaml:1:75: `within`: a duration needs its unit: write 60s or 60ms, not 60",
    ),
    (
        "nodes: {a: {run: 'NODES:count', restart: 3}}",
        "graph.yaml:1:57: `restart` is `3`; expected true, false or {most: 5, within: 1min}; try `restart: false`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', memory: 100}}",
        "graph.yaml:1:56: `memory` is `100`, and a size needs its unit; expected a size such as 800KB, 100MB or 1.5GB; try `memory: 100MB`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', memory: 100mb}}",
        "graph.yaml:1:56: `memory` is `100mb`; expected a size such as 800KB, 100MB or 1.5GB; try `memory: 100MB`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', memory: {most: lots}}}",
        "graph.yaml:1:63: `most` is `lots`; expected a size such as 800KB, 100MB or 1.5GB; try `most: 100MB`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', memory: {restart: true}}}",
        "graph.yaml:1:56: `memory` needs `most`; try `memory: {most: 100MB, restart: true}`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', cpu: [0, -1]}}",
        "graph.yaml:1:57: `cpu` is `-1`; expected a whole number of 0 or more; try `cpu: 1`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', cpu: {priority: 100}}}",
        "graph.yaml:1:64: `priority` is `100`; expected a whole number from 1 to 99; try `priority: 50`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', cpu: {most: 0}}}",
        "graph.yaml:1:60: `most` is `0`; expected a number above 0; try `most: 0.8`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', cpu: fast}}",
        "graph.yaml:1:53: `cpu` is `fast`; expected a core's number, a list of them, or {cores: [2, 3], priority: 50, most: 0.8, restart: true}; try `cpu: [2, 3]`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', env: [A]}}",
        "graph.yaml:1:53: `env` is a list; expected a mapping of variables to text; try `env: {OMP_NUM_THREADS: 1}`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', env: {A-B: 1}}}",
        "graph.yaml:1:54: `A-B` cannot be a name in `env`; expected letters, digits and _, a letter first",
    ),
    (
        "nodes: {a: {run: 'NODES:count', env: {A: [1]}}}",
        "graph.yaml:1:57: `A` is a list; expected text or a number; try `A: 1`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', group: 3 d}}",
        "graph.yaml:1:55: `group` is `3 d`; expected a name of letters, digits, - and _, a letter first; try `group: eye`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', group: b}, b: {run: 'NODES:count'}}",
        "graph.yaml:1:55: `b` is a node's name; expected a name of its own for the group; try `group: b_group`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', group: g, nice: 1}, b: {run: 'NODES:count', group: g, nice: 2}}",
        "graph.yaml:1:117: `b` and `a` share the process of the group `g`, and differ in `nice` (graph.yaml:1:58); give it once, for both",
    ),
    (
        "nodes: {a: {run: 'NODES:count', restrat: false}}",
        "graph.yaml:1:48: `NODES:count` has no configuration `restrat`; did you mean `restart`?",
    ),
    (
        "budget: 300\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:9: `budget`: a duration needs its unit: write 300s or 300ms, not 300",
    ),
    (
        "budget: {b: 300ms}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:10: `budget` names `b`, which is no node; there are: a",
    ),
    (
        "params: {hz: {defualt: 3}}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:15: `hz` has no key `defualt`; did you mean `default`?",
    ),
    (
        "params: {hz: {default: fast, type: float}}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:24: `default` is `fast`; expected a number; try `default: 1.5`",
    ),
    (
        "params: {hz: {default: 3, type: number}}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:33: `type` is `number`; expected one of int, float, text, bool, duration, path, list; try `type: int`",
    ),
    (
        "params: {hz: {type: float}}\nnodes: {a: {run: 'NODES:count', hz: $hz}}",
        "graph.yaml:1:10: `hz` has no default and was not given; try --set hz=1.5",
    ),
    (
        "params: {hz: {help: x}}\nnodes: {a: {run: 'NODES:count', hz: $hz}}",
        "graph.yaml:1:14: `hz` has neither a default nor a type; expected one of them; try `hz: {type: text}`",
    ),
    (
        "params: {my-hz: 3}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:10: `my-hz` cannot name a parameter; expected letters, digits and _, a letter first",
    ),
    (
        "include: [nothing.yaml]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:11: there is no launch file nothing.yaml; the stock graphs are: door",
    ),
    (
        "include: [dor]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:11: there is no launch file dor; did you mean `door`?",
    ),
    (
        "include: [{namespace: left}]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:11: `include` needs `file`; try `include: {file: eye.yaml, namespace: left, params: {source: 1}}`",
    ),
    (
        "include: [{file: inner.yaml, namespace: le ft}]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:41: `namespace` is `le ft`; expected a name of letters, digits, - and _, a letter first; try `namespace: left`",
    ),
    (
        "include: [{file: inner.yaml, params: {hzz: 3}}]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:44: `hzz` is no parameter of inner.yaml; did you mean `hz`?",
    ),
    (
        "include: [{file: inner.yaml, params: {hz: fast}}]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:43: `hz` is `fast`; expected a number; try `hz: 5.0`",
    ),
    (
        "include: [graph.yaml]\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:11: this includes itself: graph.yaml includes graph.yaml; leave one of them out",
    ),
    (
        "include: [circle.yaml]\nnodes: {a: {run: 'NODES:count'}}",
        "circle.yaml:1:11: this includes itself: graph.yaml includes circle.yaml includes graph.yaml; leave one of them out",
    ),
    (
        "include: [inner.yaml, inner.yaml]",
        "inner.yaml:2:9: `inner` is a node already (inner.yaml:2:9); expected another name; try `namespace` where the file is included",
    ),
    (
        "include: [faulty.yaml]",
        "faulty.yaml:1:52: `NODES:count` has no configuration `hzz`; did you mean `hz`?",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: b.n > 3}}",
        "graph.yaml:1:54: `when`: `b` is nothing known here; there is a, board",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: count.m > 3}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:54: `when`: `count` has no field `m`; it has stamp, n",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: count.n = 3}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:54: `when`: `count.n = 3` has a single `=`; a comparison is written `==`",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: count.n}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:54: `when`: `count.n` gives a whole number; a clause must give true or false, so compare it with something",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: board.core > 3}}",
        "graph.yaml:1:54: `when`: `board` has no field `core`; did you mean `cores`?",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: [1]}}",
        'graph.yaml:1:54: `when` is a list; expected a CEL expression; try `when: "battery.charge > 0.2"`',
    ),
    (
        "params: {count: 3}\nnodes: {a: {run: 'NODES:count', when: count > 3}, count: {run: 'NODES:count'}}",
        "graph.yaml:2:54: `when`: `count` is a node's name and means something else here, too; give the node another name",
    ),
    (
        "nodes: {a: {run: 'NODES:count', when: a.n > 3}}",
        "graph.yaml:1:9: `a` runs only when it has said something itself, and never begins; expected a `when` that reads other topics",
    ),
    (
        "board: pi-3\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:8: there is no board `pi-3`; expected one of jetson-orin-nano, pi-4, pi-5, pi-zero-2w, zuluko-512; try `board: {file: my-board.yaml}` for one of your own",
    ),
    (
        "board: {file: none.yaml}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:8: there is no file none.yaml; expected one that holds {title: My board, memory: 512MB, system: 120MB, cores: 4, arch: aarch64}",
    ),
    (
        "board: {file: bad-board.yaml}\nnodes: {a: {run: 'NODES:count'}}",
        "bad-board.yaml:2:9: `memory` is `512`, and a size needs its unit; expected a size such as 800KB, 100MB or 1.5GB; try `memory: 512MB`",
    ),
    (
        "board: pi-4\nnodes: {a: {run: 'NODES:count', cpu: [1, 4]}}",
        "graph.yaml:2:53: `cpu` names core 4, but the board pi-4 has cores 0 to 3; choose of those",
    ),
    (
        "topics: {imu: NODES}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:15: `NODES` names no class; write NODES:Class",
    ),
    (
        "topics: {imu: 'NODES:Cuont'}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:15: `NODES` has no `Cuont`; did you mean `Count`?",
    ),
    (
        "topics: {imu: 'NODES:count'}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:15: `NODES:count` is no message type; expected a class that derives from zuluko.Message",
    ),
    (
        "topics: {imu: './missing.py:Imu'}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:15: there is no file missing.py; did you mean `failing.py`?",
    ),
    (
        "topics: {a: 'NODES:Count'}\nnodes: {a: {run: 'NODES:count'}}",
        "graph.yaml:1:10: the topic `a` has two publishers: the node `a` and a program outside; expected one; give one of them another name",
    ),
    (
        "topics: [imu]\nnodes: {a: {run: 'NODES:count'}}",
        'graph.yaml:1:9: `topics` is a list; expected a mapping of topics to message types; try `topics: {imu: "my_types:Imu"}`',
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: a}}}",
        "graph.yaml:1:9: `a` waits for itself, and never begins; expected a source, a timer or a topic from outside on its streams; try `Latest[...]` for an input that need not be waited for",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: c}}, b: {run: 'NODES:double', in: {counts: a}}, c: {run: 'NODES:double', in: {counts: b}}}",
        "graph.yaml:1:9: `a` waits for `c`, `c` that for `b`, `b` that for `a`, and none of them ever begins; expected a source, a timer or a topic from outside on one of their streams; try `Latest[...]` for an input that need not be waited for",
    ),
    (
        "nodes: {a: {run: ./twins.py}}",
        "graph.yaml:1:9: `a` publishes two topics named `a.sign`; expected types of two names; rename one of the classes",
    ),
    (
        "camera: {run: zuluko.nodes.camera}",
        "graph.yaml:1:1: unknown key `camera`; a node stands under `nodes`; try `nodes: {camera: {run: ...}}`",
    ),
    (
        "nodes:\n  - run: zuluko.nodes.camera",
        "graph.yaml:2:3: a launch file needs `nodes`, a mapping of names to entries; try `nodes: {camera: {run: zuluko.nodes.camera}}`",
    ),
    (
        "nodes: {camera: zuluko.nodes.camera}",
        "graph.yaml:1:17: the node `camera` needs `run`, the function that runs; try `camera: {run: zuluko.nodes.camera}`",
    ),
    (
        "nodes: {camera: }",
        "graph.yaml:1:16: the node `camera` needs `run`, the function that runs; try `camera: {run: zuluko.nodes.camera}`",
    ),
    (
        "nodes: {camera: {run: 3}}",
        "graph.yaml:1:23: `run` is `3`; expected package.module, package.module:function, ./file.py, ./file.py:function or a .rules.yaml file; try `run: zuluko.nodes.camera`",
    ),
    (
        "nodes: {camera: {run: }}",
        "graph.yaml:1:22: `run` is `null`; expected package.module, package.module:function, ./file.py, ./file.py:function or a .rules.yaml file; try `run: zuluko.nodes.camera`",
    ),
    (
        "nodes: {camera: {run: camera}}",
        "graph.yaml:1:23: there is no module `camera`; did you mean `zuluko.nodes.camera`?",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera.py}}",
        "graph.yaml:1:23: there is no file zuluko.nodes.camera.py; a module is written without .py: zuluko.nodes.camera",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, size: [640]}}",
        "graph.yaml:1:50: `size` is a list; expected `list` of length 2, got 1; try `size: [640, 480]`",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, size: 640x480}}",
        "graph.yaml:1:50: `size` is `640x480`; expected a list of 2 (a whole number, a whole number) or null; try `size: [640, 480]`",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, size: [640, wide]}}",
        "graph.yaml:1:50: `size[1]` is `wide`; expected a list of 2 (a whole number, a whole number) or null; try `size: [640, 480]`",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, loop: yes}}",
        "graph.yaml:1:50: `loop` is `yes`; expected true or false; try `loop: true`",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, loop: 'true'}}",
        'graph.yaml:1:50: `loop` is the text "true"; expected true or false; take the quotes away: `loop: true`',
    ),
    (
        "nodes: {count: {run: 'NODES:count', limit: '3'}}",
        'graph.yaml:1:59: `limit` is the text "3"; expected a whole number; take the quotes away: `limit: 3`',
    ),
    (
        "nodes: {count: {run: 'NODES:count', limit: 3.0}}",
        "graph.yaml:1:59: `limit` is `3.0`; expected a whole number; try `limit: 3`",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, hz: 15hz}}",
        "graph.yaml:1:48: `hz` is `15hz`; expected a number or a duration such as 200ms; try `hz: 30.0`",
    ),
    (
        "nodes: {faces: {run: zuluko.perception.faces, in: camera}, camera: {run: zuluko.nodes.camera, source: demo}}",
        "graph.yaml:1:51: `in` is `camera`; expected a mapping of inputs to topics; try `in: {frames: camera}`",
    ),
    (
        "nodes: {faces: {run: zuluko.perception.faces, frames: camera}, camera: {run: zuluko.nodes.camera, source: demo}}",
        "graph.yaml:1:47: `frames` is an input of `faces`; expected it within `in`; try `in: {frames: camera}`",
    ),
    (
        "nodes: {faces: {run: zuluko.perception.faces, in: {frames: }}, camera: {run: zuluko.nodes.camera, source: demo}}",
        "graph.yaml:1:59: `null` is no topic; write a topic's name, a list of names, or every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: 500ms}}}",
        "graph.yaml:1:60: no node publishes `500ms`; expected a timer, such as every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: every500ms}}}",
        "graph.yaml:1:60: no node publishes `every500ms`; a timer is written every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: every}}}",
        "graph.yaml:1:60: no node publishes `every`; a timer is written every 500ms",
    ),
    (
        "nodes: {a: {run: 'NODES:clock', in: {ticks: count}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:60: the input `ticks` takes Tick, but `count` publishes Count; expected a timer, such as every 500ms",
    ),
    (
        "nodes: {camera: {run: zuluko.nodes.camera, source: film.mp4}}",
        "graph.yaml:1:52: `source`: no such file film.mp4; give a camera index, a device, a file, a folder, a URL or `demo`",
    ),
    (
        "nodes: {a: {run: 'NODES:double', in: {counts: $topic}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:62: `$topic` is no parameter of this file; declare it: `params: {topic: ...}`",
    ),
    ("", "graph.yaml:1:1: the file is empty; this file must be a mapping, lines of `key: value`"),
    ("nodes", "graph.yaml:1:1: this file must be a mapping, lines of `key: value`"),
    (
        "nodes: {a: {run: 'NODES:count', hz: '$env:NOT_A_NUMBER'}}",
        "$env:NOT_A_NUMBER: `hz` is what $env:NOT_A_NUMBER holds; expected a number or a duration such as 200ms; try `hz: 50.0`",
    ),
    (
        "nodes: {a: {run: 'NODES:paired', in: {pairs: count}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:61: the input `pairs` takes pairs; write {sync: [first, second], within: 20ms}",
    ),
    (
        "nodes: {a: {run: 'NODES:paired', in: {pairs: {sync: [count, count]}}}, count: {run: 'NODES:count'}}",
        "graph.yaml:1:61: a topic cannot be paired with itself",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_file_is_told_in_full(tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("NOT_A_NUMBER", "s3cret")
    for name, held in FILES.items():
        (tmp_path / name).write_text(held.replace("NODES", NODES))
    (tmp_path / "graph.yaml").write_text(text.replace("NODES", NODES))
    with pytest.raises(DocumentError) as wrong:
        launchfile.load(tmp_path / "graph.yaml")
    told = str(wrong.value).replace(f"{tmp_path}/", "").replace(NODES, "NODES")
    assert told.splitlines() == said.splitlines()
