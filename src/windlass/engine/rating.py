"""Room under the limits of resources: counted from what was started, asked for in the order of the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from windlass.clock import SECOND, Clocks
from windlass.engine.claim import Claim
from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.readable import readable
from windlass.model.dispatch import Needs
from windlass.model.rates import Rate, Resource, free_at, grain_of, own_of, wanted
from windlass.model.steady import Steady, go_on
from windlass.store import rates as stored
from windlass.store import run_limits
from windlass.store.transaction import Transaction

#: Microseconds for which a resource that is used up is not looked at again. Its next window may be far off, but a unit
#: of work that counted starts of another one may have been undone with it.
_GLANCE: Final = SECOND

#: Stands for the boot of the machine whose clock the database has, which is not known.
_DATABASE: Final = "database"

Taken = Sequence[tuple[Resource, int]]


class Known(NamedTuple):
    """What of the limits does not change from one unit of work to the next."""

    #: What each start takes of which resource, by the number of its route; routes where it takes nothing are left out.
    takes: Mapping[int, Taken]
    #: The limits that live jobs state.
    stated: Mapping[Resource, Mapping[bytes, Rate]]


@dataclass(slots=True)
class Gate:
    """How much room there is in one unit of work."""

    tx: Transaction
    engine: Engine
    known: Known
    clocks: Clocks
    steady: Steady
    #: Units left by the name of each limit, and its line.
    room: dict[str, int] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    _rates: dict[str, tuple[Resource, Rate]] = field(default_factory=dict)
    #: Room by the name of each limit once everything was given that could be.
    left: Mapping[str, int] = field(default_factory=dict)
    #: The resource behind one that only a job counts.
    _base: dict[Resource, Resource] = field(default_factory=dict)
    _claimed: dict[int, int] | None = None
    _own: dict[int, tuple[bytes, Mapping[str, Rate]]] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """Steady time of the unit of work."""
        return self.steady.at(self.tx.now, self.clocks)

    def needs(self, takes: Taken, revision_id: int) -> list[tuple[str, int]]:
        """Return the limits that a task counts under, with what it takes of them."""
        found = []
        for resource, units in takes:
            for counted, rate in self.rates(resource, revision_id):
                name = f"{counted.line}:{rate.limit}/{rate.window}"
                if name not in self.room:
                    self._rates[name] = (counted, rate)
                    self.lines[name] = counted.line
                    self.room[name] = self._room(counted, rate)
                found.append((name, wanted(units, rate)))
        return found

    def rates(self, resource: Resource, revision_id: int) -> list[tuple[Resource, Rate]]:
        """Return all limits that hold for a task, with what each counts: those of live jobs count all starts.

        That of its own job, where it is none of these, counts the starts of that job alone: no other task waits for it,
        and it waits for no other.
        """
        by_job = self.known.stated.get(resource, {})
        job_id, own = self._stated_by(revision_id)
        found = [(resource, rate) for rate in sorted(set(by_job.values()))]
        if job_id not in by_job and resource.name in own:
            counted = own_of(resource, job_id)
            self._base[counted] = resource
            found.append((counted, own[resource.name]))
        return found

    def own(self, resource: Resource, revision_id: int) -> Resource | None:
        """Return what a job counts its own starts under; None where live jobs state all its limits."""
        return next((counted for counted, _ in self.rates(resource, revision_id) if counted != resource), None)

    def _stated_by(self, revision_id: int) -> tuple[bytes, Mapping[str, Rate]]:
        """Return the job of a revision, and what its newest revision states."""
        if revision_id not in self._own:
            self._own[revision_id] = _newest(self.tx, self.engine, revision_id)
        return self._own[revision_id]

    def _room(self, resource: Resource, rate: Rate) -> int:
        return rate.limit - stored.used(self.tx, resource, self.now - rate.window) - self.claimed(resource)

    def claimed(self, resource: Resource) -> int:
        """Return how many units tasks will take that workers hold and have not started yet."""
        base = self._base.get(resource, resource)
        if self._claimed is None:
            self._claimed = stored.claimed_by_route(self.tx)
        return sum(
            count * units
            for route, count in self._claimed.items()
            for one, units in self.known.takes.get(route, ())
            if one == base
        )

    def lock(self) -> None:
        """Let nobody else take of the resources that have room until the unit of work ends, and count again."""
        lines = sorted({self.lines[name] for name, room in self.room.items() if room > 0})
        for line in lines:
            run_limits.lock_key(self.tx, line)
        if lines:
            self._claimed = None
            for name, (resource, rate) in self._rates.items():
                self.room[name] = self._room(resource, rate)

    def free_at(self, needs: Needs) -> int | None:
        """Return the steady time at which what did not fit will; None where that depends on others."""
        times = [self.now]
        for name, units in needs:
            left = self.left.get(name, self.room.get(name, units))
            if units > left:
                resource, rate = self._rates[name]
                given = self.room[name] - left  # by this unit of work, which notes it later
                taken = [*stored.starts(self.tx, resource, self.now - rate.window), (self.now, given)]
                at = free_at(taken, rate, left, units)
                if at is None:
                    return None
                times.append(at)
        return max(times)

    def standing(self, resource: Resource, rate: Rate, units: int) -> tuple[int, int | None]:
        """Return how much room there is, and the steady time from which so many units fit; None: that depends."""
        room = self._room(resource, rate)
        if units <= room:
            return room, self.now
        return room, free_at(stored.starts(self.tx, resource, self.now - rate.window), rate, room, units)

    def used_up(self) -> dict[Resource, int]:
        """Return the resources of which nothing is left, with the time of the steady clock until then since boot."""
        found: dict[Resource, int] = {}
        for name, (resource, _) in self._rates.items():
            if resource not in self._base and self.room[name] + self.claimed(resource) <= 0:
                at = self.free_at([(name, 1)])
                if at is not None:
                    until = self.clocks.up + min(at - self.now, _GLANCE)
                    found[resource] = max(until, found.get(resource, 0))
        return found


def open_gate(tx: Transaction, engine: Engine, known: Known) -> Gate:
    """Return the room that there is, on the clocks of now; their tie is kept where it is a new one."""
    clocks, steady = steady_now(tx, engine)
    if steady != stored.steady_time(tx):
        stored.keep_steady_time(tx, steady)
    return Gate(tx, engine, known, clocks, steady)


def clocks_of(tx: Transaction, engine: Engine) -> Clocks:
    """Return the clocks by which starts are counted: this machine's where it is alone, else the database's.

    The clocks of several machines tell nothing of each other. Where the database's clock is set forward, windows end
    that much earlier; where it is set back, what was started before counts for that much longer.
    """
    return engine.clocks() if engine.alone else Clocks(_DATABASE, tx.now, tx.now)


def steady_now(tx: Transaction, engine: Engine) -> tuple[Clocks, Steady]:
    """Return what the clocks say, and what ties the steady time to them."""
    clocks, kept = clocks_of(tx, engine), stored.steady_time(tx)
    latest = stored.latest_start(tx) if kept is not None and kept.boot != clocks.boot else None
    return clocks, go_on(kept, clocks, latest)


def note_starts(tx: Transaction, engine: Engine, claims: Iterable[Claim]) -> None:
    """Count tasks that are started by this unit of work."""
    taken: dict[Resource, int] = {}
    longest: dict[Resource, set[Rate]] = {}
    starting = [(claim, Resource(claim.job.project, name), units) for claim in claims for name, units in claim.takes]
    if not starting:
        return
    stating = {resource: stored.stated_for(tx, resource) for _, resource, _ in starting}
    gate = open_gate(tx, engine, Known({}, stating))
    for claim, resource, units in starting:
        for counted in {resource, gate.own(resource, claim.job.revision_id) or resource}:
            taken[counted] = taken.get(counted, 0) + units
            rates = longest.setdefault(counted, set())
            rates.update(rate for _, rate in gate.rates(resource, claim.job.revision_id))
            if resource.name in claim.job.stated:
                rates.add(claim.job.stated[resource.name])
    for resource, units in sorted(taken.items()):
        until = gate.now + max((rate.window for rate in longest[resource]), default=0)
        stored.note_starts(tx, resource, gate.now, units, grain=grain_of(longest[resource]), until=until)


def forget_starts(tx: Transaction, engine: Engine) -> None:
    """Forget the starts that no window counts any more."""
    if stored.latest_start(tx) is not None:
        clocks, steady = steady_now(tx, engine)
        stored.drop_starts(tx, steady.at(tx.now, clocks))


def _newest(tx: Transaction, engine: Engine, revision_id: int) -> tuple[bytes, Mapping[str, Rate]]:
    """Return the job of a revision and the limits that its newest one states."""
    # Whoever takes the task will see that its revision cannot be read, and set its run aside.
    found = readable(f"Revision {revision_id}", _read_newest, tx, engine, revision_id)
    return (b"", {}) if found is None else found


def _read_newest(tx: Transaction, engine: Engine, revision_id: int) -> tuple[bytes, Mapping[str, Rate]]:
    job = compiled(tx, engine.jobs, revision_id)
    newest = run_limits.newest_revision(tx, job.job_id)
    of_newest = job if newest in {None, revision_id} else compiled(tx, engine.jobs, newest or revision_id)
    return job.job_id, of_newest.stated
