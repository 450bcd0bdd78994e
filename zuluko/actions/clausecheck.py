"""Checks a clause against the message types before anything runs.

In two ways, since the CEL library compiles without types: the paths in the text are followed through the
types' fields, and each part of the clause is evaluated on sample values of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zuluko.actions import callcheck, calls, kinds
from zuluko.actions.celtext import FUNCTIONS, Path, dotted, operands, read
from zuluko.actions.clauses import CompiledClause, cel, context_of
from zuluko.document import nearest

LONGEST = 2000  # characters

_SAID = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_OWN = re.compile(r"Function '(\w+)' error: Python function call failed: \w+: (.*?)\. Check function.*")
_DATA = (LookupError, ArithmeticError)  # what another message may put right


def compile_clause(
    text: str, scope: kinds.Scope, constants: Mapping[str, Any] | None = None, *, recalls: bool = False
) -> tuple[CompiledClause | None, list[str]]:
    """The clause, and sentences about all that is wrong with it (then it must not run).

    ``scope`` gives the kind of each variable, ``constants`` the value of those that never change; one that is
    null may be given otherwise, and is tried on samples. ``recalls``: it may ask for the time and for what
    was before, as a rule's clauses may.
    """
    constants = constants or {}
    if len(text) > LONGEST:
        return None, [f"the clause is longer than {LONGEST} characters; make several of it"]
    try:
        cel().compile(text)
    except ValueError as error:
        return None, [_syntax(text, str(error))]
    found = list(calls.find(text)) if recalls else []
    called, wrong = callcheck.read(text, found, scope, constants)
    if wrong:
        return None, wrong
    clause = CompiledClause(text, tuple(called), callcheck.formula(text, found, called))
    scope = {**scope, **{call.name: callcheck.kind_of(call.function) for call in called}}
    problems = [
        *_functions(clause, recalls=recalls),
        *(problem for call in called for problem in _measured(call, scope, constants)),
        *_paths(clause.formula or text, scope),
    ] or list(_evaluated(clause, scope, constants))
    return clause, [callcheck.written(problem, called) for problem in problems]


def _measured(call: calls.Call, scope: kinds.Scope, constants: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the number that a call is about."""
    yield from (problems := list(_paths(call.subject, scope)))
    if call.measures and not problems:
        compared = f"({call.subject}\n) < 0.0"  # which is true or false just where the subject is a number
        vague = any(kinds.is_vague(kinds.resolve(path, scope)) for path in read(call.subject).paths)
        if _try(cel().compile(compared), compared, scope, constants, vague=vague):
            yield f"`{call.text}` is about a number, and `{call.subject}` is none"


def _syntax(text: str, said: str) -> str:
    found = _SAID.search(said)
    if not found:
        return f"`{text}` is no CEL expression"
    if "'= '" in found[3] or "at: '='" in found[3]:
        return f"`{text}` has a single `=`; a comparison is written `==`"
    what = found[3].partition(" expecting {")[0].replace("'<EOF>'", "its end")
    return f"`{text}` is no CEL expression: at character {found[2]}, {what}"


def _functions(clause: CompiledClause, *, recalls: bool) -> Iterator[str]:
    known = FUNCTIONS | calls.NAMES if recalls else FUNCTIONS
    for name in cel().compile(clause.text).functions():
        if re.fullmatch(r"[A-Za-z]\w*", name) and name not in known:
            near = nearest(name, known) or "; there are " + ", ".join(sorted(known))
            yield f"`{name}` is no function of a clause{near}"


def _paths(text: str, scope: kinds.Scope) -> Iterator[str]:
    reading = read(text)
    for path in reading.paths:
        try:
            kinds.resolve(path, scope)
        except kinds.KindError as error:
            yield str(error)
            return
    for path, number in reading.indexed:
        if wrong := kinds.beyond(kinds.resolve(path, scope), number):
            yield f"`{dotted(path)}` {wrong}"
            return
    for path, literal in reading.compared:
        if not _is_key(path, scope) and (wrong := kinds.mismatch(kinds.resolve(path, scope), literal)):
            yield f"`{dotted(path)}` {wrong}"
            return
    for one, other in reading.alike:
        if not _is_key(other, scope) and kinds.unlike(kinds.resolve(one, scope), kinds.resolve(other, scope)):
            yield _unequal(one, other, scope)
            return


