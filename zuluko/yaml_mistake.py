"""What is wrong with a text that is no YAML, in the words of who wrote it and not of who parses it."""

import re
from typing import NamedTuple

import yaml

FIND = "look at indentation, quotes and colons here and just above"

# What PyYAML says, and what is said instead. {first} is where that begins which it was reading.
SENTENCES = {
    r"expected ',' or '\]'": "a comma is missing here, or before it the `]` that closes the `[` of {first}",
    r"expected ',' or '}'": "a comma is missing here, or before it the `}}` that closes the `{{` of {first}",
    r"expected <block end>, but found '([]}])'": "this `{0}` closes nothing; remove it",
    r"mapping values are not allowed here": "a `:` cannot stand here; "
    "indent this line as its neighbours are, and put a value that holds a colon in quotes",
    r"could not find expected ':'": "this line has no `:`; write it as `key: value`",
    r"found unexpected end of stream": "the quote at {first} is not closed",
    r"found character '(.)' that cannot start": "`{0}` cannot begin a value; put the value in quotes",
    r"but found another document": "another document begins here; a file has one, without `---` in between",
}
AT_ITS_BEGINNING = "could not find expected ':'"  # PyYAML has read on by the time that it says so


class Mistake(NamedTuple):
    """A sentence and its place; line and column count from 1."""

    line: int
    column: int
    what: str


def mistake(error: yaml.MarkedYAMLError) -> Mistake:
    """What PyYAML raised, in one sentence that says what to write instead."""
    problem = error.problem or error.context or "it cannot be read"
    mark, first = error.problem_mark or error.context_mark, error.context_mark
    if problem == AT_ITS_BEGINNING:
        mark = first
    return Mistake(*_place(mark), _sentence(problem, error))


def _sentence(problem: str, error: yaml.MarkedYAMLError) -> str:
    if "'\\t'" in problem:
        return "a tab cannot indent YAML; use spaces"
    if told := _indentation(problem, error):
        return told
    line, column = _place(error.context_mark)
    for pattern, sentence in SENTENCES.items():
        if found := re.match(pattern, problem):
            told = sentence.format(*found.groups(), first=f"line {line}, column {column}")
            return f"this is not YAML: {told}"
    context = f" {error.context}" if error.context and error.problem else ""
    return f"this is not YAML: {problem}{context}; {FIND}"


def _indentation(problem: str, error: yaml.MarkedYAMLError) -> str:
    """The commonest mistake: a line that stands deeper than, or between, those that it belongs to."""
    mark, first = error.problem_mark, error.context_mark
    if not (mark and first) or not re.match("expected <block end>, but found '[^]}]", problem):
        return ""
    before = str(mark.buffer)[: mark.pointer].rpartition("\n")[2]
    if mark.column == first.column or before.strip():
        return ""
    spaces = f"{mark.column} space{'' if mark.column == 1 else 's'}"
    above = f"the block that begins in line {first.line + 1} by {first.column}"
    return f"this line is indented by {spaces}, and {above}; indent alike what belongs together"


def _place(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
