"""Rule files: YAML in, checked rules out, or all that is wrong with them at once."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zuluko.actions import command, kinds, params
from zuluko.actions.celtext import TYPES
from zuluko.actions.clausecheck import compile_clause
from zuluko.actions.clauses import ITEM, Clauses, CompiledClause
from zuluko.actions.params import Param
from zuluko.actions.rule import Action, Rule
from zuluko.bus.message import Command, Message
from zuluko.document import Document, DocumentError, Problem, Step, nearest, seconds
from zuluko.document import load as load_document

Topics = Mapping[str, type[Message] | tuple[type[Message], ...]]
Actuators = Mapping[str, type[Command]]

KEYS = ("when", "any", "if", "seen", "for", "max_age", "cooldown", "again", "stale", "do")
MOST_SEEN = 1000  # evaluations
SOONEST = 0.01  # seconds after which a rule may fire again though nothing changed

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEEN = re.compile(r"([0-9]{1,9}) of ([0-9]{1,9})")


@dataclass(frozen=True)
class RuleSet:
    """The rules of a file, checked.

    ``name``      what the ids of its commands begin with, so that no other rules node gives the same
    ``triggers``  the topics whose messages make evaluations
    ``levels``    the topics that clauses read besides
    ``commands``  by actuator, the type of the commands that it is given
    ``names``     by topic of the graph, what the rules call it, where that is not its own name
    """

    rules: tuple[Rule, ...]
    triggers: tuple[str, ...]
    levels: tuple[str, ...]
    commands: Mapping[str, type[Command]]
    params: Mapping[str, Param]
    name: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def load(
    file: Path | str,
    *,
    topics: Topics,
    actuators: Actuators,
    params: Mapping[str, Any] | None = None,
    name: str = "",
) -> RuleSet:
    """Reads a rule file; raises DocumentError with every problem in it.

    ``topics`` gives the message type of each topic that there is (``planner.path`` where a node has several),
    ``actuators`` the command type of each node that takes commands, ``params`` values for the file's own,
    ``name`` what the ids of the commands begin with: the node's, or the file's where it is not given.
    """
    return check(load_document(file), topics=topics, actuators=actuators, params=params, name=name)


def check(
    document: Document,
    *,
    topics: Topics,
    actuators: Actuators,
    params: Mapping[str, Any] | None = None,
    name: str = "",
) -> RuleSet:
    """The same for a document that has been read."""
    reader = _Reader(document, topics, actuators)
    found = reader.params(params or {})
    constants = {name: param.value for name, param in found.items()}
    rules = [reader.rule(rule, constants) for rule in document.value if rule != "params"]
    if not rules:
        reader.wrong((), "there is no rule here; a rule is a name with `when:`, `if:` and `do:` under it")
    if reader.problems:
        raise DocumentError(reader.problems)
    return _ruleset([rule for rule in rules if rule], found, name or document.file)


def _ruleset(rules: list[Rule], params: dict[str, Param], name: str) -> RuleSet:
    triggers = dict.fromkeys(rule.when for rule in rules)
    read = {topic: None for rule in rules for topic in sorted(rule.condition.topics) if topic != rule.when}
    commands = {action.actuator: action.kind for rule in rules for action in rule.do}
    return RuleSet(tuple(rules), tuple(triggers), tuple(read), commands, params, name)


@dataclass
class _Reader:
    """Reads one document and gathers what is wrong with it."""

    document: Document
    topics: Topics
    actuators: Actuators
    problems: list[Problem] = field(default_factory=list)
    others: dict[str, kinds.Kind] = field(default_factory=dict)  # the parameters' kinds

    def wrong(self, path: tuple[Step, ...], what: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, what, key=key))

    def value(self, name: str, key: str, read: Callable[[Any], Any], default: Any) -> Any:
        """One value of a rule, as ``read`` takes it; ``default`` where it is absent or wrong."""
        given = self.document.value[name]
        if key not in given:
            return default
        try:
            return read(given[key])
        except ValueError as error:
            self.wrong((name, key), f"`{key}`: {error}")
            return default

    # -- parameters

    def params(self, overrides: Mapping[str, Any]) -> dict[str, Param]:
        given = self.document.value.get("params")
        if given is None:
            given = {}
        if not isinstance(given, dict):
            self.wrong(("params",), "`params` must be a mapping: `name: default`, or `name: {default: ...}`")
            given = {}
        for name in overrides.keys() - given.keys():
            self.wrong(("params",), f"there is no parameter `{name}`{nearest(name, given)}", key=True)
        return {name: self._param(name, spec, overrides) for name, spec in given.items()}

    def _param(self, name: str, spec: Any, overrides: Mapping[str, Any]) -> Param:
        path = ("params", name)
        taken = {ITEM, *TYPES, *(topic.partition(".")[0] for topic in self.topics)}
        if name in taken:
            self.wrong(path, f"`{name}` already means something in a clause; take another name", key=True)
        elif not _WORD.fullmatch(name):
            self.wrong(path, f"`{name}` cannot stand in a clause; use letters, digits and `_`", key=True)
        for key in set(spec if isinstance(spec, dict) else ()) - set(params.KEYS):
            self.wrong((*path, key), f"a parameter has no `{key}`{nearest(key, params.KEYS)}", key=True)
        try:
            param = params.read(name, spec)
        except ValueError as error:
            self.wrong(path, str(error))
            self.others[name] = kinds.ANY
            return Param(None)
        self.others[name] = kinds.of_param(param.kind, param.value)
        if name not in overrides:
            return param
        try:
            return param.given(overrides[name])
        except ValueError as error:
            self.wrong(path, f"the value given for `{name}` must be {error}", key=True)
            return param

    # -- a rule

    def rule(self, name: str, constants: Mapping[str, Any]) -> Rule | None:
        given = self.document.value[name]
        if not _NAME.fullmatch(name):
            self.wrong((name,), f"`{name}` is no name for a rule; use letters, digits, `_` and `-`", key=True)
        if not isinstance(given, dict):
            self.wrong((name,), f"the rule `{name}` must have `when:`, `if:` and `do:` under it", key=True)
            return None
        for key in given.keys() - set(KEYS):
            near = nearest(key, KEYS) or "; there are " + ", ".join(KEYS)
            self.wrong((name, key), f"a rule has no key `{key}`{near}", key=True)
        when = self._when(name)
        items = self._any(name, when)
        clauses = self._clauses(name, constants, kinds.element(items) if items else None)
        read = self._read(clauses, when)
        seen, of = self.value(name, "seen", _seen, (1, 1))
        do = self._do(name)
        max_age = self.value(name, "max_age", seconds, math.inf)
        if given.get("do") and "max_age" not in given:
            what = "commands something and needs `max_age`, the age beyond which evidence must not act"
            self.wrong((name,), f"`{name}` {what}, such as `max_age: 500ms`", key=True)
        return Rule(
            name=name,
            when=when,
            condition=Clauses(clauses, read, constants),
            any=str(given.get("any", "")),
            seen=seen,
            of=of,
            hold=self.value(name, "for", seconds, 0.0),
            max_age=max_age,
            cooldown=self.value(name, "cooldown", seconds, 0.0),
            again=self.value(name, "again", _again, math.inf),
            stale=self._stale(name, {*read, when}),
            do=do,
        )

    def _when(self, name: str) -> str:
        when = self.document.value[name].get("when")
        if when is None:
            self.wrong(
                (name,), f"`{name}` needs `when:`, the topic that triggers it: {self._known()}", key=True
            )
        elif not isinstance(when, str):
            self.wrong((name, "when"), f"`when` must be one topic: {self._known()}")
        elif when not in self.topics:
            near = nearest(when, self.topics) or f"; there is {self._known()}"
            self.wrong((name, "when"), f"there is no topic `{when}`{near}")
        else:
            return when
        return ""

    def _known(self) -> str:
        return ", ".join(sorted(self.topics)) or "none"

    def _any(self, name: str, when: str) -> kinds.Kind | None:
        """The kind of the list that ``any`` names."""
        given = self.document.value[name].get("any")
        if "any" not in self.document.value[name]:
            return None
        if not isinstance(given, str):
            self.wrong((name, "any"), "`any` must be the name of a list field, as in `any: items`")
            return kinds.LIST
        if not when:
            return kinds.LIST
        scope = {"message": kinds.of_topic(self.topics[when])}
        try:
            kind = kinds.resolve(("message", given), scope)
        except kinds.KindError:
            fields = [field.name for field in getattr(scope["message"], "fields", ())]
            near = nearest(given, fields) or "; it has " + ", ".join(fields)
            self.wrong((name, "any"), f"messages of `{when}` have no field `{given}`{near}")
            return kinds.LIST
        if kinds.element(kind) is None:
            what = f"`any` needs a list, and `{when}.{given}` is {kinds.describe(kind)}"
            self.wrong((name, "any"), f"{what}; leave `any` out and read it as `{when}.{given}`")
            return kinds.LIST
        return kind

    def _clauses(
        self, name: str, constants: Mapping[str, Any], item: kinds.Kind | None
    ) -> list[CompiledClause]:
        given = self.document.value[name].get("if")
        if given is None or given == []:
            self.wrong((name,), f"`{name}` needs `if:`, a list of clauses that must all be true", key=True)
            return []
        texts: dict[tuple[Step, ...], Any] = {("if",): given}
        if isinstance(given, list):
            texts = {("if", number): text for number, text in enumerate(given)}
        topics = {topic: kinds.of_topic(types) for topic, types in self.topics.items()}
        scope = kinds.scope_of(topics, {**self.others, **({ITEM: item} if item else {})})
        found = [self._clause((name, *path), text, scope, constants) for path, text in texts.items()]
        return [clause for clause in found if clause]

    def _clause(
        self, path: tuple[Step, ...], text: Any, scope: kinds.Scope, constants: Mapping[str, Any]
    ) -> CompiledClause | None:
        if not isinstance(text, str):
            hint = "; put quotes around it" if isinstance(text, (dict, list)) else ""
            self.wrong(path, f"a clause must be text, one CEL expression{hint}")
            return None
        clause, problems = compile_clause(text, scope, constants)
        for problem in problems:
            self.wrong(path, problem)
        return clause

    def _read(self, clauses: list[CompiledClause], when: str) -> frozenset[str]:
        """The topics that the clauses read."""
        starts = {path[:depth] for clause in clauses for path in clause.paths for depth in (1, 2)}
        whole = {path for clause in clauses for path in clause.paths if len(path) == 1}
        return frozenset(
            topic
            for topic in self.topics
            if topic != ITEM and (tuple(topic.split(".")) in starts or (topic.partition(".")[0],) in whole)
        )

    def _stale(self, name: str, read: set[str]) -> dict[str, float]:
        given = self.document.value[name].get("stale", {})
        if not isinstance(given, dict):
            self.wrong((name, "stale"), "`stale` must say for which topic: `stale: {lock: 3s}`")
            return {}
        found = {}
        for topic, text in given.items():
            if topic not in read:
                near = nearest(topic, read) or "; it reads " + ", ".join(sorted(read))
                self.wrong((name, "stale", topic), f"the rule does not read `{topic}`{near}", key=True)
                continue
            try:
                found[topic] = seconds(text)
            except ValueError as error:
                self.wrong((name, "stale", topic), str(error))
        return found

    # -- what it does

    def _do(self, name: str) -> tuple[Action, ...]:
        given = self.document.value[name].get("do", {})
        if not isinstance(given, dict):
            self.wrong(
                (name, "do"), "`do` must name an actuator and its command: `do: {lock: {open_for: 5s}}`"
            )
            return ()
        return tuple(action for actuator in given for action in self._action(name, actuator, given[actuator]))

    def _action(self, name: str, actuator: str, given: Any) -> Iterator[Action]:
        path = (name, "do", actuator)
        kind = self.actuators.get(actuator)
        if kind is None:
            known = ", ".join(sorted(self.actuators)) or "none"
            near = nearest(actuator, self.actuators) or f"; there is {known}"
            self.wrong(path, f"there is no actuator `{actuator}`{near}", key=True)
        elif not isinstance(given, dict):
            what = f"a command to `{actuator}` is its fields: {', '.join(command.fields_of(kind))}"
            self.wrong(path, f"{what}, as in `{actuator}: {{field: value}}`")
        else:
            fields, wrong = command.read(kind, given, rule=name)
            for key, what in wrong.items():
                self.wrong((*path, key) if key else path, what, key=True)
            yield Action(actuator, kind, fields)


def _seen(value: Any) -> tuple[int, int]:
    found = _SEEN.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"`{value}` must read `3 of 5`: that many of the last so many evaluations")
    seen, of = int(found[1]), int(found[2])
    if not 1 <= seen <= of <= MOST_SEEN:
        what = f"{of} evaluations can never hold {seen} true ones" if seen > of else f"from 1 to {MOST_SEEN}"
        raise ValueError(f"`{value}`: {what}")
    return seen, of


def _again(value: Any) -> float:
    length = seconds(value)
    if length < SOONEST:
        raise ValueError(f"`{value}` would fire without end; write how long to wait, such as 1s")
    return length