def _is_key(path: Path, scope: kinds.Scope) -> bool:
    """Whether ``x in path`` asks for a mapping's key, of which the types say nothing."""
    return path[-1] == "[]" and kinds.element(kinds.resolve(path[:-1], scope)) is None


def _unequal(one: Path, other: Path, scope: kinds.Scope) -> str:
    left, right = [(path, kinds.resolve(path, scope)) for path in (one, other)]
    said = [f"`{dotted(path)}` is {kinds.describe(kind)}" for path, kind in (left, right)]
    hint = f"; `{dotted(one)} in {dotted(other)}` asks whether it is one of them"
    listed = kinds.element(right[1]) is not None and kinds.element(left[1]) is None
    return f"{said[0]} and {said[1]}, and they can never be equal{hint if listed else ''}"


def _evaluated(clause: CompiledClause, scope: kinds.Scope, constants: Mapping[str, Any]) -> Iterator[str]:
    vague = any(kinds.is_vague(kinds.resolve(path, scope)) for path in clause.paths)
    text = clause.formula or clause.text
    for part in dict.fromkeys([*operands(text), text]):
        try:
            program = cel().compile(part)
        except ValueError:
            continue  # cut out of its place it may not stand alone; the whole clause is tried as well
        wrong = _try(program, part, scope, constants, vague=vague)
        if wrong:
            yield wrong
            return


def _try(program: Any, part: str, scope: kinds.Scope, constants: Mapping[str, Any], *, vague: bool) -> str:
    """What is wrong with one part of a clause, seen on samples of all that it reads, or nothing."""
    paths = read(part).paths
    given = {name: value for name, value in constants.items() if value is not None}
    roots = sorted({path[0] for path in paths} - set(given))
    answered = False
    error: Exception | None = None
    for number in range(kinds.SAMPLES):
        sample = {root: kinds.sample(scope[root], number + at) for at, root in enumerate(roots)}
        try:
            result = program.execute(context_of({**given, **sample}))
        except _DATA as caught:
            error = error if isinstance(error, KeyError) else caught
        except (TypeError, RuntimeError, ValueError) as caught:
            error = caught
            if not vague:
                return _sentence(part, paths, scope, caught)
        else:
            answered = answered or isinstance(result, bool)
            if not isinstance(result, bool) and not vague:
                kind = kinds.describe(kinds.of_value(result))
                return (
                    f"`{part}` gives {kind}; a clause must give true or false, so compare it with something"
                )
    if answered or vague or error is None or isinstance(error, (IndexError, ArithmeticError)):
        return ""
    if isinstance(error, KeyError) and any(kinds.is_open(path, scope) for path in paths):
        return ""
    return _sentence(part, paths, scope, error)


def _sentence(part: str, paths: list[Path], scope: kinds.Scope, error: Exception) -> str:
    operands = ", ".join(f"{dotted(path)} is {kinds.describe(kinds.resolve(path, scope))}" for path in paths)
    if isinstance(error, KeyError):
        return f"`{part}` reads `{error.args[0]}`, which is not there ({operands})"
    if isinstance(error, TypeError) or "Undefined variable or function" in str(error):
        hint = "CEL converts nothing by itself, see double(x), int(x) and string(x)"
        return f"`{part}` puts together what does not fit ({operands}); {hint}"
    said = str(error).splitlines()[0].removesuffix(".")
    if own := _OWN.fullmatch(said):
        said = f"{own[1]}: {own[2]}"
    return f"`{part}` cannot be evaluated: {said} ({operands})"
