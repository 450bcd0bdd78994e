"""The files of a graph: the launch file and those that it includes, each with its parameters put in.

The nodes of a file that is included with ``namespace: left`` are named ``left_camera``: with ``_``, because
that is a name everywhere. ``/`` would be a folder in the path of a socket, ``.`` parts a node from its output
(``planner.path``), and ``-`` is a minus where a rule reads the topic.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from zuluko import document
from zuluko.document import Document, DocumentError, Problem, nearest
from zuluko.launch import keys, params, stock
from zuluko.launch.compounds import Field
from zuluko.launch.expand import Substitution, is_missing
from zuluko.launch.graph import Param, Topic
from zuluko.launch.options import MISSING, Text, lacks, shown
from zuluko.launch.places import Place, expected
from zuluko.launch.shapes import MisfitError

RULE = {"when", "if_silent", "sequence", "if", "do"}  # keys by which a rule is known
SPARED = ("include", "record")  # who needs of them what the environment lacks is seen later, or nobody does
NO_LAUNCH_FILES = {  # what is given as one by mistake, by its ending
    ".py": "this is Python, which a launch file runs: `nodes: {{{stem}: {{run: ./{name}}}}}`",
    ".mcap": "this is a log and no launch file; look into it: zuluko log info {file}; "
    "or: zuluko replay {file}",
}
MOST = 100  # files of one graph: those that include each other twice, ten deep, would be a thousand


@dataclass
class Part:
    """One file of the graph.

    ``namespace``  what goes before its names, or nothing; ``outer`` is the file that includes it
    ``declared``   its parameters, ``params`` what they are here
    ``sparing``    whether what the environment does not have is wrong only for a node that needs it
    """

    doc: Document
    problems: list[Problem]
    namespace: str = ""
    outer: "Part | None" = None
    declared: Mapping[str, Param] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    sparing: bool = False
    substitution: Substitution = field(init=False)

    @property
    def folder(self) -> Path:
        return Path(self.doc.file).parent

    @property
    def prefixes(self) -> list[str]:
        """What may go before a name that this file says, its own first."""
        outer = self.outer.prefixes if self.outer else [""]
        return list(dict.fromkeys([f"{self.namespace}_" if self.namespace else "", *outer]))

    def named(self, name: str) -> str:
        """The name in the graph of what this file calls ``name``."""
        return f"{self.namespace}_{name}" if self.namespace else name

    def visible(self, topics: Iterable[Topic]) -> dict[str, Topic]:
        """The topics of the graph by all the names that this file may call them; its own go first."""
        known = list(topics)
        return {
            topic.name.removeprefix(prefix): topic
            for prefix in reversed(self.prefixes)
            for topic in known
            if topic.name.startswith(prefix)
        }

    def say(self, path: Place, what: str, *, key: bool = False) -> None:
        self.problems.append(self.doc.problem(path, what, key=key))

    def complain(self, path: Place, what: str, value: Any, *, key: bool = False) -> None:
        """Of a value that was typed, the command line is the place, and not the file that passed it on."""
        if isinstance(value, Text) and value.origin:
            self.problems.append(Problem(value.origin, 0, 0, what))
        else:
            self.say(path, what, key=key)

    def read(self, path: Place, key: str, known: Field, value: Any) -> Any:
        """A value by its shape; MISSING where it does not fit, which is told."""
        if is_missing(value):
            return MISSING
        try:
            return known.shape.read(key, value)
        except MisfitError as error:
            self.complain((*path, *error.path), str(error), _at(value, error.path), key=error.key)
            return MISSING

    def top(self, key: str) -> Any:
        """What stands under one of the file's own keys, read; MISSING where there is nothing of use."""
        if key not in self.doc.value:
            return MISSING
        value = self.substitution.put_in(self.doc.value[key], (key,))
        if key not in SPARED:
            self.problems += lacks(value)
        return self.read((key,), key, keys.TOP[key], value)


