"""What ``run:`` names: a module's function, imported."""

import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zuluko.document import nearest

HOMES = ("zuluko.nodes", "zuluko.perception", "zuluko.actions")  # where the stock nodes are


class RunError(ValueError):
    """A ``run:`` that names nothing that can run."""


def find(run: str, folder: Path) -> Callable[..., Any]:
    """The function of ``package.module``, ``package.module:function`` or ``./file.py[:function]``.

    Without a function's name it bears the module's last name. A file's folder goes on the import path, so
    that one file's message types can be imported by another. Raises RunError.
    """
    path, _, name = run.partition(":")
    found = module(path, folder)
    name = name or found.__name__.rpartition(".")[2]
    function = getattr(found, name, None)
    if not callable(function) or isinstance(function, type):
        public = [known for known, thing in vars(found).items() if inspect.isfunction(thing)]
        hint = nearest(name, public) or f"; name another as {path}:name"
        raise RunError(f"`{path}` has no function `{name}`{hint}")
    return function  # type: ignore[no-any-return]


def attribute(home: str, folder: Path) -> Any:
    """What ``package.module:Name`` or ``./file.py:Name`` names; raises RunError."""
    path, _, name = home.partition(":")
    if not name:
        raise RunError(f"`{home}` names no class; write {path or 'package.module'}:Class")
    found = module(path, folder)
    if not hasattr(found, name):
        public = [known for known, thing in vars(found).items() if inspect.isclass(thing)]
        raise RunError(f"`{path}` has no `{name}`{nearest(name, public)}")
    return getattr(found, name)


def check_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function ``check_camera`` beside a node ``camera``, which tells what is wrong with a configuration
    before anything starts, if there is one."""
    home = sys.modules.get(function.__module__)
    return getattr(home, f"check_{function.__name__}", None)


def is_file(run: str) -> bool:
    """Whether a ``run:`` names a file, whose path is relative to the launch file's folder."""
    return run.partition(":")[0].endswith((".py", ".yaml", ".yml"))


def module(path: str, folder: Path) -> Any:
    """The module ``package.module`` or ``./file.py``, imported; raises RunError."""
    return _file(folder / path) if path.endswith(".py") else _module(path, folder)


def _module(path: str, folder: Path) -> Any:
    if not all(part.isidentifier() for part in path.split(".")):
        raise RunError(f"`{path}` is no module; write package.module, ./file.py or a .rules.yaml file")
    if (folder / f"{path}.py").is_file() and find_spec(path) is None:
        raise RunError(f"there is no module `{path}`; did you mean `./{path}.py`?")
    return _import(path, path)


def no_file(file: Path) -> str:
    """That there is no such file, and which one may have been meant."""
    kind = ".rules" * file.stem.endswith(".rules") + file.suffix
    others = [other.name for other in file.parent.glob(f"*{kind}")]
    dotted = file.stem.count(".") > 0 and file.suffix == ".py"
    hint = f"; a module is written without .py: {file.stem}" if dotted else nearest(file.name, others)
    return f"there is no file {file}{hint}"


def _file(file: Path) -> Any:
    if not file.is_file():
        raise RunError(no_file(file))
    folder = str(file.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last: a user's statistics.py must not stand in for Python's own
    found = _import(file.stem, str(file))
    if Path(found.__file__ or "").resolve() != file.resolve():
        raise RunError(f"{file.name} bears the name of another module ({found.__file__}); rename the file")
    return found


def module_called(name: str) -> Any:
    """A module by its full name; raises RunError with what is wrong with it."""
    return _import(name, name)


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
    if not package:
        return next((f"; did you mean `{home}.{last}`?" for home in HOMES if find_spec(f"{home}.{last}")), "")
    try:
        paths = importlib.import_module(package).__path__
    except (ImportError, AttributeError):
        return ""
    return nearest(last, [found.name for found in pkgutil.iter_modules(paths)])


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})" if trace else ""
