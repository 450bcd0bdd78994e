"""Substitution: ``$name`` is a parameter, ``$env:NAME`` an environment variable, ``$$`` a dollar."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from zuluko.document import Problem, nearest
from zuluko.launch.options import MISSING, Concealed, Lacking, Text, is_secret
from zuluko.launch.places import Place, Say

_VARIABLE = re.compile(r"\$(?:(\$)|(env:)?([A-Za-z_][A-Za-z0-9_]*))")


class Substitution:
    """Puts parameters and the environment into the values of one file.

    With ``reveal`` false, ``$env:NAME`` and ``$$`` stay as they are, for a text that is to be read again.
    With ``spare``, which makes a problem of a place and a sentence, what the environment does not have is
    told to nobody, but goes with the value.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        say: Say,
        *,
        reveal: bool = True,
        spare: Callable[[Place, str], Problem] | None = None,
    ) -> None:
        self._params, self._say, self._reveal, self._spare = params, say, reveal, spare

    def put_in(self, value: Any, path: Place) -> Any:
        """The value with its variables put in; one that is nothing else keeps the parameter's type. What
        could not be put in is MISSING, and has been told."""
        if isinstance(value, dict):
            return {key: self.put_in(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.put_in(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        if whole := _VARIABLE.fullmatch(value):
            return self._variable(whole, path)
        return self._mixed(value, path)

    def _mixed(self, value: str, path: Place) -> Any:
        parts, shown, start = list[str](), list[str](), 0
        for found in _VARIABLE.finditer(value):
            inner = self._variable(found, path)
            if inner is MISSING or isinstance(inner, Lacking):
                return inner
            before, start = value[start : found.start()], found.end()
            parts += [before, str(inner)]
            shown += [before, found[0] if is_secret(inner) else str(inner)]
        text = "".join([*parts, value[start:]])
        said = "".join([*shown, value[start:]])
        return text if text == said else Concealed(text, said)

    def _variable(self, found: re.Match[str], path: Place) -> Any:
        dollar, environment, name = found.groups()
        if dollar or (environment and not self._reveal):
            return found[0] if not self._reveal else dollar
        if environment:
            if name not in os.environ:
                what = f"the environment has no {name}; set it before the start: export {name}=..."
                if self._spare:
                    return Lacking.of(f"$env:{name}", self._spare(path, what))
                self._say(path, what)
                return MISSING
            return Text(os.environ[name], f"$env:{name}")
        if name not in self._params:
            hint = nearest(name, self._params) or f"; declare it: `params: {{{name}: ...}}`"
            self._say(path, f"`${name}` is no parameter of this file{hint}")
        return self._params.get(name, MISSING)


def is_missing(value: Any) -> bool:
    """Whether something in a value could not be put in, and has been told."""
    if isinstance(value, dict):
        return any(map(is_missing, value.values()))
    return value is MISSING or (isinstance(value, list) and any(map(is_missing, value)))