@dataclass(frozen=True)
class Given:
    """An entry as it stands in its file, with the parameters put in."""

    part: Part
    local: str
    value: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.part.named(self.local)

    @property
    def run(self) -> str:
        return str(self.value["run"])

    @property
    def place(self) -> Place:
        return ("nodes", self.local)

    @property
    def shown_place(self) -> str:
        return self.part.doc.key_place(*self.place)

    def say(self, path: Place, what: str, *, key: bool = False) -> None:
        self.part.say((*self.place, *path), what, key=key)

    def complain(self, path: Place, what: str, value: Any) -> None:
        self.part.complain((*self.place, *path), what, value)

    def read(self, key: str) -> Any:
        """What stands under a reserved key; MISSING where it does not fit, which is told."""
        return self.part.read((*self.place, key), key, keys.ENTRY[key], self.value[key])


def locate(name: str, folder: Path | None = None) -> Path | None:
    """The launch file of that path, or the stock one of that name."""
    file = folder / name if folder else Path(name)
    if file.is_file():
        return file
    return stock.FOLDER / f"{name}.yaml" if name in stock.names() else None


def read(file: Path, sets: Mapping[str, str], *, reveal: bool = True, sparing: bool = False) -> list[Part]:
    """The launch file and what it includes, the launch file first; all have one list of problems. ``sets``
    are the parameters that were typed; ``sparing`` is that of the parts. Raises DocumentError for a launch
    file that is no YAML."""
    problems: list[Problem] = []

    def tell(name: str) -> Any:
        def said(what: str) -> None:
            typed = what.replace(f"try `{name}: ", f"try `--set {name}=")
            problems.append(Problem(f"--set {name}", 0, 0, typed))

        return said

    given = {name: params.Given(Text(text, f"--set {name}"), tell(name)) for name, text in sets.items()}
    first = _part(Part(_load(file), problems, sparing=sparing), given, reveal=reveal)
    parts = [first]
    for part in parts:  # it grows
        parts += _included(part, MOST - len(parts), reveal=reveal)
    return parts


def _load(file: Path) -> Document:
    """A launch file as it stands there; DocumentError for what is no YAML, and for a rules file."""
    if what := NO_LAUNCH_FILES.get(file.suffix):
        raise DocumentError(
            [Problem(str(file), 0, 0, what.format(file=file, name=file.name, stem=file.stem))]
        )
    doc = document.load(file)
    rule = next((key for key, value in doc.value.items() if _is_rule(value)), None)
    if rule is not None and not doc.value.keys() & {"nodes", "include"}:
        name = file.name if ".rules." in file.name else f"{file.stem}.rules.yaml"
        what = f"this looks like a rules file, which a launch file runs: `nodes: {{rules: {{run: {name}}}}}`"
        raise DocumentError(
            [doc.problem((rule,), f"{what}; to try it over a log: zuluko rules run {file} LOG", key=True)]
        )
    return doc


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.keys() & RULE) and "run" not in value


def nodes(part: Part) -> Iterator[Given]:
    """The entries of one file that have a name and something to run."""
    declared = part.doc.value.get("nodes")
    if not isinstance(declared, dict) or not declared:
        unknown = part.doc.value.keys() - keys.TOP.keys()
        if "nodes" in part.doc.value or not (unknown or "include" in part.doc.value):
            what = "a launch file needs `nodes`, a mapping of names to entries"
            part.say(("nodes",), f"{what}; try `nodes: {{camera: {{run: zuluko.nodes.camera}}}}`")
        return
    if isinstance(declared.get("run"), str):
        above = [name for name in takewhile(lambda name: name != "run", declared) if declared[name] is None]
        under = f"`{above[-1]}`" if above else "its node"
        part.say(
            ("nodes", "run"),
            f"`run` stands beside the nodes; indent it more, to stand under {under}",
            key=True,
        )
        return
    for name, entry in declared.items():
        if not re.fullmatch(keys.NAME, name):
            what = f"`{name}` cannot name a node; expected letters, digits, - and _, a letter first"
            part.say(("nodes", name), what, key=True)
        elif (given := _entry(part, name, entry)) is not None:
            yield given


