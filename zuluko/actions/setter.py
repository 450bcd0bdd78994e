"""Setters: how a node's parameter gets another value. A driver is a class that fits ``Setter`` and a line in
``DRIVERS``."""

from collections.abc import Callable
from typing import Any, Protocol

from zuluko.actions import host
from zuluko.actions.host import Answer
from zuluko.messages import Setting


class Setter(Protocol):
    """Gives a node's parameter another value; returns when the node runs with it, or when it is clear that it
    will not."""

    def set(self, node: str, name: str, value: Setting) -> Answer: ...


class SimulatedSetter:
    """Changes nothing and prints what would be; ``given`` keeps the last of each. ``failures`` gives by node
    why it would not run."""

    def __init__(self, failures: dict[str, str] | None = None) -> None:
        self.given: dict[tuple[str, str], Setting] = {}
        self.failures = failures or {}

    def set(self, node: str, name: str, value: Setting) -> Answer:
        if why := self.failures.get(node):
            return "failed", why
        self.given[node, name] = value
        print(f"{name} of {node} would be {value}")
        return "done", ""


class GraphSetter:
    """Asks the supervisor of the graph in which its node runs; to be made in the node's own thread."""

    def __init__(self) -> None:
        self._change = host.here().change

    def set(self, node: str, name: str, value: Setting) -> Answer:
        if self._change is None:
            return "refused", "no supervisor runs this graph"
        return self._change(node, name, value)


DRIVERS: dict[str, Callable[[], Any]] = {"simulated": SimulatedSetter, "graph": GraphSetter}
