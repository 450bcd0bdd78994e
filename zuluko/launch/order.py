"""In which order the processes of a graph start and stop: consumers start first, so that nothing is lost on
them, and stop last, so that nothing is lost on the way; an actuator outlives whoever commands it."""

from collections.abc import Collection, Mapping

from zuluko.launch.child import Child
from zuluko.launch.graph import Graph

SETTLE = 0.05  # s that a consumer has for what is on the way, after the last that fed it has ended
LINGER = 1.0  # s from the beginning of the stop, after which everybody left is told at once


class Order:
    """Who feeds whom, by process."""

    def __init__(self, graph: Graph) -> None:
        self._feeds = {name: graph.driven_by(name) for name in graph.processes}
        self._fed_by: dict[str, set[str]] = {name: set() for name in graph.processes}
        for name, fed in self._feeds.items():
            for consumer in fed:
                self._fed_by[consumer].add(name)

    def to_start(self, children: Mapping[str, Child]) -> list[Child]:
        """Those that wait for nobody any more."""
        waiting = [child for child in children.values() if child.state == "waiting" and not child.restart_at]
        free = [child for child in waiting if all(children[name].is_up for name in self._feeds[child.name])]
        if free or not waiting or not all(child.is_up or child in waiting for child in children.values()):
            return free
        # Nodes that drive each other in a circle: one has to begin, and no source before it.
        return sorted(waiting, key=lambda child: any(entry.is_source for entry in child.entries))[:1]

    def to_stop(self, children: Collection[Child], begun: float, now: float) -> list[Child]:
        """Those that nobody feeds any more and that have not been told; ``begun`` is when the stop was."""
        alive = [child for child in children if child.alive]
        untold = [child for child in alive if not child.kill_at]
        if now - begun > LINGER or (untold == alive and not self._free(untold, children, now, settle=0.0)):
            return untold  # time is up, or a circle is left
        return self._free(untold, children, now, settle=SETTLE)

    def _free(
        self, untold: list[Child], children: Collection[Child], now: float, *, settle: float
    ) -> list[Child]:
        feeding = {child.name for child in children if child.alive or now - child.ended_at < settle}
        return [child for child in untold if not self._fed_by[child.name] & feeding]
