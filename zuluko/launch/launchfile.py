"""A launch file, read into a checked graph.

Everything that can be known before anything starts is checked here, and all that is wrong is told at once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from zuluko.bus.topics import TopicError, check_name
from zuluko.document import DocumentError, Problem, nearest
from zuluko.launch import (
    board,
    external,
    functions,
    include,
    keys,
    options,
    process_keys,
    rule_entry,
    settings,
    signature,
    stock,
)
from zuluko.launch.connections import Connections
from zuluko.launch.graph import Entry, Graph, Topic
from zuluko.launch.include import Given, Part
from zuluko.launch.options import MISSING
from zuluko.launch.places import expected
from zuluko.launch.proof import Proof

RECORDER = "recorder"  # the node that records, and the driver of one that has it record
RECORD = "zuluko.actions.record"


def locate(name: str) -> Path:
    """The launch file of that path, or the stock one of that name; DocumentError where there is neither."""
    file = include.locate(name)
    if file is None:
        hint = _near(name) or f"; the stock graphs are: {', '.join(stock.names())}"
        raise DocumentError([Problem(name, 0, 0, f"there is no such launch file{hint}")])
    return file


def _near(name: str) -> str:
    """A launch file beside the one that is not there, or a stock graph, that may have been meant."""
    folder = Path(name).parent
    beside = [str(folder / file.name) for file in sorted(folder.glob("*.yaml"))]
    if f"{name}.yaml" in beside:
        return f"; did you mean `{name}.yaml`?"
    return nearest(name, [*stock.names(), *(file for file in beside if not file.endswith(".rules.yaml"))])


def load(
    file: Path,
    *,
    sets: Mapping[str, str] | None = None,
    name: str | None = None,
    passing: bool = False,
    record: str = "",
    sparing: bool = False,
) -> Graph:
    """The checked graph of a launch file; ``sets`` are parameters from the command line, as text. With
    ``passing``, what may mend itself while the graph runs counts as wrong, too. ``record`` is where the
    graph is recorded, whatever the file says. ``sparing`` is for a graph of which not all nodes run here:
    devices, files, programs and variables of the environment that this machine does not have are no problem,
    but stand in the graph's ``lacking``, by node. Raises DocumentError with every problem found."""
    parts = include.read(file, sets or {}, sparing=sparing)
    reader = _Reader(parts, name or file.stem, passing, recorded=bool(record))
    graph = reader.read()
    if reader.is_recorded:
        from zuluko.launch import record_entry

        if record:
            record_entry.put(graph, Path(record).absolute())
        record_entry.tell(graph, sets or {})
    return graph


