"""The common exchange of a busy worker: short tasks end, others like them begin, all in one where the store can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from windlass.clock import micros
from windlass.engine.claim import Claim
from windlass.engine.claiming import plain_claim
from windlass.engine.compiled import CompiledJob
from windlass.engine.completion import settle_each, short_end, told_apart
from windlass.engine.engine import Engine
from windlass.engine.queues.company import Company
from windlass.engine.report import Report
from windlass.engine.serving import Serving
from windlass.settings import Settings
from windlass.store import hot
from windlass.store.floor import LOWEST
from windlass.store.rows import Standing
from windlass.store.transaction import Transaction

#: Ends in one exchange from which on tasks are taken for a streak, and the longest of them, in microseconds.
_STREAK: Final = 8
_SHORT: Final = micros(0.1)


@dataclass(frozen=True, slots=True)
class Turned:
    """What came of it."""

    standing: Standing
    claims: list[Claim]
    #: True where there is more to take, about which something must be decided first.
    more: bool
    #: True where the rows of the runs that were begun do not say so yet.
    streak: bool
    #: The seconds after which there may be more, for not everything was looked at; None where there is nothing else.
    again: float | None = None


def is_plain(job: CompiledJob, settings: Settings) -> bool:
    """Say whether tasks of a job may begin as soon as they are taken, and nobody counts its runs that go on."""
    step = job.job.steps[0]
    return (
        len(job.rules) == 1
        and step.when is None
        and step.cache is None
        and step.matrix is None
        and job.takes is None
        and job.job.concurrency is None
        and settings.max_runs is None
    )


def turn(
    tx: Transaction,
    engine: Engine,
    worker_id: int,
    worker: str,
    known: tuple[str | None, Serving] | None,
    plain: Mapping[int, CompiledJob],
    reports: Sequence[Report],
    capacity: int,
    *,
    company: Company,
) -> Turned | None:
    """Record the ends of attempts and begin tasks of the revisions `plain`, as far as `known` still says what to serve.

    None, and nothing done, where that cannot be done together: something is limited, tasks ended that are not all of
    their run or did not complete, or the unit runs alone, as all do on SQLite.
    """
    if known is None or tx.alone or not known[1].is_free:
        return None
    changes, serving = known
    quick, others = told_apart(reports)
    streak = len(quick) >= _STREAK and all(one.finished_at - (one.started_at or 0) < _SHORT for one in quick)
    if others:
        return None
    streak = streak and company.knows_streaks(tx)
    capacity, asked = (capacity if plain else 0), capacity
    began = serving.floor.begin(tx) if capacity else LOWEST
    done = hot.turn(
        tx,
        worker_id,
        worker,
        [short_end(report) for report in quick],
        routes=[route.id for route in serving.routes],
        floor=began,
        capacity=capacity,
        plain=list(plain),
        changes=changes,
        streak=streak,
    )
    if done.left:
        settle_each(tx, engine, [quick[at] for at in done.left])
    claims = [plain_claim(row, plain[row.revision_id], done.now) for row in done.begun]
    changed = done.standing.changes != changes
    if capacity and done.standing.slots and not changed:
        serving.floor.end(tx, done.first)
    more = len(claims) < asked and (done.more or not plain or changed)
    again = serving.floor.again(began) if len(claims) < capacity else None
    return Turned(done.standing, claims, more, streak, again)