def _entry(part: Part, name: str, entry: Any) -> Given | None:
    place = ("nodes", name)
    if not isinstance(entry, dict) or "run" not in entry:
        example = entry if isinstance(entry, str) and entry else keys.RUN.example
        what = f"the node `{name}` needs `run`, the function that runs"
        meant = next((key for key in entry if nearest(key, ["run"])), "") if isinstance(entry, dict) else ""
        hint = f"write it for `{meant}`" if meant else f"try `{name}: {{run: {example}}}`"
        part.say((*place, meant) if meant else place, f"{what}; {hint}", key=bool(meant))
        return None
    value = part.substitution.put_in(entry, place)
    if value["run"] is MISSING:
        return None
    if not isinstance(value["run"], str):
        what = f"`run` is {shown(value['run'])}; expected {keys.RUN.words}"
        part.say((*place, "run"), f"{what}; try `run: {keys.RUN.example}`")
        return None
    return Given(part, name, value)


def _part(part: Part, given: Mapping[str, params.Given], *, reveal: bool) -> Part:
    """Gives a part its parameters; those that it declares may hold the environment, but not each other."""
    for key, value in part.doc.value.items():
        if key not in keys.TOP:
            known = nearest(key, keys.TOP) or expected(keys.TOP)
            entry = isinstance(value, dict) and "run" in value
            hint = f"; a node stands under `nodes`; try `nodes: {{{key}: {{run: ...}}}}`" if entry else known
            part.say((key,), f"unknown key `{key}`{hint}", key=True)
    part.declared = params.read(part.doc.value.get("params"), part.say)
    found = params.values(part.doc.file, part.declared, given, part.say)
    spare = part.doc.problem if part.sparing else None
    environment = Substitution({}, part.say, reveal=reveal, spare=spare)
    for name, value in found.items():
        if name not in given and isinstance(value, str) and "$env:" in value:
            found[name] = environment.put_in(value, ("params", name, "default"))
    part.params = found
    part.substitution = Substitution(found, part.say, reveal=reveal, spare=spare)
    return part


def _included(part: Part, room: int, *, reveal: bool) -> Iterator[Part]:
    wanted = part.top("include")
    alone = isinstance(wanted, (str, dict))
    for number, one in enumerate(() if wanted is MISSING else [wanted] if alone else wanted):
        place: Place = ("include",) if alone else ("include", number)
        if number >= room:
            part.say(place, f"this graph has more than {MOST} files; include fewer")
            return
        spec: dict[str, Any] = {"file": one} if isinstance(one, str) else one
        doc = _document(part, spec["file"], place if isinstance(one, str) else (*place, "file"))
        if doc is not None:
            inner = Part(
                doc,
                part.problems,
                part.named(spec["namespace"]) if "namespace" in spec else part.namespace,
                part,
                sparing=part.sparing,
            )
            yield _part(inner, _given(part, spec.get("params", {}), (*place, "params")), reveal=reveal)


def _given(part: Part, values: Mapping[str, Any], place: Place) -> dict[str, params.Given]:
    def tell(name: str, value: Any) -> Any:
        return lambda what: part.complain((*place, name), what, value)

    return {name: params.Given(value, tell(name, value)) for name, value in values.items()}


def _document(part: Part, name: str, place: Place) -> Document | None:
    file = locate(name, part.folder)
    if file is None:
        known = nearest(name, stock.names()) or f"; the stock graphs are: {', '.join(stock.names())}"
        part.say(place, f"there is no launch file {part.folder / name}{known}")
        return None
    chain, above = [file.resolve()], part
    while above:
        chain.append(Path(above.doc.file).resolve())
        above = above.outer  # type: ignore[assignment]
    if chain[0] in chain[1:]:
        circle = " includes ".join(one.name for one in reversed(chain[: chain.index(chain[0], 1) + 1]))
        part.say(place, f"this includes itself: {circle}; leave one of them out")
        return None
    try:
        return _load(file)
    except DocumentError as error:
        part.problems += error.problems
        return None


def _at(value: Any, path: Place) -> Any:
    """The value at a path within another, as far as there is one."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return value
    return value
