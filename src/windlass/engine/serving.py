"""What one worker serves: its routes without those that are paused, and the limits that they are under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from windlass.model.dispatch import Needs, choose
from windlass.settings import Settings
from windlass.store import dispatch, run_limits, workers
from windlass.store import hot_sqlite as hot
from windlass.store.dispatch import Route
from windlass.store.rows import Ready
from windlass.store.transaction import Transaction

_NOTHING: Needs = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """Routes that a worker takes from now, until something changes."""

    routes: tuple[Route, ...] = ()
    #: How many tasks workers may hold at one time, by the name of the limit.
    limits: Mapping[str, int] = field(default_factory=dict)
    #: The limits that tasks of a route count under; routes without are left out.
    needs: Mapping[int, Needs] = field(default_factory=dict)
    #: All routes whose tasks count under a limit, whoever serves them.
    counted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def ready(self, tx: Transaction, capacity: int) -> list[Ready]:
        """Return up to `capacity` tasks that may be taken, first those of the lowest rank."""
        if not self.needs:
            return hot.ready(tx, [route.id for route in self.routes], capacity)
        room = self._room(tx)
        open_routes = [
            route.id for route in self.routes if all(room[name] > 0 for name, _ in self.needs.get(route.id, _NOTHING))
        ]
        found = [(row, route) for route in open_routes for row in hot.ready(tx, [route], capacity)]
        found.sort(key=lambda one: (one[0].rank, one[0].id))
        return choose(((row, self.needs.get(route, _NOTHING)) for row, route in found), capacity, room)

    def _room(self, tx: Transaction) -> dict[str, int]:
        for name in sorted(self.limits):
            run_limits.lock_key(tx, name)
        held = dispatch.held_by_route(tx)
        return {
            name: limit - sum(held.get(route, 0) for route in self.counted[name]) for name, limit in self.limits.items()
        }


def what_to_serve(
    tx: Transaction, settings: Settings, *, pool: str, labels: dict[str, str], queues: list[str]
) -> Serving:
    """Return what a worker of this pool with these labels serves, as things stand."""
    if dispatch.maintenance(tx) is not None:
        return Serving()
    said = dispatch.said_of_queues(tx)
    paused = {name for name, row in said.items() if row.paused_at is not None}
    slots = dict(settings.queue_limits) | {name: row.slots for name, row in said.items() if row.slots is not None}
    everything = workers.all_routes(tx)
    served = set(workers.served_routes(tx, pool=pool, labels=labels, queues=queues))
    routes = tuple(route for route in everything if route.id in served and route.queue not in paused)
    limits: dict[str, int] = {}
    needs: dict[int, list[tuple[str, int]]] = {}
    counted: dict[str, tuple[int, ...]] = {}
    for route in routes:
        for what, mine, known in (("queue", route.queue, slots), ("pool", route.pool, settings.pool_limits)):
            if mine in known:
                name = f"{what}:{mine}"
                limits[name] = known[mine]
                counted[name] = tuple(one.id for one in everything if getattr(one, what) == mine)
                needs.setdefault(route.id, []).append((name, 1))
    return Serving(routes, limits, needs, counted)
