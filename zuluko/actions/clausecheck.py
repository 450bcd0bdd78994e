"""Checks a clause against the message types before anything runs.

In two ways, since the CEL library compiles without types: the paths in the text are followed through the
types' fields, and each part of the clause is evaluated on sample values of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zuluko.actions import kinds
from zuluko.actions.celtext import FUNCTIONS, Path, dotted, operands, read
from zuluko.actions.clauses import CompiledClause, cel
from zuluko.document import nearest

LONGEST = 2000  # characters

_SAID = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_DATA = (LookupError, ArithmeticError)  # what another message may put right


def compile_clause(
    text: str, scope: kinds.Scope, constants: Mapping[str, Any] | None = None
) -> tuple[CompiledClause | None, list[str]]:
    """The clause, and sentences about all that is wrong with it (then it must not run).

    ``scope`` gives the kind of each variable, ``constants`` the value of those that never change.
    """
    if len(text) > LONGEST:
        return None, [f"the clause is longer than {LONGEST} characters; make several of it"]
    try:
        clause = CompiledClause(text)
    except ValueError as error:
        return None, [_syntax(text, str(error))]
    problems = [*_functions(clause), *_paths(clause, scope)] or list(
        _evaluated(clause, scope, constants or {})
    )
    return clause, problems


def _syntax(text: str, said: str) -> str:
    found = _SAID.search(said)
    if not found:
        return f"`{text}` is no CEL expression"
    if "'= '" in found[3] or "at: '='" in found[3]:
        return f"`{text}` has a single `=`; a comparison is written `==`"
    what = found[3].partition(" expecting {")[0].replace("'<EOF>'", "its end")
    return f"`{text}` is no CEL expression: at character {found[2]}, {what}"


def _functions(clause: CompiledClause) -> Iterator[str]:
    for name in clause.program.functions():
        if re.fullmatch(r"[A-Za-z]\w*", name) and name not in FUNCTIONS:
            near = nearest(name, FUNCTIONS) or "; there are " + ", ".join(sorted(FUNCTIONS))
            yield f"`{name}` is no function of a clause{near}"


def _paths(clause: CompiledClause, scope: kinds.Scope) -> Iterator[str]:
    reading = read(clause.text)
    for path in reading.paths:
        try:
            kinds.resolve(path, scope)
        except kinds.KindError as error:
            yield str(error)
            return
    for path, literal in reading.compared:
        if wrong := kinds.mismatch(kinds.resolve(path, scope), literal):
            yield f"`{dotted(path)}` {wrong}"


def _evaluated(clause: CompiledClause, scope: kinds.Scope, constants: Mapping[str, Any]) -> Iterator[str]:
    vague = any(kinds.is_vague(kinds.resolve(path, scope)) for path in clause.paths)
    for part in dict.fromkeys([*operands(clause.text), clause.text]):
        try:
            program = cel.compile(part)
        except ValueError:
            continue  # cut out of its place it may not stand alone; the whole clause is tried as well
        wrong = _try(program, part, scope, constants, vague=vague)
        if wrong:
            yield wrong
            return


def _try(program: Any, part: str, scope: kinds.Scope, constants: Mapping[str, Any], *, vague: bool) -> str:
    """What is wrong with one part of a clause, seen on samples of all that it reads, or nothing."""
    paths = read(part).paths
    roots = sorted({path[0] for path in paths} - set(constants))
    answered = False
    error: Exception | None = None
    for number in range(kinds.SAMPLES):
        sample = {root: kinds.sample(scope[root], number + at) for at, root in enumerate(roots)}
        try:
            result = program.execute({**constants, **sample})
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
    return f"`{part}` cannot be evaluated: {str(error).splitlines()[0].removesuffix('.')} ({operands})"
