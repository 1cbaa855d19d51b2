"""What keeps ready tasks from being handed out, read from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from windlass.clock import to_text
from windlass.engine.engine import Engine
from windlass.engine.rating import Gate, steady_now
from windlass.engine.serving import slot_limits, what_is_limited
from windlass.ids import id_text
from windlass.model.cause import Cause
from windlass.model.held_back import (
    RateStanding,
    maintenance_is_on,
    queue_is_paused,
    rate_is_used_up,
    slots_are_taken,
)
from windlass.model.rates import Rate, Resource, wanted
from windlass.store import dispatch, places, workers
from windlass.store.dispatch import Route
from windlass.store.transaction import Transaction

#: Most runs that are named as those whose tasks take the places.
_SHOWN: Final = 5


@dataclass(slots=True)
class Limits:
    """Pauses and limits as they stand now; made once for all tasks that are asked about."""

    tx: Transaction
    engine: Engine
    routes: Mapping[int, Route]
    paused: Mapping[str, Mapping[str, Any]]
    maintenance: Mapping[str, Any] | None
    slots: Mapping[str, int]
    gate: Gate

    def of(self, route_id: int, revision_id: int) -> list[Cause]:
        """Return what holds tasks of a revision on a route back; nothing where a worker may take them."""
        route = self.routes[route_id]
        if self.maintenance is not None:
            return [maintenance_is_on(self.maintenance)]
        if route.queue in self.paused:
            return [queue_is_paused(route.queue, self.paused[route.queue])]
        found = [one for one in (self._full("queue", route.queue), self._full("pool", route.pool)) if one is not None]
        return found + [rate_is_used_up(one) for one in self.rates(route_id, revision_id) if one.is_full]

    def rates(self, route_id: int, revision_id: int) -> list[RateStanding]:
        """Return how the resources stand that a task of a revision takes of on its route."""
        return [
            replace(self._standing(counted, rate, wanted(units, rate)), resource=resource.name)
            for resource, units in self.gate.known.takes.get(route_id, ())
            for counted, rate in self.gate.rates(resource, revision_id)
        ]

    def rates_of_queue(self, queue: str) -> list[dict[str, Any]]:
        """Return how the limited resources stand that tasks in a queue take of, each under every limit of it."""
        known = self.gate.known
        taken = {
            resource
            for route_id, takes in known.takes.items()
            for resource, _ in takes
            if self.routes[route_id].queue == queue
        }
        return [
            {"project": resource.project, **self._standing(resource, rate, 1).to_json()}
            for resource in sorted(taken)
            for rate in sorted(set(known.stated.get(resource, {}).values()))
        ]

    def _standing(self, resource: Resource, rate: Rate, units: int) -> RateStanding:
        room, at = self.gate.standing(resource, rate, units)
        free_at = None if at is None else self.gate.steady.on_wall(at, self.gate.clocks)
        return RateStanding(resource=resource.name, rate=rate, used=rate.limit - room, free_at=free_at, units=units)

    def _full(self, kind: str, name: str) -> Cause | None:
        limit = self.slots.get(f"{kind}:{name}")
        if limit is None:
            return None
        counted = [route.id for route in self.routes.values() if getattr(route, kind) == name]
        held = dispatch.held_by_route(self.tx)
        busy = sum(held.get(route, 0) for route in counted)
        if busy < limit:
            return None
        holders = [id_text(run) for run in places.holding_runs(self.tx, counted, _SHOWN)]
        return slots_are_taken(kind, name, limit, busy, holders)


def limits_now(tx: Transaction, engine: Engine) -> Limits:
    """Read pauses and limits."""
    routes = {route.id: route for route in workers.all_routes(tx)}
    clocks, steady = steady_now(tx, engine)
    maintenance = dispatch.maintenance(tx)
    return Limits(
        tx,
        engine,
        routes,
        {
            name: _told(said.paused_at, said.paused_by, said.paused_why)
            for name, said in dispatch.said_of_queues(tx).items()
            if said.paused_at is not None
        },
        None if maintenance is None else _told(**maintenance),
        slot_limits(tx, engine.settings),
        Gate(tx, engine, what_is_limited(tx, routes.values()), clocks, steady),
    )


def _told(since: int, by: str | None, why: str | None) -> dict[str, Any]:
    return {"since": to_text(since), "by": by, "why": why}