class _Reader:
    """Reads the files of one graph, gathering problems as it goes."""

    def __init__(self, parts: list[Part], name: str, passing: bool, *, recorded: bool) -> None:
        self.parts, self.first = parts, parts[0]
        self.problems = self.first.problems
        self.passing = passing
        self.is_recorded = recorded or "record" in self.first.doc.value
        self.graph = Graph(name, self.first.doc.file, {}, dict(self.first.declared))
        self.given: dict[str, Given] = {}

    def read(self) -> Graph:
        self._check_name()
        self.graph.board = self._board()
        self._gather()
        self._note_lacking()
        self._add_external()
        self._add_functions()
        self._add_rules()
        self._connect()
        self._configure()
        proof = Proof(self.graph, self.parts, self.given, passing=self.passing, spared=self._spared)
        proof.check_publishers()
        settings.check(self.graph, self.given)
        recorder = self._recorder() if self._whole and "record" in self.first.doc.value else None
        self._check_recorded()
        if not self.problems:  # what follows needs a graph that is whole
            proof.check()
        if self.problems:
            raise DocumentError(self.problems)
        if recorder:
            self.graph.entries[recorder.name] = recorder
        return self.graph

    @property
    def _whole(self) -> bool:
        """Whether all nodes are known, so that what is missing is missing."""
        return len(self.graph.entries) == len(self.given)

    def _check_name(self) -> None:
        try:
            check_name(self.graph.name, "graph")
        except TopicError as error:
            self._say_of_file(f"{error}; give another with --name")

    def _say_of_file(self, what: str) -> None:
        self.problems.append(Problem(self.first.doc.file, 0, 0, what))

    def _board(self) -> board.Board | None:
        """The board of the launch file; one that an included file names is that file's own affair."""
        spec = self.first.top("board")
        try:
            if isinstance(spec, dict):
                return board.load_beside(self.first.folder, spec["file"])
            return None if spec is MISSING else board.find(spec)
        except board.BoardError as error:
            self.first.say(("board",), str(error))
        except DocumentError as error:
            self.problems += error.problems
        return None

    def _gather(self) -> None:
        """Takes in the entries of all files; each name belongs to one."""
        for part in self.parts:
            for given in include.nodes(part):
                if (other := self.given.get(given.name)) is None:
                    self.given[given.name] = given
                    continue
                what = f"`{given.name}` is a node already ({other.shown_place}); expected another name"
                given.say((), f"{what}; try `namespace` where the file is included", key=True)

    def _note_lacking(self) -> None:
        """What the environment lacks of a node's configuration is wrong where the node runs; of what makes
        the graph, what runs, who hears whom, and the rules, it is wrong in any case."""
        for given in self.given.values():
            for key, value in given.value.items():
                own = (key not in keys.ENTRY or key == "env") and not rule_entry.is_rules(given.run)
                where = self.graph.lacking.setdefault(given.name, []) if own else self.problems
                where += options.lacks(value)

    @contextmanager
    def _spared(self, name: str) -> Iterator[None]:
        """What is found wrong within it is wrong where the node runs, if the graph is read sparingly."""
        before = len(self.problems)
        yield
        if self.first.sparing:
            self.graph.lacking.setdefault(name, []).extend(self.problems[before:])
            del self.problems[before:]

    def _recorder(self) -> Entry | None:
        from zuluko.launch import record_entry  # MCAP and zstd are loaded by those who record

        return record_entry.read(self.first, self.graph)

    def _check_recorded(self) -> None:
        """A node whose place the recorder takes needs one, and there is only one."""
        driven = [
            name
            for name, entry in self.graph.entries.items()
            if entry.function.__module__ == RECORD and entry.options.get("driver") == RECORDER
        ]
        if driven and not self.is_recorded:
            what = "`driver: recorder` needs `record:` in the launch file, which says what is recorded"
            self.given[driven[0]].say(("driver",), f"{what}; try `record: all`")
        for name in driven[1:]:
            self.given[name].say(("driver",), f"there is one recorder, and `{driven[0]}` commands it")

    def _add_external(self) -> None:
        found: dict[str, Topic] = {}
        for part in self.parts:
            for topic in external.read(part):
                if found.setdefault(topic.name, topic) != topic:
                    what = f"`{topic.name}` is declared elsewhere with {found[topic.name].kind.__name__}"
                    local = topic.name.removeprefix(part.prefixes[0])
                    part.say(("topics", local), f"{what}; expected one type for one topic")
        self.graph.external = tuple(found.values())

    def _add_functions(self) -> None:
        for name, given in self.given.items():
            if rule_entry.is_rules(given.run):
                continue
            try:
                function = functions.find(given.run, given.part.folder)
                self.graph.entries[name] = Entry(name, given.run, function, signature.read(function))
            except functions.RunError as error:
                given.complain(("run",), str(error), given.value["run"])
            except signature.SignatureError as error:
                given.complain(("run",), f"`{given.run}` cannot be a node: {error}", given.value["run"])

    def _add_rules(self) -> None:
        """Rules come last, for they are checked against the other nodes' types; not where one is missing."""
        rules = [given for given in self.given.values() if rule_entry.is_rules(given.run)]
        if len(self.graph.entries) + len(rules) == len(self.given):
            for given in rules:
                self._add_rules_of(given)
        known = self.graph.entries
        self.graph.entries = {name: known[name] for name in self.given if name in known}

    def _add_rules_of(self, given: Given) -> None:
        file = given.part.folder / given.run
        if not file.is_file():
            given.complain(("run",), functions.no_file(file), given.value["run"])
            return
        if "in" in given.value:
            given.say(("in",), "rules hear what their file names; remove `in`", key=True)
        try:
            self.graph.entries[given.name] = rule_entry.read(given, file, self.graph, self.given)
        except DocumentError as error:
            self.problems += error.problems

    def _connect(self) -> None:
        for name, entry in self.graph.entries.items():
            if not rule_entry.is_rules(entry.run):
                given = self.given[name]
                Connections(self.graph, given).connect(entry, given.value.get("in", {}), whole=self._whole)

    def _configure(self) -> None:
        for name, entry in self.graph.entries.items():
            given = self.given[name]
            process_keys.read(entry, given)
            with self._spared(name):
                process_keys.check_cores(entry, given, self.graph.board)
            if not rule_entry.is_rules(entry.run):
                self._set_options(entry, given)
            if "when" in given.value and self._whole:
                self._set_condition(entry, given)
        process_keys.share(self.graph, self.given)
        for part in self.parts:
            if self._whole:
                process_keys.budgets(self.graph, part)

    def _set_options(self, entry: Entry, given: Given) -> None:
        wanted, defaults = entry.signature.options, signature.defaults(entry.function)
        for key, value in given.value.items():
            if key in keys.ENTRY or value is MISSING or options.lacks(value):
                continue
            if key in (one.name for one in entry.signature.inputs):
                continue  # told where it is missed
            if key not in wanted:
                hint = nearest(key, (*wanted, *keys.ENTRY)) or expected(wanted, "it has")
                given.say((key,), f"`{entry.run}` has no configuration `{key}`{hint}", key=True)
                continue
            try:
                entry.options[key] = options.convert(
                    value, wanted[key], folder=given.part.folder, name=key, example=defaults.get(key)
                )
            except options.OptionError as error:
                given.complain((key,), str(error), value)
        for key in entry.signature.required:
            if key not in given.value:
                words = options.words(wanted[key])
                given.say(
                    (), f"`{entry.run}` needs the configuration `{key}`, {words}; try `{key}: ...`", key=True
                )

    def _set_condition(self, entry: Entry, given: Given) -> None:
        from zuluko.launch import condition  # CEL is loaded by those who ask it something

        entry.when = condition.of_entry(given, self.graph)
