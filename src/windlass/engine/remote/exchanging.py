"""One exchange with a worker in another process, done once however often it is asked for.

An exchange has a number that grows. It is noted in the same transaction, so that one which was done is known again when
it comes a second time, its answer having been lost: nothing is recorded or taken then, and what was taken the first
time is handed out again under the same fences, for the worker says what it knows. An older one changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.engine.claim import Claim, Exchange
from windlass.engine.claiming import claims_held
from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.queue import WorkerFace
from windlass.engine.queues.store import StoreQueue, register
from windlass.engine.recovery import lose
from windlass.engine.report import Report
from windlass.engine.wire.reports import read_report
from windlass.errors import Conflict, NotFound
from windlass.store import hot
from windlass.store import remote_workers as remote
from windlass.store.revisions import revision
from windlass.store.rows import Held
from windlass.store.transaction import Transaction, beside_others, require_alone

Key = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a worker asks for in one exchange."""

    #: Number of the exchange.
    request: int
    reports: Sequence[Mapping[str, Any]]
    capacity: int
    #: Every claim that it knows of, by queue row and fence.
    known: Collection[Key]
    #: True where what it does not know of is to be settled.
    inventory: bool = False


@dataclass(slots=True)
class Done:
    """What came of an exchange."""

    #: Number of the worker after it.
    worker_id: int
    #: None where it was found gone.
    exchange: Exchange | None
    #: The time of the store, in microseconds.
    now: int
    #: True where it had been done before.
    again: bool = False
    #: Revisions that the worker is to be told, by their ids.
    revisions: dict[int, dict[str, Any]] = field(default_factory=dict)


# Beside others: it locks the row of its worker, so that two requests under one number are one exchange, and then as the
# exchange of a worker does that speaks to the store itself (`engine.queues.store`). A worker that was found gone joins
# anew, and what one has forgotten is settled, alone.
@beside_others
def exchange_beside_others(
    tx: Transaction,
    engine: Engine,
    queue: StoreQueue,
    face: WorkerFace,
    instance: str,
    asked: Asked,
    singles: Collection[Key],
    told: Collection[int],
) -> Done:
    """Do the same as `exchange_once`, at the same time as other units."""
    return exchange_once(tx, engine, queue, face, instance, asked, singles, told)


def may_exchange_beside_others(asked: Asked) -> bool:
    """Say whether nothing is among the reports of a worker that must be recorded alone, as far as they tell."""
    return not any(report.get("keep") is not None or _is_alone(report["outcome"]) for report in asked.reports)


def _is_alone(outcome: str) -> bool:
    """Say whether an outcome, as JSON, looks like one that takes a kept result, or waits for a run or an event."""
    return outcome.startswith('{"kind":"cached"') or (
        outcome.startswith('{"kind":"waiting"') and any(what in outcome for what in ('"child":{', '"event":{'))
    )


def exchange_once(
    tx: Transaction,
    engine: Engine,
    queue: StoreQueue,
    face: WorkerFace,
    instance: str,
    asked: Asked,
    singles: Collection[Key],
    told: Collection[int],
) -> Done:
    """Do an exchange, unless it was done before; within a unit of work.

    `singles` are claims of which a completion is one of their run, `told` the revisions that the worker knows.
    Raises NotFound for a worker that nobody knows, Conflict for an exchange before the last one, UserError where a
    report is none.
    """
    known = remote.lock(tx, instance)
    if known is None:
        raise NotFound("Nobody knows this worker: it has to join.")
    if asked.request < known.request:
        raise Conflict(f"Exchange {asked.request} comes after exchange {known.request}.")
    if asked.request == known.request:
        return _again(tx, engine, known, asked)
    remote.note_request(tx, instance, asked.request)
    mine = {(row.id, row.fence): row for row in hot.held_by(tx, known.worker_id)} if asked.reports else {}
    reports = [_report(tx, engine, one, mine, face.name, singles) for one in asked.reports]
    exchange = queue.exchange_within(tx, known.worker_id, reports, asked.capacity)
    if exchange is None:
        require_alone(tx)
        worker_id = register(tx, face, known.worker_id)
        remote.note_lost(tx, instance, worker_id, asked.request)
        return Done(worker_id, None, tx.now)
    if asked.inventory:
        _settle_forgotten(tx, engine, known.worker_id, face.name, {*asked.known, *map(_key, exchange.claims)})
    done = Done(known.worker_id, exchange, tx.now)
    _tell(tx, done, exchange.claims, told)
    return done


def _again(tx: Transaction, engine: Engine, known: remote.RemoteWorker, asked: Asked) -> Done:
    """Return the answer that was lost; everything is told anew with it."""
    if known.lost == asked.request:
        return Done(known.worker_id, None, tx.now, again=True)
    claims = claims_held(tx, engine, known.worker_id, but=asked.known)
    exchange = Exchange(claims, hot.asked_to_stop(tx, known.worker_id))
    done = Done(known.worker_id, exchange, tx.now, again=True)
    _tell(tx, done, claims, ())
    return done


def _report(
    tx: Transaction,
    engine: Engine,
    data: Mapping[str, Any],
    mine: Mapping[Key, Held],
    worker: str,
    singles: Collection[Key],
) -> Report:
    """Return a report; of a claim that the worker does not hold it is one that comes too late."""
    key = (data["queueId"], data["fence"])
    row = mine.get(key)
    report = read_report(data, row, worker=worker, single=key in singles)
    if row is None:
        return replace(report, fence=-1)  # whoever else may hold the row: this worker does not
    if report.keep is not None:
        job = compiled(tx, engine.jobs, row.revision_id)
        report.keep = replace(report.keep, project=job.project, job=job.alias)
    return report


def _settle_forgotten(tx: Transaction, engine: Engine, worker_id: int, name: str, known: Collection[Key]) -> None:
    """Settle what the worker holds without knowing of it, as if it were gone: nobody works on that."""
    for found in hot.held_by(tx, worker_id):
        if (found.id, found.fence) in known:
            continue
        require_alone(tx)
        row = hot.held(tx, found.id)
        if row is None or (row.id, row.fence) in known or row.worker_id != worker_id:
            continue
        if row.state == "queued":
            hot.release(tx, row.id)
        elif row.state == "running":
            lose(tx, engine, row, name)


def _tell(tx: Transaction, done: Done, claims: Sequence[Claim], told: Collection[int]) -> None:
    for claim in claims:
        job = claim.job
        if job.revision_id in told or job.revision_id in done.revisions:
            continue
        stored = revision(tx, job.revision_id)
        if stored is not None:
            done.revisions[job.revision_id] = {
                "id": stored.id,
                "jobId": stored.job_id.hex(),
                "project": stored.project,
                "alias": stored.alias,
                "number": stored.number,
                "content": stored.content,
            }


def _key(claim: Claim) -> Key:
    return claim.queue_id, claim.fence
