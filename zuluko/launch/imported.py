"""The user's modules: as they were when the graph was checked, and anew in a process that starts after an
edit.

So an edited node needs only a restart of its own, as long as what it hears and tells stays what it was.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import zuluko
from zuluko.bus.message import Message, tag
from zuluko.bus.topics import schema
from zuluko.launch import functions, signature
from zuluko.launch.graph import Entry
from zuluko.launch.signature import Signature, SignatureError

_FOREIGN = (Path(os.__file__).parent, Path(zuluko.__file__).parent)
_INSTALLED = {"site-packages", "dist-packages"}


class MisfitError(ValueError):
    """An edited node that does not fit into the graph that runs."""


class Imported:
    """Remembers the files of the modules that are neither Python's, nor installed, nor Zuluko's."""

    def __init__(self) -> None:
        self._files = {
            name: (file, _state(file))
            for name, module in list(sys.modules.items())
            if name != "__main__" and (file := _file(module)) and _is_users(file)
        }

    @property
    def edited(self) -> bool:
        return any(_state(file) != state for file, state in self._files.values())

    def renew(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries with their functions as they are on the disk now; called in a forked process, for the
        modules change for all. Raises MisfitError for one that fits no more, RunError and SignatureError for
        one that cannot run."""
        if not self.edited:
            return list(entries)
        self._forget()
        return [self._renew(entry) if self._is_users(entry.function) else entry for entry in entries]

    def _forget(self) -> None:
        for name, (file, state) in self._files.items():
            sys.modules.pop(name, None)
            if _state(file) != state:  # an edit of the same second and size would pass for the old one
                with suppress(OSError, NotImplementedError):
                    Path(importlib.util.cache_from_source(file)).unlink()
        importlib.invalidate_caches()

    def _is_users(self, thing: Any) -> bool:
        return thing.__module__ in self._files

    def _renew(self, entry: Entry) -> Entry:
        function = self._anew(entry.function)
        wanted = signature.read(function)
        self._compare(entry, wanted)
        wires = tuple(
            replace(
                wire,
                input=new,
                topics=tuple(replace(topic, kind=self._kind(topic.kind)) for topic in wire.topics),
            )
            for wire, new in zip(entry.wires, wanted.inputs, strict=True)
        )
        return replace(entry, function=function, signature=wanted, wires=wires)

    def _anew(self, thing: Any) -> Any:
        """The function or class of the same module and name."""
        module = functions.module_called(thing.__module__)
        try:
            return reduce(getattr, thing.__qualname__.split("."), module)
        except AttributeError:
            raise MisfitError(f"{thing.__module__} has no {thing.__qualname__} any more") from None

    def _kind(self, kind: type[Message]) -> type[Message]:
        """A message type as it is now, which must look on the wire as before."""
        if not self._is_users(kind):
            return kind
        new: type[Message] = self._anew(kind)
        if (tag(new), schema(new)) != (tag(kind), schema(kind)):
            raise MisfitError(f"the message type {kind.__name__} changed")
        return new

    def _compare(self, entry: Entry, new: Signature) -> None:
        old = entry.signature
        kinds = [replace(one, types=tuple(map(self._kind, one.types))) for one in old.inputs]
        if kinds != list(new.inputs) or tuple(map(self._kind, old.outputs)) != new.outputs:
            raise MisfitError("its inputs or outputs changed")
        changed = [
            name
            for name in entry.options
            if repr(old.options[name]) != repr(new.options.get(name, MisfitError))
        ]
        if missing := [*changed, *(name for name in new.required if name not in entry.options)]:
            raise MisfitError(f"its configuration `{missing[0]}` changed")


def renewed(imported: Imported, entries: Iterable[Entry]) -> tuple[list[Entry], str]:
    """The entries anew, or why that cannot be, as a sentence."""
    try:
        return imported.renew(entries), ""
    except MisfitError as error:
        return [], f"{error}; restart the graph"
    except (functions.RunError, SignatureError) as error:
        return [], str(error)


def _file(module: object) -> str | None:
    """Where a module was loaded from. To ask one that waits for its first use would load it."""
    if not issubclass(type(module), ModuleType):  # others stand there too, and say that they are modules
        return None
    file = object.__getattribute__(module, "__dict__").get("__file__")
    return file if isinstance(file, str) else None


def _is_users(file: str) -> bool:
    path = Path(file)
    return not (_INSTALLED & set(path.parts) or any(path.is_relative_to(folder) for folder in _FOREIGN))


def _state(file: str) -> tuple[int, int]:
    """What changes with an edit: when it was, and the size."""
    try:
        seen = os.stat(file)
    except OSError:
        return (0, 0)
    return seen.st_mtime_ns, seen.st_size
