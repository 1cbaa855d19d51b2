"""What one worker serves: its routes without those that are paused, and the limits that they are under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson

from windlass.clock import SECOND
from windlass.engine.apart import Apart, ready_beside
from windlass.engine.engine import Engine
from windlass.engine.rating import Known, clocks_of, open_gate
from windlass.model import alone
from windlass.model.definition import NORMAL_PRIORITY
from windlass.model.dispatch import Needs, choose
from windlass.model.rates import Resource, read_route
from windlass.settings import Settings
from windlass.store import dispatch, hot, rates, run_limits, workers
from windlass.store.dispatch import Route
from windlass.store.floor import Floor
from windlass.store.rows import Ready
from windlass.store.transaction import Transaction

_NOTHING: Needs = ()
#: Routes that are looked at one by one, whether tasks wait on them or not.
_MANY: Final = 8
#: Tasks that may be taken, and the seconds after which there are more, where that is known.
Found = tuple[list[Ready], float | None]


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
    #: What starts take of limited resources.
    known: Known = field(default_factory=lambda: Known({}, {}))
    #: Routes on which tasks wait for the same resources and that others serve, with the workers who do.
    elsewhere: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    #: Slots of those workers.
    slots: Mapping[int, int] = field(default_factory=dict)
    #: Resources of which nothing is left, and until when, in microseconds since the boot.
    used_up: dict[Resource, int] = field(default_factory=dict)
    #: From where on it looks.
    floor: Floor = field(default_factory=partial(Floor, "", 0))

    @property
    def is_free(self) -> bool:
        """True where nothing of it is under a limit, and each of its routes may be looked at."""
        return not self.needs and not self.known.takes and len(self.routes) <= _MANY

    def ready(self, tx: Transaction, engine: Engine, capacity: int, worker_id: int) -> Found:
        """Return up to `capacity` tasks that a worker may take, first those of the lowest rank."""
        routes = [route.id for route in self.routes]
        if len(routes) > _MANY:
            routes = self._waited_on(tx)
        if not self.needs and not self.known.takes:
            rows, apart, again = self._ready_of_all(tx, routes, capacity, worker_id)
            if not apart:
                return rows, again
            return choose([(row, apart.needs(row)) for row in rows], capacity, apart.room()).tasks, again
        up = clocks_of(tx, engine).up
        routes = [route for route in routes if not self._is_used_up(route, up)]
        room = self._room(tx) if self.needs else {}
        routes = [route for route in routes if all(room[name] > 0 for name, _ in self.needs.get(route, _NOTHING))]
        apart = Apart()
        found: list[tuple[Ready, int]] = []
        for route in routes:
            rows, theirs = ready_beside(tx, [route], capacity, worker_id)
            apart |= theirs
            found += [(row, route) for row in rows]
        found = _in_order(found)
        if any(route in self.needs for _, route in found):
            self._lock(tx)
            room = self._room(tx)
        if not any(route in self.known.takes for _, route in found):
            plain = [(row, [*self.needs.get(route, _NOTHING), *apart.needs(row)]) for row, route in found]
            return choose(plain, capacity, room | apart.room()).tasks, self._again(up, None)
        return self._of_limited(tx, engine, found, capacity, room, apart)

    def _ready_of_all(
        self, tx: Transaction, routes: Sequence[int], capacity: int, worker_id: int
    ) -> tuple[list[Ready], Apart, float | None]:
        """Look for ready tasks on all routes together, from where the last look came to; say when to look again."""
        if len(routes) < len(self.routes):  # others the next time
            return *ready_beside(tx, routes, capacity, worker_id), None
        began = self.floor.begin(tx)
        rows, apart = ready_beside(tx, routes, capacity, worker_id, began)
        self.floor.end(tx, rows[0].rank if rows else None)
        return rows, apart, self.floor.again(began) if len(rows) < capacity else None

    def _waited_on(self, tx: Transaction) -> list[int]:
        """Return those of the routes on which tasks wait: there may be thousands, and few that are in use."""
        waited_on = set(dispatch.ready_routes(tx))
        return [route.id for route in self.routes if route.id in waited_on]

    def _of_limited(
        self,
        tx: Transaction,
        engine: Engine,
        found: Sequence[tuple[Ready, int]],
        capacity: int,
        room: dict[str, int],
        apart: Apart,
    ) -> Found:
        """Choose where some of the tasks take of limited resources."""
        gate = open_gate(tx, engine, self.known)
        mine = {row.id for row, _ in found}
        heads = [(row, route) for route in self._expected(tx) for row in hot.ready(tx, [route], 1)]
        ready = [
            (
                row if row.id in mine else None,
                [
                    *self.needs.get(route, _NOTHING),
                    *gate.needs(self.known.takes.get(route, ()), row.revision_id),
                    *(apart.needs(row) if row.id in mine else _NOTHING),
                ],
            )
            for row, route in _in_order([*found, *heads])
        ]
        gate.lock()
        left = room | gate.room | apart.room()
        choice = choose(ready, capacity, left, gate.lines)
        gate.left = {name: left[name] for name in gate.room}
        times = [gate.free_at(needs) for line, needs in choice.short.items() if line != alone.LIMIT]
        self.used_up.update(gate.used_up())
        free = min((at for at in times if at is not None), default=None)
        return choice.tasks, self._again(gate.clocks.up, None if free is None else free - gate.now)

    def _expected(self, tx: Transaction) -> list[int]:
        """Return the routes of others that a worker with a free slot serves: it will take their tasks any moment."""
        if not self.elsewhere:
            return []
        held = dispatch.held_by_worker(tx)
        return [
            route
            for route, serving in self.elsewhere.items()
            if any(held.get(worker, 0) < self.slots[worker] for worker in serving)
        ]

    def _is_used_up(self, route: int, up: int) -> bool:
        return any(self.used_up.get(resource, up) > up for resource, _ in self.known.takes.get(route, ()))

    def _again(self, up: int, after: int | None) -> float | None:
        times = [until - up for until in self.used_up.values() if until > up]
        times += [] if after is None else [after]
        return min(times) / SECOND if times else None

    def _lock(self, tx: Transaction) -> None:
        """Let nobody else count and take under our limits until this unit of work ends."""
        for name in sorted(self.limits):
            run_limits.lock_key(tx, name)

    def _room(self, tx: Transaction) -> dict[str, int]:
        held = dispatch.held_by_route(tx)
        return {
            name: limit - sum(held.get(route, 0) for route in self.counted[name]) for name, limit in self.limits.items()
        }


def _in_order(rows: Iterable[tuple[Ready, int]]) -> list[tuple[Ready, int]]:
    return sorted(rows, key=lambda one: (one[0].rank, one[0].id))


def what_to_serve(
    tx: Transaction,
    settings: Settings,
    *,
    pool: str,
    labels: dict[str, str],
    queues: list[str],
    worker_id: int | None = None,
) -> Serving:
    """Return what a worker of this pool with these labels serves, as things stand; `worker_id` is its own number."""
    if dispatch.maintenance(tx) is not None:
        return Serving()
    said = dispatch.said_of_queues(tx)
    paused = {name for name, row in said.items() if row.paused_at is not None}
    everything = workers.all_routes(tx)
    served = set(workers.served_routes(tx, pool=pool, labels=labels, queues=queues))
    routes = tuple(route for route in everything if route.id in served and route.queue not in paused)
    known = what_is_limited(tx, everything)
    elsewhere, their_slots = _elsewhere(tx, worker_id, known, served, everything, paused) if known.takes else ({}, {})
    limits: dict[str, int] = {}
    needs: dict[int, list[tuple[str, int]]] = {}
    counted: dict[str, tuple[int, ...]] = {}
    limits_of = slot_limits(tx, settings)
    for route in (*routes, *(route for route in everything if route.id in elsewhere)):
        for what, mine in (("queue", route.queue), ("pool", route.pool)):
            name = f"{what}:{mine}"
            if name in limits_of:
                limits[name] = limits_of[name]
                counted[name] = tuple(one.id for one in everything if getattr(one, what) == mine)
                needs.setdefault(route.id, []).append((name, 1))
    floor = Floor(pool, round(NORMAL_PRIORITY * settings.priority_weight * SECOND))
    return Serving(routes, limits, needs, counted, known, elsewhere, their_slots, floor=floor)


def slot_limits(tx: Transaction, settings: Settings) -> dict[str, int]:
    """Return how many tasks workers may hold at one time, by `queue:NAME` and `pool:NAME`."""
    said = {name: row.slots for name, row in dispatch.said_of_queues(tx).items() if row.slots is not None}
    of_queues = {f"queue:{name}": slots for name, slots in (dict(settings.queue_limits) | said).items()}
    return of_queues | {f"pool:{name}": slots for name, slots in settings.pool_limits.items()}


def what_is_limited(tx: Transaction, routes: Iterable[Route]) -> Known:
    """Return what starts take of limited resources, and the limits of those."""
    takes = {route.id: read_route(route.rate) for route in routes if route.rate}
    return Known(takes, rates.stated_limits(tx) if takes else {})


def _elsewhere(
    tx: Transaction,
    worker_id: int | None,
    known: Known,
    served: set[int],
    everything: Iterable[Route],
    paused: set[str],
) -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
    """Return the routes that only other workers serve and whose tasks take of what ours take, and those workers' slots.

    A worker that drains, or whose lease has run out, is found by the change that tells of it.
    """
    wanted = {resource for route in served for resource, _ in known.takes.get(route, ())}
    others = {
        route.id
        for route in everything
        if route.id not in served
        and route.queue not in paused
        and any(resource in wanted for resource, _ in known.takes.get(route.id, ()))
    }
    theirs: dict[int, list[int]] = {}
    slots: dict[int, int] = {}
    for worker in workers.live(tx) if others else ():
        if worker.id == worker_id or worker.draining or not worker.slots:
            continue
        labels, queues = orjson.loads(worker.labels), orjson.loads(worker.queues)
        slots[worker.id] = worker.slots
        for route_id in others.intersection(workers.served_routes(tx, pool=worker.pool, labels=labels, queues=queues)):
            theirs.setdefault(route_id, []).append(worker.id)
    return {route_id: tuple(found) for route_id, found in theirs.items()}, slots
