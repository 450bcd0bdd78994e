"""Rule files: YAML in, checked rules out, or all that is wrong with them at once."""

import math
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zuluko.actions import calls, kinds, params, ruleblocks, ruledo, rulewhen
from zuluko.actions.celtext import TYPES
from zuluko.actions.clauses import ITEM, Clauses
from zuluko.actions.params import Param
from zuluko.actions.rule import Action, Rule
from zuluko.actions.ruleclauses import ClauseReader, heard
from zuluko.actions.ruledo import Actuators, Judges
from zuluko.actions.rulenotes import Notes
from zuluko.actions.rulewhen import When
from zuluko.bus.message import Command, Message
from zuluko.document import Document, DocumentError, Step, nearest, seconds
from zuluko.document import load as load_document

Topics = Mapping[str, type[Message] | tuple[type[Message], ...]]

KEYS = (
    *("when", "any", "if", "seen", "for", "max_age", "cooldown", "again", "stale", "do", "else_do"),
    *(
        "if_silent",
        "all",
        "sequence",
        "within",
        "mode",
        "max",
        "priority",
        "blocks",
        "on_failure",
        "on_restart",
    ),
)
ZONE = "zone"  # the parameter that says in which time zone the place is
MOST_SEEN = 1000  # evaluations
SOONEST = 0.01  # seconds after which a rule may fire again though nothing changed
_MISFITS = (
    ({"all"}, ("any",), "either some item must pass, or each"),
    ({"any", "all"}, ("sequence",), "items come and go; a sequence is about messages"),
    ({"seen", "for"}, ("sequence",), "a sequence is true for one moment"),
    ({"any", "all", "seen", "for", "sequence"}, ("if_silent",), "a silence brings no messages"),
)

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
    ``reports``   the topics that tell what has become of commands, where a rule asks for it
    ``names``     by topic of the graph, what the rules call it, where that is not its own name
    ``zone``      the time zone of the place
    """

    rules: tuple[Rule, ...]
    triggers: tuple[str, ...]
    levels: tuple[str, ...]
    commands: Mapping[str, type[Command]]
    params: Mapping[str, Param]
    name: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    reports: tuple[str, ...] = ()

    @property
    def hears(self) -> tuple[str, ...]:
        """All topics whose messages the engine is handed one by one."""
        return (*self.triggers, *(topic for topic in self.reports if topic not in self.triggers))


def load(
    file: Path | str,
    *,
    topics: Topics,
    actuators: Actuators,
    params: Mapping[str, Any] | None = None,
    name: str = "",
    zone: str = "UTC",
    judges: Judges | None = None,
) -> RuleSet:
    """Reads a rule file; raises DocumentError with every problem in it.

    ``topics`` gives the message type of each topic that there is (``planner.path`` where a node has several),
    ``actuators`` the command type of each node that takes commands, ``params`` values for the file's own,
    ``name`` what the ids of the commands begin with: the node's, or the file's where it is not given;
    ``zone`` the time zone where the file has no parameter for it; ``judges`` what an actuator finds wrong
    with a command besides its type.
    """
    return check(
        load_document(file),
        topics=topics,
        actuators=actuators,
        params=params,
        name=name,
        zone=zone,
        judges=judges,
    )


def check(
    document: Document,
    *,
    topics: Topics,
    actuators: Actuators,
    params: Mapping[str, Any] | None = None,
    name: str = "",
    zone: str = "UTC",
    judges: Judges | None = None,
) -> RuleSet:
    """The same for a document that has been read."""
    reader = _Reader(
        document, topics=topics, actuators=actuators, judges=judges or {}, node=name or document.file
    )
    found = reader.params(params or {})
    zone = reader.zone(found, zone)
    constants = {name: param.value for name, param in found.items()}
    rules = [reader.rule(rule, constants) for rule in document.value if rule != "params"]
    if not rules:
        reader.wrong((), "there is no rule here; a rule is a name with `when:`, `if:` and `do:` under it")
    ordered = ruleblocks.ordered(reader, [rule for rule in rules if rule])
    if reader.problems:
        raise DocumentError(reader.problems)
    return _ruleset(ordered, found, name or document.file, zone)


def only(ruleset: RuleSet, rule: str) -> RuleSet:
    """Of the rules those on which one hangs, with what they hear; none where there is no such rule."""
    names = ruleblocks.needed(rule, {one.name: one.blocks for one in ruleset.rules})
    rules = [one for one in ruleset.rules if one.name in names]
    made = _ruleset(rules, dict(ruleset.params), ruleset.name, ruleset.zone)
    return replace(made, names=ruleset.names)


def document_of(document: Document, rule: str) -> Document:
    """The document without the rules on which that one does not hang."""
    blocks = {name: _blocked(one) for name, one in document.value.items() if name != "params"}
    gone = blocks.keys() - ruleblocks.needed(rule, blocks)
    value = {name: _without(one, gone) for name, one in document.value.items() if name not in gone}
    return replace(document, value=value)


def _blocked(rule: Any) -> list[str]:
    """The rules that one blocks, as far as it is a rule."""
    given = rule.get("blocks", []) if isinstance(rule, dict) else []
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]


def _without(rule: Any, gone: Set[str]) -> Any:
    """The rule as one that does not block those."""
    if gone.isdisjoint(_blocked(rule)):
        return rule
    return {**rule, "blocks": [one for one in _blocked(rule) if one not in gone]}


def _ruleset(rules: list[Rule], params: dict[str, Param], name: str, zone: str) -> RuleSet:
    triggers = dict.fromkeys(topic for rule in rules for topic in rule.triggers)
    conditions = [
        (rule, one) for rule in rules for one in (rule.condition, *(g.condition for g in rule.gates))
    ]
    read = {
        topic: None
        for rule, condition in conditions
        for topic in sorted(condition.topics)
        if topic not in rule.triggers
    }
    commands = {
        action.actuator: action.kind
        for rule in rules
        for action in (*rule.do, *rule.else_do, *rule.on_failure)
    }
    reports = dict.fromkeys(topic for rule in rules for topic in rule.reports)
    return RuleSet(
        tuple(rules), tuple(triggers), tuple(read), commands, params, name, zone=zone, reports=tuple(reports)
    )


@dataclass(kw_only=True)
class _Reader(Notes):
    """Reads one document and gathers what is wrong with it."""

    topics: Topics
    actuators: Actuators
    judges: Judges
    node: str
    others: dict[str, kinds.Kind] = field(default_factory=dict)  # the parameters' kinds

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
        taken = {ITEM, calls.NOW, *TYPES, *(topic.partition(".")[0] for topic in self.topics)}
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

    def zone(self, found: Mapping[str, Param], usual: str) -> str:
        """The time zone: that of the parameter of this name, if the file has one."""
        name = str(found[ZONE].value if ZONE in found else usual)
        try:
            calls.zone_of(name)
        except ValueError as error:
            self.wrong(("params", ZONE), str(error))
        return name

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
        when = rulewhen.read(self, name, self.topics)
        self._check_fit(name, when)
        items = self._items(name, when)
        scope = self._scope(kinds.element(items) if items else None)
        clauses = ClauseReader(self, name, scope, constants).read(when)
        read = heard(clauses, self.topics)
        seen, of = self.value(name, "seen", _seen, (1, 1))
        do = self._do(name, "do")
        gates = ruledo.gates(self, name, self._until(name, constants))
        gated = {topic for gate in gates for topic in gate.condition.topics}
        mode, most = ruledo.mode(self, name)
        first, *others = when.triggers or ("",)
        return Rule(
            name=name,
            when=first,
            also=tuple(others),
            silence=when.silence,
            condition=Clauses(clauses, read, constants),
            any=str(given.get("any", "")),
            all=str(given.get("all", "")),
            seen=seen,
            of=of,
            hold=self.value(name, "for", seconds, 0.0),
            max_age=self.value(name, "max_age", seconds, math.inf),
            cooldown=self.value(name, "cooldown", seconds, 0.0),
            again=self.value(name, "again", _again, math.inf),
            stale=self._stale(
                name, {*read, *gated, *(topic for topic in when.triggers if topic in self.topics)}
            ),
            do=do,
            gates=gates,
            else_do=self._do(name, "else_do"),
            on_failure=self._do(name, "on_failure"),
            reports=self._reports(name, do),
            mode=mode,
            most=most,
            on_restart=ruledo.on_restart(self, name),
            priority=self.value(name, "priority", ruleblocks.priority, 0),
            blocks=ruleblocks.read(self, name),
        )

    def _scope(self, item: kinds.Kind | None) -> kinds.Scope:
        """The kind of each variable of a clause."""
        topics = {topic: kinds.of_topic(types) for topic, types in self.topics.items()}
        return kinds.scope_of(topics, {**self.others, **({ITEM: item} if item else {})})

    def _check_fit(self, name: str, when: When) -> None:
        """Tells of keys that exclude each other."""
        given = self.given(name)
        for keys, others, why in _MISFITS:
            for key in given.keys() & keys:
                if other := next((one for one in others if one in given), None):
                    self.wrong((name, key), f"`{key}` and `{other}` exclude each other: {why}", key=True)
        if "within" in given and "sequence" not in given:
            what = "`within` is for a `sequence`; how long a condition must hold is `for`"
            self.wrong((name, "within"), what, key=True)
        lists = [key for key in ("any", "all") if key in given]
        if lists and len(when.triggers) > 1:
            what = f"`{lists[0]}` is about the messages of one topic, and `when` names {len(when.triggers)}"
            self.wrong((name, lists[0]), f"{what}; make a rule of each", key=True)
        elif lists and when.triggers and when.triggers[0] not in self.topics:
            what = f"`{lists[0]}` is about a list in a message, and `{when.triggers[0]}` brings none"
            self.wrong((name, lists[0]), what, key=True)

    def _do(self, name: str, key: str) -> tuple[Action, ...]:
        do = ruledo.read(self, name, key, self.actuators, self.judges)
        given = self.given(name)
        needs = not do or any(one.kind.needs_fresh_evidence for one in do)
        if given.get(key) and needs and "max_age" not in given:
            what = "commands something and needs `max_age`, the age beyond which evidence must not act"
            self.wrong((name,), f"`{name}` {what}, such as `max_age: 500ms`", key=True)
        return do

    def _until(
        self, name: str, constants: Mapping[str, Any]
    ) -> Callable[[tuple[Step, ...], Any], Clauses | None]:
        """What reads the clause of a gate: one about the latest messages, and not about items or the past."""
        reader = ClauseReader(self, name, self._scope(None), constants)

        def read(path: tuple[Step, ...], text: Any) -> Clauses | None:
            clause = reader.clause(path, text, recalls=False)
            return Clauses([clause], heard([clause], self.topics), constants) if clause else None

        return read

    def _reports(self, name: str, do: tuple[Action, ...]) -> tuple[str, ...]:
        """The topics that tell what has become of the rule's commands, where that matters to it."""
        given = self.given(name)
        if "on_failure" not in given:
            return ()
        if not given.get("do"):
            what = "`on_failure` is for commands of `do` that fail, and there are none"
            self.wrong((name, "on_failure"), what, key=True)
        actuators = {one.actuator for one in do}
        told = [topic for topic in self.topics if topic.partition(".")[0] in actuators]
        return (f"{self.node}.delivery", *filter(self._tells, told))

    def _tells(self, topic: str) -> bool:
        """Whether the messages of a topic name a command."""
        kinds_ = self.topics[topic]
        return any(
            "command" in kind.__struct_fields__
            for kind in (kinds_ if isinstance(kinds_, tuple) else (kinds_,))
        )

    def _items(self, name: str, when: When) -> kinds.Kind | None:
        """The kind of the list that ``any`` or ``all`` names."""
        key = next((key for key in ("any", "all") if key in self.given(name)), "")
        if not key:
            return None
        given = self.given(name)[key]
        if not isinstance(given, str):
            self.wrong((name, key), f"`{key}` must be the name of a list field, as in `{key}: items`")
            return kinds.LIST
        topic = when.triggers[0] if when.triggers else ""
        if topic not in self.topics:
            return kinds.LIST
        return self._list((name, key), given, topic)

    def _list(self, place: tuple[str, str], given: str, when: str) -> kinds.Kind:
        key = place[1]
        scope = {"message": kinds.of_topic(self.topics[when])}
        try:
            kind = kinds.resolve(("message", given), scope)
        except kinds.KindError:
            fields = [field.name for field in getattr(scope["message"], "fields", ())]
            near = nearest(given, fields) or "; it has " + ", ".join(fields)
            self.wrong(place, f"messages of `{when}` have no field `{given}`{near}")
            return kinds.LIST
        if kinds.element(kind) is None:
            what = f"`{key}` needs a list, and `{when}.{given}` is {kinds.describe(kind)}"
            self.wrong(place, f"{what}; leave `{key}` out and read it as `{when}.{given}`")
            return kinds.LIST
        return kind

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
