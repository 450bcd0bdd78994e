"""What ``run:`` names: a module's function, imported."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zuluko.document import nearest


class RunError(ValueError):
    """A ``run:`` that names nothing that can run."""


def find(run: str, folder: Path) -> Callable[..., Any]:
    """The function of ``package.module``, ``package.module:function`` or ``./file.py[:function]``.

    Without a function's name it bears the module's last name. A file's folder goes on the import path, so
    that one file's message types can be imported by another. Raises RunError.
    """
    path, _, name = run.partition(":")
    module = _file(folder / path) if path.endswith(".py") else _module(path)
    name = name or module.__name__.rpartition(".")[2]
    function = getattr(module, name, None)
    if not callable(function) or isinstance(function, type):
        public = [known for known, thing in vars(module).items() if inspect.isfunction(thing)]
        raise RunError(
            f"`{path}` has no function `{name}`{nearest(name, public)}; name another as {path}:name"
        )
    return function  # type: ignore[no-any-return]


def _module(path: str) -> Any:
    if not all(part.isidentifier() for part in path.split(".")):
        raise RunError(f"`{path}` is no module; write package.module, ./file.py or a .rules.yaml file")
    return _import(path, path)


def _file(file: Path) -> Any:
    if not file.is_file():
        raise RunError(f"there is no file {file}")
    folder = str(file.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last: a user's statistics.py must not stand in for Python's own
    module = _import(file.stem, str(file))
    if Path(module.__file__ or "").resolve() != file.resolve():
        raise RunError(f"{file.name} bears the name of another module ({module.__file__}); rename the file")
    return module


def _import(name: str, shown: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise RunError(f"there is no module `{shown}`{_sibling(name)}") from None
        raise RunError(f"`{shown}` needs the module `{error.name}`, which is not installed") from None
    except SyntaxError as error:
        raise RunError(
            f"`{shown}` is not Python: {error.msg} ({error.filename}, line {error.lineno})"
        ) from None
    except (
        Exception,
        SystemExit,
    ) as error:  # a user's module may fail in any way; it is told as one sentence
        raise RunError(
            f"importing `{shown}` failed: {type(error).__name__}: {error}{_where(error)}"
        ) from None


def _sibling(name: str) -> str:
    """A module of the same package that the word may have meant."""
    import pkgutil

    package, _, last = name.rpartition(".")
    try:
        paths = importlib.import_module(package).__path__ if package else None
    except (ImportError, AttributeError):
        return ""
    return nearest(last, [found.name for found in pkgutil.iter_modules(paths)]) if package else ""


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})" if trace else ""
